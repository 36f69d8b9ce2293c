"""Comparing values: equality, order and sets."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from hirules.model.reading import Reading
from hirules.model.scalars import Partial, Type, literal
from hirules.policy.ast import Operands
from hirules.policy.truth import Scope, Truth, kleene_all, kleene_any

Order = Literal["lt", "le", "gt", "ge"]


def some(reading: Reading, test: Callable[[object], Truth]) -> Truth:
    """Whether one value satisfies ``test``. What could not be read might."""
    if reading.everything:
        return True
    results = [test(value) for value in reading.values]
    return kleene_any([*results, None] if reading.unknown is not None else results)


def same(value: object, other: object) -> bool:
    """Whether two canonical scalars of one type are the same."""
    if isinstance(value, datetime) and isinstance(other, datetime) and (value.tzinfo is None) != (other.tzinfo is None):
        return False
    return value == other


def one_of(reading: Reading, argument: Operands, scope: Scope) -> Truth:
    """``equals``, ``in``, ``contains``, ``contains_any``: one value is one of the operands'."""
    others = [scope.operand(one) for one in argument.operands]
    return kleene_any([_meets(reading, other) for other in others])


def _meets(reading: Reading, other: Reading) -> Truth:
    """Whether the two have a value in common. An unknown on either side is decided by nothing but a value that both have."""
    if any(same(value, member) for value in reading.values for member in other.values):
        return True
    if reading.unknown is not None or other.unknown is not None:
        return None
    if reading.everything:
        return bool(other.values) or other.everything
    # an operand that is everything tells nothing of its members
    return None if other.everything and reading.values else False


def contains_all(reading: Reading, argument: Operands, scope: Scope) -> Truth:
    """Every operand is among the values; an absent one is not."""
    return kleene_all([_contains(reading, scope.operand(one)) for one in argument.operands])


def _contains(reading: Reading, other: Reading) -> Truth:
    if other.everything:
        return True if reading.everything else None
    if not other.values and other.unknown is None:
        return None if reading.unknown is not None else False
    results = [_meets(reading, Reading((member,), present=True)) for member in other.values]
    return kleene_all([*results, None] if other.unknown is not None else results)


def subset_of(reading: Reading, argument: Operands, scope: Scope) -> Truth:
    """There is a value, and every value is among the operands'."""
    others = [scope.operand(one) for one in argument.operands]
    if reading.everything:
        return False
    allowed = [member for other in others for member in other.values]
    # a member that could not be read, or that stands for everything, might be the value
    open_ended = any(other.unknown is not None or other.everything for other in others)
    results: list[Truth] = [True if any(same(value, member) for member in allowed) else (None if open_ended else False) for value in reading.values]
    if reading.unknown is not None:
        results.append(None)
    return kleene_all(results) if results else _absent(others)


def _absent(others: Sequence[Reading]) -> Truth:
    """A comparison of an absent value: false, but unknown where the other side is."""
    return None if any(other.unknown is not None for other in others) else False


def order(name: Order) -> Callable[[Reading, Operands, Scope], Truth]:
    """``lt``, ``lte``, ``gt``, ``gte``."""
    compare: Callable[[Any, Any], bool] = getattr(operator, name)

    def ordered(reading: Reading, argument: Operands, scope: Scope) -> Truth:
        others = [scope.operand(one) for one in argument.operands]
        if reading.absent:
            return _absent(others)
        return some(reading, lambda value: kleene_any([some(other, lambda bound: _compare(compare, value, bound)) for other in others]))

    return ordered


def between(reading: Reading, argument: Operands, scope: Scope) -> Truth:
    """One value lies between the two operands, both included."""
    low, high = (scope.operand(one) for one in argument.operands)
    if reading.absent:
        return _absent([low, high])
    return some(
        reading,
        lambda value: kleene_all([some(low, lambda bound: _compare(operator.ge, value, bound)), some(high, lambda bound: _compare(operator.le, value, bound))]),
    )


def _compare(compare: Callable[[Any, Any], bool], value: object, other: object) -> Truth:
    if isinstance(value, Partial) or isinstance(other, Partial):
        return None
    try:
        return compare(value, other)
    except TypeError:  # a date and a date with time, with and without offset: no order that could be known
        return None


def equals_text(reading: Reading, type_: Type, text: str, zone: ZoneInfo) -> Truth:
    """Whether a value is the one that a table's cell spells; an empty cell is absent."""
    if not text.strip():
        return False
    try:
        member = literal(type_, text)
    except ValueError:
        return False if reading.absent else None
    return _meets(reading, Reading((in_zone(member, zone),), present=True))


def in_zone(value: object, zone: ZoneInfo) -> object:
    """A date and time without offset is in the set's time zone."""
    return value.replace(tzinfo=zone) if isinstance(value, datetime) and value.tzinfo is None else value


def values_in_zone(values: Sequence[object], zone: ZoneInfo) -> tuple[object, ...]:
    """Each of them in the zone."""
    return tuple(in_zone(value, zone) for value in values)
