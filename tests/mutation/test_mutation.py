"""The report on mutants; the run itself takes too long for a test."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.mutation.__main__ import called_at_import, draw, is_judged, report

ROOT = Path(__file__).parents[2]


def test_a_share_is_drawn_again_the_same() -> None:
    names = [f"m{number}" for number in range(100)]
    assert draw(names, 0.25, 1) == draw(reversed(names), 0.25, 1)
    assert len(draw(names, 0.25, 1)) == 25
    assert draw(names, 0.25, 2) != draw(names, 0.25, 1)
    assert draw(names, 1, 1) == sorted(names)


def test_the_score_counts_what_was_run() -> None:
    found = {"read": {"a": "killed", "b": "survived", "c": "timeout", "d": "not run", "e": "untested"}}
    table = list(report(found))
    assert table[1].split() == ["read", "4", "1", "1", "1", "1", "50.0%"]
    assert table[2].split()[0] == "all"
    assert table[3:] == ["survived: b", "untested: e"]


def test_the_modules_that_are_mutated_exist() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mutmut"]
    assert len(configured["only_mutate"]) >= 12
    assert all((ROOT / name).is_file() for name in configured["only_mutate"])


def test_what_runs_at_import_is_not_judged() -> None:
    at_import = called_at_import()
    assert {"members.order", "operators._negated"} <= at_import
    assert not is_judged("hirules.policy.members.x_order__mutmut_3", at_import)
    assert is_judged("hirules.policy.read.x_within__mutmut_1", at_import)
    assert is_judged("hirules.policy.conditions.xǁSurroundingsǁholds__mutmut_5", at_import)
