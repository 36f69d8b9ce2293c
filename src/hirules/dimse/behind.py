"""Behind the header of an instance that is cut through nothing may stand that a reader would take for a part of it.

    bytes, as they pass ──Behind.take──▶ nothing, or Malformed

What is decided is the header, and pixels pass unseen. But readers take what follows them for what it is: a birth date that was not
in the header, another patient's id instead of the first. So elements go on to ascend there, as before. Values are passed over.
"""

from __future__ import annotations

import struct

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

from hirules.dimse.elements import UNDEFINED, Malformed

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT, _LONG = (frozenset(vr.value.encode() for vr in vrs) for vrs in (EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32))
_FIRST, _BEHIND_ALL = 0x00080000, 0xFFFE0000
"""Data sets have elements from the one on and before the other (PS3.5 §7.1)."""
_DEEPEST = 32
_PADDING = bytes(8)
"""Where an element would begin: some archives fill up a data set. It names nothing."""


class Behind:
    """Behind an element ``last`` of ``transfer_syntax``. ``left``: so many bytes of a value follow; who passes them over may count them itself."""

    def __init__(self, transfer_syntax: str, last: int) -> None:
        self.left = 0
        self._last = last
        order = ">" if transfer_syntax == ExplicitVRBigEndian else "<"
        self._tag, self._long, self._short = struct.Struct(order + "HH"), struct.Struct(order + "L"), struct.Struct(order + "H")
        self._open: list[tuple[bool, bool]] = [(False, transfer_syntax == ImplicitVRLittleEndian)]
        """The data set, and what is open in it without a length: whether it has items, and whether in implicit VR."""
        self._head = b""

    def take(self, data: bytes | memoryview) -> None:
        """The next bytes. Raises :class:`Malformed`."""
        at, end = 0, len(data)
        while at < end:
            if self.left:
                passed = min(self.left, end - at)
                self.left -= passed
                at += passed
                continue
            missing = self._size() - len(self._head)
            self._head += bytes(data[at : at + missing])
            at += missing
            if len(self._head) == self._size():
                self._begin(self._head)
                self._head = b""

    def _size(self) -> int:
        """Of the header that has begun to come."""
        items, implicit = self._open[-1]
        return 12 if not items and not implicit and self._head[4:6] in _LONG and self._head[:4] != self._tag.pack(0xFFFE, 0xE00D) else 8

    def _begin(self, head: bytes) -> None:
        group, number = self._tag.unpack_from(head)
        tag = group << 16 | number
        items, implicit = self._open[-1]
        if items:
            length = self._long.unpack_from(head, 4)[0]
            if tag == _SEQUENCE_END:
                self._open.pop()
            elif tag != _ITEM:
                raise Malformed("a sequence has something other than items")
            elif length == UNDEFINED:
                self._push(False, implicit)
            else:
                self.left = length
            return
        nested = len(self._open) > 1
        if nested and tag == _ITEM_END:
            self._open.pop()
            return
        if not nested and head[:8] == _PADDING:
            return
        if not nested and not max(self._last + 1, _FIRST) <= tag < _BEHIND_ALL:
            raise Malformed("an element behind the pixels is repeated or out of order")
        if not nested:
            self._last = tag
        length = self._length(head, implicit)
        if length == UNDEFINED:
            self._push(True, implicit or head[4:6] == b"UN")
        else:
            self.left = length

    def _length(self, head: bytes, implicit: bool) -> int:
        if not implicit and head[4:6] in _SHORT:
            return int(self._short.unpack_from(head, 6)[0])
        if not implicit and head[4:6] not in _LONG:
            raise Malformed("an element behind the pixels has no value representation")
        return int(self._long.unpack_from(head, 4 if implicit else 8)[0])

    def _push(self, items: bool, implicit: bool) -> None:
        if len(self._open) > _DEEPEST:
            raise Malformed("sequences are nested too deep")
        self._open.append((items, implicit))
