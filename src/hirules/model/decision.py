"""The decision: a complete instruction with its reasons. What enforces it re-decides nothing."""

from __future__ import annotations

from typing import Literal

import msgspec

from hirules.model.reading import Fields
from hirules.model.request import EMPTY, Request

Effect = Literal["allow", "deny", "rewrite", "audit"]
Severity = Literal["low", "medium", "high", "alert"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "alert")


class AssociateStatus(msgspec.Struct, frozen=True):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 §9.3.4)."""

    result: int
    source: int
    reason: int


Status = int | str | AssociateStatus | None
"""A DIMSE status, an AWS error code, or the three of a rejected association; ``None`` when allowed."""


class Error(msgspec.Struct, frozen=True):
    """Something that was unknown or failed, and the rule or plugin that it touched."""

    source: str
    """``policy/rule``, ``plugin:name`` or ``gate``."""
    message: str
    """In lower case, without values of the request."""
    path: str | None = None
    at: str | None = None
    """``file:line:column``."""


class Note(msgspec.Struct, frozen=True):
    """What an audit rule or an audit verdict adds to the record."""

    source: str
    severity: Severity = "low"
    note: str = ""
    include: Fields = EMPTY

    def __repr__(self) -> str:
        return f"Note({self.source!r}, {self.severity})"


class ShadowResult(msgspec.Struct, frozen=True):
    """What a rule in ``shadow`` would have done: its effect had it been in mode ``enforce``."""

    rule: str
    effect: Effect
    outcome: str
    """``allow``, ``deny``, ``rewrite``, ``audit``, ``conflict`` or ``unknown``."""
    edits: Fields = EMPTY

    def __repr__(self) -> str:
        return f"ShadowResult({self.rule!r}, {self.outcome})"


class ExceptionUse(msgspec.Struct, frozen=True):
    """An exception that suspended a rule for this request."""

    exception: str
    """``policy/exception``."""
    rule: str
    reason: str
    approved_by: str = ""


class Decision(msgspec.Struct, frozen=True):
    """Forward (with the effective request) or refuse (with status and reason).

    ``by``         sorted, the exact determining rules; empty when ``combining`` decided
    ``reason``     what the caller may see: at most 64 characters, no patient data
    ``full_reason`` for the record
    ``offending``  paths that the deny names as Offending Element
    ``no_match``   answer as if nothing existed
    ``rewritten``  each path whose value a rewrite changed, with its new value (``None``: removed)
    ``effective``  the request as it would be carried out
    ``nothing``    known to reach nothing: a retrieve is answered without the upstream
    ``policies``   the digest of the set that decided
    """

    decision: Literal["allow", "deny"]
    effective: Request
    by: tuple[str, ...] = ()
    status: Status = None
    reason: str = ""
    full_reason: str = ""
    offending: tuple[str, ...] = ()
    no_match: bool = False
    rewritten: Fields = EMPTY
    nothing: bool = False
    notes: tuple[Note, ...] = ()
    shadow: tuple[ShadowResult, ...] = ()
    exceptions: tuple[ExceptionUse, ...] = ()
    errors: tuple[Error, ...] = ()
    policies: str = ""

    @property
    def allowed(self) -> bool:
        """The request may go ahead, as ``effective`` says."""
        return self.decision == "allow"

    @property
    def id(self) -> str:
        """The id of the request, which also names the record."""
        return self.effective.id

    def __repr__(self) -> str:
        return f"Decision({self.decision!r}, by={self.by!r}, id={self.id!r})"
