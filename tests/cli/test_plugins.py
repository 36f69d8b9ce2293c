from __future__ import annotations

import json
from pathlib import Path

import pytest

from hirules.cli import main


def test_what_is_installed_is_listed_and_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    info = tmp_path / "hirules_listed-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hirules-listed\nVersion: 3.1\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[hirules]\nlisted = a_module_that_is_not_there\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["plugins", "list"]) == 0
    assert "listed  (hirules-listed 3.1)" in capsys.readouterr().out
    assert main(["plugins", "list", "--format", "json"]) == 0
    assert {"name": "listed", "distribution": "hirules-listed", "version": "3.1"} in json.loads(capsys.readouterr().out)
