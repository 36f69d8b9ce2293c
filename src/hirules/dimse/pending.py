"""Pending responses of the gateway's own, where an upstream is silent for long: many clients give up after 30 seconds.

    C-GET, C-MOVE goes to the upstream ─▶ Pulse.watch ─▶ nothing was sent to the client for the interval ─▶ pending, with the last known counts

Rule: never after the final response. It is taken out of the outstanding ones before it is sent, and both are looked at under the lane's lock.
One thread for a gateway, while a retrieve is outstanding.
"""

from __future__ import annotations

import logging
import select
import threading
import time
from typing import TYPE_CHECKING

from hirules.dimse.conversation import Conversation, Outstanding
from hirules.dimse.encrypted import Encrypted
from hirules.dimse.message import C_GET_RQ, C_MOVE_RQ, NO_DATA_SET, RESPONSE, encode_command
from hirules.dimse.pdu import message_pdus

if TYPE_CHECKING:
    from hirules.dimse.pump import Lane

log = logging.getLogger("hirules.dimse")

PENDING = 0xFF00
RETRIEVES = frozenset({C_GET_RQ, C_MOVE_RQ})


class Pulse:
    """Of one gateway. Thread safe."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._lock = threading.Condition()
        self._watched: dict[Conversation, Lane] = {}
        self._running = False
        self._closed = False

    def close(self) -> None:
        """End the thread."""
        with self._lock:
            self._closed = True
            self._watched.clear()
            self._lock.notify_all()

    def watch(self, asked: Conversation, client: Lane) -> None:
        """A retrieve of ``asked`` is outstanding: keep its client alive until it is over."""
        with self._lock:
            if self._closed:
                return
            self._watched[asked] = client
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="dimse-pending", daemon=True).start()

    def forget(self, asked: Conversation) -> None:
        """Its association is over."""
        with self._lock:
            if self._watched.pop(asked, None) is not None:
                self._lock.notify_all()

    def _run(self) -> None:
        """Ends when nothing was watched for an interval."""
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._watched or self._closed, self._interval)
                if not self._watched:
                    self._running = False
                    return
                watched = list(self._watched.items())
            waiting = [self._look(asked, client) for asked, client in watched]
            with self._lock:
                self._lock.wait(min((left for left in waiting if left is not None), default=0.0))

    def _look(self, asked: Conversation, client: Lane) -> float | None:
        """Send what is due; seconds until it may be due again, ``None`` where no retrieve is outstanding."""
        retrieves = [(number, request) for number, request in list(asked.sent.items()) if request.field in RETRIEVES]
        if not retrieves:
            with self._lock:
                # a retrieve that was registered just now is watched anew after it was registered
                if not any(request.field in RETRIEVES for request in list(asked.sent.values())):
                    self._watched.pop(asked, None)
            return None
        left = self._interval - (time.monotonic() - client.active)
        if left > 0:
            return left
        for number, request in retrieves:
            self._send(asked, client, number, request)
        return self._interval

    def _send(self, asked: Conversation, client: Lane, number: int, request: Outstanding) -> None:
        # a message to the client is under way: it is not silent
        if not client.lock.acquire(blocking=False):
            return
        try:
            if client.finished or asked.sent.get(number) is not request or not _takes(client):
                return
            client.peer.sendall(message_pdus(request.context, pending(number, request), None, asked.sender_max_length))
            client.active = time.monotonic()
        except OSError:
            log.debug("a client was gone when it was to be told that its retrieve is pending")
        finally:
            client.lock.release()


def pending(number: int, request: Outstanding) -> bytes:
    """The command set of a pending response to the retrieve ``number`` (PS3.7 §9.1.3.2, §9.1.4.2)."""
    values: dict[str, object] = {
        "CommandField": request.field | RESPONSE,
        "MessageIDBeingRespondedTo": number,
        "CommandDataSetType": NO_DATA_SET,
        "Status": PENDING,
        **request.progress,
    }
    return encode_command(values)


def _takes(client: Lane) -> bool:
    """Whether there is room for a small PDU: a client that does not read must not hold up the others."""
    poll = select.poll()
    poll.register(client.peer.socket if isinstance(client.peer, Encrypted) else client.peer, select.POLLOUT)
    return bool(poll.poll(0))
