from __future__ import annotations

import pytest

from hirules import hookimpl
from hirules.assemble.language import read_language, requirements
from hirules.hooks import Plugins
from hirules.model.actions import Action
from hirules.model.attributes import Attribute
from hirules.model.path import parse_path
from hirules.model.scalars import Type
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.findings import PolicyError
from hirules.policy.operators import OPERATORS, Operator
from hirules.settings import Settings


class Adds:
    """Adds whatever it is given."""

    def __init__(self, actions: list[Action] | None = None, attributes: list[Attribute] | None = None, operators: list[Operator] | None = None,
                 edits: list[EditKind] | None = None) -> None:  # fmt: skip
        self.added = {"actions": actions or [], "attributes": attributes or [], "operators": operators or [], "edits": edits or []}

    @hookimpl
    def hirules_actions(self) -> list[Action]:
        return self.added["actions"]  # type: ignore[return-value]

    @hookimpl
    def hirules_attributes(self) -> list[Attribute]:
        return self.added["attributes"]  # type: ignore[return-value]

    @hookimpl
    def hirules_operators(self) -> list[Operator]:
        return self.added["operators"]  # type: ignore[return-value]

    @hookimpl
    def hirules_edits(self) -> list[EditKind]:
        return self.added["edits"]  # type: ignore[return-value]


PRINT = Action("print-label", "added", "", "a label is about to be printed")


def test_what_plugins_add_is_part_of_the_language() -> None:
    printer = Attribute("request.printer", Type.STRING, frozenset({"print-label"}), "the printer")
    language = read_language(Settings(), [Adds([PRINT], [printer])])
    assert language.vocabulary.actions["print-label"] == PRINT
    assert language.vocabulary.lookup(parse_path("request.printer")) == printer
    subject = language.vocabulary.lookup(parse_path("subject.ae_title"))
    assert subject is not None
    assert "print-label" in subject.actions


def test_a_name_that_is_taken_is_an_error() -> None:
    taken = [
        Adds(actions=[Action("c-move", "added", "", "another")]),
        Adds(attributes=[Attribute("subject.ae_title", Type.STRING, frozenset(), "another")]),
        Adds(operators=[OPERATORS["glob"]]),
        Adds(edits=[EDITS["set"]]),
    ]
    for plugin in taken:
        with pytest.raises(PolicyError, match=r"is in the vocabulary already|exists already"):
            read_language(Settings(), [plugin])


def test_a_plugin_that_is_not_installed_is_a_finding() -> None:
    with pytest.raises(PolicyError, match="plugin `nothing` is not installed"):
        read_language(Settings(plugins=("nothing",)))


@pytest.mark.parametrize(
    ("required", "said"),
    [
        ("hirules", None),
        ("hirules>=0.0.1", None),
        ("Adds", None),
        ("hirules>=99", "version"),
        ("office-calendar", "which is not loaded"),
        ("Adds>=1.0", "version ? is loaded"),
        (">=1", "is no requirement"),
    ],
)
def test_requirements(required: str, said: str | None) -> None:
    findings = requirements([required], Plugins([Adds()]))
    assert (said is None) == (findings == ())
    assert all(found.is_error and said is not None and said in found.message for found in findings)
