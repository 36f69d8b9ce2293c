"""A C-MOVE through the gateway to a destination with TLS: DCMTK's storescp. One that is not what it should be gets nothing, least of all in the clear."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hirules.dimse.legs import REFUSED
from tests.dimse.certificates import HOUR, Authority
from tests.e2e.test_deliveries import STUDY, moved, outcomes, serve, study
from tests.peers import servers
from tests.peers.clients import Client, Run
from tests.peers.process import HOST, free_port


class Listener:
    """A destination without TLS, that keeps what it is sent and answers it with an A-ABORT."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                self.received.append(peer.recv(100_000))
                peer.sendall(bytes([7, 0, 0, 0, 0, 4, 0, 0, 0, 0]))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Site:
    """An archive, the gateway with a delivery of each kind, and who receives."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "certificates")
        for name in ("destination", "gateway"):
            self.authority.issue(name)
        self.authority.issue("expired", lasts=-HOUR)
        self.authority.issue("ours", file="current")
        self.others = Authority(folder / "others", "Somebody Else")
        self.port, self.plain = free_port(), Listener()
        self.receiver, self.expired = (servers.storescp(folder / name, "DEST", *self._tls(name)) for name in ("destination", "expired"))
        self.archive = servers.dcmqrscp(folder / "archive", {"GATE": self.port})
        ours = {"authorities": str(self.authority.file), **self.own("current")}
        to = {"through": self.receiver.name}
        deliveries = {
            "GOOD": {**to, "tls": ours},
            "NAMED": {**to, "tls": {**ours, "name": "localhost"}},
            "STRANGER": {**to, "tls": {**ours, "authorities": str(self.others.file)}},
            "MISNAMED": {**to, "tls": {**ours, "name": "ws1.hospital.example"}},
            "BARE": {**to, "tls": {"authorities": str(self.authority.file)}},
            "EXPIRED": {"through": self.expired.name, "tls": ours},
            "PLAIN": {"through": f"DEST@{HOST}:{self.plain.port}", "tls": ours},
        }
        self.gateway = serve(folder / "gateway", self.archive, self.port, deliveries, connect_timeout=5)
        self.client = Client("CLIENT", "GATE", self.port, folder / "client")

    def own(self, name: str) -> dict[str, str]:
        """A certificate of the authority and its key, as settings."""
        return {"certificate": str(self.authority.folder / f"{name}.pem"), "key": str(self.authority.folder / f"{name}.key")}

    def _tls(self, name: str) -> list[str | Path]:
        own = self.own(name)
        return ["--enable-tls", own["key"], own["certificate"], "--add-cert-file", self.authority.file, "--require-peer-cert"]

    def move(self, destination: str) -> tuple[Run, dict[str, bytes]]:
        """What the client was told, and what arrived."""
        runs: list[Run] = []
        arrived = moved(self.receiver, lambda: runs.append(self.client.move(destination, *study())))
        return runs[0], arrived

    def stop(self) -> None:
        code = self.gateway.stop()
        for server in (self.archive, self.receiver, self.expired):
            server.stop()
        self.plain.close()
        assert code == 0
        assert "Traceback" not in self.gateway.text()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("tls"))
    yield made
    made.stop()


@pytest.mark.parametrize("destination", ["GOOD", "NAMED"])
def test_it_arrives(site: Site, destination: str) -> None:
    run, arrived = site.move(destination)
    assert run.status == 0
    assert set(arrived) == {each.uid for each in STUDY}
    assert outcomes(site.gateway, "c-move")[-1]["instances"] == len(STUDY)


@pytest.mark.parametrize(
    ("destination", "said"),
    [
        ("STRANGER", "self-signed certificate in certificate chain"),
        ("MISNAMED", "certificate is not valid for 'ws1.hospital.example'"),
        ("EXPIRED", "certificate has expired"),
        ("BARE", f"alert|{REFUSED}"),
        ("PLAIN", "wrong version number"),
    ],
)
def test_one_that_is_not_what_it_should_be_gets_nothing(site: Site, destination: str, said: str) -> None:
    before = len(site.gateway.text())
    run, arrived = site.move(destination)
    assert run.status not in (0, 0xFF00)
    outcome = outcomes(site.gateway, "c-move")[-1]
    assert (outcome["NumberOfFailedSuboperations"], outcome["NumberOfCompletedSuboperations"], outcome["instances"]) == (len(STUDY), 0, 0)
    assert arrived == {}
    assert not list((site.expired.folder / "received").iterdir())
    (line,) = [line for line in site.gateway.text()[before:].splitlines() if "no TLS with the destination" in line]
    assert "ERROR" in line
    assert re.search(said, line)
    assert f"check `dimse.deliveries.{destination}.tls`" in line


def test_nothing_goes_in_the_clear(site: Site) -> None:
    site.plain.received.clear()
    site.move("PLAIN")
    assert site.plain.received
    assert {data[:2] for data in site.plain.received} == {b"\x16\x03"}  # the handshake of TLS
    assert not [data for data in site.plain.received if b"DEST" in data or b"1.2.840.10008" in data]


def test_a_new_certificate_needs_no_restart(site: Site) -> None:
    for file in site.own("current").values():
        Path(file).unlink()
    foreign = Authority(site.others.folder, "A Third")
    foreign.issue("theirs")
    for name, file in site.own("current").items():
        Path(file).write_bytes((foreign.folder / f"theirs.{'pem' if name == 'certificate' else 'key'}").read_bytes())
    run, arrived = site.move("GOOD")
    assert run.status not in (0, 0xFF00)
    assert arrived == {}
    site.authority.issue("renewed", file="current")
    run, arrived = site.move("GOOD")
    assert run.status == 0
    assert set(arrived) == {each.uid for each in STUDY}
