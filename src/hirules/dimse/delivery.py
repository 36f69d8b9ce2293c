"""The association that the upstream opens to the gateway, to deliver the instances of C-MOVEs that go through.

    upstream's A-ASSOCIATE-RQ ─▶ decide ─▶ the same, to each destination that it may be for ─▶ A-ASSOCIATE-AC
    C-STORE ─▶ its move, by its Move Originator ─▶ the client's own originator ─▶ cut through to the destination
            └▶ of no move: an ordinary `c-store`, which cannot be stored here: refused

Rule: nothing leaves to a destination but what an outstanding, permitted C-MOVE of a client asked for, as its upstream says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from hirules.dimse.acceptances import merged
from hirules.dimse.access import Access
from hirules.dimse.association import Association, AssociationError, decode_acceptance
from hirules.dimse.legs import DESTINATION_LOST, LOST, End, Leg, NoLeg, ToLegs
from hirules.dimse.message import C_STORE_RQ, Command, with_originator
from hirules.dimse.moves import Move, Moves
from hirules.dimse.negotiation import acceptance_downstream
from hirules.dimse.options import Destination, Options
from hirules.dimse.outputs import Completed, Message, Ruling
from hirules.dimse.pdu import abort_pdu, reject_pdu, release_reply_pdu
from hirules.dimse.pump import Lane
from hirules.dimse.ruling import Desk, Gate, Rejection, decide_association, place_of
from hirules.dimse.translate import Refusal, request_of
from hirules.dimse.transport import BUFFER_SIZE, Peer, cut, drain, established, receive_more
from hirules.model.status import NOT_AUTHORIZED, SOP_CLASS_NOT_SUPPORTED

log = logging.getLogger("hirules.dimse")

STRAY = "it belongs to no outstanding C-MOVE"
ONLY_STORES = "only instances are taken here"
OTHER_CONTEXT = "the destination did not accept this context"


class Delivery:
    """See the module's own page. ``run`` returns when everything but ``peer`` is closed."""

    def __init__(self, peer: Peer, request: bytes, association: Association, gate: Gate, options: Options, moves: Moves, access: Access) -> None:
        self._peer = peer
        self._request = request
        self._asked = association
        self._gate = gate
        self._options = options
        self._moves = moves
        self._access = access
        self._name = f"{association.calling_ae_title} at {association.address}, delivering"
        self._lane = Lane(peer)
        self._legs: dict[Destination, Leg | None] = {}
        """``None``: it could not be reached, and is not asked again."""
        self._offered = association
        self._max_length = 0
        self._desk = _Desk(self, gate, options, association)
        self._pump: ToLegs | None = None

    def run(self) -> None:
        """The whole life of the association."""
        try:
            self._run()
        finally:
            # they hold this one: what only the garbage collector can free may stay for long
            self._legs, self._pump = {}, None
            del self._desk

    def _run(self) -> None:
        try:
            refusal = self._make()
        except BaseException:
            self._close(release=False)
            raise
        if refusal:
            self._lane.finish(refusal)
            self._close(release=True)
            drain(self._peer, time.monotonic() + self._options.artim_timeout)
            return
        self._relay()

    def stop(self) -> None:
        """Abort it; another thread's call."""
        if self._lane.lock.acquire(timeout=1.0):
            self._lane.finish(abort_pdu(0))
            self._lane.lock.release()
        cut(self._peer)

    # -- making it --------------------------------------------------------------------------------

    def _make(self) -> bytes:
        """Decide it, reach the destinations and accept it; else the PDU that refuses it."""
        decision = decide_association(self._gate, self._asked, self._options)
        if isinstance(decision, Rejection):
            log.info("association %s: not made: %s", self._name, decision.why)
            return reject_pdu(decision.status.result, decision.status.source, decision.status.reason)
        legs, refusal = self._reach(dict.fromkeys(move.destination for move in self._moves.awaited(self._asked)))
        if not legs:
            self._desk.complete(Completed(decision, {"accepted": False, "ended": "no destination could be reached"}))
            return refusal
        acceptance = merged([leg.acceptance for leg in legs])
        try:
            self._offered = decode_acceptance(acceptance, self._asked)
        except AssociationError as error:
            self._desk.complete(Completed(decision, {"accepted": False, "ended": "the destinations' answers do not fit"}))
            log.warning("association %s: not made: %s", self._name, error)
            return reject_pdu(2, 3, 1)
        self._desk.complete(Completed(decision, {"accepted": True, "delivery": "through"}))
        self._max_length = self._offered.acceptor_max_length
        flow = End(legs[0].asked)
        self._pump = ToLegs("upstream", self._peer, flow, legs[0].lane, self._lane, self._desk)
        self._pump.aim(legs[0])
        established(self._peer, self._options)
        with self._lane.lock:
            self._peer.sendall(acceptance_downstream(acceptance, self._request))
        for leg in legs:
            leg.start(self._lane, self._desk, self._offered)
        log.info("association %s: made, to %s", self._name, ", ".join(leg.destination.ae_title for leg in legs))
        return b""

    def _reach(self, destinations: Iterable[Destination]) -> tuple[list[Leg], bytes]:
        """Their legs, in that order, and what refuses the upstream where there is none."""
        refusal = reject_pdu(2, 3, 1)  # PS3.8 §9.3.4: transient, temporary congestion
        wanted = list(destinations)
        if not wanted:
            return [], refusal  # the moves have ended meanwhile
        with ThreadPoolExecutor(len(wanted)) as pool:
            asked = [pool.submit(Leg, destination, self._request, self._asked, self._options, self._access, self.move_of) for destination in wanted]
        for destination, answer in zip(wanted, asked, strict=True):
            try:
                self._legs[destination] = answer.result()
            except NoLeg as error:
                log.log(error.level, "association %s: %s", self._name, error)
                self._legs[destination] = None
                refusal = error.pdu or refusal
        return [leg for leg in self._legs.values() if leg is not None], refusal

    def leg_of(self, move: Move, context: int) -> Leg | tuple[int, str]:
        """Where an instance of ``move`` goes, or why it cannot: status and comment."""
        destination = move.destination
        if destination not in self._legs:
            # the upstream keeps its association for a later move: its contexts stay as they were negotiated
            legs, _ = self._reach([destination])
            for added in legs:
                if added.destination == destination:
                    added.start(self._lane, self._desk, self._offered)
        leg = self._legs[destination]
        if leg is None or leg.lost:
            return DESTINATION_LOST, LOST
        length = leg.association.acceptor_max_length
        if length and not 0 < self._max_length <= length:
            return DESTINATION_LOST, "the destination takes shorter PDUs only"
        if leg.association.contexts[context].transfer_syntax != self._offered.contexts[context].transfer_syntax:
            return SOP_CLASS_NOT_SUPPORTED, OTHER_CONTEXT
        return leg

    def move_of(self, command: Command) -> Move | None:
        """The outstanding move that a C-STORE says it belongs to."""
        values = command.values
        return self._moves.match(self._asked, values.get("MoveOriginatorApplicationEntityTitle"), values.get("MoveOriginatorMessageID"))

    def not_aimed(self, move: Move | None) -> None:
        """The C-STORE that was decided does not go on."""
        assert self._pump is not None
        if move is not None and self._pump.leg.asked.begun is move:
            self._pump.leg.asked.not_sent()
        elif move is not None:
            move.end(stored=False)

    def aim(self, leg: Leg, move: Move) -> None:
        """The C-STORE that is being decided goes there."""
        assert self._pump is not None
        self._pump.aim(leg, move)

    # -- relaying ---------------------------------------------------------------------------------

    def _relay(self) -> None:
        pump = self._pump
        assert pump is not None
        try:
            ended = self._pumped(pump)
        except OSError as error:
            ended = f"the upstream's connection failed: {type(error).__name__}"
        except Exception as error:  # noqa: BLE001 - a mistake in the gateway must not leave a destination waiting
            log.error("association %s: %s", self._name, place_of(error))
            ended = "an error in the gateway"
        log.info("association %s: %s", self._name, ended)
        cut_off = pump.holds and pump.flow.cut
        if pump.holds:
            if cut_off:
                # PS3.8 §9.3.8: in the middle of a PDU only closing is possible
                pump.leg.lose()
            pump.holds = False
            pump.leg.lane.lock.release()
        released = ended == "released"
        with self._lane.lock:
            if not released:
                self._lane.finish(pump.abort or abort_pdu(0))
        self._close(release=released)
        for completed in pump.flow.exchange.unanswered(ended):
            self._desk.complete(completed)
        if released:
            with self._lane.lock:
                self._lane.finish(release_reply_pdu())
        drain(self._peer, time.monotonic() + self._options.artim_timeout)

    def _pumped(self, pump: ToLegs) -> str:
        buffer = bytearray(BUFFER_SIZE)
        view = memoryview(buffer)
        while True:
            try:
                size = receive_more(self._peer, buffer) if pump.flow.partial else self._peer.recv_into(buffer)
            except BlockingIOError:
                # the kernel's time-out
                if pump.flow.partial or not self._waits():
                    return "idle for too long"
                continue
            if not size:
                return "the upstream closed the connection"
            pump.take(view[:size])
            if pump.ended:
                return pump.ended

    def _waits(self) -> bool:
        """Whether the upstream waits for a destination, which has a time-out of its own, or has not had its time since an answer."""
        if any(leg is not None and leg.owes for leg in self._legs.values()):
            return True
        return time.monotonic() - self._lane.active < self._options.idle_timeout

    def _close(self, *, release: bool) -> None:
        for leg in [leg for leg in self._legs.values() if leg is not None]:
            leg.close(release=release)
            leg.asked.not_sent()
            while leg.asked.sent:
                leg.left(leg.asked.sent.popitem()[1], "the upstream is gone")


class _Desk(Desk):
    """Rules on what the upstream delivers; a destination may ask for nothing."""

    def __init__(self, delivery: Delivery, gate: Gate, options: Options, association: Association) -> None:
        super().__init__(gate, options, association)
        self._delivery = delivery
        self._move: Move | None = None
        """Of the C-STORE that is ruled on, by the one thread that reads from the upstream."""

    def rule(self, message: Message) -> Ruling:
        """Decide ``message``. Never raises."""
        if message.from_upstream or message.command.field != C_STORE_RQ:
            return super().rule(message)
        move = self._delivery.move_of(message.command)
        self._move = move if move is not None and move.begin() else None
        ruling = super().rule(message)
        if ruling.command is None:
            self._delivery.not_aimed(self._move)
        return ruling

    def _rule(self, message: Message) -> Ruling:
        command = message.command
        if message.from_upstream or command.field != C_STORE_RQ:
            return self._refusal(message, NOT_AUTHORIZED, ONLY_STORES)
        if self._move is not None:
            return self._delivered(message, self._move)
        # an ordinary one, decided as such; there is no archive behind this association to store it in
        ruling = super()._rule(msgspec.structs.replace(message, retrieving=False, retrieve=None))
        return ruling if ruling.command is None else self._not(command, ruling, NOT_AUTHORIZED, STRAY)

    def _delivered(self, message: Message, move: Move) -> Ruling:
        """A C-STORE of an outstanding move, on its way to the destination."""
        command = message.command
        leg = self._delivery.leg_of(move, message.context.id)
        if not isinstance(leg, Leg):
            return self._answer(command, None, *leg)
        ruling = self._narrowed(message, move)
        if ruling.answer is not None:
            return ruling
        self._delivery.aim(leg, move)
        return msgspec.structs.replace(ruling, command=with_originator(command.raw, move.origin.ae_title, move.origin.message_id), move=move)

    def _narrowed(self, message: Message, move: Move) -> Ruling:
        """What the rules for `c-store` say of an instance that a permitted C-MOVE brings: they only narrow it."""
        if not self._narrows():
            return Ruling()
        to = msgspec.structs.replace(self._association, called_ae_title=move.destination.ae_title)
        request = request_of(message.command, None, message.context, to, False, self._options, "c-move")
        if isinstance(request, Refusal):
            decision = self._record(request.request, request.status, request.comment)
            return self._answer(message.command, decision, request.status, request.comment)
        decision = self._gate.check(request)
        return Ruling(decision=decision) if decision.allowed else self._deny(message.command, decision)

    def _refusal(self, message: Message, status: int, why: str) -> Ruling:
        made = self._request(message, message.data)
        decision = self._record(made.request if isinstance(made, Refusal) else made, status, why)
        return self._answer(message.command, decision, status, why)

    def _not(self, command: Command, ruling: Ruling, status: int, why: str) -> Ruling:
        """It is allowed, and cannot be carried out."""
        return msgspec.structs.replace(self._answer(command, ruling.decision, status, why), why=why)
