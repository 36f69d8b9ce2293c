from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hirules.model.request import Request
from hirules.policy.evaluate import evaluate
from hirules.policy.leaves import Leaf, fused, restricted
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from hirules.policy.trees import ANY, Forest
from tests.policy.deciding import NOW, policy_set

REQUEST = Request("c-move", {"ae_title": "A", "user": "x"}, id="1")


def view(request: Request, forest: Forest) -> View:
    return View(request, request, ANY, NOW, forest.zone)


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
        policies = policy_set(f"{{on: c-move, when: {when}, deny: {{}}}}")
        (rule,) = policies.rules
        assert rule.when is not None
        closure = fused(rule.when, OPERATORS)
        for _ in range(2):
            assert closure(REQUEST, view(REQUEST, Forest(policies, OPERATORS))) is truth, when


def test_the_reference_is_asked_once_for_each_combination_of_truths() -> None:
    policies = policy_set("{on: c-move, unless: {subject.user: x}, deny: {reason: no}}", "{on: c-move, allow: {}}")
    forest = Forest(policies, OPERATORS)
    leaf = Leaf(policies.rules, frozenset({"p/r1"}), True, OPERATORS)
    asked = []

    def decide(request: Request) -> object:
        def reference() -> object:
            asked.append(request)
            return evaluate(policies, request, NOW)

        return leaf.decision(request, view(request, forest), reference)  # type: ignore[arg-type]

    other = Request("c-move", {"ae_title": "A", "user": "y"}, id="2")
    decisions = [decide(request) for request in (REQUEST, other, REQUEST, other)]
    assert asked == [REQUEST, other]
    assert decisions[0] == msgspec.structs.replace(evaluate(policies, REQUEST, NOW), effective=Request(""))
    assert decisions[1] is decisions[3]
    assert leaf.settled is None


def test_what_quotes_or_samples_a_request_is_not_shared() -> None:
    for rule in (
        "{on: c-move, deny: {reason: 'not {subject.ae_title}'}}",
        "{on: c-move, audit: {sample: 50%}}",
        "{on: c-move, audit: {include: [subject.user]}}",
    ):
        policies = policy_set(rule)
        leaf = Leaf(policies.rules, frozenset({"p/r0"}), True, OPERATORS)
        request = REQUEST
        assert leaf.decision(request, view(request, Forest(policies, OPERATORS)), lambda found=policies: evaluate(found, REQUEST, NOW)) is None  # type: ignore[misc]


def test_what_looks_further_is_left_to_the_reference() -> None:
    def shared(*rules: str, exceptions: list[Mapping[str, Any]] | None = None) -> bool:
        return Leaf(policy_set(*rules, exceptions=exceptions).rules, frozenset(), True, OPERATORS).shared

    assert shared("{on: c-move, when: {subject.user: x}, deny: {}}")
    assert not shared("{on: c-move, when: {resource.PatientID: x}, deny: {}}")
    assert not shared("{on: c-move, when: {subject.user: x}, rewrite: [{set: {request.Priority: 1}}]}")
    exception: Mapping[str, Any] = {
        "id": "e",
        "of": ["r0"],
        "when": {"subject.user": "x"},
        "reason": "t",
        "approved_by": "o",
        "expires": "2027-01-01T00:00:00Z",
    }
    assert not shared("{on: c-move, deny: {}}", exceptions=[exception])


def test_a_restricted_set_has_its_rules_and_what_belongs_to_them() -> None:
    policies = policy_set("{on: c-move, deny: {}}", "{on: c-move, allow: {}}")
    chosen = restricted(policies, {policy.id: policy for policy in policies.policies}, policies.rules[:1])
    assert [rule.id for rule in chosen.rules] == ["p/r0"]
    assert chosen.digest == policies.digest
