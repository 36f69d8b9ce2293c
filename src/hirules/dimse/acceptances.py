"""One A-ASSOCIATE-AC out of those of several destinations that were asked the same (PS3.8 §9.3.3).

The first that accepts a context says with which transfer syntax; the shortest PDU that one of them takes is what all are sent.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_FIXED = 74
_ITEM = struct.Struct(">BxH")
_CONTEXT, _USER, _MAX_LENGTH = 0x21, 0x50, 0x51


def merged(acceptances: Sequence[bytes]) -> bytes:
    """The bytes of the first, with what the others accept beside it. All are well formed: ``decode_acceptance`` has read them."""
    first, *others = acceptances
    if not others:
        return first
    accepted: dict[int, bytes] = {}
    for pdu in acceptances:
        for kind, begin, end in _items(pdu, _FIXED, len(pdu)):
            if kind == _CONTEXT and not pdu[begin + 6]:
                accepted.setdefault(pdu[begin + 4], pdu[begin:end])
    lengths = [length for length in map(_max_length, acceptances) if length]
    parts = [first[:_FIXED]]
    for kind, begin, end in _items(first, _FIXED, len(first)):
        item = first[begin:end]
        if kind == _CONTEXT:
            item = accepted.get(item[4], item)
        elif kind == _USER and lengths:
            item = _with_max_length(item, min(lengths))
        parts.append(item)
    body = b"".join(parts)
    return body[:2] + (len(body) - 6).to_bytes(4, "big") + body[6:]


def _items(pdu: bytes, offset: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Type, begin and end of each item, its header included."""
    while offset < end:
        kind, length = _ITEM.unpack_from(pdu, offset)
        yield kind, offset, offset + 4 + length
        offset += 4 + length


def _max_length(pdu: bytes) -> int:
    """PS3.8 §D.1; 0 is no limit."""
    for kind, begin, end in _items(pdu, _FIXED, len(pdu)):
        if kind == _USER:
            for inner, start, stop in _items(pdu, begin + 4, end):
                if inner == _MAX_LENGTH:
                    return int.from_bytes(pdu[start + 4 : stop], "big")
    return 0


def _with_max_length(user: bytes, length: int) -> bytes:
    for kind, begin, _ in _items(user, 4, len(user)):
        if kind == _MAX_LENGTH:
            return user[: begin + 4] + length.to_bytes(4, "big") + user[begin + 8 :]
    item = _ITEM.pack(_MAX_LENGTH, 4) + length.to_bytes(4, "big")
    return user[:2] + (len(user) - 4 + len(item)).to_bytes(2, "big") + item + user[4:]
