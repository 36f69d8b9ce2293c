"""The published JSON Schema of policy tests (LANGUAGE: Tests)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hirules.model.path import DATA_SETS
from hirules.model.vocabulary import Vocabulary
from hirules.policy.schema_samples import below

Schema = dict[str, Any]

_TEXT: Schema = {"type": ["string", "number", "boolean"]}
_NOW = "2026-03-02T10:00:00+01:00"


def policy_test_schema(vocabulary: Vocabulary) -> Schema:
    """A file ``…_test.yaml``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://hirules.dev/schemas/policy-test.schema.json",
        "title": "hirules policy tests",
        "description": "Requests, and what a policy set must decide about them.",
        **_closed(
            {
                "hirules-test": {"const": 1, "title": "version", "description": "the version of the language", "examples": [1]},
                "now": _now("the time of the requests, with offset; the clock stands still"),
                "fixtures": {
                    "title": "fixtures", "description": "parts of requests by name, for `given`", "type": "object",
                    "additionalProperties": {"$ref": "#/$defs/part"}, "examples": [{"research": {"subject": {"ae_title": "RES_1"}}}],
                },
                "tests": {
                    "title": "tests", "description": "the tests; each has a name of its own", "type": "array", "minItems": 1,
                    "items": {"$ref": "#/$defs/test"},
                    "examples": [[{"name": "nobody moves to an unknown place", "on": "c-move", "expect": {"decision": "deny"}}]],
                },
            },
            ("hirules-test", "tests"),
        ),
        "$defs": {
            **_keys(vocabulary), "part": _part(), "given": _given(), "entities": _entities(), "file": _file(), "expect": _expect(),
            "case": _case(vocabulary), "test": _test(vocabulary),
        },
    }  # fmt: skip


def _closed(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _now(description: str) -> Schema:
    return {"title": "time", "description": description, "type": "string", "format": "date-time", "examples": [_NOW]}


def _fields(title: str, description: str, example: Schema, properties: Mapping[str, Schema]) -> Schema:
    """Names with what the vocabulary says of them; which of them an action has, the reader of the tests checks."""
    return {"title": title, "description": description, "type": "object", "properties": dict(properties), "examples": [example]}


def _names(vocabulary: Vocabulary, root: str) -> dict[str, Schema]:
    """The first names below a root."""
    found: dict[str, Schema] = {}
    for path, attribute in vocabulary.attributes.items():
        name = path.removeprefix(root + ".").split(".")[0].split("[")[0]
        if path.startswith(root + ".") and not name.startswith("<"):
            found.setdefault(name, {"title": name, "description": attribute.doc, "examples": [below(attribute, name)]})
    return found


def _file() -> Schema:
    return {
        "title": "file",
        "description": "a file inside the set's folder, relative to this one: a DICOM data set, or its DICOM JSON; an update document as JSON",
        **_closed({"file": {"title": "name", "description": "the name of the file", "type": "string", "examples": ["study.dcm"]}}, ("file",)),
    }


_DATA_SET: Schema = {"anyOf": [{"$ref": "#/$defs/file"}, {"type": ["object", "null"]}]}


def _data_set(name: str) -> Schema:
    return {"title": name, "description": "a data set by keyword, or `{file: name.dcm}`", "examples": [{"PatientID": "P1"}, {"file": "study.dcm"}]}


def _request(vocabulary: Vocabulary) -> dict[str, Schema]:
    names = _names(vocabulary, "request")
    names.update({name: {**names.get(name, _data_set(name)), **_DATA_SET} for name in DATA_SETS})
    names["updateImageSetMetadataUpdates"] = {
        "title": "update", "description": "the parameter of the API: `{file: update.json}`, or its structure with a file for each document",
        "type": "object", "examples": [{"file": "update.json"}, {"DICOMUpdates": {"removableAttributes": {"file": "removal.json"}}}],
    }  # fmt: skip
    return names


_KEYS: Schema = {
    **{name: {"$ref": f"#/$defs/{name}"} for name in ("subject", "request", "instance", "context", "original", "id")},
    "resource": {"$ref": "#/$defs/entities"},
    "resource_after": {"$ref": "#/$defs/entities"},
}
"""The keys of a part, which tests and rows have too."""


def _keys(vocabulary: Vocabulary) -> Schema:
    """What the keys of a part hold."""
    instance = {"anyOf": [{"$ref": "#/$defs/file"}, {"type": "object"}]}
    return {
        "subject": _fields("subject", "who asks, by the names below `subject.`", {"ae_title": "RES_1"}, _names(vocabulary, "subject")),
        "request": _fields(
            "parameters", "by the names below `request.`; a data set may be `{file: name.dcm}`", {"MoveDestination": "NOWHERE"}, _request(vocabulary)
        ),
        "instance": {
            "title": "instance", "description": "the data set that leaves or arrives, by keyword, or `{file: name.dcm}`", **instance,
            "examples": [{"PatientID": "P1"}, {"file": "ct.dcm"}],
        },
        "context": _fields("context", "the names below `context.`", {"purpose_of_use": "TREAT"}, _names(vocabulary, "context")),
        "original": _fields(
            "original parameters", "for `answer` and `release`: the parameters of the request that asked, as it came",
            {"Identifier": {"PatientID": "P1"}}, {name: {**_data_set(name), **_DATA_SET} for name in DATA_SETS},
        ),
        "id": {"title": "id", "description": "the id of the request, by which `sample` chooses", "type": "string", "examples": ["r-1"]},
    }  # fmt: skip


def _part() -> Schema:
    record = _closed(
        {
            "file": {"title": "record", "description": "a captured audit record, JSON", "type": "string", "examples": ["refused.json"]},
            "id": {"title": "id", "description": "the one of a file with several", "type": "string", "examples": ["r-1"]},
        },
        ("file",),
    )
    return {
        "title": "part of a request",
        "description": "laid over the parts before it; or a captured audit record, `{file: record.json}`",
        "anyOf": [{"title": "part", **_closed(_KEYS), "minProperties": 1}, {"title": "captured record", **record}],
        "examples": [{"subject": {"ae_title": "RES_1"}}],
    }


def _given() -> Schema:
    one = {"anyOf": [{"type": "string", "description": "the name of a fixture"}, {"$ref": "#/$defs/part"}]}
    return {
        "title": "given", "description": "fixtures and parts, later ones over earlier ones",
        "anyOf": [one, {"type": "array", "minItems": 1, "items": one}],
        "examples": [["research", {"request": {"MoveDestination": "NOWHERE"}}]],
    }  # fmt: skip


def _entities() -> Schema:
    return {
        "title": "entities",
        "description": "what the request reaches (`resource`), or the rewritten one (`resource_after`): `[]` nothing; left out unknown; "
        "in an entity a missing key is unknown, null is absent",
        "type": "array", "items": {"type": "object"}, "examples": [[{"PatientID": "P1", "StudyDate": "20250101"}], []],
    }  # fmt: skip


def _list(title: str, description: str, properties: Schema, *examples: list[Any]) -> Schema:
    entry = {"anyOf": [{"type": "string"}, {**_closed(properties), "minProperties": 1}]}
    return {"title": title, "description": description, "type": "array", "items": entry, "examples": list(examples)}


def _named(description: str, example: Any, schema: Schema | None = None) -> Schema:
    return {"description": description, **(_TEXT if schema is None else schema), "examples": [example]}


def _expect() -> Schema:
    status = {"anyOf": [{"type": ["integer", "string", "null"]}, {"type": "object"}]}
    anything: Schema = {}
    rule = _named("the rule, `policy/rule`", "move-destinations/only-agreed")
    return {
        "title": "what must be decided",
        "examples": [{"decision": "deny", "by": ["move-destinations/only-agreed"], "status": 0xA801}],
        "description": "what is left out is not compared, but for `rewritten` and `errors`: nobody expects one that is not here",
        **_closed(
            {
                "decision": {"title": "decision", "description": "the outcome", "enum": ["allow", "deny"], "examples": ["deny"]},
                "by": {
                    "title": "determining rules", "description": "their exact set, `policy/rule`; `[]` where `combining` decides", "type": "array",
                    "items": {"type": "string"}, "examples": [["move-destinations/only-agreed"]],
                },
                "status": {
                    "title": "status", "description": "the status of a refusal; null where it is allowed", **status, "examples": [0xA801, "AccessDenied"],
                },
                "reason": {"title": "reason", "description": "what the caller is told", **_TEXT, "examples": ["`NOWHERE` has no release agreement"]},
                "full_reason": {"title": "full reason", "description": "what the record says", **_TEXT, "examples": ["`NOWHERE` has no release agreement"]},
                "no_match": {"title": "no match", "description": "answered as if nothing existed", "type": "boolean", "examples": [True]},
                "rewritten": {
                    "title": "rewritten", "description": "each path that is changed, with its new value; null: removed", "type": "object",
                    "examples": [{"request.MoveDestination": "PACS_MAIN"}],
                },
                "notes": _list(
                    "notes", "the audit rules that left a note, or what of each note",
                    {
                        "source": rule, "severity": _named("how serious", "alert"), "note": _named("its text", "a VIP record was requested"),
                        "include": _named("the values that it carries", {"resource.PatientID": "P1"}, {"type": "object"}),
                    },
                    ["vip/watch"],
                ),
                "shadow": _list(
                    "shadow", "the rules in shadow that would have done something, or what they would have done",
                    {
                        "rule": rule, "effect": _named("its kind", "deny"), "outcome": _named("what it would have done", "deny"),
                        "edits": _named("what it would have changed", {"request.Priority": 2}, {"type": "object"}),
                    },
                    ["vip/no-research"], [{"rule": "vip/no-research", "outcome": "deny"}],
                ),
                "exceptions": _list(
                    "exceptions", "the exceptions that suspended a rule, `policy/exception`",
                    {
                        "exception": _named("the exception, `policy/exception`", "vip/audit-2026-17"), "rule": rule,
                        "reason": _named("its reason", "external audit"), "approved_by": _named("who approved it", "privacy-office"),
                    },
                    ["vip/audit-2026-17"],
                ),
                "errors": _list(
                    "errors", "what was unknown, by its path, or who met it",
                    {"source": rule, "path": _named("the path", "resource.PatientID"), "message": _named("why", "the look-up did not tell it", anything)},
                    ["resource.PatientID"],
                ),
            }
        ),
    }  # fmt: skip


def _case(vocabulary: Vocabulary) -> Schema:
    return {
        "title": "a row of the table",
        "description": "a test of its own, over what stands above `cases`",
        **_closed(_row(vocabulary)),
        "minProperties": 1,
        "examples": [{"request": {"MoveDestination": "OLDPACS"}, "expect": {"decision": "allow"}}],
    }


def _row(vocabulary: Vocabulary) -> Schema:
    known = [{"const": name, "description": found.doc} for name, found in vocabulary.actions.items()]
    action = {"anyOf": [*known, {"type": "string", "pattern": "^[a-z0-9-]+$", "description": "an action that the policy set adds"}]}
    return {
        "name": {"title": "name", "description": "what is tested, in words", **_TEXT, "examples": ["research may not receive at an unknown place"]},
        "on": {"title": "action", "description": "the action of the request", **action, "examples": ["c-move"]},
        "given": {"$ref": "#/$defs/given"},
        **_KEYS,
        "now": _now("in the place of the file's"),
        "expect": {"$ref": "#/$defs/expect"},
    }


def _test(vocabulary: Vocabulary) -> Schema:
    decided = {"properties": {"expect": {"required": ["decision"]}}, "required": ["expect", "on"]}
    return {
        "title": "test",
        "description": "one request and what must be decided; or, with `cases`, a table of them",
        **_closed(
            {
                **_row(vocabulary),
                "cases": {
                    "title": "table", "description": "every row is a test, over what stands beside `cases`", "type": "array", "minItems": 1,
                    "items": {"$ref": "#/$defs/case"},
                    "examples": [[{"request": {"MoveDestination": "OLDPACS"}, "expect": {"decision": "allow"}}]],
                },
            },
            ("name",),
        ),
        "if": {"required": ["cases"]},
        "else": decided,
        "examples": [{"name": "nobody moves to an unknown place", "on": "c-move", "expect": {"decision": "deny"}}],
    }  # fmt: skip
