from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hirules.model.request import Request
from hirules.policy.ast import PolicySet
from hirules.policy.columns import ANY
from hirules.policy.entries import Entries
from hirules.policy.evaluate import evaluate
from hirules.policy.leaves import Asking, Member, restricted
from hirules.policy.operators import OPERATORS
from hirules.policy.outcomes import NOBODYS, Outcomes
from hirules.policy.read import View
from tests.policy.deciding import NOW, policy_set

REQUEST = Request("c-move", {"ae_title": "A", "user": "x"}, id="1")
EXCEPTION: Mapping[str, Any] = {
    "id": "e", "of": ["r0"], "when": {"subject.user": "x"}, "reason": "t", "approved_by": "o", "expires": "2027-01-01T00:00:00Z",
}  # fmt: skip


def leaf_of(policies: PolicySet, certain: int = 0) -> Asking:
    """A leaf of all rules, of which the first ones are known to match."""
    members = [Member(entry, (), OPERATORS) for entry in Entries(policies).by_action["c-move"]]
    return Asking(members[:certain], members[certain:], Outcomes(policies, policies.vocabulary.actions["c-move"], True))


def decided(leaf: Asking, request: Request, now: Any = NOW) -> Any:
    from zoneinfo import ZoneInfo

    return leaf.decision(request, View(request, request, ANY, now, ZoneInfo("UTC")))


def test_requests_with_the_same_truths_share_a_decision() -> None:
    policies = policy_set("{on: c-move, allow: {}}", "{on: c-move, unless: {subject.user: x}, deny: {reason: no}}")
    leaf = leaf_of(policies, 1)
    other = Request("c-move", {"ae_title": "A", "user": "y"}, id="2")
    decisions = [decided(leaf, request) for request in (REQUEST, other, REQUEST, other)]
    assert [decision.by for decision in decisions[:2]] == [("p/r0",), ("p/r1",)]
    assert decisions[0] is decisions[2]
    assert decisions[1] is decisions[3]
    assert decisions[1].effective is NOBODYS
    assert leaf.settled is None


def test_a_rule_counts_while_it_is_valid() -> None:
    leaf = leaf_of(policy_set("{on: c-move, allow: {}, valid: {until: '2026-03-02T10:00:00+01:00'}}"), 1)
    assert not decided(leaf, REQUEST).allowed
    assert decided(leaf, REQUEST, NOW - timedelta(seconds=1)).allowed
    assert not leaf.follows


def test_what_is_unknown_is_not_shared() -> None:
    leaf = leaf_of(policy_set("{on: c-move, when: {subject.user: {regex: 'x.*'}, subject.ae_title: A}, deny: {}}"))
    assert decided(leaf, Request("c-move", {"ae_title": "A", "user": "\ud800"})) is None
    assert decided(leaf, Request("c-move", {"ae_title": "B", "user": "\ud800"})) is not None


def test_what_quotes_or_samples_a_request_is_not_shared() -> None:
    for rule in (
        "{on: c-move, deny: {reason: 'not {subject.ae_title}'}}",
        "{on: c-move, audit: {sample: 50%}}",
        "{on: c-move, audit: {include: [subject.user]}}",
    ):
        assert decided(leaf_of(policy_set(rule), 1), REQUEST) is None
        assert decided(leaf_of(policy_set(rule.replace("{on: c-move", "{on: c-move, when: {subject.user: y}"))), REQUEST) is not None


def test_what_looks_further_is_left_to_the_reference() -> None:
    assert leaf_of(policy_set("{on: c-move, when: {subject.user: x}, deny: {}}")).shared
    assert not leaf_of(policy_set("{on: c-move, when: {resource.PatientID: x}, deny: {}}")).shared
    assert not leaf_of(policy_set("{on: c-move, when: {subject.user: x}, rewrite: [{set: {request.Priority: 1}}]}")).shared
    assert not leaf_of(policy_set("{on: c-move, deny: {}}", exceptions=[EXCEPTION])).shared


def test_what_an_exception_reads_of_the_resource_counts() -> None:
    exception = {**EXCEPTION, "when": {"resource.PatientID": "P"}}
    assert leaf_of(policy_set("{on: c-move, deny: {}}", exceptions=[exception])).reads_resource


def test_a_restricted_set_has_its_rules_and_what_belongs_to_them() -> None:
    policies = policy_set("{on: c-move, deny: {}}", "{on: c-move, allow: {}}")
    chosen = restricted(policies, {policy.id: policy for policy in policies.policies}, policies.rules[:1])
    assert [rule.id for rule in chosen.rules] == ["p/r0"]
    assert chosen.digest == policies.digest
    assert evaluate(chosen, REQUEST, NOW).by == ("p/r0",)
