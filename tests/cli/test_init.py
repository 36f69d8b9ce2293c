from __future__ import annotations

import json
from pathlib import Path

import pytest

from hirules.cli import main


def test_the_set_to_start_from_is_clean_tested_and_laid_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "policies"
    assert main(["init", str(folder)]) == 0
    assert f"hirules test {folder} --coverage" in capsys.readouterr().out
    assert main(["check", str(folder)]) == 0
    assert capsys.readouterr().out == "no findings\n"
    assert main(["test", str(folder), "--coverage", "--fail-under", "100"]) == 0
    assert main(["fmt", "--check", str(folder)]) == 0


def test_editors_find_the_schemas(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 0
    for name in ("set.yaml", "retrieval.yaml", "retrieval_test.yaml"):
        lines = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        named = next(line for line in lines if line.startswith("# yaml-language-server: $schema="))
        assert json.loads((tmp_path / named.partition("=")[2]).read_text(encoding="utf-8"))["$schema"]
    settings = json.loads((tmp_path / ".vscode" / "settings.json").read_text(encoding="utf-8"))
    assert all((tmp_path / schema).is_file() for schema in settings["yaml.schemas"])


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "retrieval.yaml").write_text("mine", encoding="utf-8")
    assert main(["init", str(tmp_path)]) == 1
    assert "retrieval.yaml` is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["retrieval.yaml"]
    assert (tmp_path / "retrieval.yaml").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["init", str(tmp_path / "file" / "x")]) == 1
    assert "not a directory" in capsys.readouterr().err
