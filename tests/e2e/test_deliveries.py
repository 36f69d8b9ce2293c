"""A C-MOVE through the gateway delivers what a direct one delivers, to its own destination, and nothing to anybody else."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelGet, StudyRootQueryRetrieveInformationModelMove  # type: ignore[attr-defined]

from tests.e2e.gateway import records
from tests.peers import servers
from tests.peers.clients import Client, Run, after_meta, received
from tests.peers.objects import FOLDER, OTHER_PATIENT, study_of
from tests.peers.process import HOST, Server, free_port, listening, start
from tests.peers.receiver import Receiver

POLICY = """\
hirules: 1
policy: deliveries
title: Who may move
owner: the tests
rules:
  - {id: move, on: c-move, when: {subject.ae_title: {in: [CLIENT, OTHER]}}, allow: {}}
  - id: nobody-stores
    on: c-store
    when: {subject.ae_title: {in: [CLIENT, ORTHANC, DCMQRSCP]}}
    unless: {request.action: {in: [c-get, c-move]}}
    deny: {reason: nothing is stored here}
  - id: never-moved
    on: c-move
    when: {subject.ae_title: OTHER, request.MoveDestination: DEST}
    deny: {reason: not to this destination}
"""
STUDY, OTHER_STUDY = study_of(), study_of(OTHER_PATIENT)


def study(uid: str = STUDY[0].study) -> tuple[str, ...]:
    return "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={uid}"


class Destination:
    """A destination in this process that does what a test says with each instance."""

    def __init__(self) -> None:
        self.behave: Callable[[Any], int] = lambda _: 0
        self.received: list[str] = []
        self.originators: list[tuple[str, int]] = []
        self._receiver = Receiver("SLOW", self._store, strict=True)
        self.port = self._receiver.port

    def _store(self, event: Any) -> int:
        request = event.request
        self.originators.append((str(request.MoveOriginatorApplicationEntityTitle), int(request.MoveOriginatorMessageID)))
        status = self.behave(event)
        if status == 0:
            self.received.append(str(request.AffectedSOPInstanceUID))
        return status

    def anew(self, behave: Callable[[Any], int]) -> None:
        """Forget what came; from now on do this."""
        self.behave = behave
        self.received.clear()
        self.originators.clear()

    def stop(self) -> None:
        self._receiver.stop()


class Site:
    """An archive that knows the gateway as a move destination, and the gateway in front of it."""

    def __init__(self, pacs: Server, gateway: Server, destinations: dict[str, Server], slow: Destination) -> None:
        self.pacs = pacs
        self.slow = slow
        self.gateway = gateway
        self.destinations = destinations


def serve(folder: Path, pacs: Server | str, port: int, deliveries: Mapping[str, Mapping[str, object]], policy: str = POLICY, **dimse: object) -> Server:
    """The gateway on ``port`` with these deliveries."""
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "deliveries.yaml").write_text(policy, encoding="utf-8")
    settings = {
        "policies": "policies",
        "audit": {"file": "audit.jsonl"},
        "dimse": {"listen": f"GATE@{HOST}:{port}", "upstream": pacs if isinstance(pacs, str) else pacs.name, "deliveries": deliveries, **dimse},
    }
    (folder / "hirules.yaml").write_text(json.dumps(settings), encoding="utf-8")
    hirules = Path(sys.executable).parent / "hirules"
    return start("GATE", folder, lambda _: [hirules, "serve", "--verbose", "--config", folder / "hirules.yaml"], listening, port=port)


@pytest.fixture(scope="module", params=["orthanc", "dcmqrscp"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, receiver: Server, second_receiver: Server) -> Iterator[Site]:
    """Each archive in turn."""
    folder, port, refusing, slow = tmp_path_factory.mktemp("site"), free_port(), free_port(), Destination()
    known = {"DEST": receiver.port, "SAFE": second_receiver.port, "GATE": port}
    pacs = (servers.orthanc if request.param == "orthanc" else servers.dcmqrscp)(folder / "pacs", known)
    try:
        if request.param == "orthanc":
            servers.fill(pacs)
        deliveries = {
            "DEST": {"through": receiver.name},
            "SAFE": {"through": second_receiver.name},
            "ALIAS": {"direct": "SAFE"},
            "DOWN": {"through": f"DOWN@{HOST}:{refusing}"},
            "SLOW": {"through": f"SLOW@{HOST}:{slow.port}"},
            "STRICT": {"through": f"STRANGER@{HOST}:{slow.port}"},
        }
        gateway = serve(folder / "gateway", pacs, port, deliveries, pending_interval=0.5)
        try:
            yield Site(pacs, gateway, {"DEST": receiver, "SAFE": second_receiver}, slow)
        finally:
            code = gateway.stop()
            assert code == 0, gateway.text()[-3000:]
            assert "Traceback" not in gateway.text()
    finally:
        pacs.stop()
        slow.stop()


@pytest.fixture
def client(site: Site, tmp_path: Path) -> Client:
    return Client("CLIENT", site.gateway.aet, site.gateway.port, tmp_path / "client")


@pytest.fixture
def direct(site: Site, tmp_path: Path) -> Client:
    return Client("CLIENT", site.pacs.aet, site.pacs.port, tmp_path / "direct")


def moved(receiver: Server, move: Callable[[], object]) -> dict[str, bytes]:
    """What arrives at the receiver by one C-MOVE."""
    folder: Path = receiver.folder / "received"
    for path in folder.iterdir():
        path.unlink()
    move()
    return received(folder)


def outcomes(gateway: Server, action: str) -> list[dict[str, object]]:
    """What became of the requests of this kind, in their order."""
    lines = records(gateway)
    wanted = [line["id"] for line in lines if line["entry"] == "decision" and line["action"] == action]
    found = {line["id"]: line["outcome"] for line in lines if line["entry"] == "outcome"}
    return [outcome for number in wanted if isinstance(outcome := found.get(number), dict)]


SERIES = ("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={STUDY[0].study}", f"SeriesInstanceUID={STUDY[0].series}")
IMAGE = ("QueryRetrieveLevel=IMAGE", *SERIES[1:], f"SOPInstanceUID={STUDY[0].uid}")
STUDIES = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDY[0].study}\\{OTHER_STUDY[0].study}")


@pytest.mark.parametrize("keys", [study(), SERIES, IMAGE, STUDIES], ids=["study", "series", "image", "list"])
def test_what_arrives_is_what_arrives_directly(site: Site, client: Client, direct: Client, keys: tuple[str, ...]) -> None:
    receiver = site.destinations["DEST"]
    runs: list[Run] = []
    without = moved(receiver, lambda: runs.append(direct.move("DEST", *keys)))
    through = moved(receiver, lambda: runs.append(client.move("DEST", *keys)))
    assert without
    assert through == without
    assert [run.status for run in runs] == [0, 0]
    counts = [run.responses("C-MOVE RSP")[-1].fields["Completed Suboperations"] for run in runs]
    assert counts == [str(len(without))] * 2
    outcome = outcomes(site.gateway, "c-move")[-1]
    assert (outcome["delivery"], outcome["destination"], outcome["instances"]) == ("through", "DEST", len(without))


def test_a_mapped_destination_receives_directly(site: Site, client: Client) -> None:
    receiver = site.destinations["SAFE"]
    assert set(moved(receiver, lambda: client.move("ALIAS", *study()))) == {instance.uid for instance in STUDY}
    outcome = outcomes(site.gateway, "c-move")[-1]
    assert (outcome["delivery"], outcome["destination"]) == ("direct", "SAFE")


@pytest.mark.parametrize("name", ["GATE", "gate"])
def test_a_move_to_the_gateway_itself_is_refused(site: Site, client: Client, name: str) -> None:
    done = client.move(name, *study())
    assert done.status == 0xA801
    assert outcomes(site.gateway, "c-move")[-1]["ended"] == "the gateway itself is no move destination"


def test_a_destination_that_is_down_makes_every_instance_fail(site: Site, client: Client) -> None:
    done = client.move("DOWN", *study())
    assert done.status not in (0, 0xFF00)
    assert outcomes(site.gateway, "c-move")[-1]["instances"] == 0
    assert client.move("DEST", *IMAGE).status == 0


def test_two_clients_with_equal_message_ids_get_their_own(site: Site, client: Client) -> None:
    """movescu numbers its first request 1."""
    other = replace(client, aet="OTHER", folder=client.folder / "other")
    first, second = site.destinations["DEST"], site.destinations["SAFE"]
    for _ in range(4):
        folders = first.folder / "received", second.folder / "received"
        for path in [path for folder in folders for path in folder.iterdir()]:
            path.unlink()
        threads = [
            threading.Thread(target=client.move, args=("DEST", *study())),
            threading.Thread(target=other.move, args=("SAFE", *study(OTHER_STUDY[0].study))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [set(received(folder)) for folder in folders] == [{each.uid for each in STUDY}, {each.uid for each in OTHER_STUDY}]


def test_two_clients_at_once_to_the_same_destination(site: Site, client: Client) -> None:
    other = replace(client, aet="OTHER", folder=client.folder / "other")
    runs: list[Run] = []
    threads = [
        threading.Thread(target=lambda: runs.append(client.move("SAFE", *study()))),
        threading.Thread(target=lambda: runs.append(other.move("SAFE", *study(OTHER_STUDY[0].study)))),
        threading.Thread(target=lambda: runs.append(other.move("DEST", *study()))),
    ]

    def all_at_once() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    files = moved(site.destinations["SAFE"], all_at_once)
    assert set(files) == {each.uid for each in (*STUDY, *OTHER_STUDY)}
    assert sorted(run.status for run in runs) == [0, 0, 0x0124]


def slowly(seconds: float) -> Callable[[Any], int]:
    def behave(_: Any) -> int:
        time.sleep(seconds)
        return 0

    return behave


def move(site: Site, identifier: Dataset, message_id: int = 7) -> tuple[Any, Any]:
    """An association with a C-MOVE to SLOW under way, and its responses."""
    entity = AE(ae_title="CLIENT")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
    association = entity.associate(HOST, site.gateway.port, ae_title="GATE")
    assert association.is_established
    return association, association.send_c_move(identifier, "SLOW", StudyRootQueryRetrieveInformationModelMove, msg_id=message_id)


def both() -> Dataset:
    """Every instance of two studies."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", [STUDY[0].study, OTHER_STUDY[0].study]
    return identifier


def test_the_destination_sees_the_client_as_originator(site: Site) -> None:
    site.slow.anew(lambda _: 0)
    association, responses = move(site, both(), message_id=4711)
    final = list(responses)[-1][0]
    association.release()
    assert final.Status == 0
    assert set(site.slow.originators) == {("CLIENT", 4711)}
    assert sorted(site.slow.received) == sorted(each.uid for each in (*STUDY, *OTHER_STUDY))


def test_a_slow_destination_keeps_the_client_alive(site: Site) -> None:
    """The archive is silent while it waits; the gateway is not."""
    site.slow.anew(slowly(1.6))
    identifier = both()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "IMAGE", STUDY[0].study
    identifier.SeriesInstanceUID, identifier.SOPInstanceUID = STUDY[0].series, STUDY[0].uid
    association, responses = move(site, identifier)
    statuses = [status.Status for status, _ in responses]
    association.release()
    assert statuses[-1] == 0
    assert statuses.count(0xFF00) >= 2
    assert site.slow.received == [STUDY[0].uid]


def test_what_the_destination_refuses_is_counted(site: Site, client: Client) -> None:
    refused = STUDY[0].uid
    site.slow.anew(lambda event: 0xA700 if event.request.AffectedSOPInstanceUID == refused else 0)
    done = client.move("SLOW", *study())
    assert done.status not in (0, 0xFF00)
    outcome = outcomes(site.gateway, "c-move")[-1]
    assert outcome["instances"] == len(site.slow.received)
    assert refused not in site.slow.received
    if done.status == 0xB000:
        assert done.responses("C-MOVE RSP")[-1].fields["Failed Suboperations"] == "1"


def test_a_destination_that_rejects_the_association(site: Site, client: Client) -> None:
    site.slow.anew(lambda _: 0)
    assert client.move("STRICT", *study()).status not in (0, 0xFF00)
    assert site.slow.received == []


def test_a_destination_that_dies_makes_the_rest_fail(site: Site, client: Client) -> None:
    def dies(event: Any) -> int:
        if len(site.slow.received) == 1:
            event.assoc.abort()
        return 0

    site.slow.anew(dies)
    done = client.move("SLOW", *study())
    assert done.status not in (0, 0xFF00)
    assert 1 <= len(site.slow.received) < len(STUDY)
    assert client.move("DEST", *IMAGE).status == 0


def test_a_c_cancel_stops_it(site: Site) -> None:
    site.slow.anew(slowly(0.3))
    association, responses = move(site, both(), message_id=9)
    statuses = [next(responses)[0].Status]
    association.send_c_cancel(9, query_model=StudyRootQueryRetrieveInformationModelMove)
    statuses += [status.Status for status, _ in responses]
    association.release()
    assert statuses[-1] == 0xFE00
    arrived = len(site.slow.received)
    assert arrived < len(STUDY) + len(OTHER_STUDY)
    time.sleep(1)
    assert len(site.slow.received) == arrived


def test_a_client_that_dies_stops_it(site: Site, client: Client) -> None:
    site.slow.anew(slowly(0.3))
    association, responses = move(site, both())
    assert next(responses)[0].Status == 0xFF00
    before = len(outcomes(site.gateway, "c-move"))
    association.abort()
    deadline = time.monotonic() + 20
    while len(outcomes(site.gateway, "c-move")) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    ended = outcomes(site.gateway, "c-move")[-1]
    assert ended["Status"] is None
    assert ended["ended"]
    time.sleep(0.5)
    arrived = len(site.slow.received)
    assert arrived < len(STUDY) + len(OTHER_STUDY)
    time.sleep(1)
    assert len(site.slow.received) == arrived
    assert client.move("DEST", *IMAGE).status == 0


def test_the_record_has_every_delivered_instance_when_the_gateway_is_killed(tmp_path: Path) -> None:
    """With SIGKILL, in the middle of a C-MOVE through it and of a C-GET. Without identifying values UIDs are hashed."""
    slow = Destination()
    port = free_port()
    moving = servers.dcmqrscp(tmp_path / "pacs", {"GATE": port})
    gateway = serve(tmp_path / "gateway", moving, port, {"SLOW": {"through": f"SLOW@{HOST}:{slow.port}"}}, POLICY + GETS)
    try:
        slow.anew(slowly(0.05))
        site = Site(moving, gateway, {}, slow)
        _, responses = move(site, both())
        got = retrieving(gateway)
        gateway.wait_for(lambda: len(slow.received) > 3 and len(got) > 3, "instances")
        gateway.process.kill()
        gateway.process.wait(20)
        assert [status for status, _ in responses][-1:] != [0]
        time.sleep(0.5)
        recorded = {line["instance"] for line in records(gateway) if line["entry"] == "instance"}
        assert {hashed(uid) for uid in [*slow.received, *got]} <= recorded
        assert not any(uid in (gateway.folder / "audit.jsonl").read_text() for uid in slow.received)
    finally:
        gateway.stop()
        moving.stop()
        slow.stop()


def hashed(uid: str) -> str:
    return "sha256:" + hashlib.sha256(uid.encode()).hexdigest()


GETS = "  - {id: get, on: c-get, when: {subject.ae_title: CLIENT}, allow: {}}\n"


def retrieving(gateway: Server) -> list[str]:
    """The instances that a C-GET brings, slowly, on a thread of its own."""
    received: list[str] = []

    def stored(event: Any) -> int:
        received.append(str(event.request.AffectedSOPInstanceUID))
        time.sleep(0.05)
        return 0

    entity = AE(ae_title="CLIENT")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    entity.add_requested_context(CTImageStorage)
    role = build_role(CTImageStorage, scp_role=True)
    association = entity.associate(HOST, gateway.port, ae_title="GATE", ext_neg=[role], evt_handlers=[(evt.EVT_C_STORE, stored)])
    assert association.is_established
    threading.Thread(target=lambda: list(association.send_c_get(both(), StudyRootQueryRetrieveInformationModelGet)), daemon=True).start()
    return received


def test_the_embedded_upstream_delivers_through_too(receiver: Server, tmp_path: Path) -> None:
    gateway = serve(tmp_path / "gateway", f"embedded:{FOLDER / 'dicomdirtests'}", free_port(), {"DEST": {"through": receiver.name}})
    client = Client("CLIENT", gateway.aet, gateway.port, tmp_path / "client")
    try:
        runs: list[Run] = []
        files = moved(receiver, lambda: runs.append(client.move("DEST", *study())))
    finally:
        gateway.stop()
    assert runs[0].status == 0
    assert set(files) == {each.uid for each in STUDY}


RELEASES = """\
hirules: 1
policy: releases
title: What leaves by a C-MOVE
owner: the tests
rules:
  - {id: move, on: c-move, when: {subject.ae_title: CLIENT}, allow: {}}
  - id: not-this-one
    on: release
    when: {instance.SOPInstanceUID: "%s"}
    deny: {reason: it is withheld}
  - id: no-names
    on: release
    rewrite: [{remove: [instance.PatientName]}]
"""


@pytest.mark.parametrize("archive", [servers.dcmqrscp, servers.orthanc], ids=["dcmqrscp", "orthanc"])
def test_a_release_rule_decides_what_goes_through_and_refuses_what_would_go_directly(archive: Callable[..., Server], receiver: Server, tmp_path: Path) -> None:
    port, withheld = free_port(), STUDY[1].uid
    pacs = archive(tmp_path / "pacs", {"GATE": port, "SAFE": receiver.port})
    gateway = serve(tmp_path / "gateway", pacs, port, {"DEST": {"through": receiver.name}}, RELEASES % withheld)
    try:
        if pacs.aet == "ORTHANC":
            servers.fill(pacs)
        client = Client("CLIENT", gateway.aet, gateway.port, tmp_path / "client")
        runs: list[Run] = []
        through = moved(receiver, lambda: runs.append(client.move("DEST", *study())))
        direct = moved(receiver, lambda: runs.append(client.move("SAFE", *study())))
    finally:
        gateway.stop()
        pacs.stop()
    assert set(through) == {each.uid for each in STUDY} - {withheld}
    assert not any(b"\x10\x00\x10\x00PN" in data for data in through.values())
    assert all(b"\x10\x00\x10\x00PN" in after_meta(each.path.read_bytes()) for each in STUDY)
    final = runs[0].responses("C-MOVE RSP")[-1]
    assert (final.status, final.fields["Completed Suboperations"], final.fields["Failed Suboperations"]) == (0xB000, str(len(STUDY) - 1), "1")
    assert (direct, runs[1].status) == ({}, 0x0124)
    assert runs[1].comment == "instances could not be decided: the destination is direct"
    assert "Traceback" not in gateway.text()
    recorded = {line["instance"] for line in records(gateway) if line["entry"] == "instance"}
    assert recorded == {hashed(uid) for uid in through}


def forged(site: Site, calling: str, originator: str, number: int) -> int | None:
    """The status of a C-STORE to the gateway with this Move Originator; ``None``: no association."""
    entity = AE(ae_title=calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    instance = dcmread(FOLDER / "CT_small.dcm")
    entity.requested_contexts = [build_context(CTImageStorage, instance.file_meta.TransferSyntaxUID)]
    association = entity.associate(HOST, site.gateway.port, ae_title="GATE")
    if not association.is_established:
        return None
    status = association.send_c_store(instance, originator_aet=originator, originator_id=number)
    association.release()
    return int(status.Status) if "Status" in status else None


def test_a_forged_originator_gets_nothing(site: Site, client: Client) -> None:
    """While moves are under way, whoever it pretends to be: by policy refused as the `c-store` that it is."""
    stop = threading.Event()

    def moving() -> None:
        while not stop.is_set():
            client.move("DEST", *study())

    mover = threading.Thread(target=moving)
    receiver = site.destinations["DEST"]
    for path in (receiver.folder / "received").iterdir():
        path.unlink()
    mover.start()
    try:
        statuses = [
            forged(site, calling, originator, number)
            for calling in ("CLIENT", site.pacs.aet)
            for originator, number in (("CLIENT", 1), ("CLIENT", 9), ("OTHER", 1))
        ]
    finally:
        stop.set()
        mover.join()
    assert {status for status in statuses if status is not None} == {0x0124}
    assert set(received(receiver.folder / "received")) == {each.uid for each in STUDY}


def test_nothing_is_left_behind(site: Site, client: Client) -> None:
    """Threads and files of the gateway, after moves and clients that died."""
    client.move("DEST", *study())
    before = size(site.gateway)
    for _ in range(5):
        client.move("DEST", *study())
        client.move("DOWN", *IMAGE)
    deadline = time.monotonic() + 20
    while size(site.gateway) > before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert size(site.gateway) <= before


def size(server: Server) -> tuple[int, int]:
    process = Path("/proc") / str(server.process.pid)
    return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))
