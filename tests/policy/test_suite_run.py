"""Running tests: both evaluators decide, and a test that failed says why."""

from __future__ import annotations

import pytest

from hirules.model.decision import Decision
from hirules.policy.suite_reasons import NEAR_MISSES, deciding
from hirules.policy.suite_run import EXPLAINED, Result, Runner
from hirules.policy.verdict import Verdict
from tests.policy.suites import case, cases, policies, run


def told(result: Result) -> list[str]:
    """Each rule of the explanation: its name, what came of it, and the paths that made it so."""
    return [f"{entry.rule} {entry.outcome}: {', '.join(test.path for test in deciding(entry))}" for entry in result.reasons]


def test_a_test_that_passes_explains_nothing() -> None:
    result = run("on: c-find\nsubject: {ae_title: PACS_DR}\nexpect: {decision: allow}")
    assert result.passed
    assert not result.reasons


def test_what_decided_and_what_should_have_is_told() -> None:
    result = run("on: c-move\nsubject: {ae_title: PACS_DR}\nrequest: {MoveDestination: PACS_DR}\nresource: []\nexpect: {decision: deny, by: [p/agreed]}")
    assert told(result) == ["p/agreed not matched: request.MoveDestination", "p/clinical matched: subject.ae_title", "p/later matched: subject.ae_title"]


def test_what_came_near_is_told() -> None:
    rules = "\n".join(f"  - {{id: r{number}, on: c-find, when: {{subject.ae_title: T{number}, subject.user: u{number}}}, allow: {{}}}}" for number in range(9))
    of = policies(f"hirules: 1\npolicy: p\nrules:\n{rules}\n")
    result = run("on: c-find\nsubject: {ae_title: T1, user: u7}\nexpect: {decision: allow}", of)
    lines = told(result)
    assert len(lines) == NEAR_MISSES
    assert set(lines[:2]) == {"p/r1 not matched: subject.user", "p/r7 not matched: subject.ae_title"}


def test_exceptions_are_told_with_the_value_that_they_saw() -> None:
    text = "on: c-move\nsubject: {ae_title: PACS_DR}\nrequest: {MoveDestination: X}\nresource: []\nexpect: {decision: allow, exceptions: [p/audit]}"
    entry = next(entry for entry in run(text).reasons if entry.rule == "p/audit")
    assert (entry.outcome, entry.of) == ("not matched", "p/agreed")
    assert entry.tests[0].seen.values == ("X",)


@pytest.mark.parametrize(("expected", "why"), [("[p/find]", "it is not for `c-move`"), ("[p/off]", "its mode is off")])
def test_a_rule_that_was_expected_and_not_looked_at_says_why(expected: str, why: str) -> None:
    of = policies("hirules: 1\npolicy: p\nrules:\n  - {id: find, on: c-find, deny: {}}\n  - {id: off, on: c-move, mode: off, deny: {}}\n")
    result = run(f"on: c-move\nresource: []\nexpect: {{decision: deny, by: {expected}}}", of)
    assert [entry.why for entry in result.reasons] == [why]


def test_of_many_failures_only_what_took_part_is_told() -> None:
    """A set of thousands of rules, with as many tests that fail, is still reported at once."""
    rows = ", ".join("{expect: {decision: allow}}" for _ in range(EXPLAINED + 1))
    chosen = policies()
    runner = Runner(chosen)
    results = [runner.run(one) for one in cases(f"tests:\n  - {{name: t, on: c-find, cases: [{rows}]}}", chosen)]
    assert [len(result.reasons) > 0 for result in results] == [True] * EXPLAINED + [False]


def test_plugins_have_their_say() -> None:
    chosen = policies()
    runner = Runner(chosen, verdicts=lambda asked: [Verdict(effect="deny", source="plugin:night", reason="closed")])
    result = runner.run(case("on: c-find\nsubject: {ae_title: PACS_DR}\nexpect: {decision: deny, reason: closed}", chosen))
    assert result.passed
    assert result.decision.by == ("plugin:night",)


def test_two_evaluators_that_differ_are_a_fault_of_hirules(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = policies()
    runner = Runner(chosen)
    one = case("on: c-find\nsubject: {ae_title: PACS_DR}\nexpect: {decision: allow}", chosen)
    monkeypatch.setattr(runner._index, "decide", lambda asked, now, verdicts: Decision("deny", asked))
    result = runner.run(one)
    assert not result.passed
    assert not result.differences
    assert "the two evaluators differ" in result.internal


def test_each_entity_is_decided() -> None:
    entities = "[{PatientID: P1}, {PatientID: VIP}]"
    moved = "on: c-move\nsubject: {ae_title: PACS_MAIN}\nrequest: {MoveDestination: PACS_DR}"
    result = run(f"{moved}\nresource: {entities}\nexpect: {{decision: allow, notes: []}}")
    assert [(entry.entity, entry.outcome) for entry in result.reasons if entry.rule == "p/vip"] == [(1, "matched")]


def test_a_rule_that_saw_a_sequence_is_told_once() -> None:
    """Items are mappings, which have no hash."""
    rule = "{id: dates, on: release, when: {instance.DeidentificationMethodCodeSequence: {item: {CodeValue: '113106'}}}, deny: {}}"
    of = policies(f"hirules: 1\npolicy: p\nrules:\n  - {rule}\n")
    result = run(
        "on: release\nrequest: {action: c-get}\ninstance: {DeidentificationMethodCodeSequence: [{CodeValue: '113106'}]}\nexpect: {decision: allow}", of
    )
    assert not result.passed
    assert told(result) == ["p/dates matched: instance.DeidentificationMethodCodeSequence"]
