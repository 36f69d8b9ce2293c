"""Conditions of a test as terms and literals."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from hirules.policy.ast import Condition
from hirules.policy.lint.terms import Literal, terms
from hirules.policy.operators import OPERATORS
from tests.policy.loading import compiled

UTC = ZoneInfo("UTC")


def condition(text: str, on: str = "c-move") -> Condition:
    """The condition of a deny that is written so."""
    found = compiled(f"when: {text}", on=on).when
    assert found is not None
    return found


def literals(text: str, on: str = "c-move") -> Sequence[Literal]:
    """The literals of a condition that has one term."""
    found = terms(condition(text, on), OPERATORS)
    assert found is not None
    (term,) = found
    return term
