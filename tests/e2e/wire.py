"""A client that writes its own PDUs: legal ones that no library sends, cut ones, and one that dies."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from io import BytesIO

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dimse_messages import C_FIND_RQ, C_GET_RQ, C_STORE_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_FIND, C_GET, C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import A_ASSOCIATE_RQ, A_RELEASE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, A_RELEASE, ImplementationClassUIDNotification, MaximumLengthNotification, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)

from tests.peers.process import HOST

FIND, GET, CT = 1, 3, 5
"""The presentation contexts that `associate` proposes."""
A_ASSOCIATE_AC, P_DATA_TF, A_RELEASE_RP = 0x02, 0x04, 0x06
COMMAND, LAST = 1, 2
"""The bits of a message control header (PS3.8 §E.2)."""


def associate_rq(calling: str, called: str) -> bytes:
    """An A-ASSOCIATE-RQ for C-FIND and C-GET of the Study Root and for CT images to go and to come back."""
    request = A_ASSOCIATE()
    request.application_context_name = UID("1.2.840.10008.3.1.1.1")
    request.calling_ae_title, request.called_ae_title = calling, called
    contexts = [
        build_context(StudyRootQueryRetrieveInformationModelFind, ImplicitVRLittleEndian),
        build_context(StudyRootQueryRetrieveInformationModelGet, ImplicitVRLittleEndian),
        build_context(CTImageStorage, ExplicitVRLittleEndian),
    ]
    for number, context in zip((FIND, GET, CT), contexts, strict=True):
        context.context_id = number
    request.presentation_context_definition_list = contexts
    length, implementation, role = MaximumLengthNotification(), ImplementationClassUIDNotification(), SCP_SCU_RoleSelectionNegotiation()
    length.maximum_length_received = 16382
    implementation.implementation_class_uid = UID("1.2.826.0.1.3680043.9.3811.3.0.4")
    role.sop_class_uid, role.scu_role, role.scp_role = CTImageStorage, True, True
    request.user_information = [length, implementation, role]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return pdu.encode()


def release_rq() -> bytes:
    """An A-RELEASE-RQ."""
    pdu = A_RELEASE_RQ()
    pdu.from_primitive(A_RELEASE())
    return pdu.encode()


def find(identifier: Dataset) -> tuple[bytes, bytes]:
    """Command and data set of a C-FIND."""
    request = C_FIND()
    request.MessageID, request.Priority = 7, 2
    request.AffectedSOPClassUID = StudyRootQueryRetrieveInformationModelFind
    return _message(C_FIND_RQ(), request, identifier)


def get(identifier: Dataset) -> tuple[bytes, bytes]:
    """Command and data set of a C-GET."""
    request = C_GET()
    request.MessageID, request.Priority = 7, 2
    request.AffectedSOPClassUID = StudyRootQueryRetrieveInformationModelGet
    return _message(C_GET_RQ(), request, identifier)


def store(uid: str, data: bytes) -> tuple[bytes, bytes]:
    """Command and data set of a C-STORE of a CT image."""
    request = C_STORE()
    request.MessageID, request.Priority = 7, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = CTImageStorage, UID(uid)
    request.DataSet = BytesIO(data)
    return _command(C_STORE_RQ(), request), data


def _message(message: DIMSEMessage, request: C_FIND | C_GET, identifier: Dataset) -> tuple[bytes, bytes]:
    data = encode(identifier, True, True)
    assert data is not None
    request.Identifier = BytesIO(data)
    return _command(message, request), data


def _command(message: DIMSEMessage, request: C_FIND | C_GET | C_STORE) -> bytes:
    message.primitive_to_message(request)
    values = [value for primitive in message.encode_msg(1, 16382) for _, value in primitive.presentation_data_value_list]
    return b"".join(value[1:] for value in values if value[0] & COMMAND)


def pdvs(context: int, part: bytes, kind: int, pieces: int) -> list[bytes]:
    """``part`` in so many PDVs; ``kind`` is COMMAND or 0."""
    size = -(-len(part) // pieces)
    cut = [part[at : at + size] for at in range(0, len(part), size)]
    return [struct.pack(">LBB", len(piece) + 2, context, kind | (LAST if number == len(cut) - 1 else 0)) + piece for number, piece in enumerate(cut)]


def p_data(values: Iterable[bytes]) -> bytes:
    """One P-DATA-TF of these PDVs."""
    body = b"".join(values)
    return struct.pack(">BBL", P_DATA_TF, 0, len(body)) + body


class Connection:
    """A TCP connection that speaks PDUs."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=60)

    def send(self, data: bytes) -> None:
        """All of ``data``."""
        self.socket.sendall(data)

    def pdu(self) -> tuple[int, bytes]:
        """The next PDU: its type and what follows its header. Raises ``ConnectionError`` at the end."""
        head = self._exactly(6)
        return head[0], self._exactly(int.from_bytes(head[2:], "big"))

    def close(self) -> None:
        """An ordinary end."""
        self.socket.close()

    def die(self) -> None:
        """As a process that crashed with data unread: the peer gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("the peer closed the connection")
            data += piece
        return data


def associated(port: int, calling: str, called: str) -> Connection:
    """A connection whose association was accepted."""
    connection = Connection(port)
    connection.send(associate_rq(calling, called))
    kind, _ = connection.pdu()
    assert kind == A_ASSOCIATE_AC, f"a PDU of type {kind:#x} instead of A-ASSOCIATE-AC"
    return connection


def commands(connection: Connection) -> Iterable[tuple[int, int]]:
    """Command field and status of each response that comes, until the connection ends."""
    command = b""
    while True:
        kind, body = connection.pdu()
        if kind != P_DATA_TF:
            return
        at = 0
        while at < len(body):
            length, _, control = struct.unpack_from(">LBB", body, at)
            if control & COMMAND:
                command += body[at + 6 : at + 4 + length]
                if control & LAST:
                    yield _number(command, 0x0100), _number(command, 0x0900)
                    command = b""
            at += 4 + length


def _number(command: bytes, element: int) -> int:
    """The value of an element of VR US in a command set (PS3.7 §6.3.1: Implicit VR Little Endian), -1 where it is not."""
    at = 0
    while at < len(command):
        group, found, length = struct.unpack_from("<HHL", command, at)
        if (group, found) == (0, element):
            return int.from_bytes(command[at + 8 : at + 8 + length], "little")
        at += 8 + length
    return -1
