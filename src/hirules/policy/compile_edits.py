"""Rewrites: what is to be changed, only where the vocabulary says that it may be (LANGUAGE: Effects)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import re2

from hirules.model.path import PathError, parse_elements, path_of
from hirules.model.scalars import Scalar
from hirules.model.vocabulary import element_attribute
from hirules.policy.ast import Edit, Operand, Rewrite
from hirules.policy.compile_arguments import regex
from hirules.policy.compile_literals import NO_VALUE, list_operand, operand, reference, unescaped, value
from hirules.policy.compile_paths import Named, Where, family, resolve
from hirules.policy.compile_source import Source, plain
from hirules.policy.document import Node, ScalarNode, SequenceNode
from hirules.policy.edits import EditArgument, EditKind
from hirules.policy.findings import did_you_mean, listed


def rewrite(source: Source, node: Node, where: Where, skip: bool) -> Rewrite | None:
    """``rewrite: [edit, …]``."""
    items = source.sequence(node, "`rewrite`", "a list of edits, `- set: {path: value}`")
    if items is None:
        return None
    edits = [edit for item in items for edit in _edit(source, item, where, skip)]
    return Rewrite(tuple(edits), skip)


def _edit(source: Source, node: Node, where: Where, skip: bool) -> list[Edit]:
    """One entry of the list: one kind of edit, at one or several paths."""
    mapping = source.mapping(node, "an edit", "`set: {path: value}`")
    if mapping is None:
        return []
    kinds = source.tables.edits
    if len(mapping.entries) != 1:
        source.error(mapping, "argument", "an entry of `rewrite` is one edit", expected=listed(kinds))
        return []
    ((name, (key, body)),) = mapping.entries.items()
    kind = kinds.get(name)
    if kind is None:
        source.error(key, "unknown-edit", f"`{name}` is no edit", expected=listed(kinds), hint=did_you_mean(name, kinds))
        return []
    return _places(source, kind, body, where, skip)


def _places(source: Source, kind: EditKind, body: Node, where: Where, skip: bool) -> list[Edit]:
    found: list[Edit] = []
    if kind.argument is EditArgument.NOTHING:
        for item in source.several(body, f"`{kind.name}`"):
            scalar = source.scalar(item, f"an entry of `{kind.name}`", "a path")
            named = None if scalar is None else _place(source, scalar, kind, where, skip)
            if named is not None:
                found.append(Edit(kind.name, named.path, named.attribute, None, source.at(item)))
        return found
    mapping = source.mapping(body, f"`{kind.name}`", "`{path: …}`")
    if mapping is None:
        return []
    if not mapping.entries:
        source.error(mapping, "empty", f"`{kind.name}` is empty", expected="`{path: …}`", length=2)
    for key, node in mapping.entries.values():
        named = _place(source, key, kind, where, skip)
        if named is None:
            continue
        argument = _ARGUMENTS[kind.argument](source, node, named, where)
        if argument is not None:
            found.append(Edit(kind.name, named.path, named.attribute, argument, source.at(key)))
    return found


def _place(source: Source, node: ScalarNode, kind: EditKind, where: Where, skip: bool) -> Named | None:
    """What an edit touches, which must be writable."""
    whole = family(source, node, where) if kind.argument is EditArgument.NAMES else None
    named = whole or resolve(source, node, where)
    if named is None:
        return None
    attribute = named.attribute
    if not attribute.writable:
        why = "`original` is the request as it came" if named.path.original else "the vocabulary marks it as fixed"
        source.error(node, "not-writable", f"a rewrite may not change `{named.path}`: {why}", expected=_writable(source, where))
        return None
    if whole is None and (
        (kind.types is not None and attribute.type not in kind.types) or (attribute.type in NO_VALUE and kind.argument is not EditArgument.NOTHING)
    ):
        source.error(node, "edit-type", f"`{kind.name}` never fits `{named.path}`, which is of type {attribute.type}", expected=_fitting(source, named))
        return None
    if whole is None and not attribute.many and (kind.many or kind.argument is EditArgument.NAMES):
        source.error(node, "edit-type", f"`{kind.name}` is for lists, and `{named.path}` has one value", expected=_fitting(source, named))
        return None
    if skip and not attribute.harmless:
        harmless = listed(found.path for found in source.tables.vocabulary.attributes.values() if found.harmless)
        source.error(node, "not-harmless", f"`on_unknown: skip` would leave out an edit of `{named.path}`", expected=harmless)
    return named


def _writable(source: Source, where: Where) -> str:
    attributes = source.tables.vocabulary.attributes.values()
    return listed(found.path for found in attributes if found.writable and set(where.actions) <= found.actions) or "a rule without rewrite"


def _fitting(source: Source, named: Named) -> str:
    def fits(kind: EditKind) -> bool:
        if named.attribute.type in NO_VALUE:
            return kind.argument is EditArgument.NOTHING
        single = not named.attribute.many and (kind.many or kind.argument is EditArgument.NAMES)
        return (kind.types is None or named.attribute.type in kind.types) and not single

    return listed(name for name, kind in source.tables.edits.items() if fits(kind))


# Arguments.


def _value(source: Source, node: Node, named: Named, where: Where) -> object:
    if not isinstance(node, SequenceNode):
        return _operand(source, node, named, where)
    if not named.attribute.many:
        source.error(node, "argument", f"`{named.path}` has one value", expected="one value")
        return None
    return _members(source, node, named, where)


def _operand(source: Source, node: Node, named: Named, where: Where) -> Operand | None:
    return operand(source, node, named.attribute, where)


def _members(source: Source, node: Node, named: Named, where: Where) -> object:
    items = source.sequence(node, f"the values of `{named.path}`") if isinstance(node, SequenceNode) else (node,)
    found = [_member(source, item, named, where) for item in items or ()]
    return tuple(found) if found and None not in found else None


def _member(source: Source, node: Node, named: Named, where: Where) -> Operand | None:
    name = reference(node)
    return list_operand(source, node, name, named.attribute) if name is not None else _operand(source, node, named, where)


def _names(source: Source, node: Node, named: Named, where: Where) -> object:
    items = source.sequence(node, f"what `{named.path}` keeps")
    if items is None:
        return None
    is_data_set = named.attribute.path + ".<Keyword>" in source.tables.vocabulary.attributes
    found: list[object] = []
    for item in items:
        scalar = source.scalar(item, f"an entry of `{named.path}`")
        if scalar is None:
            return None
        name = reference(scalar)
        if name is not None and not is_data_set:
            many = list_operand(source, scalar, name, named.attribute)
            found.extend((None,) if many is None else many.values)
        else:
            found.append(_element(source, scalar, named) if is_data_set else value(source, unescaped(scalar), named.attribute))
    return None if None in found else tuple(found)


def _element(source: Source, node: ScalarNode, named: Named) -> object:
    try:
        steps = parse_elements(node.text)
    except PathError as error:
        source.error(node, "invalid-path", f"{error} in `{node.text}`", expected=error.expected, offset=error.offset)
        return None
    whole = path_of(named.path.root, named.path.steps + steps)
    attribute = source.tables.vocabulary.lookup(whole)
    if attribute is None or element_attribute(source.tables.vocabulary.attributes[named.attribute.path + ".<Keyword>"], whole) is None:
        # the finding says what is near
        resolve(source, msgspec.structs.replace(node, text=f"{named.path}.{node.text}"), Where(()))
        return None
    return steps


def _table(source: Source, node: Node, named: Named, where: Where) -> object:
    mapping = source.mapping(node, f"the table of `{named.path}`", "`{from: to, …}`")
    if mapping is None:
        return None
    if not mapping.entries:
        source.error(mapping, "empty", f"the table of `{named.path}` is empty", expected="`{from: to, …}`", length=2)
        return None
    found: dict[Scalar, Scalar] = {}
    complete = True
    for key, node_to in mapping.entries.values():
        to = source.scalar(node_to, f"an entry of the table of `{named.path}`")
        before = value(source, unescaped(key), named.attribute)
        after = None if to is None else value(source, unescaped(to), named.attribute)
        if before is None or after is None:
            complete = False
        elif before in found:
            source.error(key, "duplicate-key", f"`{key.text}` is the same value as an earlier entry", expected="each value once")
            complete = False
        else:
            found[before] = after
    return found if complete else None


def _replacement(source: Source, node: Node, named: Named, where: Where) -> object:
    mapping = source.mapping(node, "`replace`", "`{regex: …, with: …}`")
    if mapping is None:
        return None
    source.keys(mapping, "`replace`", ("regex", "with"), ("regex", "with"))
    parts = [mapping.get("regex"), mapping.get("with")]
    pattern, template = (None if part is None else source.scalar(part, "a part of `replace`", "a text") for part in parts)
    if pattern is None or template is None or not regex(source, pattern, pattern.text, f"`{pattern.text}`"):
        return None
    groups = re2.compile(pattern.text).groups
    if _highest_group(template.text) > groups:
        source.error(template, "argument", f"`with` names group {_highest_group(template.text)}", expected=f"at most {groups}: so many groups the pattern has")
        return None
    return pattern.text, template.text


def _highest_group(template: str) -> int:
    """The highest ``\\n`` of a template, whose backslash is not itself escaped."""
    highest, at = 0, 0
    while (at := template.find("\\", at)) >= 0 and at + 1 < len(template):
        if template[at + 1].isdigit():
            highest = max(highest, int(template[at + 1]))
        at += 2
    return highest


def _plugin(source: Source, node: Node, named: Named, where: Where) -> object:
    # the plugin's own schema is checked with the whole document's
    return plain(node)


_ARGUMENTS: Mapping[EditArgument, Callable[[Source, Node, Named, Where], object]] = {
    EditArgument.VALUE: _value,
    EditArgument.NAMES: _names,
    EditArgument.MEMBERS: _members,
    EditArgument.TABLE: _table,
    EditArgument.REPLACEMENT: _replacement,
    EditArgument.PLUGIN: _plugin,
}
