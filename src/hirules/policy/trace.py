"""What an evaluation did, for ``explain``: per rule and entity whether it was considered, what each test saw, what came of it.

An evaluation without a trace builds none of this. Values that are patient data are in a trace; whoever shows
one decides whether they are shown.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hirules.model.reading import Reading
from hirules.policy.ast import Check, Position
from hirules.policy.truth import Truth

Step = Literal["rewrite", "decide"]
Outcome = Literal["matched", "unknown", "not matched", "suspended", "not considered"]


class TestTrace(msgspec.Struct, frozen=True):
    """One ``path: matcher``: the value that was seen and whether it satisfied the matcher (``None``: unknown)."""

    path: str
    operators: tuple[str, ...]
    truth: Truth
    seen: Reading
    patient_data: bool
    position: Position
    part: Literal["when", "unless", "item"] = "when"


class RuleTrace(msgspec.Struct, frozen=True):
    """One rule, or one exception (``of`` is the rule then), at one entity (``None``: at none).

    ``why`` says why it was not considered or did not match; of a rule that matched, what it led to.
    """

    rule: str
    step: Step
    outcome: Outcome
    why: str
    entity: int | None = None
    tests: tuple[TestTrace, ...] = ()
    of: str | None = None
    mode: str = "enforce"


class Trace:
    """Collects what an evaluation did, in its order."""

    def __init__(self) -> None:
        self.rules: list[RuleTrace] = []

    def add(self, rule: RuleTrace) -> None:
        """One more."""
        self.rules.append(rule)

    def __repr__(self) -> str:
        return f"Trace({len(self.rules)} rules)"


def operators_of(checks: tuple[Check, ...]) -> tuple[str, ...]:
    """The names of a matcher's operators."""
    return tuple(check.operator for check in checks)
