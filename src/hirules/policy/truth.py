"""Kleene's three-valued logic, and what an operator may ask while it decides (LANGUAGE: Absent and unknown are two things)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from hirules.model.reading import Reading
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import Check, Condition, Operand

Truth = bool | None
"""``None`` is unknown."""


def kleene_not(truth: Truth) -> Truth:
    """The negation: unknown stays unknown."""
    return None if truth is None else not truth


def kleene_all(truths: Iterable[Truth]) -> Truth:
    """False where one is false, else unknown where one is unknown, else true."""
    seen = set(truths)
    if False in seen:
        return False
    return None if None in seen else True


def kleene_any(truths: Iterable[Truth]) -> Truth:
    """True where one is true, else unknown where one is unknown, else false."""
    seen = set(truths)
    if True in seen:
        return True
    return None if None in seen else False


class Scope(Protocol):
    """What surrounds one test: its attribute, the time, and the readings of what it compares with."""

    @property
    def attribute(self) -> Attribute:
        """The attribute that is tested."""

    @property
    def now(self) -> datetime:
        """The time of the request, with its offset."""

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the policy set."""

    def operand(self, operand: Operand, attribute: Attribute | None = None) -> Reading:
        """The values of an operand, read by the type of ``attribute``, by default the tested one."""

    def passes(self, checks: Sequence[Check], reading: Reading, attribute: Attribute) -> Truth:
        """Whether a reading satisfies every check of a matcher."""

    def holds(self, condition: Condition, item: object) -> Truth:
        """Whether a condition holds for one item of a sequence."""
