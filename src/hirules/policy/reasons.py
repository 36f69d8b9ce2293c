"""What a refusal says: which of several denies speaks, to the caller and to the record."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hirules.model.actions import Action
from hirules.model.decision import SEVERITIES, Severity, Status
from hirules.model.status import default_status, valid_status
from hirules.policy.ast import Deny, Quote, Rule
from hirules.policy.read import View, read
from hirules.policy.spelling import quoted
from hirules.policy.verdict import Verdict

REASON_LENGTH = 64
"""Error Comment (0000,0902) is of VR LO: 64 characters (PS3.7 §E.1)."""


class Denial(msgspec.Struct, frozen=True):
    """One deny that matched. ``reason`` is for the caller, ``full_reason`` for the record."""

    source: str
    status: Status
    reason: str = ""
    full_reason: str = ""
    severity: Severity = "low"
    no_match: bool = False
    offending: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Denial({self.source!r}, status={self.status!r})"


def denial_of_rule(rule: Rule, view: View, action: Action) -> Denial:
    """What a deny rule says about what ``view`` shows."""
    deny = rule.effect
    assert isinstance(deny, Deny)  # INVARIANT: only deny rules deny
    status = deny.status.get(action.name)
    shown = "".join([_part(part, view, shown=True) for part in deny.reason])
    return Denial(
        source=rule.id,
        status=default_status(action.name) if status is None else status,
        reason=for_caller("".join([_part(part, view, shown=False) for part in deny.reason])),
        full_reason=shown,
        severity=rule.severity,
        no_match=deny.no_match and action.hideable,
        offending=tuple([path.text for path in deny.offending]),
    )


def denial_of_verdict(verdict: Verdict, action: Action) -> Denial:
    """What a plugin's deny, or a plugin that failed, says. A status that does not refuse is never taken."""
    if verdict.effect != "deny":
        return Denial(verdict.source, default_status(action.name), "a plugin could not decide", verdict.reason or "a plugin could not decide")
    status = verdict.status if valid_status(action.name, verdict.status) else default_status(action.name)
    severity = verdict.severity if verdict.severity in SEVERITIES else "low"
    return Denial(verdict.source, status, for_caller(verdict.reason), verdict.reason, severity, verdict.no_match and action.hideable, verdict.offending)


def _part(part: str | Quote, view: View, shown: bool) -> str:
    if isinstance(part, str):
        return part
    text = quoted(read(part.path, part.attribute, view))
    # patient data are never shown to the caller; that there is none, or that it is unknown, is
    return "…" if part.attribute.patient_data and not shown and text not in ("-", "?") else text


def for_caller(text: str) -> str:
    """At most 64 characters, none of them a control character or a backslash, which LO cannot hold (PS3.5 §6.2)."""
    if text.isprintable() and "\\" not in text:
        return text[:REASON_LENGTH]
    return "".join(character if character.isprintable() and character != "\\" else "?" for character in text)[:REASON_LENGTH]


def spokesman(denials: Sequence[Denial]) -> Denial:
    """The deny that gives status and reason: one that says no-match, else the highest severity, else the lowest name."""
    if len(denials) == 1:
        return denials[0]
    return min(denials, key=lambda denial: (not denial.no_match, -SEVERITIES.index(denial.severity), denial.source))
