"""Seeded defects (tests/cases/lint.yaml): each is found, at its place, and nothing else is."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from hirules.cli.requests import read_request
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.findings import CODES, SILENCEABLE, Finding
from hirules.policy.lint import lint
from hirules.policy.load import load_set

NOW = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
CASES: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[2] / "cases" / "lint.yaml").read_text(encoding="utf-8"))


def found(policy: str, files: dict[str, str] | None = None, now: datetime = NOW) -> tuple[Finding, ...]:
    """Everything that `check` says of one policy."""
    everything = {"p.yaml": policy.encode(), **{name: text.encode() for name, text in (files or {}).items()}}
    loaded = load_set(everything)
    assert loaded.set is not None, loaded.findings
    return lint(loaded.set, everything, now, found=loaded.findings)


def only(rules: str, now: datetime = NOW) -> Finding:
    """The only finding of a policy with these rules."""
    (one,) = found(f"hirules: 1\npolicy: p\n{rules}", now=now)
    return one


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_seeded_defect_is_found_at_its_place(case: dict[str, Any]) -> None:
    said = found(case["policy"], case.get("files"))
    assert [{"code": one.code, "line": one.line, "column": one.column} for one in said] == case["found"]
    for one in said:
        assert one.severity == "warning"
        assert one.code in CODES
        assert one.expected or one.hint
        assert one.source == case["policy"].split("\n")[one.line - 1]


WITH_EXAMPLE = frozenset(
    {
        "always", "absent-matches", "client-claim", "duplicate", "shadowed", "allow-denied", "rewrite-conflict", "rewrite-past-deny", "deny-reads-rewritten",
        "several-under-not", "not-any", "walks-round", "closes-action",
    }
)  # fmt: skip


def test_what_a_request_can_show_has_an_example() -> None:
    said = [one for case in CASES if "exceptions:" not in case["policy"] for one in found(case["policy"], case.get("files"))]
    assert {one.code for one in said if one.example} == WITH_EXAMPLE
    assert all(one.example for one in said if one.code in WITH_EXAMPLE)


def test_there_are_more_than_forty_defects_of_every_kind_and_policies_without_one() -> None:
    seeded = {one["code"] for case in CASES for one in case["found"]}
    assert sum(len(case["found"]) for case in CASES) > 40
    assert sum(not case["found"] for case in CASES) >= 15
    assert seeded == (SILENCEABLE - {"not-compared"}) | {"unused-silence"}


@pytest.mark.parametrize("case", [case for case in CASES if case["found"]], ids=[case["name"] for case in CASES if case["found"]])
def test_every_finding_can_be_silenced_with_a_reason(case: dict[str, Any]) -> None:
    codes = sorted({one["code"] for one in case["found"]} - {"unused-silence"})
    if not codes or "lint:" in case["policy"]:
        return
    silences = "lint:\n" + "".join(f"  {code}: it is meant so\n" for code in codes)
    assert found(case["policy"].replace("policy: p\n", f"policy: p\n{silences}"), case.get("files")) == ()


@pytest.mark.parametrize("case", [case for case in CASES if case["found"]], ids=[case["name"] for case in CASES if case["found"]])
def test_every_example_is_a_request_that_can_be_decided(case: dict[str, Any]) -> None:
    for one in found(case["policy"], case.get("files")):
        if one.example:
            assert read_request(one.example.encode(), VOCABULARY, json_only=True).action in case["policy"]


def test_what_stands_in_a_list_file_is_not_quoted() -> None:
    """What stands in a list file may be about patients: no finding and no example holds it."""
    rules = "lists: {vip: {file: vip.txt}}\nrules:\n  - {id: r, on: c-find, when: {request.Identifier.PatientID: {in: $vip}}, deny: {}}\n"
    rules += "  - {id: s, on: c-find, when: {request.Identifier.PatientID: {in: $vip}}, deny: {}}\n"
    said = found(f"hirules: 1\npolicy: p\n{rules}", {"vip.txt": "SECRET-1\n"})
    assert {one.code for one in said} == {"duplicate", "walks-round"}
    assert all("SECRET" not in str(one) + json.dumps(one.as_json()) for one in said)
    duplicate = next(one for one in said if one.code == "duplicate")
    assert json.loads(duplicate.example)["request"] == {"Identifier": {"PatientID": "a member of $vip"}}


def test_what_has_expired_depends_on_the_given_time() -> None:
    rules = "rules:\n  - {id: r, on: c-move, when: {subject.ae_title: A}, deny: {}}\n"
    rules += "exceptions:\n  - {id: e, of: r, when: {subject.user: a}, reason: t, expires: '2026-06-01T00:00:00Z'}\n"
    border = datetime.fromisoformat("2026-06-01T00:00:00Z")
    assert only(rules, border).code == "expired"
    assert only(rules, border - timedelta(seconds=1)).code == "expires-soon"
    assert only(rules, border - timedelta(days=30)).code == "expires-soon"
    assert found(f"hirules: 1\npolicy: p\n{rules}", now=border - timedelta(days=30, seconds=1)) == ()


def test_a_rule_that_no_index_serves_counts_in_a_large_set() -> None:
    small = [f"  - {{id: r{number}, on: c-get, when: {{subject.ae_title: W{number}}}, allow: {{}}}}\n" for number in range(198)]
    slow = "  - {id: slow, on: c-get, when: {subject.user: {not_in: [ada, grace]}}, deny: {}}\n"
    assert found("hirules: 1\npolicy: p\nrules:\n" + "".join(small) + slow) == ()
    one = only("rules:\n" + "".join(small) + "  - {id: one-more, on: c-get, when: {subject.ae_title: X}, allow: {}}\n" + slow)
    assert (one.code, one.line) == ("not-indexed", 203)


def test_a_set_with_too_many_rules_to_compare_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hirules.policy.lint.overlap.MOST_COMPARED", 3)
    rules = [f"  - {{id: r{number}, on: c-get, when: {{subject.ae_title: {{regex: 'A[0-9]{number}'}}}}, allow: {{}}}}\n" for number in range(5)]
    one = only("rules:\n" + "".join(rules))
    assert (one.code, one.line, one.column) == ("not-compared", 1, 1)
    assert "3 pairs of allow and deny rules" in one.message
