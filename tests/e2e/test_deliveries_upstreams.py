"""Two archives behind one gateway deliver at the same time, for one client title and one message id: each to where its own client said, and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID
from pynetdicom import AE, build_context
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelMove  # type: ignore[attr-defined]

from tests.e2e.test_deliveries import OTHER_STUDY, STUDY, Destination, outcomes, serve
from tests.peers import servers
from tests.peers.objects import FOLDER, Instance
from tests.peers.process import HOST, Server, free_port

ROGUE = "1.2.826.0.1.99"
POLICY = """\
hirules: 1
policy: upstreams
title: Who may move
owner: the tests
rules:
  - {id: move, on: c-move, when: {subject.ae_title: CLIENT}, allow: {}}
"""


class Held(Destination):
    """It answers its first instance when it is let go, and remembers who sent."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go = threading.Event(), threading.Event()
        self.senders: set[str] = set()
        self.behave = self._hold

    def _hold(self, event: Any) -> int:
        self.senders.add(str(event.assoc.requestor.ae_title))
        if str(event.request.AffectedSOPInstanceUID) != ROGUE:
            self.begun.set()
            assert self.go.wait(60)
        return 0


@pytest.fixture
def destinations() -> Iterator[tuple[Held, Held]]:
    made = Held(), Held()
    yield made
    for each in made:
        each.go.set()
        each.stop()


@pytest.fixture
def gateway(tmp_path: Path, destinations: tuple[Held, Held]) -> Iterator[Server]:
    """In front of Orthanc, and of DCMTK's archive; both have all."""
    port = free_port()
    orthanc = servers.orthanc(tmp_path / "orthanc", {"GATE": port})
    dcmqrscp = servers.dcmqrscp(tmp_path / "dcmqrscp", {"GATE": port})
    servers.fill(orthanc)
    deliveries = {name: {"through": f"SLOW@{HOST}:{each.port}"} for name, each in zip(("ONE", "TWO"), destinations, strict=True)}
    upstreams = {"second": {"address": dcmqrscp.name, "called": ["GATE2"]}}
    made = serve(tmp_path / "gateway", orthanc, port, deliveries, POLICY, upstreams=upstreams)
    try:
        yield made
    finally:
        code = made.stop()
        orthanc.stop()
        dcmqrscp.stop()
    assert code == 0
    assert "Traceback" not in made.text()


def moved(port: int, called: str, destination: str, study: tuple[Instance, ...] | list[Instance], statuses: list[int]) -> None:
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", study[0].study
    entity = AE(ae_title="CLIENT")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
    association = entity.associate(HOST, port, ae_title=called)
    responses = list(association.send_c_move(identifier, destination, StudyRootQueryRetrieveInformationModelMove, msg_id=7))
    statuses.append(int(responses[-1][0].Status))
    association.release()


def rogue(port: int, title: str) -> list[int]:
    """What this archive is told of an instance for each of the two C-MOVEs: the first that a gateway sees has the number 65535 at its archive."""
    instance = dcmread(FOLDER / "CT_small.dcm")
    instance.SOPInstanceUID = instance.file_meta.MediaStorageSOPInstanceUID = UID(ROGUE)
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.requested_contexts = [build_context(CTImageStorage, instance.file_meta.TransferSyntaxUID)]
    association = entity.associate(HOST, port, ae_title="GATE")
    said = [int(association.send_c_store(instance, originator_aet="CLIENT", originator_id=number).Status) for number in (65535, 65534)]
    association.release()
    return said


def test_each_delivers_to_its_own_client_s_destination(gateway: Server, destinations: tuple[Held, Held]) -> None:
    one, two = destinations
    statuses: list[int] = []
    first = threading.Thread(target=moved, args=(gateway.port, "GATE", "ONE", STUDY, statuses))
    second = threading.Thread(target=moved, args=(gateway.port, "GATE2", "TWO", OTHER_STUDY, statuses))
    first.start()
    assert one.begun.wait(60)
    second.start()
    assert two.begun.wait(60)
    # both are under way: either archive tries both numbers
    assert rogue(gateway.port, "DCMQRSCP") == [0x0124, 0]
    assert rogue(gateway.port, "ORTHANC") == [0, 0x0124]
    one.go.set()
    two.go.set()
    first.join(60)
    second.join(60)
    assert statuses == [0, 0]
    assert (one.senders, two.senders) == ({"ORTHANC"}, {"DCMQRSCP"})
    assert sorted(one.received) == sorted([ROGUE, *(each.uid for each in STUDY)])
    assert sorted(two.received) == sorted([ROGUE, *(each.uid for each in OTHER_STUDY)])
    assert set(one.originators) == set(two.originators) == {("CLIENT", 7)}
    assert [outcome["destination"] for outcome in outcomes(gateway, "c-move")] == ["SLOW", "SLOW"]
