"""A gateway with short time-outs in front of a real archive, a second archive for clients that must not notice, and what is counted before and after.

``site.watched()`` surrounds a fault: meanwhile another client is served; afterwards nothing forbidden has come, every decision has its outcome, every instance
that came its line in the record, and the gateway holds no more threads, files and connections than before.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom import Dataset, dcmread
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from tests.peers import servers
from tests.peers.objects import FOLDER, read
from tests.peers.process import HOST, Server, free_port, listening, start
from tests.peers.receiver import Receiver

STUDY, LARGE_STUDY = "1.2.826.0.1.88.1", "1.2.826.0.1.88.2"
IMAGES = 16
FORBIDDEN = {f"{STUDY}.9.{number}" for number in range(4, IMAGES + 1, 4)}
"""Every fourth is of a modality that does not leave."""
ALLOWED = {f"{STUDY}.9.{number}" for number in range(1, IMAGES + 1)} - FORBIDDEN
LARGE = f"{LARGE_STUDY}.9.1"
MEGABYTES = 24
"""Of the large instance: more than the kernel takes for a peer that does not read."""
IDLE, SEND = 3.0, 2.0
"""The gateway's time-outs."""
ENOUGH = 30.0
"""Seconds in which whatever a time-out ends must have ended, on a machine that does much else."""
POLICY = """\
hirules: 1
policy: faults
title: Only CT leaves, without dates of birth
owner: the tests
rules:
  - {id: may, on: [c-find, c-get, c-move], allow: {}}
  - {id: modalities, on: release, when: {instance.Modality: {not_in: [CT]}}, deny: {}}
  - {id: births, on: release, rewrite: [{remove: instance.PatientBirthDate}]}
"""
MISTAKES = re.compile(r"Traceback|an error in the gateway")


@dataclass
class Retrieve:
    """A C-GET or C-MOVE under way, by pynetdicom."""

    title: str
    received: list[str] = field(default_factory=list)
    births: int = 0
    statuses: list[int] = field(default_factory=list)
    final: Any = None
    """The final response."""
    over: threading.Event = field(default_factory=threading.Event)
    association: Any = None
    """In a C-MOVE what the destination received for this title counts."""

    def has(self, count: int, seconds: float = ENOUGH) -> None:
        """Wait for so many instances. Raises ``AssertionError``."""
        until(lambda: len(self.received) >= count, f"{count} instances", seconds)

    def ends(self, seconds: float = ENOUGH) -> int | None:
        """Wait for its end; the final status, if there was one. Raises ``AssertionError``."""
        assert self.over.wait(seconds), "the client still waits"
        final = [status for status in self.statuses if status not in (0xFF00, 0xFF01)]
        return final[-1] if final else None


class Destination:
    """A receiver in this process; ``behave`` says what it does with an instance."""

    def __init__(self) -> None:
        self.behave: Callable[[Any], int] = lambda _: 0
        self.retrieves: dict[str, Retrieve] = {}
        self._receiver = Receiver("DEST", self._store, associations=50)
        self.port = self._receiver.port

    def _store(self, event: Any) -> int:
        retrieve = self.retrieves.get(str(event.request.MoveOriginatorApplicationEntityTitle).strip())
        status = self.behave(event)
        if retrieve is not None and status == 0:
            retrieve.received.append(str(event.request.AffectedSOPInstanceUID))
            retrieve.births += b"19700102" in event.request.DataSet.getvalue()[:4096]
        return status

    def stop(self) -> None:
        self._receiver.stop()


class Site:
    """Everything, running. ``archive`` makes the one that is disturbed; ``also`` are deliveries beside that to this process."""

    def __init__(
        self, folder: Path, archive: Callable[..., Server] = servers.dcmqrscp, audit: Path | None = None, also: dict[str, object] | None = None, **dimse: object
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.audit = audit or folder / "audit.jsonl"
        self.forgiven: set[str] = set()
        """Decisions whose outcome could not be recorded, since the disk was full."""
        self.port, self.http = free_port(), free_port()
        self.destination = Destination()
        files = [read(path) for path in images(folder / "images")]
        self._make, self._files = archive, files
        self.archive = self._archive()
        self.second = servers.dcmqrscp(folder / "second", {}, "SECOND", files[:2])
        self.gateway = self._gateway(also or {}, dimse)
        self._number = 0
        self._titles: list[Retrieve] = []

    def stop(self) -> int:
        """End everything; the gateway's exit code."""
        code = self.gateway.stop()
        for server in (self.archive, self.second):
            server.stop()
        self.destination.stop()
        return code

    def restarted(self) -> None:
        """The archive again, on its port."""
        self.archive.stop()
        arguments = [str(argument) for argument in self.archive.process.args]  # type: ignore[union-attr]
        self.archive = start(self.archive.aet, self.archive.folder, lambda _: arguments, servers.echoes, port=self.archive.port)

    def signal(self, number: signal.Signals) -> None:
        """To the archive and what it forked."""
        os.killpg(self.archive.process.pid, number)

    def _archive(self) -> Server:
        known = {"GATE": self.port}
        if self._make is servers.dcmqrscp:
            return servers.dcmqrscp(self.folder / "archive", known, instances=self._files)
        server = self._make(self.folder / "archive", known)
        servers.fill(server, self._files)
        return server

    def _gateway(self, also: dict[str, object], dimse: dict[str, object]) -> Server:
        folder = self.folder / "gateway"
        (folder / "policies").mkdir(parents=True)
        (folder / "policies" / "faults.yaml").write_text(POLICY, encoding="utf-8")
        settings = {
            "policies": "policies",
            "audit": {"file": str(self.audit)},
            "http": f"{HOST}:{self.http}",
            "dimse": {
                "listen": f"GATE@{HOST}:{self.port}",
                "upstream": self.archive.name,
                "upstreams": {"second": {"address": self.second.name, "called": ["GATE2"]}},
                "deliveries": {"DEST": {"through": f"DEST@{HOST}:{self.destination.port}"}, **also},
                "artim_timeout": 2, "connect_timeout": 2, "acceptance_timeout": 3, "idle_timeout": IDLE, "send_timeout": SEND,
                "pending_interval": 0.5, "settle_timeout": 2, "drain_timeout": 1, "lookup_idle": 1,
                **dimse,
            },
        }  # fmt: skip
        (folder / "hirules.yaml").write_text(json.dumps(settings), encoding="utf-8")
        hirules = Path(sys.executable).parent / "hirules"
        command: list[str | Path] = [hirules, "serve", "--verbose", "--config", folder / "hirules.yaml"]
        return start("GATE", folder, lambda _: command, listening, port=self.port)

    # -- clients ----------------------------------------------------------------------------------

    def title(self, kind: str = "C") -> str:
        """A calling AE title of its own."""
        self._number += 1
        return f"{kind}{self._number}"

    def get(self, study: str = STUDY, each: Callable[[Retrieve], None] = lambda _: None) -> Retrieve:
        """A C-GET on a thread; ``each`` is called for each instance before it is answered."""
        made = Retrieve(self.title())

        def stored(event: Any) -> int:
            made.received.append(str(event.request.AffectedSOPInstanceUID))
            made.births += b"19700102" in event.request.DataSet.getvalue()[:4096]
            each(made)
            return 0

        made.association = self.associated(made.title, [(evt.EVT_C_STORE, stored)])
        responses = made.association.send_c_get(keys(study), StudyRootQueryRetrieveInformationModelGet, msg_id=7)
        return self._under_way(made, responses)

    def through(self, study: str = STUDY, each: Callable[[Retrieve], int | None] = lambda _: None, to: str = "DEST") -> Retrieve:
        """A C-MOVE through the gateway; ``each`` is called by the destination of this process."""
        made = Retrieve(self.title())
        self.destination.retrieves[made.title] = made
        self.destination.behave = lambda _: each(made) or 0
        made.association = self.associated(made.title)
        responses = made.association.send_c_move(keys(study), to, StudyRootQueryRetrieveInformationModelMove, msg_id=7)
        return self._under_way(made, responses)

    def retrieve(self, way: str, each: Callable[[Retrieve], Any] = lambda _: None) -> Retrieve:
        """By ``get`` or ``through``."""
        return self.get(each=each) if way == "get" else self.through(each=each)

    def _under_way(self, made: Retrieve, responses: Any) -> Retrieve:
        def follow() -> None:
            for status, _ in responses:
                if "Status" in status:
                    made.final = status
                    made.statuses.append(int(status.Status))
            made.association.abort() if made.association.is_established and not made.statuses else None
            made.over.set()

        self._titles.append(made)
        threading.Thread(target=follow, daemon=True).start()
        return made

    def associated(self, title: str, handlers: list[Any] | None = None, called: str = "GATE", **more: Any) -> Any:
        """An association of pynetdicom."""
        entity = AE(ae_title=title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = ENOUGH
        for uid in (
            Verification, StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet,
            StudyRootQueryRetrieveInformationModelMove, CTImageStorage,
        ):  # fmt: skip
            entity.add_requested_context(uid)
        role = build_role(CTImageStorage, scp_role=True, scu_role=True)
        return entity.associate(HOST, self.port, ae_title=called, ext_neg=[role], evt_handlers=handlers or [], **more)

    def works(self, way: str) -> None:
        """A retrieve brings what it may, and only that. Raises ``AssertionError``."""
        done = self.retrieve(way)
        assert done.ends() == 0xB000
        assert set(done.received) == ALLOWED
        done.association.release()

    # -- what must hold ---------------------------------------------------------------------------

    @contextmanager
    def watched(self, *, served: bool = True) -> Iterator[None]:
        """See the module's own page. ``served``: the other client must be served all the while."""
        self._titles.clear()
        before, stop = self.settled(), threading.Event()
        failures: list[str] = []
        rounds: list[int] = []
        other = threading.Thread(target=self._others, args=(stop, failures, rounds), daemon=True)
        if served:
            other.start()
        try:
            yield
        finally:
            stop.set()
            if served:
                other.join(ENOUGH)
        assert failures == []
        assert rounds or not served
        self.rests(before)
        self.recorded()

    def _others(self, stop: threading.Event, failures: list[str], rounds: list[int]) -> None:
        while not stop.is_set():
            association = self.associated(self.title("OTHER"), called="GATE2")
            if not association.is_established:
                failures.append("another client got no association")
                return
            query = keys(STUDY)
            found = [int(status.Status) for status, _ in association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind) if "Status" in status]
            if found != [0xFF00, 0]:
                failures.append(f"another client's C-FIND was answered with {found}")
                return
            association.release()
            rounds.append(1)
            stop.wait(0.1)

    def held(self) -> tuple[int, int, int]:
        """Threads, files and connections of the gateway."""
        with urllib.request.urlopen(f"http://{HOST}:{self.http}/metrics", timeout=ENOUGH) as page:
            text = page.read().decode()
        connections = re.search(r"^hirules_connections (\d+)", text, re.MULTILINE)
        assert connections is not None
        process = Path("/proc") / str(self.gateway.process.pid)
        return len(list((process / "task").iterdir())), len(list((process / "fd").iterdir())), int(connections[1])

    def settled(self) -> tuple[int, int, int]:
        """As ``held``, once nobody is connected and it is the same twice."""
        seen = [(-1, -1, -1)]

        def same() -> bool:
            seen.append(self.held())
            return seen[-1][2] == 0 and seen[-1] == seen[-2]

        until(same, "rest", step=0.3)
        return seen[-1]

    def rests(self, before: tuple[int, int, int]) -> None:
        """The gateway holds no more than before. Raises ``AssertionError``."""

        def less() -> bool:
            return all(now <= then for now, then in zip(self.held(), before, strict=True))

        until(less, f"no more threads, files and connections than {before}", step=0.2, told=self.held)

    def recorded(self) -> None:
        """What left is in the record, what was decided has an outcome, nothing forbidden came, the log has no mistake. Raises ``AssertionError``."""
        until(lambda: not self.unfinished(), "an outcome of every decision", told=self.unfinished)
        lines = records(self.audit)
        titles = {line["id"]: line["subject"].get("ae_title") for line in lines if line["entry"] == "decision"}
        told = {(titles[line["id"]], line["instance"]) for line in lines if line["entry"] == "instance"}
        for retrieve in self._titles:
            assert {(retrieve.title, hashed(uid)) for uid in retrieve.received} <= told
            assert not set(retrieve.received) - ALLOWED - {LARGE}
            assert retrieve.births == 0
        assert [line for line in self.gateway.text().splitlines() if MISTAKES.search(line)] == []

    def unfinished(self) -> list[str]:
        """Decisions on requests and associations without an outcome."""
        lines = records(self.audit)
        outcomes = {line["id"] for line in lines if line["entry"] == "outcome"}
        asked = [line for line in lines if line["entry"] == "decision" and line["action"] not in ("release", "answer")]
        found = [f"{line['action']} of {line['subject'].get('ae_title')}" for line in asked if line["id"] not in outcomes and not _final(line)]
        return [each for each in found if each not in self.forgiven]


def _final(line: dict[str, Any]) -> bool:
    """A denied association has no more to tell."""
    return bool(line["action"] == "associate" and line["decision"] == "deny")


def records(audit: Path) -> list[dict[str, Any]]:
    """The lines of the record; each is whole."""
    return [json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]


def hashed(uid: str) -> str:
    """As the record has it."""
    return "sha256:" + hashlib.sha256(uid.encode()).hexdigest()


def keys(study: str) -> Dataset:
    """The identifier of a study."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", study
    return identifier


def until(holds: Callable[[], object], what: str, seconds: float = ENOUGH, step: float = 0.02, told: Callable[[], object] = lambda: "") -> None:
    """Wait for it. Raises ``AssertionError``."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s {told()}"
        time.sleep(step)


def slowly(seconds: float = 0.1) -> Callable[[Retrieve], None]:
    """A client, or a destination, that takes its time for each instance."""
    return lambda _: time.sleep(seconds)


def images(folder: Path) -> list[Path]:
    """The files of both studies."""
    folder.mkdir(parents=True)
    return [_image(folder, STUDY, number) for number in range(1, IMAGES + 1)] + [_image(folder, LARGE_STUDY, 1, MEGABYTES)]


def _image(folder: Path, study: str, number: int, megabytes: int = 0) -> Path:
    made = dcmread(FOLDER / "CT_small.dcm")
    made.StudyInstanceUID, made.SeriesInstanceUID = study, f"{study}.1"
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID(f"{study}.9.{number}")
    made.PatientID, made.PatientName, made.PatientBirthDate = "P1", "P1^Name", "19700102"
    made.Modality, made.SeriesNumber, made.InstanceNumber = ("CT" if number % 4 else "OT"), 1, number
    made.StudyDate, made.StudyTime, made.StudyID, made.AccessionNumber = "20240101", "120000", "S", "A"
    if megabytes:
        made.PixelData = bytes(megabytes << 20)
    path = folder / f"{made.SOPInstanceUID}.dcm"
    made.save_as(path)
    return path
