"""The few rules that can matter for a request, found by the exact values that their conditions ask for.

    Shelf   the rules of one action that look at the request as it came (rewrites), or at the effective one (the others)
    Choice  the values that conditions of a shelf ask for at one path, and whose they are

A test is decided by the reference evaluator with these rules only: a rule that is left out is known not to match, so that it changes
nothing and is not unknown. This is not the index of :mod:`hirules.policy.index`, on purpose: `hirules test` compares the decisions
that the two lead to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from hirules.model.actions import NARROWING
from hirules.model.path import Path
from hirules.model.scalars import TEXTUAL, Scalar, Type
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import All, Condition, ListOperand, Operands, Policy, PolicySet, Rule, Test, Value
from hirules.policy.matching import suspending
from hirules.policy.read import View, read

Step = Literal["rewrite", "decide"]

_TYPES = TEXTUAL | {Type.INTEGER, Type.ADDRESS}
"""Their canonical scalars are equal exactly where they are the same dictionary key."""
_POSITIVE = frozenset({"equals", "in"})
_NEGATIVE = frozenset({"not_equals", "not_in"})
_REMEMBERED = 4096


def exact_values(test: Test) -> tuple[frozenset[Scalar], bool] | None:
    """The values that ``test`` asks for, and whether it asks for one of them or for none; ``None`` where it asks for something else."""
    if len(test.checks) != 1 or test.attribute.type not in _TYPES:
        return None
    (check,) = test.checks
    if check.operator not in _POSITIVE | _NEGATIVE or not isinstance(check.argument, Operands):
        return None
    values: set[Scalar] = set()
    for operand in check.argument.operands:
        if isinstance(operand, Value):
            values.add(operand.value)
        elif isinstance(operand, ListOperand):
            values |= operand.members
        else:
            return None
    return frozenset(values), check.operator in _POSITIVE


class Choice(msgspec.Struct, frozen=True):
    """The rules that need one of some values at ``path``, by these values."""

    path: Path
    attribute: Attribute
    by_value: Mapping[Scalar, tuple[int, ...]]
    everything: tuple[int, ...]
    """All of them, for a value that is not known."""


class Shelf(msgspec.Struct, frozen=True):
    """The ``rules`` of one action and step; those that ``always`` may matter, and those that need a value, by number."""

    rules: tuple[Rule, ...]
    always: tuple[int, ...]
    choices: tuple[Choice, ...]

    def candidates(self, view: View) -> list[int]:
        """The numbers of the rules that may match, or be unknown, for the request of ``view``; ascending."""
        found = set(self.always)
        for choice in self.choices:
            seen = read(choice.path, choice.attribute, view)
            if seen.unknown is not None or seen.everything:
                found.update(choice.everything)
            else:
                for value in seen.values:
                    found.update(choice.by_value.get(value, ()))  # type: ignore[call-overload]
        return sorted(found)


def shelf_of(rules: Iterable[Rule]) -> Shelf:
    """The shelf of these rules, each at the path where the fewest others ask for the same values."""
    ordered = tuple(rules)
    needed = [list(_needed(rule)) for rule in ordered]
    frequency = Counter((test.path.text, value) for tests in needed for test, values in tests for value in values)
    always: list[int] = []
    by_path: dict[str, tuple[Path, Attribute, dict[Scalar, list[int]], list[int]]] = {}
    for number, tests in enumerate(needed):
        if not tests:
            always.append(number)
            continue
        test, values = min(tests, key=lambda one: (max((frequency[one[0].path.text, value] for value in one[1]), default=0), len(one[1]), one[0].path.text))
        _, _, by_value, everything = by_path.setdefault(test.path.text, (test.path, test.attribute, {}, []))
        everything.append(number)
        for value in values:
            by_value.setdefault(value, []).append(number)
    choices = tuple(
        Choice(path, attribute, {value: tuple(numbers) for value, numbers in by_value.items()}, tuple(everything))
        for path, attribute, by_value, everything in by_path.values()
    )
    return Shelf(ordered, tuple(always), choices)


def _needed(rule: Rule) -> Iterator[tuple[Test, frozenset[Scalar]]]:
    """The tests without which the rule does not match, of what every entity has in common."""
    for test in _conjuncts(rule.when):
        exact = exact_values(test) if test.path.root in ("subject", "request") else None
        if exact is not None and exact[1]:
            yield test, exact[0]


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
