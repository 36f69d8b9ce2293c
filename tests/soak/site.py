"""What the soak runs against: Orthanc, a printer, two destinations, and two gateways in front, one of them with TLS, that write one record."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom import dcmread

from tests.dimse.certificates import Authority
from tests.peers import servers
from tests.peers.objects import FOLDER, read
from tests.peers.process import HOST, Server, free_port, listening, start
from tests.peers.receiver import Receiver

VIP = "VIP"
PATIENTS = ("P1", "P2", "P3", "P4")
STUDIES = {patient: f"1.2.826.0.1.77.{number}" for number, patient in enumerate((*PATIENTS, VIP), 1)}
STORED = "1.2.826.0.1.77.99"
"""The study of what clients store."""
IMAGES = 12
"""Of a study: ten CT images, one MR image and one of a modality that does not leave."""
THROUGH, DIRECT = "THROUGH", "DIRECT"

POLICY = """\
hirules: 1
policy: soak
title: What the soak allows, changes and refuses
owner: the tests
lists:
  vip: [VIP]
rules:
  - {id: known, on: associate, when: {subject.ae_title: {starts_with: "NO"}}, deny: {reason: this entity may not associate}}
  - {id: may-ask, on: [c-find, c-store, n-get], allow: {}}
  - {id: may-retrieve, on: [c-get, c-move], when: {resource.instance_count: {lte: 500}}, allow: {}}
  - {id: no-vip, on: [c-get, c-move], when: {resource.PatientID: {in: $vip}}, deny: {reason: there is no such study}}
  - {id: no-vip-leaves, on: [answer, release], when: {instance.PatientID: {in: $vip}}, deny: {respond: no-match}}
  - {id: modalities, on: release, when: {instance.Modality: {not_in: [CT, MR]}%(only)s}, deny: {}}
  - {id: no-birth-dates, on: release,%(when)s rewrite: [{remove: instance.PatientBirthDate}]}
  - {id: no-birth-dates-shown, on: answer, rewrite: [{remove: instance.PatientBirthDate}]}
"""
STRICT = POLICY % {"only": "", "when": ""}
"""The instances of a C-MOVE are decided: one that is direct is refused."""
LOOSE = POLICY.replace(
    "no-vip-leaves, on: [answer, release], when: {", "no-vip-leaves, on: [answer, release], when: {request.action: {in: [c-find, c-get]}, "
) % {
    "only": ", request.action: c-get",
    "when": " when: {request.action: c-get},",
}
"""Only those of a C-GET are: a C-MOVE may be direct."""


@dataclass
class Arrival:
    """An instance that a destination received."""

    destination: str
    originator: str
    uid: str
    patient: str
    birth_date: bool


@dataclass
class Destination:
    """A receiver in this process, under each AE title that calls it."""

    arrivals: list[Arrival] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._receiver = Receiver("DESTINATION", self._store, associations=100)
        self.port = self._receiver.port

    def _store(self, event: Any) -> int:
        data = event.dataset
        called = event.assoc.requestor.primitive.called_ae_title.strip()
        originator = str(event.request.MoveOriginatorApplicationEntityTitle or "").strip()
        self.arrivals.append(Arrival(called, originator, str(data.SOPInstanceUID), str(data.PatientID), bool(data.get("PatientBirthDate"))))
        return 0

    def stop(self) -> None:
        self._receiver.stop()


class Site:
    """All of it, running."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.tls_port = free_port(), free_port()
        self.audit = folder / "audit.jsonl"
        self.policies = folder / "policies"
        self.policies.mkdir(parents=True)
        self.reloads = 0
        self._stopping: list[Any] = []
        self._orthanc_lock = threading.Lock()
        self.restarts = 0

    def start(self) -> None:
        """Raises what does not start."""
        self.destination = self._stopped_later(Destination())
        self.printer = self._stopped_later(servers.dcmprscp(self.folder / "printer"))
        self.archive = servers.orthanc(self.folder / "orthanc", {"GATE": self.port, DIRECT: self.destination.port})
        servers.fill(self.archive, [read(path) for path in images(self.folder / "images")])
        self.reload()
        self.authority = Authority(self.folder / "certificates")
        certificate, key = self.authority.issue("gate")
        self.plain = self._gateway("plain", self.port)
        self.encrypted = self._gateway("tls", self.tls_port, tls={"certificate": str(certificate), "key": str(key)})

    def stop(self) -> dict[str, int]:
        """End the gateways; the exit code of each."""
        return {name: gateway.stop() for name, gateway in (("plain", self.plain), ("tls", self.encrypted))}

    def close(self) -> None:
        """End what still runs."""
        for server in [*self._stopping, *(getattr(self, name) for name in ("archive", "plain", "encrypted") if hasattr(self, name))]:
            server.stop()
        self._stopping.clear()

    def reload(self) -> None:
        """Other policies on disk; the gateways watch."""
        text = LOOSE if self.reloads % 2 else STRICT
        self.reloads += 1
        fresh = self.policies / "soak.yaml.new"
        fresh.write_text(text, encoding="utf-8")
        os.replace(fresh, self.policies / "soak.yaml")  # noqa: PTH105 - atomic, and says so

    def restart_archive(self, *, kill: bool) -> None:
        """Orthanc ends, and comes back on its port with what it holds."""
        with self._orthanc_lock:
            port, process = self.archive.port, self.archive.process
            if kill:
                os.killpg(process.pid, signal.SIGKILL)
            self.archive.stop()
            configuration = self.archive.folder / "orthanc.json"
            self.archive = start("ORTHANC", self.archive.folder, lambda _: ["/usr/sbin/Orthanc", configuration], servers.echoes, port=port)
            self.restarts += 1

    def pause_archive(self, seconds: float) -> None:
        """Orthanc stands still."""
        with self._orthanc_lock:
            os.killpg(self.archive.process.pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.killpg(self.archive.process.pid, signal.SIGCONT)

    def _stopped_later(self, made: Any) -> Any:
        self._stopping.append(made)
        return made

    def _gateway(self, name: str, port: int, **dimse: object) -> Server:
        folder = self.folder / name
        folder.mkdir()
        settings = {
            "policies": str(self.policies),
            "audit": {"file": str(self.audit)},
            "facts": {"cache": 1},
            "dimse": {
                "listen": f"GATE@{HOST}:{port}",
                "upstream": self.archive.name,
                "upstreams": {"printer": {"address": self.printer.name, "called": ["PRINTER"]}},
                "deliveries": {THROUGH: {"through": f"{THROUGH}@{HOST}:{self.destination.port}"}},
                "lookup_idle": 2,
                "idle_timeout": 60,
                "artim_timeout": 5,
                "acceptance_timeout": 30,
                **dimse,
            },
        }
        (folder / "hirules.yaml").write_text(json.dumps(settings), encoding="utf-8")
        hirules = Path(sys.executable).parent / "hirules"
        return start("GATE", folder, lambda _: [hirules, "serve", "--verbose", "--config", folder / "hirules.yaml"], listening, port=port)


def images(folder: Path) -> list[Path]:
    """The files of each study of ``STUDIES``."""
    folder.mkdir(parents=True)
    return [image(folder, patient, study, number) for patient, study in STUDIES.items() for number in range(1, IMAGES + 1)]


def image(folder: Path, patient: str, study: str, number: int, uid: str = "") -> Path:
    """One file: the 11th of a study is an MR image, the 12th of a modality that does not leave."""
    modality = {11: "MR", 12: "OT"}.get(number, "CT")
    made = dcmread(FOLDER / ("MR_small.dcm" if modality == "MR" else "CT_small.dcm"))
    made.StudyInstanceUID, made.SeriesInstanceUID = study, f"{study}.{modality == 'CT':d}"
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(uid or f"{study}.9.{number}")
    made.PatientID, made.PatientName, made.PatientBirthDate, made.PatientSex = patient, f"{patient}^Name", "19700102", "O"
    made.Modality, made.SeriesNumber, made.InstanceNumber = modality, 1, number
    made.StudyDate, made.StudyTime, made.StudyID, made.AccessionNumber = "20240101", "120000", "S", "A"
    path = folder / f"{made.SOPInstanceUID}.dcm"
    made.save_as(path)
    return path
