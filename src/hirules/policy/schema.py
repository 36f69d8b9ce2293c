"""The published JSON Schemas (draft 2020-12) of policies, written from the vocabulary and the tables.

They are for editors and other programs, and the last check of the loader: what the compiler accepts
must satisfy them. Scalars are as YAML 1.2's core schema reads them, so wherever the language reads
source text by the type of a path (``PatientID: 00123``), the schema takes text, numbers and booleans.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from hirules.model.decision import SEVERITIES
from hirules.model.path import ROOTS
from hirules.model.vocabulary import VOCABULARY, Vocabulary
from hirules.policy.compile_set import ATTRIBUTE_TYPES, COMBINING
from hirules.policy.compile_source import plain
from hirules.policy.document import parse
from hirules.policy.edits import EDITS, EditArgument, EditKind
from hirules.policy.findings import CODES, SILENCEABLE
from hirules.policy.operators import OPERATORS, ArgumentKind, Operator
from hirules.policy.schema_samples import matcher_of
from hirules.policy.schema_tests import policy_test_schema

__all__ = ["Schema", "policy_schema", "policy_set_schema", "policy_test_schema", "schemas", "text"]

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
HOME = "https://hirules.dev/schemas"
TEXT: Schema = {"type": ["string", "number", "boolean"]}
KEBAB = "^[a-z0-9]+(-[a-z0-9]+)*$"


def schemas(vocabulary: Vocabulary = VOCABULARY, operators: Mapping[str, Operator] = OPERATORS, edits: Mapping[str, EditKind] = EDITS) -> Mapping[str, Schema]:
    """The schemas of this package by their names: ``policy``, ``policy-set``, ``policy-test``."""
    return {
        "policy": titled(policy_schema(vocabulary, operators, edits)),
        "policy-set": titled(policy_set_schema()),
        "policy-test": titled(policy_test_schema(vocabulary)),
    }


def titled(schema: Any) -> Any:
    """The schema, where each field that has no title has its name for one: editors show it above the description."""
    if isinstance(schema, list):
        return [titled(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: value if key in _LITERAL else titled(value) for key, value in schema.items()}
    if isinstance(fields := found.get("properties"), dict):
        found["properties"] = {name: field if "title" in field else {"title": name, **field} for name, field in fields.items()}
    return found


_LITERAL = frozenset({"const", "default", "enum", "examples"})
"""What holds values and no schemas."""


def text(schema: Schema) -> str:
    """A schema as its file holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def policy_schema(vocabulary: Vocabulary, operators: Mapping[str, Operator], edits: Mapping[str, EditKind]) -> Schema:
    """One policy file (LANGUAGE: A policy set)."""
    return {
        "$schema": DRAFT,
        "$id": f"{HOME}/policy.schema.json",
        "title": "hirules policy",
        "description": "One policy: rules that allow, deny, rewrite or audit requests for medical images before they happen.",
        **_closed(
            {
                "hirules": {"const": 1, "title": "version", "description": "the version of the language"},
                "policy": _id("the id of the policy, unique in the set", "move-destinations"),
                "title": _text("what the policy is for, in a line", "C-MOVE delivers only where a release agreement exists"),
                "description": _text("what the policy is for, at length", "Images leave the house only where a contract says so."),
                "owner": _text("who answers for it", "privacy-office"),
                "references": _texts("what it follows from: laws, standards, contracts", "ISO 27799 9.4"),
                "lists": {
                    "description": "lists that conditions name as `$name`",
                    "type": "object",
                    "propertyNames": {"pattern": "^[^$]"},
                    "additionalProperties": {"$ref": "#/$defs/list"},
                    "examples": [{"clinical": ["PACS_MAIN", "PACS_DR"]}],
                },
                "rules": {
                    "description": "the rules, in any order", "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"},
                    "examples": [[_A_RULE]],
                },
                "lint": {**_SILENCES, "description": "findings of `check` about this file that are meant so, each with its reason"},
                "exceptions": {
                    "description": "what suspends rules of this policy for a time", "type": "array", "minItems": 1,
                    "items": {"$ref": "#/$defs/exception"},
                    "examples": [[{"id": "audit-2026-17", "of": "only-agreed", "reason": "external audit", "expires": "2026-12-31T23:59:59Z"}]],
                },
            },
            required=("hirules", "policy", "rules"),
        ),
        "$defs": {
            "list": _list(),
            "rule": _rule(vocabulary),
            "exception": _exception(),
            "condition": _condition(vocabulary),
            "itemCondition": _item_condition(),
            "matcher": _matcher(operators),
            "path": {"title": "path", "description": "the path of an attribute, `root.Name`", "type": "string", "pattern": _PATH_PATTERN},
            "deny": _deny(),
            "audit": _audit(),
            "edit": _edit(edits),
            "lint": _lint(),
        },
    }  # fmt: skip


def _closed(properties: Mapping[str, object], required: Iterable[str] = ()) -> Schema:
    """An object with these properties and no others."""
    found: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _text(description: str, *examples: str) -> Schema:
    return {"description": description, **TEXT, **({"examples": list(examples)} if examples else {})}


def _texts(description: str, *examples: str) -> Schema:
    return {**_one_or_several(TEXT), "description": description, "examples": [list(examples)]}


def _id(description: str, example: str) -> Schema:
    return {"description": description, **TEXT, "pattern": KEBAB, "examples": [example]}


def _one_or_several(schema: Mapping[str, object]) -> Schema:
    return {"anyOf": [dict(schema), {"type": "array", "minItems": 1, "items": dict(schema)}]}


def _list() -> Schema:
    row = {"type": "object", "minProperties": 1, "additionalProperties": TEXT}
    from_file = _closed(
        {
            "file": {**_text("a CSV, JSON or text file inside the set's folder, relative to this file", "data/agreements.csv"), "type": "string"},
            "column": _text("the column that holds the members", "ae_title"),
            "share": {"description": "other policies of the set may use it", "type": "boolean", "default": False},
        },
        required=("file",),
    )
    return {
        "title": "list",
        "description": "members, rows of a table, or a file that holds them",
        "examples": [["PACS_MAIN", "PACS_DR"], {"file": "data/agreements.csv", "column": "ae_title"}],
        "anyOf": [
            {"description": "members", "type": "array", "minItems": 1, "items": TEXT},
            {"description": "rows of a table", "type": "array", "minItems": 1, "items": row},
            {"description": "a file", **from_file},
        ],
    }


def _on(vocabulary: Vocabulary) -> Schema:
    # a set may add actions, so that any name in lower case words may be one; editors offer those that are known
    names = [{"const": name, "description": action.doc} for name, action in vocabulary.actions.items()]
    groups = [{"const": name, "description": ", ".join(actions)} for name, actions in vocabulary.groups.items()]
    name = {"anyOf": [*names, *groups, {**TEXT, "pattern": KEBAB, "description": "an action that the policy set adds"}]}
    return {
        **_one_or_several(name),
        "title": "on",
        "description": "the actions, or groups of actions, that the rule is about",
        "examples": ["c-move", ["c-find", "retrieve"]],
    }


def _rule(vocabulary: Vocabulary) -> Schema:
    when: Schema = {"$ref": "#/$defs/condition"}
    moment: Schema = {"type": "string", "format": "date-time"}
    span = _closed(
        {
            "from": {**moment, "description": "the first moment at which it holds", "examples": ["2026-01-01T00:00:00+01:00"]},
            "until": {**moment, "description": "the first moment at which it does not", "examples": ["2027-01-01T00:00:00+01:00"]},
        }
    )
    properties: Schema = {
        "id": _id("the id of the rule, unique in its policy", "only-agreed-destinations"),
        "title": _text("what the rule does, in a line", "The destination has a release agreement"),
        "description": _text("what the rule does, at length", "The list of agreements is kept by the privacy office."),
        "references": _texts("what it follows from", "45 CFR 164.312(e)(1)"),
        "tags": _texts("words to find it by", "research"),
        "severity": _severity("how severe it is; the severest of several denies gives status and reason"),
        "mode": {"description": "`shadow`: only the record says what it would have done", "enum": ["enforce", "shadow", "off"], "default": "enforce"},
        "valid": {"description": "when the rule holds", **span, "minProperties": 1, "examples": [{"until": "2027-01-01T00:00:00+01:00"}]},
        "on": _on(vocabulary),
        "when": {**when, "description": "the rule matches where this holds"},
        "unless": {**when, "description": "and this does not"},
        "allow": {"description": "permits what matches, unless a deny matches too", **_closed({}), "examples": [{}]},
        "deny": {"$ref": "#/$defs/deny"},
        "rewrite": {
            "description": "changes what matches, before it is decided",
            "type": "array",
            "minItems": 1,
            "items": {"$ref": "#/$defs/edit"},
            "examples": [[{"set": {"request.MoveDestination": "PACS_MAIN"}}]],
        },
        "on_unknown": {"description": "`skip`: leave harmless edits out where the condition is unknown", "enum": ["deny", "skip"], "default": "deny"},
        "audit": {"$ref": "#/$defs/audit"},
        "lint": {**_SILENCES, "description": "findings of `check` about this rule that are meant so, each with its reason"},
    }
    return {
        "title": "rule",
        "description": "an action, a condition, and one effect: `allow`, `deny`, `rewrite` or `audit`",
        **_closed(properties, required=("id", "on")),
        "oneOf": [{"required": [effect]} for effect in ("allow", "deny", "rewrite", "audit")],
        "dependentRequired": {"on_unknown": ["rewrite"]},
        "examples": [_A_RULE],
    }  # fmt: skip


_A_RULE: Schema = {
    "id": "only-agreed",
    "on": "c-move",
    "when": {"request.MoveDestination": {"not_in": "$agreements"}},
    "deny": {"reason": "no release agreement"},
}


_SILENCES: Schema = {"$ref": "#/$defs/lint"}


def _lint() -> Schema:
    codes = {code: _text(CODES[code], "meant so until the project ends") for code in sorted(SILENCEABLE)}
    return {"title": "lint", "description": "findings that are meant so, by code, each with its reason", **_closed(codes), "minProperties": 1,
            "examples": [{"shadowed": "the wider rule ends with the project"}]}  # fmt: skip


def _severity(description: str) -> Schema:
    return {"description": description, "enum": list(SEVERITIES)}


def _exception() -> Schema:
    rules = "the deny, rewrite or audit rules of this policy that it suspends"
    properties = {
        "id": _id("the id of the exception, unique in its policy", "audit-2026-17"),
        "of": {**_one_or_several(TEXT), "description": rules, "examples": [["only-agreed-destinations"]]},
        "title": _text("what the exception is for, in a line", "The auditors receive images"),
        "description": _text("what the exception is for, at length", "They compare reports with images for a fortnight."),
        "references": _texts("what it follows from", "SEC-4411"),
        "when": {"$ref": "#/$defs/condition", "description": "for which requests"},
        "reason": _text("why", "external audit, ticket SEC-4411"),
        "approved_by": _text("who approved it", "privacy-office"),
        "expires": {"description": "when it ends, with offset", "type": "string", "format": "date-time", "examples": ["2026-12-31T23:59:59Z"]},
        "lint": {**_SILENCES, "description": "findings of `check` about this exception that are meant so, each with its reason"},
    }
    return {
        "title": "exception",
        "description": "suspends rules of this policy, for some requests, until it expires",
        **_closed(properties, required=("id", "of", "reason", "expires")),
    }


# Conditions.

_PATH_PATTERN = "^(original\\.)?(" + "|".join(ROOTS) + ")\\."


def _condition(vocabulary: Vocabulary) -> Schema:
    """Plain attributes by name, so that editors offer them; the members of families by the pattern of a path."""
    named = {
        path: {"$ref": "#/$defs/matcher", "description": found.doc, "examples": [matcher_of(found)]}
        for path, found in vocabulary.attributes.items()
        if "<" not in path
    }
    return {
        "title": "condition",
        "description": "every entry must hold: `path: matcher`, `all`, `any`, `not`",
        "type": "object",
        "minProperties": 1,
        "properties": {**_connectives("condition", {"subject.ae_title": "WARD_1"}), **named},
        "patternProperties": {_PATH_PATTERN: {"$ref": "#/$defs/matcher"}},
        "additionalProperties": False,
        "examples": [{"subject.ae_title": "PACS_MAIN"}],
    }


def _item_condition() -> Schema:
    return {
        "title": "condition on one sequence item",
        "description": "as a condition, with elements of the item by their keyword or tag",
        "type": "object",
        "minProperties": 1,
        "properties": _connectives("itemCondition", {"Modality": "CT"}),
        "additionalProperties": {"$ref": "#/$defs/matcher"},
        "examples": [{"Modality": "CT"}],
    }


def _connectives(name: str, example: Schema) -> Schema:
    several = {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/{name}"}}
    return {
        "all": {**several, "description": "every condition holds", "examples": [[example]]},
        "any": {**several, "description": "at least one condition holds", "examples": [[example]]},
        "not": {"$ref": f"#/$defs/{name}", "description": "the condition does not hold", "examples": [example]},
    }


def _matcher(operators: Mapping[str, Operator]) -> Schema:
    operand = operators["equals"].schema
    by_name = {
        name: {"description": operator.doc, **_argument(operator), "examples": [_argument_of(operator.example, name)]} for name, operator in operators.items()
    }  # fmt: skip
    zone = {"description": "the time zone of the operators beside it", **TEXT, "examples": ["Europe/Berlin"]}
    return {
        "title": "matcher",
        "description": "a value (equals), a list (in), or operators that all hold",
        "anyOf": [
            {"title": "equals", **operand},
            {"title": "in", "type": "array", "minItems": 1, "items": operand},
            {"title": "operators", **_closed({**by_name, "tz": zone}), "minProperties": 1},
        ],
    }


def _argument(operator: Operator) -> Mapping[str, object]:
    return {"$ref": "#/$defs/itemCondition"} if operator.argument is ArgumentKind.ITEM else operator.schema


def _argument_of(example: str, name: str) -> object:
    """The argument in an example, ``path: {operator: argument}`` or ``edit: argument``; that of a plugin may be any text, which is shown then."""
    read = _read(example)
    if isinstance(read, dict) and name not in read and len(read) == 1:
        (read,) = read.values()
    return read[name] if isinstance(read, dict) and name in read else example


def _read(example: str) -> object:
    """A line of YAML as an editor reads it."""
    root = parse("example.yaml", example.encode()).root
    return None if root is None else plain(root)


# Effects.


def _deny() -> Schema:
    rejection = _closed(
        {
            name: {"type": "integer", "minimum": 1, "description": f"{name} of the A-ASSOCIATE-RJ (PS3.8 §9.3.4)", "examples": [1]}
            for name in ("result", "source", "reason")
        },
        required=("result", "source", "reason"),
    )
    code = {"description": "a status of PS3.7, or a short name of an AWS error", "type": ["integer", "string"]}
    one: Schema = {"anyOf": [code, rejection]}
    by_action = {"description": "a status by action or group", "type": "object", "minProperties": 1, "additionalProperties": one}
    properties = {
        "reason": _text("what is shown and recorded; `{path}` quotes an attribute, `{{` is a brace", "`{request.MoveDestination}` has no release agreement"),
        "status": {"description": "what the caller receives", "anyOf": [code, rejection, by_action], "examples": [0xA801, "AccessDenied"]},
        "offending": {
            **_one_or_several({"$ref": "#/$defs/path"}),
            "description": "the elements that are at fault",
            "examples": ["request.Identifier.PatientID"],
        },
        "respond": {"description": "`no-match`: answer as if nothing existed", "enum": ["no-match"]},
    }
    return {
        "title": "deny", "description": "refuses what matches", **_closed(properties),
        "examples": [{"reason": "`{request.MoveDestination}` has no release agreement", "status": 0xA801}],
    }  # fmt: skip


def _audit() -> Schema:
    share = {"type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,6})?\\s?%$", "examples": ["5%"]}
    properties = {
        "severity": _severity("how severe the note is; that of the rule where it is left out"),
        "note": _text("what the record says", "a VIP record was requested"),
        "include": {
            **_one_or_several({"$ref": "#/$defs/path"}),
            "description": "attributes whose values the record shall carry",
            "examples": [["subject.user", "request.MoveDestination"]],
        },
        "sample": {"description": "the share of requests that get the note", **share},
    }
    return {
        "title": "audit", "description": "adds to the record of what matches", **_closed(properties),
        "examples": [{"severity": "alert", "note": "a VIP record was requested"}],
    }  # fmt: skip


def _edit(edits: Mapping[str, EditKind]) -> Schema:
    by_name: Schema = {}
    for name, kind in edits.items():
        places: Mapping[str, object] = kind.schema
        if kind.argument is not EditArgument.NOTHING:
            places = {"type": "object", "minProperties": 1, "propertyNames": {"pattern": _PLACE_PATTERN}, "additionalProperties": kind.schema}
        by_name[name] = {"description": kind.doc, **places, "examples": [_argument_of(kind.example, name)]}
    return {"title": "edit", "description": "one edit, at one or several paths", **_closed(by_name), "minProperties": 1, "maxProperties": 1}


_PLACE_PATTERN = "^(" + "|".join(re.escape(root) for root in ROOTS) + ")(\\.|$)"


# A policy set.


def policy_set_schema() -> Schema:
    """``set.yaml`` (LANGUAGE: A policy set)."""
    attribute = _closed(
        {
            "type": {"description": "the type of its values", "enum": list(ATTRIBUTE_TYPES)},
            "many": {"description": "it may have several values", "type": "boolean", "default": False},
            "description": _text("what it is", "the bucket that is exported to"),
        },
        required=("type",),
    )
    action = _closed(
        {
            "description": _text("what is about to happen", "image sets are about to be exported"),
            "attributes": {
                "description": "attributes that requests for it carry", "type": "object",
                "propertyNames": {"pattern": "^(request|context)\\."}, "additionalProperties": attribute,
                "examples": [{"request.bucket": {"type": "string"}}],
            },
        },
        required=("description",),
    )  # fmt: skip
    properties = {
        "hirules-set": {"const": 1, "title": "version", "description": "the version of the language"},
        "title": _text("what the set is for, in a line", "Who may retrieve images, and where to"),
        "description": _text("what the set is for, at length", "Approved by the privacy office."),
        "combining": {"description": "what holds where no rule decides", "enum": list(COMBINING), "default": "deny-unless-permit"},
        "time_zone": {"description": "where days begin and end", **TEXT, "default": "UTC", "examples": ["Europe/Berlin"]},
        "requires": _texts("plugins, with their versions", "hirules>=0.1"),
        "actions": {
            "description": "actions that the set adds to the vocabulary", "type": "object",
            "propertyNames": {"pattern": KEBAB}, "additionalProperties": action,
            "examples": [{"export": {"description": "image sets are about to be exported"}}],
        },
    }  # fmt: skip
    return {
        "$schema": DRAFT,
        "$id": f"{HOME}/policy-set.schema.json",
        "title": "hirules policy set",
        "description": "`set.yaml`: what holds for a whole set.",
        **_closed(properties, required=("hirules-set",)),
    }
