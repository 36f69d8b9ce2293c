"""PDUs on the wire (PS3.8 §9.3): headers, and the few that are made here.

P-DATA-TF   04 00 length(4) { length(4) context(1) control(1) fragment }…
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

A_ASSOCIATE_RQ: Final = 0x01
A_ASSOCIATE_AC: Final = 0x02
A_ASSOCIATE_RJ: Final = 0x03
P_DATA_TF: Final = 0x04
A_RELEASE_RQ: Final = 0x05
A_RELEASE_RP: Final = 0x06
A_ABORT: Final = 0x07

HEADER_SIZE: Final = 6
PDV_HEADER_SIZE: Final = 6
COMMAND: Final = 1
"""Bit of the message control header: a fragment of the command set, not of the data set (§E.2)."""
LAST: Final = 2

UNRECOGNIZED_PDU: Final = 1
UNEXPECTED_PDU: Final = 2
INVALID_PARAMETER: Final = 6
"""Reasons of an A-ABORT by the service provider (§9.3.8)."""

HEADER = struct.Struct(">BxI")
PDV_HEADER = struct.Struct(">IBB")
HEADERS = struct.Struct(">BxIIBB")
"""Of a P-DATA-TF and its first PDV."""

NO_LIMIT_LENGTH: Final = 64 * 1024
"""What is made here when the receiver sets no limit (§D.1.1)."""


def data_pdu(context: int, control: int, fragment: bytes | memoryview) -> bytes:
    """One PDV in one P-DATA-TF."""
    return b"".join((HEADERS.pack(P_DATA_TF, len(fragment) + 6, len(fragment) + 2, context, control), fragment))


def data_pdus(context: int, kind: int, data: bytes, max_length: int) -> Iterator[bytes]:
    """``data`` (``kind`` is ``COMMAND`` or 0) in P-DATA-TF PDUs that a receiver of ``max_length`` takes."""
    size = max(max_length or NO_LIMIT_LENGTH, 8) - PDV_HEADER_SIZE
    view = memoryview(data)
    for at in range(0, len(data) or 1, size):
        yield data_pdu(context, kind | (LAST if at + size >= len(data) else 0), view[at : at + size])


def fragment_pdus(context: int, data: bytes, max_length: int, *, last: bool) -> bytes:
    """The next fragments of a data set, each of even length where ``data`` is (PS3.8 §E.2); ``last``: it ends with them."""
    size = max(max_length or NO_LIMIT_LENGTH, 8) - PDV_HEADER_SIZE & ~1
    view = memoryview(data)
    ends = range(0, len(data) or last, size)
    return b"".join(data_pdu(context, LAST if last and at + size >= len(data) else 0, view[at : at + size]) for at in ends)


def message_pdus(context: int, command: bytes, data: bytes | None, max_length: int) -> bytes:
    """A whole message."""
    if data is None and len(command) + PDV_HEADER_SIZE <= (max_length or NO_LIMIT_LENGTH):
        return data_pdu(context, COMMAND | LAST, command)
    parts = list(data_pdus(context, COMMAND, command, max_length))
    if data is not None:
        parts.extend(data_pdus(context, 0, data, max_length))
    return b"".join(parts)


def abort_pdu(reason: int, source: int = 2) -> bytes:
    """A-ABORT; source 2 is the service provider (§9.3.8)."""
    return struct.pack(">BxIBBBB", A_ABORT, 4, 0, 0, source, reason if source == 2 else 0)


def reject_pdu(result: int, source: int, reason: int) -> bytes:
    """A-ASSOCIATE-RJ (§9.3.4)."""
    return struct.pack(">BxIBBBB", A_ASSOCIATE_RJ, 4, 0, result, source, reason)


def release_request_pdu() -> bytes:
    """A-RELEASE-RQ (§9.3.6)."""
    return struct.pack(">BxII", A_RELEASE_RQ, 4, 0)


def release_reply_pdu() -> bytes:
    """A-RELEASE-RP (§9.3.7)."""
    return struct.pack(">BxII", A_RELEASE_RP, 4, 0)
