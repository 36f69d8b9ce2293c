"""The set that authors wait for is fine and of its size, and each command does its work on it."""

from __future__ import annotations

from pathlib import Path

import pytest

import hirules
from benchmarks.authoring import Authoring, Waited, asked, markdown, run, write
from hirules.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("authoring") / "policies"
    rules, tests = write(path, 100)
    assert (rules, tests) == (100, 120)
    return path


def test_the_set_has_all_its_rules_and_no_error(folder: Path) -> None:
    gate = hirules.load(folder)
    assert sum(path.read_text(encoding="utf-8").count("- id:") for path in folder.glob("*.yaml")) == 100
    decision = gate.check(hirules.Request(**{name: value for name, value in asked().items() if name != "context"}))  # type: ignore[arg-type]
    gate.close()
    assert decision.rewritten == {"request.MoveDestination": "NEW_4"}


def test_its_tests_pass(folder: Path) -> None:
    assert main(["test", str(folder)]) == 0


def test_a_run_and_its_page() -> None:
    found = run(60, rounds=1)
    assert [one.command for one in found.commands] == ["check", "test", "test --coverage", "explain", "fmt --check"]
    assert all(one.seconds[0] > 0 and one.processor[0] > 0 and one.said for one in found.commands if one.command != "fmt --check")
    described = {"processor": "one, 2 cores", "python": "CPython 3.11", "load": "1.0 at the start"}
    page = markdown(Authoring(1000, 10, [Waited("check", [1.0, 2.5], [0.5, 0.7], ""), Waited("test", [4.0], [3.0], "")]), described)
    assert "one, 2 cores, Python CPython 3.11, load 1.0 at the start." in page
    assert "| `hirules check` | 0.60 | 1.75 | 2.50 |  |" in page
    assert "| `hirules test` | 3.00 | 4.00 | 4.00 | too long |" in page
