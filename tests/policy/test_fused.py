from __future__ import annotations

from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest

from hirules.model.reading import ByKeyword, Unknown
from hirules.model.request import Request
from hirules.policy.columns import ANY
from hirules.policy.evaluate import evaluate
from hirules.policy.fused import follows_from, fused, fused_rule
from hirules.policy.index import Index
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from hirules.policy.sources import REQUEST, SUBJECT, Source
from tests.policy.deciding import NOW, policy_set

ASKED = Request("c-move", {"ae_title": "A", "user": "x"}, id="1")
VIEW = View(ASKED, ASKED, ANY, NOW, ZoneInfo("Europe/Berlin"))


def test_a_closure_tells_the_truth_in_three_values() -> None:
    for when, truth in [
        ("{subject.ae_title: A}", True),
        ("{subject.ae_title: B}", False),
        ("{not: {subject.ae_title: B}}", True),
        ("{any: [{subject.ae_title: B}, {subject.user: x}]}", True),
        ("{subject.ae_title: A, resource.PatientID: P}", None),
        ("{subject.ae_title: B, resource.PatientID: P}", False),
        ("{any: [{subject.ae_title: A}, {resource.PatientID: P}]}", True),
        ("{not: {resource.PatientID: P}}", None),
        ("{context.now: {time_between: ['09:00', '11:00']}}", True),
    ]:
        (rule,) = policy_set(f"{{on: c-move, when: {when}, deny: {{}}}}").rules
        assert rule.when is not None
        closure = fused(rule.when, OPERATORS)
        for _ in range(2):
            assert closure(ASKED, VIEW) is truth, when


def test_a_rule_holds_where_its_when_does_and_its_unless_does_not() -> None:
    for parts, truth in [("", True), ("unless: {subject.user: x}, ", False), ("when: {subject.user: x}, unless: {subject.ae_title: B}, ", True)]:
        (rule,) = policy_set(f"{{on: c-move, {parts}deny: {{}}}}").rules
        assert fused_rule(rule, OPERATORS)(ASKED, VIEW) is truth


def test_what_follows_from_some_sources() -> None:
    sources = (Source(SUBJECT, "ae_title"), Source(REQUEST, "MoveDestination"))
    for parts, follows in [
        ("when: {subject.ae_title: {not_in: [A, B], exists: true}}", True),
        ("unless: {any: [{request.MoveDestination: {regex: A.*}}, {not: {subject.ae_title: {in: $clinical}}}]}", True),
        ("when: {subject.user: x}", False),
        ("when: {subject.ae_title: {equals: {path: subject.called_ae_title}}}", False),
        ("when: {context.now: {weekday: mon}}", False),
        ("when: {original.request.MoveDestination: A}", False),
    ]:
        (rule,) = policy_set(f"{{on: c-move, {parts}, deny: {{}}}}").rules
        assert follows_from(rule, sources) is follows, parts


@pytest.mark.parametrize(
    "matcher",
    [
        "P1",
        "{not_in: [P1, P2]}",
        "{exists: true}",
        "{exists: false}",
        "{glob: 'P*'}",
        "{not: {equals: P1}}",
        "{equals: {path: subject.ae_title}}",
        "{count: 2}",
    ],
)
def test_an_element_that_was_read_before_is_decided_as_if_it_was_not(matcher: str) -> None:
    when = f"{{instance.PatientID: {matcher}}}" if "not: " not in matcher else "{not: {instance.PatientID: P1}}"
    policies = policy_set(f"{{on: release, when: {when}, deny: {{}}}}", "{on: release, when: {instance.Modality: {in: [CT, P2]}}, deny: {}}")
    index = Index(policies)
    values: list[object] = ["P1", "P2", "P1", "", "p1", ["P1", "P2"], "P1 ", None, Unknown("it was lost"), "Q\\P1"]
    for value in [*values, *values]:
        for instance in (Elements({"PatientID": value}), {"PatientID": value}):
            request = Request("release", {"ae_title": "P1"}, {"action": "c-get"}, instance=instance, id="1")
            assert index.decide(request, NOW) == evaluate(policies, request, NOW), value


class Elements(ByKeyword):
    """A data set from the wire: under its keyword only."""

    def __init__(self, fields: dict[str, object]) -> None:
        self._fields = {name: value for name, value in fields.items() if value is not None}

    def __getitem__(self, key: str) -> object:
        return self._fields[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)
