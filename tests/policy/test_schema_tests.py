"""The published schema of policy tests."""

from __future__ import annotations

import jsonschema
import pytest

from hirules.model.vocabulary import VOCABULARY
from hirules.policy.schema_tests import policy_test_schema

VALIDATOR = jsonschema.Draft202012Validator(policy_test_schema(VOCABULARY))
TEST = {
    "name": "t",
    "on": "c-move",
    "given": ["research", {"request": {"MoveDestination": "A"}}],
    "expect": {"decision": "deny", "by": ["p/r"], "status": 0xA801},
}


def document(test: object) -> object:
    return {"hirules-test": 1, "fixtures": {"research": {"subject": {"ae_title": "RES_1"}}}, "tests": [test]}


@pytest.mark.parametrize(
    "test",
    [
        TEST,
        {**TEST, "resource": [{"PatientID": None}], "resource_after": []},
        {**TEST, "subject": {"ae_title": "A"}, "request": {"Identifier": {"file": "a.dcm"}}, "instance": {"file": "a.dcm"}, "now": "2026-03-02T10:00:00Z"},
        {"name": "table", "on": "c-move", "expect": {"decision": "deny"}, "cases": [{"subject": {"ae_title": "A"}}]},
        {"name": "record", "on": "c-move", "given": {"file": "r.json", "id": "r-1"}, "expect": {"decision": "deny", "errors": [{"path": "subject.user"}]}},
        {"name": "table", "on": "c-move", "cases": [{"given": "research", "expect": {"decision": "allow", "rewritten": {"request.Priority": None}}}]},
    ],
)
def test_a_test_is_one(test: object) -> None:
    VALIDATOR.validate(document(test))


@pytest.mark.parametrize(
    "test",
    [
        {key: value for key, value in TEST.items() if key != "expect"},
        {**TEST, "cases": []},
        {**TEST, "cases": [{}]},
        {**TEST, "cases": [{"cases": [{"expect": {"decision": "deny"}}]}]},
        {**TEST, "request": {"Identifier": "P1"}},
        {**TEST, "expect": {}},
        {**TEST, "expect": {"decision": "maybe"}},
        {**TEST, "expct": {}},
        {**TEST, "given": [{"sbject": {}}]},
        {**TEST, "on": None},
    ],
)
def test_what_could_pass_by_mistake_is_none(test: object) -> None:
    assert not VALIDATOR.is_valid(document(test))


def test_every_field_says_what_it_is() -> None:
    """Editors show it while one writes."""
    schema = policy_test_schema(VOCABULARY)
    lacking = [
        f"{where}.{name}"
        for where, part in [("file", schema), *((name, schema["$defs"][name]) for name in ("test", "case", "expect"))]
        for name, field in part["properties"].items()
        for key in ("title", "description", "examples")
        if "$ref" not in field and key not in field
    ]
    lacking += [name for name, part in schema["$defs"].items() if not part.keys() >= {"title", "description"}]
    assert not lacking


def test_every_example_is_one() -> None:
    schema = policy_test_schema(VOCABULARY)
    for name in ("given", "entities", "subject", "request", "instance", "context", "original", "part", "case", "test", "expect"):
        part = {"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]}
        for example in schema["$defs"][name].get("examples", ()):
            jsonschema.Draft202012Validator(part).validate(example)
    for key, field in schema["$defs"]["expect"]["properties"].items():
        for example in field["examples"]:
            jsonschema.Draft202012Validator({"$ref": "#/$defs/expect", "$defs": schema["$defs"]}).validate({"decision": "deny", key: example})
