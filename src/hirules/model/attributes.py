"""The attributes: the one declaration of what a path may name (LANGUAGE: Attributes).

DIMSE parameters are those of PS3.7 §9.1 and §10.1, by the names of the standard; HealthImaging
parameters those of the API reference, by the names of the API. ``<Keyword>`` stands for an element
of a DICOM data set, ``<name>`` for any name, ``[*]`` for the items of a list.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from hirules.model.actions import ACTIONS
from hirules.model.levels import PATIENT, STUDY
from hirules.model.scalars import Type


class Elements(Enum):
    """How the elements below a ``<Keyword>`` attribute count."""

    KEYS = "keys of a query or a retrieve: UIDs may be lists"
    DATA_SET = "a data set: multiplicity as in PS3.6"
    ENTITY = "an entity: what lies below the study level has several values"
    MANY = "several series or instances, each with its value"


class Attribute(msgspec.Struct, frozen=True, gc=False):
    """One attribute, or a family of them.

    ``many``      it may have several values
    ``writable``  a rewrite may change it; ``harmless`` where a failed rewrite may be skipped
    ``selects``   changing it changes what the request reaches
    ``empty_means_everything``  absent is the full set
    ``patient_data``  its value is never shown to the caller, and in the record only where configured
    ``default``   the documented value of a parameter that was left out
    ``values``    the closed list of its values, where there is one
    ``general``   every action has it, also those that plugins add
    """

    path: str
    type: Type
    actions: frozenset[str]
    doc: str
    many: bool = False
    writable: bool = False
    harmless: bool = False
    selects: bool = False
    empty_means_everything: bool = False
    patient_data: bool = False
    default: object = None
    values: tuple[str, ...] = ()
    elements: Elements | None = None
    general: bool = False


_ALL = frozenset(action.name for action in ACTIONS)
_DIMSE = frozenset(action.name for action in ACTIONS if action.service == "dimse")
_ON_ASSOCIATION = _DIMSE | {"associate"}
_HEALTHIMAGING = frozenset(action.name for action in ACTIONS if action.service == "healthimaging")
_DISCLOSURE = frozenset({"answer", "release"})
_RESOURCE = frozenset(action.name for action in ACTIONS if action.has_resource)
_QUERY_RETRIEVE = frozenset({"c-find", "c-get", "c-move"})
_AFFECTED = frozenset({"c-find", "c-get", "c-move", "c-store", "n-create", "n-event-report"})
_REQUESTED = frozenset({"n-get", "n-set", "n-action", "n-delete"})
_ONE_IMAGE_SET = frozenset(
    {"get-image-set", "get-image-set-metadata", "get-image-frame", "list-image-set-versions", "update-image-set-metadata", "delete-image-set"}
)
_UPDATE = frozenset({"update-image-set-metadata"})
_COPY = frozenset({"copy-image-set"})
_SEARCH = frozenset({"search-image-sets"})
_IMPORT = frozenset({"start-dicom-import-job"})

SAFE_KEYWORDS = frozenset(
    {
        "QueryRetrieveLevel", "Modality", "ModalitiesInStudy", "SOPClassUID", "SOPClassesInStudy", "BodyPartExamined", "SpecificCharacterSet",
        "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances", "NumberOfPatientRelatedStudies",
        "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances", "InstanceAvailability", "RetrieveAETitle", "Rows", "Columns",
        "NumberOfFrames", "BurnedInAnnotation", "PatientIdentityRemoved", "PrinterStatus", "PrinterStatusInfo", "PrinterName",
    }
)  # fmt: skip
"""Elements whose values tell nothing about a person; every other element is patient data."""

SINGLE_RESOURCE_KEYWORDS = PATIENT | STUDY | {
    "QueryRetrieveLevel", "RetrieveURI", "OtherPatientIDs", "StudyStatusID", "NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries",
    "NumberOfPatientRelatedInstances", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
}  # fmt: skip
"""Elements that an entity of a DIMSE request has once: those of its patient and its study."""


def _subject() -> tuple[Attribute, ...]:
    def one(name: str, type_: Type, doc: str, many: bool = False, actions: frozenset[str] = _ALL, data: bool = False) -> Attribute:
        return Attribute(f"subject.{name}", type_, actions, doc, many=many, patient_data=data, general=actions is _ALL)

    return (
        one("ae_title", Type.AE_TITLE, "the AE title by which the peer calls itself: its claim"),
        one("called_ae_title", Type.AE_TITLE, "the AE title that the peer called"),
        one("address", Type.ADDRESS, "the peer's IP address"),
        one("tls.subject", Type.STRING, "the subject of the peer's certificate (RFC 4514)"),
        one("tls.cn", Type.STRING, "the common name in the peer's certificate"),
        one("tls.san", Type.STRING, "the subject alternative names in the peer's certificate", many=True),
        one("tls.fingerprint", Type.STRING, "SHA-256 of the peer's certificate, hex digits in lower case"),
        one("implementation_class_uid", Type.UID, "the implementation class UID that the peer states (PS3.7 §D.3.3.2)"),
        one("user", Type.STRING, "the user, only when verified"),
        one("roles", Type.STRING, "the user's roles, only when verified", many=True),
        one("claims.<name>", Type.STRING, "a claim about the user, only when verified", many=True),
        one("stated_user", Type.STRING, "the user that the peer merely states"),
    )


def _context() -> tuple[Attribute, ...]:
    return (
        Attribute("context.now", Type.DATETIME, _ALL, "the time of the request, for its releases too", general=True),
        Attribute("context.purpose_of_use", Type.STRING, _ALL, "why the data are wanted, as the caller states it", general=True),
        Attribute("context.purpose_verified", Type.BOOLEAN, _ALL, "whether the purpose was verified", general=True),
        Attribute("context.transport", Type.STRING, _ALL, "how the request came: `dimse`, `dimse+tls`, `boto3`, `http`, …", general=True),
    )


def _dimse() -> tuple[Attribute, ...]:
    answering = _DISCLOSURE
    keys = frozenset({"c-find", "c-get", "c-move"}) | answering
    return (
        Attribute("request.action", Type.STRING, _ALL, "the action; for `answer`, `release` and the C-STORE of a retrieve the one that asked", general=True),
        Attribute(
            "request.upstream", Type.STRING, frozenset({"associate"}),
            "the name of the archive that the association goes to, by the called AE title", writable=True,
        ),
        Attribute("request.MessageID", Type.INTEGER, _DIMSE | answering, "the message id (PS3.7 §9.1)"),
        Attribute(
            "request.Priority", Type.INTEGER, frozenset({"c-find", "c-get", "c-move", "c-store"}) | answering,
            "0 medium, 1 high, 2 low (PS3.7 §9.1)", writable=True, harmless=True,
        ),
        Attribute("request.AffectedSOPClassUID", Type.UID, _AFFECTED | answering, "the SOP class, of a query the information model"),
        Attribute(
            "request.AffectedSOPInstanceUID", Type.UID, frozenset({"c-store", "n-create", "n-event-report"}), "the SOP instance", patient_data=True
        ),
        Attribute("request.RequestedSOPClassUID", Type.UID, _REQUESTED | {"release"}, "the SOP class of the instance (PS3.7 §10.1)"),
        Attribute(
            "request.RequestedSOPInstanceUID", Type.UID, _REQUESTED | {"release"}, "the SOP instance (PS3.7 §10.1)", selects=True, patient_data=True
        ),
        Attribute(
            "request.MoveDestination", Type.AE_TITLE, frozenset({"c-move", "release"}),
            "the AE title that the instances go to (PS3.7 §9.1.4)", writable=True,
        ),
        Attribute(
            "request.MoveOriginatorApplicationEntityTitle", Type.AE_TITLE, frozenset({"c-store"}),
            "the AE title whose C-MOVE led to this C-STORE, as the sender states it (PS3.7 §9.1.1)",
        ),
        Attribute("request.MoveOriginatorMessageID", Type.INTEGER, frozenset({"c-store"}), "the message id of that C-MOVE (PS3.7 §9.1.1)"),
        Attribute(
            "request.Identifier.<Keyword>", Type.TEXT, keys, "an element of the identifier (PS3.4 §C.4)",
            writable=True, selects=True, patient_data=True, elements=Elements.KEYS,
        ),
        Attribute("request.keys", Type.TAG, keys, "every key that the identifier asks for, by keyword", many=True),
        Attribute(
            "request.AttributeIdentifierList", Type.TAG, frozenset({"n-get", "release"}),
            "the attributes that an N-GET asks for; absent: all of them (PS3.7 §10.1.2)", many=True, writable=True, empty_means_everything=True,
        ),
        Attribute(
            "request.ModificationList.<Keyword>", Type.TEXT, frozenset({"n-set"}), "an element that an N-SET sets (PS3.7 §10.1.3)",
            patient_data=True, elements=Elements.DATA_SET,
        ),
        Attribute(
            "request.AttributeList.<Keyword>", Type.TEXT, frozenset({"n-create"}), "an element that an N-CREATE gives (PS3.7 §10.1.5)",
            patient_data=True, elements=Elements.DATA_SET,
        ),
        Attribute("request.ActionTypeID", Type.INTEGER, frozenset({"n-action"}), "the action type (PS3.7 §10.1.4)"),
        Attribute(
            "request.ActionInformation.<Keyword>", Type.TEXT, frozenset({"n-action"}), "an element of the action information (PS3.7 §10.1.4)",
            patient_data=True, elements=Elements.DATA_SET,
        ),
        Attribute("request.EventTypeID", Type.INTEGER, frozenset({"n-event-report"}), "the event type (PS3.7 §10.1.1)"),
        Attribute(
            "request.EventInformation.<Keyword>", Type.TEXT, frozenset({"n-event-report"}), "an element of the event information (PS3.7 §10.1.1)",
            patient_data=True, elements=Elements.DATA_SET,
        ),
        Attribute(
            "instance.<Keyword>", Type.TEXT, frozenset({"c-store", "answer", "release"}), "an element of the data set that leaves or arrives",
            writable=True, patient_data=True, elements=Elements.DATA_SET,
        ),
    )  # fmt: skip


def _healthimaging() -> tuple[Attribute, ...]:
    def one(name: str, type_: Type, actions: frozenset[str], doc: str, **flags: object) -> Attribute:
        return msgspec.structs.replace(Attribute(f"request.{name}", type_, actions, doc), **flags)

    answering = _DISCLOSURE
    sets = _ONE_IMAGE_SET | answering
    paged = frozenset({"search-image-sets", "list-image-set-versions"})
    criteria = "searchCriteria.filters[*].values[*]"
    return (
        one("datastoreId", Type.STRING, _HEALTHIMAGING | answering, "the data store", selects=True),
        one("imageSetId", Type.STRING, sets, "the image set", selects=True),
        one("versionId", Type.STRING, frozenset({"get-image-set", "get-image-set-metadata", "release"}), "the version that is asked for", selects=True),
        one("imageFrameInformation.imageFrameId", Type.STRING, frozenset({"get-image-frame", "release"}), "the image frame"),
        one("latestVersionId", Type.STRING, _UPDATE, "the version that the caller believes to be the latest"),
        one(
            "force", Type.BOOLEAN, _UPDATE | _COPY, "carry it out although the service's own checks would refuse", default=False, writable=True
        ),
        one(
            "includeStudyImageSets", Type.BOOLEAN, _UPDATE, "change all primary image sets of the study", default=False, writable=True, selects=True
        ),
        one("revertToVersionId", Type.STRING, _UPDATE, "the earlier version whose content is to come back"),
        one("kind", Type.STRING, _UPDATE, "what the update does", values=("update", "remove", "update-and-remove", "revert")),
        one("updated", Type.STRING, _UPDATE, "every attribute that the update sets, as `Level.Keyword`", many=True),
        one("removed", Type.STRING, _UPDATE, "every attribute that the update removes, as `Level.Keyword`", many=True, writable=True),
        one("removed_instances", Type.UID, _UPDATE, "every instance that the update removes", many=True, patient_data=True),
        *(
            one(
                f"updates.{level}.<Keyword>", Type.TEXT, _UPDATE, f"the value to be set for an attribute at {level.lower()} level",
                writable=True, patient_data=True, elements=Elements.DATA_SET if level in ("Patient", "Study") else Elements.MANY,
            )
            for level in ("Patient", "Study", "Series", "Instance")
        ),
        one("sourceImageSetId", Type.STRING, _COPY, "the image set that is copied", selects=True),
        one("copyImageSetInformation.sourceImageSet.latestVersionId", Type.STRING, _COPY, "the believed latest version of the source"),
        one("copyImageSetInformation.sourceImageSet.DICOMCopies.copiableAttributes", Type.STRING, _COPY, "the JSON that names what is copied"),
        one("copyImageSetInformation.destinationImageSet.imageSetId", Type.STRING, _COPY, "the image set that is copied into", selects=True),
        one("copyImageSetInformation.destinationImageSet.latestVersionId", Type.STRING, _COPY, "the believed latest version of the destination"),
        one("promoteToPrimary", Type.BOOLEAN, _COPY, "make the result the primary image set", default=False),
        one("maxResults", Type.INTEGER, paged | answering, "the number of results in one page"),
        one("nextToken", Type.STRING, paged | answering, "the token of the next page"),
        one("searchCriteria.filters[*].operator", Type.STRING, _SEARCH | {"answer"}, "how a filter compares", many=True, values=("EQUAL", "BETWEEN")),
        *(
            one(f"{criteria}.{name}", type_, _SEARCH | {"answer"}, "a value to search for", many=True, patient_data=data)
            for name, type_, data in (
                ("DICOMPatientId", Type.TEXT, True), ("DICOMAccessionNumber", Type.TEXT, True), ("DICOMStudyId", Type.TEXT, True),
                ("DICOMStudyInstanceUID", Type.UID, True), ("DICOMSeriesInstanceUID", Type.UID, True), ("createdAt", Type.DATETIME, False),
                ("updatedAt", Type.DATETIME, False), ("DICOMStudyDateAndTime.DICOMStudyDate", Type.DATE, True),
                ("DICOMStudyDateAndTime.DICOMStudyTime", Type.TIME, True), ("isPrimary", Type.BOOLEAN, False),
            )
        ),
        one("searchCriteria.sort.sortOrder", Type.STRING, _SEARCH | {"answer"}, "the order of the results", values=("ASC", "DESC")),
        one("searchCriteria.sort.sortField", Type.STRING, _SEARCH | {"answer"}, "what the results are sorted by"),
        *(
            one(name, Type.STRING, _IMPORT, doc)
            for name, doc in (
                ("jobName", "the name of the job"), ("dataAccessRoleArn", "the role that reads the files"), ("clientToken", "the idempotency token"),
                ("inputS3Uri", "where the files are"), ("outputS3Uri", "where the result is written"), ("inputOwnerAccountId", "who owns the files"),
            )
        ),
        *(
            one(
                f"importConfiguration.dicomJsonMetadataImportConfiguration.dicomMetadataMappings[*].{name}", type_, _IMPORT,
                "which metadata file belongs to which series", many=True, patient_data=type_ is Type.UID,
            )
            for name, type_ in (("studyInstanceUID", Type.UID), ("seriesInstanceUID", Type.UID), ("metadataFilePath", Type.STRING))
        ),
    )  # fmt: skip


def _resource() -> tuple[Attribute, ...]:
    on_dimse = _RESOURCE & _DIMSE
    on_image_sets = _RESOURCE & _HEALTHIMAGING

    def image_set(name: str, type_: Type, doc: str, **flags: object) -> Attribute:
        return msgspec.structs.replace(Attribute(f"resource.{name}", type_, on_image_sets, doc), **flags)

    states = ("ACTIVE", "LOCKED", "DELETED")
    workflow = (
        "CREATED", "COPIED", "COPYING", "COPYING_WITH_READ_ONLY_ACCESS", "COPY_FAILED", "UPDATING", "UPDATING_FOR_STUDY_CONSISTENCY",
        "UPDATED", "UPDATE_FAILED", "DELETING", "DELETED", "IMPORTING", "IMPORTED", "IMPORT_FAILED",
    )  # fmt: skip
    return (
        Attribute(
            "resource.<Keyword>", Type.TEXT, on_dimse | on_image_sets, "an element of the entity that the request reaches",
            patient_data=True, elements=Elements.ENTITY,
        ),
        Attribute("resource.count", Type.INTEGER, _RESOURCE, "how many entities the request reaches"),
        Attribute("resource.instance_count", Type.INTEGER, _RESOURCE, "how many instances would be sent"),
        image_set("datastoreId", Type.STRING, "the data store of the image set"),
        image_set("imageSetId", Type.STRING, "the image set"),
        image_set("imageSetArn", Type.STRING, "the ARN of the image set"),
        image_set("versionId", Type.STRING, "the version of the image set"),
        image_set("imageSetState", Type.STRING, "the state of the image set", values=states),
        image_set("imageSetWorkflowStatus", Type.STRING, "the workflow status of the image set", values=workflow),
        image_set("createdAt", Type.DATETIME, "when the image set was created"),
        image_set("updatedAt", Type.DATETIME, "when the image set was last updated"),
        image_set("deletedAt", Type.DATETIME, "when the image set was deleted"),
        image_set("lastAccessedAt", Type.DATETIME, "when the image set was last read"),
        image_set("message", Type.STRING, "the service's message about the image set"),
        image_set("overrides.forced", Type.BOOLEAN, "whether the last change was forced"),
        image_set("isPrimary", Type.BOOLEAN, "whether it is the primary image set of its instances"),
        image_set("storageTier", Type.STRING, "the storage tier", values=("FREQUENT_ACCESS", "ARCHIVE_INSTANT_ACCESS")),
    )  # fmt: skip


ATTRIBUTES: tuple[Attribute, ...] = (*_subject(), *_context(), *_dimse(), *_healthimaging(), *_resource())
