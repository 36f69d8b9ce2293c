"""An archive that only answers C-FIND, with so many matches as fast as a client takes them: whatever a gateway adds is seen.

    python -m benchmarks.relay_find PORT MATCHES

DCMTK's archive needs minutes to take in 10,000 instances, and milliseconds for a match. Each match is sent as DCMTK sends one: its
command set and its identifier in a P-DATA-TF each, two writes.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.presentation import PresentationContext

from hirules.dimse.identifier import write
from hirules.dimse.message import C_ECHO_RQ, C_FIND_RQ, NO_DATA_SET, RESPONSE, encode_command, parse_command
from hirules.dimse.pdu import A_RELEASE_RQ, COMMAND, LAST, P_DATA_TF, data_pdu, release_reply_pdu

HOST = "127.0.0.1"


def matches(count: int) -> list[bytes]:
    """Identifiers of instances of one study, each with what a work list shows."""
    made = []
    for number in range(count):
        match = Dataset()
        match.QueryRetrieveLevel, match.StudyInstanceUID, match.SeriesInstanceUID = "IMAGE", "1.2.3.4.5", "1.2.3.4.5.1"
        match.SOPInstanceUID, match.SOPClassUID, match.InstanceNumber = f"1.2.826.0.1.3680043.8.498.{10**30 + number}", "1.2.840.10008.5.1.4.1.1.2", number
        match.PatientID, match.PatientName, match.Modality, match.StudyDate = f"P{number % 300:05}", "Doe^Jane", "CT", "20240131"
        made.append(write(match, ImplicitVRLittleEndian))
    return made


def exactly(peer: socket.socket, size: int) -> bytes:
    """So many bytes. Raises ``ConnectionError`` where the peer ends before."""
    data = b""
    while len(data) < size:
        piece = peer.recv(size - len(data))
        if not piece:
            raise ConnectionError("the peer closed the connection")
        data += piece
    return data


def received(peer: socket.socket) -> tuple[int, bytes]:
    """The next PDU, and all of it."""
    head = exactly(peer, 6)
    return head[0], head + exactly(peer, int.from_bytes(head[2:], "big"))


def accepted(request: bytes) -> bytes:
    """The A-ASSOCIATE-AC that takes every context in its first transfer syntax, Implicit VR Little Endian where it is offered."""
    asked = A_ASSOCIATE_RQ()
    asked.decode(request)
    primitive = asked.to_primitive()
    results = []
    for context in primitive.presentation_context_definition_list:
        syntaxes = context.transfer_syntax
        result = PresentationContext()
        result.context_id, result.result = context.context_id, 0
        result.transfer_syntax = [ImplicitVRLittleEndian if ImplicitVRLittleEndian in syntaxes else syntaxes[0]]
        results.append(result)
    primitive.presentation_context_definition_results_list = results
    primitive.result = 0
    answer = A_ASSOCIATE_AC()
    answer.from_primitive(primitive)
    return answer.encode()


def answer(peer: socket.socket, context: int, command: bytes, found: list[bytes]) -> None:
    """All responses to one request."""
    values = parse_command(command).values
    response = {
        "AffectedSOPClassUID": values["AffectedSOPClassUID"], "CommandField": int(str(values["CommandField"])) | RESPONSE,
        "MessageIDBeingRespondedTo": values["MessageID"], "CommandDataSetType": 0x0001, "Status": 0xFF00,
    }  # fmt: skip
    if values["CommandField"] == C_FIND_RQ:
        pending = data_pdu(context, COMMAND | LAST, encode_command(response))
        for match in found:
            peer.sendall(pending)
            peer.sendall(data_pdu(context, LAST, match))
    peer.sendall(data_pdu(context, COMMAND | LAST, encode_command({**response, "CommandDataSetType": NO_DATA_SET, "Status": 0})))


def serve(peer: socket.socket, found: list[bytes]) -> None:
    """One association, until its end."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked: tuple[int, bytes] | None = None
    with peer, contextlib.suppress(OSError):
        peer.sendall(accepted(received(peer)[1]))
        while True:
            kind, pdu = received(peer)
            if kind == A_RELEASE_RQ:
                peer.sendall(release_reply_pdu())
            if kind != P_DATA_TF:
                return
            # DCMTK's and the gateway's: one PDV in one PDU, and neither command set nor identifier in several
            context, control, fragment = pdu[10], pdu[11], pdu[12:]
            asked = (context, fragment) if control & COMMAND else asked
            if asked is not None and (not control & COMMAND or parse_command(fragment).field == C_ECHO_RQ):
                answer(peer, *asked, found)


def main(port: int, count: int) -> None:
    """Until it is ended."""
    found = matches(count)
    with socket.create_server((HOST, port), backlog=128) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, found), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
