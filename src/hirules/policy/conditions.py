"""Conditions: does ``when`` hold and ``unless`` not? In three values, with what was unknown (LANGUAGE: Conditions).

A false part decides an ``all`` and a true part an ``any``, whatever is unknown beside them; what is reported as unknown is
only what left the whole unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.path import Path
from hirules.model.reading import ABSENT, Reading
from hirules.model.scalars import TEXTUAL, Type
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import All, Any, Check, Condition, ListOperand, Not, Operand, PathOperand, Position, Test, Today, Value
from hirules.policy.members import values_in_zone
from hirules.policy.moments import today
from hirules.policy.operators import Operator
from hirules.policy.read import View, read, within
from hirules.policy.trace import TestTrace, operators_of
from hirules.policy.truth import Truth, kleene_all, kleene_any, kleene_not

Part = Literal["when", "unless", "item"]


class Missing(msgspec.Struct, frozen=True):
    """Something that could not be established, and where the policy asks for it."""

    path: str
    why: str
    position: Position | None = None


class Outcome(msgspec.Struct, frozen=True):
    """The truth of a condition. ``missing`` is empty unless it is unknown."""

    truth: Truth
    missing: tuple[Missing, ...] = ()


def applies(when: Condition | None, unless: Condition | None, view: View, operators: Mapping[str, Operator], tests: list[TestTrace] | None) -> Outcome:
    """Whether ``when`` holds and ``unless`` does not."""
    parts = [] if when is None else [holds(when, view, operators, tests, "when")]
    if unless is not None:
        parts.append(_negated(holds(unless, view, operators, tests, "unless")))
    return _joined(parts, kleene_all([part.truth for part in parts]))


def holds(condition: Condition, view: View, operators: Mapping[str, Operator], tests: list[TestTrace] | None = None, part: Part = "when") -> Outcome:
    """Whether a condition holds for what ``view`` shows."""
    match condition:
        case All(conditions):
            parts = [holds(one, view, operators, tests, part) for one in conditions]
            return _joined(parts, kleene_all([one.truth for one in parts]))
        case Any(conditions):
            parts = [holds(one, view, operators, tests, part) for one in conditions]
            return _joined(parts, kleene_any([one.truth for one in parts]))
        case Not(inner):
            return _negated(holds(inner, view, operators, tests, part))
        case Test():
            return _test(condition, view, operators, tests, part)


def _joined(parts: Sequence[Outcome], truth: Truth) -> Outcome:
    return Outcome(truth, tuple(missing for part in parts for missing in part.missing) if truth is None else ())


def _negated(outcome: Outcome) -> Outcome:
    return Outcome(kleene_not(outcome.truth), outcome.missing)


def _test(test: Test, view: View, operators: Mapping[str, Operator], tests: list[TestTrace] | None, part: Part) -> Outcome:
    surroundings = Surroundings(test.path, test.attribute, view, operators, tests)
    seen = read(test.path, test.attribute, view)
    truths = [_check(check, seen, test, surroundings) for check in test.checks]
    truth = kleene_all(truths)
    if tests is not None:
        tests.append(TestTrace(test.path.text, operators_of(test.checks), truth, seen, test.attribute.patient_data, test.position, part))
    if truth is not None:
        return Outcome(truth)
    own = () if seen.unknown is None else (Missing(test.path.text, seen.unknown, test.position),)
    others = tuple(Missing(path, why, test.position) for path, why in surroundings.unknown)
    return Outcome(None, own + others or (Missing(test.path.text, "its value cannot be compared so", test.position),))


def _check(check: Check, seen: Reading, test: Test, surroundings: Surroundings) -> Truth:
    operator = surroundings.operators.get(check.operator)
    if operator is None:
        return None
    if operator.query_keys:
        # the key's own text: `*` is no date, and yet matches every date
        attribute = msgspec.structs.replace(test.attribute, many=True)
        seen = read(test.path, attribute, surroundings.view, _key_type(test.attribute.type))
    return _asked(operator, seen, check, surroundings)


def _asked(operator: Operator, seen: Reading, check: Check, surroundings: Surroundings) -> Truth:
    try:
        return operator.evaluate(seen, check.argument, surroundings)
    except Exception as error:  # noqa: BLE001 - a plugin's operator that raises is unknown (LANGUAGE), and a shadow rule's must change no outcome
        surroundings.unknown.append((surroundings.path.text, f"`{operator.name}` raised {type(error).__name__}"))
        return None


def _key_type(type_: Type) -> Type:
    return type_ if type_ in (TEXTUAL | {Type.SEQUENCE, Type.BINARY}) else Type.TEXT


class Surroundings:
    """What an operator may ask (``truth.Scope``); remembers what of it was unknown."""

    def __init__(self, path: Path, attribute: Attribute, view: View, operators: Mapping[str, Operator], tests: list[TestTrace] | None = None) -> None:
        self.path = path
        self.attribute = attribute
        self.view = view
        self.operators = operators
        self.tests = tests
        self.unknown: list[tuple[str, str]] = []

    @property
    def now(self) -> datetime:
        """The time of the request."""
        return self.view.now

    @property
    def zone(self) -> ZoneInfo:
        """The set's time zone."""
        return self.view.zone

    def operand(self, operand: Operand, attribute: Attribute | None = None) -> Reading:
        """The values of an operand, read by the type of ``attribute``, by default the tested one."""
        reading = resolve(operand, attribute or self.attribute, self.view)
        if isinstance(operand, PathOperand) and reading.unknown is not None:
            self.unknown.append((operand.path.text, reading.unknown))
        return reading

    def passes(self, checks: Sequence[Check], reading: Reading, attribute: Attribute) -> Truth:
        """Whether a reading satisfies every check of a nested matcher."""
        inner = Surroundings(self.path, attribute, self.view, self.operators, self.tests)
        truths = [_asked(self.operators[check.operator], reading, check, inner) if check.operator in self.operators else None for check in checks]
        self.unknown.extend(inner.unknown)
        return kleene_all(truths)

    def holds(self, condition: Condition, item: object) -> Truth:
        """Whether a condition holds for one item of the sequence that is tested."""
        outcome = holds(condition, within(self.path, self.view, item), self.operators, self.tests, "item")
        self.unknown.extend((missing.path, missing.why) for missing in outcome.missing)
        return outcome.truth


def resolve(operand: Operand, attribute: Attribute, view: View) -> Reading:
    """The values that an operand stands for, as canonical scalars of ``attribute``'s type."""
    match operand:
        case Value(value):
            return Reading(values_in_zone((value,), view.zone), present=True)
        case ListOperand(values=values):
            return Reading(values_in_zone(values, view.zone), present=True) if values else ABSENT
        case Today(offset):
            return _today(offset, attribute, view)
        case PathOperand(path, own):
            return read(path, own, view, attribute.type)


def _today(offset: object, attribute: Attribute, view: View) -> Reading:
    try:
        day = today(view.now, view.zone, offset)  # type: ignore[arg-type]
    except (OverflowError, ValueError):
        return Reading(unknown="the date lies beyond the calendar")
    if attribute.type is Type.DATETIME:
        return Reading((datetime(day.year, day.month, day.day, tzinfo=view.zone),), present=True)
    return Reading((day,), present=True)
