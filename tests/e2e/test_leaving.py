"""Research retrieves only CT and MR, never a VIP, without birth dates: with real archives and DCMTK's clients, at every level."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom import dcmread

from tests.e2e.gateway import records, serve
from tests.peers.clients import Client, Run, matches
from tests.peers.objects import FOLDER
from tests.peers.process import Server

POLICY = """\
hirules: 1
policy: research
title: What research gets
owner: the tests
lists:
  vip: [VIP]
rules:
  - {id: may, on: [c-find, c-get], when: {subject.ae_title: CLIENT}, allow: {}}
  - {id: modalities, on: release, when: {instance.Modality: {not_in: [CT, MR]}}, deny: {reason: CT and MR only}}
  - {id: vip, on: release, when: {instance.PatientID: {in: $vip}}, deny: {reason: not this patient}}
  - {id: secret, on: release, when: {instance.SeriesDescription: secret}, deny: {respond: no-match}}
  - {id: births, on: release, rewrite: [{remove: instance.PatientBirthDate}]}
  - {id: no-vip, on: answer, when: {instance.PatientID: {in: $vip}}, deny: {}}
  - {id: no-births, on: answer, rewrite: [{remove: instance.PatientBirthDate}]}
"""
FILLER = "FILLER"
STUDY, VIP_STUDY = "1.2.826.0.1.99.1", "1.2.826.0.1.99.2"
MIXED, PLAIN, VIP_SERIES = f"{STUDY}.1", f"{STUDY}.2", f"{VIP_STUDY}.1"


def _instance(study: str, series: str, number: int, patient: str, modality: str, description: str = "plain") -> pydicom.Dataset:
    image = dcmread(FOLDER / ("MR_small.dcm" if modality == "MR" else "CT_small.dcm"))
    image.StudyInstanceUID, image.SeriesInstanceUID, image.SOPInstanceUID = study, series, f"{series}.{number}"
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.PatientID, image.PatientName, image.PatientBirthDate = patient, f"{patient}^Name", "19700102"
    image.Modality, image.SeriesDescription, image.SeriesNumber, image.InstanceNumber = modality, description, 1, number
    image.StudyDate, image.StudyTime, image.StudyID, image.AccessionNumber = "20240101", "120000", "S", "A"
    return image


IMAGES = [
    _instance(STUDY, MIXED, 1, "P1", "CT"),
    _instance(STUDY, MIXED, 2, "P1", "OT"),
    _instance(STUDY, MIXED, 3, "P1", "CT"),
    _instance(STUDY, MIXED, 4, "P1", "CT", "secret"),
    _instance(STUDY, PLAIN, 1, "P1", "MR"),
    _instance(VIP_STUDY, VIP_SERIES, 1, "VIP", "CT"),
    _instance(VIP_STUDY, VIP_SERIES, 2, "VIP", "CT"),
]
STUDY_LEVEL = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDY}")


@pytest.fixture(scope="module")
def filled(pacs: Server, tmp_path_factory: pytest.TempPathFactory) -> Server:
    folder = tmp_path_factory.mktemp("images")
    paths = []
    for image in IMAGES:
        paths.append(folder / f"{image.SOPInstanceUID}.dcm")
        image.save_as(paths[-1])
    stored = Client(FILLER, pacs.aet, pacs.port, folder / "filler").store(*paths)
    assert [message.status for message in stored.responses("C-STORE RSP")] == [0] * len(paths)
    return pacs


@pytest.fixture(scope="module")
def research(filled: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = serve(tmp_path_factory.mktemp("gateway"), filled, POLICY)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, server.text()[-3000:]


@pytest.fixture
def client(research: Server, tmp_path: Path) -> Client:
    return Client("CLIENT", research.aet, research.port, tmp_path / "client")


def counts(run: Run) -> tuple[int, int, int]:
    """Status, completed and failed of the final response."""
    fields = run.responses("C-GET RSP")[-1].fields
    return run.status, int(fields["Completed Suboperations"]), int(fields["Failed Suboperations"])


def read(run: Run) -> dict[str, pydicom.Dataset]:
    found = [dcmread(path) for path in sorted(run.folder.iterdir()) if path.suffix != ".txt"]
    return {str(image.SOPInstanceUID): image for image in found}


def uids(series: str, *numbers: int) -> set[str]:
    return {f"{series}.{number}" for number in numbers}


CASES = [
    (STUDY_LEVEL, uids(MIXED, 1, 3) | uids(PLAIN, 1), (0xB000, 3, 1)),
    (("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDY}\\{VIP_STUDY}"), uids(MIXED, 1, 3) | uids(PLAIN, 1), (0xB000, 3, 3)),
    (("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={VIP_STUDY}"), set(), (0x0124, 0, 2)),
    (("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={MIXED}"), uids(MIXED, 1, 3), (0xB000, 2, 1)),
    (("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={PLAIN}"), uids(PLAIN, 1), (0, 1, 0)),
    (
        ("QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={MIXED}", f"SOPInstanceUID={MIXED}.1\\{MIXED}.2"),
        uids(MIXED, 1),
        (0xB000, 1, 1),
    ),
    (("QueryRetrieveLevel=IMAGE", f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={MIXED}", f"SOPInstanceUID={MIXED}.4"), set(), (0, 0, 0)),
]


@pytest.mark.parametrize(("keys", "arrive", "said"), CASES, ids=["study", "studies", "vip", "series", "plain", "images", "hidden"])
def test_only_what_may_leave_arrives(client: Client, research: Server, keys: tuple[str, ...], arrive: set[str], said: tuple[int, int, int]) -> None:
    run = client.get(*keys)
    images = read(run)
    assert set(images) == arrive
    assert counts(run) == said
    # one may be hidden: no response tells how many there are
    assert {answer.fields["Remaining Suboperations"] for answer in run.responses("C-GET RSP")} == {"none"}
    by_uid = {str(image.SOPInstanceUID): image for image in IMAGES}
    for uid, image in images.items():
        assert "PatientBirthDate" not in image
        came = by_uid[uid]
        # every other element, the private ones and the pixels included, is what the archive holds
        assert {element.tag for element in came} - {element.tag for element in image} <= {pydicom.tag.Tag("PatientBirthDate"), pydicom.tag.Tag(0xFFFCFFFC)}
        assert all(image[element.tag] == element for element in came if element.tag in image)


def test_what_was_delivered_is_in_the_record(client: Client, research: Server) -> None:
    known = len(records(research))
    client.get(*STUDY_LEVEL)
    new = records(research)[known:]
    releases = [record for record in new if record["entry"] == "decision" and record["action"] == "release"]
    assert sorted(str(record["decision"]) for record in releases) == ["allow"] * 3 + ["deny"] * 2
    outcome = next(record for record in reversed(new) if record["entry"] == "outcome" and "instances" in str(record))
    assert "'dropped': 1" in str(outcome)
    assert "'hidden': 1" in str(outcome)


def test_a_query_that_does_not_ask_for_the_patient_hides_the_vip(client: Client, filled: Server, tmp_path: Path) -> None:
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "StudyDate=20240101")
    direct = matches(Client("CLIENT", filled.aet, filled.port, tmp_path / "direct").find(*keys))
    found = matches(client.find(*keys))
    assert {str(match.StudyInstanceUID) for match in direct} >= {STUDY, VIP_STUDY}
    assert {str(match.StudyInstanceUID) for match in found} == {str(match.StudyInstanceUID) for match in direct} - {VIP_STUDY}
    assert not [match for match in found if "PatientID" in match or "PatientBirthDate" in match]
    asked = matches(client.find(*keys, "PatientID", "PatientBirthDate"))
    assert [str(match.PatientID) for match in asked if match.StudyInstanceUID == STUDY] == ["P1"]
    assert not [match for match in asked if match.get("PatientBirthDate")]


@pytest.mark.parametrize("level", ["SERIES", "IMAGE"])
def test_nor_at_the_levels_below(client: Client, level: str) -> None:
    keys = ("SeriesInstanceUID",) if level == "SERIES" else (f"SeriesInstanceUID={VIP_SERIES}", "SOPInstanceUID")
    run = client.find(f"QueryRetrieveLevel={level}", f"StudyInstanceUID={VIP_STUDY}", *keys)
    assert run.status == 0
    assert matches(run) == []
