"""Certificates that expire: of a client, of the gateway, of the archive.

What goes on goes on, what is new is refused, and a new certificate needs no restart.
"""

from __future__ import annotations

import ssl
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.dimse.certificates import Authority
from tests.faults.site import ENOUGH, MISTAKES, until
from tests.peers.process import HOST, Server, listening, start

SOON = 4.0
"""Seconds that a short certificate lasts."""
POLICY = """\
hirules: 1
policy: certificates
title: Whoever has a certificate may associate
owner: the tests
rules:
  - {id: may, on: c-find, allow: {}}
"""


class Peers:
    """A gateway with TLS on both legs, mutual on the client's, in front of an archive that answers C-ECHO."""

    def __init__(self, folder: Path, short: str) -> None:
        self.authority = Authority(folder)
        self.expires = time.monotonic() + SOON
        for name in ("gateway", "client", "archive"):
            self.issue(name, SOON if name == short else 3600)
        entity = AE(ae_title="PACS")
        entity.add_supported_context(Verification)
        entity.network_timeout = 60
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(folder / "archive.pem", folder / "archive.key")
        self._context = server
        handlers = [(evt.EVT_C_ECHO, lambda _: 0)]
        self._archive: Any = entity.start_server((HOST, 0), block=False, ssl_context=server, evt_handlers=handlers)  # type: ignore[arg-type]
        self.gateway = self._gateway(folder)

    def issue(self, name: str, seconds: float) -> None:
        """A certificate that lasts so long, in the place of the one before."""
        self.authority.issue(name, lasts=timedelta(seconds=seconds))

    def renew(self, name: str) -> None:
        """One that lasts; the archive reads its own, the gateway is told nothing."""
        self.issue(name, 3600)
        if name == "archive":
            self._context.load_cert_chain(self.authority.folder / "archive.pem", self.authority.folder / "archive.key")

    def _gateway(self, folder: Path) -> Server:
        (folder / "policies").mkdir()
        (folder / "policies" / "certificates.yaml").write_text(POLICY, encoding="utf-8")
        archive, authority = self._archive.socket.getsockname()[1], self.authority.file

        def command(port: int) -> list[str | Path]:
            (folder / "hirules.yaml").write_text(
                f"policies: policies\ndimse:\n  listen: GATE@{HOST}:{port}\n  upstream: PACS@{HOST}:{archive}\n  artim_timeout: 5\n"
                f"  tls: {{certificate: gateway.pem, key: gateway.key, clients: {authority}}}\n  upstream_tls: {{authorities: {authority}}}\n",
                encoding="utf-8",
            )
            return [Path(sys.executable).parent / "hirules", "serve", "--verbose", "--config", folder / "hirules.yaml"]

        return start("GATE", folder / "run", command, listening)

    def associated(self) -> Any:
        """An association of a client with its certificate as it is now."""
        folder, context = self.authority.folder, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority.file)
        context.load_cert_chain(folder / "client.pem", folder / "client.key")
        entity = AE(ae_title="CLIENT")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = ENOUGH
        entity.add_requested_context(Verification)
        return entity.associate(HOST, self.gateway.port, ae_title="GATE", tls_args=(context, "localhost"))

    def stop(self) -> None:
        code = self.gateway.stop()
        self._archive.shutdown()
        assert code == 0


@pytest.fixture(params=["client", "gateway", "archive"])
def short(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Peers]]:
    """Whose certificate does not last."""
    peers = Peers(tmp_path, request.param)
    try:
        yield request.param, peers
    finally:
        peers.stop()


def test_a_certificate_that_expires(short: tuple[str, Peers]) -> None:
    name, peers = short
    held = peers.associated()
    assert held.is_established
    time.sleep(max(0.0, peers.expires + 1.0 - time.monotonic()))
    assert held.send_c_echo().Status == 0
    assert not peers.associated().is_established
    peers.renew(name)
    after = peers.associated()
    assert after.is_established
    assert after.send_c_echo().Status == 0
    for association in (held, after):
        association.release()
    until(lambda: "released" in peers.gateway.text(), "release")
    assert not MISTAKES.search(peers.gateway.text())
