"""What all tests share: how hypothesis runs, and the real peers, each started once a module and filled with real DICOM files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import hypothesis
import pytest

from tests.peers import servers
from tests.peers.process import Server

# A noisy machine with two cores is no finding, so nothing here measures time. CI runs the same examples each time: what fails there is the
# change's own; new examples are found by those who run the tests at their desks.
hypothesis.settings.register_profile("desk", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True)
hypothesis.settings.register_profile("ci", hypothesis.settings.get_profile("desk"), derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "desk")


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """storescp with the AE title ``DEST``: the destination of a C-MOVE that every archive knows."""
    with _running(servers.storescp(tmp_path_factory.mktemp("receiver"), "DEST")) as server:
        yield server


@pytest.fixture(scope="module")
def second_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """storescp with the AE title ``SAFE``: another destination that every archive knows."""
    with _running(servers.storescp(tmp_path_factory.mktemp("second-receiver"), "SAFE")) as server:
        yield server


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory, receiver: Server, second_receiver: Server) -> Iterator[Server]:
    """Debian's Orthanc, filled."""
    with _running(servers.orthanc(tmp_path_factory.mktemp("orthanc"), {"DEST": receiver.port, "SAFE": second_receiver.port})) as server:
        servers.fill(server)
        yield server


@pytest.fixture(scope="module")
def dcmqrscp(tmp_path_factory: pytest.TempPathFactory, receiver: Server, second_receiver: Server) -> Iterator[Server]:
    """DCMTK's archive, filled."""
    with _running(servers.dcmqrscp(tmp_path_factory.mktemp("dcmqrscp"), {"DEST": receiver.port, "SAFE": second_receiver.port})) as server:
        yield server


@pytest.fixture(scope="module")
def dcmprscp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """DCMTK's printer."""
    with _running(servers.dcmprscp(tmp_path_factory.mktemp("dcmprscp"))) as server:
        yield server
