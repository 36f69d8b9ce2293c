"""C-STORE through the gateway to a receiver that keeps every bit: what arrives is what arrives without the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway import serve
from tests.peers.clients import Client, received
from tests.peers.objects import FOLDER, LARGE, archive
from tests.peers.process import Server


@pytest.fixture(scope="module")
def gateway(receiver: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`hirules serve` in front of storescp."""
    server = serve(tmp_path_factory.mktemp("gateway"), receiver)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, server.text()[-3000:]


def test_the_same_bytes_arrive(gateway: Server, receiver: Server, tmp_path: Path) -> None:
    files = [LARGE, FOLDER / "JPEG2000.dcm", FOLDER / "MR_small_bigendian.dcm", *[instance.path for instance in archive()[:20]]]
    without = stored(Client("CLIENT", receiver.aet, receiver.port, tmp_path / "direct"), receiver, files)
    through = stored(Client("CLIENT", gateway.aet, gateway.port, tmp_path / "client"), receiver, files)
    assert len(without) == len(files)
    assert through == without


def test_a_refused_store_never_arrives(gateway: Server, receiver: Server, tmp_path: Path) -> None:
    assert stored(Client("CLIENT", gateway.aet, gateway.port, tmp_path), receiver, [FOLDER / "examples_palette.dcm"], 0x0124) == {}
    assert "UltrasoundImageStorage" not in [
        line.split("SOP Class UID")[-1].strip(" :") for line in receiver.text().splitlines() if "Affected SOP Class" in line
    ]


def stored(client: Client, receiver: Server, files: list[Path], status: int = 0) -> dict[str, bytes]:
    """What lies at the receiver after one C-STORE of each file."""
    folder = receiver.folder / "received"
    for path in folder.iterdir():
        path.unlink()
    done = client.store(*files, options=["--propose-j2k-lossy"])
    assert [message.status for message in done.responses("C-STORE RSP")] == [status] * len(files)
    return received(folder)
