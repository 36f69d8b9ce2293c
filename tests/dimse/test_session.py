"""One association on the wire: raw sockets on both sides, and what each of them gets when the other misbehaves."""

from __future__ import annotations

import gc
import logging
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from hirules.dimse.conversation import Conversation
from hirules.dimse.pump import Lane
from hirules.model.decision import Decision
from hirules.model.request import Request
from tests.dimse import associations as pdus
from tests.dimse.associations import CT, FIND, GET
from tests.dimse.peers import Gate, Upstream, client, connect, gateway, receive, until
from tests.dimse.wire import ABORT, IDENTIFIER, RELEASE_RP, RELEASE_RQ, command, message, pdvs, reply, status_of, store

ON_FIND, ON_GET, ON_CT = 1, 3, 5


class Raw:
    """A client and an upstream, both plain sockets, and the gateway between them."""

    def __init__(self, client_socket: socket.socket, upstream_socket: socket.socket, gate: Gate) -> None:
        self.client = client_socket
        self.upstream = upstream_socket
        self.gate = gate


@contextmanager
def raw(gate: Gate | None = None, **options: Any) -> Iterator[Raw]:
    """With an association made: contexts 1 C-FIND, 3 C-GET, 5 CT storage with both roles for the client."""
    gate = gate or Gate()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(15)
        _, port = stack.enter_context(gateway(gate, listener.getsockname()[1], **options))
        client_socket = stack.enter_context(connect(port))
        client_socket.sendall(pdus.request())
        upstream_socket = stack.enter_context(listener.accept()[0])
        upstream_socket.settimeout(15)
        assert receive(upstream_socket)[0] == 1
        upstream_socket.sendall(pdus.acceptance())
        assert receive(client_socket)[0] == 2
        yield Raw(client_socket, upstream_socket, gate)


def get() -> bytes:
    return message(ON_GET, command(0x10, data=True, Priority=0), IDENTIFIER)


def find(message_id: int = 1) -> bytes:
    return message(ON_FIND, command(0x20, message_id, data=True, Priority=0), IDENTIFIER)


def taken(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = peer.recv(size - len(data))
        assert chunk, "the stream ended"
        data += chunk
    return data


def reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


# -- the stream -----------------------------------------------------------------------------------


def test_bytes_pass_unchanged_in_both_directions_and_the_end_is_seen_by_both() -> None:
    with raw() as peers:
        peers.client.sendall(find())
        assert taken(peers.upstream, len(find())) == find()
        final = message(ON_FIND, reply(0x20))
        peers.upstream.sendall(final)
        assert taken(peers.client, len(final)) == final
        peers.client.sendall(RELEASE_RQ)
        assert receive(peers.upstream) == RELEASE_RQ
        peers.upstream.sendall(RELEASE_RP)
        assert receive(peers.client) == RELEASE_RP
        assert receive(peers.client) == b""
        assert receive(peers.upstream) == b""
        assert peers.gate.outcome("c-find") == {"Status": 0, "matches": 0}


def test_a_stream_in_single_bytes_arrives() -> None:
    with raw() as peers:
        for byte in find():
            peers.client.sendall(bytes((byte,)))
        assert taken(peers.upstream, len(find())) == find()


def test_a_pdu_of_several_pdvs_arrives_as_one_pdv_a_pdu() -> None:
    raw_command = command(0x20, data=True, Priority=0)
    with raw() as peers:
        peers.client.sendall(pdvs((ON_FIND, 1, raw_command[:10]), (ON_FIND, 3, raw_command[10:]), (ON_FIND, 0, IDENTIFIER[:8]), (ON_FIND, 2, IDENTIFIER[8:])))
        assert taken(peers.upstream, len(find())) == find()


def test_an_answer_made_here_never_comes_between_a_message_of_the_upstream() -> None:
    def decide(request: Request) -> Decision:
        return Decision("deny" if request.action == "c-find" else "allow", request, status=0x0124)

    with raw(Gate(decide)) as peers:
        peers.client.sendall(get())
        taken(peers.upstream, len(get()))
        instance = store(5, b"x" * 60_000, context=ON_CT)
        peers.upstream.sendall(instance[:30_000])
        assert taken(peers.client, 30_000) == instance[:30_000]
        peers.client.sendall(find(9))
        assert until(lambda: "c-find" in peers.gate.actions())
        peers.upstream.sendall(instance[30_000:])
        assert taken(peers.client, len(instance) - 30_000) == instance[30_000:]
        assert status_of(receive(peers.client)) == 0x0124


def test_the_upstreams_requests_are_refused_without_reaching_the_client() -> None:
    with raw() as peers:
        peers.upstream.sendall(store(5, b"x" * 200_000, context=ON_CT))
        assert status_of(receive(peers.upstream)) == 0x0124
        peers.client.sendall(find())
        taken(peers.upstream, len(find()))
        final = message(ON_FIND, reply(0x20))
        peers.upstream.sendall(final)
        assert taken(peers.client, len(final)) == final


# -- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n", pdus.request(), pdvs((99, 3, command(0x20))), pdvs((ON_FIND, 2, b"data"))])
def test_a_broken_stream_is_aborted_on_both_sides(sent: bytes) -> None:
    with raw() as peers:
        peers.client.sendall(sent)
        for peer in (peers.client, peers.upstream):
            assert receive(peer)[0] == 7
            assert receive(peer) == b""


def test_an_abort_passes_in_both_directions() -> None:
    for one, other in (("client", "upstream"), ("upstream", "client")):
        with raw() as peers:
            getattr(peers, one).sendall(ABORT)
            assert receive(getattr(peers, other)) == ABORT
            assert receive(getattr(peers, other)) == b""


@pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "closed"])
def test_a_client_that_dies_in_mid_retrieve_ends_the_upstreams_leg(leave: Any) -> None:
    with raw() as peers:
        peers.client.sendall(get())
        taken(peers.upstream, len(get()))
        instance = store(5, b"x" * 8_000_000, context=ON_CT)
        sending = threading.Thread(target=_send, args=(peers.upstream, instance), daemon=True)
        sending.start()
        taken(peers.client, 100_000)
        leave(peers.client)
        assert _last_pdu(peers.upstream)[:1] in (b"\x07", b"")
        sending.join(15)
        assert not sending.is_alive()
        peers.upstream.close()
        outcome = peers.gate.outcome("c-get")
        assert outcome["Status"] is None
        assert "ended" in outcome


def test_an_upstream_that_dies_at_a_pdu_boundary_is_an_abort_for_the_client() -> None:
    with raw() as peers:
        peers.client.sendall(get())
        taken(peers.upstream, len(get()))
        peers.upstream.close()
        assert receive(peers.client)[0] == 7
        assert receive(peers.client) == b""


def test_an_upstream_that_dies_within_a_pdu_closes_the_clients_leg_without_another_byte() -> None:
    with raw() as peers:
        peers.client.sendall(get())
        taken(peers.upstream, len(get()))
        part = store(5, b"x" * 60_000, context=ON_CT)[:20_000]
        peers.upstream.sendall(part)
        assert taken(peers.client, len(part)) == part
        peers.upstream.close()
        assert peers.client.recv(100) == b""


def test_an_association_without_a_byte_for_too_long_is_aborted() -> None:
    with raw(idle_timeout=0.3) as peers:
        assert receive(peers.client)[0] == 7
        assert receive(peers.upstream)[0] == 7


def _send(peer: socket.socket, data: bytes) -> None:
    try:
        peer.sendall(data)
    except OSError:
        return


def _last_pdu(peer: socket.socket) -> bytes:
    last = b""
    while pdu := receive(peer):
        last = pdu
    return last


# -- before the association -----------------------------------------------------------------------


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 7),
        (find(), 7),
        (b"\x01\x00\xff\xff\xff\xff", 7),
        (pdus.request()[:-3] + b"\x5a\0\0", 3),
        (pdus.request()[:26] + b"\xc4CLIENT         " + pdus.request()[42:], 3),
    ],
    ids=["http", "data first", "too long", "malformed", "not ascii"],
)
def test_what_is_no_association_request_is_turned_away(upstream: Upstream, sent: bytes, kind: int) -> None:
    gate = Gate()
    with gateway(gate, upstream) as (_, port):
        with connect(port) as peer:
            peer.sendall(sent)
            assert receive(peer)[0] == kind
            assert receive(peer) == b""
        assert client(port).is_established
    assert gate.actions() == ["associate"]


def test_a_client_that_says_nothing_is_closed(upstream: Upstream) -> None:
    with gateway(Gate(), upstream, artim_timeout=0.2) as (_, port), connect(port) as peer:
        assert receive(peer) == b""


@pytest.mark.parametrize("answer", [b"", b"\x04\0\0\0\0\0", pdus.acceptance()[:-9], b"\x02\0\0\0\0\x02\0\1"], ids=["closes", "data", "cut", "malformed"])
def test_an_upstream_that_answers_wrongly_is_a_transient_rejection(answer: bytes) -> None:
    gate = Gate()
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        gateway(gate, listener.getsockname()[1], acceptance_timeout=5.0) as (_, port),
        connect(port) as peer,
    ):
        listener.settimeout(15)
        peer.sendall(pdus.request())
        made, _ = listener.accept()
        with made:
            made.settimeout(15)
            receive(made)
            made.sendall(answer)
            made.shutdown(socket.SHUT_WR)
            assert receive(peer)[6:] == bytes((0, 2, 3, 1))
    assert gate.outcome("associate")["accepted"] is False


def test_an_upstream_that_does_not_answer_in_time_is_a_transient_rejection() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        gateway(Gate(), listener.getsockname()[1], acceptance_timeout=0.2) as (_, port),
        connect(port) as peer,
    ):
        peer.sendall(pdus.request())
        assert receive(peer)[6:] == bytes((0, 2, 3, 1))


@pytest.mark.filterwarnings("error")
def test_the_log_names_peers_but_no_values(caplog: pytest.LogCaptureFixture) -> None:
    secrets = (b"\x10\x00\x20\x00\x0a\x00\x00\x00SECRET-ID ", b"\x10\x00\x30\x00\x08\x00\x00\x00SECRETAB", b"\x10\x00\x20\x00\x40\x00\x00\x00SECRET-ID")
    with caplog.at_level(logging.DEBUG), raw() as peers:
        for number, secret in enumerate(secrets):
            level = b"\x08\x00\x52\x00\x06\x00\x00\x00secret" if number else IDENTIFIER[:14]
            peers.client.sendall(message(ON_FIND, command(0x20, number + 1, data=True, Priority=0), level + secret))
        assert until(lambda: len(peers.gate.actions()) > 1)
        peers.client.sendall(b"SECRET")
        assert until(lambda: "broken" in caplog.text)
    assert "association client" in caplog.text
    assert "secret" not in caplog.text.lower()


def test_the_contexts_are_those_of_the_peers() -> None:
    assert (FIND, GET, CT) == ("1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3", "1.2.840.10008.5.1.4.1.1.2")


def test_what_an_association_held_is_let_go_at_its_end_and_not_when_the_garbage_collector_comes() -> None:
    """What TLS keeps for a connection is large, and unknown to the collector, which waits for many objects."""
    upstream = Upstream()
    gc.collect()
    before = {id(each) for each in gc.get_objects() if isinstance(each, Lane | Conversation)}
    gc.disable()
    try:
        with gateway(Gate(), upstream) as (made, port):
            association = client(port)
            assert association.send_c_echo().Status == 0
            association.release()
            assert until(lambda: made.tally.counts().connections == 0)
            assert until(lambda: not [each for each in gc.get_objects() if isinstance(each, Lane | Conversation) and id(each) not in before])
    finally:
        gc.enable()
        upstream.stop()
