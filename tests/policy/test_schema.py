"""The published schemas: they are those that the tables give, and take whatever the compiler takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from hirules.model.vocabulary import VOCABULARY
from hirules.policy.compile_source import plain
from hirules.policy.document import parse
from hirules.policy.edits import EDITS
from hirules.policy.operators import OPERATORS
from hirules.policy.schema import policy_schema, policy_set_schema, schemas, text

ROOT = Path(__file__).parents[2]
WRITE = 'from pathlib import Path; from hirules.policy.schema import *; [Path(f"schemas/{n}.schema.json").write_text(text(s)) for n, s in schemas().items()]'
BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "language.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_published_schema_is_this_one(name: str) -> None:
    published = ROOT / "schemas" / f"{name}.schema.json"
    assert published.read_text(encoding="utf-8") == text(schemas()[name]), f"run `python -c '{WRITE}'`"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_is_one(name: str) -> None:
    schema = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)
    for reference in re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(schema)):
        assert reference in schema["$defs"]


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_field_has_a_title_a_description_and_an_example(name: str) -> None:
    """What is a flag, a constant or a closed list needs no example; a field that refers to a definition may have them there."""
    schema = schemas()[name]
    lacking = {path: missing for path, field in _fields(schema) if (missing := _lacking({**_definition(field, schema), **field}))}
    assert lacking == {}


def _lacking(field: dict[str, Any]) -> set[str]:
    told = {"enum", "const"} & field.keys() or field.get("type") == "boolean"
    return {"title", "description", *(() if told else ("examples",))} - field.keys()


def _definition(field: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = schema["$defs"].get(field["$ref"].rpartition("/")[2], {}) if "$ref" in field else {}
    return found


def _fields(schema: object, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field that an author may write, by where it is declared; conditions on fields (`if`, `then`, `else`) declare none."""
    if isinstance(schema, dict):
        for name, body in schema.get("properties", {}).items():
            yield f"{path}/{name}", body
        for key, value in schema.items():
            if key not in ("examples", "default", "enum", "const", "if", "then", "else"):
                yield from _fields(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, item in enumerate(schema):
            yield from _fields(item, f"{path}/{number}")


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_example_satisfies_its_field(name: str) -> None:
    schema = schemas()[name]
    wrong = []
    for path, field in _fields(schema):
        validator = jsonschema.Draft202012Validator({**field, "$defs": schema.get("$defs", {})})
        wrong += [(path, example) for example in field.get("examples", ()) if not validator.is_valid(example)]
    assert wrong == []


def test_an_example_of_a_plugin_that_is_no_line_of_a_policy_is_shown_as_it_is() -> None:
    for example, shown in (("subject.ae_title: {equals: A}", "A"), ("subject.ae_title: true", "subject.ae_title: true"), ("[", "[")):
        operator = msgspec.structs.replace(OPERATORS["equals"], example=example)
        matcher = policy_schema(VOCABULARY, {"equals": operator}, EDITS)["$defs"]["matcher"]
        assert matcher["anyOf"][2]["properties"]["equals"]["examples"] == [shown]


def test_the_examples_of_the_language_satisfy_their_schemas() -> None:
    for block in BLOCKS:
        root = parse("x.yaml", block.encode()).root
        assert root is not None
        name = "policy-test" if "hirules-test" in block else "policy"
        jsonschema.Draft202012Validator(schemas()[name]).validate(plain(root))


def test_the_schema_knows_every_action_operator_edit_and_attribute() -> None:
    found = text(policy_schema(VOCABULARY, OPERATORS, EDITS))
    names = [*VOCABULARY.actions, *VOCABULARY.groups, *OPERATORS, *EDITS, *(name for name in VOCABULARY.attributes if "<" not in name)]
    assert [name for name in names if f'"{name}"' not in found] == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"hirules": 2, "policy": "p", "rules": []},
        {"hirules": 1, "policy": "P", "rules": [{"id": "r", "on": "c-move", "deny": {}}]},
        {"hirules": 1, "policy": "p", "rules": []},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move"}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "allow": {}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "when": {}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "when": {"nowhere": 1}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "when": {"subject.user": None}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "when": {"subject.user": {"eqals": 1}}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "rewrite": [{"set": {"request.Priority": 1}, "remove": "x"}]}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "on_unknown": "skip"}]},
    ],
)
def test_the_schema_refuses_what_is_no_policy(document: object) -> None:
    assert not jsonschema.Draft202012Validator(schemas()["policy"]).is_valid(document)


def test_the_schema_of_a_set_refuses_what_is_none() -> None:
    validator = jsonschema.Draft202012Validator(policy_set_schema())
    assert validator.is_valid({"hirules-set": 1})
    for document in ({}, {"hirules-set": 2}, {"hirules-set": 1, "combining": "x"}, {"hirules-set": 1, "extra": 1}):
        assert not validator.is_valid(document)
