"""An archive that answers little and looks at everything: each request that reaches it is held against what the policy of ``mutated.py`` lets through.

It reads with pydicom and with a walk over the raw elements, not with hirules: what two readers see differently is a finding, too.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from io import BytesIO
from typing import Any

from pydicom import Dataset, config
from pydicom.filereader import read_dataset
from pydicom.uid import UID
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification, SCP_SCU_RoleSelectionNegotiation

from tests.e2e.wire import COMMAND, LAST, p_data

config.settings.reading_validation_mode = config.IGNORE  # bad values are what these tests are about

STUDIES = {"1.2.826.0.1.55.1": "P1", "1.2.826.0.1.55.2": "P2", "1.2.826.0.1.55.3": "SEALED"}
SECRET = b"SECRET^NEVER"
"""The name of the sealed patient: no client may receive it."""
OPEN_PATIENTS = {"P1", "P2"}
STORED = "1.2.826.0.1.55.9.1"
"""The only instance that may be stored."""
DESTINATION = "DEST"
PRINTER = "1.2.840.10008.5.1.1.17"
LOOKUP = "LOOKUP"
"""As whom the gateway asks for facts."""
CLIENTS = {"FUZZ", "GOOD"}
CT, IMPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2"
ECHO_RQ, FIND_RQ, GET_RQ, MOVE_RQ, STORE_RQ, N_GET_RQ, CANCEL_RQ = 0x30, 0x20, 0x10, 0x21, 0x01, 0x110, 0x0FFF
KINDS = {ECHO_RQ: "C-ECHO", FIND_RQ: "C-FIND", GET_RQ: "C-GET", MOVE_RQ: "C-MOVE", STORE_RQ: "C-STORE", N_GET_RQ: "N-GET", CANCEL_RQ: "C-CANCEL"}
_TEXT = {
    "AffectedSOPClassUID": 0x02,
    "RequestedSOPClassUID": 0x03,
    "MoveDestination": 0x600,
    "AffectedSOPInstanceUID": 0x1000,
    "RequestedSOPInstanceUID": 0x1001,
}
_NUMBER = {
    "CommandField": 0x100, "MessageID": 0x110, "MessageIDBeingRespondedTo": 0x120, "Priority": 0x700, "CommandDataSetType": 0x800, "Status": 0x900,
    "NumberOfRemainingSuboperations": 0x1020, "NumberOfCompletedSuboperations": 0x1021, "NumberOfFailedSuboperations": 0x1022,
    "NumberOfWarningSuboperations": 0x1023,
}  # fmt: skip


def command(**values: str | int) -> bytes:
    """A command set (PS3.7 §6.3.1), whose elements are in the order of their tags."""
    found = []
    for name, value in values.items():
        if isinstance(value, int):
            number, data = _NUMBER[name], struct.pack("<H", value)
        else:
            number, data = _TEXT[name], value.encode() + (b"\0" if "UID" in name else b" ") * (len(value) % 2)
        found.append((number, struct.pack("<HHL", 0, number, len(data)) + data))
    body = b"".join(data for _, data in sorted(found))
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def message(context: int, command_set: bytes, data: bytes | None = None) -> list[bytes]:
    """Its PDUs."""
    pdus = [_pdu(context, command_set, COMMAND)]
    return pdus if data is None else [*pdus, _pdu(context, data, 0)]


def _pdu(context: int, part: bytes, kind: int) -> bytes:
    return p_data([struct.pack(">LBB", len(part) + 2, context, kind | LAST) + part])


def flat(*elements: tuple[int, int, str]) -> bytes:
    """A data set in Implicit VR Little Endian."""
    found = b""
    for group, element, value in elements:
        data = value.encode()
        data += b"\0" * (len(data) % 2) if value[:2] == "1." else b" " * (len(data) % 2)
        found += struct.pack("<HHL", group, element, len(data)) + data
    return found


def instance(study: str, number: int) -> bytes:
    """An image without pixels worth mentioning."""
    patient = STUDIES[study]
    name = SECRET.decode() if patient == "SEALED" else "OPEN^NAME"
    return flat(
        (0x08, 0x16, CT), (0x08, 0x18, f"{study}.8.{number}"), (0x08, 0x60, "CT"), (0x10, 0x10, name), (0x10, 0x20, patient), (0x10, 0x30, "19700102"),
        (0x20, 0x0D, study), (0x20, 0x0E, f"{study}.8"),
    )  # fmt: skip


def raw_elements(data: bytes) -> list[tuple[int, bytes]]:
    """Tag and value of each top element, as a careless reader of Implicit VR sees them. Raises ``ValueError``."""
    found, at = [], 0
    while at < len(data):
        if at + 8 > len(data):
            raise ValueError("cut")
        group, element, length = struct.unpack_from("<HHL", data, at)
        if length == 0xFFFFFFFF:
            raise ValueError("undefined length")
        found.append((group << 16 | element, data[at + 8 : at + 8 + length]))
        if at + 8 + length > len(data):
            raise ValueError("cut")
        at += 8 + length
    return found


class Upstream:
    """Listens until it is stopped. ``violations`` are the doors that were open."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.reached: Counter[str] = Counter()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        self._acceptances: dict[bytes, tuple[bytes, dict[int, str]]] = {}
        self._stopped = False
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """No more associations."""
        self._stopped = True
        self._listener.close()

    def _accept(self) -> None:
        while not self._stopped:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer.settimeout(60)
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer:
            try:
                Conversation(self, peer).run()
            except (OSError, EOFError):
                return
            except Exception as error:  # noqa: BLE001 - what the gateway passes on must be readable: told as a violation
                self.violations.append(f"the upstream could not read what it was sent: {type(error).__name__}: {error}")

    def accepted(self, request: bytes) -> tuple[bytes, dict[int, str]]:
        """The A-ASSOCIATE-AC for this request, and its contexts."""
        if request not in self._acceptances:
            if len(self._acceptances) > 2000:
                self._acceptances.clear()
            self._acceptances[request] = acceptance(request)
        return self._acceptances[request]


class Conversation:
    """One association."""

    def __init__(self, upstream: Upstream, peer: socket.socket) -> None:
        self._upstream = upstream
        self._peer = peer
        self._buffered = peer.makefile("rb")
        self._calling = ""
        self._contexts: dict[int, str] = {}

    def run(self) -> None:
        """Until it ends. Raises ``OSError``, ``EOFError``."""
        kind, request = self._pdu()
        if kind != 1:
            self._violation(f"the first PDU is of type {kind}")
            return
        self._calling = request[26:42].decode("latin-1").strip()
        if self._calling not in CLIENTS | {LOOKUP}:
            self._violation(f"an association of `{self._calling}`")
        answer, self._contexts = self._upstream.accepted(request)
        self._peer.sendall(answer)
        command_set, data, at = b"", b"", 0
        while True:
            kind, pdu = self._pdu()
            if kind == 5:
                self._peer.sendall(b"\x06\0\0\0\0\x04\0\0\0\0")
                return
            if kind != 4:
                return
            length, context, control = struct.unpack_from(">LBB", pdu, 6)
            if length != len(pdu) - 10:
                self._violation("a PDU that is not one PDV")
            part = pdu[12:]
            if control & COMMAND:
                command_set += part
            else:
                data += part
            if not control & LAST:
                continue
            values = dict(raw_elements(command_set))
            if control & COMMAND and int.from_bytes(values.get(0x0800, b"\1\1"), "little") != 0x0101:
                at = context
                continue
            if not control & COMMAND and at != context:
                self._violation("command and data set on two contexts")
            self._take(context, command_set, data)
            command_set, data = b"", b""

    def _pdu(self) -> tuple[int, bytes]:
        header = self._buffered.read(6)
        if len(header) < 6:
            raise EOFError
        length = int.from_bytes(header[2:], "big")
        body = self._buffered.read(length)
        if len(body) < length:
            raise EOFError
        return header[0], header + body

    # -- doors ------------------------------------------------------------------------------------

    def _violation(self, what: str) -> None:
        self._upstream.violations.append(f"{self._calling}: {what}")

    def _take(self, context: int, command_set: bytes, data: bytes) -> None:
        asked = read_dataset(BytesIO(command_set), True, True)
        field = int(asked.CommandField)
        self._upstream.reached[KINDS.get(field, hex(field))] += 1
        if field & 0x8000:
            return  # a response to the sub-operation of a C-GET
        if context not in self._contexts:
            self._violation(f"a context that was not accepted: {context}")
            return
        if self._calling != LOOKUP:
            self._checked(field, asked, command_set, data)
        self._answer(context, field, asked, data)

    def _checked(self, field: int, asked: Dataset, command_set: bytes, data: bytes) -> None:
        tags = [tag for tag, _ in raw_elements(command_set)]
        if tags != sorted(set(tags)):
            self._violation(f"a command set whose elements are twice or in disorder: {KINDS.get(field, field)}")
        if field in (ECHO_RQ, CANCEL_RQ):
            return
        if field in (FIND_RQ, GET_RQ, MOVE_RQ):
            self._identified(field, data)
        if field == MOVE_RQ and str(asked.MoveDestination).strip() != DESTINATION:
            self._violation(f"a C-MOVE to `{asked.MoveDestination}`")
        if field == STORE_RQ and (asked.AffectedSOPInstanceUID != STORED or asked.AffectedSOPClassUID != CT):
            self._violation(f"a C-STORE of `{asked.AffectedSOPInstanceUID}`")
        if field == N_GET_RQ and asked.RequestedSOPInstanceUID != PRINTER:
            self._violation(f"an N-GET of `{asked.RequestedSOPInstanceUID}`")
        if field not in KINDS:
            self._violation(f"a service that no rule allows: {field:#06x}")

    def _identified(self, field: int, data: bytes) -> None:
        name = KINDS[field]
        try:
            found, raw = read_dataset(BytesIO(data), True, True), raw_elements(data)
        except Exception as error:  # noqa: BLE001 - pydicom raises whatever it likes; told as a violation
            self._violation(f"a {name} whose identifier cannot be read: {type(error).__name__}")
            return
        tags = [tag for tag, _ in raw]
        if tags != sorted(set(tags)):
            self._violation(f"a {name} whose elements are twice or in disorder")
        if field != FIND_RQ and (b"SEALED" in data or b"1.2.826.0.1.55.3" in data):
            self._violation(f"a {name} that names the sealed patient")
        values = {tag: value.strip(b" \0").decode("latin-1") for tag, value in raw}
        if field == FIND_RQ:
            if values.get(0x00100020) not in OPEN_PATIENTS or str(found.get("PatientID")) not in OPEN_PATIENTS:
                self._violation(f"a C-FIND for the patient `{values.get(0x00100020)}`")
            return
        studies = values.get(0x0020000D, "").split("\\")
        if not studies or any(STUDIES.get(study) not in OPEN_PATIENTS for study in studies):
            self._violation(f"a {name} for the studies `{studies}`")

    # -- answers ----------------------------------------------------------------------------------

    def _answer(self, context: int, field: int, asked: Dataset, data: bytes) -> None:
        if field == CANCEL_RQ:
            return
        number = int(asked.MessageID)
        uid = str(asked.get("AffectedSOPClassUID") or asked.get("RequestedSOPClassUID"))
        told: dict[str, Any] = {"AffectedSOPClassUID": uid, "CommandField": field | 0x8000, "MessageIDBeingRespondedTo": number}
        out: list[bytes] = []
        if field == FIND_RQ:
            for match in self._matches(data):
                out += message(context, command(**told, CommandDataSetType=1, Status=0xFF00), match)
        if field == GET_RQ:
            out += self._stores(data, number)
        if field in (GET_RQ, MOVE_RQ):
            told |= {"NumberOfCompletedSuboperations": 2, "NumberOfFailedSuboperations": 0, "NumberOfWarningSuboperations": 0}
        out += message(context, command(**told, CommandDataSetType=0x0101, Status=0))
        self._peer.sendall(b"".join(out))

    def _matches(self, data: bytes) -> list[bytes]:
        """For look-ups what is asked; for clients a match of their patient, and one of the sealed patient that an archive should not have sent."""
        asked = read_dataset(BytesIO(data), True, True)
        level = str(asked.get("QueryRetrieveLevel", "STUDY"))
        if self._calling == LOOKUP:
            study = asked.get("StudyInstanceUID", "")
            studies = [study] if isinstance(study, str) else list(study)
            return [_match(level, study) for study in studies if study in STUDIES]
        return [_match(level, study) for study, patient in STUDIES.items() if patient in ("SEALED", asked.get("PatientID"))]

    def _stores(self, data: bytes, number: int) -> list[bytes]:
        """The study, and an instance of the sealed patient in the middle of it."""
        context = next((context for context, uid in self._contexts.items() if uid == CT), None)
        if context is None:
            return []
        asked = read_dataset(BytesIO(data), True, True)
        study = asked.StudyInstanceUID if isinstance(asked.StudyInstanceUID, str) else asked.StudyInstanceUID[0]
        out = []
        for index, of in enumerate((study, "1.2.826.0.1.55.3", study)):
            store = command(
                AffectedSOPClassUID=CT, CommandField=STORE_RQ, MessageID=(number + 1000 + index) & 0xFFFF, Priority=0, CommandDataSetType=1,
                AffectedSOPInstanceUID=f"{of}.8.{index}",
            )  # fmt: skip
            out += message(context, store, instance(of, index))
        return out


def _match(level: str, study: str) -> bytes:
    patient = STUDIES[study]
    name = SECRET.decode() if patient == "SEALED" else "OPEN^NAME"
    return flat((0x08, 0x52, level), (0x10, 0x10, name), (0x10, 0x20, patient), (0x10, 0x30, "19700102"), (0x20, 0x0D, study))


def unpadded(request: bytes) -> bytes:
    """The implementation version name without the NULs with which some pad it, though pynetdicom does not read them."""
    at = request.rfind(b"\x55\x00")
    if at < 0:
        return request
    begin, end = at + 4, at + 4 + int.from_bytes(request[at + 2 : at + 4], "big")
    return request[:begin] + request[begin:end].replace(b"\0", b" ") + request[end:]


def acceptance(request: bytes) -> tuple[bytes, dict[int, str]]:
    """Every context is accepted in Implicit VR Little Endian where that is proposed, and every role that is asked for."""
    pdu = A_ASSOCIATE_RQ()
    pdu.decode(unpadded(request))
    asked = pdu.to_primitive()
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = asked.calling_ae_title, asked.called_ae_title
    primitive.result, primitive.result_source = 0, 1
    results, contexts = [], {}
    for context in asked.presentation_context_definition_list:
        usable = IMPLICIT in context.transfer_syntax
        context.result = 0 if usable else 4
        syntaxes: list[str | bytes | UID] = [IMPLICIT] if usable else [*context.transfer_syntax[:1]]
        context.transfer_syntax = syntaxes
        results.append(context)
        if usable and context.context_id is not None:
            contexts[context.context_id] = str(context.abstract_syntax)
    primitive.presentation_context_definition_results_list = results
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 16384, UID("1.2.3.4")
    roles = [item for item in asked.user_information if isinstance(item, SCP_SCU_RoleSelectionNegotiation)]
    primitive.user_information = [length, implementation, *roles]
    answer = A_ASSOCIATE_AC()
    answer.from_primitive(primitive)
    return answer.encode(), contexts
