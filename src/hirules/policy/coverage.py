"""Coverage: what of a policy set the tests have seen (LANGUAGE: Tests).

    rule        matched; not matched, where it has a condition
    condition   each `path: matcher`, also within `all`, `any`, `not`, `item`: seen true, seen false
    exception   as a rule; it is looked at only where its rule would match

Unknown is neither. Each of these is one point. Rules in mode ``shadow`` count, since they are evaluated; those that are ``off`` are left
out. A rule is seen by a test of one of its actions at a time when it is valid.

The points are bits of whole numbers: what exact values tell of thousands of conditions is then a few operations a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from hirules.policy.asked import Asked, asks_of_value_alone
from hirules.policy.ast import All, Any, Argument, Condition, ExceptionRule, Items, Nested, Not, PolicySet, Position, Rule, Test
from hirules.policy.conditions import Part, holds
from hirules.policy.narrowing import Narrowing, Shelf, Step
from hirules.policy.operators import Operator
from hirules.policy.read import View
from hirules.policy.trace import TestTrace, Trace, operators_of

Seen = Literal["matched", "not matched", "true", "false"]


class ConditionCoverage(msgspec.Struct, frozen=True):
    """One condition of a rule or of an exception, and whether it was seen true and false."""

    path: str
    operators: tuple[str, ...]
    part: Part
    position: Position
    true: bool
    false: bool


class OwnerCoverage(msgspec.Struct, frozen=True):
    """One rule, or one exception (``kind``); ``unmatched`` is ``None`` where it has no condition and always matches."""

    id: str
    kind: str
    mode: str
    position: Position
    matched: bool
    unmatched: bool | None
    conditions: tuple[ConditionCoverage, ...]

    def points(self) -> Iterator[tuple[Seen, ConditionCoverage | None, bool]]:
        """Each point: what is to be seen, of which condition, and whether it was."""
        yield "matched", None, self.matched
        if self.unmatched is not None:
            yield "not matched", None, self.unmatched
        for one in self.conditions:
            yield "true", one, one.true
            yield "false", one, one.false


class CoverageReport(msgspec.Struct, frozen=True):
    """All rules and exceptions in the order of the files, and the ids of the rules that are off."""

    owners: tuple[OwnerCoverage, ...]
    off: tuple[str, ...]

    @property
    def total(self) -> int:
        """The number of points."""
        return sum(1 for owner in self.owners for _ in owner.points())

    @property
    def covered(self) -> int:
        """The points that were seen."""
        return sum(seen for owner in self.owners for _, _, seen in owner.points())


class _Owner(msgspec.Struct, frozen=True):
    id: str
    kind: str
    mode: str
    position: Position
    conditional: bool
    tests: tuple[tuple[Test, Part], ...]


class _Loose(msgspec.Struct, frozen=True):
    """A condition that has to be evaluated each time; ``bits`` are its own and those of the conditions within it."""

    rule: Rule
    test: Test
    part: Part
    bits: int


class _Plan(msgspec.Struct, frozen=True):
    """What is to be seen of one shelf: conditions by their bits, rules by theirs."""

    shelf: Shelf
    asked: tuple[Asked, ...]
    loose: tuple[_Loose, ...]
    rules: int
    timed: tuple[tuple[Rule, int, int], ...]
    """Rules that are valid for a time, with the bit of the rule and those of its conditions."""


class Coverage:
    """Counts what tests see of ``policies``."""

    def __init__(self, policies: PolicySet, narrowing: Narrowing, operators: Mapping[str, Operator]) -> None:
        self._policies = policies
        self._narrowing = narrowing
        self._operators = operators
        self._owners = tuple(_owners(policies))
        self._owner_bits = {owner.id: 1 << number for number, owner in enumerate(self._owners)}
        self._bits: dict[tuple[str, Position], int] = {}
        for owner in self._owners:
            for test, _ in owner.tests:
                self._bits.setdefault((owner.id, test.position), 1 << len(self._bits))
        self._plans: dict[tuple[str, Step], _Plan] = {}
        self._matched = self._unmatched = self._true = self._false = 0

    def observe(self, trace: Trace) -> None:
        """What an evaluation saw."""
        for entry in trace.rules:
            bit = self._owner_bits.get(entry.rule, 0)
            if entry.outcome == "matched":
                self._matched |= bit
            elif entry.outcome == "not matched":
                self._unmatched |= bit
            if entry.outcome != "not considered":
                self._tests(entry.rule, entry.tests)

    def _tests(self, owner: str, tests: Iterable[TestTrace]) -> None:
        for test in tests:
            if test.truth is not None:
                bit = self._bits[owner, test.position]
                if test.truth:
                    self._true |= bit
                else:
                    self._false |= bit

    def observe_others(self, action: str, step: Step, views: Sequence[View], candidates: Iterable[int]) -> None:
        """What the rules of a shelf that no evaluation looked at would have seen: those that are no candidates do not match."""
        plan = self._plan(action, step)
        looked_at = {plan.shelf.rules[number].id for number in candidates}
        now = views[0].now
        expired = [(bit, bits) for rule, bit, bits in plan.timed if not _is_valid(rule, now)]
        rules, conditions = plan.rules, -1
        for bit, bits in expired:
            rules &= ~bit
            conditions &= ~bits
        for name in looked_at:
            rules &= ~self._owner_bits[name]
        self._unmatched |= rules
        for asked in plan.asked:
            for view in views if asked.path.root == "resource" else views[:1]:
                true, unknown = asked.read(view)
                self._true |= true & conditions
                self._false |= asked.all & ~(true | unknown) & conditions
        self._evaluate(plan, (action, step), views, looked_at)

    def _evaluate(self, plan: _Plan, key: tuple[str, Step], views: Sequence[View], looked_at: set[str]) -> None:
        """The conditions that have not been seen both true and false."""
        left: list[_Loose] = []
        for one in plan.loose:
            if not one.bits & ~(self._true & self._false):
                continue
            left.append(one)
            if one.rule.id not in looked_at and _is_valid(one.rule, views[0].now):
                for view in views:
                    tests: list[TestTrace] = []
                    holds(one.test, view, self._operators, tests, one.part)
                    self._tests(one.rule.id, tests)
        if len(left) < len(plan.loose):
            self._plans[key] = msgspec.structs.replace(plan, loose=tuple(left))

    def _plan(self, action: str, step: Step) -> _Plan:
        key = (action, step)
        if key not in self._plans:
            self._plans[key] = self._planned(self._narrowing.shelf(action, step))
        return self._plans[key]

    def _planned(self, shelf: Shelf) -> _Plan:
        loose: list[_Loose] = []
        timed: list[tuple[Rule, int, int]] = []
        by_path: dict[str, Asked] = {}
        rules = 0
        for rule in shelf.rules:
            bit, bits = self._owner_bits[rule.id], 0
            if rule.when is not None or rule.unless is not None:
                rules |= bit
            for test, part, within in self._outer_tests(rule):
                bits |= within
                if asks_of_value_alone(test):
                    by_path.setdefault(test.path.text, Asked(test.path, test.attribute)).add(test, within)
                else:
                    loose.append(_Loose(rule, test, part, within))
            if rule.valid.start is not None or rule.valid.end is not None:
                timed.append((rule, bit, bits))
        return _Plan(shelf, tuple(by_path.values()), tuple(loose), rules, tuple(timed))

    def _outer_tests(self, rule: Rule) -> Iterator[tuple[Test, Part, int]]:
        """The conditions of a rule but those within others, each with the bits of its own and of those within it."""
        for part, condition in (("when", rule.when), ("unless", rule.unless)):
            for test in _outer(condition):
                bits = 0
                for one in _with_inner(test):
                    bits |= self._bits[rule.id, one.position]
                yield test, part, bits  # type: ignore[misc]

    def report(self) -> CoverageReport:
        """What was seen until now."""
        owners = tuple(self._covered(number, owner) for number, owner in enumerate(self._owners))
        off = tuple(rule.id for rule in self._policies.rules if rule.mode == "off")
        return CoverageReport(tuple(sorted(owners, key=lambda one: (one.position.file, one.position.line, one.position.column))), off)

    def _covered(self, number: int, owner: _Owner) -> OwnerCoverage:
        bit = 1 << number
        conditions: dict[Position, ConditionCoverage] = {}
        for test, part in owner.tests:
            own = self._bits[owner.id, test.position]
            conditions[test.position] = ConditionCoverage(
                test.path.text, operators_of(test.checks), part, test.position, bool(self._true & own), bool(self._false & own)
            )
        unmatched = bool(self._unmatched & bit) if owner.conditional else None
        return OwnerCoverage(owner.id, owner.kind, owner.mode, owner.position, bool(self._matched & bit), unmatched, tuple(conditions.values()))


def _is_valid(rule: Rule, now: object) -> bool:
    valid = rule.valid
    return (valid.start is None or valid.start <= now) and (valid.end is None or now < valid.end)  # type: ignore[operator]


def _owners(policies: PolicySet) -> Iterator[_Owner]:
    exceptions: dict[str, ExceptionRule] = {}
    on = {rule.id for rule in policies.rules if rule.mode != "off"}
    for rule in policies.rules:
        exceptions.update((one.id, one) for one in rule.exceptions)
        if rule.mode != "off":
            tests = (*_tests_of(rule.when, "when"), *_tests_of(rule.unless, "unless"))
            yield _Owner(rule.id, rule.kind, rule.mode, rule.position, rule.when is not None or rule.unless is not None, tests)
    for policy in policies.policies:
        exceptions.update((one.id, one) for one in policy.exceptions)
    for one in exceptions.values():
        if not on.isdisjoint(one.of):
            yield _Owner(one.id, "exception", "enforce", one.position, one.when is not None, tuple(_tests_of(one.when, "when")))


def _tests_of(condition: Condition | None, part: Part) -> Iterator[tuple[Test, Part]]:
    for test in _outer(condition):
        for one in _with_inner(test):
            yield one, part if one is test else "item"


def _outer(condition: Condition | None) -> Iterator[Test]:
    match condition:
        case All(inner) | Any(inner):
            for one in inner:
                yield from _outer(one)
        case Not(one):
            yield from _outer(one)
        case Test():
            yield condition
        case None:
            pass


def _with_inner(test: Test) -> Iterator[Test]:
    yield test
    for check in test.checks:
        yield from _inner(check.argument)


def _inner(argument: Argument) -> Iterator[Test]:
    match argument:
        case Items(condition):
            for test in _outer(condition):
                yield from _with_inner(test)
        case Nested(checks):
            for check in checks:
                yield from _inner(check.argument)
        case _:
            pass
