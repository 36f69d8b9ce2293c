from __future__ import annotations

from zoneinfo import ZoneInfo

from hirules.model.request import Request
from hirules.policy.columns import ANY
from hirules.policy.fused import follows_from, fused, fused_rule
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
