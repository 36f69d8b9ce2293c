"""The peers of the demo, real ones: a DICOM client and a receiver (pynetdicom), and a boto3 client under guard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import msgspec
from botocore.config import Config
from botocore.exceptions import ClientError
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, _config, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # the names are made at import
    BasicGrayscalePrintManagementMeta,
    CTImageStorage,
    Printer,
    PrinterInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)

from hirules.gate import Gate
from hirules.healthimaging import guard

_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False


class Answer(msgspec.Struct, frozen=True):
    """What a client got: the final status, and what came before it."""

    status: int
    comment: str = ""
    matches: int = 0
    study: str = ""
    instances: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Client:
    """A DICOM client of the gateway."""

    def __init__(self, ae_title: str, called: str, host: str, port: int) -> None:
        self._ae_title, self._called, self._host, self._port = ae_title, called, host, port

    def find(self, level: str, **keys: str) -> Answer:
        """C-FIND."""
        with self._association([StudyRootQueryRetrieveInformationModelFind]) as association:
            found = list(association.send_c_find(_identifier(level, StudyInstanceUID="", **keys), StudyRootQueryRetrieveInformationModelFind))
        matches = [match for _, match in found if match is not None]
        return _answer(found[-1][0], matches=len(matches), study=str(matches[0].StudyInstanceUID) if matches else "")

    def get(self, study: str) -> Answer:
        """C-GET; the instances come over the same association."""
        received: list[str] = []

        def store(event: Any) -> int:
            received.append(str(event.request.AffectedSOPInstanceUID))
            return 0x0000

        model = StudyRootQueryRetrieveInformationModelGet
        with self._association([model, CTImageStorage], store) as association:
            answers = list(association.send_c_get(_identifier("STUDY", StudyInstanceUID=study), model))
        return _answer(answers[-1][0], instances=tuple(received))

    def move(self, destination: str, study: str) -> Answer:
        """C-MOVE."""
        model = StudyRootQueryRetrieveInformationModelMove
        with self._association([model]) as association:
            answers = list(association.send_c_move(_identifier("STUDY", StudyInstanceUID=study), destination, model))
        return _answer(answers[-1][0])

    def printer_attributes(self, *keywords: str) -> Answer:
        """N-GET on a printer."""
        with self._association([BasicGrayscalePrintManagementMeta]) as association:
            tags = [Tag(keyword) for keyword in keywords]
            status, attributes = association.send_n_get(tags, Printer, PrinterInstance, meta_uid=BasicGrayscalePrintManagementMeta)
        names = tuple(sorted(str(element.keyword) for element in attributes)) if attributes is not None else ()
        return _answer(status, names=names)

    @contextmanager
    def _association(self, contexts: list[str], store: Any = None) -> Iterator[Association]:
        ae = AE(self._ae_title)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
        roles: list[Any] = []
        for uid in contexts:
            ae.add_requested_context(uid)
            if uid == CTImageStorage:
                roles.append(build_role(uid, scp_role=True))
        handlers: list[Any] = [(evt.EVT_C_STORE, store)] if store is not None else []
        association = ae.associate(self._host, self._port, ae_title=self._called, ext_neg=roles, evt_handlers=handlers)
        if not association.is_established:
            raise ConnectionError("the gateway gave no association")
        try:
            yield association
        finally:
            association.release()


class Receiver:
    """A system that images are sent to."""

    def __init__(self, ae_title: str, folder: Path) -> None:
        self.ae_title = ae_title
        self.count = 0
        self._folder = folder
        self._ae = AE(ae_title)
        for context in AllStoragePresentationContexts:
            self._ae.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)

    def start(self) -> tuple[str, int]:
        """Listen; host and port."""
        self._folder.mkdir(parents=True, exist_ok=True)
        server = self._ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        host, port = server.socket.getsockname()[:2]  # type: ignore[union-attr]
        return str(host), int(port)

    def stop(self) -> None:
        """Stop listening."""
        self._ae.shutdown()

    def _store(self, event: Any) -> int:
        (self._folder / f"{event.request.AffectedSOPInstanceUID}.dcm").write_bytes(event.encoded_dataset())
        self.count += 1
        return 0x0000


class Curator:
    """A person who corrects metadata through boto3, under guard."""

    def __init__(self, user: str, gate: Gate, url: str, datastore: str, image_set: str) -> None:
        config = Config(inject_host_prefix=False, retries={"total_max_attempts": 1})
        self._client: Any = boto3.client(
            "medical-imaging", region_name="us-east-1", endpoint_url=url, aws_access_key_id="demo", aws_secret_access_key="demo", config=config
        )
        guard(self._client, gate, subject={"user": user})
        self._where = {"datastoreId": datastore, "imageSetId": image_set}

    def revert(self, to: str) -> str:
        """UpdateImageSetMetadata to an earlier version."""
        return self._update({"revertToVersionId": to})

    def update(self, document: dict[str, Any]) -> str:
        """UpdateImageSetMetadata with new values."""
        attributes = json.dumps({"SchemaVersion": 1.1, **document}).encode()
        return self._update({"DICOMUpdates": {"updatableAttributes": attributes}})

    def _update(self, updates: dict[str, Any]) -> str:
        """``carried out``, or the name of the error."""
        try:
            self._client.update_image_set_metadata(**self._where, latestVersionId="1", updateImageSetMetadataUpdates=updates)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "carried out"


def _identifier(level: str, **keys: str) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _answer(status: Any, **what: Any) -> Answer:
    return Answer(int(status.Status) if "Status" in status else -1, str(status.get("ErrorComment", "")), **what)
