"""The gate: the path of every request, and the one place that fails closed.

    Request ─▶ id, names, time ─▶ verdicts of plugins ─▶ facts that a rule still needs ─▶ evaluate
            ─▶ record on disk ─▶ Decision                    (whatever fails on the way: deny)

``check`` and ``refuse`` never raise; ``complete`` adds the outcome to the record. All are thread safe.
"""

from __future__ import annotations

import itertools
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from hirules.audit import DecisionRecord, LookupCost, NotRecorded, Recorder
from hirules.audit.record import RecordedError
from hirules.facts import Answer, Lookups
from hirules.facts.consistent import ambiguous
from hirules.facts.names import Names
from hirules.facts.reads import Reads, reads
from hirules.hooks import Facts, Plugins
from hirules.hooks.failure import told
from hirules.model.decision import Decision, Error, Status
from hirules.model.reading import Fields, Unknown
from hirules.model.request import Entities, Request, replaced
from hirules.model.status import default_status
from hirules.policy.ast import PolicySet
from hirules.policy.buckets import nothing
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.findings import Finding
from hirules.policy.index import Index
from hirules.policy.operators import OPERATORS, Operator
from hirules.policy.trace import Trace
from hirules.policy.verdict import Verdict

_log = logging.getLogger(__name__)


_CHANGING = frozenset(
    {
        "c-store", "n-set", "n-create", "n-action", "n-delete",
        "update-image-set-metadata", "copy-image-set", "delete-image-set", "start-dicom-import-job",
    }
)  # fmt: skip
"""Once one of them has ended, what was looked up before may be so no more."""


def now_of_clock(request: Request) -> datetime:
    """The clock's time, whatever the caller says; of an ``answer`` or a ``release`` that of the request which brought it about."""
    if request.action in ("answer", "release"):
        given = request.context.get("now")
        if isinstance(given, datetime) and given.tzinfo is not None:
            return given
    return datetime.now(UTC)


def now_of_caller(request: Request) -> datetime:
    """The time that the request carries, where it does: for questions, where nothing is carried out."""
    given = request.context.get("now")
    if isinstance(given, str):
        given = datetime.fromisoformat(given)
    if given is None:
        return datetime.now(UTC)
    if not isinstance(given, datetime) or given.tzinfo is None:
        raise ValueError("the time of the request has no offset")
    return given


class Edition(msgspec.Struct, frozen=True, weakref=True):
    """One version of the policy set with what is derived from it. A decision sees one edition from its beginning to its end."""

    policies: PolicySet
    names: Names
    reads: Mapping[str, Reads]
    index: Index


class ReloadStatus(msgspec.Struct, frozen=True):
    """How reloading stands. A set that has an error is not used: the one of ``digest`` keeps deciding.

    ``digest``    of the set that decides
    ``swapped``   when it came into force by a reload; ``None``: it is the one of the start
    ``checked``   when a change was last checked, and ``checks`` how often
    ``error``     why the last changed set is not in force; ``None`` where it is
    ``findings``  everything that was said about the last changed set, warnings included
    """

    digest: str
    swapped: datetime | None = None
    checked: datetime | None = None
    checks: int = 0
    error: str | None = None
    findings: tuple[Finding, ...] = ()


class Reloads(Protocol):
    """What puts changed policies into force beside the decisions (``hirules.assemble.reload``)."""

    @property
    def status(self) -> ReloadStatus:
        """How it stands."""

    def check(self) -> None:
        """Look at the policies now, changed or not. Does not wait for the result."""

    def close(self) -> None:
        """End it."""


class Observer(Protocol):
    """Counts, measures or traces what a gate does. What it raises is logged and changes nothing; it must not wait."""

    def decided(self, decision: Decision, seconds: float) -> None:
        """A request was decided and recorded, in so many seconds."""

    def completed(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        """What became of it."""

    def looked_up(self, answer: Answer) -> None:
        """A look-up ended."""

    def not_recorded(self) -> None:
        """Something could not be written into the record."""


class Gate:
    """Decides requests by one policy set and the plugins. Without a recorder nothing is recorded."""

    def __init__(
        self,
        policies: PolicySet,
        *,
        plugins: Plugins | None = None,
        recorder: Recorder | None = None,
        lookups: Lookups | None = None,
        operators: Mapping[str, Operator] = OPERATORS,
        edits: Mapping[str, EditKind] = EDITS,
        unlisted_operations: str | Sequence[str] = "refuse",
        now: Callable[[Request], datetime] = now_of_clock,
    ) -> None:
        self._operators, self._edits = operators, edits
        self._edition = self.edition(policies)
        self.unlisted_operations = unlisted_operations
        """HealthImaging operations that are no action: ``refuse`` or ``allow`` them all, or the names of those that pass."""
        self._plugins = plugins if plugins is not None else Plugins()
        self._recorder = recorder if recorder is not None else Recorder(None, policies.vocabulary)
        self._lookups = lookups if lookups is not None else Lookups(policies.vocabulary)
        self._now = now
        self._fact_sources = self._plugins.fact_sources()
        self._votes = self._plugins.votes
        self._records = self._recorder.stores or self._plugins.listens
        self.reloader: Reloads | None = None
        """What puts changed policies into force, for a gate that reloads."""
        self.observers: tuple[Observer, ...] = ()
        self._ids, self._numbers = uuid.uuid4().hex, itertools.count(1)

    @property
    def policies(self) -> PolicySet:
        """The policy set that decides now."""
        return self._edition.policies

    @property
    def votes(self) -> bool:
        """Whether a plugin has a say in decisions."""
        return self._votes

    @property
    def records(self) -> bool:
        """Whether decisions are recorded."""
        return bool(self._recorder.stores)

    def edition(self, policies: PolicySet, between: Callable[[], None] = nothing) -> Edition:
        """``policies`` made ready to decide; this is where a new set costs. ``between`` is called between small steps."""
        index = Index(policies, operators=self._operators, edits=self._edits, between=between)
        return Edition(policies, Names(policies.vocabulary), reads(policies, between), index)

    def swap(self, edition: Edition) -> Edition:
        """From now on ``edition`` decides; requests that are being decided keep theirs. Answers the one that decided before."""
        before, self._edition = self._edition, edition
        # what a record shows, and what can be looked up, follows the actions and attributes of the set too. A request that is on its way
        # is recorded by the new ones: an attribute that they do not have is withheld
        self._recorder.vocabulary = self._lookups.vocabulary = edition.policies.vocabulary
        return before

    def check(self, request: Request, trace: Trace | None = None) -> Decision:
        """Decide ``request`` and record it. Whatever fails refuses; nothing is raised. ``trace`` collects the reasons."""
        if not self.observers:
            return self._check(request, trace)
        begun = time.perf_counter()
        decision = self._check(request, trace)
        self._observed(lambda observer: observer.decided(decision, time.perf_counter() - begun))
        return decision

    def _check(self, request: Request, trace: Trace | None) -> Decision:
        asked = request if isinstance(request, Request) else Request("")
        number = asked.id or self._number()
        costs: list[LookupCost] = []
        try:
            now = self._now(asked)
            decision = self._decide(self._edition, asked, number, now, costs, trace)
            if not self._records:
                return decision
            record = self._written(_identified(asked, number), decision, now, costs)
        except Exception as error:  # noqa: BLE001 - INVARIANT: fail closed. Whatever goes wrong on the way to a recorded decision, the request is refused
            return self._closed(_identified(asked, number), error)
        self._tell(record)
        return decision

    def refuse(self, request: Request, status: Status, reason: str) -> Decision:
        """Record that ``request`` is refused before any rule: it could be read in two ways, or not at all. ``reason`` quotes no patient data."""
        begun = time.perf_counter()
        decision = self._refuse(request, status, reason)
        self._observed(lambda observer: observer.decided(decision, time.perf_counter() - begun))
        return decision

    def _refuse(self, request: Request, status: Status, reason: str) -> Decision:
        given = request if isinstance(request, Request) else Request("")
        given = _identified(given, given.id or self._number())
        try:
            decision = msgspec.structs.replace(self._refusal(given, reason), status=status)
            record = self._written(given, decision, datetime.now(UTC), [])
        except Exception as error:  # noqa: BLE001 - as in `check`: it is refused in any case, and the record says as much as it can
            return self._closed(given, error)
        self._tell(record)
        return decision

    def complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        """Add what became of the request to its record: final status, counts. Never a value of a patient."""
        effective = decision.effective
        if effective.action in _CHANGING and effective.request.get("action") is None:
            # not the C-STORE of a C-GET, which goes to the client
            self._lookups.forget()
        self._observed(lambda observer: observer.completed(decision, outcome))
        try:
            self._recorder.outcome(decision.id, outcome, datetime.now(UTC), action=effective.action)
        except NotRecorded as error:
            self._observed(lambda observer: observer.not_recorded())
            # the request has been carried out, so there is nothing left to refuse; the next one meets the same store and is
            _log.error("the outcome of request %s is not in the record: %s", decision.id, error)

    def leaves(self, decision: Decision, uid: str) -> bool:
        """An instance is about to leave by ``decision``: whether that is in the record. Where it is not, it must not leave."""
        if not self._recorder.stores:
            return True
        try:
            self._recorder.instance(decision.id, uid, datetime.now(UTC))
        except NotRecorded as error:
            self._observed(lambda observer: observer.not_recorded())
            _log.error("request %s: an instance does not leave: %s", decision.id, error)
            return False
        return True

    def close(self) -> None:
        """End reloading and close the audit store; where there is one, later requests are refused."""
        if self.reloader is not None:
            self.reloader.close()
        self._recorder.close()

    def _number(self) -> str:
        """An id that no other request has."""
        return f"{self._ids}-{next(self._numbers):x}"

    def _written(self, request: Request, decision: Decision, now: datetime, costs: Sequence[LookupCost]) -> DecisionRecord:
        """The record, on disk."""
        record = self._recorder.record(request, decision, now, costs)
        self._recorder.write(record)
        return record

    def _decide(self, edition: Edition, request: Request, number: str, now: datetime, costs: list[LookupCost], trace: Trace | None) -> Decision:
        reading = edition.reads.get(request.action)
        if reading is None:
            return self._refusal(_identified(request, number), "there is no such action", edition=edition)
        if not edition.names.usual(request):
            if strange := edition.names.strange(request):
                why = "the request has an attribute that its action does not have"
                return self._refusal(_identified(request, number), why, strange[0], edition=edition)
            if twofold := ambiguous(request):
                return self._refusal(_identified(request, number), "the request can be read in two ways", twofold[0], edition=edition)
        request = _stamped(request, number, {**request.context, "now": now})
        verdicts = self._plugins.verdicts(request) if self._votes else ()
        if not reading.resource and not (reading.context and self._fact_sources):
            return edition.index.decide(request, now, verdicts, trace)
        request, errors = self._with_facts(edition, request, now, verdicts, costs)
        decision = edition.index.decide(request, now, verdicts, trace)
        return msgspec.structs.replace(decision, errors=(*decision.errors, *errors)) if errors else decision

    def _with_facts(
        self, edition: Edition, request: Request, now: datetime, verdicts: Sequence[Verdict], costs: list[LookupCost]
    ) -> tuple[Request, list[Error]]:
        """The request with the facts that rules need and it does not carry; what could not be had."""
        reading = edition.reads[request.action]
        errors: list[Error] = []
        if self._fact_sources and reading.context:
            request = self._with_context(request, reading.context, costs, errors)
        if not reading.resource:
            return request, errors
        needed = edition.index.needs(request, now, verdicts)
        if needed:
            request = replaced(request, resource=self._entities(request, needed, costs, errors))
        effective, after = edition.index.needs_after(request, now, verdicts)
        if after:
            request = replaced(request, resource_after=self._entities(effective, after, costs, errors))
        return request, errors

    def _with_context(self, request: Request, read: frozenset[str], costs: list[LookupCost], errors: list[Error]) -> Request:
        needed = frozenset(path for path in read if path.split(".")[1] not in request.context)
        if not needed:
            return request
        names = {path.split(".")[1] for path in needed}
        context: dict[str, object] = {}
        for answer in self._asked_plugins(request, needed, costs, errors):
            for name, value in answer.context.items():
                if name not in names:
                    continue
                if name in context and context[name] != value:
                    value = Unknown("plugins disagree about it")
                    errors.append(Error(answer.source, "another plugin answers differently", f"context.{name}"))
                context[name] = value
        return replaced(request, context={**request.context, **context})

    def _entities(self, request: Request, needed: frozenset[str], costs: list[LookupCost], errors: list[Error]) -> Entities | None:
        """What the request reaches; ``None``: unknown."""
        if request.lookup is not None:
            answer = self._lookups.entities(request, needed)
            self._noted(answer, costs, errors)
            return answer.entities
        paths = frozenset(f"resource.{name}" for name in needed)
        told_by = [answer for answer in self._asked_plugins(request, paths, costs, errors) if answer.entities is not None]
        if len(told_by) > 1:
            errors.append(Error(told_by[1].source, "several plugins tell what the request reaches"))
            return None
        return told_by[0].entities if told_by else None

    def _asked_plugins(self, request: Request, needed: frozenset[str], costs: list[LookupCost], errors: list[Error]) -> list[Answer]:
        answers = []
        for source, ask in self._fact_sources:
            answer = self._lookups.facts(source, needed, lambda ask=ask: _parts(ask(request, needed)))  # type: ignore[misc]
            self._noted(answer, costs, errors)
            answers.append(answer)
        return answers

    def _noted(self, answer: Answer, costs: list[LookupCost], errors: list[Error]) -> None:
        costs.append(
            LookupCost(
                source=answer.source, needed=answer.needed, milliseconds=answer.milliseconds, cached=answer.cached, error=answer.error,
                entities=None if answer.entities is None else len(answer.entities),
            )
        )  # fmt: skip
        self._observed(lambda observer: observer.looked_up(answer))
        if answer.error is not None:
            errors.append(Error("gate" if answer.source == "lookup" else answer.source, f"the look-up failed: {answer.error}"))

    def _refusal(self, request: Request, why: str, path: str | None = None, source: str = "gate", edition: Edition | None = None) -> Decision:
        """A refusal by no rule; ``edition`` is the one that the request met, where it met one."""
        return Decision(
            "deny", request, status=default_status(request.action), reason=why[:64], full_reason=why, errors=(Error(source, why, path),),
            policies=(edition or self._edition).policies.digest,
        )  # fmt: skip

    def _closed(self, request: Request, error: Exception) -> Decision:
        """The refusal of a request that could not be decided and recorded, with a record of as little as can fail."""
        if isinstance(error, NotRecorded):
            self._observed(lambda observer: observer.not_recorded())
            why, source, detail = "the decision could not be recorded", "audit", str(error)
        else:
            why, source, detail = "the request could not be decided", "gate", told(error)
        _log.error("request %s is refused: %s: %s", request.id, why, detail)
        refusal = self._refusal(request, why, source=source)
        try:
            self._recorder.write(
                DecisionRecord(
                    id=str(request.id) or "?", time=datetime.now(UTC), action=str(request.action) or "?", decision="deny", status=refusal.status, reason=why,
                    errors=(RecordedError(source=source, message=detail),), policies=self.policies.digest,
                )
            )  # fmt: skip
        except NotRecorded as again:
            _log.error("the refusal of request %s is not in the record: %s", request.id, again)
        return refusal

    def _observed(self, tell: Callable[[Observer], None]) -> None:
        for observer in self.observers:
            try:
                tell(observer)
            except Exception as error:  # noqa: BLE001 - the decision stands, whoever counts it
                _log.error("an observer of the gate failed: %s", told(error))

    def _tell(self, record: DecisionRecord) -> None:
        if self._plugins.listens:
            self._plugins.decided(msgspec.to_builtins(record, enc_hook=str))


def _identified(request: Request, number: str) -> Request:
    return request if request.id else _stamped(request, number, request.context)


def _stamped(request: Request, number: str, context: Fields) -> Request:
    """``request`` with its id and context; what ``replaced`` does, at a fourth of its cost."""
    return Request(
        request.action, request.subject, request.request, request.resource, request.resource_after, request.instance, context, request.original,
        number, request.lookup,
    )  # fmt: skip


def _parts(facts: Facts | None) -> tuple[Entities | None, Fields]:
    return (None, {}) if facts is None else (facts.resource, facts.context)
