"""Values to try where a request is looked for that satisfies a condition: what the checks name, its neighbours, and others."""

from __future__ import annotations

import re._constants as codes  # type: ignore[import-not-found]  # what `re` itself parses with
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from zoneinfo import ZoneInfo

from hirules.model.scalars import Type
from hirules.policy.ast import Age, Argument, Check, Flag, ListOperand, Nested, Operands, Today, Value, Weekdays, Window
from hirules.policy.lint.terms import Literal
from hirules.policy.moments import shift, today
from hirules.policy.patterns import network_of

_FEW = 12
"""Members of a list that are tried."""


def values(literals: Iterable[Literal], type_: Type, now: datetime, zone: ZoneInfo) -> list[object]:
    """Canonical scalars, the likeliest first."""
    named = [value for one in literals for value in _of_check(one.check, type_, now, zone)]
    found: list[object] = []
    for value in (*named, *_other(type_, now)):
        if value not in found:
            found.append(value)
    return found


def _of_check(check: Check, type_: Type, now: datetime, zone: ZoneInfo) -> Iterator[object]:
    match check.argument:
        case Operands() as operands:
            yield from _of_operands(check.operator, operands, type_, now, zone)
        case Nested(checks) if check.operator != "count":
            for inner in checks:
                yield from _of_check(inner, type_, now, zone)
        case Flag() if check.operator in ("wildcard", "universal"):
            yield from ("*", "A*")
        case Age() as age:
            yield from _of_age(check.operator, age, type_, now, zone)
        case Weekdays(days, name):
            yield from _of_days(days, type_, now, zone if name is None else ZoneInfo(name))
        case Window(start, end, name):
            yield from _of_window(start, end, type_, now, zone if name is None else ZoneInfo(name))
        case _:
            pass


def _of_operands(operator: str, operands: Operands, type_: Type, now: datetime, zone: ZoneInfo) -> Iterator[object]:
    for operand in operands.operands:
        for constant in _constants(operand, now, zone):
            if operator in ("glob", "regex", "starts_with", "ends_with"):
                yield from _texts(operator, str(constant))
            elif operator == "cidr":
                yield from _addresses(str(constant))
            else:
                yield constant
                yield from _neighbours(constant)


def _constants(operand: object, now: datetime, zone: ZoneInfo) -> Iterable[object]:
    if isinstance(operand, Value):
        return (operand.value,)
    if isinstance(operand, ListOperand):
        return operand.values[:_FEW]
    return (_day(now, zone, operand),) if isinstance(operand, Today) else ()


def _day(now: datetime, zone: ZoneInfo, operand: Today) -> date:
    try:
        return today(now, zone, operand.offset)
    except (OverflowError, ValueError):
        return now.date()


def _neighbours(value: object) -> Iterator[object]:
    """What lies just below and above, in an order."""
    try:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            yield from (value - 1, value + 1)
        elif isinstance(value, datetime):
            yield from (value - timedelta(hours=1), value + timedelta(hours=1))
        elif isinstance(value, date):
            yield from (value - timedelta(days=1), value + timedelta(days=1))
    except OverflowError:  # at the ends of the calendar
        return


def _texts(operator: str, text: str) -> Iterator[str]:
    match operator:
        case "starts_with":
            yield from (text, text + "1")
        case "ends_with":
            yield from (text, "1" + text)
        case "glob":
            yield text.replace("*", "").replace("?", "1")
            yield text.replace("*", "1").replace("?", "1")
        case _:
            yield from _matching(text)


def _matching(pattern: str) -> Iterator[str]:
    """A text that the pattern matches, where it is one that Python's parser reads too."""
    try:
        tree = parser.parse(pattern)
        yield "".join(_chosen(tree))
    except (ValueError, RecursionError, OverflowError, parser.error):
        return


def _chosen(tree: Iterable[tuple[object, object]]) -> Iterator[str]:
    for code, argument in tree:
        yield from _part(code, argument)


def _part(code: object, argument: object) -> Iterator[str]:
    parts: Sequence[object] = argument if isinstance(argument, tuple | list) else ()
    if code is codes.LITERAL and isinstance(argument, int):
        yield chr(argument)
    elif code is codes.ANY:
        yield "1"
    elif code is codes.IN:
        yield _member(parts)
    elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        least, _, inner = parts
        assert isinstance(least, int)
        for _ in range(least):
            yield from _chosen(inner)  # type: ignore[arg-type]
    elif code is codes.SUBPATTERN:
        yield from _chosen(parts[-1])  # type: ignore[arg-type]
    elif code is codes.BRANCH:
        yield from _chosen(parts[1][0])  # type: ignore[index]


def _member(parts: Sequence[object]) -> str:
    """A character of a class."""
    inside = [part for part in parts if isinstance(part, tuple)]
    for character in "1Aa0-_. Bb9#":
        if _in_class(character, inside):
            return character
    for code, argument in inside:
        if code is codes.LITERAL:
            return chr(argument)
        if code is codes.RANGE:
            return chr(argument[0])
    raise ValueError("a class that is not understood")


def _in_class(character: str, parts: Sequence[tuple[object, object]]) -> bool:
    found = False
    for code, argument in parts:
        if code is codes.LITERAL:
            found = found or ord(character) == argument
        elif code is codes.RANGE and isinstance(argument, tuple):
            found = found or argument[0] <= ord(character) <= argument[1]
        elif code is codes.CATEGORY:
            found = found or _in_category(character, argument)
    return found is not any(code is codes.NEGATE for code, _ in parts)


def _in_category(character: str, category: object) -> bool:
    if category is codes.CATEGORY_DIGIT:
        return character.isdigit()
    return character.isspace() if category is codes.CATEGORY_SPACE else category is codes.CATEGORY_WORD and (character.isalnum() or character == "_")


def _addresses(text: str) -> Iterator[object]:
    network = network_of(text)
    yield from dict.fromkeys(network[at] for at in (min(1, network.num_addresses - 1), network.num_addresses // 2, -1))


def _of_age(operator: str, age: Age, type_: Type, now: datetime, zone: ZoneInfo) -> Iterator[object]:
    local = now.astimezone(zone)
    try:
        border = shift(local, age.duration, -1)
        moments = [border - timedelta(days=2), border + timedelta(days=2), local]
    except (OverflowError, ValueError):
        moments = [local]
    if operator == "range_wider_than":
        yield f"{moments[0]:%Y%m%d}-{moments[-1]:%Y%m%d}"
    yield from (moment if type_ is Type.DATETIME else moment.date() for moment in moments)


def _of_days(days: frozenset[int], type_: Type, now: datetime, zone: ZoneInfo) -> Iterator[object]:
    for ahead in range(7):
        moment = now.astimezone(zone) + timedelta(days=ahead)
        if moment.weekday() in days:
            yield moment if type_ is Type.DATETIME else moment.date()


def _of_window(start: object, end: object, type_: Type, now: datetime, zone: ZoneInfo) -> Iterator[object]:
    for clock in (start, end):
        if type_ is Type.TIME:
            yield clock
        else:
            found = datetime.combine(now.astimezone(zone).date(), clock, zone)  # type: ignore[arg-type]
            yield from (found, found - timedelta(minutes=1))


def _other(type_: Type, now: datetime) -> Sequence[object]:
    """Values that no check names, it is to be hoped."""
    match type_:
        case Type.AE_TITLE:
            return ("OTHER", "ANOTHER")
        case Type.UID:
            return ("1.2.826.0.1.3680043.9.1", "1.2.826.0.1.3680043.9.2")
        case Type.INTEGER:
            return (0, 1, 2, 1_000_000, -1)
        case Type.NUMBER:
            return (Decimal(0), Decimal(1), Decimal(1_000_000), Decimal(-1))
        case Type.DATE:
            return (now.date(), date(1970, 1, 1), date(2099, 1, 1))
        case Type.TIME:
            return (now.time().replace(microsecond=0, tzinfo=None),)
        case Type.DATETIME:
            return (now, *(now + timedelta(hours=hours) for hours in range(3, 169, 3)))
        case Type.BOOLEAN:
            return (True, False)
        case Type.ADDRESS:
            return (IPv4Address("192.0.2.1"), IPv4Address("198.51.100.1"), IPv6Address("2001:db8::1"))
        case Type.TAG:
            return ("StudyDescription", "PatientComments")
        case Type.BINARY | Type.SEQUENCE:
            return ()
        case _:
            return ("OTHER", "ANOTHER", "other")


def count(check: Argument) -> Iterator[int]:
    """Numbers of values that a ``count`` may ask for."""
    if isinstance(check, Nested):
        for inner in check.checks:
            if isinstance(inner.argument, Operands):
                for operand in inner.argument.operands:
                    if isinstance(operand, Value) and isinstance(operand.value, int):
                        yield from (number for number in (operand.value, operand.value + 1, operand.value - 1) if 0 <= number <= 50)
