"""A TLS connection that one thread reads while another writes, with the few methods of a socket that the gateway uses.

An ``SSLSocket`` may not be used so. Here an ``SSLObject`` turns plain bytes into records in memory, under a lock
that is held for as long as that takes; the socket itself is read and written outside of it.

Rule 1: one thread reads, and whoever writes holds the sending lock until its records are on the wire, in their order.
Rule 2: what the reader owes the peer (the answer to a TLS 1.3 key update) waits for the writer, who sends it first:
so reading never waits for a peer that does not read.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress

RECORDS = 64 * 1024
"""Plain bytes that are encrypted at a time."""
_CIPHERED = 256 * 1024


class Encrypted:
    """``socket`` with TLS by ``context``; not usable before :meth:`handshake`. ``name``: what the server is called, for a client."""

    def __init__(self, peer: socket.socket, context: ssl.SSLContext, *, server_side: bool, name: str | None = None) -> None:
        self.socket = peer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side, server_hostname=name)
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._buffer = bytearray(_CIPHERED)

    def handshake(self, deadline: float) -> None:
        """Shake hands until ``deadline`` (of ``time.monotonic``). Raises ``TimeoutError``, ``ssl.SSLError``, ``OSError``; the peer is told why."""
        while True:
            try:
                self._object.do_handshake()
            except ssl.SSLWantReadError:
                self._flush(deadline)
                self._fill(deadline, what="the peer left the handshake")
            except ssl.SSLError:
                self._flush(deadline)
                raise
            else:
                self._flush(deadline)
                return

    @property
    def certificate(self) -> bytes | None:
        """The peer's certificate in DER, verified by the context; ``None`` where none was asked for or shown."""
        return self._object.getpeercert(binary_form=True)

    @property
    def version(self) -> str:
        """``TLSv1.3`` …"""
        return self._object.version() or "?"

    # -- reading ----------------------------------------------------------------------------------

    def recv(self, size: int) -> bytes:
        """Up to ``size`` bytes; empty at the end of the stream. Raises ``TimeoutError`` once the socket's time-out is over, however slowly bytes drip in."""
        buffer = bytearray(size)
        return bytes(buffer[: self.recv_into(buffer)])

    def recv_into(self, buffer: bytearray) -> int:
        """How many bytes were read into ``buffer``; 0 at the end of the stream, a cut one too: DICOM has its own end."""
        limit = self.socket.gettimeout()
        deadline = None if limit is None else time.monotonic() + limit
        try:
            while True:
                size, ended = self._deciphered(buffer)
                if size or ended:
                    return size
                self._settle()
                self._fill(deadline)
        finally:
            if deadline is not None:
                self.socket.settimeout(limit)

    def _deciphered(self, buffer: bytearray) -> tuple[int, bool]:
        """As many of the records that are here as ``buffer`` takes; and whether the stream ended."""
        size, view = 0, memoryview(buffer)
        with self._lock:
            while size < len(view):
                try:
                    # a record at a time; none after the peer's close_notify
                    read = int(self._object.read(len(view) - size, view[size:]))
                except ssl.SSLWantReadError:
                    break
                except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    return size, True
                if not read:
                    return size, True
                size += read
        return size, False

    def _fill(self, deadline: float | None, what: str = "") -> None:
        """More from the wire; with ``what``, an end there is a failure of that name."""
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
        size = self.socket.recv_into(self._buffer)
        with self._lock:
            if size:
                self._incoming.write(memoryview(self._buffer)[:size])
            elif what:
                raise ConnectionError(what)
            else:
                self._incoming.write_eof()

    def _settle(self) -> None:
        """Rule 2."""
        if self._outgoing.pending and self._sending.acquire(blocking=False):
            try:
                self._drain_outgoing()
            finally:
                self._sending.release()

    # -- writing ----------------------------------------------------------------------------------

    def sendall(self, data: bytes | memoryview) -> None:
        """All of ``data``. What raises here leaves a stream that cannot go on."""
        view = memoryview(data)
        with self._sending:
            for at in range(0, len(view), RECORDS):
                with self._lock:
                    self._object.write(view[at : at + RECORDS])
                self._drain_outgoing()

    def send(self, data: bytes, flags: int = 0) -> None:
        """As far as the socket takes it at once (``MSG_DONTWAIT``): for the last PDU of an association."""
        with self._sending:
            with self._lock:
                self._object.write(data)
                records = self._outgoing.read()
            self.socket.send(records, flags)

    def _drain_outgoing(self) -> None:
        with self._lock:
            records = self._outgoing.read()
        if records:
            self.socket.sendall(records)

    def _flush(self, deadline: float) -> None:
        records = self._outgoing.read()
        if records:
            self.socket.settimeout(max(0.001, deadline - time.monotonic()))
            self.socket.sendall(records)

    # -- the rest of a socket ---------------------------------------------------------------------

    def shutdown(self, how: int) -> None:
        """With ``SHUT_WR`` the peer is told the end of the stream by TLS too (RFC 8446 §6.1), if nobody is in the middle of sending."""
        if how == socket.SHUT_WR and self._sending.acquire(blocking=False):
            try:
                self._say_goodbye()
            finally:
                self._sending.release()
        self.socket.shutdown(how)

    def _say_goodbye(self) -> None:
        with self._lock:
            with suppress(ssl.SSLError):  # the peer has not answered, for which nobody waits; or the stream is broken already
                self._object.unwrap()
            records = self._outgoing.read()
        if records:
            try:
                self.socket.send(records, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return  # it does not read: the end of the connection has to do

    def fileno(self) -> int:
        """As a socket's: ready to read once records are there, which need not hold plain bytes."""
        return self.socket.fileno()

    def setblocking(self, flag: bool) -> None:
        """As a socket's."""
        self.socket.setblocking(flag)

    def settimeout(self, seconds: float | None) -> None:
        """As a socket's."""
        self.socket.settimeout(seconds)

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        """As a socket's."""
        self.socket.setsockopt(level, name, value)

    def close(self) -> None:
        """As a socket's."""
        self.socket.close()
