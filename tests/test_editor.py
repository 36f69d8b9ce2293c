"""An editor with the YAML language server completes and explains while a policy is typed, by the schemas that `hirules init` leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hirules.cli import main
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.operators import OPERATORS
from tests.peers.language_server import LanguageServer

NAME = "retrieval.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("editor")
    assert main(["init", str(path)]) == 0
    return path


@pytest.fixture
def server(folder: Path) -> Iterator[LanguageServer]:
    with LanguageServer(folder) as running:
        yield running


def typed(folder: Path, more: str) -> tuple[str, int, int]:
    """The sample file with more at its end, where the cursor is."""
    text = (folder / NAME).read_text(encoding="utf-8") + more
    lines = text.split("\n")
    return text, len(lines) - 1, len(lines[-1])


@pytest.mark.parametrize("name", [NAME, "set.yaml", "retrieval_test.yaml"])
def test_the_sample_files_are_fine(server: LanguageServer, folder: Path, name: str) -> None:
    assert server.open(name, (folder / name).read_text(encoding="utf-8")) == []


def test_a_mistake_is_underlined(server: LanguageServer, folder: Path) -> None:
    text, line, _ = typed(folder, "\n  - id: more\n    on: c-get\n    wen: {subject.ae_title: A}\n    allow: {}\n")
    (found,) = server.open(NAME, text)
    assert "wen" in found["message"]
    assert found["range"]["start"]["line"] == line - 2


def test_keys_of_a_rule_are_offered_and_explained(server: LanguageServer, folder: Path) -> None:
    text, line, column = typed(folder, "\n  - id: more\n    ")
    server.open(NAME, text)
    offered = server.completions(NAME, line, column)
    assert {"on", "title", "when", "unless", "allow", "deny", "rewrite", "audit", "valid", "mode"} <= offered.keys()
    assert "permits what matches" in offered["allow"]


def test_actions_are_offered_and_explained(server: LanguageServer, folder: Path) -> None:
    text, line, column = typed(folder, "\n  - id: more\n    on: ")
    server.open(NAME, text)
    offered = server.completions(NAME, line, column)
    assert VOCABULARY.actions.keys() | VOCABULARY.groups.keys() <= offered.keys()
    assert VOCABULARY.actions["c-move"].doc in offered["c-move"]


def test_attributes_are_offered_and_explained(server: LanguageServer, folder: Path) -> None:
    text, line, column = typed(folder, "\n  - id: more\n    on: c-get\n    when:\n      ")
    server.open(NAME, text)
    offered = server.completions(NAME, line, column)
    # the server shortens a long name where it shows it
    plain = {path if len(path) <= 60 else f"{path[:57]}...": attribute.doc for path, attribute in VOCABULARY.attributes.items() if "<" not in path}
    assert plain.keys() | {"all", "any", "not"} <= offered.keys()
    assert all(doc in offered[path] for path, doc in plain.items())


def test_operators_are_offered_and_explained(server: LanguageServer, folder: Path) -> None:
    text, line, column = typed(folder, "\n  - id: more\n    on: c-get\n    when:\n      subject.ae_title:\n        ")
    server.open(NAME, text)
    offered = server.completions(NAME, line, column)
    assert OPERATORS.keys() <= offered.keys()
    assert all(operator.doc in offered[name] for name, operator in OPERATORS.items())


def test_what_is_pointed_at_is_explained(server: LanguageServer, folder: Path) -> None:
    text = (folder / NAME).read_text(encoding="utf-8")
    lines = text.split("\n")
    server.open(NAME, text)
    line = next(number for number, content in enumerate(lines) if "status: 0xA801" in content)
    assert "a status of PS3.7" in server.hover(NAME, line, lines[line].index("status") + 1)
    line = next(number for number, content in enumerate(lines) if "when: {request.MoveDestination" in content)
    assert VOCABULARY.attributes["request.MoveDestination"].doc in server.hover(NAME, line, lines[line].index("MoveDestination"))
