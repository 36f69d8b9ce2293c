"""How clients come in and upstreams are reached: TLS on either leg, and who verifies users."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

import msgspec

from hirules.dimse.identity import Verifier
from hirules.dimse.lookup_scu import Node
from hirules.dimse.options import Options
from hirules.dimse.tls import Certificate, Contexts, accept, connect
from hirules.dimse.transport import Peer, low_latency


class UpstreamTls(msgspec.Struct, frozen=True):
    """TLS towards one upstream, whose certificate must have ``name``."""

    contexts: Contexts
    name: str


class Access(msgspec.Struct, frozen=True):
    """Without anything: plain connections, and nobody is verified. ``upstreams`` is by their names."""

    clients: Contexts | None = None
    upstreams: Mapping[str, UpstreamTls] = {}
    nodes: Mapping[tuple[str, int], UpstreamTls] = {}
    """Of the archives that answer look-ups, by host and port."""
    verifier: Verifier | None = None
    forward_identity: bool = False

    def greet(self, peer: socket.socket, seconds: float) -> tuple[Peer, Certificate | None]:
        """A client's connection ready to be read, and its certificate. Raises :class:`~hirules.dimse.tls.TlsFailed`, ``OSError``."""
        if self.clients is None:
            return peer, None
        return accept(peer, self.clients, time.monotonic() + seconds)

    def ask(self, node: Node, seconds: float) -> Peer:
        """A connection to an archive that answers look-ups, with the TLS of its address. Raises :class:`TlsFailed`, ``OSError``."""
        peer = socket.create_connection((node.host, node.port), seconds)
        tls = self.nodes.get((node.host, node.port))
        if tls is None:
            return peer
        try:
            return connect(peer, tls.contexts, tls.name, time.monotonic() + seconds)[0]
        except BaseException:
            peer.close()
            raise

    def reach(self, options: Options) -> Peer:
        """A connection to the upstream of ``options``. Raises :class:`~hirules.dimse.tls.TlsFailed`, ``OSError``."""
        upstream = socket.create_connection((options.upstream_host, options.upstream_port), options.connect_timeout)
        try:
            low_latency(upstream)
            tls = self.upstreams.get(options.upstream)
            if tls is None:
                return upstream
            return connect(upstream, tls.contexts, tls.name, time.monotonic() + options.connect_timeout)[0]
        except BaseException:
            upstream.close()
            raise
