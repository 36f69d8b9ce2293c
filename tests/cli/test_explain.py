from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from hirules.cli import main

MOVE = {"action": "c-move", "subject": {"ae_title": "WARD_1"}, "request": {"MoveDestination": "NOWHERE"}}


def _explain(policies: Path, request: Mapping[str, object], *options: str) -> int:
    file = policies.parent / "request.json"
    file.write_text(json.dumps(request), encoding="utf-8")
    return main(["explain", "--policies", str(policies), str(file), *options])


def test_every_rule_and_why(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain(policies, MOVE) == 3
    text = capsys.readouterr().out
    assert text.startswith("The request is denied, because of p/agreed.\nReason: `NOWHERE` has no release agreement\n")
    for rule in (
        "p/wards (allow) matched",
        "p/agreed (deny) matched",
        "p/moved (rewrite) not matched",
        "p/vip (audit) not considered",
        "p/night (deny) not considered",
    ):
        assert rule in text
    assert "when request.MoveDestination not_in holds; it saw `NOWHERE`  [p.yaml:10:12]" in text


def test_a_rewrite(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain(policies, {**MOVE, "request": {"MoveDestination": "OLD_PACS"}}) == 0
    assert "Rewritten: request.MoveDestination becomes `PACS_MAIN`" in capsys.readouterr().out


def test_no_rule_decided(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain(policies, {"action": "c-get"}) == 3
    assert "no rule decided" in capsys.readouterr().out


def test_patient_data_are_shown_only_when_asked_for(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    find = {
        "action": "c-find", "subject": {"ae_title": "WARD_1"}, "request": {"Identifier": {"PatientID": "P-SECRET"}},
        "context": {"now": "2026-03-02T10:00:00Z"},
    }  # fmt: skip
    assert _explain(policies, find) == 0
    text = capsys.readouterr().out
    assert "P-SECRET" not in text
    assert "it saw 1 value" in text
    _explain(policies, find, "--values")
    assert "it saw `P-SECRET`" in capsys.readouterr().out


def test_for_programs(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain(policies, MOVE, "--format", "json") == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["decision"] == "deny"
    rules = {rule["rule"]: rule for rule in answer["rules"]}
    assert rules["p/agreed"]["outcome"] == "matched"
    (test,) = rules["p/agreed"]["tests"]
    assert (test["path"], test["operators"], test["truth"], test["at"]) == ("request.MoveDestination", ["not_in"], True, "p.yaml:10:12")


def test_unknown_is_said(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text("hirules: 1\npolicy: q\nrules:\n  - {id: r, on: c-move, when: {resource.PatientID: P}, deny: {}}\n", encoding="utf-8")
    assert _explain(policies, MOVE) == 3
    text = capsys.readouterr().out
    assert "Unknown: q/r" in text
    assert "is unknown; it saw nothing that is known" in text


def test_invalid_input(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain(policies, {"action": "c-mvoe"}) == 1
    assert "did you mean `c-move`?" in capsys.readouterr().err
