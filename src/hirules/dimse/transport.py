"""Sockets, the little that the gateway wants of them."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

from hirules.dimse.encrypted import Encrypted
from hirules.dimse.options import Options
from hirules.dimse.outputs import Buffer
from hirules.dimse.pdu import HEADER

Peer = socket.socket | Encrypted
"""What an association is spoken over."""

BUFFER_SIZE = 256 * 1024
_JOINED = 64 * 1024
"""Pieces below this together are copied into one: cheaper than a vector."""
_VECTOR = 64
_RESETS = struct.pack("ii", 1, 0)
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class TooLong(Exception):
    """A PDU above the limit."""


def low_latency(peer: Peer) -> None:
    """Without it a small PDU waits up to 40 ms for the acknowledgement of the one before."""
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def established(peer: Peer, options: Options) -> None:
    """Blocking, with time-outs of the kernel's (a Python one costs a poll a call), and a keepalive against half-open peers."""
    peer.settimeout(None)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    wakes_after(peer, options.idle_timeout)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(max(options.send_timeout, 0.001)))


def wakes_after(peer: Peer, seconds: float) -> None:
    """From its next call on, reading raises ``BlockingIOError`` where nothing comes for so long."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(max(seconds, 0.001)))


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))


def acknowledge_now(peer: Peer) -> None:
    """Linux delays acknowledgements again and again; a sender with Nagle's algorithm on waits for each."""
    if _QUICK_ACK is not None:
        peer.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)


def receive_more(peer: Peer, buffer: bytearray) -> int:
    """What comes next of something that has begun, as ``recv_into``. What came is acknowledged at once only where nothing more is here already."""
    if not isinstance(peer, Encrypted):
        with suppress(BlockingIOError):
            return peer.recv_into(buffer, 0, socket.MSG_DONTWAIT)
    acknowledge_now(peer)
    return peer.recv_into(buffer)


def send(peer: Peer, pieces: Sequence[Buffer]) -> None:
    """All of ``pieces``."""
    if len(pieces) == 1:
        peer.sendall(pieces[0])
        return
    if sum(map(len, pieces)) <= _JOINED or len(pieces) > _VECTOR:
        peer.sendall(b"".join(pieces))
        return
    if isinstance(peer, Encrypted):
        for piece in pieces:
            peer.sendall(piece)
        return
    left = peer.sendmsg(pieces)
    for piece in pieces:
        if left < len(piece):
            peer.sendall(memoryview(piece)[left:])
            left = 0
        else:
            left -= len(piece)


def receive_pdu(peer: Peer, limit: int, deadline: float) -> bytes:
    """One PDU and not a byte more. Empty at the end of the stream. Raises ``TimeoutError``, :class:`TooLong`."""
    header = _receive(peer, 6, deadline)
    if len(header) < 6:
        return b""
    _, length = HEADER.unpack(header)
    if length > limit:
        raise TooLong(f"a PDU of {length} bytes")
    body = _receive(peer, length, deadline)
    return header + body if len(body) == length else b""


def _receive(peer: Peer, size: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        peer.settimeout(left)
        chunk = peer.recv(min(size - len(data), BUFFER_SIZE))
        if not chunk:
            break
        data += chunk
    return bytes(data)


def drain(peer: Peer, deadline: float) -> bool:
    """Read until the peer closes: closing with unread bytes would reset, and could take back what was just sent. ``False``: it did not in time."""
    poll = select.poll()
    # what still comes is not looked at, so not deciphered either
    wire = peer.socket if isinstance(peer, Encrypted) else peer
    try:
        poll.register(wire, select.POLLIN)
        while (left := deadline - time.monotonic()) > 0 and poll.poll(left * 1000):
            if not wire.recv(BUFFER_SIZE, socket.MSG_DONTWAIT):
                return True
    except (OSError, ValueError):
        return True
    return False


def finish_sending(peer: Peer) -> None:
    """The peer sees the end of the stream."""
    _shut(peer, socket.SHUT_WR)


def cut(peer: Peer, *, reset: bool = False) -> None:
    """Wakes whoever reads from or writes to it.

    ``reset``: its peer, given up, is told when the socket is closed. After a shutdown the kernel tells it of no more room, so that one
    that is blocked in sending would stay so for a minute, with whatever it holds: dcmqrscp its index.
    """
    if reset:
        try:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESETS)
        except OSError:
            return  # it is closed already
    _shut(peer, socket.SHUT_RDWR)


def _shut(peer: Peer, how: int) -> None:
    try:
        peer.shutdown(how)
    except OSError:
        return  # it is closed already
