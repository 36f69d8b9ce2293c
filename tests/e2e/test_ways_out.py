"""An archive that sends anything, the shipped policy for research, and DCMTK's clients: what is forbidden does not arrive, and stands nowhere."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian

from tests.dimse.test_ways_out import OTHER_IDS, PATIENT_ID, PIXELS, explicit, item, plain, undefined
from tests.e2e.gateway import records
from tests.e2e.hostile import CT, Hostile
from tests.peers.clients import Client
from tests.peers.process import HOST, Server, free_port, listening, start

PACK = Path(__file__).parents[2] / "rules" / "research-release"
EXPLICIT = str(ExplicitVRLittleEndian)
STUDY, SERIES = "1.2.826.0.1.98.1", "1.2.826.0.1.98.1.1"
PATIENT, VIP, NAME, BIRTH = "PAT-4711", "VIP-0815", "Overly^Secret", "19690720"
BORN = explicit(0x00100030, "DA", BIRTH.encode())


def data(uid: str, *patient: bytes, modality: str = "CT", date: str = "20200101", pixels: int = 500, sop_class: str = CT) -> bytes:
    """An image in explicit VR with these elements of group 0010."""

    def uids(tag: int, value: str) -> bytes:
        return explicit(tag, "UI", value.encode() + b"\0" * (len(value) % 2))

    before = uids(0x00080016, sop_class) + uids(0x00080018, uid) + explicit(0x00080020, "DA", date.encode()) + explicit(0x00080060, "CS", modality.encode())
    group = explicit(0x00100010, "PN", NAME.encode() + b" ") + b"".join(patient)
    return before + group + uids(0x0020000D, STUDY) + uids(0x0020000E, SERIES) + explicit(PIXELS, "OW", bytes(pixels))


def padded(text: str) -> bytes:
    return text.encode() + b" " * (len(text) % 2)


HIS, VIPS = explicit(PATIENT_ID, "LO", padded(PATIENT)), explicit(PATIENT_ID, "LO", padded(VIP))
Make = Callable[[str], bytes]
MAY: dict[str, Make] = {
    "plain": lambda uid: data(uid, HIS, BORN),
    "large": lambda uid: data(uid, HIS, BORN, pixels=100_000),
    "padded": lambda uid: data(uid, HIS, BORN) + explicit(0xFFFCFFFC, "OB", bytes(20)),
}
MAY_NOT: dict[str, Make] = {
    "a VIP's": lambda uid: data(uid, VIPS),
    "a VIP's after a NUL": lambda uid: data(uid, explicit(PATIENT_ID, "LO", VIP.encode() + b"\0X")),
    "a VIP's with a tab": lambda uid: data(uid, explicit(PATIENT_ID, "LO", b"\t" + VIP.encode() + b" ")),
    "a VIP's, long": lambda uid: data(uid, explicit(PATIENT_ID, "LO", VIP.encode().ljust(0x4144))),
    "a VIP's, UN": lambda uid: data(uid, explicit(PATIENT_ID, "UN", VIP.encode())),
    "a VIP's, OB": lambda uid: data(uid, explicit(PATIENT_ID, "OB", VIP.encode())),
    "a VIP's, a sequence": lambda uid: data(uid, undefined(PATIENT_ID, "UN", item(plain(PATIENT_ID, VIP.encode())))),
    "of two patients": lambda uid: data(uid, HIS, VIPS),
    "of several patients": lambda uid: data(uid, explicit(PATIENT_ID, "LO", f"{PATIENT}\\{VIP} ".encode())),
    "a VIP's behind the pixels": lambda uid: data(uid, HIS) + VIPS,
    "with a birth date behind the pixels": lambda uid: data(uid, HIS) + BORN,
    "with a birth date out of order": lambda uid: data(uid, BORN, HIS),
    "a report": lambda uid: data(uid, HIS, modality="SR"),
    "of a Christmas to come": lambda uid: data(uid, HIS, date="20991224"),
    "another instance": lambda uid: data("1.2.3", HIS),
    "of another class": lambda uid: data(uid, HIS, sop_class="1.2.840.10008.5.1.4.1.1.88.11"),
    "cut in its header": lambda uid: data(uid, HIS)[:150],
    "a sequence that is longer than it is": lambda uid: data(uid, HIS, explicit(OTHER_IDS, "SQ", b"\xfe\xff\x00\xe0\xff\0\0\0")),
    "no data set": lambda uid: b"\xff" * 100,
}  # fmt: skip
INSTANCES = {f"{SERIES}.{number}": make for number, make in enumerate([*MAY.values(), *MAY_NOT.values()], 1)}
LEAVE = set(list(INSTANCES)[: len(MAY)])
KEYS = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDY}")


class Site:
    def __init__(self, archive: Hostile, gateway: Server, pages: int) -> None:
        self.archive = archive
        self.gateway = gateway
        self.pages = pages


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, receiver: Server) -> Iterator[Site]:
    folder, port, pages = tmp_path_factory.mktemp("hostile"), free_port(), free_port()
    shutil.copytree(PACK, folder / "policies")
    (folder / "policies" / "data" / "research.csv").write_text("ae_title\nCLIENT\n", encoding="utf-8")
    (folder / "policies" / "data" / "vip.csv").write_text(f"patient_id\n{VIP}\n", encoding="utf-8")
    study = {
        "PatientID": PATIENT, "PatientName": NAME, "PatientBirthDate": BIRTH, "StudyInstanceUID": STUDY, "StudyDate": "20200101",
        "NumberOfStudyRelatedInstances": len(INSTANCES), "ModalitiesInStudy": "CT",
    }  # fmt: skip
    archive = Hostile(port, {uid: make(uid) for uid, make in INSTANCES.items()}, study)
    settings = {
        "policies": "policies",
        "audit": {"file": "audit.jsonl"},
        "http": f"{HOST}:{pages}",
        "dimse": {"listen": f"GATE@{HOST}:{port}", "upstream": archive.name, "deliveries": {"DEST": {"through": receiver.name}}},
    }
    (folder / "hirules.yaml").write_text(json.dumps(settings), encoding="utf-8")
    hirules = Path(sys.executable).parent / "hirules"
    gateway = start("GATE", folder, lambda _: [hirules, "serve", "--verbose", "--config", folder / "hirules.yaml"], listening, port=port)
    try:
        yield Site(archive, gateway, pages)
    finally:
        code = gateway.stop()
        archive.stop()
        assert code == 0, gateway.text()[-3000:]


@pytest.fixture
def client(site: Site, tmp_path: Path) -> Client:
    site.archive.answers.clear()
    return Client("CLIENT", "GATE", site.gateway.port, tmp_path / "client")


def checked(folder: Path) -> set[str]:
    found = set()
    for path in folder.iterdir():
        if path.is_file() and path.suffix != ".txt":
            content, image = path.read_bytes(), dcmread(path)
            assert BIRTH.encode() not in content
            assert VIP.encode() not in content
            assert (image.PatientID, image.Modality, image.StudyDate) == (PATIENT, "CT", "20200101")
            found.add(str(image.SOPInstanceUID))
    return found


def test_what_a_c_get_brings(site: Site, client: Client) -> None:
    run = client.get(*KEYS)
    assert checked(run.folder) == LEAVE
    assert site.archive.answers == [0] * len(INSTANCES)
    final = run.responses("C-GET RSP")[-1]
    assert final.fields["Completed Suboperations"] == str(len(MAY))
    assert final.status == 0xB000


def test_what_a_c_move_through_the_gateway_brings(site: Site, client: Client, receiver: Server) -> None:
    into = receiver.folder / "received"
    for path in list(into.iterdir()):
        path.unlink()
    run = client.move("DEST", *KEYS)
    assert checked(into) == LEAVE
    final = run.responses("C-MOVE RSP")[-1]
    assert final.fields["Completed Suboperations"] == str(len(MAY))
    assert final.status == 0xB000


def test_a_large_instance_with_a_birth_date_behind_its_pixels_never_ends(site: Site, client: Client, receiver: Server) -> None:
    before, uid = site.archive.instances, f"{SERIES}.99"
    site.archive.instances = {uid: data(uid, HIS, pixels=300_000) + BORN}
    into = receiver.folder / "received"
    for path in list(into.iterdir()):
        path.unlink()
    try:
        run = client.get(*KEYS)
        client.move("DEST", *KEYS)
    finally:
        site.archive.instances = before
    for folder in (run.folder, into):
        for path in folder.iterdir():
            assert path.suffix == ".txt" or BIRTH.encode() not in path.read_bytes()
    assert checked(client.get(*KEYS).folder) == LEAVE


def test_no_patient_stands_in_log_record_or_metrics(site: Site, client: Client) -> None:
    client.get(*KEYS)
    client.find("QueryRetrieveLevel=STUDY", f"PatientID={PATIENT}", f"PatientName={NAME}", "StudyInstanceUID")
    client.find("QueryRetrieveLevel=STUDY", f"PatientBirthDate={BIRTH}", "StudyInstanceUID")
    client.get("QueryRetrieveLevel=PATIENT", f"PatientID={VIP}", model="--patient")
    with urllib.request.urlopen(f"http://{HOST}:{site.pages}/metrics", timeout=20) as page:
        metrics = page.read().decode()
    for where, text in (("log", site.gateway.text()), ("record", json.dumps(records(site.gateway))), ("metrics", metrics)):
        assert text, where
        for secret in (PATIENT, VIP, NAME, "Overly", BIRTH):
            assert secret not in text, where
    assert "Traceback" not in site.gateway.text()
