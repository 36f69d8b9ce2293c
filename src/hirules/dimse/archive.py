"""The embedded upstream: a folder of DICOM files, served, so that the gateway runs with no PACS.

    Archive("files/", "ARCHIVE", {"DEST": ("127.0.0.1", 11113)}).start() -> (host, port)

C-ECHO, C-FIND, C-GET, C-MOVE and C-STORE, for the Patient and Study Root models; N-GET on a Printer;
N-CREATE, N-SET and N-GET on performed procedure steps. It is for trials and tests, on pynetdicom's
handlers. Unlike pynetdicom's own archive, a retrieve without a unique key reaches nothing (A900).
Instances are sent as they are kept: one whose transfer syntax was not accepted is a failed sub-operation.
"""

from __future__ import annotations

import logging
import re
import socket
import threading
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, _config, build_context, evt
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # the names are made at import
    BasicGrayscalePrintManagementMeta,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    Printer,
    PrinterInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from hirules.dimse.catalog import Catalog, Entry, entry_of
from hirules.dimse.identifier import IdentifierError, read
from hirules.dimse.retrieve import check_query, check_retrieve
from hirules.model.dataset import DatasetView, dataset_of, element_of

LOGGER = logging.getLogger(__name__)

Event = Any
"""pynetdicom's event: its attributes depend on the kind of event, which its types do not say."""

# pynetdicom logs identifiers by default: patient data
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
# its logging of messages fails on an AttributeIdentifierList of one tag, and is not used here
_config.LOG_HANDLER_LEVEL = "none"

PENDING, SUCCESS, CANCEL = 0xFF00, 0x0000, 0xFE00
ATTRIBUTE_LIST_ERROR, PROCESSING_FAILURE, DUPLICATE_INSTANCE, NO_SUCH_INSTANCE = 0x0107, 0x0110, 0x0111, 0x0112
DATA_SET_DOES_NOT_MATCH, CANNOT_UNDERSTAND, OUT_OF_RESOURCES = 0xA900, 0xC000, 0xA700
MAX_CONTEXTS = 128

_SERVICES = (
    Verification,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Printer,
    BasicGrayscalePrintManagementMeta,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
)

PRINTER: Mapping[str, object] = {
    "PrinterStatus": "NORMAL",
    "PrinterStatusInfo": "NORMAL",
    "PrinterName": "ARCHIVE_PRINTER",
    "Manufacturer": "hirules",
    "ManufacturerModelName": "embedded archive",
    "DeviceSerialNumber": "1",
    "SoftwareVersions": "1",
    "DateOfLastCalibration": "20260101",
    "TimeOfLastCalibration": "120000",
}
"""PS3.3 §C.13.9: the one Printer SOP instance, which every SCP has under the same UID."""


class Archive:
    """See the module's own page. ``stored`` is where a C-STORE is kept: a folder, else in memory until the end.

    ``destinations`` are the move destinations by AE title.
    """

    def __init__(
        self,
        folder: str | Path,
        ae_title: str = "ARCHIVE",
        destinations: Mapping[str, tuple[str, int]] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        stored: str | Path | None = None,
    ) -> None:
        self.ae_title = ae_title
        self.skipped = 0
        """Files of the folder that are no DICOM instance."""
        self._folder = Path(folder)
        self._address = (host, port)
        self._stored = None if stored is None else Path(stored)
        self._destinations = {name.strip().upper(): address for name, address in (destinations or {}).items()}
        self._catalog = Catalog()
        self._where: dict[str, Path | Dataset] = {}
        self._objects: dict[str, tuple[str, Dataset]] = {PrinterInstance: (Printer, dataset_of(PRINTER))}
        self._refused: WeakKeyDictionary[object, dict[int, IdentifierError]] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._ae: AE | None = None

    @property
    def catalog(self) -> Catalog:
        """What the archive has."""
        return self._catalog

    def start(self) -> tuple[str, int]:
        """Read the folder, listen, and answer host and port."""
        self._scan()
        ae = AE(ae_title=self.ae_title)
        ae.maximum_associations = 100
        for sop_class in _SERVICES:
            ae.add_supported_context(sop_class, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
        for context in AllStoragePresentationContexts:
            # scp_role: the requestor of a C-GET receives
            ae.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES, scu_role=True, scp_role=True)
        server = ae.start_server(self._address, block=False, evt_handlers=self._handlers())
        self._ae = ae
        host, port = server.socket.getsockname()[:2]  # type: ignore[union-attr]
        return str(host), int(port)

    def knows(self, ae_title: str, host: str, port: int) -> None:
        """One more move destination."""
        self._destinations[ae_title.strip().upper()] = (host, port)

    def stop(self) -> None:
        """End all associations and stop listening."""
        if self._ae is not None:
            self._ae.shutdown()
            self._ae = None

    def __enter__(self) -> Archive:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _handlers(self) -> list[Any]:
        return [
            (evt.EVT_CONN_OPEN, _no_delay),
            (evt.EVT_DIMSE_SENT, self._on_sent),
            (evt.EVT_C_ECHO, lambda _event: SUCCESS),
            (evt.EVT_C_FIND, self._on_find),
            (evt.EVT_C_GET, self._on_get),
            (evt.EVT_C_MOVE, self._on_move),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_N_GET, self._on_n_get),
            (evt.EVT_N_CREATE, self._on_n_create),
            (evt.EVT_N_SET, self._on_n_set),
        ]

    def _scan(self) -> None:
        entries = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's warnings about malformed values quote them
            for path in sorted(path for path in self._folder.rglob("*") if path.is_file()):
                entry = _entry(path)
                if entry is None:
                    self.skipped += 1
                elif entry.uid not in self._where:
                    self._where[entry.uid] = path
                    entries.append(entry)
        self._catalog = Catalog(entries)
        LOGGER.info("%d instances, %d other files", len(entries), self.skipped)

    # --- query and retrieve ---------------------------------------------------------------------

    def _on_find(self, event: Event) -> Iterator[tuple[int, Dataset | None]]:
        try:
            dataset = _identifier(event)
            check_query(str(event.request.AffectedSOPClassUID), dataset)
        except IdentifierError as error:
            yield error.status, None
            return
        for match in self._catalog.find(DatasetView(dataset)):
            if event.is_cancelled:
                yield CANCEL, None
                return
            answer = dataset_of({**match, "RetrieveAETitle": self.ae_title})
            if not all(str(value).isascii() for value in match.values()):
                answer.SpecificCharacterSet = "ISO_IR 192"
            yield PENDING, answer

    def _on_get(self, event: Event) -> Iterator[Any]:
        entries = self._selected(event, "c-get")
        yield len(entries)
        yield from self._instances(event, entries)

    def _on_move(self, event: Event) -> Iterator[Any]:
        entries = self._selected(event, "c-move")
        destination = self._destinations.get(str(event.move_destination).strip().upper())
        if destination is None or self._is_refused(event):
            yield None, None  # pynetdicom answers A801, which the refusal's own status replaces
            return
        yield (*destination, {"contexts": _contexts(entries), "evt_handlers": [(evt.EVT_CONN_OPEN, _no_delay)]})
        yield len(entries)
        yield from self._instances(event, entries)

    def _instances(self, event: Event, entries: list[Entry]) -> Iterator[tuple[int, Dataset | None]]:
        for entry in entries:
            if event.is_cancelled:
                yield CANCEL, None
                return
            kept = self._where[entry.uid]
            yield PENDING, dcmread(kept) if isinstance(kept, Path) else kept

    def _selected(self, event: Event, action: str) -> list[Entry]:
        """The instances that a retrieve reaches; none, and a refusal on its way, where its identifier is not valid."""
        try:
            checked = check_retrieve(action, str(event.request.AffectedSOPClassUID), _identifier(event))
        except IdentifierError as error:
            with self._lock:
                self._refused.setdefault(event.assoc, {})[event.request.MessageID] = error
            return []
        return self._catalog.select(DatasetView(checked.dataset))

    def _is_refused(self, event: Event) -> bool:
        return event.request.MessageID in self._refused.get(event.assoc, {})

    def _on_sent(self, event: Event) -> None:
        """Give a refused retrieve its status: pynetdicom lets a handler do so only with an empty list of failed instances, or after
        it has opened the destination's association."""
        command = event.message.command_set
        if command.get("CommandField") not in (0x8010, 0x8021):
            return
        with self._lock:
            error = self._refused.get(event.assoc, {}).pop(command.MessageIDBeingRespondedTo, None)
        if error is not None:
            command.Status = error.status
            if error.tags:
                command.add(element_of(0x00000901, "AT", error.tags[0]))
                command.CommandGroupLength += 12

    # --- storage --------------------------------------------------------------------------------

    def _on_store(self, event: Event) -> int:
        try:
            dataset = event.dataset
            dataset.file_meta = event.file_meta
            entry = entry_of(dataset, str(event.context.transfer_syntax))
        except Exception:  # noqa: BLE001 - pydicom raises whatever the peer's bytes make it raise; the peer is told so
            return CANNOT_UNDERSTAND
        request = event.request
        if entry is None or entry.uid != request.AffectedSOPInstanceUID or entry.sop_class != request.AffectedSOPClassUID:
            return DATA_SET_DOES_NOT_MATCH
        kept: Path | Dataset = dataset
        if self._stored is not None:
            kept = self._stored / f"{entry.uid}.dcm"  # entry_of has checked that a UID is digits and dots
            try:
                self._stored.mkdir(parents=True, exist_ok=True)
                kept.write_bytes(event.encoded_dataset())
            except OSError:
                LOGGER.exception("a received instance cannot be written")
                return OUT_OF_RESOURCES
        with self._lock:
            self._where[entry.uid] = kept
            self._catalog.add(entry)
        return SUCCESS

    # --- normalised objects ---------------------------------------------------------------------

    def _on_n_get(self, event: Event) -> tuple[int, Dataset | None]:
        found = self._objects.get(str(event.request.RequestedSOPInstanceUID))
        if found is None:
            return NO_SUCH_INSTANCE, None
        wanted = list(event.attribute_identifiers or ())
        if not wanted:
            return SUCCESS, found[1]
        answer = Dataset()
        for tag in wanted:
            if tag in found[1]:
                answer.add(found[1][tag])
        return (SUCCESS if len(answer) == len(set(wanted)) else ATTRIBUTE_LIST_ERROR), answer

    def _on_n_create(self, event: Event) -> tuple[int, Dataset | None]:
        uid = str(event.request.AffectedSOPInstanceUID or "")
        if not re.fullmatch(r"[0-9.]{1,64}", uid):
            return PROCESSING_FAILURE, None
        attributes = event.attribute_list
        with self._lock:
            if uid in self._objects:
                return DUPLICATE_INSTANCE, None
            self._objects[uid] = (str(event.request.AffectedSOPClassUID), attributes)
        return SUCCESS, attributes

    def _on_n_set(self, event: Event) -> tuple[int, Dataset | None]:
        uid = str(event.request.RequestedSOPInstanceUID)
        changes = event.modification_list
        with self._lock:
            found = self._objects.get(uid)
            if found is None:
                return NO_SUCH_INSTANCE, None
            # PS3.4 §F.7.2.2.2: a step that is completed or discontinued may no longer be updated
            if found[1].get("PerformedProcedureStepStatus") != "IN PROGRESS":
                return PROCESSING_FAILURE, None
            changed = Dataset()
            changed.update(found[1])
            changed.update(changes)
            self._objects[uid] = (found[0], changed)
        return SUCCESS, changed


def _no_delay(event: Event) -> None:
    # pynetdicom leaves Nagle's algorithm on: with delayed acknowledgements every message stalls 40 ms
    connection = event.assoc.dul.socket.socket
    if connection is not None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _identifier(event: Event) -> Dataset:
    """The request's identifier, read strictly. Raises :class:`IdentifierError`."""
    data = event.request.Identifier
    if data is None:
        raise IdentifierError("the identifier is missing")
    return read(data.getvalue(), str(event.context.transfer_syntax))


def _contexts(entries: list[Entry]) -> list[PresentationContext]:
    """What to propose to a move destination: each SOP class with each transfer syntax that an instance has."""
    pairs = sorted({(entry.sop_class, entry.transfer_syntax) for entry in entries})
    return [build_context(sop_class, transfer_syntax) for sop_class, transfer_syntax in pairs[:MAX_CONTEXTS]] or [build_context(Verification)]


def _entry(path: Path) -> Entry | None:
    """The instance in a file; ``None`` where it holds none."""
    try:
        dataset = dcmread(path, stop_before_pixels=True)
        return entry_of(dataset, str(dataset.file_meta.TransferSyntaxUID))
    except (InvalidDicomError, AttributeError, OSError):
        return None
    except Exception:  # noqa: BLE001 - a damaged file makes pydicom raise anything; the archive serves the others
        LOGGER.warning("a file of the folder cannot be read: %s", path.name)
        return None
