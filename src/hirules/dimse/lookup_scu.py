"""An association of the gateway's own, on which it asks an archive by C-FIND (PS3.4 §C.4.1).

It has no thread and no timer: an idle one costs nothing, and whoever asks waits on the socket until a deadline, then aborts.
Only Implicit VR Little Endian is proposed, which every archive has (PS3.5 §10.1): what an element is comes from PS3.6 alone.
"""

from __future__ import annotations

import logging
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import msgspec
from pydicom.uid import ImplicitVRLittleEndian

from hirules.dimse.association import APPLICATION_CONTEXT, Association, AssociationError, decode_acceptance, decode_request
from hirules.dimse.message import C_FIND_RQ, RESPONSE, Command, CommandError, encode_command, parse_command
from hirules.dimse.pdu import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    COMMAND,
    HEADER,
    HEADER_SIZE,
    LAST,
    P_DATA_TF,
    PDV_HEADER,
    PDV_HEADER_SIZE,
    abort_pdu,
    message_pdus,
)
from hirules.dimse.tls import TlsFailed
from hirules.dimse.transport import Peer, TooLong, acknowledge_now, cut, low_latency, receive_pdu
from hirules.facts import LookupFailed

log = logging.getLogger("hirules.dimse")

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"
_CONTEXTS: Mapping[str, int] = {PATIENT_ROOT: 1, STUDY_ROOT: 3}
_IMPLEMENTATION_CLASS_UID = b"2.25.218935711623158120653468227390110213467"
_MAX_LENGTH = 64 * 1024
"""Of a P-DATA-TF that is sent to us (PS3.8 §D.1)."""
_LONGEST_PDU = 1024 * 1024
_LONGEST_PART = 1024 * 1024
"""Of the data set of a match."""
_IMPLICIT = str(ImplicitVRLittleEndian).encode()
_SUCCESS = 0x0000
_PENDING = frozenset({0xFF00, 0xFF01})
"""PS3.4 Table C.4-1; FF01: some optional keys are not supported, and those are not in the answer."""


class NotAnswered(LookupFailed):
    """The node is away, silent, or wants no association; another may answer."""


class Gone(NotAnswered):
    """The node ended the association before it answered anything."""


class NotAccepted(LookupFailed):
    """The node does not have the information model."""


class Refused(LookupFailed):
    """The node answered a query with a failure status; the association goes on."""


class Node(msgspec.Struct, frozen=True):
    """An archive that answers queries."""

    ae_title: str
    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> Node:
        """``AET@HOST:PORT``, as the configuration has it; a host may stand in brackets."""
        ae_title, _, address = text.partition("@")
        host, _, port = address.rpartition(":")
        return cls(ae_title.strip(), host.strip("[]"), int(port))


Connect = Callable[[Node, float], Peer]
"""``connect(node, seconds)`` answers a connected socket. Raises ``OSError``."""


def connect(node: Node, seconds: float) -> Peer:
    """A plain TCP connection."""
    return socket.create_connection((node.host, node.port), seconds)


class QueryAssociation:
    """An association with ``node``. Used by one thread at a time; ``usable`` until anything but an answer came."""

    def __init__(self, peer: Peer, association: Association) -> None:
        self.usable = True
        self._peer = peer
        self._association = association
        self._message_id = 0
        self._fragments: deque[tuple[int, int, bytes]] = deque()

    @classmethod
    def open(cls, node: Node, calling: str, deadline: float, connect: Connect = connect) -> QueryAssociation:
        """Connect and associate as ``calling``. Raises :class:`NotAnswered`."""
        try:
            request = associate_pdu(calling, node.ae_title)
            peer = connect(node, _left(deadline))
        except (OSError, TlsFailed, UnicodeEncodeError) as error:
            raise NotAnswered(f"the archive cannot be reached ({type(error).__name__})") from None
        try:
            low_latency(peer)
            peer.settimeout(_left(deadline))
            peer.sendall(request)
            answer = receive_pdu(peer, _LONGEST_PDU, deadline)
            if not answer or answer[0] != A_ASSOCIATE_AC:
                raise NotAnswered("the archive rejected the association" if answer else "the archive closed the connection")
            return cls(peer, decode_acceptance(answer, decode_request(request)))
        except TimeoutError:
            peer.close()
            raise NotAnswered("the archive did not answer in time") from None
        except (OSError, TooLong, AssociationError) as error:
            peer.close()
            raise NotAnswered(f"the archive made no association ({type(error).__name__})") from None
        except BaseException:
            peer.close()
            raise

    def find(self, sop_class: str, identifier: bytes, limit: int, deadline: float) -> list[bytes]:
        """The data sets of all matches. Raises :class:`LookupFailed` for any end but success, and beyond ``limit`` matches."""
        context = self._association.contexts[_CONTEXTS[sop_class]]
        if not context.accepted:
            raise NotAccepted("the archive does not have the information model")
        self.usable, began = False, False
        try:
            self._send(context.id, sop_class, identifier, deadline)
            matches: list[bytes] = []
            while True:
                command, data = self._receive(context.id, deadline)
                began = True
                status = command.values.get("Status")
                if status in _PENDING and data is not None:
                    matches.append(data)
                    if len(matches) > limit:
                        raise LookupFailed(f"the archive has more than {limit} matches")
                    continue
                # the whole answer was read, whatever it says
                self.usable = data is None
                if status == _SUCCESS:
                    return matches
                raise Refused(f"the archive answered 0x{status:04X}" if isinstance(status, int) else "the archive answered without a status")
        except TimeoutError:
            raise NotAnswered("the archive did not answer in time") from None
        except (OSError, EOFError) as error:
            why = "the archive ended the association"
            raise (NotAnswered(why) if began else Gone(why)) from error
        except (TooLong, CommandError, struct.error):
            raise LookupFailed("the archive's answer is malformed") from None

    def stale(self) -> bool:
        """Whether the peer said something while nobody asked: it can only be the end."""
        poll = select.poll()
        poll.register(self._peer.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def release(self, seconds: float = 1.0) -> None:
        """End it in an orderly way, as far as the peer answers in time (PS3.8 §9.3.6)."""
        deadline = time.monotonic() + seconds
        try:
            self._peer.settimeout(seconds)
            self._peer.sendall(struct.pack(">BxII", A_RELEASE_RQ, 4, 0))
            answer = receive_pdu(self._peer, _LONGEST_PDU, deadline)
            if answer and answer[0] != A_RELEASE_RP:
                self._peer.sendall(abort_pdu(0, 0))
        except (OSError, TooLong) as error:
            log.debug("an association for look-ups did not end in order: %s", type(error).__name__)
        finally:
            self._peer.close()

    def abort(self) -> None:
        """End it at once; never waits."""
        with suppress(OSError):  # a peer that is gone, or does not read: closing tells it
            self._peer.send(abort_pdu(0, 0), socket.MSG_DONTWAIT)
        cut(self._peer)
        self._peer.close()

    def _send(self, context: int, sop_class: str, identifier: bytes, deadline: float) -> None:
        self._message_id = self._message_id % 65535 + 1
        command = encode_command(
            {"AffectedSOPClassUID": sop_class, "CommandField": C_FIND_RQ, "MessageID": self._message_id, "Priority": 0, "CommandDataSetType": 1}
        )
        self._peer.settimeout(_left(deadline))
        self._peer.sendall(message_pdus(context, command, identifier, self._association.acceptor_max_length))

    def _receive(self, context: int, deadline: float) -> tuple[Command, bytes | None]:
        """One response: its command set, and its data set where it has one."""
        command = parse_command(self._part(context, COMMAND, deadline), lenient=True)
        if command.field != C_FIND_RQ | RESPONSE or command.values.get("MessageIDBeingRespondedTo") != self._message_id:
            raise CommandError("a response to something else", 0)
        return command, self._part(context, 0, deadline) if command.has_data_set else None

    def _part(self, context: int, kind: int, deadline: float) -> bytes:
        """A whole command set (``COMMAND``) or data set (0)."""
        part = bytearray()
        while True:
            if not self._fragments:
                self._fragments.extend(self._read(deadline))
                continue
            number, control, fragment = self._fragments.popleft()
            part += fragment
            if number != context or control & COMMAND != kind:
                raise CommandError("a fragment of something else", 0)
            if len(part) > _LONGEST_PART:
                raise TooLong("a match")
            if control & LAST:
                return bytes(part)

    def _read(self, deadline: float) -> Iterator[tuple[int, int, bytes]]:
        """The fragments of the next PDU."""
        pdu = receive_pdu(self._peer, _LONGEST_PDU, deadline)
        if not pdu or pdu[0] != P_DATA_TF:
            raise EOFError  # an A-RELEASE-RQ or A-ABORT: no answer will come
        acknowledge_now(self._peer)
        at = HEADER_SIZE
        while at < len(pdu):
            length, number, control = PDV_HEADER.unpack_from(pdu, at)
            end = at + 4 + length
            if length < 2 or end > len(pdu):
                raise struct.error
            yield number, control, pdu[at + PDV_HEADER_SIZE : end]
            at = end


def associate_pdu(calling: str, called: str) -> bytes:
    """An A-ASSOCIATE-RQ that proposes both query models (PS3.8 §9.3.2, PS3.7 §D.3.3). Raises ``UnicodeEncodeError``."""
    contexts = b"".join(
        _item(0x20, struct.pack(">BxH", number, 0) + _item(0x30, sop_class.encode()) + _item(0x40, _IMPLICIT)) for sop_class, number in _CONTEXTS.items()
    )
    user = _item(0x51, struct.pack(">L", _MAX_LENGTH)) + _item(0x52, _IMPLEMENTATION_CLASS_UID) + _item(0x55, b"HIRULES")
    titles = called.encode("ascii").ljust(16) + calling.encode("ascii").ljust(16)
    body = struct.pack(">HH", 1, 0) + titles + bytes(32) + _item(0x10, APPLICATION_CONTEXT.encode()) + contexts + _item(0x50, user)
    return HEADER.pack(A_ASSOCIATE_RQ, len(body)) + body


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _left(deadline: float) -> float:
    """Seconds until ``deadline``, for a socket. Raises ``TimeoutError``."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
