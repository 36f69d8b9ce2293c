"""How clients come in, and upstreams and destinations are reached: TLS on each leg, and who verifies users."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

import msgspec

from hirules.dimse.identity import Verifier
from hirules.dimse.lookup_scu import Node
from hirules.dimse.options import Destination, Options
from hirules.dimse.tls import Certificate, Contexts, TlsFailed, accept, connect
from hirules.dimse.transport import Peer, low_latency


class PeerTls(msgspec.Struct, frozen=True):
    """TLS towards one upstream or destination, whose certificate must have ``name``."""

    contexts: Contexts
    name: str


class Access(msgspec.Struct, frozen=True):
    """Without anything: plain connections, and nobody is verified. ``upstreams`` and ``destinations`` are by their names."""

    clients: Contexts | None = None
    upstreams: Mapping[str, PeerTls] = {}
    nodes: Mapping[tuple[str, int], PeerTls] = {}
    """Of the archives that answer look-ups, by host and port."""
    destinations: Mapping[str, PeerTls] = {}
    verifier: Verifier | None = None
    forward_identity: bool = False

    def greet(self, peer: socket.socket, seconds: float) -> tuple[Peer, Certificate | None]:
        """A client's connection ready to be read, and its certificate. Raises :class:`~hirules.dimse.tls.TlsFailed`, ``OSError``."""
        if self.clients is None:
            return peer, None
        return accept(peer, self.clients, time.monotonic() + seconds)

    def ask(self, node: Node, seconds: float) -> Peer:
        """A connection to an archive that answers look-ups, with the TLS of its address. Raises :class:`TlsFailed`, ``OSError``."""
        return _connected(node.host, node.port, self.nodes.get((node.host, node.port)), seconds)

    def reach(self, options: Options) -> Peer:
        """A connection to the upstream of ``options``. Raises :class:`~hirules.dimse.tls.TlsFailed`, ``OSError``."""
        return _connected(options.upstream_host, options.upstream_port, self.upstreams.get(options.upstream), options.connect_timeout)

    def deliver(self, destination: Destination, seconds: float) -> Peer:
        """A connection to a *through* destination. Raises :class:`~hirules.dimse.tls.TlsFailed`, ``OSError``."""
        if destination.tls and destination.tls not in self.destinations:
            # INVARIANT: one that is to have TLS is never sent to in the clear
            raise TlsFailed("it is not configured")
        return _connected(destination.host, destination.port, self.destinations.get(destination.tls), seconds)


def _connected(host: str, port: int, tls: PeerTls | None, seconds: float) -> Peer:
    peer = socket.create_connection((host, port), seconds)
    try:
        low_latency(peer)
        return peer if tls is None else connect(peer, tls.contexts, tls.name, time.monotonic() + seconds)[0]
    except BaseException:
        peer.close()
        raise
