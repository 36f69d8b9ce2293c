"""The two directions of an association at work: what is read from one peer, done and sent.

A :class:`Lane` is what is sent to one peer: its lock is held for a whole message, so that an answer
made here never comes between.
INVARIANT: a pump takes the lock of the other lane only while it does not hold its own.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Sequence

from hirules.dimse.flow import Flow
from hirules.dimse.outputs import Abort, Answer, Buffer, Completed, Decide, Dropped, Ended, Forward, Judge, Judged, Refused, Ruling, Settle
from hirules.dimse.pdu import abort_pdu
from hirules.dimse.ruling import Desk
from hirules.dimse.tally import Side
from hirules.dimse.transport import Peer, finish_sending, send

log = logging.getLogger("hirules.dimse")


class Lane:
    """What is sent to one peer."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.lock = threading.Lock()
        self.finished = False
        self.active = time.monotonic()
        """When the last whole message was sent."""

    def finish(self, pdu: bytes) -> None:
        """The last PDU, if any, and the end of the stream; once. Whoever calls holds the lock."""
        if self.finished:
            return
        self.finished = True
        try:
            if pdu:
                self.peer.send(pdu, socket.MSG_DONTWAIT)
        except OSError:
            log.debug("a peer was gone, or did not read, when it was told the end")
        finish_sending(self.peer)


class Pump:
    """One direction at work: ``source``, the peer on ``side``, to ``out``. ``holds`` while a message is open on that lane."""

    def __init__(self, side: Side, source: Peer, flow: Flow, out: Lane, back: Lane, desk: Desk) -> None:
        self.side = side
        self.source = source
        self.flow = flow
        self.holds = False
        self.ended = ""
        self.abort = b""
        self.out = out
        self.back = back
        self.done = threading.Event()
        self._desk = desk

    def take(self, data: memoryview) -> None:
        """Feed ``data`` and do what comes of it."""
        outputs = self.flow.feed(data)
        reply: Ruling | Judged | None = None
        while True:
            try:
                output = outputs.send(reply)
            except StopIteration:
                return
            reply = None
            match output:
                case Forward(pieces, complete):
                    self._forward(pieces, complete)
                case Decide(message):
                    reply = self._desk.rule(message)
                case Judge():
                    reply = self._desk.judge(output)
                case Answer(pdus):
                    with self.back.lock:
                        self.back.peer.sendall(pdus)
                case Completed():
                    self._desk.complete(output)
                case Refused():
                    self._desk.refused(output)
                case Settle(move, expected, seconds):
                    if not move.settled(expected, seconds):
                        log.warning("C-MOVE to %s: its final response came before its instances were answered", move.destination.ae_title)
                    move.close()
                case Dropped(why):
                    log.warning("dropped: %s", why)
                case Abort(reason, why):
                    self.ended, self.abort = f"broken: {why}", abort_pdu(reason)
                case Ended(how):
                    self.ended = how

    def _forward(self, pieces: Sequence[Buffer], complete: bool) -> None:
        if not self.holds:
            self.out.lock.acquire()
            self.holds = True
        send(self.out.peer, pieces)
        if complete:
            self.out.active = time.monotonic()
            self.holds = False
            self.out.lock.release()
