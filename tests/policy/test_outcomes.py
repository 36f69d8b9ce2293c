"""A decision that is made of matching rules is the one that the reference evaluator makes where they match."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from hirules.model.request import Request
from hirules.policy.ast import PolicySet
from hirules.policy.evaluate import evaluate
from hirules.policy.outcomes import NOBODYS, Outcomes, is_own
from tests.policy.deciding import NOW, policy_set

RULES = (
    "{on: [c-move, c-find], allow: {}}",
    "{on: [c-move, c-find], allow: {}, severity: high}",
    "{on: [c-move, c-find], deny: {reason: 'never'}}",
    '{on: [c-move, c-find], severity: high, deny: {reason: "no\\nnever", offending: [subject.ae_title]}}',
    "{on: [c-find, c-move], deny: {respond: no-match}}",
    "{on: [c-move, c-find], audit: {note: seen, severity: medium}}",
    "{on: [c-move, c-find], audit: {}, mode: shadow}",
    "{on: [c-move, c-find], deny: {}, mode: shadow}",
)


def outcomes(policies: PolicySet, action: str) -> Outcomes:
    return Outcomes(policies, policies.vocabulary.actions[action], has_allow=any(rule.kind == "allow" and rule.mode == "enforce" for rule in policies.rules))


@pytest.mark.parametrize("combining", ["deny-unless-permit", "permit-unless-deny"])
@pytest.mark.parametrize("action", ["c-move", "c-find"])
def test_every_combination_of_rules(combining: str, action: str) -> None:
    for number in range(1, 4):
        for chosen in itertools.combinations(RULES, number):
            policies = policy_set(*chosen, combining=combining)
            expected = msgspec.structs.replace(evaluate(policies, Request(action), NOW), effective=NOBODYS)
            made = outcomes(policies, action)
            assert made.of(policies.rules) == expected
            assert made.of(policies.rules) is made.of(policies.rules)
            assert made.decide(policies.rules[::-1]) == expected


@pytest.mark.parametrize("action", ["associate", "release"])
def test_an_action_that_narrows_is_permitted_where_no_rule_allows_it_at_all(action: str) -> None:
    none, one = policy_set("{on: c-move, allow: {}}"), policy_set(f"{{on: {action}, when: {{subject.ae_title: A}}, allow: {{}}}}")
    assert Outcomes(none, none.vocabulary.actions[action], has_allow=False).of(()).allowed
    assert not Outcomes(one, one.vocabulary.actions[action], has_allow=True).of(()).allowed


def test_which_rules_make_decisions_of_one_request() -> None:
    def own(rule: str) -> bool:
        return is_own(policy_set(rule).rules[0])

    assert not own("{on: c-move, deny: {reason: no}}")
    assert not own("{on: c-move, allow: {}}")
    assert not own("{on: c-move, audit: {note: n}}")
    assert own("{on: c-move, deny: {reason: 'not {subject.ae_title}'}}")
    assert own("{on: c-move, audit: {sample: 50%}}")
    assert own("{on: c-move, audit: {include: [subject.user]}}")
