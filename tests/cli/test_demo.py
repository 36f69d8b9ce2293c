from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from hirules.assemble import check_set, schema
from hirules.cli import demo, main
from hirules.cli.demo import Row, table


def test_every_step_does_what_it_should(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--keep", str(tmp_path / "demo")]) == 0
    text = capsys.readouterr().out
    assert "8 of 8 steps did what they should" in text
    for said in ("refused   retrieval/agreed-destinations", "retrieval/old-archive-is-gone", "devices/status-only", "metadata/no-revert", "CORRECTED"):
        assert said in text
    validator = jsonschema.Draft202012Validator(dict(schema("audit-record")))
    lines = (tmp_path / "demo" / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 10
    for line in lines:
        validator.validate(json.loads(line))
    assert len(list((tmp_path / "demo" / "received").iterdir())) == 1


def test_as_a_process_it_ends_by_itself() -> None:
    answer = subprocess.run([sys.executable, "-m", "hirules.cli", "demo"], capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""


def test_a_step_that_does_not_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    source = demo._policies(tmp_path / "other")
    retrieval = (source / "retrieval.yaml").read_text(encoding="utf-8")
    (source / "retrieval.yaml").write_text(
        retrieval.replace("request.MoveDestination: {not_in: $agreements}", "request.MoveDestination: NONE"), encoding="utf-8"
    )
    monkeypatch.setattr(demo, "_policies", lambda folder: source)
    assert main(["demo"]) == 1
    assert "NOT AS IT SHOULD BE" in capsys.readouterr().out


def test_its_policies_are_a_real_set(tmp_path: Path) -> None:
    assert not [found for found in check_set(demo._policies(tmp_path)) if found.is_error]


def test_the_table_wraps(capsys: pytest.CaptureFixture[str]) -> None:
    lines = table([Row("word " * 30, "deny", ["a/b", "c/d"], "x", expected=False)]).splitlines()
    assert all(len(line) <= 130 for line in lines)
    assert "NOT AS IT SHOULD BE: x" in lines[2]
    assert "c/d" in lines[3]
