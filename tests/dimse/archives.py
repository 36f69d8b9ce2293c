"""An archive that answers C-FINDs as a test says, and tells what it was asked: pynetdicom behind a free port."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from hirules.dimse.lookup import Archives
from hirules.dimse.lookup_scu import PATIENT_ROOT, STUDY_ROOT, Node
from hirules.dimse.options import Options
from hirules.model.dataset import DatasetView, dataset_of
from hirules.model.request import Request
from tests.dimse.associations import GET
from tests.dimse.wire import association

GET_PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1.3"
Answer = Callable[[Mapping[str, object]], Iterator[tuple[int, Mapping[str, object] | None]]]
"""From the keys of a query to the responses: status, and the match of a pending one. pynetdicom adds the final success."""


class Archive:
    """What it was asked: the keys of each query, and how many associations there were."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.asked: list[Mapping[str, object]] = []
        self.titles: list[str] = []
        self.open = 0
        self.ended = threading.Event()
        self.associations: list[Any] = []

    def end(self) -> None:
        """Close every connection, as an archive does that was idle for too long."""
        for each in self.associations:
            each.abort()

    def options(self, **more: Any) -> Options:
        """Options of a gateway in front of it."""
        node = self.node
        return Options(ae_title="GATE", upstream_ae_title=node.ae_title, upstream_host=node.host, upstream_port=node.port, **more)


@contextmanager
def archive(answer: Answer, models: tuple[str, ...] = (PATIENT_ROOT, STUDY_ROOT), tls: ssl.SSLContext | None = None) -> Iterator[Archive]:
    """One that answers by ``answer`` until the end of the block."""

    def on_find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        keys = dict(DatasetView(event.identifier))
        found.asked.append(keys)
        for status, match in answer(keys):
            yield status, None if match is None else dataset_of(match)

    def on_open(event: Any) -> None:
        found.open += 1
        found.associations.append(event.assoc)
        found.titles.append(str(event.assoc.requestor.ae_title).strip())

    def on_end(event: Any) -> None:
        found.open -= 1
        found.ended.set()

    ae = AE("PACS")
    ae.maximum_associations = 50
    for model in models:
        ae.add_supported_context(model)
    handlers = [(evt.EVT_C_FIND, on_find), (evt.EVT_ACCEPTED, on_open), (evt.EVT_RELEASED, on_end), (evt.EVT_ABORTED, on_end)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, ssl_context=tls)  # type: ignore[arg-type]
    found = Archive(Node("PACS", "127.0.0.1", server.socket.getsockname()[1]))  # type: ignore[union-attr]
    try:
        yield found
    finally:
        ae.shutdown()


def matches(*entities: Mapping[str, object], status: int = 0xFF00) -> Answer:
    """Answers the entities of the query's level whose unique keys are asked for, and of each only keys that it has and that are asked for."""

    def answer(keys: Mapping[str, object]) -> Iterator[tuple[int, Mapping[str, object] | None]]:
        for entity in entities:
            if entity["QueryRetrieveLevel"] == keys["QueryRetrieveLevel"] and _named(keys, entity):
                yield status, {key: entity[key] for key in keys if key in entity}

    return answer


def _named(keys: Mapping[str, object], entity: Mapping[str, object]) -> bool:
    for key in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        wanted = keys.get(key)
        if wanted and key in entity and entity[key] not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def get(model: str = GET, **identifier: object) -> Request:
    """A C-GET with this identifier."""
    return Request("c-get", request={"AffectedSOPClassUID": model, "Identifier": identifier})


def look_up(peer: Archive, request: Request, *needed: str, seconds: float = 20.0, **options: Any) -> list[dict[str, object]]:
    """What one look-up finds."""
    archives = Archives(peer.options(**options), seconds)
    try:
        return [dict(entity) for entity in archives.of(association())(request, frozenset(needed))]
    finally:
        archives.close()
