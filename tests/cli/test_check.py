from __future__ import annotations

import json
from pathlib import Path

import pytest

from hirules.cli import main


def test_a_clean_set(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(policies)]) == 0
    assert capsys.readouterr().out == "no findings\n"


def test_warnings_only(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text("hirules: 1\npolicy: q\nrules:\n  - {id: all, on: c-get, allow: {}}\n", encoding="utf-8")
    assert main(["check", str(policies)]) == 0
    assert f"{policies}/q.yaml:4:5: warning[always]" in capsys.readouterr().out


def test_errors_of_several_sets_in_order(policies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "another"
    other.mkdir()
    (other / "a.yaml").write_text("hirules: 1\npolicy: a\nrules:\n  - {id: r, on: c-fnd, allow: {}}\n", encoding="utf-8")
    (policies / "p.yaml").write_text("hirules: 1\n", encoding="utf-8")
    assert main(["check", str(policies), str(other), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert found[0]["file"] == str(other / "a.yaml")
    assert {each["file"] for each in found} == {str(other / "a.yaml"), str(policies / "p.yaml")}
    assert found == sorted(found, key=lambda each: (each["file"], each["line"], each["column"]))


def test_one_file_of_a_set(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text("hirules: 1\n", encoding="utf-8")
    assert main(["check", str(policies / "p.yaml")]) == 0
    assert main(["check", str(policies / "q.yaml")]) == 1
    assert "q.yaml" in capsys.readouterr().out


def test_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "/nowhere"]) == 1
    assert "`/nowhere` is no folder" in capsys.readouterr().out


def test_a_plugin_that_is_not_installed(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(policies), "--plugin", "nothing"]) == 1
    assert "plugin `nothing` is not installed" in capsys.readouterr().out


def test_the_working_folder_is_the_default(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(policies)
    assert main(["check"]) == 0
