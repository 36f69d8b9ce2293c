"""The published JSON Schema of policy tests (LANGUAGE: Tests)."""

from __future__ import annotations

from typing import Any

from hirules.model.vocabulary import Vocabulary

Schema = dict[str, Any]


def policy_test_schema(vocabulary: Vocabulary) -> Schema:
    """A file ``…_test.yaml``."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://hirules.dev/schemas/policy-test.schema.json",
        "title": "hirules policy tests",
        "description": "Requests, and what a policy set must decide about them.",
        **_closed(
            {
                "hirules-test": {"const": 1, "title": "version", "description": "the version of the language"},
                "now": {"description": "the time of the requests, with offset", "type": "string", "format": "date-time"},
                "fixtures": {
                    "description": "parts of requests by name", "type": "object", "additionalProperties": {"$ref": "#/$defs/part"},
                    "examples": [{"research": {"subject": {"ae_title": "RES_1"}}}],
                },
                "tests": {"description": "the tests", "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/test"}},
            },
            ("hirules-test", "tests"),
        ),
        "$defs": {"part": _part(), "given": _given(), "entities": _entities(), "expect": _expect(), "case": _case(), "test": _test(vocabulary)},
    }  # fmt: skip


def _closed(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def _fields(description: str) -> Schema:
    return {"description": description, "type": "object"}


def _part() -> Schema:
    return {
        "title": "part of a request",
        **_closed(
            {
                "subject": _fields("who asks, by the names below `subject.`"),
                "request": _fields("the parameters, by the names below `request.`; a data set may be `{file: name.dcm}`"),
                "instance": _fields("the data set that leaves or arrives"),
                "context": _fields("the names below `context.`"),
                "original": _fields("for `answer` and `release`: the parameters of the request that asked"),
            }
        ),
        "minProperties": 1,
    }


def _given() -> Schema:
    one = {"anyOf": [{"type": "string", "description": "the name of a fixture"}, {"$ref": "#/$defs/part"}]}
    return {"description": "fixtures and parts, later ones over earlier ones", "anyOf": [one, {"type": "array", "minItems": 1, "items": one}]}


def _entities() -> Schema:
    return {"description": "what the request reaches; `[]`: nothing; left out: unknown", "type": "array", "items": {"type": "object"}}


def _expect() -> Schema:
    status = {"anyOf": [{"type": ["integer", "string", "null"]}, {"type": "object"}]}
    return {
        "title": "what must be decided",
        **_closed(
            {
                "decision": {"description": "the outcome", "enum": ["allow", "deny"]},
                "by": {"description": "the exact set of determining rules, `policy/rule`", "type": "array", "items": {"type": "string"}},
                "status": {"description": "the status of a refusal", **status},
                "reason": {"description": "what the caller is told", "type": ["string", "number", "boolean"]},
                "respond": {"description": "answered as if nothing existed", "enum": ["no-match"]},
                "rewritten": _fields("each path that was changed, with its new value; null: removed"),
                "notes": {"description": "the notes of audit rules: the rules, or their texts", "type": "array"},
                "shadow": {"description": "what rules in shadow would have done", "type": "array"},
                "exceptions": {"description": "the exceptions that were used, `policy/exception`", "type": "array"},
                "errors": {"description": "what was unknown", "type": "array"},
            },
            ("decision",),
        ),
    }


def _case() -> Schema:
    return {
        "title": "a row of the table",
        **_closed(
            {
                "name": {"type": ["string", "number", "boolean"]},
                "given": {"$ref": "#/$defs/given"},
                "resource": {"$ref": "#/$defs/entities"},
                "resource_after": {"$ref": "#/$defs/entities"},
                "expect": {"$ref": "#/$defs/expect"},
            },
            ("expect",),
        ),
    }


def _test(vocabulary: Vocabulary) -> Schema:
    known = [{"const": name, "description": found.doc} for name, found in vocabulary.actions.items()]
    action = {"anyOf": [*known, {"type": "string", "pattern": "^[a-z0-9-]+$", "description": "an action that the policy set adds"}]}
    row = _case()["properties"]
    return {
        "title": "test",
        **_closed(
            {
                **row,
                "name": {"description": "what is tested, in words", "type": ["string", "number", "boolean"]},
                "on": {"description": "the action of the request", **action},
                "now": {"description": "in the place of the file's", "type": "string", "format": "date-time"},
                "cases": {"description": "a table: every row is a test", "type": "array", "minItems": 1, "items": {"$ref": "#/$defs/case"}},
            },
            ("name", "on"),
        ),
        "oneOf": [{"required": ["expect"]}, {"required": ["cases"]}],
    }
