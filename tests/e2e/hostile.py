"""An archive that sends what it likes: it answers look-ups as if all were in order, and retrieves with the bytes that a test gives it."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from hirules.dimse.association import Association, decode_request
from hirules.dimse.identifier import read, write
from hirules.dimse.message import Command, encode_command, parse_command
from hirules.dimse.pdu import message_pdus
from hirules.model.dataset import DatasetView, dataset_of
from tests.peers.process import HOST

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
RELEASE_RQ, RELEASE_RP, ABORT = 5, bytes.fromhex("06000000000400000000"), 7
NO_DATA_SET = 0x0101


class Peer:
    """One association, seen as messages."""

    def __init__(self, peer: socket.socket) -> None:
        self.socket = peer
        peer.settimeout(30)

    def pdu(self) -> bytes:
        head = self._exactly(6)
        return head + self._exactly(int.from_bytes(head[2:], "big"))

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the peer is gone")
            data += piece
        return data

    def messages(self) -> Iterator[tuple[int, Command, bytes]]:
        """Context, command and data set of each that comes, until the association is released."""
        raw = data = b""
        command: Command | None = None
        while True:
            pdu = self.pdu()
            if pdu[0] == RELEASE_RQ:
                self.socket.sendall(RELEASE_RP)
                return
            if pdu[0] == ABORT:
                return
            at = 6
            while at < len(pdu):
                length, context, control = struct.unpack_from(">LBB", pdu, at)
                fragment, at = pdu[at + 6 : at + 4 + length], at + 4 + length
                if control & 1:
                    raw += fragment
                else:
                    data += fragment
                if control == 3:
                    command, raw = parse_command(raw, lenient=True), b""
                if control & 2 and command is not None and (control == 2 or not command.has_data_set):
                    yield context, command, data
                    command, data = None, b""

    def send(self, context: int, data: bytes | None = None, **values: object) -> None:
        kind = NO_DATA_SET if data is None else 1
        self.socket.sendall(message_pdus(context, encode_command({"CommandDataSetType": kind, **values}), data, 16384))

    def store(self, context: int, uid: str, data: bytes, number: int, **values: object) -> None:
        self.send(context, data, CommandField=1, MessageID=number, Priority=0, AffectedSOPClassUID=CT, AffectedSOPInstanceUID=uid, **values)


class Hostile:
    """``instances`` by the UID of their C-STORE are what every retrieve brings, ``study`` is what every look-up hears."""

    def __init__(self, gateway: int, instances: Mapping[str, bytes], study: Mapping[str, object]) -> None:
        self.instances = instances
        self.answers: list[int] = []
        """The statuses of its C-STOREs."""
        self._gateway = gateway
        self._study = study
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        self.name = f"PACS@{HOST}:{self.port}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(Peer(peer),), daemon=True).start()

    def _serve(self, peer: Peer) -> None:
        with peer.socket:
            try:
                asked = decode_request(peer.pdu())
                peer.socket.sendall(_accepted(asked))
                stream = peer.messages()
                for context, command, data in stream:
                    syntax = _chosen(asked.contexts[context].proposed)
                    match command.field:
                        case 0x20:
                            self._find(peer, context, command, dict(DatasetView(read(data, syntax))), syntax)
                        case 0x10:
                            on = next(number for number, one in asked.contexts.items() if one.abstract_syntax == CT)
                            for number, (uid, content) in enumerate(self.instances.items(), 1):
                                peer.store(on, uid, content, number)
                                _, answer, _ = next(stream)
                                self.answers.append(int(str(answer.values["Status"])))
                            self._final(peer, context, command)
                        case 0x21:
                            self._deliver(asked, command)
                            self._final(peer, context, command)
            except (ConnectionError, StopIteration, TimeoutError):
                return

    def _find(self, peer: Peer, context: int, command: Command, keys: Mapping[str, object], syntax: str) -> None:
        told = {name: self._study[name] for name in keys if name in self._study} | {"QueryRetrieveLevel": keys["QueryRetrieveLevel"]}
        number = command.values["MessageID"]
        peer.send(context, write(dataset_of(told), syntax), CommandField=0x8020, MessageIDBeingRespondedTo=number, Status=0xFF00)
        peer.send(context, CommandField=0x8020, MessageIDBeingRespondedTo=number, Status=0)

    def _final(self, peer: Peer, context: int, command: Command) -> None:
        counts: dict[str, Any] = {
            "NumberOfCompletedSuboperations": self.answers.count(0),
            "NumberOfFailedSuboperations": len(self.answers) - self.answers.count(0),
            "NumberOfWarningSuboperations": 0,
        }
        peer.send(context, CommandField=command.field | 0x8000, MessageIDBeingRespondedTo=command.values["MessageID"], Status=0, **counts)

    def _deliver(self, asked: Association, command: Command) -> None:
        with socket.create_connection((HOST, self._gateway), 30) as made:
            peer = Peer(made)
            made.sendall(_request("PACS", str(command.values["MoveDestination"])))
            peer.pdu()
            stream = peer.messages()
            for number, (uid, content) in enumerate(self.instances.items(), 1):
                originator = {"MoveOriginatorApplicationEntityTitle": asked.calling_ae_title, "MoveOriginatorMessageID": command.values["MessageID"]}
                peer.store(1, uid, content, number, **originator)
                _, answer, _ = next(stream)
                self.answers.append(int(str(answer.values["Status"])))
            made.sendall(bytes.fromhex("05000000000400000000"))
            peer.pdu()


def _chosen(proposed: tuple[str, ...]) -> str:
    return EXPLICIT if EXPLICIT in proposed else proposed[0]


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _user(roles: bytes = b"") -> bytes:
    return _item(0x50, _item(0x51, struct.pack(">L", 16384)) + _item(0x52, b"1.2.3.4") + roles)


def _pdu(kind: int, called: str, calling: str, items: bytes) -> bytes:
    body = b"\0\1\0\0" + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32) + _item(0x10, b"1.2.840.10008.3.1.1.1") + items
    return struct.pack(">BxL", kind, len(body)) + body


def _accepted(asked: Association) -> bytes:
    contexts = b"".join(_item(0x21, bytes((number, 0, 0, 0)) + _item(0x40, _chosen(context.proposed).encode())) for number, context in asked.contexts.items())
    classes = {context.abstract_syntax for context in asked.contexts.values() if context.scp_role}
    roles = b"".join(_item(0x54, struct.pack(">H", len(uid)) + uid.encode() + b"\1\1") for uid in sorted(classes))
    return _pdu(2, asked.called_ae_title, asked.calling_ae_title, contexts + _user(roles))


def _request(calling: str, called: str) -> bytes:
    return _pdu(1, called, calling, _item(0x20, b"\1\0\0\0" + _item(0x30, CT.encode()) + _item(0x40, EXPLICIT.encode())) + _user())
