"""In-process peers on free ports: pynetdicom as upstream and client, and a gate that answers as a test says."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from hirules.dimse.access import Access
from hirules.dimse.options import Options
from hirules.dimse.server import Gateway
from hirules.model.decision import Decision
from hirules.model.request import Request
from tests.dimse.associations import CT, FIND, GET

MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
VERIFICATION = "1.2.840.10008.1.1"
Decide = Callable[[Request], Decision]


class Gate:
    """Allows what ``decide`` does not answer otherwise."""

    def __init__(self, decide: Decide | None = None) -> None:
        self._decide = decide
        self.asked: list[Request] = []
        self.outcomes: list[tuple[str, Mapping[str, object]]] = []

    def check(self, request: Request) -> Decision:
        named = msgspec.structs.replace(request, id=str(len(self.asked)))
        self.asked.append(named)
        return self._decide(named) if self._decide else Decision("allow", named)

    def complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        self.outcomes.append((decision.effective.action, outcome))

    def actions(self) -> list[str]:
        return [request.action for request in self.asked]

    def outcome(self, action: str) -> Mapping[str, object]:
        """Of the one request of that kind; waits for it."""
        assert until(lambda: any(name == action for name, _ in self.outcomes)), f"no outcome of {action}"
        (found,) = [outcome for name, outcome in self.outcomes if name == action]
        return found


def until(holds: Callable[[], object], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return bool(holds())


def ct(number: int, pixels: int = 1000) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, f"1.2.3.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.PatientID = "1.2", "1.2.9", "P1"
    dataset.PixelData = bytes(number % 256 for _ in range(pixels))
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


class Upstream:
    """An archive of ``instances`` that remembers what reached it."""

    def __init__(self, instances: list[Dataset] | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.instances = instances if instances is not None else [ct(1), ct(2), ct(3)]
        self.seen: list[str] = []
        self.messages: list[str] = []
        self.stored: list[bytes] = []
        self.associations: list[Any] = []
        self.aborted = threading.Event()
        self.answers = threading.Event()
        """Queries are answered once it is set, as it is from the beginning."""
        self.answers.set()
        entity = AE(ae_title="PACS")
        entity.maximum_associations = 50
        for uid in (FIND, GET, MOVE, VERIFICATION):
            entity.add_supported_context(uid)
        entity.add_supported_context(CT, scu_role=True, scp_role=True)
        handlers: list[Any] = [
            (evt.EVT_DIMSE_RECV, lambda event: self.messages.append(type(event.message).__name__)),
            (evt.EVT_REQUESTED, lambda event: self.associations.append(event.assoc.requestor)),
            (evt.EVT_ABORTED, lambda _: self.aborted.set()),
            (evt.EVT_CONN_CLOSE, lambda _: self.aborted.set()),
            (evt.EVT_C_ECHO, self._echo),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_C_GET, self._get),
            (evt.EVT_C_STORE, self._store),
        ]
        self._server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=tls)
        assert self._server is not None
        assert self._server.socket is not None
        self.port = self._server.socket.getsockname()[1]

    def _echo(self, _: Any) -> int:
        self.seen.append("c-echo")
        return 0

    def _find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        self.seen.append("c-find")
        self.found = event.identifier
        assert self.answers.wait(20)
        for instance in self.instances:
            if event.is_cancelled:
                yield 0xFE00, None
                return
            match = Dataset()
            match.QueryRetrieveLevel, match.SOPInstanceUID = "IMAGE", instance.SOPInstanceUID
            yield 0xFF00, match

    def _get(self, event: Any) -> Iterator[Any]:
        self.seen.append("c-get")
        yield len(self.instances)
        for instance in self.instances:
            yield 0xFF00, instance

    def _store(self, event: Any) -> int:
        self.seen.append("c-store")
        self.stored.append(event.request.DataSet.getvalue())
        return 0

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()


@contextmanager
def gateway(gate: Gate, upstream: Upstream | int, access: Access | None = None, **changes: Any) -> Iterator[tuple[Gateway, int]]:
    port = upstream if isinstance(upstream, int) else upstream.port
    options = Options(ae_title="GATE", port=0, upstream_ae_title="PACS", upstream_host="127.0.0.1", upstream_port=port, artim_timeout=10.0, drain_timeout=0.1)
    made = Gateway(gate, msgspec.structs.replace(options, **changes), access=access or Access())
    _, listening = made.start()
    try:
        yield made, listening
    finally:
        made.stop()


def client(port: int, *, called: str = "GATE", handlers: list[Any] | None = None) -> Any:
    """An association of a pynetdicom client, made or not."""
    entity = AE(ae_title="CLIENT")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    for uid in (FIND, GET, MOVE, VERIFICATION, CT):
        entity.add_requested_context(uid)
    return entity.associate("127.0.0.1", port, ae_title=called, ext_neg=[build_role(CT, scp_role=True, scu_role=True)], evt_handlers=handlers or [])


def identifier(**keys: str) -> Dataset:
    dataset = Dataset()
    for name, value in (keys or {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}).items():
        setattr(dataset, name, value)
    return dataset


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def connect(port: int) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", port), 20)
    made.settimeout(15)
    return made


def receive(peer: socket.socket) -> bytes:
    """One PDU; empty at the end of the stream."""
    header = _exactly(peer, 6)
    return header + _exactly(peer, int.from_bytes(header[2:6], "big")) if header else b""


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        try:
            chunk = peer.recv(size - len(data))
        except ConnectionError:
            return b""
        if not chunk:
            return b""
        data += chunk
    return data
