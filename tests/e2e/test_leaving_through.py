"""The instances of a C-MOVE that goes through the gateway are decided one by one as they leave for the destination."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from hirules.dimse.options import Destination, Options
from hirules.dimse.server import Gateway
from hirules.facts.disclosed import disclosed
from tests.dimse.leaving import gate_of
from tests.e2e.test_leaving import IMAGES, MIXED, PLAIN, STUDY, VIP_STUDY, uids
from tests.peers import servers
from tests.peers.clients import Client, received
from tests.peers.objects import read
from tests.peers.process import HOST, Server

RULES = """
  - {id: may, on: c-move, when: {subject.ae_title: CLIENT}, allow: {}}
  - {id: modalities, on: release, when: {instance.Modality: {not_in: [CT, MR]}, request.MoveDestination: DEST}, deny: {}}
  - {id: vip, on: release, when: {instance.PatientID: VIP}, deny: {}}
  - {id: secret, on: release, when: {instance.SeriesDescription: secret}, deny: {respond: no-match}}
  - {id: births, on: release, when: {request.action: c-move}, rewrite: [{remove: instance.PatientBirthDate}]}
"""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, receiver: Server) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("through")
    paths = []
    for image in IMAGES:
        paths.append(folder / f"{image.SOPInstanceUID}.dcm")
        image.save_as(paths[-1])
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    archive = servers.dcmqrscp(folder / "archive", {"GATE": port}, instances=[read(path) for path in paths])
    gate = gate_of(RULES)
    options = Options(
        ae_title="GATE", port=port, upstream_ae_title=archive.aet, upstream_host=HOST, upstream_port=archive.port,
        deliveries={"DEST": Destination("DEST", HOST, receiver.port)},
        disclosed=lambda action, asking: disclosed(gate.policies, action, asking),
        decide_deliveries=True,
    )  # fmt: skip
    gateway = Gateway(gate, options)
    try:
        gateway.start()
        yield Client("CLIENT", "GATE", port, folder / "client")
    finally:
        gateway.stop()
        archive.stop()


def test_only_what_may_leave_arrives(client: Client, receiver: Server) -> None:
    into = receiver.folder / "received"
    for name in list(into.iterdir()):
        name.unlink()
    run = client.move("DEST", "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDY}\\{VIP_STUDY}")
    assert set(received(into)) == uids(MIXED, 1, 3) | uids(PLAIN, 1)
    assert not [path for path in into.iterdir() if "PatientBirthDate" in dcmread(path)]
    fields = run.responses("C-MOVE RSP")[-1].fields
    assert (run.status, fields["Completed Suboperations"], fields["Failed Suboperations"]) == (0xB000, "3", "3")
    # one is hidden: no response tells how many there are
    assert len(run.responses("C-MOVE RSP")) > 1
    assert {answer.fields["Remaining Suboperations"] for answer in run.responses("C-MOVE RSP")} == {"none"}


def test_a_move_of_which_nothing_may_leave(client: Client, receiver: Server, tmp_path: Path) -> None:
    before = set(received(receiver.folder / "received"))
    run = client.move("DEST", "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={VIP_STUDY}")
    assert run.status == 0x0124
    assert set(received(receiver.folder / "received")) == before


def test_a_direct_one_is_refused(client: Client) -> None:
    assert client.move("SAFE", "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDY}").status == 0x0124
