"""What becomes of one request: translated, decided by the gate, and made a message or a response again.

Message ─▶ Request ─▶ gate.check ─▶ Decision ─▶ Ruling
        └▶ Refusal ─▶ gate.refuse ────────────▶ Ruling
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from hirules.dimse.association import Association
from hirules.dimse.destinations import Destinations, NotRouted
from hirules.dimse.disclosing import asking_more
from hirules.dimse.elements import Malformed
from hirules.dimse.lookup_query import kept_in
from hirules.dimse.message import C_FIND_RQ, C_GET_RQ, C_MOVE_RQ, C_STORE_RQ, N_GET_RQ, Command
from hirules.dimse.options import Options
from hirules.dimse.outputs import Completed, Judge, Judged, Message, Refused, Ruling
from hirules.dimse.release import Held, HeldView, carried_out, disclosure, header_of, held
from hirules.dimse.response import response, status_of
from hirules.dimse.translate import Refusal, associate_request, forward, request_of
from hirules.model.decision import AssociateStatus, Decision
from hirules.model.request import Lookup, Request, replaced
from hirules.model.status import NOT_AUTHORIZED, PROCESSING_FAILURE, UNABLE_TO_PROCESS

log = logging.getLogger("hirules.dimse")

SUCCESS = 0x0000
NO_SUCH_OBJECT_INSTANCE = 0x0112
_NO_MATCH: Mapping[int, int] = {C_FIND_RQ: SUCCESS, C_GET_RQ: SUCCESS, C_MOVE_RQ: SUCCESS, N_GET_RQ: NO_SUCH_OBJECT_INSTANCE}
"""How each service says that nothing exists (PS3.4 §C.4, PS3.7 §10.1.2)."""
NOT_RECORDED = "it could not be recorded"
_OF_BOTH = ("SOPClassUID", "SOPInstanceUID")
"""Command and data set say them (PS3.4 §B.3): receivers go by the one or the other."""
REJECTED = AssociateStatus(1, 1, 1)
"""By the user, no reason given (PS3.8 §9.3.4)."""


class Gate(Protocol):
    """What the gateway needs of ``hirules.gate``."""

    def check(self, request: Request) -> Decision:
        """Decide and record."""

    def complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        """Record how it ended."""


@runtime_checkable
class RecordsRefusals(Protocol):
    """A gate that also records what was refused before any rule."""

    def refuse(self, request: Request, status: int | AssociateStatus, reason: str) -> Decision:
        """Record that ``request`` is refused, and answer the decision that says so."""


@runtime_checkable
class RecordsInstances(Protocol):
    """A gate that records each instance before it leaves."""

    def leaves(self, decision: Decision, uid: str) -> bool:
        """Whether it is in the record; else it must not leave."""


LookupOf = Callable[[Association], Lookup]
"""Makes the look-up for the requests of one association."""


class Desk:
    """Rules on the requests of one association."""

    def __init__(self, gate: Gate, options: Options, association: Association, lookup: Lookup | None = None, destinations: Destinations | None = None) -> None:
        self._gate = gate
        self._recording = gate if isinstance(gate, RecordsInstances) else None
        self._options = options
        self._association = association
        self._lookup = lookup
        self._destinations = destinations

    def rule(self, message: Message) -> Ruling:
        """Decide ``message``. Never raises: what cannot be decided is refused."""
        try:
            ruling = self._rule(message)
            if message.retrieving and not message.judged and ruling.command is not None and not self._leaves(message.retrieve, message.command):
                return self._answer(message.command, ruling.decision, PROCESSING_FAILURE, NOT_RECORDED)
            return ruling
        except Exception as error:  # noqa: BLE001 - whatever fails between the wire and the gate, the request is refused, not forwarded
            log.error("association %s: a request could not be decided: %s", self._association.calling_ae_title, place_of(error))
            return self._answer(message.command, None, PROCESSING_FAILURE, "the request could not be decided")

    def _leaves(self, decision: Decision | None, command: Command) -> bool:
        """Put an instance that a retrieve brings into the record; it must not leave where that fails."""
        if decision is None or self._recording is None:
            return True
        return self._recording.leaves(decision, str(command.values.get("AffectedSOPInstanceUID", "")))

    def _rule(self, message: Message) -> Ruling:
        command, context = message.command, message.context
        if message.retrieving and not self._narrows():
            return Ruling(command=command.raw)
        request = self._request(message, message.data)
        if isinstance(request, Refusal):
            decision = self._record(request.request, request.status, request.comment)
            answer = response(command, request.status, request.comment, request.offending)
            return Ruling(decision=decision, answer=answer, status=request.status)
        if self._lookup is not None and not message.from_upstream:
            request = replaced(request, lookup=self._lookup)
        decision = self._gate.check(request)
        if not decision.allowed:
            return self._deny(command, decision)
        if decision.nothing and command.field in (C_GET_RQ, C_MOVE_RQ):
            return self._answer(command, decision, SUCCESS)
        try:
            changed, data = forward(decision, command, message.data, context, self._options)
        except ValueError as error:
            log.warning("association %s: a decision cannot be carried out: %s", self._association.calling_ae_title, error)
            status = UNABLE_TO_PROCESS if command.field in _NO_MATCH and command.field != N_GET_RQ else PROCESSING_FAILURE
            why = "the rewritten request cannot be sent"
            return msgspec.structs.replace(self._answer(command, decision, status, why), why=why)
        ruling = Ruling(decision=decision, command=changed.raw, data=data)
        if command.field == C_MOVE_RQ and self._destinations is not None:
            ruling = self._routed(command, changed, data, decision, self._destinations)
        if ruling.command is None or self._options.disclosed is None or message.from_upstream:
            return ruling
        return msgspec.structs.replace(asking_more(ruling, changed, context, self._options), asked=request)

    def judge(self, judge: Judge) -> Judged:
        """Decide what is about to leave. Never raises: what cannot be decided does not leave."""
        try:
            return self._judge(judge)
        except Exception as error:  # noqa: BLE001 - as in `rule`
            log.error("association %s: what leaves could not be decided: %s", self._association.calling_ae_title, place_of(error))
            return Judged(status=PROCESSING_FAILURE)

    def _judge(self, judge: Judge) -> Judged:
        try:
            came = self._came(judge)
            kept = kept_in(judge.decision.effective, self._options.lookup_kept) if judge.action == "answer" else None
            view = HeldView(came, header=judge.header, kept=kept)
            if judge.command.field == C_STORE_RQ and any(view.get(name) != judge.command.values.get(f"Affected{name}") for name in _OF_BOTH):
                raise Malformed("it is of another instance or class than its command")
        except Malformed as error:
            log.warning("association %s: what leaves is withheld: %s", self._association.calling_ae_title, error)
            request = disclosure(judge.action, judge.decision, judge.asked, {})
            return Judged(self._record(request, PROCESSING_FAILURE, str(error)), status=PROCESSING_FAILURE)
        decision = self._gate.check(disclosure(judge.action, judge.decision, judge.asked, view))
        if not decision.allowed:
            return Judged(decision, hidden=decision.no_match, status=NO_SUCH_OBJECT_INSTANCE if decision.no_match else status_of(decision))
        needed = self._options.disclosed
        if judge.header and needed is not None and needed(judge.action, judge.decision.effective.action).whole:
            # the policies were changed while it came: they look at what was not waited for
            return Judged(decision, status=PROCESSING_FAILURE)
        try:
            data = carried_out(decision, came, view, judge.added)
        except ValueError as error:
            # its text may be pydicom's, and quote the element
            log.warning("association %s: a decision on what leaves cannot be carried out: %s", self._association.calling_ae_title, place_of(error))
            return Judged(decision, status=PROCESSING_FAILURE)
        if judge.command.field == C_STORE_RQ and not self._leaves(judge.decision, judge.command):
            return Judged(decision, status=PROCESSING_FAILURE)
        return Judged(decision, data)

    def _came(self, judge: Judge) -> Held:
        """What is to leave. Raises :class:`Malformed`."""
        if judge.mistake:
            raise Malformed(judge.mistake)
        syntax = judge.context.transfer_syntax
        if syntax is None:
            raise Malformed("the presentation context was not accepted")
        if judge.scan is not None:
            return header_of(judge.data, judge.scan, syntax)
        return held(judge.data, syntax, self._options.data_set_size)

    def _routed(self, command: Command, changed: Command, data: bytes | None, decision: Decision, destinations: Destinations) -> Ruling:
        """A permitted C-MOVE on the way that its destination has."""
        way = destinations.route(changed, decision, self._association, self._options)
        if isinstance(way, NotRouted):
            return msgspec.structs.replace(self._answer(command, decision, way.status, way.why), why=way.why)
        return Ruling(decision=decision, command=way.command, data=data, move=way.move, told=way.told)

    def _narrows(self) -> bool:
        """Whether a C-STORE of a permitted retrieve is a decision of its own."""
        decides = self._options.decide_suboperations
        return decides if isinstance(decides, bool) else decides()

    def _request(self, message: Message, data: bytes | None) -> Request | Refusal:
        asking = "c-get" if message.retrieving else None
        return request_of(message.command, data, message.context, self._association, message.from_upstream, self._options, asking)

    def _deny(self, command: Command, decision: Decision) -> Ruling:
        if decision.no_match and command.field in _NO_MATCH:
            return self._answer(command, decision, _NO_MATCH[command.field])
        status = status_of(decision)
        if status == NOT_AUTHORIZED and command.field == C_FIND_RQ and self._options.strict_status:
            status = UNABLE_TO_PROCESS
        answer = response(command, status, decision.reason, decision.offending)
        return Ruling(decision=decision, answer=answer, status=status)

    def _answer(self, command: Command, decision: Decision | None, status: int, comment: str = "") -> Ruling:
        return Ruling(decision=decision, answer=response(command, status, comment), status=status)

    def refused(self, refused: Refused) -> None:
        """Record what the protocol's own rules refused."""
        message = refused.message
        log.warning("association %s: refused 0x%04X: %s", self._association.calling_ae_title, refused.status, refused.why)
        try:
            made = self._request(message, None)
            decision = self._record(made.request if isinstance(made, Refusal) else made, refused.status, refused.why)
        except Exception as error:  # noqa: BLE001 - the refusal stands, whether or not it could be described
            log.error("association %s: a refusal could not be recorded: %s", self._association.calling_ae_title, place_of(error))
            return
        if decision is not None:
            self.complete(Completed(decision, {"Status": refused.status}))

    def complete(self, completed: Completed) -> None:
        """Record how a request ended."""
        try:
            self._gate.complete(completed.decision, completed.outcome)
        except Exception as error:  # noqa: BLE001 - the request is over; that its outcome is missing must be seen
            log.error("request %s: its outcome could not be recorded: %s", completed.decision.id, place_of(error))

    def _record(self, request: Request, status: int, reason: str) -> Decision | None:
        if isinstance(self._gate, RecordsRefusals):
            return self._gate.refuse(request, status, reason)
        return None


class Rejection(msgspec.Struct, frozen=True):
    """Why an association is not made: the three of the A-ASSOCIATE-RJ (PS3.8 §9.3.4)."""

    status: AssociateStatus
    why: str


def decide_association(gate: Gate, association: Association, options: Options) -> Decision | Rejection:
    """The decision on the action ``associate``: one that allows it, or the rejection."""
    try:
        decision = gate.check(associate_request(association, options))
    except Exception as error:  # noqa: BLE001 - as in Desk.rule
        return Rejection(REJECTED, f"it could not be decided: {place_of(error)}")
    if decision.allowed:
        return decision
    status = decision.status if isinstance(decision.status, AssociateStatus) else REJECTED
    return Rejection(status, f"denied by {', '.join(decision.by) or 'default'}")


def reject_association(gate: Gate, association: Association, options: Options, why: str) -> None:
    """Record that ``association`` is rejected before any rule; ``why`` quotes nothing that it states."""
    if not isinstance(gate, RecordsRefusals):
        return
    try:
        gate.refuse(associate_request(association, options), REJECTED, why)
    except Exception as error:  # noqa: BLE001 - it is rejected, whether or not that could be described
        log.error("association %s: a rejection could not be recorded: %s", association.calling_ae_title, place_of(error))


def place_of(error: BaseException) -> str:
    """Type and place of an error, without its text: that may quote a value."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__} at {place}"
