from __future__ import annotations

from hirules.policy.entries import Entries, Entry
from tests.policy.deciding import policy_set


def entry(rule: str) -> Entry:
    return Entries(policy_set(rule)).by_action["c-move"][0]


def test_what_the_checks_tell_of_a_rule() -> None:
    for rule, paths, answerable, plain in [
        ("{on: c-move, when: {subject.ae_title: A, request.MoveDestination: {glob: 'B*'}}, allow: {}}", ["request.MoveDestination", "subject.ae_title"], 1, 1),
        ("{on: c-move, when: {subject.ae_title: A, subject.user: {not_in: [x]}}, allow: {}}", ["subject.ae_title"], 0, 0),
        ("{on: c-move, when: {subject.ae_title: A}, unless: {subject.user: x}, allow: {}}", ["subject.ae_title"], 0, 0),
        ("{on: c-move, when: {subject.ae_title: {in: [A, B], not_glob: 'B*'}}, allow: {}}", ["subject.ae_title"], 0, 0),
        ("{on: c-move, when: {any: [{subject.ae_title: A}]}, allow: {}}", [], 0, 0),
        ("{on: c-move, when: {all: [{subject.ae_title: A}]}, deny: {reason: no}}", ["subject.ae_title"], 1, 1),
        ("{on: c-move, when: {subject.ae_title: A}, deny: {reason: 'not {subject.user}'}}", ["subject.ae_title"], 1, 0),
        ("{on: c-move, when: {subject.ae_title: A}, audit: {}}", ["subject.ae_title"], 1, 0),
        ("{on: c-move, when: {subject.ae_title: A}, allow: {}, mode: shadow}", ["subject.ae_title"], 1, 0),
        ("{on: c-move, when: {subject.ae_title: A}, allow: {}, valid: {from: '2026-03-02T10:00:00Z'}}", ["subject.ae_title"], 1, 0),
        ("{on: c-move, when: {resource.PatientID: P}, allow: {}}", ["resource.PatientID"], 1, 0),
        ("{on: c-move, allow: {}}", [], 1, 1),
    ]:
        found = entry(rule)
        assert sorted(found.checks) == paths, rule
        assert (found.answerable, found.plain) == (bool(answerable), bool(plain)), rule


def test_rules_are_by_action_and_those_that_are_off_nowhere() -> None:
    entries = Entries(policy_set("{on: [c-move, c-get], allow: {}}", "{on: c-move, deny: {}}", "{on: c-find, allow: {}, mode: off}"))
    assert {action: len(of) for action, of in entries.by_action.items() if of} == {"c-move": 2, "c-get": 1}
    assert {action: rule.id for action, rule in entries.allows.items()} == {"c-move": "p/r0", "c-get": "p/r0"}
