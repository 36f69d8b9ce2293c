"""Where lines go: a file that is appended to, and on disk before ``append`` returns.

Rules
1. A line that ``append`` took without raising is whole and synced (or, ``sync=False``, whole).
2. A line that raised is taken back where the file can be cut; else the next one starts on a line of its own.
3. Lines of threads that wait together are written and synced together: the first is the leader of its batch.
4. Several processes may append to one file: each batch holds the file's lock (``flock``).
"""

from __future__ import annotations

import fcntl
import os
import stat
import threading
from pathlib import Path
from typing import Protocol


class NotRecorded(Exception):
    """The record could not be written, so what it records must not happen."""


class Store(Protocol):
    """Takes lines, each with its newline. ``append`` raises :class:`NotRecorded`."""

    def append(self, line: bytes, *, sync: bool = True) -> None:
        """Write ``line``; with ``sync`` it is on disk when this returns."""

    def close(self) -> None:
        """Let go of the file."""


class _Batch:
    """Lines that are written together."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.sync = False
        self.done: threading.Event | None = None
        """Made by who waits first: most batches are of one."""
        self.error: str | None = None


class FileStore:
    """Appends to one file. Thread safe; a file that was moved away (rotation) is made anew."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open ``path``, made with mode 0600 where it is missing. Raises :class:`NotRecorded`."""
        self._path = Path(path)
        self._queue = threading.Lock()
        self._writing = threading.Lock()
        self._batch = _Batch()
        self._file: int | None = None
        self._identity = (0, 0)
        """Device and inode of the open file."""
        self._written = -1
        """Where what was written last ends, with a newline."""
        self._closed = False
        try:
            self._file = self._open()
        except OSError as error:
            raise NotRecorded(_why(error, self._path)) from error

    def __repr__(self) -> str:
        return f"FileStore({str(self._path)!r})"

    def append(self, line: bytes, *, sync: bool = True) -> None:
        """Write ``line`` after what is there. Raises :class:`NotRecorded`."""
        with self._queue:
            batch = self._batch
            leads = not batch.lines
            batch.lines.append(line)
            batch.sync |= sync
            if not leads and batch.done is None:
                batch.done = threading.Event()
        if leads:
            self._lead(batch)
        else:
            assert batch.done is not None
            batch.done.wait()
        if batch.error is not None:
            raise NotRecorded(batch.error)

    def close(self) -> None:
        """Close the file; later lines raise."""
        with self._writing:
            self._closed = True
            self._drop()

    def _lead(self, batch: _Batch) -> None:
        batch.error = "the write was interrupted"  # INVARIANT: whatever ends this early, nobody who waits takes the line for written
        try:
            with self._writing:  # while an earlier batch is synced, lines gather in this one
                with self._queue:
                    self._batch = _Batch()
                batch.error = self._commit(b"".join(batch.lines), batch.sync)
        finally:
            with self._queue:
                if self._batch is batch:
                    self._batch = _Batch()
            # nobody joins it any more
            if batch.done is not None:
                batch.done.set()

    def _commit(self, data: bytes, sync: bool) -> str | None:
        """Write one batch; the reason where it failed."""
        if self._closed:
            return f"`{self._path}` is closed"
        try:
            file = self._current()
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                self._write(file, data, sync)
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
        except OSError as error:
            self._drop()  # after a failed sync the kernel may have forgotten the pages: begin anew with what is on disk
            return _why(error, self._path)
        return None

    def _write(self, file: int, data: bytes, sync: bool) -> None:
        before = _end(file)
        try:
            if before and before != self._written and os.pread(file, 1, before - 1) != b"\n":
                data = b"\n" + data  # a crash left part of a line: it stays as it is, on a line of its own
            written = 0
            while written < len(data):
                written += os.write(file, data[written:])  # a short write is followed by the error that explains it
            if sync:
                os.fdatasync(file)
            self._written = -1 if before is None else before + written
        except OSError:
            self._written = -1
            if before is not None:
                _cut(file, before)
            raise

    def _current(self) -> int:
        """The open file, if it still is the one at the path; else the one that is there now."""
        if self._file is not None:
            try:
                there = os.stat(self._path)  # noqa: PTH116 - half the cost of the path's own, once a line
            except FileNotFoundError:
                self._drop()
            else:
                if (there.st_dev, there.st_ino) != self._identity:
                    self._drop()
        if self._file is None:
            self._file = self._open()
        return self._file

    def _open(self) -> int:
        new = not self._path.exists()
        file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if new:
            _sync_folder(self._path.parent)  # the name of a new file is on disk only when its folder is
        status = os.fstat(file)
        self._identity, self._written = (status.st_dev, status.st_ino), -1
        return file

    def _drop(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _end(file: int) -> int | None:
    """The size of a regular file; ``None`` for a device."""
    status = os.fstat(file)
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _cut(file: int, size: int) -> None:
    try:
        os.ftruncate(file, size)
    except OSError:
        # append-only by attribute: what was written stays, and the next line begins on its own (Rule 2);
        # the caller raises the error that led here
        return


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _why(error: OSError, path: Path) -> str:
    return f"cannot write the record to `{path}`: {(error.strerror or 'the system gave no reason').lower()}"
