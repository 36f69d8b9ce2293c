"""What is read from files, and read again when one of them has changed."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Watched(Generic[Value]):
    """While the files are wrong, what was last right stays: one that is half written shuts nobody out, and lets nobody in. Thread safe."""

    def __init__(self, files: Iterable[str | os.PathLike[str]], read: Callable[[], Value], told: Callable[[OSError | ValueError | None], None]) -> None:
        """``told`` of each change why it is not used, or ``None``: it is. Raises what ``read`` does: ``OSError``, ``ValueError``."""
        self._files, self._read, self._told = tuple(files), read, told
        self._lock = threading.Lock()
        # before they are read: what changes meanwhile is seen the next time
        self._seen = self._state()
        self._value = read()

    def current(self) -> Value:
        """By the files as they are."""
        now = self._state()
        with self._lock:
            if now != self._seen:
                self._seen = now
                try:
                    self._value = self._read()
                except (OSError, ValueError) as error:
                    self._told(error)
                else:
                    self._told(None)
            return self._value

    def _state(self) -> tuple[object, ...]:
        return tuple(_stamp(file) for file in self._files)


def _stamp(file: str | os.PathLike[str]) -> object:
    try:
        found = os.stat(file)  # noqa: PTH116 - on the way of each association
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
