"""What is changed in an A-ASSOCIATE-RQ and -AC on the way through: inside their own bytes, nothing is encoded again.

    A-ASSOCIATE-RQ ─▶ AE titles, asynchronous window 1,1, query options cleared ─▶ upstream
    client ◀─ AE titles as the client sent them ◀─ A-ASSOCIATE-AC

Everything else (context ids, transfer syntaxes, roles, PDU sizes, private SOP classes) is then the
same on both legs, so nothing is transcoded.
"""

from __future__ import annotations

import struct

from hirules.dimse.association import Association
from hirules.dimse.options import Options
from hirules.dimse.sop_classes import QUERIES, RETRIEVES

CALLED = slice(10, 26)
CALLING = slice(26, 42)
"""Where PS3.8 Table 9-11 has the AE titles; an A-ASSOCIATE-AC has them at the same places (Table 9-17)."""


def canonical_ae_title(title: str, options: Options) -> str:
    """The form that was decided is the form that is forwarded (LANGUAGE: AE titles)."""
    stripped = title.strip()
    return stripped if options.preserve_ae_title_case else stripped.upper()


def calls_us(association: Association, options: Options) -> bool:
    """Whether the called AE title is the gateway's."""
    return association.called_ae_title.upper() == options.ae_title.strip().upper()


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


def _cleared(uid: str, options: Options) -> list[int]:
    """Which bytes of the application information must be 0."""
    relational, combined, fuzzy = not options.allow_relational, not options.allow_combined_date_time, not options.allow_fuzzy
    if uid in QUERIES:
        return [index for index, clear in enumerate((relational, combined, fuzzy)) if clear]
    return [0] if uid in RETRIEVES and relational else []
