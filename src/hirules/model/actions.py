"""The actions: what can be about to happen. Declared here, once (LANGUAGE: Actions)."""

from __future__ import annotations

from typing import Literal

import msgspec

Service = Literal["association", "dimse", "healthimaging", "disclosure", "added"]


class Action(msgspec.Struct, frozen=True):
    """One action. ``operation`` is the name of the DIMSE service or of the API operation.

    ``has_resource``  paths below ``resource.`` exist for it
    ``retrieve``      reaching nothing is answered without the upstream
    ``hideable``      a deny may say ``respond: no-match``
    """

    name: str
    service: Service
    operation: str
    doc: str
    has_resource: bool = False
    retrieve: bool = False
    hideable: bool = False


def _dimse(name: str, doc: str, **flags: bool) -> Action:
    return Action(name, "dimse", name.upper(), doc, **flags)


def _image_set(name: str, operation: str, doc: str, **flags: bool) -> Action:
    return Action(name, "healthimaging", operation, doc, **flags)


ACTIONS: tuple[Action, ...] = (
    Action("associate", "association", "A-ASSOCIATE", "a peer asks for an association"),
    _dimse("c-find", "a query is about to be carried out", hideable=True),
    _dimse("c-get", "instances are about to be sent over the same association", has_resource=True, retrieve=True, hideable=True),
    _dimse("c-move", "instances are about to be sent to a move destination", has_resource=True, retrieve=True, hideable=True),
    _dimse("c-store", "an instance is about to be stored"),
    _dimse("n-get", "attributes of a SOP instance are about to be read", has_resource=True, hideable=True),
    _dimse("n-set", "attributes of a SOP instance are about to be changed", has_resource=True),
    _dimse("n-create", "a SOP instance is about to be created", has_resource=True),
    _dimse("n-action", "a SOP instance is about to be told to act", has_resource=True),
    _dimse("n-delete", "a SOP instance is about to be deleted", has_resource=True),
    _dimse("n-event-report", "an event of a SOP instance is about to be reported", has_resource=True),
    Action("answer", "disclosure", "", "one C-FIND match, or one image set of a search result, is about to leave", hideable=True),
    Action(
        "release", "disclosure", "",
        "one instance, N-GET attribute list, image set metadata document or image frame is about to leave; `request.action` names what asked for it",
        hideable=True,
    ),
    _image_set("get-image-set", "GetImageSet", "the properties of an image set are about to be read", has_resource=True, hideable=True),
    _image_set(
        "get-image-set-metadata", "GetImageSetMetadata", "the metadata of an image set are about to be read",
        has_resource=True, retrieve=True, hideable=True,
    ),
    _image_set(
        "get-image-frame", "GetImageFrame", "an image frame is about to be read", has_resource=True, retrieve=True, hideable=True
    ),
    _image_set("search-image-sets", "SearchImageSets", "a search for image sets is about to be carried out", hideable=True),
    _image_set(
        "list-image-set-versions", "ListImageSetVersions", "the versions of an image set are about to be listed", has_resource=True, hideable=True
    ),
    _image_set("update-image-set-metadata", "UpdateImageSetMetadata", "the metadata of an image set are about to be changed", has_resource=True),
    _image_set("copy-image-set", "CopyImageSet", "an image set is about to be copied", has_resource=True),
    _image_set("delete-image-set", "DeleteImageSet", "an image set is about to be deleted", has_resource=True),
    _image_set("start-dicom-import-job", "StartDICOMImportJob", "DICOM files are about to be imported", has_resource=True),
)  # fmt: skip

_QUERY = ("c-find", "search-image-sets")
_RETRIEVE = tuple(action.name for action in ACTIONS if action.retrieve)

GROUPS: dict[str, tuple[str, ...]] = {
    "query": _QUERY,
    "retrieve": _RETRIEVE,
    "disclose": (*_QUERY, *_RETRIEVE, "n-get", "get-image-set", "list-image-set-versions", "copy-image-set", "answer", "release"),
    "metadata-update": ("update-image-set-metadata", "n-set"),
}
"""Names that stand for several actions in ``on``."""

NARROWING = ("associate", "answer", "release")
"""They only narrow what the request's own rules grant: without an allow rule they are permitted unless denied."""
