"""Files as requests: a DICOM data set, a captured audit record, an update document, as the enforcement points would read them."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import msgspec
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pydicom.valuerep import VR

from hirules.audit.record import DecisionRecord, decode
from hirules.dimse.identifier import IdentifierError
from hirules.dimse.identifier import read as read_identifier
from hirules.healthimaging.document import DocumentError
from hirules.healthimaging.strict_json import JsonError, read_json
from hirules.healthimaging.translate import read_updates, update_fields
from hirules.model.dataset import DatasetView
from hirules.model.path import DATA_SETS
from hirules.model.reading import Unknown
from hirules.model.vocabulary import Vocabulary
from hirules.policy.suite_parts import FileKind, ReadFile

_NOT_RECORDED = Unknown("the record does not show it")
_HEX = re.compile(r"[0-9A-Fa-f]{8}")
_VRS = frozenset(str(vr.value) for vr in VR if len(vr.value) == 2)
_BLOBS = ("updatableAttributes", "removableAttributes")


def reader(vocabulary: Vocabulary) -> ReadFile:
    """What reads the files of tests of a set with this vocabulary."""

    def read(kind: FileKind, data: bytes, record: str) -> Mapping[str, object]:
        if kind == "data set":
            return data_set(data)
        return update_document(data) if kind == "update document" else audit_record(data, record, vocabulary)

    return read


def data_set(data: bytes) -> Mapping[str, object]:
    """A DICOM file, a bare data set, or DICOM JSON (PS3.18 §F). Raises ``ValueError``."""
    dataset = _from_json(data) if data.lstrip()[:1] in (b"{", b"[") else _from_file(data)
    if not len(dataset):
        raise ValueError("it holds no element")
    return DatasetView(dataset)


def _from_file(data: bytes) -> Dataset:
    if data[128:132] == b"DICM":
        try:
            return dcmread(BytesIO(data))
        except Exception as error:  # noqa: BLE001 - pydicom raises whatever the bytes make it raise
            raise ValueError(f"pydicom raised {type(error).__name__}") from None
    # a captured identifier has no preamble: read as the gateway reads it, in the transfer syntaxes that identifiers come in
    for transfer_syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian):
        try:
            return read_identifier(data, transfer_syntax)
        except IdentifierError as error:
            why = str(error)
    raise ValueError(f"it is neither a DICOM file nor a bare data set: {why}")


def _from_json(data: bytes) -> Dataset:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]  # a response of DICOMweb is an array
    if not _is_dicom_json(value):
        raise ValueError("it is no DICOM JSON: one object, its keys tags of eight digits, each with its `vr` (PS3.18 §F.2)")
    try:
        return Dataset.from_json(value, bulk_data_uri_handler=_bulk)
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        raise ValueError(f"pydicom raised {type(error).__name__}") from None


def _is_dicom_json(value: object) -> bool:
    """Whether it has the form of a data set, its items too: pydicom takes more."""
    if not isinstance(value, dict):
        return False
    for key, element in value.items():
        if not _HEX.fullmatch(key) or not isinstance(element, dict) or element.get("vr") not in _VRS:
            return False
        items = element.get("Value", []) if element["vr"] == "SQ" else []
        if not isinstance(items, list) or not all(map(_is_dicom_json, items)):
            return False
    return True


def _bulk(*_: Any) -> None:
    raise ValueError("it refers to bulk data elsewhere")


def update_document(data: bytes) -> Mapping[str, object]:
    """`updateImageSetMetadataUpdates` as the AWS CLI takes it, its documents as objects, as texts or in Base64; or the document of what is
    set alone. Raises ``ValueError``, whose text quotes no value."""
    try:
        value = read_json(data)
    except JsonError as error:
        raise ValueError(f"it {error}") from None
    parameter = value if isinstance(value, dict) else {}
    if "revertToVersionId" not in parameter and "DICOMUpdates" not in parameter:
        parameter = {"DICOMUpdates": {"updatableAttributes": data}}
    if len(parameter) != 1:
        raise ValueError("it is either `DICOMUpdates` or `revertToVersionId`")
    blobs = parameter.get("DICOMUpdates")
    if blobs is not None:
        if not isinstance(blobs, dict) or not blobs or not blobs.keys() <= set(_BLOBS):
            raise ValueError(f"`DICOMUpdates` has no other keys than `{_BLOBS[0]}` and `{_BLOBS[1]}`")
        parameter = {"DICOMUpdates": {name: _document(blob) for name, blob in blobs.items()}}
    elif not isinstance(parameter["revertToVersionId"], str):
        raise ValueError("`revertToVersionId` is no text")
    try:
        return update_fields(read_updates(parameter))
    except DocumentError as error:
        raise ValueError(str(error)) from None


def _document(blob: object) -> bytes:
    """The bytes of one document; the AWS CLI takes them in Base64."""
    if isinstance(blob, bytes):
        return blob
    if isinstance(blob, dict):
        return json.dumps(blob).encode()
    if not isinstance(blob, str):
        raise ValueError("a document is an object, a text of JSON, or Base64")
    if blob.lstrip().startswith("{"):
        return blob.encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a document is an object, a text of JSON, or Base64") from None


def audit_record(data: bytes, wanted: str, vocabulary: Vocabulary) -> Mapping[str, object]:
    """The request of a decision in the audit log: `action`, `subject`, `request`, and `context` with its time. ``wanted`` is its id where
    there are several. Raises ``ValueError``.

    What the record does not show, because it may be about a patient, is unknown, and a test may say it: nobody knows whether it was there.
    """
    records = [record for record in _records(data) if not wanted or record.id == wanted]
    if len(records) != 1:
        what = "no decision" if not records else f"{len(records)} decisions"
        raise ValueError(f"it holds {what} with the id `{wanted}`" if wanted else f"it holds {what}; `id` names the one" if records else f"it holds {what}")
    (record,) = records
    hidden = {name: _NOT_RECORDED for name in _withheld(record.action, vocabulary) if name not in record.request}
    return {
        "action": record.action, "subject": record.subject, "request": {**hidden, **record.request}, "context": {"now": record.time}, "id": record.id,
    }  # fmt: skip


def _records(data: bytes) -> list[DecisionRecord]:
    try:
        lines = [json.dumps(json.loads(data)).encode()]  # one record, laid out for people
    except (ValueError, RecursionError):
        lines = [line for line in data.splitlines() if line.strip()]
    try:
        return [record for line in lines if isinstance(record := decode(line), DecisionRecord)]
    except msgspec.MsgspecError:
        raise ValueError("a line is no record of the audit log") from None


def _withheld(action: str, vocabulary: Vocabulary) -> set[str]:
    """The first names below `request.` that a record may leave out: data sets, and what is about patients."""
    names = set()
    for path, attribute in vocabulary.attributes.items():
        if path.startswith("request.") and action in attribute.actions:
            name = path.split(".")[1]
            if attribute.patient_data or name in {*DATA_SETS, "updates"}:
                names.add(name)
    return names - {"keys", "updated", "kind"}
