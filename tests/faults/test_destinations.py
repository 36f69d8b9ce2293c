"""A destination of C-MOVEs that go through stands still in the middle of one: DCMTK's storescp. Others are delivered to meanwhile."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.faults.site import ALLOWED, IMAGES, LARGE_STUDY, STUDY, Retrieve, Site
from tests.faults.test_clients import outcome
from tests.peers import servers
from tests.peers.clients import received
from tests.peers.process import Server

BEGUN = "Received Store Request"
"""Of storescp, when the command of an instance is there."""
ATTEMPTS = 10
"""How often a retrieve is begun anew that was over before its destination could be stopped."""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = servers.storescp(tmp_path_factory.mktemp("receiver"), "STORESCP")
    yield made
    made.stop()


@pytest.fixture(scope="module", params=["dcmqrscp", "orthanc"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, receiver: Server) -> Iterator[Site]:
    """In front of each archive, with a destination more."""
    folder = tmp_path_factory.mktemp("destinations")
    # dcmqrscp locks its index while it sends: its other client waits as long as it does
    made = Site(folder, getattr(servers, request.param), idle_timeout=15, send_timeout=1.5, also={"STILL": {"through": receiver.name}})
    try:
        for to in ("DEST", "STILL"):
            first = made.through(to=to)
            assert first.ends() == 0xB000
            first.association.release()
        yield made
    finally:
        code = made.stop()
    assert code == 0, made.gateway.text()[-3000:]


def stopped(site: Site, receiver: Server, study: str) -> Retrieve:
    """A C-MOVE whose destination was stopped after some instances, or in the middle of the large one."""
    folder = receiver.folder / "received"
    for _ in range(ATTEMPTS):
        for path in folder.iterdir():
            path.unlink()
        mark = len(receiver.text())
        retrieve = site.through(study, to="STILL")
        while not (retrieve.over.is_set() or len(list(folder.iterdir())) >= 2 or (study == LARGE_STUDY and BEGUN in receiver.text()[mark:])):
            time.sleep(0.0005)
        os.killpg(receiver.process.pid, signal.SIGSTOP)
        time.sleep(0.2)
        if not retrieve.over.is_set():
            return retrieve
        os.killpg(receiver.process.pid, signal.SIGCONT)
        retrieve.association.release()
    raise AssertionError("it is always over before")


def counts(retrieve: Retrieve) -> tuple[int, int]:
    """Completed and failed, as the client was told."""
    return int(retrieve.final.NumberOfCompletedSuboperations), int(retrieve.final.NumberOfFailedSuboperations)


@pytest.mark.parametrize("study", [STUDY, LARGE_STUDY], ids=["between instances", "within one"])
def test_it_stands_still(site: Site, receiver: Server, study: str) -> None:
    """Its time-out makes the rest fail, and the counts say so; who moves to another destination gets all, and so does this one when it goes on."""
    with site.watched():
        retrieve = stopped(site, receiver, study)
        try:
            site.works("through")
            assert retrieve.ends() not in (0, None)
        finally:
            os.killpg(receiver.process.pid, signal.SIGCONT)
        retrieve.association.release()
        stored = outcome(site, retrieve.title, "c-move")["instances"]
        assert isinstance(stored, int)
        assert stored < len(ALLOWED)
        if site.archive.aet == "DCMQRSCP":  # Orthanc counts nothing where anything failed
            assert counts(retrieve) == (stored, (IMAGES if study == STUDY else 1) - stored)
        time.sleep(0.5)
        retrieve.received[:] = received(receiver.folder / "received")
        # what it had and did not answer it may store when it goes on
        assert stored <= len(retrieve.received) <= stored + 1
        again = site.through(to="STILL")
        assert again.ends() == 0xB000
        again.association.release()
    assert set(received(receiver.folder / "received")) == ALLOWED | set(retrieve.received)
