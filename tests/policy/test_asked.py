"""What conditions ask of one value: all of them at once say what each says alone."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hirules.policy import ast
from hirules.policy.asked import Asked, asks_of_value_alone, beginnings, exact_values
from hirules.policy.conditions import holds
from hirules.policy.entities import WITHOUT_RESOURCE
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from tests.policy.deciding import NOW, ZONE, policy_set, request

TITLES = [
    "A", "[A, B]", "{in: $clinical}", "{not_in: [A]}", "{not_equals: B}", "{glob: 'Res_*'}", "{glob: ['A?', '*B']}", "{starts_with: [RES, pacs]}",
    "{ends_with: _1}", "{regex: '[A-C]'}", "{not_glob: 'A*'}", "{exists: true}", "{exists: false}", "{glob: 'A*', not_equals: AB}",
]  # fmt: skip
KEYS = ["{contains: PatientID}", "{contains_any: [PatientID, StudyDate]}", "{subset_of: [PatientID]}", "{every: {in: [PatientID]}}", "{count: {gte: 2}}"]


def conditions_on(path: str, matchers: list[str]) -> list[ast.Test]:
    rules = [f"{{on: c-find, when: {{{path}: {matcher}}}, deny: {{}}}}" for matcher in matchers]
    found = [rule.when for rule in policy_set(*rules).rules]
    assert all(isinstance(one, ast.Test) for one in found)
    return sorted((one for one in found if isinstance(one, ast.Test)), key=lambda one: (one.position.line, one.position.column))


def view(**parts: Any) -> View:
    asked = request("c-find", **parts)
    return View(asked, asked, WITHOUT_RESOURCE, NOW, ZoneInfo(ZONE))


@pytest.mark.parametrize("title", ["A", "b", "AB", " res_1", "PACS_MAIN", "pacs_dr", "", None, "?", ["A", "B"], "RES_\ud800", "C"])
def test_conditions_on_a_single_value(title: object) -> None:
    check(conditions_on("subject.ae_title", TITLES), view(subject={"ae_title": title}))


NETWORKS = [
    "{cidr: 10.0.0.0/8}",
    "{cidr: [10.1.2.0/24, fd00::/8]}",
    "{not_cidr: 10.1.0.0/16}",
    "10.1.2.3",
    "{cidr: '::ffff:10.1.0.0/112'}",
    "{cidr: 0.0.0.0/0}",
]


@pytest.mark.parametrize("address", ["10.1.2.3", "10.2.0.1", "::ffff:10.1.9.9", "fd00::1", "2001:db8::1", None, "nonsense"])
def test_conditions_on_an_address(address: object) -> None:
    check(conditions_on("subject.address", NETWORKS), view(subject={"address": address}))


@pytest.mark.parametrize("keys", [["PatientID"], ["StudyDate", "PatientID"], [], None, ["PatientID", "?"], ["PatientName"]])
def test_conditions_on_many_values(keys: object) -> None:
    check(conditions_on("request.keys", KEYS), view(request={"keys": keys}))


def check(tests: list[ast.Test], seen: View) -> None:
    asked = Asked(tests[0].path, tests[0].attribute)
    for number, test in enumerate(tests):
        assert asks_of_value_alone(test)
        asked.add(test, 1 << number)
    alone = [holds(test, seen, OPERATORS).truth for test in tests]
    for _ in range(2):  # the second time from memory
        true, unknown = asked.read(seen)
        assert [None if unknown >> number & 1 else bool(true >> number & 1) for number in range(len(tests))] == alone


@pytest.mark.parametrize(
    ("path", "matcher"),
    [
        ("subject.ae_title", "{equals: {path: subject.called_ae_title}}"),
        ("request.Identifier.StudyDate", "{lt: {today: -1d}}"),
        ("request.Identifier.StudyDate", "{older_than: 90d}"),
        ("request.Identifier.StudyDate", "{range_wider_than: 31d}"),
        ("request.Identifier.PatientID", "{universal: true}"),
        ("request.Identifier.ScheduledProcedureStepSequence", "{item: {Modality: CT}}"),
        ("request.keys", "{every: {equals: {path: subject.user}}}"),
    ],
)
def test_conditions_that_ask_for_more_than_the_value(path: str, matcher: str) -> None:
    (test,) = conditions_on(path, [matcher])
    assert not asks_of_value_alone(test)


def test_what_is_asked_for() -> None:
    exact = [exact_values(test) for test in conditions_on("subject.ae_title", TITLES[:5])]
    assert exact == [
        (frozenset({"A"}), True), (frozenset({"A", "B"}), True), (frozenset({"PACS_MAIN", "PACS_DR"}), True), (frozenset({"A"}), False),
        (frozenset({"B"}), False),
    ]  # fmt: skip
    begins = [beginnings(test) for test in conditions_on("subject.ae_title", TITLES[5:])]
    assert begins[:3] == [frozenset({"RES_"}), None, frozenset({"RES", "PACS"})]
    assert begins[-1] == frozenset({"A"})
