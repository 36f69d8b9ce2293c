"""The elements of an encoded data set, found without decoding a value: where its header ends, and another header in its place.

    bytes, as they come ──Scan.advance──▶ where the header ends (nothing behind it has been waited for)
    header, elements to change ──spliced──▶ header; every other element is the very bytes that came

Framing is exact: whatever two readers could take differently (a tag twice or out of order, at any depth; an odd length; bytes left
over; an element longer than what holds it) is :class:`Malformed`. Values are nobody's business here.
"""

from __future__ import annotations

import struct
import zlib
from bisect import bisect_left
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, NamedTuple

from pydicom.datadict import dictionary_VR
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

UNDEFINED: Final = 0xFFFFFFFF
DEFLATED: Final = str(DeflatedExplicitVRLittleEndian)
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_LONG: Final = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})  # PS3.5 Table 7.1-1
_SHORT: Final = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_HEADS: Final = [
    {int.from_bytes(vr, order): size for vrs, size in ((_SHORT, 8), (_LONG - {b"SQ", b"UN"}, 12)) for vr in vrs} for order in ("little", "big")
]  # fmt: skip
"""How long the header of an element is that has no items unless it has no length, by its value representation as one number; little and big endian."""
_BELOW_DATA_SETS, _ABOVE_DATA_SETS = 0x0007FFFF, 0xFFFE0000
_FRAGMENTED: Final = frozenset({b"OB", b"OW", b"OD", b"OF", b"OL", b"OV"})
_DEEPEST: Final = 32
_NO_GROUPS: Final = frozenset({0x0000, 0x0001, 0x0002, 0x0003, 0x0005, 0x0007, 0xFFFE, 0xFFFF})
"""Groups that no data set has (PS3.5 §7.1)."""


class Malformed(ValueError):
    """A data set that cannot be read in one way only; the message quotes no value."""


Elements = dict[int, tuple[int, int]]
"""Top-level elements by their tags, ascending: from where to where each lies."""


class _Frame(NamedTuple):
    """Inside what: items or elements, how they are laid out, where it ends (``None``: at its delimiter)."""

    items: bool
    implicit: bool
    fragments: bool
    end: int | None


@lru_cache(maxsize=4096)
def _is_sequence(tag: int) -> bool:
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return False


class Scan:
    """Walks a data set of ``transfer_syntax`` while it comes. ``limit``: the first tag that is not waited for; ``None``: there is none."""

    def __init__(self, transfer_syntax: str, limit: int | None) -> None:
        self.elements: Elements = {}
        self.header: int | None = None
        """Where the elements below ``limit`` end, once that is known."""
        self._limit = limit
        self._implicit = transfer_syntax == ImplicitVRLittleEndian
        self._big = transfer_syntax == ExplicitVRBigEndian
        order = ">" if self._big else "<"
        self._tag = struct.Struct(order + "HH")
        self._long = struct.Struct(order + "L")
        self._short = struct.Struct(order + "H")
        self._plain = struct.Struct(order + ("HH0sL" if self._implicit else "HHHH"))
        self._at = 0
        self._opened = (0, 0)
        self._frames: list[_Frame] = []
        self._last: list[int] = [-1]

    def advance(self, data: bytes | bytearray) -> bool:
        """Look at what has come, all of it from the beginning; whether the end of the header is known. Raises :class:`Malformed`."""
        while self.header is None:
            if self._frames:
                if not self._inside(data):
                    return False
                continue
            self._skim(data)
            if not self._top(data):
                return False
        return True

    def finish(self, data: bytes | bytearray) -> None:
        """Nothing more comes. Raises :class:`Malformed`."""
        if not self.advance(data):
            if self._frames or self._at != len(data):
                raise Malformed("bytes are left over, or an element is longer than the data set")
            self.header = self._at

    def _skim(self, data: bytes | bytearray) -> None:
        """Past the top-level elements that one look at their header tells; whatever is unusual, or not all there, is left to :meth:`_top`."""
        if self._implicit and self._last[-1] < 0:
            return
        at, end, found = self._at, len(data), self.elements
        begin, last_head = at, end - 12
        last, limit = max(self._last[-1], _BELOW_DATA_SETS), min(self._limit or _ABOVE_DATA_SETS, _ABOVE_DATA_SETS)
        implicit, size_of = self._implicit, _HEADS[self._big].get
        unpack, long = self._plain.unpack_from, self._long.unpack_from
        while at <= last_head:
            group, number, vr, length = unpack(data, at)
            tag = group << 16 | number
            if not last < tag < limit:
                break
            if implicit:
                if _is_sequence(tag):
                    break
                stop = at + 8 + length
            else:
                size = size_of(vr)
                if size == 8:
                    stop = at + 8 + length
                elif size and not length:
                    (length,) = long(data, at + 8)
                    stop = at + 12 + length
                else:
                    break
            if length & 1 or stop > end:  # odd: what has no length, too
                break
            found[tag] = (at, stop)
            at, last = stop, tag
        if at > begin:
            self._at, self._last[-1] = at, last

    def _top(self, data: bytes | bytearray) -> bool:
        at = self._at
        if len(data) - at < 8:
            return False
        group, number = self._tag.unpack_from(data, at)
        tag = group << 16 | number
        self._ascends(tag)
        if self._limit is not None and tag >= self._limit:
            self.header = at
            return True
        found = self._element(data, at, tag, self._implicit)
        if found is None:
            return False
        vr, length, value = found
        if self._enters(tag, vr, length, value, None, self._implicit):
            self._opened = (tag, at)
            self._last[-1] = tag
            self._at = value
            self._leave(data)
            return True
        end = value + length
        if end > len(data):
            return False
        self._last[-1] = tag
        self.elements[tag] = (at, end)
        self._at = end
        return True

    def _inside(self, data: bytes | bytearray) -> bool:
        frame, at = self._frames[-1], self._at
        end = frame.end
        if len(data) - at < 8:
            if end is not None and end - at < 8:
                raise Malformed("bytes are left over in a sequence")
            return False
        group, number = self._tag.unpack_from(data, at)
        tag = group << 16 | number
        if frame.items:
            length = self._long.unpack_from(data, at + 4)[0]
            value = at + 8
            if tag == _SEQUENCE_END and end is None and not length:
                self._at = value
                self._close(data)
                return True
            if tag != _ITEM:
                raise Malformed("a sequence has something other than items")
            self._within(frame, value, 0 if length == UNDEFINED else length)
            if frame.fragments:
                if length == UNDEFINED or length % 2:
                    raise Malformed("a fragment has no length, or an odd one")
                if value + length > len(data):
                    return False
                self._at = value + length
                return True
            self._push(_Frame(False, frame.implicit, False, None if length == UNDEFINED else value + length))
            self._at = value
            self._leave(data)
            return True
        if tag == _ITEM_END and end is None:
            if self._long.unpack_from(data, at + 4)[0]:
                raise Malformed("a delimiter has a length")
            self._at = at + 8
            self._close(data)
            return True
        self._ascends(tag)
        found = self._element(data, at, tag, frame.implicit)
        if found is None:
            return False
        vr, length, value = found
        self._within(frame, value, 0 if length == UNDEFINED else length)
        if self._enters(tag, vr, length, value, frame, frame.implicit):
            self._last[-2] = tag
            self._at = value
            self._leave(data)
            return True
        if value + length > len(data):
            return False
        self._last[-1] = tag
        self._at = value + length
        self._leave(data)
        return True

    def _ascends(self, tag: int) -> None:
        if tag <= self._last[-1]:
            raise Malformed("an element is repeated or out of order")
        if tag >> 16 in _NO_GROUPS:
            raise Malformed("an element of a group that no data set has")

    def _element(self, data: bytes | bytearray, at: int, tag: int, implicit: bool) -> tuple[bytes, int, int] | None:
        """Value representation (empty when implicit), length, and where the value begins (PS3.5 §7.1); ``None``: not all has come."""
        if implicit:
            if self._last[-1] == -1 and data[at + 4 : at + 6].isalpha() and data[at + 4 : at + 6].isupper():
                raise Malformed("an element could have a value representation")  # readers guess by the first one
            vr, length, value = b"", self._long.unpack_from(data, at + 4)[0], at + 8
        else:
            vr = bytes(data[at + 4 : at + 6])
            if vr in _SHORT:
                length, value = self._short.unpack_from(data, at + 6)[0], at + 8
            elif vr in _LONG:
                if len(data) - at < 12:
                    return None
                if data[at + 6 : at + 8] != b"\0\0":
                    raise Malformed("an element header is malformed")
                length, value = self._long.unpack_from(data, at + 8)[0], at + 12
            else:
                raise Malformed("an element has no value representation")
        if length != UNDEFINED and length % 2:
            raise Malformed("an element has an odd length")
        return vr, length, value

    def _enters(self, tag: int, vr: bytes, length: int, value: int, frame: _Frame | None, implicit: bool) -> bool:
        """Whether the element has items, which are looked at too."""
        # a sequence of PS3.6 that is UN is taken for what it is by some readers, and is in implicit VR little endian then (PS3.5 §6.2.2)
        sequence = vr == b"SQ" or ((implicit or vr == b"UN") and _is_sequence(tag))
        if length == UNDEFINED:
            if not (sequence or implicit or vr == b"UN" or vr in _FRAGMENTED):
                raise Malformed("an element has no length")
            # PS3.5 §6.2.2: what is UN and has no length is a sequence in implicit VR little endian
            self._push(_Frame(True, implicit or vr == b"UN", vr in _FRAGMENTED, None))
            return True
        if sequence:
            self._push(_Frame(True, implicit or vr == b"UN", False, value + length))
        return sequence

    def _within(self, frame: _Frame, value: int, length: int) -> None:
        if frame.end is not None and value + length > frame.end:
            raise Malformed("an element is longer than what holds it")

    def _push(self, frame: _Frame) -> None:
        if len(self._frames) >= _DEEPEST:
            raise Malformed("sequences are nested too deep")
        self._frames.append(frame)
        self._last.append(-1)

    def _close(self, data: bytes | bytearray) -> None:
        self._frames.pop()
        self._last.pop()
        if not self._frames:
            tag, start = self._opened
            self.elements[tag] = (start, self._at)
        else:
            self._leave(data)

    def _leave(self, data: bytes | bytearray) -> None:
        """Leave what ends here by its length."""
        if self._frames and self._frames[-1].end is not None and self._at == self._frames[-1].end:
            self._close(data)


def scanned(data: bytes, transfer_syntax: str) -> Scan:
    """All elements of a whole data set, which is not deflated. Raises :class:`Malformed`."""
    scan = Scan(transfer_syntax, None)
    scan.finish(data)
    return scan


def inflated(data: bytes, cap: int) -> bytes:
    """PS3.5 §A.5: RFC 1951, with at most a byte of padding behind it. Raises :class:`Malformed`, also above ``cap``."""
    inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        plain = inflate.decompress(data, cap)
    except zlib.error:
        raise Malformed("the deflated data set is damaged") from None
    if not inflate.eof or inflate.unused_data not in (b"", b"\0"):
        raise Malformed("the deflated data set is cut, too large or has bytes left over")
    return plain


def deflated(data: bytes) -> bytes:
    """The inverse."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = deflate.compress(data) + deflate.flush()
    return packed + b"\0" * (len(packed) % 2)


def spliced(header: bytes, elements: Elements, changes: Mapping[int, bytes | None], transfer_syntax: str) -> bytes:
    """``header`` with these elements encoded otherwise, added, or (``None``) taken out; group lengths follow (PS3.5 §7.2)."""
    order = ">" if transfer_syntax == ExplicitVRBigEndian else "<"
    made = {**changes, **_lengths(header, elements, changes, order)}
    tags = list(elements)
    parts, at = [], 0
    for tag in sorted(made):
        where = bisect_left(tags, tag)
        start = elements[tags[where]][0] if where < len(tags) else len(header)
        parts.append(header[at:start])
        at = elements[tag][1] if tag in elements else start
        parts.append(made[tag] or b"")
    return b"".join((*parts, header[at:]))


def _lengths(header: bytes, elements: Elements, changes: Mapping[int, bytes | None], order: str) -> dict[int, bytes | None]:
    """The group lengths that follow the changes; of a group that is empty now there is none."""
    found: dict[int, bytes | None] = {}
    for length in {tag >> 16 << 16 for tag in changes}:
        if length not in elements or length in changes:
            continue
        others = range(length + 1, length + 0x10000)
        size = sum(end - start for tag, (start, end) in elements.items() if tag in others and tag not in changes)
        size += sum(len(encoded or b"") for tag, encoded in changes.items() if tag in others)
        start, end = elements[length]
        found[length] = header[start : end - 4] + struct.pack(order + "L", size) if size else None
    return found
