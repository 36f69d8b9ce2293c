"""The edits of a plugin's verdict, checked as a rule's are when a policy is loaded: a plugin may write no more than a rule may."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from hirules.model.path import PathError, parse_elements, parse_path
from hirules.model.scalars import Type, read
from hirules.model.vocabulary import Attribute, Vocabulary
from hirules.policy.ast import Edit, Position, Value
from hirules.policy.edits import EditArgument, EditFailed, EditKind
from hirules.policy.verdict import Verdict


def edits_of(verdict: Verdict, vocabulary: Vocabulary, edits: Mapping[str, EditKind], action: str) -> tuple[Edit, ...]:
    """The verdict's edits as those of a rule. Raises :class:`EditFailed`."""
    if not isinstance(verdict.edits, Mapping):
        raise EditFailed("its edits are no mapping of paths")
    found: list[Edit] = []
    for text, edit in verdict.edits.items():
        if not (isinstance(edit, tuple | list) and len(edit) == 2):
            raise EditFailed(f"`{text}` needs the name of an edit and its argument")
        found.append(_edit(str(text), str(edit[0]), edit[1], vocabulary, edits, action, Position(verdict.source, 1, 1)))
    return tuple(found)


def _edit(
    text: str, name: str, argument: object, vocabulary: Vocabulary, edits: Mapping[str, EditKind], action: str, position: Position
) -> Edit:  # fmt: skip
    kind = edits.get(name)
    if kind is None:
        raise EditFailed(f"there is no edit `{name}`")
    try:
        path = parse_path(text)
    except PathError as error:
        raise EditFailed(f"`{text}` is no path: {error}") from None
    attribute = vocabulary.lookup(path)
    if attribute is not None and attribute.type in (Type.SEQUENCE, Type.BINARY) and kind.argument is not EditArgument.NOTHING:
        raise EditFailed(f"`{name}` does not fit `{path.text}`")
    if attribute is None and kind.argument is EditArgument.NAMES:
        family = vocabulary.family(path)
        attribute = None if family is None else msgspec.structs.replace(family, path=path.text, type=Type.SEQUENCE)
    if attribute is None or path.original or action not in attribute.actions:
        raise EditFailed(f"`{action}` has no attribute `{path.text}`")
    if not attribute.writable:
        raise EditFailed(f"`{path.text}` cannot be rewritten")
    if kind.many and not attribute.many:
        raise EditFailed(f"`{name}` is for lists, and `{path.text}` is none")
    try:
        return Edit(name, path, attribute, _ARGUMENTS[kind.argument](argument, attribute), position)
    except (ValueError, TypeError, ArithmeticError, KeyError, PathError):
        raise EditFailed(f"the argument of `{name}` does not fit `{path.text}`") from None


def _values(argument: object, attribute: Attribute) -> tuple[Value, ...]:
    raws = argument if isinstance(argument, list | tuple) else [argument]
    if not raws:
        raise ValueError("no value")
    values = tuple(read(attribute.type, raw) for raw in raws)
    if "" in values:
        raise ValueError("zero-length, which `remove` makes")
    return tuple(Value(value) for value in values)


def _names(argument: object, attribute: Attribute) -> tuple[object, ...]:
    if not isinstance(argument, list | tuple) or not argument:
        raise ValueError("no names")
    if attribute.type is Type.SEQUENCE:
        return tuple(parse_elements(str(name)) for name in argument)
    return tuple(read(attribute.type, name) for name in argument)


def _table(argument: object, attribute: Attribute) -> Mapping[object, object]:
    if not isinstance(argument, Mapping):
        raise TypeError("no table")
    return {read(attribute.type, key): read(attribute.type, value) for key, value in argument.items()}


def _replacement(argument: object, attribute: Attribute) -> tuple[str, str]:
    if isinstance(argument, Mapping):
        return str(argument["regex"]), str(argument["with"])
    if isinstance(argument, list | tuple) and len(argument) == 2:
        return str(argument[0]), str(argument[1])
    raise TypeError("no pattern and template")


_ARGUMENTS: Mapping[EditArgument, Callable[[object, Attribute], object]] = {
    EditArgument.VALUE: _values,
    EditArgument.MEMBERS: _values,
    EditArgument.NOTHING: lambda argument, attribute: None,
    EditArgument.NAMES: _names,
    EditArgument.TABLE: _table,
    EditArgument.REPLACEMENT: _replacement,
    EditArgument.PLUGIN: lambda argument, attribute: argument,
}
