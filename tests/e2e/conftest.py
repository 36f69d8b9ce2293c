"""The gateway in front of each archive, and clients on both sides of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway import serve
from tests.peers.clients import Client
from tests.peers.process import Server

Requests = Callable[[str], int]


@pytest.fixture(scope="module", params=["orthanc", "dcmqrscp"])
def pacs(request: pytest.FixtureRequest) -> Server:
    """Each archive in turn."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Server)
    return server


@pytest.fixture(scope="module")
def gateway(pacs: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`hirules serve` in front of the archive."""
    server = serve(tmp_path_factory.mktemp("gateway"), pacs)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, f"the gateway ended with {code}:\n{server.text()[-3000:]}"


@pytest.fixture
def client(gateway: Server, tmp_path: Path) -> Client:
    """DCMTK's clients towards the gateway."""
    return Client("CLIENT", gateway.aet, gateway.port, tmp_path / "client")


@pytest.fixture
def direct(pacs: Server, tmp_path: Path) -> Client:
    """The same clients towards the archive itself."""
    return Client("CLIENT", pacs.aet, pacs.port, tmp_path / "direct")


@pytest.fixture
def reached(pacs: Server) -> Requests:
    """How many requests of a kind (``C-GET``) the archive has logged until now."""

    def count(kind: str) -> int:
        orthanc, dcmtk = f"Incoming {kind.removeprefix('C-').capitalize()} request from", f": {kind} RQ"
        return pacs.text().count(orthanc if pacs.aet == "ORTHANC" else dcmtk)

    return count
