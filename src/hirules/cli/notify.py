"""What systemd is told (sd_notify(3)): the protocol is one datagram, so it needs no package."""

from __future__ import annotations

import logging
import os
import socket

log = logging.getLogger("hirules")


def notify(state: str) -> None:
    """Tell the service manager ``READY=1``, ``STOPPING=1`` …; nothing where nobody listens."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    # an abstract address is written with @
    address = "\0" + where[1:] if where.startswith("@") else where
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as peer:
            peer.settimeout(1.0)
            peer.sendto(state.encode(), address)
    except OSError as error:
        log.warning("systemd could not be told `%s`: %s", state, type(error).__name__)
