"""The shipped policy for research, served: only CT and MR older than 90 days, never a VIP, without birth dates, not too many instances.

With each archive, at every level, by C-GET and by C-MOVE; what arrives is read again, by C-FIND nobody sees the VIP.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from tests.e2e.gateway import records
from tests.e2e.test_leaving import IMAGES, MIXED, PLAIN, STUDY, VIP_STUDY, _instance, uids
from tests.peers import servers
from tests.peers.clients import Client, matches
from tests.peers.objects import read
from tests.peers.process import HOST, Server, free_port, listening, start

PACK = Path(__file__).parents[2] / "rules" / "research-release"
NEW_STUDY, LARGE_STUDY, FOREIGN = "1.2.826.0.1.99.3", "1.2.826.0.1.99.4", "1.2.826.0.1.99.9"
MOST = 6
"""Instances at most, in place of the pack's 500."""


def _others() -> Iterator[Dataset]:
    new = _instance(NEW_STUDY, f"{NEW_STUDY}.1", 1, "P1", "CT")
    new.StudyDate = "20991231"
    yield new
    for number in range(1, MOST + 2):
        yield _instance(LARGE_STUDY, f"{LARGE_STUDY}.1", number, "P1", "CT")


OF_STUDY = uids(MIXED, 1, 3, 4) | uids(PLAIN, 1)
"""All but what is neither CT nor MR."""
LEVELS = {
    "a study": (("STUDY", STUDY), OF_STUDY),
    "a series": (("SERIES", STUDY, MIXED), uids(MIXED, 1, 3, 4)),
    "images": (("IMAGE", STUDY, MIXED, f"{MIXED}.1\\{MIXED}.2"), uids(MIXED, 1)),
    "a VIP's study": (("STUDY", VIP_STUDY), set()),
    "a VIP's series": (("SERIES", VIP_STUDY, f"{VIP_STUDY}.1"), set()),
    "a VIP's image": (("IMAGE", VIP_STUDY, f"{VIP_STUDY}.1", f"{VIP_STUDY}.1.1"), set()),
    "a list with a VIP's study": (("STUDY", f"{STUDY}\\{VIP_STUDY}"), set()),
    "a study of last week": (("STUDY", NEW_STUDY), set()),
    "a list with a study of last week": (("STUDY", f"{STUDY}\\{NEW_STUDY}"), set()),
    "too many instances": (("STUDY", LARGE_STUDY), set()),
    "an image of them": (("IMAGE", LARGE_STUDY, f"{LARGE_STUDY}.1", f"{LARGE_STUDY}.1.2"), uids(f"{LARGE_STUDY}.1", 2)),
    "a study that nobody knows": (("STUDY", FOREIGN), set()),
}
NAMES = ("QueryRetrieveLevel", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def _pack(folder: Path) -> None:
    """The pack as a site would adapt it: its own lists, and here fewer instances."""
    shutil.copytree(PACK, folder)
    (folder / "data" / "research.csv").write_text("ae_title\nCLIENT\n", encoding="utf-8")
    (folder / "data" / "vip.csv").write_text("patient_id\nVIP\n", encoding="utf-8")
    policy = folder / "research-release.yaml"
    text = policy.read_text(encoding="utf-8")
    assert "{lte: 500}" in text
    policy.write_text(text.replace("{lte: 500}", f"{{lte: {MOST}}}"), encoding="utf-8")


@pytest.fixture(scope="module", params=["orthanc", "dcmqrscp"])
def research(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, receiver: Server) -> Iterator[Server]:
    """The gateway in front of each archive; ``DEST`` is reached through it, ``DIRECT`` is the same entity, sent to by the archive."""
    folder, port = tmp_path_factory.mktemp("research"), free_port()
    for number, image in enumerate([*IMAGES, *_others()]):
        image.save_as(folder / f"{number}.dcm")
    instances = [read(path) for path in sorted(folder.glob("*.dcm"))]
    _pack(folder / "policies")
    known = {"GATE": port, "DEST": receiver.port}
    archive = servers.orthanc(folder / "pacs", known) if request.param == "orthanc" else servers.dcmqrscp(folder / "pacs", known, instances=instances)
    try:
        if request.param == "orthanc":
            servers.fill(archive, instances)
        settings = {
            "policies": "policies",
            "audit": {"file": "audit.jsonl"},
            "dimse": {
                "listen": f"GATE@{HOST}:{port}",
                "upstream": archive.name,
                "deliveries": {"DEST": {"through": receiver.name}, "DIRECT": {"direct": "DEST"}},
            },
        }
        (folder / "hirules.yaml").write_text(json.dumps(settings), encoding="utf-8")
        hirules = Path(sys.executable).parent / "hirules"
        gateway = start("GATE", folder, lambda _: [hirules, "serve", "--config", folder / "hirules.yaml"], listening, port=port)
        try:
            yield gateway
        finally:
            code = gateway.stop()
            assert code == 0, gateway.text()[-3000:]
            assert "Traceback" not in gateway.text()
    finally:
        archive.stop()


@pytest.fixture
def client(research: Server, tmp_path: Path) -> Client:
    return Client("CLIENT", research.aet, research.port, tmp_path / "client")


def keys(level: str, *uids_above: str) -> list[str]:
    return [f"{name}={value}" for name, value in zip(NAMES, (level, *uids_above), strict=False)]


def arrived(folder: Path) -> set[str]:
    """The instances in a folder, none of which has what may not leave."""
    images = [dcmread(path) for path in folder.iterdir() if path.is_file() and path.suffix != ".txt"]
    for image in images:
        assert "PatientBirthDate" not in image
        assert image.PatientID != "VIP"
        assert image.Modality in ("CT", "MR")
    return {str(image.SOPInstanceUID) for image in images}


@pytest.mark.parametrize(("asked", "leave"), LEVELS.values(), ids=LEVELS.keys())
def test_what_a_c_get_brings(client: Client, asked: tuple[str, ...], leave: set[str]) -> None:
    run = client.get(*keys(*asked))
    assert arrived(run.folder) == leave
    final = run.responses("C-GET RSP")[-1]
    if leave:
        assert (final.status, final.fields["Completed Suboperations"], final.fields["Failed Suboperations"]) == (0, str(len(leave)), "0")
    else:
        assert final.status in (0, 0x0124)


@pytest.mark.parametrize(("asked", "leave"), LEVELS.values(), ids=LEVELS.keys())
def test_what_a_c_move_through_the_gateway_brings(client: Client, receiver: Server, asked: tuple[str, ...], leave: set[str]) -> None:
    into = receiver.folder / "received"
    for path in list(into.iterdir()):
        path.unlink()
    run = client.move("DEST", *keys(*asked))
    assert arrived(into) == leave
    final = run.responses("C-MOVE RSP")[-1]
    if leave:
        assert (final.status, final.fields["Completed Suboperations"], final.fields["Failed Suboperations"]) == (0, str(len(leave)), "0")
    else:
        assert final.status in (0, 0x0124)


@pytest.mark.parametrize("asked", [asked for asked, _ in LEVELS.values()], ids=LEVELS.keys())
def test_nothing_moves_past_the_gateway(client: Client, receiver: Server, asked: tuple[str, ...]) -> None:
    into = receiver.folder / "received"
    for path in list(into.iterdir()):
        path.unlink()
    for destination in ("DIRECT", "GATE", "direct"):
        run = client.move(destination, *keys(*asked))
        assert run.status in (0x0124, 0xA801) or (run.status == 0 and not LEVELS_THAT_LEAVE[asked])
    assert not list(into.iterdir())


LEVELS_THAT_LEAVE = dict(LEVELS.values())


@pytest.mark.parametrize("level", ["PATIENT", "STUDY", "SERIES", "IMAGE"])
@pytest.mark.parametrize("asks", [["PatientID", "PatientBirthDate"], []], ids=["asks who it is", "does not"])
def test_a_query_shows_no_vip_and_no_birth_date(client: Client, level: str, asks: list[str]) -> None:
    names = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
    depth = ["PATIENT", "STUDY", "SERIES", "IMAGE"].index(level)
    for patient, study in (("P1", STUDY), ("VIP", VIP_STUDY)):
        series = f"{study}.1"
        above = [f"{name}={value}" for name, value in zip(names[1:depth], (study, series), strict=False)]
        model = ["--patient"] if level == "PATIENT" else ["--study"]
        found = matches(client.find(f"QueryRetrieveLevel={level}", *above, names[depth], *asks, model=model[0]))
        of_vip = [match for match in found if "VIP" in str(match) or VIP_STUDY in str(match)]
        assert not of_vip
        assert not any("PatientBirthDate" in match and match.PatientBirthDate for match in found)
        if not asks and level != "PATIENT":
            assert not any("PatientID" in match for match in found)
        assert bool(found) == (patient == "P1" or depth < 2)


def test_every_instance_that_left_is_in_the_record(client: Client, research: Server) -> None:
    known = len(records(research))
    brought = arrived(client.get(*keys("STUDY", STUDY)).folder)
    lines = [line["instance"] for line in records(research)[known:] if line["entry"] == "instance"]
    assert {f"sha256:{hashlib.sha256(uid.encode()).hexdigest()}" for uid in brought} == set(lines)
