"""One direction of an association: bytes in, :mod:`outputs <hirules.dimse.outputs>` out. No socket, no clock.

    bytes ─▶ PDUs ─▶ PDVs ─▶ fragments ─▶ exchange: hold and decide, cut through, or swallow

Rule 1: everything forwarded is one PDV in one PDU; a PDU that came so goes on as the bytes it came in.
Rule 2: the bytes of a large data set are looked at once a PDU, and never copied.
"""

from __future__ import annotations

from hirules.dimse.conversation import Conversation
from hirules.dimse.exchange import IDLE, PASSING, Broken, Exchange
from hirules.dimse.outbox import Outputs
from hirules.dimse.outputs import Abort, Ended, Forward
from hirules.dimse.pdu import (
    A_ABORT,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    COMMAND,
    HEADER,
    HEADERS,
    LAST,
    P_DATA_TF,
    PDV_HEADER,
    UNEXPECTED_PDU,
    UNRECOGNIZED_PDU,
)


class Flow:
    """See the module's own page. ``ended`` once nothing more is to be read."""

    def __init__(self, conversation: Conversation) -> None:
        self.exchange = Exchange(conversation)
        self.ended = False
        self._options = conversation.options
        self._carry = b""
        # the PDU and PDV that the next byte belongs to
        self._pdu_left = 0
        self._pdv_left = 0
        self._in_pdv = False
        self._last = False

    @property
    def partial(self) -> bool:
        """The sender has begun something that it has not finished."""
        return self.exchange.state != IDLE or self._in_pdv or bool(self._carry)

    @property
    def cut(self) -> bool:
        """What was forwarded ends in the middle of a PDU: the other side can only be closed (PS3.8 §9.3)."""
        return self.exchange.open and self._in_pdv and self._pdv_left > 0

    def feed(self, data: bytes | bytearray | memoryview) -> Outputs:
        """The outputs for ``data``, which must stay as it is until they are all done."""
        if self.ended:
            return
        try:
            yield from self._feed(data)
        except Broken as broken:
            self.ended = True
            yield from self.exchange.flush()
            yield Abort(broken.reason, str(broken))

    def _feed(self, data: bytes | bytearray | memoryview) -> Outputs:
        exchange = self.exchange
        view = memoryview(self._carry + data if self._carry else data)
        self._carry = b""
        position = begin = 0
        end = len(view)
        start = -1  # of what goes on as it is
        try:
            while True:
                if self._in_pdv:
                    stop = position + min(self._pdv_left, end - position)
                    if exchange.state == PASSING:
                        exchange.passes(view[position:stop])
                        start = position if start < 0 else start
                    else:
                        exchange.collect(view[position:stop])
                    self._pdv_left -= stop - position
                    position = stop
                    if exchange.looks and (self._pdv_left or not self._last):
                        yield from exchange.looked(self._pdv_left, last=self._last)
                    if self._pdv_left:
                        break
                    self._in_pdv = False
                    if self._last:
                        start = self._cut_off(view, start, position)
                        yield from exchange.part_complete()
                    continue
                if exchange.open and not self._pdu_left:
                    before = position
                    position = self._skim(view, position, end)
                    start = before if start < 0 and position > before else start
                    if position == end:
                        break
                begin = position
                if not self._pdu_left:
                    if end - position < 6:
                        break
                    kind, length = HEADER.unpack_from(view, position)
                    if kind != P_DATA_TF:
                        if end - position < self._control_size(kind, length):
                            break
                        start = self._cut_off(view, start, position)
                        position += 10
                        yield from self._control(kind, bytes(view[begin:position]))
                        if self.ended:
                            return
                        continue
                    if not 6 <= length <= self._options.pdu_length:
                        raise Broken("a P-DATA-TF of a wrong length")
                    if end - position < 12:
                        break
                    position += 6
                    self._pdu_left = length
                elif end - position < 6:
                    break
                item, context, control = PDV_HEADER.unpack_from(view, position)
                if item < 2 or item + 4 > self._pdu_left or 0 < self._pdu_left - item - 4 < 6 or control > 3:
                    raise Broken("a PDV of a wrong length or control header")
                single = position > begin and item + 4 == self._pdu_left
                position += 6
                if not (exchange.open and context == exchange.context and not control & COMMAND):
                    start = self._cut_off(view, start, begin)
                    yield from exchange.begin_fragment(context, bool(control & COMMAND))
                self._pdu_left -= item + 4
                self._pdv_left = item - 2
                self._last = bool(control & LAST)
                self._in_pdv = True
                if exchange.state == PASSING:
                    if single:
                        start = begin if start < 0 else start
                    else:
                        start = self._cut_off(view, start, begin)
                        self.exchange.pieces.append(HEADERS.pack(P_DATA_TF, item + 4, item, context, control))
        except Broken:
            self._cut_off(view, start, begin)
            raise
        self._cut_off(view, start, position)
        self._carry = bytes(view[position:])
        yield from self.exchange.flush()

    def _skim(self, view: memoryview, position: int, end: int) -> int:
        """Past the PDUs of the open message that are one fragment each and not the last; this is where the bytes go."""
        exchange, cap = self.exchange, self._options.pdu_length
        context, behind = exchange.context, exchange.behind
        unpack = HEADERS.unpack_from
        while end - position >= 12:
            kind, length, item, number, control = unpack(view, position)
            if kind != P_DATA_TF or control or number != context or item + 4 != length or not 6 <= length <= cap:
                break
            if behind is not None:
                if item - 2 <= behind.left and position + 6 + length <= end:
                    behind.left -= item - 2
                else:
                    exchange.passes(view[position + 12 : min(position + 6 + length, end)])
            position += 6 + length
            if position > end:
                self._pdv_left, self._in_pdv, self._last = position - end, True, False
                return end
        return position

    def _cut_off(self, view: memoryview, start: int, stop: int) -> int:
        """Queue what goes on as it is; the next such begins anew."""
        if 0 <= start < stop:
            self.exchange.pieces.append(view[start:stop])
        return -1

    def _control_size(self, kind: int, length: int) -> int:
        if kind not in (A_RELEASE_RQ, A_RELEASE_RP, A_ABORT):
            raise Broken("an unexpected PDU", UNEXPECTED_PDU if kind in (1, 2, 3) else UNRECOGNIZED_PDU)
        if length != 4:
            raise Broken("a PDU of a wrong length")
        return 10

    def _control(self, kind: int, pdu: bytes) -> Outputs:
        """Release and abort (PS3.8 §7.2, §7.3): they pass."""
        conversation = self.exchange.conversation
        if kind == A_ABORT:
            self.ended = True
            yield Forward([*self.exchange.pieces, pdu], complete=True)
            yield Ended("aborted")
            return
        if self.exchange.state != IDLE or (kind == A_RELEASE_RP and not conversation.other.release_requested):
            raise Broken("a release at the wrong time", UNEXPECTED_PDU)
        # before it is sent: the reply may be here at once, in the other direction's thread
        if kind == A_RELEASE_RQ:
            conversation.release_requested = True
        else:
            conversation.other.release_requested = False
        self.exchange.pieces.append(pdu)
        yield from self.exchange.flush()
        # a release collision has two requests and two replies (PS3.8 §7.2.2.7)
        if kind == A_RELEASE_RP and not conversation.release_requested:
            self.ended = True
            yield Ended("released")
