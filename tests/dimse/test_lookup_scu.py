"""The association for look-ups, with a peer that keeps to the standard and with peers that do not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hirules.dimse.association import decode_request
from hirules.dimse.lookup_query import identifier, match
from hirules.dimse.lookup_scu import PATIENT_ROOT, STUDY_ROOT, Gone, Node, NotAccepted, NotAnswered, QueryAssociation, Refused, associate_pdu
from hirules.dimse.message import encode_command
from hirules.dimse.pdu import abort_pdu, message_pdus, reject_pdu
from hirules.facts import LookupFailed
from tests.dimse.archives import archive, matches

STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", "PatientID": "P1"}
QUERY = identifier("STUDY", {"StudyInstanceUID": "1.2"}, {"PatientID"})


def soon(seconds: float = 30.0) -> float:
    return time.monotonic() + seconds


def test_node_of_the_configuration() -> None:
    assert Node.of("PACS@[::1]:104") == Node("PACS", "::1", 104)


def test_the_associate_request_is_what_this_gateway_would_read() -> None:
    asked = decode_request(associate_pdu("GATE", "PACS"))
    assert (asked.calling_ae_title, asked.called_ae_title) == ("GATE", "PACS")
    assert {context.abstract_syntax: context.proposed for context in asked.contexts.values()} == {
        PATIENT_ROOT: ("1.2.840.10008.1.2",),
        STUDY_ROOT: ("1.2.840.10008.1.2",),
    }


def test_several_queries_on_one_association() -> None:
    with archive(matches(STUDY)) as peer:
        association = QueryAssociation.open(peer.node, "LOOKER", soon())
        for model in (STUDY_ROOT, PATIENT_ROOT):
            (found,) = association.find(model, QUERY, 5, soon())
            assert match(found)["PatientID"] == "P1"
        assert association.usable
        assert not association.stale()
        association.release()
        assert peer.titles == ["LOOKER"]
        assert peer.ended.wait(20)


@pytest.mark.parametrize("status", [0xA700, 0xC000, 0xFE00, 0xB001])
def test_any_end_but_success_is_refused_and_leaves_the_association(status: int) -> None:
    with archive(lambda keys: iter([(0xFF00, STUDY), (status, None)])) as peer:
        association = QueryAssociation.open(peer.node, "LOOKER", soon())
        with pytest.raises(Refused, match=f"0x{status:04X}"):
            association.find(STUDY_ROOT, QUERY, 5, soon())
        assert association.usable
        association.abort()


def test_too_many_matches_end_it() -> None:
    with archive(lambda keys: iter([(0xFF00, STUDY)] * 3)) as peer:
        association = QueryAssociation.open(peer.node, "LOOKER", soon())
        with pytest.raises(LookupFailed, match="more than 2 matches"):
            association.find(STUDY_ROOT, QUERY, 2, soon())
        assert not association.usable
        association.abort()


def test_a_model_that_the_archive_does_not_have() -> None:
    with archive(matches(), models=(STUDY_ROOT,)) as peer:
        association = QueryAssociation.open(peer.node, "LOOKER", soon())
        with pytest.raises(NotAccepted):
            association.find(PATIENT_ROOT, QUERY, 5, soon())
        association.abort()


def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(NotAnswered, match="cannot be reached"):
            QueryAssociation.open(Node("PACS", "127.0.0.1", unused.getsockname()[1]), "LOOKER", soon())


@contextmanager
def peer_that(*steps: Callable[[socket.socket], None]) -> Iterator[Node]:
    """A peer that takes one step for each PDU that comes, and then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        with listener, listener.accept()[0] as peer:
            peer.settimeout(30)
            for step in steps:
                peer.recv(65536)
                step(peer)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Node("PACS", "127.0.0.1", listener.getsockname()[1])
    finally:
        thread.join(30)
    assert not thread.is_alive()


def accept(peer: socket.socket) -> None:
    """Both models (PS3.8 Table 9-17)."""
    request = associate_pdu("LOOKER", "PACS")
    contexts = b"".join(item(0x21, bytes([number, 0, 0, 0]) + item(0x40, b"1.2.840.10008.1.2")) for number in (1, 3))
    body = request[6:74] + item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + item(0x50, item(0x51, bytes(4)) + item(0x52, b"1.2.3"))
    peer.sendall(b"\x02\0" + len(body).to_bytes(4, "big") + body)


def item(kind: int, value: bytes) -> bytes:
    return bytes([kind, 0]) + len(value).to_bytes(2, "big") + value


def silent(peer: socket.socket) -> None:
    assert peer.recv(65536)[:1] in (b"", b"\x07"), "it ends the association, and asks nothing more"


@pytest.mark.parametrize(
    "step",
    [
        lambda peer: peer.sendall(reject_pdu(1, 1, 3)),
        lambda peer: peer.sendall(abort_pdu(0)),
        lambda peer: peer.sendall(b"\x02\0\0\0\0\4abcd"),
        lambda peer: None,
    ],
    ids=["rejects", "aborts", "malformed", "closes"],
)
def test_no_association_comes_about(step: Callable[[socket.socket], None]) -> None:
    with peer_that(step) as node, pytest.raises(NotAnswered):
        QueryAssociation.open(node, "LOOKER", soon())


def test_a_peer_that_says_nothing_is_left_at_the_deadline() -> None:
    with peer_that(silent) as node, pytest.raises(NotAnswered):
        QueryAssociation.open(node, "LOOKER", soon(0.2))
    with peer_that(accept, silent) as node:
        association = QueryAssociation.open(node, "LOOKER", soon())
        with pytest.raises(NotAnswered, match="in time"):
            association.find(STUDY_ROOT, QUERY, 5, soon(0.2))
        assert not association.usable
        association.abort()


def test_a_peer_that_drips_is_left_at_the_deadline() -> None:
    """Each byte comes in time; the whole never does."""

    def drip(peer: socket.socket) -> None:
        peer.settimeout(0.02)
        for byte in pending(1):
            peer.sendall(bytes([byte]))
            try:
                peer.recv(65536)
            except TimeoutError:
                continue
            return

    with peer_that(accept, drip) as node:
        association = QueryAssociation.open(node, "LOOKER", soon())
        with pytest.raises(NotAnswered, match="in time"):
            association.find(STUDY_ROOT, QUERY, 5, soon(0.3))
        association.abort()


def pending(message_id: int, field: int = 0x8020, status: int = 0xFF00, data: bytes | None = QUERY, context: int = 3, longest: int = 0) -> bytes:
    command = encode_command(
        {
            "CommandField": field, "MessageIDBeingRespondedTo": message_id, "CommandDataSetType": 0x0101 if data is None else 1, "Status": status,
            "AffectedSOPClassUID": STUDY_ROOT,
        }
    )  # fmt: skip
    return message_pdus(context, command, data, longest)


@pytest.mark.parametrize(
    "answer",
    [
        pending(2),
        pending(1, field=0x8021),
        pending(1, context=1),
        b"\x04\0\0\0\0\6\0\0\0\x01\3\3",
        b"\x04\0\0\0\0\x10\0\0\0\xff\3\3abcdefghij",
        b"\x04\0\xff\0\0\0",
        message_pdus(3, b"abc", None, 0),
    ],
    ids=["another request", "another service", "another context", "short fragment", "long fragment", "long pdu", "no command"],
)
def test_a_malformed_answer_ends_it(answer: bytes) -> None:
    with peer_that(accept, lambda peer: peer.sendall(answer)) as node:
        association = QueryAssociation.open(node, "LOOKER", soon())
        with pytest.raises(LookupFailed, match="malformed"):
            association.find(STUDY_ROOT, QUERY, 5, soon())
        assert not association.usable
        association.abort()


def test_messages_in_any_fragments() -> None:
    """Two responses in one write, the first in fragments of a few bytes (PS3.8 §9.3.5)."""
    answers = pending(1, longest=20) + pending(1, status=0, data=None)
    with peer_that(accept, lambda peer: peer.sendall(answers)) as node:
        association = QueryAssociation.open(node, "LOOKER", soon())
        assert association.find(STUDY_ROOT, QUERY, 5, soon()) == [QUERY]
        association.abort()


def test_the_end_before_and_in_the_middle_of_an_answer() -> None:
    with peer_that(accept, lambda peer: None) as node:
        association = QueryAssociation.open(node, "LOOKER", soon())
        with pytest.raises(Gone):
            association.find(STUDY_ROOT, QUERY, 5, soon())
        association.abort()
    with peer_that(accept, lambda peer: peer.sendall(pending(1))) as node:
        association = QueryAssociation.open(node, "LOOKER", soon())
        with pytest.raises(NotAnswered) as caught:
            association.find(STUDY_ROOT, QUERY, 5, soon())
        assert not isinstance(caught.value, Gone)
        association.abort()
