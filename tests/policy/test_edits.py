from __future__ import annotations

from typing import Any

import pytest
import yaml

from hirules.policy.edits import EDITS, Combining
from tests.policy.deciding import cases, decide, policy_set

TABLE = [(name, *case) for name, of_edit in cases("edits.yaml").items() for case in of_edit]


def rewriting(edits: str, action: str) -> Any:
    rewrite = yaml.load(edits, Loader=yaml.BaseLoader)
    return policy_set({"id": "edit", "on": action, "rewrite": rewrite}, combining="permit-unless-deny")


@pytest.mark.parametrize(("name", "edits", "action", "parts", "expected"), TABLE, ids=[f"{name}-{number}" for number, (name, *_) in enumerate(TABLE)])
def test_edit(name: str, edits: str, action: str, parts: dict[str, Any], expected: object) -> None:
    decision = decide(rewriting(edits, action), action, **parts)
    if expected == "deny":
        assert (decision.decision, decision.by, decision.rewritten) == ("deny", ("p/edit",), {})
        assert [error.source for error in decision.errors] == ["p/edit"]
    else:
        assert (decision.decision, decision.by) == ("allow", ())
        assert decision.rewritten == expected


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        ("[{map: {request.MoveDestination: {A: B}}}]", "a value has no entry in the table"),
        ("[{replace: {request.MoveDestination: {regex: A, with: B}}}]", "a value does not match the pattern"),
    ],
)
def test_a_failed_edit_says_why(edits: str, message: str) -> None:
    (error,) = decide(rewriting(edits, "c-move"), request={"MoveDestination": "OTHER"}).errors
    assert message in error.message
    assert "OTHER" not in error.message


def test_a_pattern_minds_the_case_but_in_ae_titles() -> None:
    edits = "[{replace: {request.Identifier.PatientID: {regex: 'X(.+)', with: '\\1'}}}]"
    assert decide(rewriting(edits, "c-find"), "c-find", request={"Identifier": {"PatientID": "X123"}}).allowed
    assert not decide(rewriting(edits, "c-find"), "c-find", request={"Identifier": {"PatientID": "x123"}}).allowed
    title = "[{replace: {request.MoveDestination: {regex: 'X(.+)', with: '\\1'}}}]"
    assert decide(rewriting(title, "c-move"), request={"MoveDestination": "x1"}).allowed


@pytest.mark.parametrize("name", EDITS)
def test_every_edit_has_cases_of_each_outcome(name: str) -> None:
    outcomes = {"deny" if case[3] == "deny" else "changed" if case[3] else "unchanged" for case in cases("edits.yaml")[name]}
    assert outcomes == {"deny", "changed", "unchanged"}


@pytest.mark.parametrize("name", EDITS)
def test_every_example_loads(name: str) -> None:
    edit = yaml.load(EDITS[name].example, Loader=yaml.BaseLoader)
    action = next(
        action for word, action in (("AttributeIdentifierList", "n-get"), ("removed", "update-image-set-metadata"), ("", "c-move")) if word in str(edit)
    )
    assert policy_set({"on": action, "rewrite": [edit]}).rules[0].kind == "rewrite"


def test_which_edits_combine() -> None:
    assert {name: kind.combining for name, kind in EDITS.items() if kind.combining is not Combining.EQUAL} == {
        "add": Combining.UNITE, "drop": Combining.UNITE, "keep_only": Combining.INTERSECT,
    }  # fmt: skip
