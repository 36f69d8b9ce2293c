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
        {"name": "table", "on": "c-move", "cases": [{"given": "research", "expect": {"decision": "allow", "rewritten": {"request.Priority": None}}}]},
    ],
)
def test_a_test_is_one(test: object) -> None:
    VALIDATOR.validate(document(test))


@pytest.mark.parametrize(
    "test",
    [
        {key: value for key, value in TEST.items() if key != "expect"},
        {**TEST, "cases": [{"expect": {"decision": "deny"}}]},
        {**TEST, "expect": {}},
        {**TEST, "expect": {"decision": "maybe"}},
        {**TEST, "expct": {}},
        {**TEST, "given": [{"sbject": {}}]},
        {**TEST, "on": None},
    ],
)
def test_what_could_pass_by_mistake_is_none(test: object) -> None:
    assert not VALIDATOR.is_valid(document(test))
