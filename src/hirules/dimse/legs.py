"""The destinations of one delivery association: an association with each, what is sent there, and what it answers.

A leg that is lost (its destination died, or does not read) takes what is under way and answers it with a failure,
so that the upstream counts it and the other destinations go on.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Callable, Sequence

from hirules.dimse.access import Access
from hirules.dimse.association import Association, AssociationError, decode_acceptance
from hirules.dimse.conversation import Conversation, Mistake, Outstanding
from hirules.dimse.exchange import IDLE, Broken
from hirules.dimse.flow import Flow
from hirules.dimse.message import C_STORE_RQ, Command
from hirules.dimse.moves import Move
from hirules.dimse.negotiation import CALLED
from hirules.dimse.options import Destination, Options
from hirules.dimse.outbox import Outputs
from hirules.dimse.outputs import Buffer, Completed, Ended
from hirules.dimse.pdu import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_RELEASE_RP,
    UNEXPECTED_PDU,
    abort_pdu,
    message_pdus,
    release_request_pdu,
)
from hirules.dimse.pump import Lane, Pump
from hirules.dimse.response import response
from hirules.dimse.ruling import Desk, place_of
from hirules.dimse.tls import TlsFailed, why
from hirules.dimse.transport import BUFFER_SIZE, TooLong, cut, established, receive_pdu, send, wakes_after
from hirules.model.decision import Decision

log = logging.getLogger("hirules.dimse")

DESTINATION_LOST = 0xA700
"""Out of resources (PS3.4 §B.2.3): the destination does not take it."""
LOST = "the destination does not answer"
REFUSED = "it ended the connection without an answer, perhaps since it wants a certificate, or another one"
_GOODBYE = 5.0
"""Seconds for a destination to answer an A-RELEASE-RQ."""


class NoLeg(Exception):
    """No association with a destination; ``pdu`` is its A-ASSOCIATE-RJ, where it sent one. ``level`` is that of the log."""

    def __init__(self, why: str, pdu: bytes = b"", level: int = logging.WARNING) -> None:
        super().__init__(why)
        self.pdu = pdu
        self.level = level


class End(Flow):
    """A flow whose association ends here: release and abort do not pass to the other side."""

    def _control(self, kind: int, pdu: bytes) -> Outputs:
        if kind != A_ABORT and (self.exchange.state != IDLE or (kind == A_RELEASE_RP and not self.exchange.conversation.other.release_requested)):
            raise Broken("a release at the wrong time", UNEXPECTED_PDU)
        self.ended = True
        yield from self.exchange.flush()
        yield Ended("aborted" if kind == A_ABORT else "released")


class Storing(Conversation):
    """What goes to a destination: a C-STORE of an outstanding move is a sub-operation of the client's C-MOVE."""

    coming: Move | None = None
    """Of the C-STORE that is looked at."""
    begun: Move | None = None
    """Of the one that is ruled on, until it is on its way."""
    told: float = 0.0
    """When the destination was last sent something, by ``time.monotonic``."""
    move_of: Callable[[Command], Move | None]

    def mistake(self, command: Command, number: int) -> Mistake | None:
        """As for any conversation."""
        self.coming = self.move_of(command) if command.field == C_STORE_RQ else None
        self.not_sent()
        return super().mistake(command, number)

    def decides(self, command: Command) -> bool:
        """Each is looked at: where it goes is in its command."""
        return True

    def retrieving(self, command: Command) -> bool:
        """Whether it is a sub-operation of a C-MOVE."""
        return command.field == C_STORE_RQ and self._retrieval() is not None

    def retrieve(self, command: Command) -> Decision | None:
        """The decision on that C-MOVE."""
        return self.coming.origin.decision if command.field == C_STORE_RQ and self.coming is not None else None

    def releasing(self, command: Command) -> Outstanding | None:
        """That C-MOVE."""
        return self._retrieval() if command.field == C_STORE_RQ else None

    def _retrieval(self) -> Outstanding | None:
        return self.coming.request if self.coming is not None else None

    def register(self, command: Command, context: int, decision: Decision | None) -> None:
        """As for any conversation; the C-STORE belongs to its move."""
        self.told = time.monotonic()
        super().register(command, context, decision)
        self.sent[command.number].move, self.begun = self.begun, None

    def not_sent(self) -> None:
        """What was ruled on last did not go on."""
        move, self.begun = self.begun, None
        if move is not None:
            move.end(stored=False)


class Answering(Conversation):
    """What a destination says: its answers to C-STOREs are told to their moves."""

    def settle(self, command: Command, request: Outstanding) -> bool:
        """As for any conversation."""
        final = super().settle(command, request)
        if final:
            over(request, str(command.values.get("AffectedSOPInstanceUID", "")))
        return final


def over(request: Outstanding, uid: str = "") -> None:
    """What was sent for a move was answered, or will not be any more."""
    if request.field != C_STORE_RQ or request.move is None:
        return
    status, moving = request.status, request.move.request
    # PS3.4 §B.2.3: success, and warnings, mean stored
    stored = status is not None and (status == 0 or status >> 12 == 0xB)
    if stored and moving is not None and moving.ledger is not None:
        moving.ledger.delivered(uid)
    request.move.end(stored=stored)


class Leg:
    """The association with one destination."""

    def __init__(
        self, destination: Destination, request: bytes, asked: Association, options: Options, access: Access, move_of: Callable[[Command], Move | None]
    ) -> None:
        """Connect, and ask for what the upstream asks for. Raises :class:`NoLeg`."""
        self.destination = destination
        self.lost = False
        self.sending = False
        """A message to it is not complete yet."""
        self._options = options
        self.acceptance = b""
        try:
            self.peer = access.deliver(destination, options.connect_timeout)
        except TlsFailed as error:
            raise self._no_tls(str(error)) from None
        except OSError as error:
            raise NoLeg(f"{destination.ae_title} does not answer: {type(error).__name__}") from None
        try:
            self.acceptance = self._associate(request)
            self.association = decode_acceptance(self.acceptance, asked)
        except (OSError, TooLong, AssociationError) as error:
            self.peer.close()
            if destination.tls and isinstance(error, ssl.SSLError | ConnectionError):
                # TLS 1.3: what a server makes of the client's certificate comes after the client's handshake, if anything comes
                raise self._no_tls(why(error) if isinstance(error, ssl.SSLError) else REFUSED) from None
            raise NoLeg(f"{destination.ae_title} does not answer: {type(error).__name__}") from None
        except NoLeg:
            self.peer.close()
            raise
        self.lane = Lane(self.peer)
        self.asked = Storing(self.association, options, from_upstream=False)
        self.asked.move_of = move_of
        answering = Answering(self.association, options, from_upstream=True)
        self.asked.other, answering.other = answering, self.asked
        self.flow = End(answering)
        self._desk: Desk | None = None
        self._thread: threading.Thread | None = None

    def _associate(self, request: bytes) -> bytes:
        patched = bytearray(request)
        patched[CALLED] = self.destination.ae_title.encode("ascii").ljust(16)
        self.peer.sendall(bytes(patched))
        answer = receive_pdu(self.peer, self._options.associate_length, time.monotonic() + self._options.acceptance_timeout)
        if answer[:1] == bytes([A_ASSOCIATE_AC]):
            return answer
        if not answer:
            raise ConnectionError
        if answer[:1] == bytes([A_ASSOCIATE_RJ]) and len(answer) == 10:
            raise NoLeg(f"{self.destination.ae_title} rejected it", answer)
        raise NoLeg(f"{self.destination.ae_title} did not accept it")

    def _no_tls(self, error: str) -> NoLeg:
        check = f"check `dimse.deliveries.{self.destination.tls}.tls` (authorities, name, certificate) and the destination's own certificate"
        return NoLeg(f"no TLS with the destination {self.destination.ae_title}, so its instances fail: {error}; {check}", level=logging.ERROR)

    def start(self, upstream: Lane, desk: Desk, offered: Association) -> None:
        """Take what the destination answers to the upstream, on a thread of its own. ``offered`` is what the upstream may use."""
        self._desk = desk
        self.asked.contexts = offered.contexts
        established(self.peer, self._options)
        wakes_after(self.peer, self._options.send_timeout)
        pump = Pump("destination", self.peer, self.flow, upstream, self.lane, desk)
        self._thread = threading.Thread(target=self._run, args=(pump, upstream), name=f"from-destination {self.destination.ae_title}", daemon=True)
        self._thread.start()

    def _run(self, pump: Pump, upstream: Lane) -> None:
        buffer = bytearray(BUFFER_SIZE)
        view = memoryview(buffer)
        try:
            while not pump.ended:
                size = self._receive(buffer)
                if not size:
                    break
                pump.take(view[:size])
        except OSError as error:
            log.info("destination %s: %s", self.destination.ae_title, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a mistake in the gateway must not leave the upstream waiting
            log.error("destination %s: %s", self.destination.ae_title, place_of(error))
        finally:
            if pump.holds:
                pump.holds = False
                upstream.lock.release()
            self._end(pump.ended, pump.abort, upstream)

    def _receive(self, buffer: bytearray) -> int:
        """Empty at the end, and where the destination owes an answer for too long. Whether the association is idle is for its upstream's side to say."""
        while True:
            try:
                return self.peer.recv_into(buffer)
            except BlockingIOError:
                # the kernel's time-out: it counts from when nothing was owed, perhaps
                left = self._options.send_timeout
                if self.owes:
                    left -= time.monotonic() - self.asked.told
                    if left <= 0:
                        log.warning("destination %s: it did not answer in %g seconds", self.destination.ae_title, self._options.send_timeout)
                        return 0
                wakes_after(self.peer, left)

    @property
    def owes(self) -> bool:
        """It has a whole instance that it has not answered."""
        return bool(self.asked.sent) and not self.sending and not self.lost

    def _end(self, how: str, abort: bytes, upstream: Lane) -> None:
        if how == "released" and not self.asked.release_requested:
            log.info("destination %s released its association", self.destination.ae_title)
        self.lose()
        with self.lane.lock:
            self.lane.finish(abort)
        try:
            self.answer_for_it(upstream)
        except OSError:
            log.debug("the upstream was gone when it was to be told of a lost destination")
        cut(self.peer)

    def lose(self) -> None:
        """Nothing more can be sent there."""
        if not self.lost:
            self.lost = True
            # wakes the thread that reads
            cut(self.peer)

    def answer_for_it(self, upstream: Lane) -> None:
        """Tell the upstream that what is under way on a lost leg failed. Call it where no message is open on the leg."""
        for message in self._taken_back():
            with upstream.lock:
                if not upstream.finished:
                    upstream.peer.sendall(message)
                    upstream.active = time.monotonic()

    def _taken_back(self) -> list[bytes]:
        with self.lane.lock:
            answers = []
            while self.asked.sent:
                number, request = self.asked.sent.popitem()
                request.status = DESTINATION_LOST
                self.left(request, "the destination was lost")
                command = Command({"CommandField": request.field, "MessageID": number}, b"")
                answers.append(message_pdus(request.context, response(command, DESTINATION_LOST, LOST), None, self.association.requestor_max_length))
            return answers

    def left(self, request: Outstanding, ended: str) -> None:
        """It has no answer of the destination's any more."""
        over(request)
        if self._desk is None:
            return  # nothing was sent before it was started
        for decision in request.decisions:
            self._desk.complete(Completed(decision, request.outcome(ended)))

    def close(self, *, release: bool) -> None:
        """End the association: released, or aborted. Waits for the thread, not for long."""
        if release and not self.lost:
            self.asked.release_requested = True
            try:
                with self.lane.lock:
                    self.peer.sendall(release_request_pdu())
            except OSError:
                self.lose()
            if self._thread is not None:
                self._thread.join(_GOODBYE)
        elif not self.lost and self.lane.lock.acquire(timeout=1.0):
            self.lane.finish(abort_pdu(0))
            self.lane.lock.release()
        self.lose()
        if self._thread is not None:
            self._thread.join(_GOODBYE)
        if self._thread is None or not self._thread.is_alive():
            self.asked.part()
        self.peer.close()


class ToLegs(Pump):
    """What the upstream sends, to the leg of each message."""

    def aim(self, leg: Leg, move: Move | None = None) -> None:
        """The next message goes there, a C-STORE of ``move``. Between messages only."""
        self.leg, self.out = leg, leg.lane
        leg.asked.coming = leg.asked.begun = move
        self.flow.exchange.conversation = leg.asked

    def _forward(self, pieces: Sequence[Buffer], complete: bool) -> None:
        leg = self.leg
        if not self.holds:
            leg.lane.lock.acquire()
            self.holds = leg.sending = True
        if not leg.lost:
            try:
                send(leg.peer, pieces)
            except OSError as error:
                log.info("destination %s could not be sent to: %s", leg.destination.ae_title, type(error).__name__)
                leg.lose()
        leg.asked.told = time.monotonic()
        if complete:
            self.holds = leg.sending = False
            leg.lane.lock.release()
            if leg.lost:
                leg.answer_for_it(self.back)
