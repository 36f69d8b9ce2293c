"""One association: made, relayed by two threads, ended.

    A-ASSOCIATE-RQ ─▶ decide ─▶ connect ─▶ upstream's A-ASSOCIATE-AC ─▶ two pumps ─▶ the end of both legs

Whichever side ends it, both peers are told as far as their streams allow, and what was decided and has
no final response is completed in the record.
"""

from __future__ import annotations

import logging
import socket
import threading
import time

import msgspec

from hirules.dimse.access import Access
from hirules.dimse.association import Association, AssociationError, decode_acceptance, decode_request
from hirules.dimse.conversation import Conversation
from hirules.dimse.delivery import Delivery
from hirules.dimse.destinations import Destinations
from hirules.dimse.identity import IdentityFailed
from hirules.dimse.judging import discreet
from hirules.dimse.negotiation import acceptance_downstream, request_upstream, with_identity_response, without_identity
from hirules.dimse.options import Options
from hirules.dimse.outputs import Completed
from hirules.dimse.pdu import (
    A_ABORT,
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    A_ASSOCIATE_RQ,
    INVALID_PARAMETER,
    UNEXPECTED_PDU,
    UNRECOGNIZED_PDU,
    abort_pdu,
    reject_pdu,
)
from hirules.dimse.pending import Pulse
from hirules.dimse.pump import Lane, Pump
from hirules.dimse.relay import Relay
from hirules.dimse.ruling import REJECTED, Desk, Gate, LookupOf, Rejection, decide_association, place_of, reject_association
from hirules.dimse.tally import Cause, Tally
from hirules.dimse.tls import Certificate, TlsFailed
from hirules.dimse.translate import subject_of
from hirules.dimse.transport import (
    BUFFER_SIZE,
    Peer,
    TooLong,
    cut,
    drain,
    established,
    low_latency,
    receive_more,
    receive_pdu,
)
from hirules.dimse.upstreams import toward, upstream_called
from hirules.model.decision import AssociateStatus, Decision
from hirules.model.identity import Identity, StatedIdentity

log = logging.getLogger("hirules.dimse")

UPSTREAM_AWAY = AssociateStatus(2, 3, 1)
"""Transient, by the presentation service, temporary congestion (PS3.8 §9.3.4)."""
LIMIT_EXCEEDED = AssociateStatus(2, 3, 2)
"""Transient, by the presentation service, local limit exceeded (PS3.8 §9.3.4)."""
_TICKET = 3
"""From this type on a user identity is a secret as a whole (PS3.7 Table D.3-14)."""
_GOODBYE = 1.0
"""Seconds to wait for a lane that another thread is sending a message on."""


class _NotMade(Exception):
    """No association came about; ``pdu`` tells the client, if it is still there."""

    def __init__(self, why: str, pdu: bytes = b"", *, cause: Cause) -> None:
        super().__init__(why)
        self.pdu = pdu
        self.cause = cause


class Session:
    """See the module's own page. ``run`` returns when everything is closed."""

    def __init__(
        self,
        client: socket.socket,
        address: tuple[str, int],
        gate: Gate,
        options: Options,
        lookup_of: LookupOf | None = None,
        destinations: Destinations | None = None,
        pulse: Pulse | None = None,
        access: Access = Access(),  # noqa: B008 - frozen
        tally: Tally | None = None,
    ) -> None:
        self._client: Peer = client
        self._access = access
        self._tally = tally if tally is not None else Tally()
        self._admitted: str | None = None
        self.address = address
        self._gate = gate
        self._options = options
        self._lookup_of = lookup_of
        self._destinations = destinations
        self._pulse = pulse
        self._delivery: Delivery | None = None
        self._upstream: Peer | None = None
        self._asking: Conversation | None = None
        self._name = f"{address[0]}:{address[1]}"
        self._lanes: tuple[Lane, ...] = ()
        self._end_lock = threading.Lock()
        self._ending = threading.Event()
        self._abort = b""
        self._ended = ""
        self._active = time.monotonic()

    def run(self) -> None:
        """The whole life of the association."""
        try:
            low_latency(self._client)
            self._converse()
        except _NotMade as error:
            log.info("association %s: not made: %s", self._name, error)
            self._tally.rejected(error.cause)
            if error.pdu or error.cause == "tls":
                # an alert of TLS has been sent, and must not be lost either
                Lane(self._client).finish(error.pdu)
                drain(self._client, time.monotonic() + self._options.artim_timeout)
        except OSError as error:
            log.info("association %s: the client's connection failed: %s", self._name, type(error).__name__)
            self._tally.rejected("client")
        finally:
            if self._admitted is not None:
                self._tally.dismissed(self._admitted)
            self._client.close()
            if self._upstream is not None:
                self._upstream.close()

    def stop(self) -> None:
        """Abort it; another thread's call."""
        self._end("stopped", abort_pdu(0))
        if self._delivery is not None:
            self._delivery.stop()
        for lane in self._lanes:
            if lane.lock.acquire(timeout=_GOODBYE):
                lane.finish(self._abort)
                lane.lock.release()

    def cut(self) -> None:
        """Close both connections, whatever is under way on them."""
        for peer in (self._client, self._upstream):
            if peer is not None:
                cut(peer)

    def reject(self, status: AssociateStatus) -> None:
        """Only read the request and reject it, whatever it asks for."""
        self._tally.rejected("limit")
        try:
            self._greet()
            receive_pdu(self._client, self._options.associate_length, time.monotonic() + self._options.artim_timeout)
            Lane(self._client).finish(reject_pdu(status.result, status.source, status.reason))
            drain(self._client, time.monotonic() + self._options.artim_timeout)
        except (OSError, TooLong, _NotMade) as error:
            log.info("association %s: not made: %s", self._name, type(error).__name__)
        finally:
            self._client.close()

    # -- making it --------------------------------------------------------------------------------

    def _converse(self) -> None:
        certificate = self._greet()
        request = self._receive_request()
        asked = self._decoded(request, certificate)
        if self._destinations is not None and self._destinations.moves.awaited(asked):
            self._delivery = Delivery(self._client, request, asked, self._gate, self._options, self._destinations.moves, self._access)
            self._delivery.run()
            return
        asked, identity = self._identified(self._called(asked))
        decision = decide_association(self._gate, asked, self._options)
        if isinstance(decision, Rejection):
            raise _NotMade(decision.why, _reject(decision.status), cause="policy")
        asked = self._admitted_as(asked, decision)
        desk = Desk(self._gate, self._options, asked)
        wanted = request_upstream(request, asked, self._options)
        try:
            stated = asked.user_identity is not None
            acceptance = self._ask_upstream(without_identity(wanted) if stated and not self._access.forward_identity else wanted)
            agreed = decode_acceptance(acceptance, asked)
        except AssociationError as error:
            self._tell_upstream(abort_pdu(INVALID_PARAMETER))
            self._complete(desk, decision, {"accepted": False, "ended": "the upstream's answer is malformed"})
            raise _NotMade(f"the upstream's answer: {error}", _reject(UPSTREAM_AWAY), cause="upstream") from None
        except _NotMade as error:
            self._complete(desk, decision, {"accepted": False, "ended": str(error)})
            raise
        self._complete(desk, decision, {"accepted": True})
        accepted = acceptance_downstream(acceptance, request)
        if identity is not None and asked.user_identity is not None and asked.user_identity.response_requested:
            accepted = with_identity_response(accepted, identity.response)
        self._relay(agreed, accepted)

    def _greet(self) -> Certificate | None:
        """TLS with the client, where it is configured."""
        assert isinstance(self._client, socket.socket)
        try:
            self._client, certificate = self._access.greet(self._client, self._options.artim_timeout)
        except TlsFailed as error:
            raise _NotMade(f"TLS: {error}", cause="tls") from None
        return certificate

    def _decoded(self, request: bytes, certificate: Certificate | None) -> Association:
        """What is asked for, with what the certificate proves."""
        try:
            asked = decode_request(request, *self.address)
        except AssociationError as error:
            raise _NotMade(str(error), reject_pdu(1, error.source, error.reason), cause="malformed") from None
        proven = {"tls": certificate.fields()} if certificate is not None else {}
        transport = "dimse" if self._access.clients is None else "dimse+tls"
        return msgspec.structs.replace(asked, transport=transport, proven=proven)

    def _called(self, asked: Association) -> Association:
        """``asked`` with the upstream whose AE title was called."""
        upstream = upstream_called(asked, self._options)
        if upstream is None:
            raise _NotMade("another AE title was called", reject_pdu(1, 1, 7), cause="title")
        self._name = f"{asked.calling_ae_title} at {self.address[0]}"
        return msgspec.structs.replace(asked, upstream=upstream)

    def _identified(self, asked: Association) -> tuple[Association, Identity | None]:
        """``asked`` with who was verified, and without passcode and token."""
        stated, identity = asked.user_identity, None
        if self._access.verifier is not None:
            given = None
            if stated is not None:
                given = StatedIdentity(type=stated.type, primary=stated.primary, secondary=stated.secondary, subject=subject_of(asked, self._options))
            try:
                identity = self._access.verifier.verify(given)
            except IdentityFailed as error:
                why = f"the user identity was not verified: {error}"
                reject_association(self._gate, asked, self._options, why)
                raise _NotMade(why, _reject(REJECTED), cause="identity") from None
        if stated is not None:
            stated = msgspec.structs.replace(stated, primary=stated.primary if stated.type < _TICKET else b"", secondary=b"")
        proven = {**asked.proven, **identity.fields()} if identity is not None else asked.proven
        return msgspec.structs.replace(asked, user_identity=stated, proven=proven), identity

    def _admitted_as(self, asked: Association, decision: Decision) -> Association:
        """``asked``, one of at most so many of its AE title, with the upstream that it goes to."""
        desk = Desk(self._gate, self._options, asked)
        if not self._tally.admits(asked.calling_ae_title, self._options.associations_per_ae_title):
            why = "too many associations of this AE title"
            self._complete(desk, decision, {"accepted": False, "ended": why})
            raise _NotMade(why, _reject(LIMIT_EXCEEDED), cause="limit")
        self._admitted = asked.calling_ae_title
        options = toward(self._options, decision.effective.request.get("upstream", asked.upstream))
        if options is None:
            why = "there is no upstream of the name that a rule set"
            self._complete(desk, decision, {"accepted": False, "ended": why})
            raise _NotMade(why, _reject(REJECTED), cause="policy")
        self._options = options
        return msgspec.structs.replace(asked, upstream=options.upstream)

    def _receive_request(self) -> bytes:
        deadline = time.monotonic() + self._options.artim_timeout
        try:
            request = receive_pdu(self._client, self._options.associate_length, deadline)
        except TimeoutError:
            raise _NotMade("no A-ASSOCIATE-RQ in time", cause="timeout") from None
        except TooLong as error:
            raise _NotMade(str(error), abort_pdu(INVALID_PARAMETER), cause="malformed") from None
        if not request:
            raise _NotMade("the client closed the connection", cause="client")
        if request[0] != A_ASSOCIATE_RQ:
            reason = UNEXPECTED_PDU if 1 < request[0] <= A_ABORT else UNRECOGNIZED_PDU
            raise _NotMade("no A-ASSOCIATE-RQ", abort_pdu(reason), cause="malformed")
        return request

    def _ask_upstream(self, request: bytes) -> bytes:
        """The A-ASSOCIATE-AC."""
        options = self._options
        try:
            self._upstream = upstream = self._access.reach(options)
            upstream.sendall(request)
            answer = receive_pdu(upstream, options.associate_length, time.monotonic() + options.acceptance_timeout)
        except TlsFailed as error:
            log.error("association %s: the upstream `%s`: TLS: %s", self._name, options.upstream, error)
            raise _NotMade("the upstream does not answer: TLS", _reject(UPSTREAM_AWAY), cause="upstream") from None
        except (OSError, TooLong) as error:
            raise _NotMade(f"the upstream does not answer: {type(error).__name__}", _reject(UPSTREAM_AWAY), cause="upstream") from None
        if not answer:
            raise _NotMade("the upstream closed the connection", _reject(UPSTREAM_AWAY), cause="upstream")
        if answer[0] == A_ASSOCIATE_AC:
            return answer
        if answer[0] in (A_ASSOCIATE_RJ, A_ABORT) and len(answer) == 10:
            raise _NotMade("the upstream rejected it", answer, cause="upstream")
        self._tell_upstream(abort_pdu(UNEXPECTED_PDU))
        raise _NotMade("the upstream's answer is no A-ASSOCIATE-AC", _reject(UPSTREAM_AWAY), cause="upstream")

    def _tell_upstream(self, pdu: bytes) -> None:
        if self._upstream is not None:
            Lane(self._upstream).finish(pdu)

    # -- relaying ---------------------------------------------------------------------------------

    def _relay(self, association: Association, acceptance: bytes) -> None:
        assert self._upstream is not None
        log.info("association %s: made, %d contexts", self._name, len(association.contexts))
        lookup = None if self._lookup_of is None else self._lookup_of(association)
        relay, desk = Relay(association, self._options), Desk(self._gate, self._options, association, lookup, self._destinations)
        to_client, to_upstream = Lane(self._client), Lane(self._upstream)
        ahead = Pump("client", self._client, relay.client, to_upstream, to_client, desk)
        back = Pump("upstream", self._upstream, relay.upstream, to_client, to_upstream, desk)
        thread = threading.Thread(target=self._run, args=(back, ahead), name=f"from-upstream {self._name}", daemon=True)
        try:
            for peer in (self._client, self._upstream):
                established(peer, self._options)
            self._client.sendall(acceptance)
        except OSError as error:
            self._end(f"the client could not be sent to: {type(error).__name__}", abort_pdu(0))
        self._lanes = (to_client, to_upstream)
        self._asking = asking = relay.client.exchange.conversation
        pulse = self._pulse

        def retrieves() -> None:
            discreet(asking)
            if pulse is not None:
                pulse.watch(asking, to_client)

        asking.retrieves = retrieves
        self._tally.made()
        try:
            thread.start()
            self._run(ahead, back)
            thread.join()
        finally:
            self._tally.ended()
            if pulse is not None:
                pulse.forget(asking)
            # it holds both connections, of which TLS is large
            asking.retrieves = None
        for completed in relay.unfinished(self._ended):
            desk.complete(completed)
        asking.part()
        self._asking = None

    def _run(self, pump: Pump, other: Pump) -> None:
        """One pump's whole life, and its part of the end."""
        try:
            self._pump(pump)
        except OSError as error:
            self._end(f"the {other.side} could not be sent to: {type(error).__name__}", abort_pdu(0))
        except Exception as error:  # noqa: BLE001 - a mistake in the gateway must not leave the other leg open
            log.error("association %s: %s", self._name, place_of(error))
            self._end("an error in the gateway", abort_pdu(0))
        finally:
            self._goodbye(pump, other)

    def _pump(self, pump: Pump) -> None:
        buffer = bytearray(BUFFER_SIZE)
        view = memoryview(buffer)
        while not self._ending.is_set():
            try:
                size = self._receive(pump.source, buffer, more=pump.flow.partial)
                self._tally.received(pump.side, size)
            except OSError as error:
                self._end(f"the {pump.side}'s connection failed: {type(error).__name__}", abort_pdu(0))
                return
            if not size:
                self._end(f"the {pump.side} closed the connection", abort_pdu(0))
                return
            pump.take(view[:size])
            if pump.ended:
                self._end(pump.ended, pump.abort)

    def _receive(self, source: Peer, buffer: bytearray, *, more: bool) -> int:
        while True:
            try:
                size = receive_more(source, buffer) if more else source.recv_into(buffer)
            except BlockingIOError:
                # the kernel's time-out: nothing came from here, but perhaps from the other side, or by a delivery
                if time.monotonic() - self._active < self._options.idle_timeout or self._delivers():
                    continue
                self._end("idle for too long", abort_pdu(0))
                return 0
            self._active = time.monotonic()
            return size

    def _delivers(self) -> bool:
        """Whether instances of a C-MOVE of this association go through, of which its own connections show nothing."""
        requests = [] if self._asking is None else list(self._asking.sent.values())
        return any(request.move is not None and request.move.flows(self._options.idle_timeout) for request in requests)

    def _end(self, how: str, abort: bytes) -> None:
        """The first to end it says how."""
        with self._end_lock:
            if not self._ending.is_set():
                self._ended, self._abort = how, abort
                self._ending.set()
                log.info("association %s: %s", self._name, how)

    def _goodbye(self, pump: Pump, other: Pump) -> None:
        """Tell both peers, as far as their streams allow, and wait for them to close."""
        deadline = time.monotonic() + self._options.artim_timeout
        if pump.holds or pump.out.lock.acquire(timeout=_GOODBYE):
            # PS3.8 §9.3.8: in the middle of a PDU only closing is possible
            pump.out.finish(b"" if pump.flow.cut else self._abort)
            pump.holds = False
            pump.out.lock.release()
        if pump.back.lock.acquire(timeout=_GOODBYE):
            pump.back.finish(self._abort)
            pump.back.lock.release()
        gone = drain(pump.source, deadline)
        # nothing more comes from here, and nothing can be sent here: the other pump must not wait to do so
        cut(pump.source, reset=not gone)
        pump.done.set()
        if not other.done.wait(max(0.0, deadline - time.monotonic())):
            cut(other.source, reset=True)

    def _complete(self, desk: Desk, decision: Decision, outcome: dict[str, object]) -> None:
        desk.complete(Completed(decision, outcome))


def _reject(status: AssociateStatus) -> bytes:
    return reject_pdu(status.result, status.source, status.reason)
