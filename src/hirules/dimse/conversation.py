"""What may be said in one direction: which contexts, which requests, which responses to what.

Rule 1: a response passes only for an outstanding request, on its context, of its service.
Rule 2: a message id is outstanding once at most (PS3.7 §9.1: "shall not be used again").
Rule 3: the upstream asks for nothing but what it has the SCU role for, and an N-EVENT-REPORT; a C-STORE
        needs an outstanding C-GET, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from hirules.dimse.association import Association, Context
from hirules.dimse.ledger import Ledger
from hirules.dimse.message import (
    C_ECHO_RQ,
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    N_EVENT_REPORT_RQ,
    REQUESTS,
    RESPONSE,
    Command,
    with_number,
)
from hirules.dimse.moves import Move
from hirules.dimse.options import Options
from hirules.dimse.outputs import Ruling
from hirules.dimse.sop_classes import belongs
from hirules.facts.disclosed import NOTHING, Disclosed
from hirules.model.decision import Decision
from hirules.model.request import Request
from hirules.model.status import MISTYPED_ARGUMENT, NOT_AUTHORIZED, SOP_CLASS_NOT_SUPPORTED, UNRECOGNIZED_OPERATION

PENDING: Final = frozenset({0xFF00, 0xFF01})
"""PS3.7 §C.1.3: more responses follow."""
CANCELLABLE: Final = frozenset({C_FIND_RQ, C_GET_RQ, C_MOVE_RQ})
DUPLICATE_INVOCATION: Final = 0x0210
_OUT_OF_RESOURCES: Final[Mapping[int, int]] = {C_FIND_RQ: 0xA700, C_GET_RQ: 0xA702, C_MOVE_RQ: 0xA702}
_RESOURCE_LIMITATION: Final = 0x0213
COUNTS: Final = tuple(f"NumberOf{kind}Suboperations" for kind in ("Completed", "Failed", "Warning"))
"""Of the final response to a retrieve, for its outcome (PS3.7 §9.1.3.1, §9.1.4.1)."""


class Mistake(msgspec.Struct, frozen=True):
    """Why a request is refused before any rule, and the status that says so."""

    status: int
    why: str


class Outstanding(msgspec.Struct):
    """A request that was forwarded and has no final response yet."""

    field: int
    context: int
    decision: Decision | None
    status: int | None = None
    counts: dict[str, int] = {}
    matches: int = 0
    instances: int = 0
    """Stored by the sub-operations of a C-GET."""
    move: Move | None = None
    """Of a C-MOVE that goes through."""
    told: Mapping[str, object] = {}
    """What the outcome says beside status and counts."""
    progress: dict[str, int] = {}
    """The counts of the last pending response."""
    ledger: Ledger | None = None
    """Of a C-GET or a C-MOVE."""
    asked: Request | None = None
    """The request as it came, where what it brings may be decided."""
    added: frozenset[int] = frozenset()
    """Tags that only rules asked for."""
    release: Decision | None = None
    """Of a C-STORE: the decision on the instance."""
    withheld: int = 0
    """Matches that were left out."""

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """All whose outcome this request's is."""
        return tuple(decision for decision in (self.decision, self.release) if decision is not None)

    def outcome(self, ended: str = "") -> Mapping[str, object]:
        """What completes the record; ``ended`` says why there is no final status."""
        found: dict[str, object] = {"Status": self.status, **self.counts, **self.told}
        if self.field == C_FIND_RQ:
            found["matches"] = self.matches
            if self.withheld:
                found["withheld"] = self.withheld
        if self.field == C_GET_RQ:
            found["instances"] = self.instances
        if self.field == C_MOVE_RQ and self.move is not None:
            found["instances"] = self.move.instances
        if self.ledger is not None:
            found.update(self.ledger.told())
        return {**found, "ended": ended} if ended else found


def too_large(command: Command) -> Mistake:
    """The refusal of a data set above its limit."""
    return Mistake(_OUT_OF_RESOURCES.get(command.field, _RESOURCE_LIMITATION), "the data set is above the limit")


def stored(command: Command) -> int:
    """How many sub-operations a response says came to store their instance."""
    counts = (command.values.get(f"NumberOf{kind}Suboperations") for kind in ("Completed", "Warning"))
    return sum(count for count in counts if isinstance(count, int))


class Conversation:
    """The state of one direction that is about messages. ``sent`` are the requests that went through it.

    Both directions run in threads of their own; what they share are the two ``sent`` tables, and ``getting``.
    INVARIANT: each access to the other's table is one atomic operation of a ``dict``; a C-GET is ``getting`` only while it is in it.
    """

    other: Conversation

    def __init__(self, association: Association, options: Options, *, from_upstream: bool) -> None:
        self.contexts = association.contexts
        self.options = options
        self.from_upstream = from_upstream
        lengths = association.acceptor_max_length, association.requestor_max_length
        self.max_length, self.sender_max_length = lengths[::-1] if from_upstream else lengths
        self.sent: dict[int, Outstanding] = {}
        self.getting: Outstanding | None = None
        """The C-GET in ``sent``; there is one at most."""
        self.numbers: dict[int, int] = {}
        """Of the C-MOVEs that go through: the upstream's message id to the client's."""
        self.release_requested = False
        self.retrieves: Callable[[], None] | None = None
        """Called when a C-GET or C-MOVE becomes outstanding."""

    def part(self) -> None:
        """The association is over: let go of the other direction, which holds this one. What only the garbage collector can free may stay for long."""
        if hasattr(self, "other"):
            del self.other

    def usable(self, context: int) -> bool:
        """Whether messages may use it."""
        found = self.contexts.get(context)
        return found is not None and found.accepted

    def cap(self, command: Command) -> int:
        """How much of the data set of ``command`` is held."""
        return self.options.identifier_size if command.field in CANCELLABLE else self.options.data_set_size

    def decides(self, command: Command) -> bool:
        """Whether a C-STORE is a decision of its own or goes into the record, or is covered by its C-GET."""
        if not self.retrieving(command) or self.options.record_instances:
            return True
        decided = self.options.decide_suboperations
        return decided if isinstance(decided, bool) else decided()

    def mistake(self, command: Command, number: int) -> Mistake | None:
        """Why the request may not even be decided."""
        context, field, values = self.contexts[number], command.field, command.values
        if values["MessageID"] in self.sent or values["MessageID"] in self.numbers:
            return Mistake(DUPLICATE_INVOCATION, "the message id is outstanding")
        if field not in REQUESTS:
            return Mistake(UNRECOGNIZED_OPERATION, "the service is unknown")
        named = [values[name] for name in ("AffectedSOPClassUID", "RequestedSOPClassUID") if name in values]
        if not named or not all(belongs(uid, context.abstract_syntax) for uid in named):
            return Mistake(SOP_CLASS_NOT_SUPPORTED, "the SOP class is not that of the context")
        if self.from_upstream and not self._may_ask(field, context):
            return Mistake(NOT_AUTHORIZED, "the upstream may not ask for this")
        if field == (C_STORE_RQ if not command.has_data_set else C_ECHO_RQ):
            return Mistake(MISTYPED_ARGUMENT, "the data set type does not fit the service")
        if field == C_STORE_RQ and not values.get("AffectedSOPInstanceUID"):
            return Mistake(MISTYPED_ARGUMENT, "the command names no instance")
        if field == C_GET_RQ and self.getting is not None:
            # its instances do not say which one they belong to, and each is decided by what asked for it
            return Mistake(_OUT_OF_RESOURCES[C_GET_RQ], "another C-GET is outstanding")
        return None

    def retrieving(self, command: Command) -> bool:
        """Whether it is a sub-operation of a C-GET."""
        return self.from_upstream and command.field == C_STORE_RQ and self._retrieval() is not None

    def retrieve(self, command: Command) -> Decision | None:
        """The decision on the C-GET that it is a sub-operation of."""
        retrieval = self._retrieval() if self.from_upstream and command.field == C_STORE_RQ else None
        return None if retrieval is None else retrieval.decision

    def _may_ask(self, field: int, context: Context) -> bool:
        if field == N_EVENT_REPORT_RQ:
            return True
        return context.scp_role and (field != C_STORE_RQ or self._retrieval() is not None)

    def _retrieval(self) -> Outstanding | None:
        """The other side's C-GET."""
        return self.other.getting

    def register(self, command: Command, context: int, decision: Decision | None) -> None:
        """``command`` is about to be forwarded."""
        number = command.number
        ledger = Ledger() if command.field in (C_GET_RQ, C_MOVE_RQ) else None
        self.sent[number] = request = Outstanding(command.field, context, decision, counts={}, ledger=ledger)
        if command.field == C_GET_RQ:
            self.getting = request
        if ledger is not None and self.retrieves is not None:
            self.retrieves()

    def over(self, number: int) -> Outstanding | None:
        """The request of this number is not outstanding any more."""
        request = self.sent.pop(number, None)
        if request is not None and request is self.getting:
            self.getting = None
        return request

    def routed(self, command: Command, move: Move | None, told: Mapping[str, object]) -> None:
        """The C-MOVE that was registered takes a way of its own."""
        request = self.sent[command.number]
        request.move, request.told = move, told
        if move is not None:
            move.request = request
            self.numbers[move.number] = command.number

    def noted(self, command: Command, ruling: Ruling) -> None:
        """What the ruling says of what the request, which was registered, will bring."""
        request = self.sent[command.number]
        request.asked, request.added = ruling.asked, ruling.added

    def brings(self, request: Outstanding) -> str:
        """The action of an outstanding request, where what it brings can be decided; else empty."""
        return request.decision.effective.action if request.decision is not None and request.asked is not None else ""

    def disclosed(self, action: str, request: Outstanding) -> Disclosed:
        """What rules need of a data set that ``request`` brings."""
        asking = self.brings(request)
        return self.options.disclosed(action, asking) if asking and self.options.disclosed is not None else NOTHING

    def releasing(self, command: Command) -> Outstanding | None:
        """The retrieve that a C-STORE is a sub-operation of."""
        return self._retrieval() if self.retrieving(command) else None

    def released(self, command: Command, decision: Decision | None) -> None:
        """The instance of the C-STORE, which was registered, leaves by this decision."""
        self.sent[command.number].release = decision

    def withhold(self, request: Outstanding, command: Command, *, hidden: bool) -> None:
        """The instance of ``command`` does not leave; its sender is told that it did."""
        if request.ledger is not None:
            uid = str(command.values.get("AffectedSOPInstanceUID", ""))
            if hidden:
                request.ledger.hidden(uid)
            else:
                request.ledger.dropped(uid)
        self.not_sent()

    def not_sent(self) -> None:
        """What was ruled on last does not go on."""

    def restored(self, command: Command) -> Command:
        """A response under the message id of the sender of its request."""
        number = command.values.get("MessageIDBeingRespondedTo")
        own = self.other.numbers.get(number) if isinstance(number, int) else None
        if own is None:
            return command
        return Command({**command.values, "MessageIDBeingRespondedTo": own}, with_number(command.raw, "MessageIDBeingRespondedTo", own))

    def cancelling(self, command: Command) -> bytes:
        """A C-CANCEL under the message id that the receiver knows."""
        number = command.values.get("MessageIDBeingRespondedTo")
        request = self.sent.get(number) if isinstance(number, int) else None
        if request is None or request.move is None:
            return command.raw
        return with_number(command.raw, "MessageIDBeingRespondedTo", request.move.number)

    def answered(self, command: Command, context: int) -> Outstanding | str:
        """The request that a response answers, or why it is dropped."""
        number = command.values.get("MessageIDBeingRespondedTo")
        request = self.other.sent.get(number) if isinstance(number, int) else None
        if request is None:
            return "a response without a request"
        if command.field != request.field | RESPONSE or context != request.context:
            return "a response of another service or context than its request"
        return request

    def settle(self, command: Command, request: Outstanding) -> bool:
        """Take a response into account; whether it is the final one."""
        values = command.values
        status, number = values["Status"], values["MessageIDBeingRespondedTo"]
        assert isinstance(status, int)
        assert isinstance(number, int)
        if status in PENDING and request.field in CANCELLABLE:
            request.matches += 1
            if request.field != C_FIND_RQ:
                request.progress = {name: value for name in ("NumberOfRemainingSuboperations", *COUNTS) if isinstance(value := values.get(name), int)}
            return False
        request.status = status
        request.counts = {name: value for name in COUNTS if isinstance(value := values.get(name), int)}
        self.other.over(number)
        if request.move is not None:
            self.other.numbers.pop(request.move.number, None)
        # PS3.4 §B.2.3: success, and warnings, mean stored
        if request.field == C_STORE_RQ and not self.from_upstream and (status == 0 or status >> 12 == 0xB):
            retrieval = self.getting
            if retrieval is not None:
                retrieval.instances += 1
                if retrieval.ledger is not None:
                    retrieval.ledger.delivered(str(values.get("AffectedSOPInstanceUID", "")))
        return True

    def not_cancellable(self, command: Command, context: int) -> str | None:
        """Why a C-CANCEL is dropped: it passes for an outstanding request only."""
        number = command.values.get("MessageIDBeingRespondedTo")
        request = self.sent.get(number) if isinstance(number, int) else None
        if request is None or request.field not in CANCELLABLE or request.context != context:
            return "a C-CANCEL without a request"
        return "a C-CANCEL with a data set" if command.has_data_set else None
