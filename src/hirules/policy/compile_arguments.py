"""Arguments of operators: one function for each kind that the table of operators knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import re2

from hirules.model.scalars import Scalar, Type
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import Age, Argument, Flag, Items, ListOperand, Nested, Operands, Row, Value, Weekdays, Window
from hirules.policy.compile_literals import duration, is_network, list_operand, operand, reference, table, unescaped, value
from hirules.policy.compile_paths import Named, Where, item_base
from hirules.policy.compile_paths import operand as path_operand
from hirules.policy.compile_source import Source, is_flag, plain
from hirules.policy.document import Node, ScalarNode, SequenceNode
from hirules.policy.findings import did_you_mean, listed
from hirules.policy.operators import WEEKDAYS, ArgumentKind, Operator


class Place(msgspec.Struct, frozen=True):
    """The operator that an argument is for, the attribute it is applied to, and what surrounds it."""

    operator: Operator
    named: Named
    where: Where
    zone: str | None

    @property
    def attribute(self) -> Attribute:
        """The attribute that is tested."""
        return self.named.attribute

    @property
    def whole(self) -> bool:
        """Whether operands need an order."""
        return self.operator.argument is ArgumentKind.RANGE or self.operator.name in ("lt", "lte", "gt", "gte")


def argument(source: Source, node: Node, place: Place) -> Argument | None:
    """The argument under an operator; ``None`` after a finding."""
    return _KINDS[place.operator.argument](source, node, place)


def _flag(source: Source, node: Node, place: Place) -> Argument | None:
    if isinstance(node, ScalarNode) and is_flag(node):
        return Flag(node.text == "true")
    source.error(node, "argument", f"`{place.operator.name}` is asked by true or false", expected="`true` or `false`")
    return None


def _operand(source: Source, node: Node, place: Place) -> Argument | None:
    if isinstance(node, SequenceNode):
        source.error(node, "argument", f"`{place.operator.name}` compares with one value", expected="one value", hint=_list_operator(place))
        return None
    found = operand(source, node, place.attribute, place.where, whole=place.whole)
    return None if found is None else Operands((found,))


def known_operands(source: Source, node: Node, attribute: Attribute, operator: Operator) -> Operands | None:
    """The argument of ``equals`` or ``in`` where its texts have been read before; most have been in a large set."""
    literals, here = source.known.literals, id(attribute)
    if isinstance(node, ScalarNode):
        one = literals.get((here, node.text, False, operator.argument is ArgumentKind.OPERANDS))
        return None if one is None else Operands((one[1],))
    if not isinstance(node, SequenceNode) or operator.argument is not ArgumentKind.OPERANDS:
        return None
    found = []
    for item in node.items:
        one = literals.get((here, item.text, False, True)) if isinstance(item, ScalarNode) else None
        if one is None:
            return None
        found.append(one[1])
    return Operands(tuple(found)) if found else None


def _list_operator(place: Place) -> str:
    other = {"equals": "in", "not_equals": "not_in", "contains": "contains_any"}.get(place.operator.name)
    return f"`{other}` takes a list" if other else ""


def _operands(source: Source, node: Node, place: Place) -> Argument | None:
    items = source.sequence(node, f"`{place.operator.name}`") if isinstance(node, SequenceNode) else (node,)
    found = tuple(operand(source, item, place.attribute, place.where, member=True) for item in items or ())
    whole = tuple(one for one in found if one is not None)
    return Operands(whole) if whole and len(whole) == len(found) else None


def _range(source: Source, node: Node, place: Place) -> Argument | None:
    if not isinstance(node, SequenceNode) or len(node.items) != 2:
        source.error(node, "argument", f"`{place.operator.name}` needs two ends", expected="a list of two values, `[from, to]`")
        return None
    low, high = (operand(source, item, place.attribute, place.where, whole=True) for item in node.items)
    if low is None or high is None:
        return None
    if isinstance(low, Value) and isinstance(high, Value) and _reversed(low.value, high.value):
        source.error(node, "argument", "the second end comes before the first: nothing lies between them", expected="`[from, to]`")
        return None
    return Operands((low, high))


def _reversed(low: Scalar, high: Scalar) -> bool:
    try:
        return bool(high < low)  # type: ignore[operator]
    except TypeError:  # one with an offset, one without
        return False


def _texts(source: Source, node: Node, place: Place, check: Callable[[Source, Node, str, str], bool]) -> Argument | None:
    """One or several texts, or lists of them, each passed by ``check(source, node, text, shown)``."""
    found: list[Value | ListOperand] = []
    items = source.sequence(node, f"`{place.operator.name}`") if isinstance(node, SequenceNode) else (node,)
    for item in items or ():
        scalar = source.scalar(item, f"the argument of `{place.operator.name}`", "a text, or a list of texts")
        if scalar is None:
            return None
        name = reference(scalar)
        if name is None:
            text = unescaped(scalar).text
            if not check(source, scalar, text, f"`{text}`"):
                return None
            found.append(Value(text))
            continue
        many = list_operand(source, scalar, name, place.attribute, texts=True)
        loaded = source.lists.get(name)
        if many is None or loaded is None:
            return None
        for index, text in enumerate(loaded.named.texts):
            if not check(source, scalar, text, f"`{text}` ({loaded.place(index)})" if loaded.shown else loaded.place(index)):
                return None
        found.append(many)
    return Operands(tuple(found)) if found else None


def _patterns(source: Source, node: Node, place: Place) -> Argument | None:
    return _texts(source, node, place, _not_empty)


def _not_empty(source: Source, node: Node, text: str, shown: str) -> bool:
    if not text:
        source.error(node, "argument", "an empty text matches nothing, or everything", expected="a text")
    return bool(text)


def _regexes(source: Source, node: Node, place: Place) -> Argument | None:
    return _texts(source, node, place, regex)


def regex(source: Source, node: Node, text: str, shown: str) -> bool:
    """Whether RE2 accepts ``text``; a finding where it does not."""
    if not _not_empty(source, node, text, shown):
        return False
    options = re2.Options()
    options.log_errors = False
    try:
        # by itself, so that `a)(b` does not slip through, and as the operator runs it
        re2.compile(text, options)
        re2.compile(f"(?i)(?:{text})", options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else ""
        why = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        source.error(node, "regex", f"{shown} is no pattern of RE2: {why}", expected="RE2 syntax, which has no look-around and no back-references")
        return False
    return True


def _networks(source: Source, node: Node, place: Place) -> Argument | None:
    return _texts(source, node, place, _is_network)


def _is_network(source: Source, node: Node, text: str, shown: str) -> bool:
    if is_network(text):
        return True
    source.error(node, "literal", f"{shown} is no network", expected="a network, `10.1.0.0/16`, or an address")
    return False


def _age(source: Source, node: Node, place: Place) -> Argument | None:
    scalar = source.scalar(node, f"the argument of `{place.operator.name}`", "a duration, `90d`")
    found = None if scalar is None else duration(source, scalar, "dwy" if place.attribute.type is Type.DATE else "mhdwy")
    return None if found is None else Age(found, place.zone)


def _window(source: Source, node: Node, place: Place) -> Argument | None:
    if not isinstance(node, SequenceNode) or len(node.items) != 2:
        source.error(node, "argument", f"`{place.operator.name}` needs two times", expected='`["20:00", "06:00"]`')
        return None
    clock = msgspec.structs.replace(place.attribute, type=Type.TIME, values=())
    ends = [value(source, scalar, clock, whole=True) for item in node.items if (scalar := source.scalar(item, "an end of the window", "a time, `20:00`"))]
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        return None
    if ends[0] == ends[1]:
        source.error(node, "argument", "both ends are the same: that is no time at all, or all day", expected="two different times")
        return None
    return Window(ends[0], ends[1], place.zone)


def _weekdays(source: Source, node: Node, place: Place) -> Argument | None:
    days = []
    for item in source.several(node, "`weekday`"):
        scalar = source.scalar(item, "a day", "a day of the week, `mon`")
        if scalar is None:
            return None
        if scalar.text not in WEEKDAYS:
            expected = ", ".join(f"`{name}`" for name in WEEKDAYS if len(name) == 3)
            source.error(scalar, "literal", f"`{scalar.text}` is no day of the week", expected=expected, hint=did_you_mean(scalar.text, WEEKDAYS))
            return None
        days.append(WEEKDAYS[scalar.text])
    return Weekdays(frozenset(days), place.zone) if days else None


def _row(source: Source, node: Node, place: Place) -> Argument | None:
    name = place.operator.name
    mapping = source.mapping(node, f"the argument of `{name}`", "`{list: $name, match: {column: path}}`")
    if mapping is None:
        return None
    source.keys(mapping, f"`{name}`", ("list", "match"), ("list", "match"))
    list_node, match_node = mapping.get("list"), mapping.get("match")
    rows = None
    if list_node is not None:
        called = reference(list_node)
        if called is None:
            expected = listed(f"${known}" for known in source.lists) or "`$name`"
            source.error(list_node, "argument", f"the list of `{name}` is named with a `$`", expected=expected)
        else:
            rows = table(source, list_node, called)
    match = None if match_node is None else source.mapping(match_node, f"`match` of `{name}`", "`{column: path}`")
    if match is None or rows is None:
        return None
    if not match.entries:
        source.error(match, "empty", "`match` is empty", expected="`{column: path}`", length=2)
        return None
    pairs = []
    for column, (key, path_node) in match.entries.items():
        if column not in rows.columns:
            hint = did_you_mean(column, rows.columns)
            source.error(key, "list-file", f"the list `${rows.name}` has no column `{column}`", expected=listed(rows.columns), hint=hint)
            continue
        found = path_operand(source, path_node, place.where)
        if found is None:
            continue
        if place.where.opening and found.attribute.many:
            message = f"`{found.attribute.path}` may have several values, and one of them would be enough to open"
            source.error(path_node, "opening-position", message, expected="an attribute with one value")
            continue
        pairs.append((column, found))
    if len(pairs) < len(match.entries):
        return None
    if all(found.path != place.named.path for _, found in pairs):
        source.warn(node, "row-elsewhere", f"`{place.named.path}` is not among the paths that are matched, and plays no part", expected="it in `match`")
    return Row(rows, tuple(pairs))


def _nested(source: Source, node: Node, place: Place) -> Argument | None:
    from hirules.policy.compile_conditions import checks  # a matcher holds operators, and these hold matchers

    one = msgspec.structs.replace(place.attribute, many=False)
    where = msgspec.structs.replace(place.where, present=True)
    found = checks(source, node, Named(place.named.path, one), where)
    return None if found is None else Nested(found)


def _count(source: Source, node: Node, place: Place) -> Argument | None:
    number = msgspec.structs.replace(place.attribute, type=Type.INTEGER, values=())
    return _nested(source, node, Place(place.operator, Named(place.named.path, number), place.where, place.zone))


def _item(source: Source, node: Node, place: Place) -> Argument | None:
    from hirules.policy.compile_conditions import condition

    vocabulary = source.tables.vocabulary
    path = place.named.path
    family = None
    if place.where.base is None:
        family = vocabulary.attributes.get(".".join((path.root, *path.names)) + ".<Keyword>")
    base = item_base(place.named, place.where.base, family)
    if base is None:
        source.error(node, "operator-place", f"`{place.named.path}` has no items", expected="a sequence of a data set")
        return None
    found = condition(source, node, msgspec.structs.replace(place.where, base=base, present=False), "`item`")
    return None if found is None else Items(found)


def _plugin(source: Source, node: Node, place: Place) -> Argument | None:
    # the plugin's own schema is checked with the whole document's
    return plain(node)  # type: ignore[return-value]


_KINDS: Mapping[ArgumentKind, Callable[[Source, Node, Place], Argument | None]] = {
    ArgumentKind.FLAG: _flag,
    ArgumentKind.OPERAND: _operand,
    ArgumentKind.OPERANDS: _operands,
    ArgumentKind.PATTERNS: _patterns,
    ArgumentKind.REGEXES: _regexes,
    ArgumentKind.PREFIXES: _patterns,
    ArgumentKind.RANGE: _range,
    ArgumentKind.AGE: _age,
    ArgumentKind.WINDOW: _window,
    ArgumentKind.WEEKDAYS: _weekdays,
    ArgumentKind.ROW: _row,
    ArgumentKind.MATCHER: _nested,
    ArgumentKind.COUNT: _count,
    ArgumentKind.ITEM: _item,
    ArgumentKind.NETWORKS: _networks,
    ArgumentKind.PLUGIN: _plugin,
}

TIME_KINDS = frozenset({ArgumentKind.AGE, ArgumentKind.WINDOW, ArgumentKind.WEEKDAYS})
"""Kinds that a `tz` beside them concerns."""
