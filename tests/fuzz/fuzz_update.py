"""HealthImaging's update documents.

The input: a document, or two with a NUL byte between them: what is set, then what is removed.

- Only ``DocumentError`` and ``PatchError`` come out, and ``request_of`` answers everything.
- Another JSON parser reads the same document.
- Patched with a decision that changes nothing the parameters are the ones that came, also where every check of a rewrite runs.
- A rewrite is carried out so that it reads back, or is refused.
"""

from __future__ import annotations

import base64
import copy
from typing import Any

import msgspec

from hirules.healthimaging.document import DocumentError, read_document
from hirules.healthimaging.patch import PatchError, patched, same_values
from hirules.healthimaging.translate import Refusal, request_of
from hirules.model.decision import Decision
from hirules.model.request import Request, replaced

OPERATION = "UpdateImageSetMetadata"
NAMES = ("updatableAttributes", "removableAttributes")
IDS = {"datastoreId": "0" * 32, "imageSetId": "a" * 32, "latestVersionId": "1"}


def one(data: bytes) -> None:
    """Read the documents and patch each update that they make."""
    documents = data.split(b"\0", 1)
    for document in documents:
        for removes in (False, True):
            check_document(document, removes)
    if len(documents) == 2:
        check_update(dict(zip(NAMES, documents, strict=True)))
    else:
        check_update({NAMES[0]: data})
        check_update({NAMES[1]: data})


def check_document(blob: bytes, removes: bool) -> None:
    """Accepted documents are read by another parser, and their entries are where they say."""
    try:
        document = read_document(blob, removes)
    except DocumentError as error:
        assert str(error)
        return
    assert msgspec.json.decode(blob) == document.tree, "another parser reads another document"
    for entry in document.entries:
        node: Any = entry.place.node(document.tree)
        assert node["DICOM"][entry.key] is entry.value
        assert all(path.startswith(f"{entry.place.level}.") for path in entry.paths())
    assert len({(entry.place, entry.name) for entry in document.entries}) == len(document.entries), "an attribute is named twice"


def check_update(blobs: dict[str, bytes]) -> None:
    """The laws of a patch."""
    params = {**IDS, "updateImageSetMetadataUpdates": {"DICOMUpdates": blobs}}
    before = copy.deepcopy(params)
    request = request_of(OPERATION, params)
    if isinstance(request, Refusal):
        assert request.reason
        return
    assert patched(params, Decision("allow", request)) == params
    assert patched(params, Decision("allow", request, rewritten={"request.updates": request.request["updates"]})) == params, "an identity changes the update"
    for effective, changed in rewritten(request):
        try:
            result = patched(params, Decision("allow", effective, rewritten=changed))
        except PatchError:
            continue
        again = request_of(OPERATION, result)
        assert isinstance(again, Request), "a patched update is refused"
        mine, theirs = again.request, effective.request
        updates: Any = mine["updates"]
        wanted: Any = theirs["updates"]
        assert same_values(updates, {level: fields for level, fields in wanted.items() if fields}), "a patched update sets something else"
        assert set(mine["removed"]) <= set(theirs["removed"]), "a patched update removes something else"  # type: ignore[call-overload]
        assert mine["force"] == theirs["force"]
    assert params == before, "the caller's parameters were changed"
    as_text = {name: blob.decode("utf-8") for name, blob in blobs.items()}
    text = request_of(OPERATION, {**IDS, "updateImageSetMetadataUpdates": {"DICOMUpdates": as_text}})
    assert isinstance(text, Request) and text.request == request.request, "text and bytes are read differently"
    encoded = {name: base64.b64encode(blob) for name, blob in blobs.items()}
    assert isinstance(request_of(OPERATION, {**IDS, "updateImageSetMetadataUpdates": {"DICOMUpdates": encoded}}), Refusal)


def rewritten(request: Request) -> list[tuple[Request, dict[str, object]]]:
    """The request with other values: one removed, one changed, one added, each name dropped from the removals, the flag turned."""
    updates: Any = request.request["updates"]
    removed: Any = request.request["removed"]
    changes: list[dict[str, Any]] = [{"force": True}]
    for level, fields in list(updates.items())[:4]:
        for name in list(fields)[:2]:
            changes.append({"updates": {**updates, level: {key: value for key, value in fields.items() if key != name}}})
            changes.append({"updates": {**updates, level: {**fields, name: "1"}}})
    changes.append({"updates": {**updates, "Patient": {**updates.get("Patient", {}), "PatientName": "X^Y"}}})
    changes += [{"removed": [name for name in removed if name != gone]} for gone in removed[:3]]
    return [(replaced(request, request={**request.request, **change}), {f"request.{name}": value for name, value in change.items()}) for change in changes]
