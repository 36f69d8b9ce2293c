"""Rules about patients, studies and numbers of instances, in front of real archives: what is refused never leaves, whatever level names it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    BasicGrayscalePrintManagementMeta,
    CTImageStorage,
    Printer,
    PrinterInstance,
    StudyRootQueryRetrieveInformationModelGet,
)

from tests.e2e.gateway import AET, records
from tests.peers import servers
from tests.peers.clients import Client, Run, received
from tests.peers.objects import FOLDER, OTHER_PATIENT, PATIENT, Instance, archive, read, study_of
from tests.peers.process import HOST, Server, listening, start

MOST = 10
CT = study_of()
VIP = study_of(OTHER_PATIENT)
POLICY = f"""\
hirules: 1
policy: research
lists:
  vip: ["{OTHER_PATIENT}"]
rules:
  - id: old-ct-and-mr
    on: [c-get, c-move]
    when:
      subject.ae_title: RESEARCH
      resource.Modality: {{subset_of: [CT, MR]}}
      resource.ModalitiesInStudy: {{subset_of: [CT, MR]}}
      resource.StudyDate: {{older_than: 90d}}
    allow: {{}}
  - id: no-vip
    on: [c-get, c-move]
    when: {{resource.PatientID: {{in: $vip}}}}
    deny: {{status: 0xA702, reason: not this record}}
  - id: not-too-many
    on: [c-get, c-move]
    when: {{resource.instance_count: {{gt: {MOST}}}}}
    deny: {{status: 0xA701, reason: too many instances at once}}
  - id: merged
    on: c-get
    when: {{request.Identifier.StudyInstanceUID: {{contains: 1.2.3.1}}}}
    rewrite: [{{set: {{request.Identifier.StudyInstanceUID: {CT[0].study}}}}}]
  - id: wrongly-merged
    on: c-get
    when: {{request.Identifier.StudyInstanceUID: {{contains: 1.2.3.2}}}}
    rewrite: [{{set: {{request.Identifier.StudyInstanceUID: {VIP[0].study}}}}}]
  - id: others
    on: [c-find, c-store]
    allow: {{}}
"""
MANY = tuple(each for each in archive() if each.study == "1.3.6.1.4.1.5962.1.1.0.0.0.1196533885.18148.0.1")
"""MR, of several series."""
assert len(MANY) > MOST


@contextmanager
def serving(folder: Path, upstream: Server, dimse: str = "", facts: str = "{}", policy: str = POLICY) -> Iterator[Server]:
    """`hirules serve` with a configuration, listening."""
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "research.yaml").write_text(policy, encoding="utf-8")
    configuration = folder / "hirules.yaml"

    def command(port: int) -> list[str | Path]:
        listen = f"listen: {AET}@{HOST}:{port}, upstream: {upstream.name}"
        configuration.write_text(f"policies: policies\naudit: {{file: audit.jsonl}}\nfacts: {facts}\ndimse: {{{listen}{dimse}}}\n", encoding="utf-8")
        return [Path(sys.executable).parent / "hirules", "serve", "--config", configuration]

    server = start(AET, folder, command, listening)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, f"the gateway ended with {code}:\n{server.text()[-3000:]}"


@pytest.fixture(scope="module")
def gateway(pacs: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The gateway in front of each archive."""
    with serving(tmp_path_factory.mktemp("gateway"), pacs) as server:
        yield server


@pytest.fixture
def client(gateway: Server, tmp_path: Path) -> Client:
    """A research node."""
    return Client("RESEARCH", gateway.aet, gateway.port, tmp_path / "client")


def keys(level: str, *instances: Instance, patient: str = "") -> list[str]:
    """The identifier of a retrieve of all of ``instances`` at a level."""
    first = instances[0]
    values = {"STUDY": [each.study for each in instances], "SERIES": [each.series for each in instances], "IMAGE": [each.uid for each in instances]}
    found = [f"QueryRetrieveLevel={level}"]
    if patient or level == "PATIENT":
        found.append(f"PatientID={patient or first.patient}")
    for name, keyword in (("STUDY", "StudyInstanceUID"), ("SERIES", "SeriesInstanceUID"), ("IMAGE", "SOPInstanceUID")):
        if level == "PATIENT":
            break
        uids = list(dict.fromkeys(values[name])) if name == level else values[name][:1]
        found.append(f"{keyword}=" + "\\".join(uids))
        if name == level:
            break
    return found


def uids(*instances: Instance) -> set[str]:
    return {instance.uid for instance in instances}


def in_series(instance: Instance) -> list[Instance]:
    return [each for each in archive() if each.series == instance.series]


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_what_may_be_retrieved_arrives_at_every_level(client: Client, level: str) -> None:
    expected = {"STUDY": CT, "SERIES": in_series(CT[0]), "IMAGE": CT[:1]}[level]
    for model, patient in (("--study", ""), ("--patient", PATIENT)):
        done = client.get(*keys(level, CT[0], patient=patient), model=model)
        assert done.status == 0, done.text
        assert set(done.files) == uids(*expected)


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
def test_a_vip_never_leaves(client: Client, receiver: Server, level: str) -> None:
    for model, patient in (("--study", ""), ("--patient", OTHER_PATIENT)):
        if model == "--study" and level == "PATIENT":
            continue
        done = client.get(*keys(level, VIP[0], patient=patient), model=model)
        assert (done.status, done.files) == (0xA702, {}), done.text
        assert moved(receiver, lambda: client.move("DEST", *keys(level, VIP[0], patient=patient), model=model), 0xA702) == {}  # noqa: B023


def test_a_patient_is_counted_over_all_studies(client: Client) -> None:
    done = client.get("QueryRetrieveLevel=PATIENT", f"PatientID={PATIENT}", model="--patient")
    assert (done.status, done.files) == (0xA701, {})
    one = next(instance for instance in archive() if instance.patient == "1CT1")
    done = client.get("QueryRetrieveLevel=PATIENT", "PatientID=1CT1", model="--patient")
    assert (done.status, set(done.files)) == (0, {one.uid}), done.text


def test_a_patient_that_is_not_there_reaches_nothing(client: Client, reached: Callable[[str], int]) -> None:
    before = reached("C-GET")
    done = client.get("QueryRetrieveLevel=PATIENT", "PatientID=NOBODY", model="--patient")
    assert (done.status, done.files) == (0x0124, {})  # no rule allows what has no modality
    assert reached("C-GET") == before


def test_a_study_with_too_many_instances_is_refused_and_its_series_are_not(client: Client) -> None:
    done = client.get(*keys("STUDY", MANY[0]))
    assert (done.status, done.files) == (0xA701, {}), done.text
    done = client.get(*keys("SERIES", MANY[0]))
    assert (done.status, set(done.files)) == (0, uids(*in_series(MANY[0]))), done.text


def test_of_a_list_every_study_must_be_free_to_go(client: Client) -> None:
    single = [next(instance for instance in archive() if instance.patient == name) for name in ("1CT1", "4MR1")]
    done = client.get(*keys("STUDY", *single))
    assert (done.status, set(done.files)) == (0, uids(*single)), done.text
    done = client.get(*keys("STUDY", *single, VIP[0]))
    assert (done.status, done.files) == (0xA702, {}), done.text


def test_of_a_list_of_instances_those_of_other_series_are_unknown(client: Client) -> None:
    series = in_series(CT[0])
    done = client.get(*keys("IMAGE", *series))
    assert (done.status, set(done.files)) == (0, uids(*series)), done.text
    done = client.get(*keys("IMAGE", *series, VIP[0]))
    assert (done.status, done.files) == (0xA702, {}), done.text


def test_a_study_that_is_not_there_is_unknown(client: Client, gateway: Server, reached: Callable[[str], int]) -> None:
    before = reached("C-GET")
    for named in ("1.2.3.4", f"{CT[0].study}\\1.2.3.4"):
        done = client.get("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={named}")
        assert (done.status, done.files) == (0xA702, {}), done.text
    assert reached("C-GET") == before
    found: Any = decisions(gateway)[-1]["errors"]
    assert {error["path"] for error in found} >= {"resource.PatientID"}


def test_what_names_the_patient_of_another_study_is_not_believed(client: Client) -> None:
    done = client.get(*keys("STUDY", VIP[0], patient=PATIENT), model="--patient")
    assert (done.status, done.files) == (0xA702, {}), done.text


def test_a_rewritten_request_is_decided_on_what_it_reaches_then(client: Client) -> None:
    done = client.get("QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.3.1")
    assert (done.status, set(done.files)) == (0, uids(*CT)), done.text
    done = client.get("QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.3.2")
    assert (done.status, done.files) == (0xA702, {}), done.text


def test_a_move_of_what_may_leave(client: Client, receiver: Server) -> None:
    assert set(moved(receiver, lambda: client.move("DEST", *keys("STUDY", CT[0])), 0)) == uids(*CT)


def test_the_record_says_what_was_asked_and_what_it_cost(client: Client, gateway: Server) -> None:
    client.store(FOLDER / "rtdose_1frame.dcm")  # from here on nothing is remembered
    for _ in range(2):
        client.get(*keys("STUDY", CT[0]))
    first, second = [lookups(record) for record in decisions(gateway)[-2:]]
    assert set(first["needed"]) == {"PatientID", "Modality", "ModalitiesInStudy", "StudyDate", "instance_count"}
    assert (first["entities"], first["cached"], first["error"]) == (1, False, None)
    assert first["milliseconds"] > 0
    assert (second["cached"], second["entities"]) == (True, 1)
    client.store(FOLDER / "rtdose_1frame.dcm")
    client.get(*keys("STUDY", CT[0]))
    assert lookups(decisions(gateway)[-1])["cached"] is False


def test_a_store_changes_what_is_decided(client: Client, tmp_path: Path) -> None:
    """What leaves after a store is decided on what the archive has then."""
    template = read(FOLDER / "MR_small.dcm")
    first = tmp_path / "first.dcm"
    others = [tmp_path / f"{number}.dcm" for number in range(MOST)]
    for number, path in enumerate([first, *others]):
        copied(template, path, study="1.2.826.0.1.3680043.8.498.77", number=number)
    client.store(first)
    wanted = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=1.2.826.0.1.3680043.8.498.77")
    assert client.get(*wanted).status == 0
    client.store(*others)
    done = client.get(*wanted)
    assert (done.status, done.files) == (0xA701, {})


def test_look_ups_leave_nothing_open(client: Client, gateway: Server) -> None:
    gateway.wait_for(lambda: idle(gateway) == idle(gateway), "rest")
    before = idle(gateway)
    for _ in range(5):
        client.get(*keys("STUDY", VIP[0]))
    gateway.wait_for(lambda: idle(gateway) <= before, "rest after look-ups", 30)


# -- archives that fail -------------------------------------------------------------------------------


@pytest.fixture
def stoppable(tmp_path: Path) -> Iterator[Server]:
    """dcmqrscp of its own."""
    server = servers.dcmqrscp(tmp_path / "stoppable", {})
    try:
        yield server
    finally:
        os.killpg(server.process.pid, signal.SIGCONT)
        server.stop()


def test_an_archive_that_stops_during_the_look_up_refuses_in_time(stoppable: Server, tmp_path: Path) -> None:
    with serving(tmp_path / "gateway", stoppable, facts="{deadline: 1, cache: 0}") as gateway:
        association = associated(gateway)
        assert retrieve(association, CT[0].study) == 0
        before = idle(gateway)
        os.killpg(stoppable.process.pid, signal.SIGSTOP)
        for _ in range(3):
            assert retrieve(association, CT[0].study) == 0xA702
        errors: Any = decisions(gateway)[-1]["errors"]
        assert any("in time" in error["message"] for error in errors)
        os.killpg(stoppable.process.pid, signal.SIGCONT)
        assert retrieve(association, CT[0].study) == 0
        gateway.wait_for(lambda: idle(gateway) <= before, "rest after failed look-ups", 30)
        association.release()


def test_an_archive_that_is_away_refuses(stoppable: Server, tmp_path: Path) -> None:
    with serving(tmp_path / "gateway", stoppable, f", lookup_nodes: ['AWAY@{HOST}:1']") as gateway:
        client = Client("RESEARCH", gateway.aet, gateway.port, tmp_path / "client")
        done = client.get(*keys("STUDY", CT[0]))
        assert (done.status, done.files) == (0xA702, {})
        assert "cannot be reached" in lookups(decisions(gateway)[-1])["error"]


def test_a_second_node_answers_look_ups(stoppable: Server, tmp_path: Path) -> None:
    with serving(tmp_path / "gateway", stoppable, f", lookup_nodes: ['AWAY@{HOST}:1', '{stoppable.name}'], lookup_ae_title: LOOKER") as gateway:
        client = Client("RESEARCH", gateway.aet, gateway.port, tmp_path / "client")
        assert set(client.get(*keys("STUDY", CT[0])).files) == uids(*CT)
        done = client.get(*keys("STUDY", VIP[0]))
        assert (done.status, done.files) == (0xA702, {})
    assert "LOOKER" in stoppable.text()


def test_a_look_up_with_too_many_matches_is_unknown(stoppable: Server, tmp_path: Path) -> None:
    with serving(tmp_path / "gateway", stoppable, ", lookup_matches: 5") as gateway:
        client = Client("RESEARCH", gateway.aet, gateway.port, tmp_path / "client")
        done = client.get(*keys("STUDY", MANY[0]))  # dcmqrscp does not count: its instances are asked for
        assert (done.status, done.files) == (0xA702, {})
        assert "more than" in lookups(decisions(gateway)[-1])["error"]


def test_what_no_query_answers_is_unknown(dcmprscp: Server, tmp_path: Path) -> None:
    """A printer has no patients: whether this N-GET is about a VIP nobody knows."""
    policy = """\
hirules: 1
policy: printing
rules:
  - {id: all, on: n-get, when: {subject.ae_title: {in: [WARD, RESEARCH]}}, allow: {}}
  - {id: no-vip, on: n-get, when: {subject.ae_title: RESEARCH, resource.PatientID: VIP}, deny: {}}
"""
    with serving(tmp_path / "gateway", dcmprscp, policy=policy) as gateway:
        statuses = {}
        for title in ("WARD", "RESEARCH"):
            entity = AE(title)
            entity.add_requested_context(BasicGrayscalePrintManagementMeta)
            association = entity.associate(HOST, gateway.port, ae_title=AET)
            assert association.is_established
            status, _ = association.send_n_get([], Printer, PrinterInstance, meta_uid=BasicGrayscalePrintManagementMeta)
            statuses[title] = status.Status
            association.release()
        assert statuses == {"WARD": 0, "RESEARCH": 0x0124}
        found: Any = [record["lookups"] for record in records(gateway) if record.get("action") == "n-get"]
        assert [len(each) for each in found] == [0, 1]
        assert found[1][0]["error"]


def associated(gateway: Server) -> Any:
    """An association of a research node that receives CT."""
    from pynetdicom import build_role, evt

    ae = AE("RESEARCH")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    ae.add_requested_context(CTImageStorage)
    association = ae.associate(
        HOST, gateway.port, ae_title=AET, ext_neg=[build_role(CTImageStorage, scp_role=True)], evt_handlers=[(evt.EVT_C_STORE, lambda event: 0)]
    )
    assert association.is_established
    return association


def retrieve(association: Any, study: str) -> int:
    """The final status of a C-GET."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", study
    statuses = [status.Status for status, _ in association.send_c_get(identifier, StudyRootQueryRetrieveInformationModelGet)]
    return int(statuses[-1])


def idle(gateway: Server) -> tuple[int, int]:
    """Threads and open files of the gateway."""
    process = Path(f"/proc/{gateway.process.pid}")
    return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir()))


def decisions(gateway: Server) -> list[dict[str, object]]:
    """The recorded decisions on retrieves."""
    return [record for record in records(gateway) if record["entry"] == "decision" and record["action"] in ("c-get", "c-move")]


def lookups(record: dict[str, object]) -> dict[str, Any]:
    """The one look-up of a decision."""
    found: Any = record["lookups"]
    (one,) = found
    assert isinstance(one, dict)
    return one


def moved(receiver: Server, move: Callable[[], Run], status: int) -> dict[str, bytes]:
    """What arrives at the receiver by one C-MOVE, which ends with ``status``."""
    folder = receiver.folder / "received"
    for path in folder.iterdir():
        path.unlink()
    done = move()
    assert done.status == status, done.text
    return received(folder)


def copied(template: Instance, path: Path, *, study: str, number: int) -> None:
    """An instance of a study of its own."""
    from pydicom import dcmread

    dataset = dcmread(template.path)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = study, f"{study}.1", f"{study}.1.{number}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.save_as(path)
