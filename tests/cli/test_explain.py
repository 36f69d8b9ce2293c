from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import hirules
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
    assert "What decided:\n  p/agreed (deny) matched: its condition holds: deny  [p.yaml:8:5]\n      when request" in text
    assert "p/wards (allow) matched" in text
    assert "Near misses, one condition away:\n  p/moved (rewrite) would match, had it not been for  [p.yaml:12:5]\n" in text
    assert "Not in question: 2 rules (2 since it is not for `c-move`); `--all` names them" in text
    assert "when request.MoveDestination not_in holds; it saw `NOWHERE`  [p.yaml:10:12]" in text


def test_a_rewrite(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain(policies, {**MOVE, "request": {"MoveDestination": "OLD_PACS"}}) == 0
    assert "Rewritten: request.MoveDestination, which was `OLD_PACS`, becomes `PACS_MAIN`" in capsys.readouterr().out


def test_the_rules_that_were_not_in_question(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _explain(policies, MOVE, "--all") == 3
    assert "Not in question:\n  p/night (deny): it is not for `c-move`  [p.yaml:21:5]\n  p/vip (audit): it is not for `c-move`" in capsys.readouterr().out


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


def test_a_near_miss_is_one_condition_away(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rule = "hirules: 1\npolicy: q\nrules:\n  - {id: r, on: c-get, when: {subject.ae_title: A, subject.user: x}, unless: {subject.stated_user: z}, allow: {}}\n"
    (policies / "q.yaml").write_text(rule, encoding="utf-8")
    for subject, near in (
        ({"ae_title": "A"}, ["subject.user"]),
        ({"ae_title": "A", "user": "x", "stated_user": "z"}, ["subject.stated_user"]),
        ({"ae_title": "B"}, []),
        ({"ae_title": "A", "user": "y", "stated_user": "z"}, []),
    ):
        assert _explain(policies, {"action": "c-get", "subject": subject}, "--format", "json") == 3
        rules = {rule["rule"]: rule for rule in json.loads(capsys.readouterr().out)["rules"]}
        assert [test["path"] for test in rules["q/r"]["near"]] == near


def test_what_was_looked_up(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text("hirules: 1\npolicy: q\nrules:\n  - {id: r, on: c-move, when: {resource.PatientID: P}, deny: {}}\n", encoding="utf-8")
    move = {**MOVE, "request": {"MoveDestination": "PACS_MAIN"}}
    assert _explain(policies, move) == 3
    assert "Looked up, where it is served (the request does not say what it reaches):\n  resource.PatientID: unknown" in capsys.readouterr().out
    assert _explain(policies, {**move, "resource": [{"PatientID": "Q"}]}) == 0
    assert "(the request says that it reaches 1 entity):\n  resource.PatientID: known" in capsys.readouterr().out


def test_a_request_of_the_record(policies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "audit.jsonl"
    gate = hirules.load(policies, audit=str(log))
    ids = [gate.check(hirules.Request("c-move", {"ae_title": "WARD_1"}, {"MoveDestination": to})).id for to in ("PACS_MAIN", "NOWHERE")]
    gate.close()
    assert main(["explain", "--policies", str(policies), str(log), "--record", ids[0]]) == 0
    assert capsys.readouterr().out.startswith("The request is allowed, because of p/wards.")
    assert main(["explain", "--policies", str(policies), str(log), "--record", ids[1]]) == 3
    assert capsys.readouterr().out.startswith("The request is denied, because of p/agreed.")
    assert main(["explain", "--policies", str(policies), str(log), "--record"]) == 1
    assert "it holds 2 decisions; `id` names the one" in capsys.readouterr().err
