"""The language by example: every block is right, and every construct of the language is in one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hirules.cli import main
from hirules.model.path import ROOTS
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.edits import EDITS
from hirules.policy.operators import OPERATORS
from hirules.policy.schema import schemas
from tests.test_documentation import ROOT, blocks

PAGE = (ROOT / "docs" / "by-example.md").read_text(encoding="utf-8")
BLOCKS = blocks(PAGE, "yaml")
SET, POLICY = (next(block for block in BLOCKS if block.startswith(f"{head}: 1")) for head in ("hirules-set", "hirules"))
(TESTS,) = (block for block in BLOCKS if block.startswith("hirules-test: 1"))
RULES = [block for block in BLOCKS if block.startswith("- id:")]
ALL = "".join(BLOCKS)
LISTS = POLICY[POLICY.index("lists:") : POLICY.index("\nrules:") + 1]


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    assert len(RULES) + 3 == len(BLOCKS)
    assert len(RULES) >= 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The policy of the page, its tests, and its set."""
    (tmp_path / "set.yaml").write_text(SET, encoding="utf-8")
    (tmp_path / "by-example.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "by-example_test.yaml").write_text(TESTS, encoding="utf-8")
    return tmp_path


def test_the_policy_is_right_and_its_tests_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder)]) == 0
    assert "error" not in capsys.readouterr().out
    assert main(["test", str(folder)]) == 0
    assert "3 passed" in capsys.readouterr().out


@pytest.mark.parametrize("number", range(len(RULES)))
def test_the_rules_are_right(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without an error, and without a warning: what a page shows is copied. (A list that the rules do not use is the page's.)"""
    rules = "".join(f"  {line}\n" for line in RULES[number].splitlines())
    lists = LISTS if "$" in rules else ""
    (tmp_path / "p.yaml").write_text(f"hirules: 1\npolicy: p\n{lists}rules:\n{rules}", encoding="utf-8")
    main(["check", "--format", "json", "--now", "2026-11-21T00:00:00Z", str(tmp_path)])
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [found for found in findings if found["code"] != "unused-list"] == []


def test_every_operator_edit_and_action_is_shown() -> None:
    words = set(re.findall(r"[\w-]+", ALL))
    assert OPERATORS.keys() - words == {"in", "contains"} - words
    assert EDITS.keys() <= words
    assert VOCABULARY.actions.keys() | VOCABULARY.groups.keys() - {"query"} <= words
    assert {f"{root}." for root in (*ROOTS, "original")} <= set(re.findall(r"\w+\.", ALL))


@pytest.mark.parametrize(
    ("schema", "definition"), [("policy", ""), ("policy", "rule"), ("policy", "exception"), ("policy", "deny"), ("policy", "audit"), ("policy-set", "")]
)
def test_every_key_is_shown(schema: str, definition: str) -> None:
    found = schemas()[schema]
    keys = (found["$defs"][definition] if definition else found)["properties"].keys()
    assert [key for key in keys if f"{key}:" not in ALL and key not in ("description", "lint")] == []
    assert "lint:" in ALL
