"""The clients of the soak: DCMTK, pynetdicom, and dcmjs-dimse in one process of node. Each request has a calling AE title of its own.

``done = client.carry_out(operation, title)``: what the client saw. ``answered`` is a final response; without one a client was killed, or a peer.
"""

from __future__ import annotations

import json
import os
import random
import ssl
import subprocess
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    BasicGrayscalePrintManagementMeta,
    CTImageStorage,
    MRImageStorage,
    Printer,
    PrinterInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from tests.e2e.wire import COMMAND, GET, associated, get, p_data, pdvs
from tests.peers.clients import Client, Run, matches
from tests.peers.process import HOST
from tests.soak.site import DIRECT, PATIENTS, STORED, STUDIES, THROUGH, VIP, Site, image

ACTIONS = {"find": "c-find", "get": "c-get", "through": "c-move", "direct": "c-move", "store": "c-store", "n-get": "n-get"}
"""The action of the policy that an operation is; an echo is none."""
SECONDS = 60
OPERATIONS = {
    "dcmtk": ("echo", "find", "get", "through", "direct", "store", "tls"),
    "pynetdicom": ("echo", "find", "get", "through", "direct", "store", "n-get", "tls"),
    "dcmjs": ("echo", "find", "get", "through", "direct", "store"),
}
FAULTS = ("abort", "die", "kill", "refused", "cancel", "unread")
"""What a faulty client does: aborts in mid-retrieve, resets its connection, is killed, is rejected, cancels, stops to read and goes away."""


@dataclass
class Done:
    """What a client saw of one request."""

    title: str
    family: str
    operation: str
    patient: str
    status: int | None = None
    instances: list[str] = field(default_factory=list)
    """Received by a C-GET."""
    births: int = 0
    """Data sets with a date of birth that came by a C-GET or a C-FIND."""
    began: float = field(default_factory=time.monotonic)
    error: str = ""

    @property
    def answered(self) -> bool:
        return self.status is not None


class Clients:
    """All of them, towards one site. Thread safe."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.folder / "clients"
        self._files = site.folder / "stored"
        self._files.mkdir()
        self._node = Node(site.folder)
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.load_verify_locations(site.authority.file)
        self._tls = trusting

    def close(self) -> None:
        """End node."""
        self._node.close()

    def carry_out(self, family: str, operation: str, title: str, dice: random.Random) -> Done:
        """One request of one client."""
        patient = VIP if dice.random() < 0.1 else dice.choice(PATIENTS)
        done = Done(title, family, operation, patient)
        try:
            {"dcmtk": self._dcmtk, "pynetdicom": self._pynetdicom, "dcmjs": self._dcmjs}[family](done, dice)
        except (subprocess.TimeoutExpired, AssertionError, OSError, RuntimeError, KeyError, ValueError) as error:
            # a faulty upstream makes clients fail in many ways: what they were not told is no answer
            done.error = f"{type(error).__name__}: {str(error)[:200]}"
        return done

    def fail(self, fault: str, title: str, dice: random.Random) -> Done:
        """One client that does what it should not."""
        done = Done(title, "fault", fault, dice.choice(PATIENTS))
        try:
            if fault == "kill":
                self._killed(done, dice)
            elif fault == "refused":
                self._refused(done)
            elif fault == "cancel":
                self._cancelled(done)
            else:
                self._interrupted(done, fault, dice)
        except (AssertionError, OSError, RuntimeError, ValueError) as error:
            done.error = f"{type(error).__name__}: {str(error)[:200]}"
        return done

    # -- DCMTK ------------------------------------------------------------------------------------

    def _dcmtk(self, done: Done, dice: random.Random) -> None:
        client = Client(done.title, "GATE", self._site.port, self._folder / done.title)
        keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={STUDIES[done.patient]}")
        match done.operation:
            case "echo":
                done.status = 0 if client.echo().echoed else None
            case "tls":
                done.status = 0 if self._dcmtk_tls(client).echoed else None
            case "find":
                run = client.find("QueryRetrieveLevel=STUDY", f"PatientID={done.patient}", "PatientBirthDate", "StudyInstanceUID")
                done.status = final(run)
                found = matches(run)
                done.births = sum(bool(match.get("PatientBirthDate")) for match in found)
                assert done.patient != VIP or not found, "a VIP was found"
            case "get":
                run = client.get(*keys)
                done.status = final(run)
                files = [dcmread(path, stop_before_pixels=True) for path in run.folder.iterdir() if path.suffix != ".txt"]
                done.instances = [str(file.SOPInstanceUID) for file in files]
                done.births = sum(bool(file.get("PatientBirthDate")) for file in files)
            case "through" | "direct":
                done.status = final(client.move(THROUGH if done.operation == "through" else DIRECT, *keys))
            case "store":
                done.status = final(client.store(self._file(dice)))
        for path in sorted(client.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()

    def _dcmtk_tls(self, client: Client) -> Run:
        folder = client.folder / "tls"
        folder.mkdir(parents=True)
        options = ["+tla", "+cf", self._site.authority.file, "-aet", client.aet, "-aec", "GATE", "--debug"]
        ran = subprocess.run(
            ["/usr/bin/echoscu", *map(str, options), HOST, str(self._site.tls_port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=False,
        )  # fmt: skip
        return Run(ran.returncode, ran.stdout.decode("utf-8", "replace"), folder)

    # -- pynetdicom -------------------------------------------------------------------------------

    def _pynetdicom(self, done: Done, dice: random.Random) -> None:
        tls = done.operation == "tls"
        if done.operation == "n-get":
            self._printer(done)
            return
        if tls:
            done.operation = dice.choice(("echo", "find", "get", "store"))
        association = self._associated(done, tls)
        try:
            self._asked(done, association, dice)
        finally:
            if association.is_established:
                association.release()

    def _asked(self, done: Done, association: Any, dice: random.Random) -> None:
        match done.operation:
            case "echo":
                done.status = status(association.send_c_echo())
            case "find":
                query = keys_of(done.patient)
                query.PatientID, query.PatientBirthDate = done.patient, ""
                query.StudyInstanceUID = ""
                for answer, match in association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind):
                    done.status = status(answer)
                    assert match is None or done.patient != VIP, "a VIP was found"
                    done.births += bool(match and match.get("PatientBirthDate"))
            case "get":
                for answer, _ in association.send_c_get(keys_of(done.patient), StudyRootQueryRetrieveInformationModelGet):
                    done.status = status(answer)
            case "through" | "direct":
                to = THROUGH if done.operation == "through" else DIRECT
                for answer, _ in association.send_c_move(keys_of(done.patient), to, StudyRootQueryRetrieveInformationModelMove, msg_id=dice.choice((1, 2, 7))):
                    done.status = status(answer)
            case "store":
                done.status = status(association.send_c_store(dcmread(self._file(dice))))
        if done.status in (0xFF00, 0xFF01):
            done.status = None

    def _associated(self, done: Done, tls: bool = False) -> Any:
        def stored(event: Any) -> int:
            data = event.dataset
            done.instances.append(str(data.SOPInstanceUID))
            done.births += bool(data.get("PatientBirthDate"))
            return 0

        entity = AE(ae_title=done.title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = SECONDS
        for uid in (
            Verification, StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet,
            StudyRootQueryRetrieveInformationModelMove, CTImageStorage, MRImageStorage,
        ):  # fmt: skip
            entity.add_requested_context(uid)
        roles: list[Any] = [build_role(uid, scp_role=True, scu_role=True) for uid in (CTImageStorage, MRImageStorage)]
        more: dict[str, Any] = {"tls_args": (self._tls, "localhost")} if tls else {}
        port = self._site.tls_port if tls else self._site.port
        association = entity.associate(HOST, port, ae_title="GATE", ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, stored)], **more)
        assert association.is_established, "no association"
        return association

    def _printer(self, done: Done) -> None:
        entity = AE(ae_title=done.title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = SECONDS
        entity.add_requested_context(BasicGrayscalePrintManagementMeta)
        association = entity.associate(HOST, self._site.port, ae_title="PRINTER")
        assert association.is_established, "no association with the printer"
        answer, _ = association.send_n_get([], Printer, PrinterInstance, meta_uid=BasicGrayscalePrintManagementMeta)
        done.status = status(answer)
        association.release()

    # -- dcmjs-dimse ------------------------------------------------------------------------------

    def _dcmjs(self, done: Done, dice: random.Random) -> None:
        asked = {
            "operation": "move" if done.operation in ("through", "direct") else done.operation,
            "port": self._site.port,
            "calling": done.title,
            "called": "GATE",
            "patient": done.patient,
            "study": STUDIES[done.patient],
            "destination": THROUGH if done.operation == "through" else DIRECT,
        }
        if done.operation == "store":
            asked["file"] = str(self._file(dice))
        found = self._node.ask(asked)
        done.status, done.instances, done.births, done.error = found["status"], found["instances"], found["births"], found["error"]

    # -- faults -----------------------------------------------------------------------------------

    def _killed(self, done: Done, dice: random.Random) -> None:
        """A getscu or movescu that is killed somewhere on its way."""
        folder = self._folder / done.title
        folder.mkdir(parents=True)
        keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDIES[done.patient]}"]
        program = dice.choice([["/usr/bin/getscu"], ["/usr/bin/movescu", "--move", THROUGH]])
        process = subprocess.Popen(
            [*program, "-S", "-aet", done.title, "-aec", "GATE", *keys, HOST, str(self._site.port)],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(dice.uniform(0.005, 0.2))
        process.kill()
        process.wait(SECONDS)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()

    def _refused(self, done: Done) -> None:
        """An entity that no rule lets in."""
        entity = AE(ae_title=f"NO{done.title}"[:16])
        entity.add_requested_context(Verification)
        entity.acse_timeout = SECONDS
        association = entity.associate(HOST, self._site.port, ae_title="GATE")
        assert association.is_rejected, "it was not rejected"

    def _cancelled(self, done: Done) -> None:
        association = self._associated(done)
        responses = association.send_c_get(keys_of(done.patient), StudyRootQueryRetrieveInformationModelGet, msg_id=5)
        association.send_c_cancel(5, query_model=StudyRootQueryRetrieveInformationModelGet)
        for answer, _ in responses:
            done.status = status(answer)
        association.release()

    def _interrupted(self, done: Done, how: str, dice: random.Random) -> None:
        """Aborts after some instances, resets its connection, or does not read for a while and goes."""
        if how == "abort":
            self._aborted(done, dice.randint(1, 5))
            return
        connection = associated(self._site.port, done.title, "GATE")
        command, data = get(keys_of(done.patient))
        connection.send(p_data(pdvs(GET, command, COMMAND, 1)) + p_data(pdvs(GET, data, 0, 1)))
        if how == "die":
            for _ in range(dice.randint(0, 3)):
                connection.pdu()
            connection.die()
        else:
            time.sleep(dice.uniform(0.1, 2.0))
            connection.close()

    def _aborted(self, done: Done, after: int) -> None:
        association = self._associated(done)
        for _ in association.send_c_get(keys_of(done.patient), StudyRootQueryRetrieveInformationModelGet):
            if len(done.instances) >= after:
                break
        association.abort()

    def _file(self, dice: random.Random) -> Path:
        """A CT image that the archive does not have."""
        return image(self._files, "STORED", STORED, 1, generate_uid(entropy_srcs=[str(dice.random())]))


class Node:
    """dcmjs-dimse: one process for all its requests."""

    def __init__(self, folder: Path) -> None:
        root = Path(__file__).parents[2]
        self._log = (folder / "node.txt").open("wb")
        self._process = subprocess.Popen(
            ["node", str(Path(__file__).parent / "worker.js")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            env=os.environ | {"NODE_PATH": str(root / ".venv" / "peers" / "node_modules")},
        )  # fmt: skip
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[dict[str, Any]]] = {}
        self._number = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Have one request carried out. Raises ``TimeoutError`` where node says nothing."""
        answer: Future[dict[str, Any]] = Future()
        assert self._process.stdin is not None
        with self._lock:
            self._number += 1
            self._waiting[self._number] = answer
            self._process.stdin.write(json.dumps({"id": self._number, **asked}).encode() + b"\n")
            self._process.stdin.flush()
        return answer.result(SECONDS)

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._reader.join(20)
        self._log.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.startswith(b">"):
                self._log.write(line)
                continue
            found = json.loads(line[1:])
            self._waiting.pop(found["id"]).set_result(found)


def keys_of(patient: str) -> Dataset:
    """The study of a patient."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", STUDIES[patient]
    return identifier


def status(answer: Dataset) -> int | None:
    """Of a response of pynetdicom, which is empty where none came."""
    return int(answer.Status) if "Status" in answer else None


def final(run: Run) -> int | None:
    """The final status that a client of DCMTK was told."""
    told = [message.status for message in run.messages if message.incoming and message.kind.endswith("RSP")]
    return told[-1] if told and told[-1] not in (0xFF00, 0xFF01) else None
