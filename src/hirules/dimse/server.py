"""The listener of the gateway, and what is common to all its associations: their number, and their end."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable

from hirules.dimse.access import Access
from hirules.dimse.demands import demanded
from hirules.dimse.destinations import Destinations
from hirules.dimse.moves import Moves
from hirules.dimse.options import Options
from hirules.dimse.pending import Pulse
from hirules.dimse.release import quote_no_values
from hirules.dimse.ruling import Gate, LookupOf
from hirules.dimse.session import LIMIT_EXCEEDED, Session
from hirules.dimse.tally import Tally
from hirules.dimse.transport import cut

log = logging.getLogger("hirules.dimse")

_GOODBYE = 2.0
"""Seconds for the peers of an aborted association to close."""
_REJECTIONS = 32
"""How many connections above the limit are read and rejected at a time; more are closed at once."""


class Gateway:
    """A DIMSE gateway in front of one upstream or several.

    ``lookup_of`` makes, for an association, what the gate asks for the entities that a request reaches.
    ``access``    TLS on each leg, and who verifies users
    ``tally``     how many there are, and were
    """

    def __init__(self, gate: Gate, options: Options, lookup_of: LookupOf | None = None, access: Access = Access()) -> None:  # noqa: B008 - frozen
        quote_no_values()
        self._gate = gate
        self._access = access
        self.tally = Tally()
        self._options = options = demanded(options, gate)
        self._lookup_of = lookup_of
        self.moves = Moves()
        """The C-MOVEs that go through, of all associations."""
        self._destinations = Destinations(options, self.moves)
        self._pulse = Pulse(options.pending_interval)
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._lock = threading.Lock()
        self._sessions: dict[Session, threading.Thread] = {}
        self._rejections = 0
        self._stopping = threading.Event()
        self._stopped = threading.Event()

    def start(self) -> tuple[str, int]:
        """Listen, and answer where."""
        family = socket.AF_INET6 if ":" in self._options.host else socket.AF_INET
        listener = socket.create_server((self._options.host, self._options.port), family=family, backlog=128)
        listener.settimeout(1.0)
        self._listener = listener
        self._accepting = threading.Thread(target=self._accept, args=(listener,), name="dimse-listener", daemon=True)
        self._accepting.start()
        host, port = listener.getsockname()[:2]
        log.info("%s listens on %s:%d", self._options.ae_title, host, port)
        return str(host), int(port)

    @property
    def ready(self) -> bool:
        """New associations are accepted."""
        return self._accepting is not None and self._accepting.is_alive() and not self._stopping.is_set()

    @property
    def alive(self) -> bool:
        """It does what it should: accept associations, or let them end."""
        return self._accepting is None or self._accepting.is_alive() or self._stopping.is_set()

    def serve_forever(self) -> None:
        """Until :meth:`stop` is called."""
        if self._listener is None:
            self.start()
        self._stopped.wait()

    def stop(self, drain: float | None = None) -> None:
        """Accept no more, let associations end within ``drain`` seconds, abort the rest."""
        self._stopping.set()
        if self._listener is not None:
            cut(self._listener)
            self._listener.close()
        self._join(time.monotonic() + (self._options.drain_timeout if drain is None else drain))
        self._each(Session.stop)
        self._join(time.monotonic() + _GOODBYE)
        self._each(Session.cut)
        self._join(time.monotonic() + _GOODBYE)
        self._pulse.close()
        self._stopped.set()

    def _each(self, do: Callable[[Session], None]) -> None:
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            do(session)

    def _join(self, deadline: float) -> None:
        with self._lock:
            threads = list(self._sessions.values())
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                peer, address = listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                if self._stopping.is_set():
                    return
                # out of descriptors, or the client left the queue: the listener itself is whole
                log.warning("a connection was not accepted: %s", type(error).__name__)
                self._stopping.wait(0.05)
                continue
            self._serve(peer, (str(address[0]), int(address[1])))

    def _serve(self, peer: socket.socket, address: tuple[str, int]) -> None:
        session = Session(peer, address, self._gate, self._options, self._lookup_of, self._destinations, self._pulse, self._access, self.tally)
        counted = self.tally.arrives(address[0], self._options.associations_per_address)
        with self._lock:
            below = counted and len(self._sessions) < self._options.associations
            full = not below and self._rejections >= _REJECTIONS
            thread = threading.Thread(
                target=self._run if below else self._reject, args=(session, counted), name=f"from-client {address[0]}:{address[1]}", daemon=True
            )
            if not full and _started(thread):
                # under the lock, which the thread takes at its end: `stop` joins none that has not started
                if below:
                    self._sessions[session] = thread
                else:
                    self._rejections += 1
                return
        # the client sees a closed connection and may come again
        log.warning("association %s: too many connections", address[0])
        self.tally.rejected("limit")
        if counted:
            self.tally.leaves(address[0])
        peer.close()

    def _run(self, session: Session, counted: bool) -> None:
        try:
            session.run()
        finally:
            self._left(session, counted)
            with self._lock:
                self._sessions.pop(session, None)

    def _reject(self, session: Session, counted: bool) -> None:
        try:
            session.reject(LIMIT_EXCEEDED)
        finally:
            self._left(session, counted)
            with self._lock:
                self._rejections -= 1

    def _left(self, session: Session, counted: bool) -> None:
        if counted:
            self.tally.leaves(session.address[0])


def _started(thread: threading.Thread) -> bool:
    try:
        thread.start()
    except RuntimeError:
        return False  # no more threads
    return True
