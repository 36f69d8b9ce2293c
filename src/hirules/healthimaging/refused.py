"""What the caller of a refused operation catches: its client's own exceptions, carrying the decision."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from hirules.model.decision import Decision

if TYPE_CHECKING:
    from botocore.errorfactory import BaseClientExceptions

ACCESS_DENIED = "AccessDeniedException"
NOT_FOUND = "ResourceNotFoundException"

_HTTP_STATUS = {
    ACCESS_DENIED: 403,
    NOT_FOUND: 404,
    "ConflictException": 409,
    "InternalServerException": 500,
    "ServiceQuotaExceededException": 402,
    "ThrottlingException": 429,
    "ValidationException": 400,
}
"""The API reference's HTTP status of each error."""


def code_of(status: object) -> str:
    """The error code of a decision's status: ``AccessDenied``, ``Conflict``, …; of anything else AccessDenied."""
    if isinstance(status, str):
        code = status if status.endswith("Exception") else f"{status}Exception"
        if code in _HTTP_STATUS:
            return code
    return ACCESS_DENIED


def refused(exceptions: BaseClientExceptions, operation: str, code: str, reason: str, decision: Decision | None = None) -> ClientError:
    """An exception of the client's own class for ``code``, with the decision as ``.decision``."""
    error = _carrying(exceptions.from_code(code))(_response(code, reason, decision.id if decision is not None else ""), operation)
    error.decision = decision
    return cast(ClientError, error)


def not_found(exceptions: BaseClientExceptions, operation: str) -> ClientError:
    """As if nothing existed: nothing tells that a rule said so."""
    missing: Any = exceptions.from_code(NOT_FOUND)
    return cast(ClientError, missing(_response(NOT_FOUND, "the image set was not found", ""), operation))


def _response(code: str, reason: str, request_id: str) -> dict[str, object]:
    """What botocore makes of an error of the service."""
    return {
        "Error": {"Code": code, "Message": reason},
        "ResponseMetadata": {"RequestId": request_id, "HTTPStatusCode": _HTTP_STATUS[code], "HTTPHeaders": {}, "RetryAttempts": 0},
        "message": reason,
    }


@cache
def _carrying(base: Any) -> Any:
    """A subclass of the client's class, so that the caller's except-clause catches it."""
    return type(base.__name__, (base,), {"decision": None, "__doc__": "Refused by hirules; nothing was sent. ``decision`` says why, where there is one."})
