"""Files are read again when they have changed, and what was last right stays while they are wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hirules.dimse.watched import Watched


def test_files_are_read_again_only_when_they_have_changed(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("1")
    second.write_text("2")
    reads: list[str] = []
    told: list[object] = []

    def read() -> int:
        reads.append(first.read_text() + second.read_text())
        return int(reads[-1])

    watched = Watched((first, second), read, told.append)
    assert (watched.current(), watched.current()) == (12, 12)
    second.write_text("345")
    assert (watched.current(), watched.current()) == (1345, 1345)
    assert (reads, told) == (["12", "1345"], [None])


def test_what_was_last_right_stays_while_they_are_wrong_and_each_state_is_told_once(tmp_path: Path) -> None:
    file, told = tmp_path / "number", list[object]()
    file.write_text("1")
    watched = Watched([file], lambda: int(file.read_text()), told.append)
    file.write_text("half")
    assert (watched.current(), watched.current()) == (1, 1)
    file.unlink()
    assert (watched.current(), watched.current()) == (1, 1)
    assert [type(each) for each in told] == [ValueError, FileNotFoundError]
    file.write_text("22")
    assert watched.current() == 22
    assert told[2:] == [None]


def test_a_file_of_the_same_size_in_its_place_is_seen(tmp_path: Path) -> None:
    file, other = tmp_path / "file", tmp_path / "other"
    file.write_text("1")
    times = file.stat()
    watched = Watched([file], file.read_text, lambda _: None)
    other.write_text("2")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(file)
    assert watched.current() == "2"


def test_files_that_are_wrong_at_the_start_are_told_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Watched([tmp_path / "none"], (tmp_path / "none").read_text, lambda _: None)
