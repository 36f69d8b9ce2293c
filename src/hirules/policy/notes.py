"""Audit notes: what the record shall carry beside the decision."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from hirules.model.decision import SEVERITIES, Note
from hirules.model.reading import Fields
from hirules.policy.ast import Audit, Quote
from hirules.policy.matching import Match
from hirules.policy.read import View, read
from hirules.policy.spelling import recorded
from hirules.policy.verdict import Verdict


def notes_of(matches: Sequence[Match], views: Sequence[View], verdicts: Sequence[Verdict], request_id: str) -> tuple[Note, ...]:
    """The notes of audit rules that match, or whose condition is unknown, and of plugins."""
    notes = [note for match in matches if (note := _note(match, views, request_id)) is not None]
    for verdict in verdicts:
        if verdict.effect == "audit":
            notes.append(Note(verdict.source, verdict.severity if verdict.severity in SEVERITIES else "low", verdict.note))
    return tuple(sorted(notes, key=lambda note: (note.source, note.severity, note.note)))


def _note(match: Match, views: Sequence[View], request_id: str) -> Note | None:
    audit = match.rule.effect
    at = match.at(True, None)
    if not at or not isinstance(audit, Audit) or not sampled(request_id, audit.sample):
        return None
    return Note(match.rule.id, audit.severity, audit.note, _included(audit.include, [views[number] for number in at]))


def _included(quotes: Sequence[Quote], views: Sequence[View]) -> Fields:
    """The values that the rule asks for; where entities differ, those of each."""
    result: dict[str, object] = {}
    for quote in quotes:
        values = [recorded(read(quote.path, quote.attribute, view)) for view in views]
        result[quote.path.text] = values[0] if all(value == values[0] for value in values) else values
    return result


def sampled(request_id: str, share: float) -> bool:
    """Whether a request is in a sample: a hash of its id, so that every rule with the same share takes the same requests."""
    number = int.from_bytes(hashlib.sha256(request_id.encode()).digest()[:8], "big")
    return number < share * 2**64
