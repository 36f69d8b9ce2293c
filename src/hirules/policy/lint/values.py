"""What follows for one value: if these checks are so, must that one be, and can all of them be so at once?

Every conclusion is either computed by the operators themselves, on each of finitely many values, or follows from an order,
a prefix and suffix, or a network. Where neither helps, nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hirules.model.reading import Reading
from hirules.model.request import Request
from hirules.model.scalars import Scalar, Type
from hirules.policy.ast import Age, Check, Flag, ListOperand, Nested, Operands, Value, Weekdays
from hirules.policy.conditions import Surroundings
from hirules.policy.entities import UNKNOWN_ENTITY
from hirules.policy.lint.shapes import disjoint, networks_apart, networks_inside, shapes, within
from hirules.policy.lint.terms import Literal, Operators
from hirules.policy.members import in_zone
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from hirules.policy.truth import Truth

_ONE_OF = frozenset({"equals", "in", "contains", "contains_any", "subset_of"})
_ORDER = frozenset({"lt", "lte", "gt", "gte", "between"})
_TEXTS = frozenset({"glob", "regex", "starts_with", "ends_with", "cidr"})
STATIC = _ONE_OF | _ORDER | _TEXTS | {"exists", "contains_all", "every"}
"""Operators whose truth for a value depends on nothing else, where their operands are constants."""
_RE2 = frozenset({"glob", "regex"})
"""They are unknown for a text that is no UTF-8; what starts with a text is known even then."""
_MOST = 5000
_BOOLEANS: frozenset[Scalar] = frozenset({True, False})
_DISCRETE = frozenset({Type.INTEGER, Type.DATE})
_NOWHERE = View(Request(""), Request(""), UNKNOWN_ENTITY, datetime(2000, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))


class Values:
    """The values of one attribute, and what literals say of them one by one."""

    def __init__(self, literal: Literal, operators: Operators, zone: ZoneInfo) -> None:
        self.attribute = literal.attribute
        self.operators = operators
        self.zone = zone
        view = View(_NOWHERE.request, _NOWHERE.original, _NOWHERE.entity, _NOWHERE.now, zone)
        self.scope = Surroundings(literal.path, literal.attribute, view, operators)

    def truth(self, check: Check, reading: Reading) -> Truth:
        """What the operator itself says."""
        return self.operators[check.operator].evaluate(reading, check.argument, self.scope)

    def at(self, literal: Literal, value: object) -> bool:
        """Whether the literal is so for one value."""
        members = self.finite(literal)
        if members is not None:
            return (value in members) is literal.sign
        return self.truth(literal.check, Reading((value,), present=True)) is literal.sign

    def finite(self, literal: Literal) -> frozenset[Scalar] | None:
        """The values for which the check is true, where they are listed."""
        if literal.check.operator in _ONE_OF and self.attribute.type is not Type.DATETIME and is_static(literal.check, self.operators):
            return members_of(literal.check)
        return None

    def candidates(self, literals: Iterable[Literal]) -> frozenset[Scalar] | None:
        """Finitely many values, one of which is there where the literals are so; ``None`` where there are more."""
        sets = [members for one in literals if one.sign and (members := self.finite(one)) is not None]
        if sets:
            return min(sets, key=len)
        return _BOOLEANS if self.attribute.type is Type.BOOLEAN else None

    def contradictory(self, literals: Sequence[Literal]) -> bool:
        """Whether no value is such that all of them are so."""
        static = [one for one in literals if is_static(one.check, self.operators)]
        found = self.candidates(static)
        if found is not None and len(found) <= _MOST:
            return not any(all(self.at(one, value) for one in static) for value in found)
        if _empty(_span(static, self.zone), self.attribute.type):
            return True
        return any(self._rules([*literals[:number], *literals[number + 1 :]], one.negated()) for number, one in enumerate(literals))

    def entails(self, literals: Sequence[Literal], target: Literal) -> bool:
        """Whether ``target`` is so for every value for which all of ``literals`` are."""
        static = [one for one in literals if is_static(one.check, self.operators)]
        if is_static(target.check, self.operators):
            found = self.candidates(static)
            if found is not None and len(found) <= _MOST:
                return all(not all(self.at(one, value) for one in static) or self.at(target, value) for value in found)
        return self._rules(literals, target)

    def _rules(self, literals: Sequence[Literal], target: Literal) -> bool:
        if any(one.sign is target.sign and one.canonical == target.canonical for one in literals):
            return True
        static = [one for one in literals if is_static(one.check, self.operators)]
        if target.check.operator == "exists" and isinstance(target.check.argument, Flag):
            return target.check.argument.value is target.sign
        members = self.finite(target)
        if members is not None:
            return self._members(static, target, members)
        if not is_static(target.check, self.operators):
            return _dated(literals, target)
        if target.check.operator in _ORDER:
            return _ordered(static, target, self.zone)
        return self._texts(static, target) if target.check.operator in _TEXTS else False

    def _members(self, literals: Sequence[Literal], target: Literal, members: frozenset[Scalar]) -> bool:
        if target.sign:
            return any(one.sign and (own := self.finite(one)) is not None and own <= members for one in literals)
        if any(not one.sign and (own := self.finite(one)) is not None and members <= own for one in literals):
            return True
        return len(members) <= _MOST and bool(literals) and all(any(not self.at(one, member) for one in literals) for member in members)

    def _texts(self, literals: Sequence[Literal], target: Literal) -> bool:
        if target.check.operator in _RE2 and not any(one.check.operator in _RE2 for one in literals):
            return False
        if target.check.operator == "cidr":
            return any(_networks(one, target) for one in literals if one.check.operator == "cidr")
        wanted = shapes(target.check, self.attribute.type)
        if wanted is None:
            return False
        for one in literals:
            own = shapes(one.check, self.attribute.type)
            if own is None:
                continue
            if one.sign and target.sign and all(any(within(shape, other) for other in wanted) for shape in own):
                return True
            if one.sign and not target.sign and all(disjoint(shape, other) for shape in own for other in wanted):
                return True
            if not one.sign and not target.sign and all(any(within(shape, other) for other in own) for shape in wanted):
                return True
        return False


def _networks(one: Literal, target: Literal) -> bool:
    own, wanted = _texts_of(one.check), _texts_of(target.check)
    if one.sign:
        return networks_inside(own, wanted) if target.sign else networks_apart(own, wanted)
    return not target.sign and networks_inside(wanted, own)


def _texts_of(check: Check) -> list[str]:
    return [str(value) for value in members_of(check)]


def is_static(check: Check, operators: Operators) -> bool:
    """Whether its truth depends on the values of its path only."""
    if check.operator not in STATIC or operators.get(check.operator) is not OPERATORS[check.operator]:
        return False
    match check.argument:
        case Flag():
            return True
        case Operands(operands):
            return all(isinstance(operand, Value | ListOperand) for operand in operands)
        case Nested(checks):
            return all(is_static(base_of(inner, operators), operators) for inner in checks)
        case _:
            return False


def base_of(check: Check, operators: Operators) -> Check:
    """The check without its negation, if it has one."""
    operator = operators.get(check.operator)
    return check if operator is None or operator.negates is None else Check(operator.negates, check.argument, check.position)


def members_of(check: Check) -> frozenset[Scalar]:
    """The constants of a static check with operands."""
    assert isinstance(check.argument, Operands)
    operands = check.argument.operands
    if len(operands) == 1 and isinstance(operands[0], ListOperand):
        return operands[0].members
    return frozenset(_each(operands))


def _each(operands: Iterable[object]) -> Iterator[Scalar]:
    for operand in operands:
        if isinstance(operand, Value):
            yield operand.value
        elif isinstance(operand, ListOperand):
            yield from operand.members


# Order.

_Span = tuple[Any, bool, Any, bool]
"""Low end, whether it is left out, high end, whether it is left out; ``None`` is no end."""
_EVERYWHERE: _Span = (None, False, None, False)


def _span(literals: Iterable[Literal], zone: ZoneInfo) -> _Span:
    """Where the values lie that all the order checks leave."""
    low, low_open, high, high_open = _EVERYWHERE
    for one in literals:
        for operator, end in _ends(one, zone):
            if operator in ("gt", "gte") and (low is None or end > low or (end == low and operator == "gt")):
                low, low_open = end, operator == "gt"
            if operator in ("lt", "lte") and (high is None or end < high or (end == high and operator == "lt")):
                high, high_open = end, operator == "lt"
    return low, low_open, high, high_open


_TURNED = {"lt": "gte", "lte": "gt", "gt": "lte", "gte": "lt"}


def _ends(literal: Literal, zone: ZoneInfo) -> Iterator[tuple[str, Any]]:
    """The comparisons that a literal stands for; none where it is a gap between two."""
    name, argument = literal.check.operator, literal.check.argument
    if name not in _ORDER or not isinstance(argument, Operands):
        return
    ends = [in_zone(operand.value, zone) for operand in argument.operands if isinstance(operand, Value)]
    if name == "between" and literal.sign and len(ends) == 2:
        yield "gte", ends[0]
        yield "lte", ends[1]
    elif name != "between" and len(ends) == 1:
        yield name if literal.sign else _TURNED[name], ends[0]


def _empty(span: _Span, type_: Type) -> bool:
    low, low_open, high, high_open = span
    if low is None or high is None:
        return False
    if type_ in _DISCRETE:
        step: Any = timedelta(days=1) if isinstance(low, date) else 1
        try:
            low, high = low + step * low_open, high - step * high_open
        except OverflowError:
            return False
        return bool(low > high)
    return bool(low > high or (low == high and (low_open or high_open)))


def _ordered(literals: Sequence[Literal], target: Literal, zone: ZoneInfo) -> bool:
    own = [one for one in literals if any(True for _ in _ends(one, zone))]
    span = _span(own, zone)
    if not own:
        return False
    if target.sign or target.check.operator != "between":
        return all(_beyond(span, operator, end) for operator, end in _ends(target, zone))
    assert isinstance(target.check.argument, Operands)
    low, high = (in_zone(operand.value, zone) for operand in target.check.argument.operands if isinstance(operand, Value))
    return _beyond(span, "lt", low) or _beyond(span, "gt", high)


def _beyond(span: _Span, operator: str, end: Any) -> bool:
    """Whether everything in the span compares so with ``end``."""
    low, low_open, high, high_open = span
    match operator:
        case "gte":
            return low is not None and bool(low >= end)
        case "gt":
            return low is not None and bool(low > end or (low == end and low_open))
        case "lte":
            return high is not None and bool(high <= end)
        case _:
            return high is not None and bool(high < end or (high == end and high_open))


# Ages and days, of the same now.

_MINUTES = {"m": 1, "h": 60, "d": 1440, "w": 10080}


def _dated(literals: Sequence[Literal], target: Literal) -> bool:
    return any(_age_follows(one, target) or _day_follows(one, target) for one in literals)


def _age_follows(one: Literal, target: Literal) -> bool:
    own, wanted = one.check.argument, target.check.argument
    names = (one.check.operator, target.check.operator)
    if not (isinstance(own, Age) and isinstance(wanted, Age) and own.zone == wanted.zone and one.sign and set(names) <= {"older_than", "newer_than"}):
        return False
    ages = (_comparable(own), _comparable(wanted))
    if ages[0][0] != ages[1][0]:  # calendar years and days
        return False
    older = names[0] == "older_than"
    if names[0] == names[1]:
        return target.sign and (ages[0] >= ages[1] if older else ages[0] <= ages[1])
    return not target.sign and (ages[0] >= ages[1] if older else ages[0] <= ages[1])


def _comparable(age: Age) -> tuple[bool, Decimal]:
    duration = age.duration
    return duration.unit == "y", Decimal(duration.amount * _MINUTES.get(duration.unit, 1))


def _day_follows(one: Literal, target: Literal) -> bool:
    own, wanted = one.check.argument, target.check.argument
    if not (isinstance(own, Weekdays) and isinstance(wanted, Weekdays) and own.zone == wanted.zone and one.sign):
        return False
    return own.days <= wanted.days if target.sign else not own.days & wanted.days
