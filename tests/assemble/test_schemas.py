from __future__ import annotations

import json

import jsonschema
import pytest

from hirules import hookimpl
from hirules.assemble import SCHEMAS, schema
from hirules.hooks import plugins
from hirules.policy.operators import ArgumentKind, Operator
from hirules.settings import Settings


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_is_a_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(dict(schema(name)))


def test_what_plugins_add_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Adds:
        @hookimpl
        def hirules_operators(self) -> list[Operator]:
            return [
                Operator(
                    "sounds_like", ArgumentKind.FLAG, None, lambda *_: None, {"type": "boolean"}, "sounds like it", "subject.ae_title: {sounds_like: true}"
                )
            ]

    class Point:
        name, dist = "adds", None

        def load(self) -> object:
            return Adds()

    monkeypatch.setattr(plugins, "entry_points", lambda group: [Point()])
    assert "sounds_like" in json.dumps(schema("policy", settings=Settings(plugins=("adds",))))
    assert "sounds_like" not in json.dumps(schema("policy"))
