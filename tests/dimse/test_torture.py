"""Whole conversations in pieces, and associations as large and as odd as they may be: decided like their well-formed twins, or rejected.

What a single stream or a single PDU may look like is in ``test_flow.py``, ``test_relay.py`` and ``test_association.py``.
"""

from __future__ import annotations

import itertools
import random
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hirules.dimse.association import AssociationError, decode_acceptance, decode_request
from hirules.dimse.pdu import HEADER
from hirules.dimse.relay import Relay
from hirules.dimse.ruling import Desk, decide_association
from hirules.model.decision import Decision
from hirules.model.reading import Fields
from hirules.model.request import Request
from tests.dimse import associations as pdus
from tests.dimse.peers import Gate, connect, gateway, receive, until
from tests.dimse.wire import (
    CT,
    FIND,
    GET,
    GRAYSCALE_PRINT_META,
    IDENTIFIER,
    IMPLICIT,
    MOVE,
    ON,
    OPTIONS,
    PRINTER,
    RELEASE_RP,
    RELEASE_RQ,
    Event,
    association,
    cancel,
    command,
    find,
    message,
    pdvs,
    reply,
    take,
)

CLIENT, UPSTREAM = 0, 1
Step = tuple[int, bytes]
"""Who sends, and what."""
Chunks = Callable[[bytes], Iterable[bytes]]

NESTED = IDENTIFIER[:14] + b"\x08\x00\x11\x11\x18\x00\x00\x00\xfe\xff\x00\xe0\x10\x00\x00\x00\x08\x00\x50\x11\x08\x00\x00\x001.2.840\x00"
"""A query that is not flat: the level, and a sequence of one item."""
COUNTS: dict[str, Any] = {"NumberOfCompletedSuboperations": 1, "NumberOfFailedSuboperations": 0, "NumberOfWarningSuboperations": 0}


def conversation(on: dict[str, int]) -> list[Step]:
    """Queries with an identifier, a refused C-MOVE, a C-GET with a sub-operation, an N-GET, release; of which some are in several PDVs."""
    query = command(0x20, 2, data=True, Priority=0)
    odd = pdvs((on[FIND], 1, query[:30]), (on[FIND], 3, query[30:]), (on[FIND], 0, IDENTIFIER[:9]), (on[FIND], 2, IDENTIFIER[9:]))
    printer = command(0x110, 5, RequestedSOPClassUID=PRINTER, RequestedSOPInstanceUID="1.2.840.10008.5.1.1.17")
    instance = command(0x01, 9, data=True, Priority=0, AffectedSOPInstanceUID="1.2.3.4")
    return [
        (CLIENT, message(on[FIND], command(0x20, 1, data=True, Priority=0), IDENTIFIER)),
        (UPSTREAM, message(on[FIND], reply(0x20, 1, status=0xFF00, data=True), IDENTIFIER) * 2),
        (UPSTREAM, message(on[FIND], reply(0x20, 1))),
        (CLIENT, odd),
        (CLIENT, cancel(2, on[FIND])),
        (UPSTREAM, message(on[FIND], reply(0x20, 2, status=0xFE00))),
        (CLIENT, message(on[FIND], command(0x20, 6, data=True, Priority=0), NESTED)),
        (UPSTREAM, message(on[FIND], reply(0x20, 6, status=0xC000))),
        (CLIENT, message(on[MOVE], command(0x21, 3, data=True, Priority=0, MoveDestination="nowhere "), IDENTIFIER)),
        (CLIENT, message(on[GET], command(0x10, 4, data=True, Priority=0), IDENTIFIER)),
        (UPSTREAM, pdvs((on[CT], 3, instance)) + pdvs((on[CT], 0, b"\x01" * 40)) + pdvs((on[CT], 2, b"\x02" * 20))),
        (CLIENT, message(on[CT], reply(0x01, 9, AffectedSOPClassUID=CT))),
        (UPSTREAM, message(on[GET], reply(0x10, 4, status=0xFF00, **COUNTS)) + message(on[GET], reply(0x10, 4, **COUNTS))),
        (CLIENT, message(on[GRAYSCALE_PRINT_META], printer)),
        (UPSTREAM, message(on[GRAYSCALE_PRINT_META], reply(0x110, 5, data=True), b"\x10\x21\x10\x00\x06\x00\x00\x00NORMAL")),
        (CLIENT, RELEASE_RQ),
        (UPSTREAM, RELEASE_RP),
    ]


WHOLE = conversation(ON)


def decide(request: Request) -> Decision:
    if request.action == "c-move" and request.request.get("MoveDestination") == "NOWHERE":
        return Decision("deny", request, status=0xA801, reason="no agreement")
    return Decision("allow", request)


class Spoken:
    """What came of a conversation: a transcript of each step, what the gate was asked, how it ended."""

    def __init__(self, steps: Sequence[tuple[int, Iterable[bytes]]]) -> None:
        gate, asked = Gate(decide), association()
        options = msgspec.structs.replace(OPTIONS, decide_suboperations=True)
        relay, desk = Relay(asked, options), Desk(gate, options, asked)
        self.events: list[list[Event]] = []
        for side, chunks in steps:
            events = take((relay.client, relay.upstream)[side], chunks, desk.rule)
            self.events.append([event for event in events if event.kind != "completed"])
            for event in events:
                if event.kind == "completed":
                    gate.outcomes.append(("", event.outcome))
        self.requests = [plain(request) for request in gate.asked]
        self.outcomes = in_order(outcome for _, outcome in gate.outcomes)
        self.ended = relay.client.ended, relay.upstream.ended

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spoken) and vars(self) == vars(other)


def in_order(outcomes: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """The two directions of a gateway tell how a request ended in threads of their own."""
    return sorted(outcomes, key=repr)


def plain(request: Request) -> tuple[str, dict[str, object], Fields]:
    """Action, parameters, subject."""
    identifier = request.request.get("Identifier")
    shown = repr(dict(identifier)) if isinstance(identifier, Mapping) else None
    return request.action, {**request.request, "Identifier": shown}, request.subject


@pytest.fixture(scope="module")
def unsplit() -> Spoken:
    return Spoken([(side, [data]) for side, data in WHOLE])


def test_the_conversation_is_the_one_meant(unsplit: Spoken) -> None:
    assert [action for action, *_ in unsplit.requests] == ["c-find", "c-find", "c-find", "c-move", "c-get", "c-store", "n-get"]
    assert [event.kind for events in unsplit.events for event in events if event.kind not in ("forward", "decide")] == ["answer", "ended"]
    assert sorted(outcome["Status"] for outcome in unsplit.outcomes) == [0, 0, 0, 0, 0xA801, 0xC000, 0xFE00]  # type: ignore[type-var]
    # every other message passes as it came, or as one PDV a PDU
    assert [b"".join(event.data for event in events if event.kind == "forward") for events in unsplit.events] == [
        find(2) if step == 3 else b"" if step == 8 else data for step, (_, data) in enumerate(WHOLE)
    ]


@pytest.mark.parametrize("step", range(len(WHOLE)))
def test_each_message_cut_at_every_byte(step: int, unsplit: Spoken) -> None:
    size = len(WHOLE[step][1])
    for at in range(1, size):
        assert Spoken([(side, [data[:at], data[at:]] if number == step else [data]) for number, (side, data) in enumerate(WHOLE)]) == unsplit, at


def test_all_of_it_in_single_bytes(unsplit: Spoken) -> None:
    assert Spoken([(side, single_bytes(data)) for side, data in WHOLE]) == unsplit


@given(st.randoms(use_true_random=False), st.integers(2, 200))
def test_all_of_it_in_random_pieces(dice: random.Random, longest: int) -> None:
    assert Spoken([(side, pieces(data, dice, longest)) for side, data in WHOLE]) == Spoken([(side, [data]) for side, data in WHOLE])


def single_bytes(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def pieces(data: bytes, dice: random.Random, longest: int) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = dice.randint(1, longest)
        yield data[at : at + size]
        at += size


# -- associations -----------------------------------------------------------------------------------


def item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def items(body: bytes) -> list[bytes]:
    """Each item as a whole."""
    found = []
    while body:
        size = 4 + int.from_bytes(body[2:4], "big")
        found.append(body[:size])
        body = body[size:]
    return found


def with_items(pdu: bytes, own: Iterable[bytes]) -> bytes:
    """The A-ASSOCIATE-RQ with these items in place of its own."""
    body = pdu[6:74] + b"".join(own)
    return HEADER.pack(pdu[0], len(body)) + body


def with_user_items(pdu: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    *others, user = items(pdu[74:])
    return with_items(pdu, [*others, item(0x50, b"".join(change(items(user[4:]))))])


def accepted(request: bytes) -> bytes:
    """An A-ASSOCIATE-AC that accepts every context in Implicit VR Little Endian."""
    answers = [item(0x21, each[4:5] + b"\0\0\0" + item(0x40, IMPLICIT.encode())) for each in items(request[74:]) if each[0] == 0x20]
    own = items(request[74:])
    return b"\x02" + with_items(request, [own[0], *answers, own[-1]])[1:]


def proposing(count: int) -> tuple[bytes, dict[str, int]]:
    """An A-ASSOCIATE-RQ of ``count`` contexts, and the last contexts that are for the conversation."""
    used = [CT, GRAYSCALE_PRINT_META, GET, MOVE, FIND]
    uids = [f"1.2.826.0.1.3680043.9.9999.{number}" for number in range(count - len(used))] + used
    pdu = pdus.request(contexts=uids[:128])
    first, *contexts, user = items(pdu[74:])
    roles = item(0x54, struct.pack(">H", len(CT)) + CT.encode() + b"\1\1")
    contexts += [item(0x20, bytes((2 * number + 1 & 0xFF, 0, 0, 0)) + item(0x30, CT.encode()) + item(0x40, IMPLICIT.encode())) for number in range(128, count)]
    return with_items(pdu, [first, *contexts, item(0x50, user[4:] + roles)]), {uid: 2 * number + 1 for number, uid in enumerate(uids)}


@pytest.mark.parametrize("count", [5, 121, 128])
def test_associations_of_many_contexts(count: int, unsplit: Spoken) -> None:
    request, on = proposing(count)
    asked = decode_request(request, "127.0.0.1")
    agreed = decode_acceptance(accepted(request), asked)
    assert len(agreed.contexts) == count
    assert all(context.accepted for context in agreed.contexts.values())
    gate = Gate(decide)
    options = msgspec.structs.replace(OPTIONS, decide_suboperations=True)
    relay, desk = Relay(agreed, options), Desk(gate, options, agreed)
    for side, data in conversation(on):
        take((relay.client, relay.upstream)[side], data, desk.rule)
    found = [plain(request) for request in gate.asked]
    assert [one[:2] for one in found] == [one[:2] for one in unsplit.requests]
    assert relay.upstream.ended


@pytest.mark.parametrize("count", [129, 200])
def test_more_contexts_than_there_are_ids_are_rejected(count: int) -> None:
    request, _ = proposing(count)
    with pytest.raises(AssociationError, match="id is repeated"):
        decode_request(request)


def test_a_request_cut_at_every_byte_is_rejected() -> None:
    request = pdus.request(pdus.extended(FIND, b"\1\1\1"), pdus.identity(2, b"who", b"secret"))
    for at in range(len(request)):
        with pytest.raises(AssociationError):
            decode_request(request[:at])


def test_items_in_any_order_are_the_same_association() -> None:
    request = pdus.request(pdus.extended(FIND, b"\1\1\1"), pdus.identity(2, b"who", b"secret"), pdus.window(3, 3))
    twin = decode_request(request)
    dice = random.Random(1)
    for _ in range(50):
        own = items(request[74:])
        own[-1] = item(0x50, b"".join(shuffled(dice, items(own[-1][4:]))))
        found = decode_request(with_items(request, shuffled(dice, own)))
        assert same(found) == same(twin)


def shuffled(dice: random.Random, own: list[bytes]) -> list[bytes]:
    return dice.sample(own, len(own))


def same(read: object) -> object:
    """All but the places in the PDU."""
    found = msgspec.structs.asdict(read)  # type: ignore[arg-type]
    negotiations = [(one.sop_class, one.information) for one in found.pop("extended")]
    del found["window_offset"]
    return found, negotiations


KNOWN_ITEMS = range(0x51, 0x5A)


@pytest.mark.parametrize("kind", [kind for kind in range(256) if kind not in KNOWN_ITEMS])
def test_unknown_user_information_is_rejected_wherever_it_is(kind: int) -> None:
    request = pdus.request()
    for at, value in itertools.product(range(4), (b"", b"what", b"\0" * 300)):
        odd = with_user_items(request, lambda own, at=at, value=value: [*own[:at], item(kind, value), *own[at:]])  # type: ignore[misc]
        with pytest.raises(AssociationError, match="unknown item") as caught:
            decode_request(odd)
        assert (caught.value.source, caught.value.reason) == (2, 1)


CALLING, CALLED = 26, 10
ODD_TITLES = [
    b"client          ", b"  Client        ", b"CLIENT\0\0\0\0\0\0\0\0\0\0", b"          CLIENT", b"CLIENT  \0\0\0\0\0\0\0\0", b"'; DROP TABLE  ;", b"*" * 16,
]  # fmt: skip
NO_TITLES = [
    b"\xc3\x84CLIENT        ", b"\xc4\xd6\xdc             ", b"CLIENT\xa0         ", b"\xef\xbb\xbfCLIENT       ",
    b"\xef\xbc\xa3CLIENT       ", b"CL\\IENT         ",
    b"CL\0IENT         ", b"CL\nIENT         ", b"\tCLIENT         ", b"CLIENT\x7f         ", b"\x1b$BCLIENT       ", b" " * 16, b"\0" * 16,
]  # fmt: skip


@pytest.mark.parametrize("title", NO_TITLES, ids=repr)
@pytest.mark.parametrize("at", [CALLING, CALLED])
def test_what_is_no_ae_title_is_rejected(title: bytes, at: int) -> None:
    request = pdus.request()
    with pytest.raises(AssociationError) as caught:
        decode_request(request[:at] + title + request[at + 16 :])
    assert (caught.value.source, caught.value.reason) == ((1, 3 if at == CALLING else 7) if title.isascii() else (2, 1))


@pytest.mark.parametrize("title", ODD_TITLES, ids=repr)
@pytest.mark.parametrize("at", [CALLING, CALLED])
def test_an_odd_ae_title_is_decided_as_its_twin(title: bytes, at: int) -> None:
    request = pdus.request()
    asked = decode_request(request[:at] + title + request[at + 16 :], "127.0.0.1")
    canonical = title.strip(b" \0").decode("ascii").upper()
    twin = decode_request(request[:at] + canonical.encode().ljust(16) + request[at + 16 :], "127.0.0.1")
    gate, twins = Gate(), Gate()
    decide_association(gate, asked, OPTIONS)
    decide_association(twins, twin, OPTIONS)
    assert [request.subject for request in gate.asked] == [request.subject for request in twins.asked]
    assert gate.asked[0].subject["ae_title" if at == CALLING else "called_ae_title"] == canonical


# -- through a gateway's sockets --------------------------------------------------------------------


def at_once(data: bytes) -> Iterable[bytes]:
    return [data]


def randomly(seed: int) -> Chunks:
    dice = random.Random(seed)
    return lambda data: pieces(data, dice, 40)


class Wire:
    """A whole association of ``count`` contexts over real sockets, sent in ``chunks``; what each side received."""

    def __init__(self, chunks: Chunks, count: int) -> None:
        self.chunks = chunks
        self.received: list[list[bytes]] = [[], []]
        gate = Gate(decide)
        request, on = proposing(count)
        with ExitStack() as stack:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.settimeout(30)
            _, port = stack.enter_context(gateway(gate, listener.getsockname()[1], decide_suboperations=True))
            client = stack.enter_context(connect(port))
            self._send(client, request)
            upstream = stack.enter_context(listener.accept()[0])
            self._peers = (client, upstream)
            for peer in self._peers:
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer.settimeout(30)
            self._receive(UPSTREAM, 1)
            self._send(upstream, accepted(request))
            self._receive(CLIENT, 1)
            for step, (side, data) in enumerate(conversation(on)):
                self._send(self._peers[side], data)
                # a refused C-MOVE comes back; the PDVs of one PDU leave as one PDV a PDU, of which fragments of a command set are one
                self._receive(side if step == 8 else 1 - side, 1 if step == 8 else 2 if step == 3 else count_of(data))
            assert receive(client) == receive(upstream) == b""
            assert until(lambda: len(gate.outcomes) == len(gate.asked))
        self.requests = [plain(request) for request in gate.asked]
        self.outcomes = in_order(outcome for _, outcome in gate.outcomes)

    def _send(self, peer: socket.socket, data: bytes) -> None:
        for chunk in self.chunks(data):
            peer.sendall(chunk)

    def _receive(self, side: int, pdus_: int) -> None:
        self.received[side] += [receive(self._peers[side]) for _ in range(pdus_)]


def count_of(data: bytes) -> int:
    found = 0
    while data:
        found, data = found + 1, data[6 + int.from_bytes(data[2:6], "big") :]
    return found


@pytest.fixture(scope="module")
def at_once_on_the_wire() -> Wire:
    return Wire(at_once, 121)


def test_the_wire_says_what_the_relay_says(at_once_on_the_wire: Wire, unsplit: Spoken) -> None:
    asked = at_once_on_the_wire.requests
    assert [one[:2] for one in asked[1:]] == [one[:2] for one in unsplit.requests]
    assert at_once_on_the_wire.outcomes == in_order([{"accepted": True}, *unsplit.outcomes])


@pytest.mark.parametrize("chunks", [single_bytes, randomly(1), randomly(2), randomly(3)], ids=["bytes", "1", "2", "3"])
def test_a_whole_association_of_121_contexts_in_pieces_on_the_wire(chunks: Chunks, at_once_on_the_wire: Wire) -> None:
    found = Wire(chunks, 121)
    assert found.received == at_once_on_the_wire.received
    assert found.requests == at_once_on_the_wire.requests
    assert found.outcomes == at_once_on_the_wire.outcomes


def test_128_contexts_on_the_wire(at_once_on_the_wire: Wire) -> None:
    found = Wire(at_once, 128)
    assert found.requests == at_once_on_the_wire.requests
    assert found.outcomes == at_once_on_the_wire.outcomes


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        (with_user_items(pdus.request(), lambda own: [*own, item(0x5A, b"what")]), (1, 2, 1)),
        (pdus.request()[:26] + "CLIÄNT".encode("latin-1").ljust(16) + pdus.request()[42:], (1, 2, 1)),
        (pdus.request()[:10] + "GÄTE".encode().ljust(16) + pdus.request()[26:], (1, 2, 1)),
        (pdus.request()[:26] + b" " * 16 + pdus.request()[42:], (1, 1, 3)),
        (proposing(129)[0], (1, 2, 1)),
    ],
    ids=["item", "calling", "called", "empty", "129"],
)
@pytest.mark.parametrize("chunks", [at_once, single_bytes], ids=["at once", "bytes"])
def test_what_is_rejected_is_rejected_cleanly_on_the_wire(request_pdu: bytes, answer: tuple[int, int, int], chunks: Chunks) -> None:
    gate = Gate()
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        upstream.settimeout(0.01)
        with gateway(gate, upstream.getsockname()[1]) as (_, port), connect(port) as client:
            for chunk in chunks(request_pdu):
                client.sendall(chunk)
            assert receive(client) == b"\x03\x00\x00\x00\x00\x04\x00" + bytes(answer)
            assert receive(client) == b""
        with pytest.raises(TimeoutError):
            upstream.accept()
    assert gate.asked == []
