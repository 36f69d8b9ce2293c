"""A pynetdicom program of others with every handler, guarded or not, in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    BasicFilmSession,
    CTImageStorage,
    ModalityPerformedProcedureStep,
    PatientRootQueryRetrieveInformationModelMove,
    Printer,
    PrinterInstance,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

import hirules
from hirules.gate import Gate
from tests.dimse.peers import ct, until

FIND, GET, MOVE = (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
PATIENT_MOVE, CT, PRINTER, FILM, MPPS, COMMITMENT = (
    PatientRootQueryRetrieveInformationModelMove,
    CTImageStorage,
    Printer,
    BasicFilmSession,
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
)
CLASSES = (Verification, FIND, GET, MOVE, PATIENT_MOVE, PRINTER, FILM, MPPS, COMMITMENT)
HEAD = "hirules: 1\npolicy: p\ntitle: What the tests allow\nowner: the tests\nrules:\n"
CLINICAL = """
  - id: clinical
    on: [c-find, c-get, c-move, c-store, n-get, n-set, n-create, n-action, n-delete, n-event-report]
    when: {subject.ae_title: {in: [CLIENT, PROGRAM, ARCHIVE]}}
    allow: {}
"""


class Recorded:
    """A gate that keeps its record in a file."""

    def __init__(self, folder: Path, *rules: str, clinical: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "policies").mkdir(exist_ok=True)
        (folder / "policies" / "p.yaml").write_text(HEAD + (CLINICAL if clinical else "") + "".join(rules), encoding="utf-8")
        self._path = folder / "audit.jsonl"
        self.gate: Gate = hirules.load(folder / "policies", audit=str(self._path))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]

    def decisions(self, action: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line.get("action") == action]

    def outcome(self, action: str) -> dict[str, Any]:
        """Of the one request of that kind; waits for it."""
        found: list[dict[str, Any]] = []

        def there() -> bool:
            (decided,) = self.decisions(action)
            found[:] = [line for line in self.lines() if line["entry"] == "outcome" and line["id"] == decided["id"]]
            return bool(found)

        assert until(there), f"no outcome of {action}"
        outcome = found[0]["outcome"]
        assert isinstance(outcome, dict)
        return outcome


class Program:
    """Its handlers write down what they see in ``seen``, by action."""

    def __init__(self, destination: int = 0) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.instances = [ct(1), ct(2), ct(3)]
        self.destinations = {"DEST": destination}
        self.heard: list[str] = []

    def actions(self) -> list[str]:
        return [action for action, _ in self.seen]

    def handlers(self) -> list[Any]:
        return [
            (evt.EVT_C_ECHO, lambda _: 0),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get, [self.instances]),
            (evt.EVT_C_MOVE, self._move),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_GET, self._n_get),
            (evt.EVT_N_SET, self._n_set),
            (evt.EVT_N_CREATE, self._n_create),
            (evt.EVT_N_ACTION, self._n_action),
            (evt.EVT_N_DELETE, self._n_delete),
            (evt.EVT_N_EVENT_REPORT, self._n_event_report),
            (evt.EVT_DIMSE_SENT, lambda event: self.heard.append(type(event.message).__name__)),
        ]

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.seen.append(("c-find", event.identifier))
        for instance in self.instances:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            match = Dataset()
            match.QueryRetrieveLevel, match.SOPInstanceUID = "IMAGE", instance.SOPInstanceUID
            for element in event.identifier:
                if element.tag in instance:
                    match.add(instance[element.tag])
            yield 0xFF00, match

    def _get(self, event: Any, instances: list[Dataset]) -> Iterator[Any]:
        self.seen.append(("c-get", event.identifier))
        yield len(instances)
        for instance in instances:
            yield 0xFF00, instance

    def _move(self, event: Any) -> Iterator[Any]:
        self.seen.append(("c-move", (event.move_destination, event.identifier)))
        port = self.destinations.get(event.move_destination)
        if port is None:
            yield None, None
            return
        yield "127.0.0.1", port, {"contexts": [build_context(CT)]}
        yield len(self.instances)
        for instance in self.instances:
            yield 0xFF00, instance

    def _store(self, event: Any) -> int:
        self.seen.append(("c-store", event.dataset))
        return 0

    def _n_get(self, event: Any) -> tuple[int, Dataset | None]:
        self.seen.append(("n-get", event.attribute_identifiers))
        answer = Dataset()
        for tag, value in ((0x21100010, "NORMAL"), (0x21100030, "P")):
            if tag in (event.attribute_identifiers or [tag]):
                answer.add_new(tag, dictionary_VR(tag), value)
        return 0, answer

    def _n_set(self, event: Any) -> tuple[int, Dataset | None]:
        self.seen.append(("n-set", event.modification_list))
        return 0, event.modification_list

    def _n_create(self, event: Any) -> tuple[int, Dataset | None]:
        self.seen.append(("n-create", event.attribute_list))
        return 0, event.attribute_list

    def _n_action(self, event: Any) -> tuple[int, Dataset | None]:
        self.seen.append(("n-action", event.action_information))
        return 0, None

    def _n_delete(self, event: Any) -> int:
        self.seen.append(("n-delete", event.request.RequestedSOPInstanceUID))
        return 0

    def _n_event_report(self, event: Any) -> tuple[int, Dataset | None]:
        self.seen.append(("n-event-report", event.event_information))
        return 0, None


@contextmanager
def serving(handlers: list[Any], ae_title: str = "PROGRAM", **options: Any) -> Iterator[int]:
    """A server of pynetdicom on a free port."""
    entity = AE(ae_title)
    entity.maximum_associations = 50
    entity.add_requested_context(CT)
    for uid in CLASSES:
        entity.add_supported_context(uid)
    entity.add_supported_context(CT, scu_role=True, scp_role=True)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, **options)
    assert server is not None
    assert server.socket is not None
    try:
        yield server.socket.getsockname()[1]
    finally:
        # it waits half a second for its own loop, which nobody else needs to
        threading.Thread(target=entity.shutdown).start()


@contextmanager
def client(port: int, ae_title: str = "CLIENT", handlers: list[Any] | None = None, **options: Any) -> Iterator[Any]:
    """An association with every context; it may have been rejected."""
    entity = AE(ae_title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    for uid in CLASSES:
        entity.add_requested_context(uid)
    entity.add_requested_context(CT)
    roles = [build_role(CT, scu_role=True, scp_role=True), *options.pop("ext_neg", [])]
    association = entity.associate("127.0.0.1", port, evt_handlers=handlers or [], ext_neg=roles, ae_title="PROGRAM", **options)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def study(uid: str = "1.2") -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", uid
    return identifier


PRINTER_UID = PrinterInstance
