"""Conditions: ``when`` and ``unless`` (LANGUAGE: Conditions), with the law of the opening position."""

from __future__ import annotations

from typing import assert_never

from hirules.model.path import Path
from hirules.policy import ast
from hirules.policy.ast import All, Any, Check, Condition, Not, Test
from hirules.policy.compile_arguments import TIME_KINDS, Place, argument, known_operands
from hirules.policy.compile_literals import time_zone
from hirules.policy.compile_paths import Named, Where, resolve
from hirules.policy.compile_source import Source
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode
from hirules.policy.findings import did_you_mean, listed
from hirules.policy.operators import Operator

CONNECTIVES = ("all", "any", "not")


def condition(source: Source, node: Node, where: Where, what: str) -> Condition | None:
    """A mapping of which every entry must hold; ``None`` after a finding."""
    mapping = source.mapping(node, what, "a condition, `path: value`")
    if mapping is None:
        return None
    if not mapping.entries:
        source.error(mapping, "empty", f"{what} is empty", expected="at least one condition", length=2)
        return None
    parts = tuple([_entry(source, key, value, where) for key, value in mapping.entries.values()])
    if None in parts:
        return None
    return parts[0] if len(parts) == 1 else All(parts)  # type: ignore[arg-type]  # none is `None`


def _entry(source: Source, key: ScalarNode, value: Node, where: Where) -> Condition | None:
    if "." not in key.text:
        if key.text == "not":
            inner = condition(source, value, where.turned(), "`not`")
            return None if inner is None else Not(inner)
        if key.text in CONNECTIVES:
            return _connective(source, key, value, where)
        if key.text in source.tables.operators:
            source.error(key, "invalid-path", f"`{key.text}` is an operator where a path stands", expected="`path: {operator: …}`")
            return None
        hint = did_you_mean(key.text, CONNECTIVES) if where.base is None else ""
        if hint:
            source.error(key, "unknown-key", f"`{key.text}` is no condition", expected="a path, `all`, `any` or `not`", hint=hint)
            return None
    named = resolve(source, key, where)
    if named is None:
        return None
    found = checks(source, value, named, where, key)
    return None if found is None else Test(named.path, named.attribute, found, source.at(key))


def _connective(source: Source, key: ScalarNode, value: Node, where: Where) -> Condition | None:
    items = source.sequence(value, f"`{key.text}`", "a list of conditions") or ()
    parts = [condition(source, item, where, f"a condition of `{key.text}`") for item in items]
    whole = tuple(part for part in parts if part is not None)
    if not whole or len(whole) < len(parts):
        return None
    return All(whole) if key.text == "all" else Any(whole)


def checks(source: Source, node: Node, named: Named, where: Where, key: ScalarNode | None = None) -> tuple[Check, ...] | None:
    """The matcher of a path: a scalar (equals), a list (in), or a mapping of operators."""
    if isinstance(node, ScalarNode):
        return _one(source, key or node, node, "equals", named, where)
    if isinstance(node, SequenceNode):
        return _one(source, key or node, node, "in", named, where)
    if len(node.entries) == 1 and node.entries.keys() <= {"path", "today"}:
        return _one(source, key or node, node, "equals", named, where)
    return _mapping(source, node, named, where)


def _one(source: Source, at: Node, node: Node, name: str, named: Named, where: Where) -> tuple[Check, ...] | None:
    operator = source.tables.operators[name]
    if not _fits(source, at, operator, named, where):
        return None
    found = known_operands(source, node, named.attribute, operator) or argument(source, node, Place(operator, named, where, None))
    return None if found is None else (Check(name, found, source.at(node)),)


def _mapping(source: Source, node: MappingNode, named: Named, where: Where) -> tuple[Check, ...] | None:
    operators = source.tables.operators
    if not node.entries:
        source.error(node, "empty", f"the condition on `{named.path}` is empty", expected="at least one operator", length=2)
        return None
    zone_entry = node.entries.get("tz")
    zone = None if zone_entry is None else time_zone(source, zone_entry[1], "`tz`")
    found: list[Check | None] = []
    timed = False
    for text, (key, value) in node.entries.items():
        if text == "tz":
            continue
        operator = operators.get(text)
        if operator is None:
            _unknown_operator(source, key, named)
            found.append(None)
            continue
        timed = timed or operator.argument in TIME_KINDS
        check = _check(source, key, value, operator, Place(operator, named, where, zone))
        found.append(check)
        if check and operator.negates and where.opening and not where.present and not _asks_presence(node):
            message = f"`{text}` also holds where `{named.path}` is absent, and this condition opens"
            source.warn(key, "absent-matches", message, expected="`exists: true` beside it")
    if zone_entry is not None and not timed:
        source.error(zone_entry[0], "unknown-key", "`tz` stands beside no operator that has a time zone", expected=_timed_operators(source))
        return None
    whole = tuple(check for check in found if check is not None)
    return whole if len(whole) == len(found) and (zone_entry is None or zone is not None) else None


def _check(source: Source, key: ScalarNode, value: Node, operator: Operator, place: Place) -> Check | None:
    if not _fits(source, key, operator, place.named, place.where):
        return None
    found = argument(source, value, place)
    return None if found is None else Check(operator.name, found, source.at(key))


def _asks_presence(node: MappingNode) -> bool:
    asked = node.get("exists")
    return isinstance(asked, ScalarNode) and asked.text == "true"


def _timed_operators(source: Source) -> str:
    return listed(name for name, operator in source.tables.operators.items() if operator.argument in TIME_KINDS)


def _unknown_operator(source: Source, key: ScalarNode, named: Named) -> None:
    if key.text in ("path", "today"):
        source.error(key, "unknown-operator", f"`{key.text}` is an operand, and other operators stand beside it", expected=f"`equals: {{{key.text}: …}}`")
        return
    if key.text in CONNECTIVES:
        hint = f"a path stands inside `{key.text}`: `{key.text}: {{{named.path}: …}}`"
        source.error(key, "unknown-operator", f"`{key.text}` is no operator", expected="an operator", hint=hint)
        return
    operators = source.tables.operators
    hint = did_you_mean(key.text, operators)
    fitting = (name for name, operator in operators.items() if _type_fits(operator, named))
    source.error(key, "unknown-operator", f"`{key.text}` is no operator", expected="an operator for this path: " + listed(fitting), hint=hint)


def _type_fits(operator: Operator, named: Named) -> bool:
    return operator.types is None or named.attribute.type in operator.types


def _fits(source: Source, at: Node, operator: Operator, named: Named, where: Where) -> bool:
    """Whether the operator works on this path, in this position."""
    attribute = named.attribute
    if not _type_fits(operator, named):
        fitting = listed(name for name, other in source.tables.operators.items() if _type_fits(other, named) and not other.query_keys)
        source.error(at, "operator-type", f"`{operator.name}` never fits `{named.path}`, which is of type {attribute.type}", expected=fitting)
        return False
    if operator.query_keys and (named.path.root != "request" or named.path.names != ("Identifier",) or where.base is not None):
        source.error(at, "operator-place", f"`{operator.name}` is about a query's keys", expected="a path below `request.Identifier.`")
        return False
    if where.opening and attribute.many and not operator.opening_ok:
        allowed = (name for name, other in source.tables.operators.items() if other.opening_ok and _type_fits(other, named))
        message = f"`{named.path}` may have several values: one that fits `{operator.name}` would be enough to open"
        source.error(at, "opening-position", message, expected=listed(allowed), hint=_meant(operator))
        return False
    return True


def _meant(operator: Operator) -> str:
    return {
        "equals": "`contains` if one of several is meant, `every` if all of them are",
        "in": "`contains_any` if one of several is meant, `subset_of` if all of them are",
        "not_equals": "`every: {not_equals: …}`",
        "not_in": "`every: {not_in: …}`",
    }.get(operator.name, f"`every: {{{operator.name}: …}}`" if operator.name != "item" else "")


def paths(found: Condition | None) -> list[Path]:
    """The paths that a condition reads, but inside ``item``."""
    read: list[Path] = []
    if found is not None:
        _add_paths(found, read)
    return read


def _add_paths(found: Condition, read: list[Path]) -> None:
    if isinstance(found, Test):
        read.append(found.path)
        for check in found.checks:
            read += _argument_paths(check.argument)
    elif isinstance(found, All) or isinstance(found, Any):  # noqa: SIM101 - a union would be made each time
        for part in found.conditions:
            _add_paths(part, read)
    elif isinstance(found, Not):
        _add_paths(found.condition, read)
    else:
        assert_never(found)


def _argument_paths(found: ast.Argument) -> list[Path]:
    if isinstance(found, ast.Operands):
        return [other.path for other in found.operands if isinstance(other, ast.PathOperand)]
    if isinstance(found, ast.Row):
        return [other.path for _, other in found.match]
    if isinstance(found, ast.Nested):
        return [path for check in found.checks for path in _argument_paths(check.argument)]
    return []
