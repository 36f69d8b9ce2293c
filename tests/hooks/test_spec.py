from __future__ import annotations

import inspect

import pytest

import hirules
from hirules.hooks import spec

HOOKS = {name: function for name, function in vars(spec).items() if name.startswith("hirules_")}


def test_every_hook_has_one_sentence() -> None:
    assert len(HOOKS) == 8
    for name, function in HOOKS.items():
        assert function.__doc__, name
        assert function.__doc__.strip().endswith("."), name
        assert "\n" not in function.__doc__.strip(), name


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("hirules_actions", []),
        ("hirules_attributes", []),
        ("hirules_operators", []),
        ("hirules_edits", []),
        ("hirules_facts", ["request", "needed"]),
        ("hirules_verdict", ["request"]),
        ("hirules_decided", ["record"]),
    ],
)
def test_the_arguments_are_a_contract(name: str, arguments: list[str]) -> None:
    assert list(inspect.signature(HOOKS[name]).parameters) == arguments


def test_no_verdict_is_the_first_result_only() -> None:
    assert not any(getattr(function, "hirules_spec")["firstresult"] for function in HOOKS.values())  # noqa: B009 - pluggy's own attribute


def test_what_a_plugin_imports_is_public() -> None:
    for name in ("hookimpl", "Verdict", "Facts", "Request", "Attribute", "Action"):
        assert name in hirules.__all__
        assert getattr(hirules, name)
