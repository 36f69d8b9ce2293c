"""The few rules that can matter for a request, found by the values and beginnings that their conditions ask for.

    Shelf   the rules of one action that look at the request as it came (rewrites), or at the effective one (the others)
    Choice  the values that conditions of a shelf ask for at one path, and whose they are

A test is decided by the reference evaluator with these rules only: a rule that is left out is known not to match, so that it changes
nothing and is not unknown. This is not the index of :mod:`hirules.policy.index`, on purpose: `hirules test` compares the decisions
that the two lead to.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
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
STEPS: tuple[Step, Step] = ("rewrite", "decide")

_TYPES = TEXTUAL | {Type.INTEGER, Type.ADDRESS}
"""Their canonical scalars are equal exactly where they are the same dictionary key."""
_POSITIVE = frozenset({"equals", "in"})
_NEGATIVE = frozenset({"not_equals", "not_in"})
_WILDCARD = re.compile("[*?]")
_SURROGATE = re.compile("[\ud800-\udfff]")
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


def beginnings(test: Test) -> frozenset[str] | None:
    """Texts with one of which a value must begin to satisfy ``test``; ``None`` where it asks for something else, or for any beginning."""
    if test.attribute.type not in TEXTUAL:
        return None
    for check in test.checks:
        if check.operator in ("glob", "starts_with") and isinstance(check.argument, Operands):
            # AE titles are canonical in upper case; the pattern follows them
            fold = str.upper if test.attribute.type is Type.AE_TITLE else str
            texts = [fold(text) for text in _constants(check.argument)]
            if check.operator == "glob":
                texts = [_WILDCARD.split(text, maxsplit=1)[0] for text in texts]
            if all(texts):
                return frozenset(texts)
    return None


def _constants(argument: Operands) -> Iterator[str]:
    for operand in argument.operands:
        if isinstance(operand, Value):
            yield str(operand.value)
        elif isinstance(operand, ListOperand):
            yield from map(str, operand.values)


class Asked(msgspec.Struct, frozen=True):
    """What is asked for at one path: exact values, or beginnings of texts, each with the numbers of who asks."""

    path: Path
    attribute: Attribute
    by_value: dict[Scalar, int] = msgspec.field(default_factory=dict)
    by_beginning: dict[str, int] = msgspec.field(default_factory=dict)
    lengths: set[int] = msgspec.field(default_factory=set)

    def add(self, values: Iterable[Scalar], texts: Iterable[str], bits: int) -> None:
        """``bits`` ask for one of these."""
        for value in values:
            self.by_value[value] = self.by_value.get(value, 0) | bits
        for text in texts:
            self.by_beginning[text] = self.by_beginning.get(text, 0) | bits
            self.lengths.add(len(text))

    def read(self, view: View) -> tuple[int, int] | None:
        """Who asks for a value that is there, and who for a beginning; ``None`` where that is not known by values alone."""
        seen = read(self.path, self.attribute, view)
        if seen.unknown is not None or seen.everything:
            return None
        exact = possible = 0
        for value in seen.values:
            exact |= self.by_value.get(value, 0)  # type: ignore[call-overload]
            if self.lengths:
                text = str(value)
                if not text.isascii() and _SURROGATE.search(text):
                    return None  # RE2 has no such text: unknown
                for length in self.lengths:
                    possible |= self.by_beginning.get(text[:length], 0)
        return exact, possible


class Shelf(msgspec.Struct, frozen=True):
    """The ``rules`` of one action and step, numbers as bits of a whole number: those that ``always`` may matter, and those that need something."""

    rules: tuple[Rule, ...]
    always: int
    asked: tuple[tuple[Asked, int], ...]

    def candidates(self, view: View) -> list[int]:
        """The numbers of the rules that may match, or be unknown, for the request of ``view``; ascending."""
        found = self.always
        for asked, everyone in self.asked:
            seen = asked.read(view)
            found |= everyone if seen is None else seen[0] | seen[1]
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
    frequency = Counter((one.test.path.text, key) for needs in needed for one in needs for key in one.keys)
    always = 0
    by_path: dict[str, tuple[Asked, int]] = {}
    for number, needs in enumerate(needed):
        if not needs:
            always |= 1 << number
            continue
        best = min(needs, key=lambda one: (max((frequency[one.test.path.text, key] for key in one.keys), default=0), len(one.keys), one.test.path.text))
        asked, everyone = by_path.get(best.test.path.text) or (Asked(best.test.path, best.test.attribute), 0)
        asked.add(best.values, best.texts, 1 << number)
        by_path[best.test.path.text] = (asked, everyone | 1 << number)
    return Shelf(ordered, always, tuple(by_path.values()))


class _Need(msgspec.Struct, frozen=True):
    """A condition without which a rule does not match, and what it asks for."""

    test: Test
    values: frozenset[Scalar] = frozenset()
    texts: frozenset[str] = frozenset()

    @property
    def keys(self) -> frozenset[Scalar]:
        return self.values or self.texts


def _needed(rule: Rule) -> Iterator[_Need]:
    """The conditions of what every entity has in common that a rule needs."""
    for test in _conjuncts(rule.when):
        if test.path.root in ("subject", "request"):
            exact = exact_values(test)
            if exact is not None:
                if exact[1]:
                    yield _Need(test, values=exact[0])
            elif (texts := beginnings(test)) is not None:
                yield _Need(test, texts=texts)


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
