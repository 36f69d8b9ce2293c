"""What a plugin says about a request. It is combined with the rules by the same law."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from hirules.model.decision import Severity, Status

VerdictEffect = Literal["allow", "deny", "rewrite", "audit", "unknown"]
NO_EDITS: Mapping[str, tuple[str, object]] = {}


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict of one plugin.

    ``source``  ``plugin:name``; whoever collects verdicts sets it
    ``effect``  ``unknown`` is what a plugin said that raised: it denies
    ``reason``  what the caller may see: cut to 64 characters, so without patient data
    ``status``  of a deny; one that the action cannot answer gives way to the default
    ``edits``   of a rewrite: each path with the name of an edit and its argument as plain data,
                ``{"request.Priority": ("set", 2), "request.Identifier.PatientName": ("remove", None)}``
    ``note``    of an audit
    """

    effect: VerdictEffect
    source: str = ""
    reason: str = ""
    status: Status = None
    severity: Severity = "low"
    no_match: bool = False
    offending: tuple[str, ...] = ()
    edits: Mapping[str, tuple[str, object]] = NO_EDITS
    note: str = ""

    def __repr__(self) -> str:
        return f"Verdict({self.effect!r}, source={self.source!r})"
