from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

import pytest

from hirules.cli import main

UGLY = "policy: p\nhirules: 1\nrules:\n- {on: c-get,   id: r, allow: {}} # why\n"
NEAT = "hirules: 1\npolicy: p\n\nrules:\n  - {id: r, on: c-get, allow: {}}  # why\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    for name in ("a.yaml", "sub/b.yaml", ".hidden/c.yaml"):
        (tmp_path / name).write_text(UGLY, encoding="utf-8")
    (tmp_path / "neat.yaml").write_text(NEAT, encoding="utf-8")
    return tmp_path


def test_a_folder_is_laid_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").chmod(0o640)
    assert main(["fmt", str(folder)]) == 0
    assert (folder / "a.yaml").read_text(encoding="utf-8") == (folder / "sub/b.yaml").read_text(encoding="utf-8") == NEAT
    assert (folder / ".hidden/c.yaml").read_text(encoding="utf-8") == UGLY
    assert stat.S_IMODE((folder / "a.yaml").stat().st_mode) == 0o640
    assert capsys.readouterr().out.splitlines() == [f"{folder}/a.yaml: laid out", f"{folder}/sub/b.yaml: laid out"]
    assert main(["fmt", str(folder)]) == 0
    assert not capsys.readouterr().out


def test_check_writes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--check", str(folder)]) == 1
    assert (folder / "a.yaml").read_text(encoding="utf-8") == UGLY
    assert "a.yaml: would change" in capsys.readouterr().out
    assert main(["fmt", "--check", str(folder / "neat.yaml")]) == 0


def test_diff(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--diff", str(folder / "a.yaml")]) == 1
    out = capsys.readouterr().out
    assert "-hirules: 1\n" in out
    assert "+  - {id: r, on: c-get, allow: {}}  # why\n" in out


def test_through(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(UGLY.encode())))
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == NEAT


def test_what_cannot_be_read_stays(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.yaml").write_text("a: [", encoding="utf-8")
    assert main(["fmt", str(folder)]) == 1
    assert (folder / "a.yaml").read_text(encoding="utf-8") == "a: ["
    assert (folder / "sub/b.yaml").read_text(encoding="utf-8") == NEAT
    assert "a.yaml:1:" in capsys.readouterr().err


def test_a_path_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "nowhere"]) == 2
    assert "`nowhere` does not exist" in capsys.readouterr().err


def test_a_full_disk_costs_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main(["fmt", str(folder / "a.yaml")]) == 1
    assert (folder / "a.yaml").read_text(encoding="utf-8") == UGLY
    assert sorted(path.name for path in folder.iterdir()) == [".hidden", "a.yaml", "neat.yaml", "sub"]
    assert "not written: no space left on device" in capsys.readouterr().err
