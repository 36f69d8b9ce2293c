from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hirules.audit.store import FileStore, NotRecorded


def test_a_line_is_appended_and_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    really = os.fdatasync

    def sync(file: int) -> None:
        synced.append(os.fstat(file).st_size)
        really(file)

    monkeypatch.setattr(os, "fdatasync", sync)
    path = tmp_path / "audit.jsonl"
    store = FileStore(path)
    store.append(b"one\n")
    store.append(b"two\n", sync=False)
    store.append(b"three\n")
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert synced == [4, 14]


def test_what_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"before\n")
    FileStore(path).append(b"after\n")
    assert path.read_bytes() == b"before\nafter\n"


def test_a_torn_line_of_a_crash_is_ended_first(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b'whole\n{"id": "to')
    store = FileStore(path)
    store.append(b"next\n")
    store.append(b"last\n")
    assert path.read_bytes() == b'whole\n{"id": "to\nnext\nlast\n'


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    FileStore(tmp_path / "audit.jsonl")
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_is_said() -> None:
    store = FileStore("/dev/full")
    with pytest.raises(NotRecorded, match="no space left on device"):
        store.append(b"line\n")


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotRecorded, match="no such file or directory"):
        FileStore(tmp_path / "nowhere" / "audit.jsonl")


def test_a_closed_store_takes_nothing(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "audit.jsonl")
    store.close()
    with pytest.raises(NotRecorded, match="closed"):
        store.append(b"line\n")


def test_a_failed_sync_is_no_success_and_leaves_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    store = FileStore(path)
    store.append(b"one\n")

    def fail(file: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(NotRecorded, match="input/output error"):
            store.append(b"two\n")
    store.append(b"three\n")
    assert path.read_bytes() == b"one\nthree\n"


def test_a_short_write_that_cannot_go_on_is_taken_back(tmp_path: Path) -> None:
    # RLIMIT_FSIZE holds for the process: in one of its own. Python ignores SIGXFSZ, so the write fails with EFBIG
    path = tmp_path / "audit.jsonl"
    program = f"""
        import resource
        from hirules.audit.store import FileStore, NotRecorded
        store = FileStore({str(path)!r})
        store.append(b"a" * 60 + b"\\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        try:
            store.append(b"b" * 60 + b"\\n")
        except NotRecorded as error:
            print(error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.append(b"c\\n")
    """
    answer = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "file too large" in answer.stdout
    assert path.read_bytes() == b"a" * 60 + b"\nc\n"
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY


def test_where_the_file_cannot_be_cut_the_next_line_is_on_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    store = FileStore(path)
    really = os.write
    left = iter([4])

    def full(file: int, data: bytes) -> int:
        for size in left:
            return really(file, data[:size])
        raise OSError(28, "No space left on device")

    def refuse(file: int, size: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        patch.setattr(os, "ftruncate", refuse)
        with pytest.raises(NotRecorded, match="no space left"):
            store.append(b"a long line\n")
    store.append(b"next\n")
    assert path.read_bytes() == b"a lo\nnext\n"


def test_a_moved_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    store = FileStore(path)
    store.append(b"one\n")
    path.rename(tmp_path / "audit.jsonl.1")
    store.append(b"two\n")
    assert path.read_bytes() == b"two\n"
    assert (tmp_path / "audit.jsonl.1").read_bytes() == b"one\n"


def test_lines_of_many_threads_are_whole_and_all_there(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    stores = [FileStore(path), FileStore(path)]  # as two processes would
    lines = [f"{number:04d}".encode() * 50 + b"\n" for number in range(400)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda numbered: stores[numbered[0] % 2].append(numbered[1]), enumerate(lines)))
    assert sorted(path.read_bytes().splitlines(keepends=True)) == lines


def test_threads_that_wait_share_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path / "audit.jsonl")
    entered, go_on, syncs = threading.Event(), threading.Event(), []
    really = os.fdatasync

    def slow(file: int) -> None:
        syncs.append(file)
        entered.set()
        assert go_on.wait(60)
        really(file)

    monkeypatch.setattr(os, "fdatasync", slow)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(store.append, b"first\n")
        assert entered.wait(60)
        others = [pool.submit(store.append, b"other\n") for _ in range(8)]
        while len(store._batch.lines) < 8:
            threading.Event().wait(0.005)
        go_on.set()
        for future in (first, *others):
            future.result(60)
    assert len(syncs) == 2
    assert (tmp_path / "audit.jsonl").read_bytes().count(b"\n") == 9


def test_everyone_in_a_failed_batch_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FileStore(tmp_path / "audit.jsonl")
    entered, go_on = threading.Event(), threading.Event()

    def broken(file: int) -> None:
        entered.set()
        assert go_on.wait(60)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", broken)
    with ThreadPoolExecutor(5) as pool:
        futures = [pool.submit(store.append, b"first\n")]
        assert entered.wait(60)
        futures += [pool.submit(store.append, b"other\n") for _ in range(4)]
        go_on.set()
        assert all(isinstance(future.exception(60), NotRecorded) for future in futures)
    assert (tmp_path / "audit.jsonl").read_bytes() == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an ordinary user; as one, the next test does the same")
def test_an_ordinary_user_without_permission_is_told(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(0o600)
    program = f"""
        import os
        from hirules.audit.store import FileStore, NotRecorded
        os.chdir({str(tmp_path)!r})
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        try:
            FileStore("audit.jsonl")
        except NotRecorded as error:
            print(error)
    """
    answer = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True)
    assert "permission denied" in answer.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    path.touch(0o400)
    with pytest.raises(NotRecorded, match="permission denied"):
        FileStore(path)
