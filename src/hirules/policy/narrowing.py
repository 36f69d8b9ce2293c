"""The few rules that can matter for a request, found by what their conditions ask for.

    Shelf   the rules of one action that look at the request as it came (rewrites), or at the effective one (the others)
    Asked   what conditions of a shelf ask for at one path, and whose they are

A test is decided by the reference evaluator with these rules only: a rule that is left out is known not to match, so that it changes
nothing and is not unknown. This is not the index of :mod:`hirules.policy.index`, on purpose: `hirules test` compares the decisions
that the two lead to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Literal

import msgspec

from hirules.model.actions import NARROWING
from hirules.policy.asked import Asked, asks_of_value_alone, beginnings, exact_values, networks
from hirules.policy.ast import All, Condition, Policy, PolicySet, Rule, Test
from hirules.policy.matching import suspending
from hirules.policy.read import View

Step = Literal["rewrite", "decide"]
STEPS: tuple[Step, Step] = ("rewrite", "decide")

_REMEMBERED = 4096
_EVALUATED = 64
"""A condition that has to be evaluated for each value is worth as much as one that so many rules share."""


class Shelf(msgspec.Struct, frozen=True):
    """The ``rules`` of one action and step, numbers as bits of a whole number: those that ``always`` may matter, and those that need something."""

    rules: tuple[Rule, ...]
    always: int
    asked: tuple[Asked, ...]

    def candidates(self, view: View) -> list[int]:
        """The numbers of the rules that may match, or be unknown, for the request of ``view``; ascending."""
        found = self.always
        for asked in self.asked:
            true, unknown = asked.read(view)
            found |= true | unknown
        return list(bits_of(found))


def bits_of(number: int) -> Iterator[int]:
    """The positions of the bits that are set, ascending."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def shelf_of(rules: Iterable[Rule]) -> Shelf:
    """The shelf of these rules, each at the path where the fewest others ask for the same."""
    ordered = tuple(rules)
    needed = [list(_needed(rule)) for rule in ordered]
    frequency = Counter((test.path.text, key) for tests in needed for test in tests for key in _keys(test))
    always = 0
    by_path: dict[str, Asked] = {}
    for number, tests in enumerate(needed):
        if not tests:
            always |= 1 << number
            continue
        best = min(tests, key=lambda test: (max((frequency[test.path.text, key] for key in _keys(test)), default=_EVALUATED), test.path.text))
        by_path.setdefault(best.path.text, Asked(best.path, best.attribute)).add(best, 1 << number)
    return Shelf(ordered, always, tuple(by_path.values()))


def _keys(test: Test) -> Collection[object]:
    """The values, beginnings or networks that a condition asks for, of which a request has few."""
    exact = exact_values(test)
    if exact is not None:
        return exact[0] if exact[1] else ()
    return beginnings(test) or networks(test) or ()


def _needed(rule: Rule) -> Iterator[Test]:
    """The conditions that a rule needs, of those on what every entity has in common."""
    return (test for test in _conjuncts(rule.when) if test.path.root in ("subject", "request") and asks_of_value_alone(test))


def _conjuncts(condition: Condition | None) -> Iterator[Test]:
    if isinstance(condition, Test):
        yield condition
    elif isinstance(condition, All):
        for one in condition.conditions:
            yield from _conjuncts(one)


class Narrowing:
    """The shelves of a policy set, and the sets of few rules that are made of them. Rules in mode ``off`` are on none."""

    def __init__(self, policies: PolicySet) -> None:
        self._policies = policies
        self._suspending = suspending(policies)
        self._by_id = {policy.id: policy for policy in policies.policies}
        self._by_action: dict[str, list[Rule]] = {}
        for rule in policies.rules:
            if rule.mode != "off":
                for action in rule.on:
                    self._by_action.setdefault(action, []).append(rule)
        self._shelves: dict[tuple[str, Step], Shelf] = {}
        self._allows: dict[str, Rule | None] = {}
        self._sets: dict[tuple[str, ...], PolicySet] = {}

    def shelf(self, action: str, step: Step) -> Shelf:
        """The rules of ``action`` that are looked at in ``step``."""
        key = (action, step)
        if key not in self._shelves:
            self._shelves[key] = shelf_of(rule for rule in self._by_action.get(action, ()) if (rule.kind == "rewrite") == (step == "rewrite"))
        return self._shelves[key]

    def restricted(self, action: str, rules: Iterable[Rule]) -> PolicySet:
        """The set with these rules only, and with one that allows where the law asks whether there is one."""
        chosen = {rule.id: rule for rule in rules}
        if action in NARROWING and (witness := self._allow(action)) is not None:
            chosen.setdefault(witness.id, witness)
        key = tuple(sorted(chosen))
        if key not in self._sets:
            if len(self._sets) >= _REMEMBERED:
                self._sets.clear()
            self._sets[key] = self._made([chosen[name] for name in key])
        return self._sets[key]

    def _made(self, rules: Iterable[Rule]) -> PolicySet:
        by_policy: dict[str, list[Rule]] = {}
        for rule in rules:
            exceptions = self._suspending.get(rule.id, ())
            by_policy.setdefault(rule.id.partition("/")[0], []).append(msgspec.structs.replace(rule, exceptions=exceptions))
        policies = tuple(self._policy(name, tuple(own)) for name, own in by_policy.items())
        return msgspec.structs.replace(self._policies, policies=policies)

    def _policy(self, name: str, rules: tuple[Rule, ...]) -> Policy:
        return msgspec.structs.replace(self._by_id[name], rules=rules, exceptions=())

    def _allow(self, action: str) -> Rule | None:
        if action not in self._allows:
            rules = self._by_action.get(action, ())
            self._allows[action] = next((rule for rule in rules if rule.kind == "allow" and rule.mode == "enforce"), None)
        return self._allows[action]
