"""Values: from the source text of a scalar to what an operator or an edit compares with or writes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_network
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from hirules.model.levels import LEVELS, level_of
from hirules.model.path import Item, Name, PathError, is_keyword, parse_elements, path_of
from hirules.model.scalars import Partial, Scalar, Type, literal
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import Duration, ListOperand, NamedList, Operand, PathOperand, Today, Value
from hirules.policy.compile_paths import Where
from hirules.policy.compile_paths import operand as path_operand
from hirules.policy.compile_source import Source
from hirules.policy.document import MappingNode, Node, ScalarNode
from hirules.policy.findings import did_you_mean, listed
from hirules.policy.lists import LoadedList

FREE_TEXT = frozenset({Type.STRING, Type.TEXT, Type.LONG_TEXT})
_LEVELLED = ("request.updated", "request.removed")
NO_VALUE = frozenset({Type.BINARY, Type.SEQUENCE})


def value(source: Source, node: ScalarNode, attribute: Attribute, *, whole: bool = False, member: bool = False) -> Scalar | None:
    """The canonical scalar of a literal. ``whole``: it must have an order. ``member``: it stands in a list."""
    text = node.text
    problem = _unlistable(text, attribute) if member else None
    if problem is not None:
        source.error(node, "pattern-in-list", f"`{text}` in a list is {problem}, and lists are exact", expected="exact values", hint=_instead(problem))
        return None
    found, expected = _canonical(source, text, attribute, whole)
    if found is None:
        hint = did_you_mean(text, _choices(source, attribute))
        shown = f"`{text}`" if text else "an empty text"
        source.error(node, "literal", f"{shown} is no value of `{attribute.path}`", expected=expected, hint=hint)
    return found


def _canonical(source: Source, text: str, attribute: Attribute, whole: bool) -> tuple[Scalar | None, str]:
    """The scalar, or ``None`` and what was expected."""
    if not text.strip(" \0"):
        return None, "a value; zero-length is absent, which `exists: false` asks for"
    choices = _choices(source, attribute)
    if choices and text.strip() not in choices:
        return None, listed(choices)
    if attribute.type is Type.TAG and "[" in text:
        return _nested_key(text), "a key, `Sequence[*].Keyword`"
    try:
        found = literal(attribute.type, text)
    except (ValueError, OverflowError) as error:
        return None, str(error)
    if isinstance(found, Partial) and (whole or not text.strip()):
        return None, f"a whole {attribute.type}"
    if attribute.path in _LEVELLED and (expected := _misnamed(text)):
        return None, expected
    return found, ""


def _choices(source: Source, attribute: Attribute) -> Sequence[str]:
    """The closed list of an attribute's values; empty where there is none."""
    if attribute.path == "request.action":
        return tuple(source.tables.vocabulary.actions)
    return attribute.values


def _nested_key(text: str) -> str | None:
    try:
        return path_of("instance", parse_elements(text)).text.removeprefix("instance.")
    except PathError:
        return None


def _misnamed(text: str) -> str:
    """What is wrong with a ``Level.Keyword``; empty where nothing is."""
    level, _, rest = text.partition(".")
    if level not in LEVELS:
        return "`Level.Keyword` with " + listed(LEVELS)
    try:
        steps = parse_elements(rest)
    except PathError:
        return "a PS3.6 keyword behind the level"
    first = steps[0]
    if isinstance(first, Name) and not is_keyword(first.name):
        return "a PS3.6 keyword behind the level"
    if isinstance(first, Name) and len(steps) == 1 and level_of(first.name) != level:
        return f"`{level_of(first.name)}.{first.name}`: the attribute is of that level"
    return "" if all(not isinstance(step, Item) or step.index is None for step in steps) else "`Sequence[*].Keyword`"


def _unlistable(text: str, attribute: Attribute) -> str | None:
    """What a member of an exact list looks like; ``None`` where it is an exact value."""
    if "[*]" in text and (attribute.type is Type.TAG or attribute.path in _LEVELLED):
        text = text.replace("[*]", "")  # `Sequence[*].Keyword` is one exact key
    if "*" in text or "?" in text:
        return "a pattern"
    return "a network" if "/" in text and is_network(text) else None


def _instead(problem: str) -> str:
    return "use `glob`, which takes a list" if problem == "a pattern" else "use `cidr`, which takes a list"


def is_network(text: str) -> bool:
    """Whether ``text`` is a network in CIDR notation, or an address."""
    try:
        ip_network(text.strip(), strict=False)
    except ValueError:
        return False
    return True


# Lists.


def reference(node: Node) -> str | None:
    """The name behind ``$``; ``None`` where ``node`` is no reference. ``$$x`` is the text ``$x``."""
    if isinstance(node, ScalarNode) and node.text[:1] == "$" and node.text[1:2] != "$" and len(node.text) > 1:
        return node.text[1:]
    return None


def unescaped(node: ScalarNode) -> ScalarNode:
    """``node`` with ``$$`` at its start as the ``$`` it stands for."""
    return msgspec.structs.replace(node, text=node.text[1:]) if node.text.startswith("$$") else node


def the_list(source: Source, node: Node, name: str) -> LoadedList | None:
    """The list of this name."""
    found = source.lists.get(name)
    if found is None and name not in source.unusable:
        hint = did_you_mean(f"${name}", [f"${known}" for known in source.lists])
        expected = listed(f"${known}" for known in source.lists) if source.lists else "a list under `lists:`"
        source.error(node, "unknown-list", f"there is no list `${name}`", expected=expected, hint=hint)
    return found


def list_operand(source: Source, node: Node, name: str, attribute: Attribute, *, texts: bool = False, whole: bool = False) -> ListOperand | None:
    """``$name``: all its members, canonical for the attribute's type, or as ``texts``."""
    found = the_list(source, node, name)
    if found is None:
        return None
    if found.table_only:
        source.error(node, "invalid-list", f"`${name}` is a table without a `column` for its members", expected="`column` in its declaration, or `row_of`")
        return None
    if texts:
        return ListOperand(name, found.named.texts, frozenset(found.named.texts))
    key = (id(found), id(attribute), whole)
    known = source.known.lists.get(key)
    if known is not None:
        return known[2]
    values = []
    for index, text in enumerate(found.named.texts):
        problem = _unlistable(text, attribute)
        one, expected = _canonical(source, text, attribute, whole) if problem is None else (None, "exact values")
        if one is None:
            shown = f" (`{text}`)" if found.shown else ""
            what = f"is {problem}, and lists are exact" if problem else f"is no value of `{attribute.path}`"
            code = "pattern-in-list" if problem else "literal"
            source.error(node, code, f"{found.place(index)}{shown} {what}", expected=expected, hint=_instead(problem) if problem else "")
            return None
        values.append(one)
    operand = ListOperand(name, tuple(values), frozenset(values))
    source.known.lists[key] = (found, attribute, operand)
    return operand


def table(source: Source, node: Node, name: str) -> NamedList | None:
    """The list as a table with columns."""
    found = the_list(source, node, name)
    if found is None:
        return None
    if not found.named.columns:
        source.error(node, "not-a-table", f"`${name}` has no columns", expected="a CSV file, a JSON array of objects, or rows written in place")
        return None
    return found.named


# Operands.


def operand(source: Source, node: Node, attribute: Attribute, where: Where, *, whole: bool = False, member: bool = False) -> Operand | None:
    """One operand: a literal, ``{path: …}``, ``{today: …}``; as a ``member`` of a list also ``$name``."""
    if isinstance(node, ScalarNode):
        known = source.known.literals.get((id(attribute), node.text, whole, member))
        if known is not None:
            return known[1]
        name = reference(node)
        if name is not None and member:
            return list_operand(source, node, name, attribute, whole=whole)
        if name is not None:
            source.error(node, "argument", f"`${name}` is a list where one value is compared", expected="one value", hint=f"use `in: ${name}`")
            return None
        found = value(source, unescaped(node), attribute, whole=whole, member=member)
        if found is None:
            return None
        literal_ = Value(found)
        source.known.literals[id(attribute), node.text, whole, member] = (attribute, literal_)
        return literal_
    if not isinstance(node, MappingNode) or len(node.entries) != 1 or not node.entries.keys() <= {"path", "today"}:
        source.error(node, "argument", "this is no value to compare with", expected="a value, `{path: …}` or `{today: …}`")
        return None
    if "path" in node.entries:
        return _path_operand(source, node.entries["path"][1], attribute, where, member)
    return _today(source, node.entries["today"][1], attribute)


def _path_operand(source: Source, node: Node, attribute: Attribute, where: Where, member: bool) -> PathOperand | None:
    found = path_operand(source, node, where)
    if found is None:
        return None
    other = found.attribute
    if not comparable(attribute.type, other.type):
        message = f"`{attribute.path}` is of type {attribute.type}, `{other.path}` of type {other.type}: they are never equal"
        source.error(node, "operand-type", message, expected=f"a path of type {attribute.type}")
        return None
    if other.many and where.opening and not member:
        message = f"`{other.path}` may have several values, and one of them would be enough to open"
        source.error(node, "opening-position", message, expected="an attribute with one value")
        return None
    return found


def comparable(one: Type, other: Type) -> bool:
    """Whether values of two types may ever be equal, when the second is read as the first."""
    if one in NO_VALUE or other in NO_VALUE:
        return False
    return one is other or one in FREE_TEXT or other in FREE_TEXT or {one, other} == {Type.INTEGER, Type.NUMBER}


def _today(source: Source, node: Node, attribute: Attribute) -> Today | None:
    scalar = source.scalar(node, "`today`", "an offset, `-31d`")
    if scalar is None:
        return None
    if attribute.type is not Type.DATE:
        source.error(scalar, "operand-type", f"`{attribute.path}` is of type {attribute.type}, and `today` is a date", expected="a path of type date")
        return None
    offset = duration(source, scalar, "dwy", signed=True)
    return None if offset is None else Today(offset)


_DURATION = re.compile(r"([+-]?)([0-9]{1,6})([mhdwy])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks", "y": "years"}


def duration(source: Source, node: ScalarNode, units: str, *, signed: bool = False) -> Duration | None:
    """``90d``. Only ``units`` are possible."""
    text = "0d" if signed and node.text in ("0", "+0", "-0") else node.text
    match = _DURATION.fullmatch(text)
    names = ", ".join(f"`{unit}` ({_UNITS[unit]})" for unit in units)
    example = "`-31d`" if signed else "`90d`"
    if match is None or (match[1] and not signed):
        source.error(node, "duration", f"`{node.text}` is no duration", expected=f"a number and a unit, {example}; units are {names}")
        return None
    if match[3] not in units:
        source.error(node, "duration", f"a date has no {_UNITS[match[3]]}", expected=f"units {names}")
        return None
    amount = int(match[2])
    return Duration(-amount if match[1] == "-" else amount, match[3])  # type: ignore[arg-type]


def time_zone(source: Source, node: Node, what: str) -> str | None:
    """The name of a time zone."""
    scalar = source.scalar(node, what, "a time zone, `Europe/Berlin`")
    if scalar is None:
        return None
    try:
        ZoneInfo(scalar.text)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; a folder of zones is an OSError
        expected = "a name of the IANA database, `Europe/Berlin`"
        source.error(scalar, "time-zone", f"`{scalar.text}` is no time zone", expected=expected, hint=_near_zone(scalar.text))
        return None
    return scalar.text


def _near_zone(text: str) -> str:
    return did_you_mean(text, available_timezones())
