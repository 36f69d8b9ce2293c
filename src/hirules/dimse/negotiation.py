"""What is changed in an A-ASSOCIATE-RQ and -AC on the way through: inside their own bytes, nothing is encoded again.

    A-ASSOCIATE-RQ ─▶ AE titles, asynchronous window 1,1, query options cleared ─▶ upstream
    client ◀─ AE titles as the client sent them ◀─ A-ASSOCIATE-AC

Everything else (context ids, transfer syntaxes, roles, PDU sizes, private SOP classes) is then the
same on both legs, so nothing is transcoded.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from hirules.dimse.association import Association
from hirules.dimse.options import Options
from hirules.dimse.sop_classes import QUERIES, RETRIEVES

CALLED = slice(10, 26)
CALLING = slice(26, 42)
"""Where PS3.8 Table 9-11 has the AE titles; an A-ASSOCIATE-AC has them at the same places (Table 9-17)."""
USER_INFORMATION, IDENTITY, IDENTITY_RESPONSE = 0x50, 0x58, 0x59
_FIXED = 74
"""Length of both up to their first item."""


def canonical_ae_title(title: str, options: Options) -> str:
    """The form that was decided is the form that is forwarded (LANGUAGE: AE titles)."""
    stripped = title.strip()
    return stripped if options.preserve_ae_title_case else stripped.upper()


def request_upstream(pdu: bytes, association: Association, options: Options) -> bytes:
    """The A-ASSOCIATE-RQ as the upstream gets it."""
    patched = bytearray(pdu)
    calling = options.calling_ae_title or canonical_ae_title(association.calling_ae_title, options)
    patched[CALLED] = options.upstream_ae_title.encode("ascii").ljust(16)
    patched[CALLING] = calling.encode("ascii").ljust(16)
    if association.asynchronous_window is not None:
        # PS3.7 §D.3.3.3: one message at a time each way, so that nothing overtakes a decision
        struct.pack_into(">HH", patched, association.window_offset, 1, 1)
    for negotiation in association.extended:
        for index in _cleared(negotiation.sop_class, options):
            if index < len(negotiation.information):
                patched[negotiation.offset + index] = 0
    return bytes(patched)


def acceptance_downstream(pdu: bytes, request: bytes) -> bytes:
    """The A-ASSOCIATE-AC as the client gets it: with the AE titles of its own ``request`` (PS3.8 Table 9-17)."""
    return pdu[: CALLED.start] + request[CALLED.start : CALLING.stop] + pdu[CALLING.stop :]


def without_identity(pdu: bytes) -> bytes:
    """The A-ASSOCIATE-RQ without the user identity (PS3.7 §D.3.3.7): passcodes and tokens are for the gateway."""
    return _with_user_information(pdu, lambda items: b"".join(item for item in items if item[0] != IDENTITY))


def with_identity_response(pdu: bytes, response: bytes) -> bytes:
    """The A-ASSOCIATE-AC with a positive response to the user identity (PS3.7 Table D.3-15), unless the upstream gave one."""

    def answered(items: list[bytes]) -> bytes:
        given = any(item[0] == IDENTITY_RESPONSE for item in items)
        added = b"" if given else struct.pack(">BxHH", IDENTITY_RESPONSE, len(response) + 2, len(response)) + response
        return b"".join(items) + added

    return _with_user_information(pdu, answered)


def _with_user_information(pdu: bytes, change: Callable[[list[bytes]], bytes]) -> bytes:
    """``pdu``, which was decoded, with other items in its user information, and the lengths around it."""
    parts = []
    for item in _split(pdu[_FIXED:]):
        if item[0] == USER_INFORMATION:
            inside = change(_split(item[4:]))
            item = struct.pack(">BxH", USER_INFORMATION, len(inside)) + inside
        parts.append(item)
    body = pdu[6:_FIXED] + b"".join(parts)
    return pdu[:2] + struct.pack(">I", len(body)) + body


def _split(items: bytes) -> list[bytes]:
    """Each item whole."""
    found = []
    while items:
        size = 4 + int.from_bytes(items[2:4], "big")
        found.append(items[:size])
        items = items[size:]
    return found


def _cleared(uid: str, options: Options) -> list[int]:
    """Which bytes of the application information must be 0."""
    relational, combined, fuzzy = not options.allow_relational, not options.allow_combined_date_time, not options.allow_fuzzy
    if uid in QUERIES:
        return [index for index, clear in enumerate((relational, combined, fuzzy)) if clear]
    return [0] if uid in RETRIEVES and relational else []
