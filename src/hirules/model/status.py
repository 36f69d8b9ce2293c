"""Statuses: what each DIMSE service may answer, and what a refusal says where a policy names nothing.

    statuses(action)        the rows of the service's table (PS3.7 §9.1, §10.1, Annex C; PS3.4)
    valid_status(a, value)  whether a ``deny`` may name ``value`` for the action: a failure only
    default_status(action)  0x0124, AccessDenied, or the three of an A-ASSOCIATE-RJ
    conflict_status(action) where rewrites conflict: 0xC000

Success, pending, cancel and warning never refuse: a peer would take the request for carried out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from hirules.model.actions import ACTIONS
from hirules.model.decision import AssociateStatus, Status

Category = Literal["success", "pending", "cancel", "warning", "failure"]

NOT_AUTHORIZED = 0x0124
SOP_CLASS_NOT_SUPPORTED = 0x0122
UNRECOGNIZED_OPERATION = 0x0211
MISTYPED_ARGUMENT = 0x0212
PROCESSING_FAILURE = 0x0110
IDENTIFIER_DOES_NOT_MATCH = 0xA900
UNABLE_TO_PROCESS = 0xC000


class Row(msgspec.Struct, frozen=True):
    """One status, or a range of them with one meaning."""

    first: int
    last: int
    category: Category
    name: str
    meaning: str


def _row(code: int, category: Category, name: str, meaning: str, last: int | None = None) -> Row:
    return Row(code, code if last is None else last, category, name, meaning)


_SUCCESS = _row(0x0000, "success", "Success", "the operation was carried out")
_CANCEL = _row(0xFE00, "cancel", "Cancel", "the operation was ended by C-CANCEL")

_GENERAL: Mapping[int, Row] = {
    row.first: row
    for row in (
        _row(0x0105, "failure", "NoSuchAttribute", "an attribute is not known"),
        _row(0x0106, "failure", "InvalidAttributeValue", "an attribute's value is out of its range"),
        _row(0x0107, "warning", "AttributeListError", "some attributes were not known"),
        _row(0x0110, "failure", "ProcessingFailure", "a general failure in processing"),
        _row(0x0111, "failure", "DuplicateSOPInstance", "the SOP instance exists already"),
        _row(0x0112, "failure", "NoSuchObjectInstance", "the SOP instance is not known"),
        _row(0x0113, "failure", "NoSuchEventType", "the event type is not known"),
        _row(0x0114, "failure", "NoSuchArgument", "the action or event information is not known"),
        _row(0x0115, "failure", "InvalidArgumentValue", "the action or event information has an invalid value"),
        _row(0x0116, "warning", "AttributeValueOutOfRange", "an attribute's value was changed to fit"),
        _row(0x0117, "failure", "InvalidObjectInstance", "the SOP instance UID breaks the rules for UIDs"),
        _row(0x0118, "failure", "NoSuchSOPClass", "the SOP class is not known"),
        _row(0x0119, "failure", "ClassInstanceConflict", "the SOP instance is not of the SOP class"),
        _row(0x0120, "failure", "MissingAttribute", "a required attribute is missing"),
        _row(0x0121, "failure", "MissingAttributeValue", "a required attribute has no value"),
        _row(0x0122, "failure", "SOPClassNotSupported", "the SOP class is not supported"),
        _row(0x0123, "failure", "NoSuchActionType", "the action type is not known"),
        _row(0x0124, "failure", "NotAuthorized", "the user is not allowed to do this"),
        _row(0x0210, "failure", "DuplicateInvocation", "the message id is in use"),
        _row(0x0211, "failure", "UnrecognizedOperation", "the operation is not one of the SOP class"),
        _row(0x0212, "failure", "MistypedArgument", "a parameter was not agreed for use on the association"),
        _row(0x0213, "failure", "ResourceLimitation", "a lack of resources"),
    )
}
"""PS3.7 Annex C, the statuses that belong to no service class."""

# every service may refuse so: PS3.7 §9.1 and §10.1 list them for all services but C-FIND's 0124 (LANGUAGE: it is sent all the same)
_EVERYWHERE = (0x0110, 0x0117, 0x0118, 0x0119, 0x0122, 0x0124, 0x0210, 0x0211, 0x0212, 0x0213)
_PENDING = _row(0xFF00, "pending", "Pending", "matches or sub-operations are continuing")
_UNABLE = _row(0xC000, "failure", "UnableToProcess", "the service class is unable to process it", last=0xCFFF)
_RESOURCES = _row(0xA700, "failure", "OutOfResources", "refused for want of resources")

_RETRIEVE: tuple[Row, ...] = (  # PS3.4 §C.4.2.1.5, §C.4.3.1.4, §Y.4.1.1.4
    _RESOURCES,
    _row(0xA701, "failure", "OutOfResourcesMatches", "unable to calculate the number of matches"),
    _row(0xA702, "failure", "OutOfResourcesSuboperations", "unable to perform sub-operations"),
    _row(0xA900, "failure", "IdentifierDoesNotMatch", "the identifier does not match the SOP class"),
    _row(0xAA00, "failure", "NoFramesFound", "none of the frames asked for are in the SOP instance"),
    _row(0xAA01, "failure", "UnableToCreateObject", "unable to create a new object for this SOP class"),
    _row(0xAA02, "failure", "UnableToExtractFrames", "unable to extract the frames"),
    _row(0xAA03, "failure", "NotTimeBased", "a time-based request for a SOP instance that is not time-based"),
    _row(0xAA04, "failure", "InvalidRequest", "the request is invalid"),
    _row(0xB000, "warning", "SubOperationsFailed", "complete, with one or more failures"),
    _UNABLE,
    _PENDING,
)

# the service classes that use N services, together: print C6xx, UPS C3xx, media creation A510 and C2xx, logging and RT verification C1xx
_N_SERVICE: tuple[Row, ...] = (
    _row(0x0001, "warning", "OptionalAttributesNotSupported", "optional attributes that were asked for are not supported"),
    _row(0x0107, "warning", "AttributeListError", "some attributes were not known"),
    _row(0x0116, "warning", "AttributeValueOutOfRange", "an attribute's value was changed to fit"),
    _row(0xB000, "warning", "Warning", "carried out with a warning of the service class", last=0xBFFF),
    _row(0xC000, "failure", "Failure", "a failure of the service class", last=0xCFFF),
)


def _general(*codes: int) -> tuple[Row, ...]:
    return (_SUCCESS, *(_GENERAL[code] for code in sorted({*_EVERYWHERE, *codes})))


STATUSES: Mapping[str, tuple[Row, ...]] = {
    "c-echo": _general(),
    "c-store": (  # PS3.4 §B.2.3
        *_general(),
        _row(0xA700, "failure", "OutOfResources", "refused for want of resources", last=0xA7FF),
        _row(0xA900, "failure", "DataSetDoesNotMatch", "the data set does not match the SOP class", last=0xA9FF),
        _row(0xB000, "warning", "CoercionOfDataElements", "elements were changed"),
        _row(0xB006, "warning", "ElementsDiscarded", "elements were discarded"),
        _row(0xB007, "warning", "DataSetDoesNotMatch", "the data set does not match the SOP class"),
        _row(0xC000, "failure", "CannotUnderstand", "the data set cannot be parsed", last=0xCFFF),
    ),
    "c-find": (  # PS3.4 §C.4.1.1.4, §K.4.1.1.4, Annexes Q, U, V, X, BB, HH
        *_general(),
        _RESOURCES,
        _row(0xA710, "failure", "InvalidPriorRecordKey", "the prior record key is invalid"),
        _row(0xA900, "failure", "IdentifierDoesNotMatch", "the identifier does not match the SOP class"),
        _row(0xB001, "warning", "ResponseLimitReached", "a further request may return more matches"),
        _UNABLE,
        _CANCEL,
        _PENDING,
        _row(0xFF01, "pending", "PendingWarning", "matches are continuing; optional keys are not supported"),
    ),
    "c-get": (*_general(), *_RETRIEVE, _CANCEL),
    "c-move": (*_general(), _row(0xA801, "failure", "MoveDestinationUnknown", "the move destination is unknown"), *_RETRIEVE, _CANCEL),
    "n-get": (*_general(0x0105, 0x0112), *_N_SERVICE),
    "n-set": (*_general(0x0105, 0x0106, 0x0112, 0x0120, 0x0121), *_N_SERVICE),
    "n-create": (*_general(0x0105, 0x0106, 0x0111, 0x0112, 0x0120, 0x0121), _RESOURCES, *_N_SERVICE),
    "n-action": (
        *_general(0x0105, 0x0106, 0x0112, 0x0114, 0x0115, 0x0120, 0x0121, 0x0123),
        _row(0xA510, "failure", "AlreadyInitiated", "an Initiate Media Creation action was received already"),
        *_N_SERVICE,
    ),
    "n-delete": (*_general(0x0112), *_N_SERVICE),
    "n-event-report": (*_general(0x0112, 0x0113, 0x0114, 0x0115), *_N_SERVICE),
}
"""The statuses of each DIMSE service, over all service classes that use it."""

HTTP_STATUS: Mapping[str, int] = {
    "AccessDenied": 403,
    "Conflict": 409,
    "InternalServer": 500,
    "ResourceNotFound": 404,
    "ServiceQuotaExceeded": 402,
    "Throttling": 429,
    "Validation": 400,
}
"""The errors of AWS HealthImaging by short name (``AccessDeniedException``), with their HTTP status."""

REJECTIONS: Mapping[tuple[int, int], frozenset[int]] = {
    (1, 1): frozenset({1, 2, 3, 7}),  # service user: no reason, application context name, calling AE title, called AE title
    (2, 1): frozenset({1, 2, 3, 7}),
    (1, 2): frozenset({1, 2}),  # service provider, ACSE: no reason, protocol version
    (2, 2): frozenset({1, 2}),
    (1, 3): frozenset({1, 2}),  # service provider, presentation: temporary congestion, local limit exceeded
    (2, 3): frozenset({1, 2}),
}
"""The reasons of an A-ASSOCIATE-RJ by result and source, without the reserved ones (PS3.8 §9.3.4)."""

NO_REASON_GIVEN = AssociateStatus(result=1, source=1, reason=1)

_SERVICE = {action.name: action.service for action in ACTIONS}


def statuses(action: str) -> tuple[Row, ...]:
    """The rows of a DIMSE service's table; empty for what is no DIMSE service."""
    return STATUSES.get(action, ())


def status_row(action: str, code: int) -> Row | None:
    """What ``code`` means in an answer of the service; ``None`` where the service has no such status."""
    return next((row for row in statuses(action) if row.first <= code <= row.last), None)


def valid_status(action: str, value: object) -> bool:
    """Whether a ``deny`` for ``action`` may name ``value``. An ``answer`` or ``release`` has no status of its own but the default."""
    match _SERVICE.get(action):
        case "dimse":
            row = status_row(action, value) if isinstance(value, int) and not isinstance(value, bool) else None
            return row is not None and row.category == "failure"
        case "association":
            rejection = rejection_of(value)
            return rejection is not None and rejection.reason in REJECTIONS.get((rejection.result, rejection.source), frozenset())
        case "healthimaging":
            return isinstance(value, str) and value in HTTP_STATUS
        case _:
            return value == default_status(action) and not isinstance(value, bool)


def rejection_of(value: object) -> AssociateStatus | None:
    """An :class:`AssociateStatus` from itself, from its three numbers, or from a mapping of them."""
    if isinstance(value, AssociateStatus):
        return value
    if isinstance(value, Mapping) and set(value) == {"result", "source", "reason"}:
        value = (value["result"], value["source"], value["reason"])
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) != 3:
        return None
    return AssociateStatus(*value) if all(type(number) is int for number in value) else None


def default_status(action: str, *, strict: bool = False) -> Status:
    """What a refusal says where no rule names a status. ``strict``: C-FIND's own table has no 0x0124 (PS3.4 §C.4.1.1.4)."""
    match _SERVICE.get(action):
        case "association":
            return NO_REASON_GIVEN
        case "healthimaging":
            return "AccessDenied"
        case _:
            return UNABLE_TO_PROCESS if strict and action == "c-find" else NOT_AUTHORIZED


def conflict_status(action: str) -> Status:
    """What a refusal says where rewrites conflict."""
    # HealthImaging's own Conflict would make callers read the latest version and try again, in vain
    return UNABLE_TO_PROCESS if _SERVICE.get(action) == "dimse" else default_status(action)
