"""The operators of the language: the table that the schema, the checker, the evaluators and the docs share (LANGUAGE: Conditions).

An operator answers ``True``, ``False`` or ``None`` (unknown) for what a path reads. It holds where one value satisfies
it; a negated operator is the negation of the other one: Kleene's ``not``, so that absent makes it true and unknown stays
unknown. Where empty means everything, what looks for a value finds it, and ``subset_of`` and ``every`` do not hold.

``tz`` is no operator: it stands beside ``older_than``, ``newer_than``, ``time_between``, ``weekday`` in their matcher.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

import msgspec

from hirules.model.reading import Reading
from hirules.model.scalars import ORDERED, TEXTUAL, Type
from hirules.policy import members, moments, patterns
from hirules.policy.ast import Argument, Flag, Items, Nested, Row
from hirules.policy.truth import Scope, Truth, kleene_all, kleene_any, kleene_not

Evaluate = Callable[[Reading, Any, Scope], Truth]
Schema = Mapping[str, object]


class ArgumentKind(Enum):
    """How the argument is written, and which struct of the AST it becomes."""

    FLAG = "true or false → Flag"
    OPERAND = "one operand → Operands"
    OPERANDS = "one or several operands → Operands"
    PATTERNS = "one or several globs → Operands of texts"
    REGEXES = "one or several RE2 patterns → Operands of texts"
    PREFIXES = "one or several texts → Operands of texts"
    RANGE = "two operands → Operands"
    AGE = "a duration → Age"
    WINDOW = "two times → Window"
    WEEKDAYS = "one or several days → Weekdays"
    ROW = "{list, match} → Row"
    MATCHER = "a matcher on the path's own type → Nested"
    COUNT = "a matcher on an integer → Nested"
    ITEM = "a condition on one sequence item → Items"
    NETWORKS = "one or several networks → Operands of texts"
    PLUGIN = "as the plugin's schema says"


class Operator(msgspec.Struct, frozen=True):
    """One operator.

    ``types``       of the paths it fits; ``None``: every type
    ``query_keys``  only below ``request.Identifier``, and reads the key's own text
    ``opening_ok``  allowed for a multi-valued path in an opening position
    ``negates``     the operator whose negation it is
    """

    name: str
    argument: ArgumentKind
    types: frozenset[Type] | None
    evaluate: Evaluate
    schema: Schema
    doc: str
    example: str
    query_keys: bool = False
    opening_ok: bool = False
    negates: str | None = None


COMPARABLE = frozenset(Type) - {Type.BINARY, Type.SEQUENCE}
AGED = frozenset({Type.DATE, Type.DATETIME})
CLOCKED = frozenset({Type.TIME, Type.DATETIME})
WEEKDAYS: Mapping[str, int] = {
    name: number
    for number, names in enumerate(
        (
            ("mon", "monday"), ("tue", "tuesday"), ("wed", "wednesday"), ("thu", "thursday"),
            ("fri", "friday"), ("sat", "saturday"), ("sun", "sunday"),
        )
    )
    for name in names
}  # fmt: skip
"""The days of ``weekday``; Monday is 0 as in the standard library."""


# How arguments are written.

_TEXT: Schema = {"type": ["string", "number", "boolean"]}
_OPERAND: Schema = {
    "anyOf": [
        _TEXT,
        {
            "type": "object",
            "properties": {"path": {"title": "path", "description": "the value of another attribute", "type": "string", "examples": ["subject.user"]}},
            "required": ["path"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "today": {
                    "title": "today",
                    "description": "a date so many days, weeks or years from today",
                    "type": ["string", "number"],
                    "pattern": "^[+-]?[0-9]+[dwy]?$",
                    "examples": ["-31d"],
                }
            },
            "required": ["today"],
            "additionalProperties": False,
        },
    ]
}


def one_or_several(schema: Schema) -> Schema:
    """A schema for one of these, or a list of at least one."""
    return {"anyOf": [schema, {"type": "array", "items": schema, "minItems": 1}]}


_SCHEMAS: Mapping[ArgumentKind, Schema] = {
    ArgumentKind.FLAG: {"type": "boolean"},
    ArgumentKind.OPERAND: _OPERAND,
    ArgumentKind.OPERANDS: one_or_several(_OPERAND),
    ArgumentKind.PATTERNS: one_or_several(_TEXT),
    ArgumentKind.REGEXES: one_or_several(_TEXT),
    ArgumentKind.PREFIXES: one_or_several(_TEXT),
    ArgumentKind.NETWORKS: one_or_several(_TEXT),
    ArgumentKind.RANGE: {"type": "array", "items": _OPERAND, "minItems": 2, "maxItems": 2},
    ArgumentKind.AGE: {"type": "string", "pattern": "^[0-9]+[mhdwy]$"},
    ArgumentKind.WINDOW: {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 2, "maxItems": 2},
    ArgumentKind.WEEKDAYS: one_or_several({"enum": list(WEEKDAYS)}),
    ArgumentKind.ROW: {
        "type": "object",
        "properties": {
            "list": {"title": "list", "description": "a list with columns", "type": "string", "pattern": r"^\$", "examples": ["$agreements"]},
            "match": {
                "title": "match",
                "description": "the path that each column equals",
                "type": "object",
                "additionalProperties": {"type": "string"},
                "minProperties": 1,
                "examples": [{"ae_title": "request.MoveDestination", "peer": "subject.ae_title"}],
            },
        },
        "required": ["list", "match"],
        "additionalProperties": False,
    },
    ArgumentKind.MATCHER: {"$ref": "#/$defs/matcher"},
    ArgumentKind.COUNT: {"$ref": "#/$defs/matcher"},
    ArgumentKind.ITEM: {"$ref": "#/$defs/condition"},
}


# What is not about members, patterns or moments.


def _exists(reading: Reading, argument: Flag, scope: Scope) -> Truth:
    if reading.present or reading.values:
        return argument.value
    if reading.unknown is not None:
        return None
    return not argument.value


def _every(reading: Reading, argument: Nested, scope: Scope) -> Truth:
    results = [scope.passes(argument.checks, Reading((value,), present=True), scope.attribute) for value in reading.values]
    if False in results:
        return False
    if reading.unknown is not None:
        return None
    # INVARIANT: false where there is no value, also where empty means everything
    return kleene_all(results) if results else False


def _count(reading: Reading, argument: Nested, scope: Scope) -> Truth:
    if reading.everything or reading.unknown is not None:
        return None
    number = msgspec.structs.replace(scope.attribute, type=Type.INTEGER, many=False)
    return scope.passes(argument.checks, Reading((len(reading.values),), present=True), number)


def _item(reading: Reading, argument: Items, scope: Scope) -> Truth:
    return members.some(reading, lambda item: scope.holds(argument.condition, item))


def _row_of(reading: Reading, argument: Row, scope: Scope) -> Truth:
    """The truth depends on ``match`` only; ``reading`` is that of the path above it."""
    readings = [(column, operand.attribute.type, scope.operand(operand, operand.attribute)) for column, operand in argument.match]
    return kleene_any(
        [kleene_all([members.equals_text(found, type_, row.get(column, ""), scope.zone) for column, type_, found in readings]) for row in argument.table.rows]
    )


def _negated(positive: Evaluate) -> Evaluate:
    return lambda reading, argument, scope: kleene_not(positive(reading, argument, scope))


def _operator(
    name: str, argument: ArgumentKind, types: frozenset[Type] | None, evaluate: Evaluate, doc: str, example: str,
    query_keys: bool = False, opening_ok: bool = False,
) -> tuple[Operator, ...]:  # fmt: skip
    return (Operator(name, argument, types, evaluate, _SCHEMAS[argument], doc, example, query_keys, opening_ok),)


def _pair(name: str, argument: ArgumentKind, types: frozenset[Type] | None, evaluate: Evaluate, doc: str, example: str, path: str) -> tuple[Operator, ...]:
    """An operator and its negation."""
    negation = Operator(
        f"not_{name}", argument, types, _negated(evaluate), _SCHEMAS[argument],
        f"`{name}` does not hold; true where the attribute is absent", f"{path}: {{not_{name}: {example}}}", negates=name,
    )  # fmt: skip
    return (Operator(name, argument, types, evaluate, _SCHEMAS[argument], doc, f"{path}: {{{name}: {example}}}"), negation)


_K = ArgumentKind
_TABLE: tuple[Operator, ...] = (
    *_operator("exists", _K.FLAG, None, _exists, "the attribute is there and not zero-length; a key of a C-FIND also where it is zero-length",
               "request.AttributeIdentifierList: {exists: true}", opening_ok=True),
    *_pair("equals", _K.OPERAND, COMPARABLE, members.one_of, "a value is this one", "PACS_MAIN", "subject.ae_title"),
    *_pair("in", _K.OPERANDS, COMPARABLE, members.one_of, "a value is one of these", "[PACS_MAIN, PACS_DR]", "subject.ae_title"),
    *_pair("row_of", _K.ROW, None, _row_of, "a row of the table has these values in these columns",
           "{list: $agreements, match: {ae_title: request.MoveDestination, peer: subject.ae_title}}", "request.MoveDestination"),
    *_pair("glob", _K.PATTERNS, TEXTUAL, patterns.glob, "a value matches a pattern: `*` any characters, `?` one", "RES_*", "subject.ae_title"),
    *_pair("regex", _K.REGEXES, TEXTUAL, patterns.regex, "a whole value matches an RE2 pattern", '"RES_[0-9]+"', "subject.ae_title"),
    *_operator("starts_with", _K.PREFIXES, TEXTUAL, patterns.starts_with, "a value starts with one of these",
               "request.AffectedSOPClassUID: {starts_with: 1.2.840.10008.5.1.4.1.2.}"),
    *_operator("ends_with", _K.PREFIXES, TEXTUAL, patterns.ends_with, "a value ends with one of these", "subject.ae_title: {ends_with: _WS}"),
    *_operator("lt", _K.OPERAND, ORDERED, members.order("lt"), "a value is less, or earlier", "resource.StudyDate: {lt: 2020-01-01}"),
    *_operator("lte", _K.OPERAND, ORDERED, members.order("le"), "a value is at most this", "resource.instance_count: {lte: 500}"),
    *_operator("gt", _K.OPERAND, ORDERED, members.order("gt"), "a value is greater, or later", "resource.instance_count: {gt: 500}"),
    *_operator("gte", _K.OPERAND, ORDERED, members.order("ge"), "a value is at least this", "resource.StudyDate: {gte: {today: -31d}}"),
    *_operator("between", _K.RANGE, ORDERED, members.between, "a value lies between these two, both included",
               "resource.StudyDate: {between: [2020-01-01, 2020-12-31]}"),
    *_operator("older_than", _K.AGE, AGED, moments.older_than, "a date lies more than this long ago", "resource.StudyDate: {older_than: 90d}"),
    *_operator("newer_than", _K.AGE, AGED, moments.newer_than, "a date lies less than this long ago, or ahead", "resource.StudyDate: {newer_than: 90d}"),
    *_operator("time_between", _K.WINDOW, CLOCKED, moments.time_between, "a time of day is at or after the first and before the second; may pass midnight",
               'context.now: {time_between: ["20:00", "06:00"]}'),
    *_operator("weekday", _K.WEEKDAYS, AGED, moments.weekday, "a date is one of these days", "context.now: {weekday: [sat, sun]}"),
    *_operator("contains", _K.OPERAND, COMPARABLE, members.one_of, "this is one of the values", "request.keys: {contains: PatientName}", opening_ok=True),
    *_operator("contains_any", _K.OPERANDS, COMPARABLE, members.one_of, "one of these is one of the values",
               "request.keys: {contains_any: [PatientName, PatientBirthDate]}", opening_ok=True),
    *_operator("contains_all", _K.OPERANDS, COMPARABLE, members.contains_all, "all of these are among the values",
               "request.keys: {contains_all: [StudyInstanceUID, StudyDate]}", opening_ok=True),
    *_operator("subset_of", _K.OPERANDS, COMPARABLE, members.subset_of, "there is a value, and all values are among these",
               "request.AttributeIdentifierList: {subset_of: [PrinterStatus, PrinterName]}", opening_ok=True),
    *_operator("count", _K.COUNT, None, _count, "the number of values, 0 where absent",
               "request.Identifier.StudyInstanceUID: {count: {lte: 1}}", opening_ok=True),
    *_operator("every", _K.MATCHER, None, _every, "there is a value, and every value satisfies this",
               "resource.ModalitiesInStudy: {every: {in: [CT, MR]}}", opening_ok=True),
    *_operator("item", _K.ITEM, frozenset({Type.SEQUENCE}), _item, "one item of the sequence satisfies all of this",
               "request.Identifier.ScheduledProcedureStepSequence: {item: {Modality: CT}}"),
    *_pair("cidr", _K.NETWORKS, frozenset({Type.ADDRESS}), patterns.cidr, "an address lies in one of these networks", "10.0.0.0/8", "subject.address"),
    *_operator("wildcard", _K.FLAG, COMPARABLE, patterns.wildcard, "the key holds `*` or `?`",
               "request.Identifier.PatientID: {wildcard: true}", query_keys=True),
    *_operator("universal", _K.FLAG, COMPARABLE, patterns.universal, "the key matches everything: missing, zero-length or `*`",
               "request.Identifier.StudyInstanceUID: {universal: true}", query_keys=True),
    *_operator("range_wider_than", _K.AGE, AGED, moments.range_wider_than,
               "the key's range of dates has more days than this; also where missing, zero-length, open-ended or a wildcard",
               "request.Identifier.StudyDate: {range_wider_than: 31d}", query_keys=True),
)  # fmt: skip

OPERATORS: Mapping[str, Operator] = {operator.name: operator for operator in _TABLE}

__all__ = ["OPERATORS", "WEEKDAYS", "Argument", "ArgumentKind", "Operator", "one_or_several"]
