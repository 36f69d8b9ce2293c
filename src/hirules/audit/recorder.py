"""From a decision to its line in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from hirules.audit.record import (
    DecisionRecord,
    InstanceRecord,
    LookupCost,
    OutcomeRecord,
    Record,
    RecordedError,
    RecordedException,
    RecordedNote,
    RecordedShadow,
    encode,
)
from hirules.audit.redaction import removed_keys, shown, shown_instance, shown_paths
from hirules.audit.store import NotRecorded, Store
from hirules.model.decision import Decision
from hirules.model.request import Request, plain
from hirules.model.vocabulary import Vocabulary

GROUP = 256
GROUP_TIME = timedelta(seconds=1)
"""So many lines of instances, and of what was decided on them, are synced together, or as many as came in such a time."""
BROUGHT = frozenset({"answer", "release"})
"""Decisions on what a request brings: many to a request, whose outcome syncs the last of them."""


class Recorder:
    """Writes decisions and outcomes. Without a store it only makes the record (for plugins' notifications)."""

    def __init__(self, store: Store | None, vocabulary: Vocabulary, *, identifying_values: bool = False) -> None:
        self._store = store
        self.vocabulary = vocabulary
        """What of a request may be shown; that of the policy set that decides."""
        self._identifying_values = identifying_values
        self._loose = 0
        self._since: datetime | None = None
        """Lines of instances since one was synced, and when the first of them was; threads may miscount, which syncs a little earlier or later."""

    @property
    def stores(self) -> bool:
        """Whether there is a store."""
        return self._store is not None

    def record(self, request: Request, decision: Decision, time: datetime, lookups: Sequence[LookupCost] = ()) -> DecisionRecord:
        """The record of ``decision`` on ``request`` (as it came), without what it may not show."""
        identifying, vocabulary = self._identifying_values, self.vocabulary
        return DecisionRecord(
            id=request.id,
            time=time,
            action=request.action or "?",
            subject=shown(vocabulary, request.subject, "subject", identifying_values=identifying),
            request=shown(vocabulary, request.request, "request", identifying_values=identifying),
            decision=decision.decision,
            by=decision.by,
            status=decision.status,
            reason=decision.full_reason or decision.reason if identifying else decision.reason,
            rewritten=tuple(sorted(decision.rewritten)),
            values=shown_paths(vocabulary, decision.rewritten, identifying_values=True) if identifying and decision.rewritten else None,
            removed_keys=removed_keys(request),
            notes=tuple(
                RecordedNote(
                    source=note.source, severity=note.severity, note=note.note,
                    include=shown_paths(vocabulary, note.include, identifying_values=identifying),
                )
                for note in decision.notes
            ),
            shadow=tuple(RecordedShadow(rule=each.rule, effect=each.effect, outcome=each.outcome, edits=tuple(sorted(each.edits))) for each in decision.shadow),
            exceptions=tuple(
                RecordedException(exception=use.exception, rule=use.rule, reason=use.reason, approved_by=use.approved_by) for use in decision.exceptions
            ),
            errors=tuple(RecordedError(source=error.source, message=error.message, path=error.path, at=error.at) for error in decision.errors),
            lookups=tuple(lookups),
            policies=decision.policies,
        )  # fmt: skip

    def write(self, record: DecisionRecord) -> None:
        """Put ``record`` on disk; that of an ``answer`` or a ``release`` is written at once and synced with its group. Raises :class:`NotRecorded`."""
        self._put(_line(record), sync=record.action not in BROUGHT or self._closes_group(record.time))

    def outcome(self, request_id: str, outcome: Mapping[str, object], time: datetime, *, action: str = "") -> None:
        """Complete the record of ``request_id``, which asked for ``action``. Written at once.

        Synced after what the request brought, else with the next decision. Raises :class:`NotRecorded`.
        """
        fields = {str(name): plain(value) for name, value in outcome.items()}
        sync = False
        if action not in BROUGHT:
            sync, self._loose, self._since = self._loose > 0, 0, None
        self._put(_line(OutcomeRecord(id=request_id, time=time, outcome=fields)), sync=sync)

    def instance(self, request_id: str, uid: str, time: datetime) -> None:
        """An instance is about to leave by the decision on ``request_id``. Written at once, synced with its group. Raises :class:`NotRecorded`."""
        shown_uid = shown_instance(uid, identifying_values=self._identifying_values)
        self._put(_line(InstanceRecord(id=request_id, time=time, instance=shown_uid)), sync=self._closes_group(time))

    def _closes_group(self, time: datetime) -> bool:
        """Whether the line that is about to be written is the last one of its group."""
        self._loose += 1
        begun = self._since
        if begun is None:
            self._since = time
            return False
        if self._loose < GROUP and time - begun < GROUP_TIME:
            return False
        self._loose, self._since = 0, None
        return True

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()

    def _put(self, line: bytes, *, sync: bool) -> None:
        if self._store is None:
            return
        try:
            self._store.append(line, sync=sync)
        except NotRecorded:
            raise
        except Exception as error:
            # a store of somebody else's: whatever it raises, the line is not known to be written
            raise NotRecorded(f"the audit store raised {type(error).__name__}") from error


def _line(record: Record) -> bytes:
    try:
        return encode(record)
    except (TypeError, ValueError, RecursionError, UnicodeError) as error:
        raise NotRecorded(f"the record has no form in JSON ({type(error).__name__})") from error
