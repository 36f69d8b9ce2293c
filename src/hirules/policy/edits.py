"""The edits of a rewrite: the table that the schema, the checker, the evaluators and the docs share (LANGUAGE: Effects).

An edit says what is at its place afterwards: a reading of canonical scalars, where absent removes. It
never sees another edit. Several at one place are combined first, where their kind unites or intersects, and their
results compared then (``rewriting.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
import re2

from hirules.model.reading import ABSENT, Reading
from hirules.model.scalars import TEXTUAL, Type, read
from hirules.model.vocabulary import Attribute
from hirules.policy.members import same


class EditArgument(Enum):
    """How the argument behind the path is written, and what ``ast.Edit.argument`` holds then."""

    VALUE = "an operand, or a list of them → Operand or tuple of them"
    NOTHING = "no argument: the edit is a path, or a list of paths → None"
    NAMES = "a list of elements for a data set, of values for a list → tuple of steps, or of scalars"
    MEMBERS = "an operand, or a list of them → tuple of Operand"
    TABLE = "a mapping of values → Mapping[Scalar, Scalar]"
    REPLACEMENT = "{regex, with} → (pattern, template)"
    PLUGIN = "as the plugin's schema says"


class Combining(Enum):
    """What several edits of this kind at one place make together."""

    EQUAL = "their results must be equal"
    UNITE = "their members unite"
    INTERSECT = "their names intersect"


class EditFailed(Exception):
    """An edit that cannot be carried out. The message quotes no value."""


Apply = Callable[[Reading, Any, Attribute], Reading]
"""``apply(current, argument, attribute)``: what is at the place afterwards. Operands come as a tuple of canonical scalars."""


class EditKind(msgspec.Struct, frozen=True):
    """One kind of edit.

    ``many``   only for multi-valued paths
    ``types``  of the paths it fits; ``None``: every type that has values
    """

    name: str
    argument: EditArgument
    apply: Apply
    schema: Mapping[str, object]
    doc: str
    example: str
    combining: Combining = Combining.EQUAL
    many: bool = False
    types: frozenset[Type] | None = None


def _set(current: Reading, argument: tuple[object, ...], attribute: Attribute) -> Reading:
    return Reading(argument, present=True)


def _default(current: Reading, argument: tuple[object, ...], attribute: Attribute) -> Reading:
    known = _known(current)
    return Reading(argument, present=True) if known.absent else known


def _remove(current: Reading, argument: None, attribute: Attribute) -> Reading:
    # where empty means everything, removing what is not there does nothing, as elsewhere
    return current if current.absent else ABSENT


def _keep_only(current: Reading, argument: tuple[object, ...], attribute: Attribute) -> Reading:
    known = _known(current)
    if known.everything:
        return _of(argument)
    return _of(value for value in known.values if _in(value, argument)) if known.values else known


def _add(current: Reading, argument: tuple[object, ...], attribute: Attribute) -> Reading:
    known = _known(current)
    return known if known.everything else _of((*known.values, *argument))


def _drop(current: Reading, argument: tuple[object, ...], attribute: Attribute) -> Reading:
    known = _known(current)
    if known.everything:
        raise EditFailed("members cannot be dropped where empty means everything")
    if not known.values:  # a zero-length key of a query stays one
        return known
    return _of(value for value in known.values if not _in(value, argument))


def _map(current: Reading, argument: Mapping[object, object], attribute: Attribute) -> Reading:
    values = [argument[value] for value in _known(current).values if value in argument]
    if len(values) < len(current.values) or current.everything:
        raise EditFailed("a value has no entry in the table")
    return msgspec.structs.replace(current, values=tuple(values))


def _replace(current: Reading, argument: tuple[str, str], attribute: Attribute) -> Reading:
    pattern, template = argument
    flags = "(?i)" if attribute.type is Type.AE_TITLE else ""
    if current.everything:
        raise EditFailed("a value does not match the pattern")
    values = [_replaced(f"{flags}(?:{pattern})", template, str(value), attribute.type) for value in _known(current).values]
    written = tuple(value for value in values if value != "")
    return msgspec.structs.replace(current, values=written) if written or not current.values else ABSENT


def _replaced(pattern: str, template: str, text: str, type_: Type) -> object:
    try:
        match = re2.fullmatch(pattern, text)
    except UnicodeEncodeError:  # a lone surrogate, which no UTF-8 holds
        raise EditFailed("a value is no valid text") from None
    if match is None:
        raise EditFailed("a value does not match the pattern")
    try:
        return read(type_, match.expand(template))
    except (ValueError, IndexError, re2.error):
        raise EditFailed("the replacement cannot be written") from None


def _known(current: Reading) -> Reading:
    if current.unknown is not None:
        raise EditFailed(f"its value is unknown: {current.unknown}")
    return current


def _in(value: object, members: Sequence[object]) -> bool:
    return any(same(value, member) for member in members)


def _of(values: Any) -> Reading:
    """A reading of these values, each once; absent where there is none."""
    found: list[object] = []
    for value in values:
        if not _in(value, found):
            found.append(value)
    return Reading(tuple(found), present=True) if found else ABSENT


_TEXT: Mapping[str, object] = {"type": ["string", "number", "boolean"]}
_OPERAND: Mapping[str, object] = {
    "anyOf": [
        _TEXT,
        {
            "type": "object",
            "properties": {
                "path": {"title": "path", "description": "the value of another attribute", "type": "string", "examples": ["subject.ae_title"]},
                "today": {"title": "today", "description": "a date so many days, weeks or years from today", **_TEXT, "examples": ["-31d"]},
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}
_OPERANDS: Mapping[str, object] = {"anyOf": [_OPERAND, {"type": "array", "items": _OPERAND, "minItems": 1}]}
_NAMES: Mapping[str, object] = {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1}
_REPLACEMENT: Mapping[str, object] = {
    "type": "object",
    "properties": {
        "regex": {"title": "regex", "description": "an RE2 pattern that the whole value must match", "type": "string", "examples": ["OLD_(.*)"]},
        "with": {"title": "with", "description": "what it becomes; `\\1` is the first group", **_TEXT, "examples": ["NEW_\\1"]},
    },
    "required": ["regex", "with"],
    "additionalProperties": False,
}

_TABLE: tuple[EditKind, ...] = (
    EditKind("set", EditArgument.VALUE, _set, _OPERANDS,
             "gives the attribute this value; creates its parents, but no sequence item", "set: {request.MoveDestination: PACS_MAIN}"),
    EditKind("default", EditArgument.VALUE, _default, _OPERANDS,
             "gives the attribute this value where it is absent", "default: {request.Priority: 2}"),
    EditKind("remove", EditArgument.NOTHING, _remove, {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]},
             "takes the attribute away", "remove: request.Identifier.PatientBirthDate"),
    EditKind("keep_only", EditArgument.NAMES, _keep_only, _NAMES,
             "takes away everything but these: elements of a data set with all below them, or members of a list",
             "keep_only: {request.AttributeIdentifierList: [PrinterStatus, PrinterStatusInfo]}", Combining.INTERSECT),
    EditKind("add", EditArgument.MEMBERS, _add, _OPERANDS,
             "adds members to a list", "add: {request.AttributeIdentifierList: PrinterStatus}", Combining.UNITE, many=True),
    EditKind("drop", EditArgument.MEMBERS, _drop, _OPERANDS,
             "takes members out of a list; fails where empty means everything", "drop: {request.removed: Patient.PatientComments}", Combining.UNITE, many=True),
    EditKind("map", EditArgument.TABLE, _map, {"type": "object", "additionalProperties": _TEXT, "minProperties": 1},
             "puts another value in the place of each, by a table; fails for a value that has no entry",
             "map: {request.MoveDestination: {OLDPACS: PACS_MAIN, PACS_MAIN: PACS_MAIN}}"),
    EditKind("replace", EditArgument.REPLACEMENT, _replace, _REPLACEMENT,
             "rewrites a text that matches RE2 as a whole; fails where it does not", "replace: {request.MoveDestination: {regex: 'OLD_(.*)', with: 'NEW_\\1'}}",
             types=TEXTUAL),
)  # fmt: skip

EDITS: Mapping[str, EditKind] = {kind.name: kind for kind in _TABLE}
