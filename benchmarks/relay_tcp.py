"""A plain TCP relay, the floor for a relay in Python: two blocking threads a connection, nothing is looked at.

python -m benchmarks.relay_tcp PORT UPSTREAM_PORT
"""

from __future__ import annotations

import socket
import sys
import threading

HOST = "127.0.0.1"
BUFFER = 256 * 1024


def pump(source: socket.socket, target: socket.socket) -> None:
    """All of one direction, and its end."""
    buffer = bytearray(BUFFER)
    view = memoryview(buffer)
    try:
        while size := source.recv_into(buffer):
            target.sendall(view[:size])
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for peer in (source, target):
            peer.close()


def serve(client: socket.socket, port: int) -> None:
    """One connection, until both directions ended."""
    with client, socket.create_connection((HOST, port)) as upstream:
        for peer in (client, upstream):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        back = threading.Thread(target=pump, args=(upstream, client), daemon=True)
        back.start()
        pump(client, upstream)
        back.join()


def main(port: int, upstream: int) -> None:
    """Until it is ended."""
    with socket.create_server((HOST, port), backlog=128) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, upstream), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
