from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hirules.assemble.folder import read_folder


def test_every_file_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "a.yaml").write_bytes(b"a")
    (tmp_path / "data" / "list.csv").write_bytes(b"b")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_bytes(b"c")
    (tmp_path / ".hidden.yaml").write_bytes(b"d")
    assert read_folder(tmp_path) == ({"a.yaml": b"a", "data/list.csv": b"b"}, ())


def test_no_folder() -> None:
    files, (found,) = read_folder(Path("/nowhere"))
    assert files is None
    assert found.message == "`/nowhere` is no folder"


def test_a_folder_that_may_not_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)  # root may reach every folder
    files, (found,) = read_folder(Path("/root/set"))
    assert files is None
    assert (found.code, found.message) == ("unreadable", "the folder cannot be read: permission denied")


@pytest.mark.parametrize("target", ["../outside.yaml", "/etc/hostname", "nothing.yaml", "loop.yaml", "data"])
def test_a_link_that_leads_out_or_nowhere_is_refused(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "set"
    (folder / "data").mkdir(parents=True)
    (tmp_path / "outside.yaml").write_bytes(b"x")
    (folder / "loop.yaml").symlink_to(target)
    files, (found,) = read_folder(folder)
    assert files == {}
    assert (found.file, found.code, found.is_error) == ("loop.yaml", "outside-folder", True)


def test_a_folder_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.yaml").write_bytes(b"x")
    (tmp_path / "set" / "sub").symlink_to(tmp_path / "other")
    files, (found,) = read_folder(tmp_path / "set")
    assert files == {}
    assert found.code == "outside-folder"


def test_links_inside_are_followed_as_config_maps_have_them(tmp_path: Path) -> None:
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "a.yaml").write_bytes(b"a")
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    assert read_folder(tmp_path) == ({"a.yaml": b"a"}, ())


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "a.yaml").write_bytes(b"a")
    (tmp_path / "current").symlink_to("v1")
    assert read_folder(tmp_path / "current") == ({"a.yaml": b"a"}, ())


def test_a_pipe_does_not_hang_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    files, (found,) = read_folder(tmp_path)
    assert files == {}
    assert "no regular file" in found.message


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming an ordinary user takes root")
def test_an_unreadable_file_is_a_finding(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    (folder / "closed").mkdir(parents=True)
    (folder / "a.yaml").touch(0o600)
    (folder / "closed").chmod(0o700)
    program = f"""
import os, pathlib
from hirules.assemble.folder import read_folder
os.chdir({str(folder)!r}); os.setgroups([]); os.setgid(65534); os.setuid(65534)
files, findings = read_folder(pathlib.Path("."))
print(files, *(f"{{found.file}} {{found.message}}" for found in findings), sep="|")
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "{}|a.yaml the file cannot be read: permission denied|closed/ the folder cannot be read: permission denied"
