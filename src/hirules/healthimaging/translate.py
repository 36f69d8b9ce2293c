"""API parameters → :class:`Request`. Pure.

    UpdateImageSetMetadata(datastoreId=…, imageSetId=…, latestVersionId="7", force=True,
                           updateImageSetMetadataUpdates={"DICOMUpdates": {"updatableAttributes": b'…'}})
    → Request("update-image-set-metadata", request={
          "datastoreId": …, "imageSetId": …, "latestVersionId": "7", "force": True, "includeStudyImageSets": False,
          "kind": "update", "updates": {"Patient": {"PatientName": "A^B"}}, "updated": ["Patient.PatientName"],
          "removed": [], "removed_instances": []})

Of several series or instances that set one attribute, ``updates`` has the values in a list, in the
order of the document. What has no single reading is a :class:`Refusal`, before any rule is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hirules.healthimaging.document import Document, DocumentError, read_document
from hirules.healthimaging.operations import OPERATIONS, Flag, Operation, ParameterError, Text
from hirules.model.request import Request
from hirules.model.updates import updated_paths


class Refusal(msgspec.Struct, frozen=True):
    """Why there is no request to decide on, in lower case and without values; and the best request for the record."""

    reason: str
    request: Request


class Updates(msgspec.Struct, frozen=True):
    """What ``updateImageSetMetadataUpdates`` says."""

    updatable: Document | None = None
    removable: Document | None = None
    revert_to: str | None = None

    @property
    def kind(self) -> str:
        """``update``, ``remove``, ``update-and-remove`` or ``revert``."""
        if self.revert_to is not None:
            return "revert"
        if self.updatable is not None and self.removable is not None:
            return "update-and-remove"
        return "update" if self.updatable is not None else "remove"


def request_of(operation: str, params: Mapping[str, object]) -> Request | Refusal:
    """The request that these parameters of ``operation`` (``UpdateImageSetMetadata``) make."""
    known = OPERATIONS.get(operation)
    if known is None:
        return Refusal(f"`{operation}` is no action that can be decided", Request(operation))
    try:
        fields = known.parameters.read(params, "")
        if "updateImageSetMetadataUpdates" in fields:
            fields.update(update_fields(read_updates(fields.pop("updateImageSetMetadataUpdates"))))
    except (ParameterError, DocumentError) as error:
        return Refusal(str(error), Request(known.action, request=_readable(known, params)))
    return Request(known.action, request={**known.defaults, **fields})


def _readable(known: Operation, params: Mapping[str, object]) -> dict[str, object]:
    """The plain parameters that are as they should be: ids, versions, flags."""
    found: dict[str, object] = {}
    for name, value in params.items():
        shape = known.parameters.members.get(name)
        if isinstance(shape, Text | Flag):
            try:
                found[name] = shape.read(value, name)
            except ParameterError:
                continue  # it may be what the request is refused for
    return found


def read_updates(updates: object) -> Updates:
    """The checked structure as documents. Raises :class:`DocumentError`."""
    fields = updates if isinstance(updates, Mapping) else {}
    if "revertToVersionId" in fields:
        return Updates(revert_to=str(fields["revertToVersionId"]))
    blobs = fields.get("DICOMUpdates") or {}
    if not blobs:
        raise DocumentError("`DICOMUpdates` names no attribute")
    updatable = _document(blobs, "updatableAttributes")
    removable = _document(blobs, "removableAttributes")
    if updatable is not None and removable is not None:
        removed = {(entry.place, entry.name) for entry in removable.entries}
        for entry in updatable.entries:
            if (entry.place, entry.name) in removed:
                raise DocumentError(f"`{entry.place.level}.{entry.name}` is both updated and removed")
    return Updates(updatable, removable)


def update_fields(updates: Updates) -> dict[str, object]:
    """What an update is under ``request.``."""
    fields: dict[str, object] = {
        "kind": updates.kind, "updates": {}, "updated": [], "removed": [], "removed_instances": []
    }  # fmt: skip
    if updates.revert_to is not None:
        fields["revertToVersionId"] = updates.revert_to
    if updates.updatable is not None:
        values = values_of(updates.updatable)
        fields["updates"], fields["updated"] = values, updated_paths(values)
    if updates.removable is not None:
        fields["removed"] = sorted({path for entry in updates.removable.entries for path in entry.paths()})
        fields["removed_instances"] = [str(place.instance) for place in updates.removable.removed_instances]
    return fields


def values_of(document: Document) -> dict[str, dict[str, object]]:
    """``{level: {name: value}}``; of several places the values of all, in a list."""
    slots: dict[tuple[str, str], list[object]] = {}
    for entry in document.entries:
        slots.setdefault((entry.place.level, entry.name), []).append(entry.value)
    values: dict[str, dict[str, object]] = {}
    for (level, name), found in slots.items():
        values.setdefault(level, {})[name] = joined(found)
    return values


def joined(values: Sequence[object]) -> object:
    """The values of one attribute in several places: of one place its own, of more all in one list."""
    if len(values) == 1:
        return values[0]
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _document(blobs: Mapping[str, bytes], name: str) -> Document | None:
    if name not in blobs:
        return None
    try:
        return read_document(blobs[name], removes=name == "removableAttributes")
    except DocumentError as error:
        raise DocumentError(f"`{name}` {error}") from None
