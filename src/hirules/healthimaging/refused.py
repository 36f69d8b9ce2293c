"""What the caller of a refused operation catches: its client's own exceptions, carrying the decision."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from hirules.model.decision import Decision
from hirules.model.status import HTTP_STATUS

if TYPE_CHECKING:
    from botocore.errorfactory import BaseClientExceptions

ACCESS_DENIED = "AccessDeniedException"
NOT_FOUND = "ResourceNotFoundException"


def code_of(status: object) -> str:
    """The error code of a decision's status: ``AccessDenied``, ``Conflict``, …; of anything else AccessDenied."""
    if isinstance(status, str):
        name = status.removesuffix("Exception")
        if name in HTTP_STATUS:
            return f"{name}Exception"
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
        "ResponseMetadata": {"RequestId": request_id, "HTTPStatusCode": HTTP_STATUS[code.removesuffix("Exception")], "HTTPHeaders": {}, "RetryAttempts": 0},
        "message": reason,
    }


@cache
def _carrying(base: Any) -> Any:
    """A subclass of the client's class, so that the caller's except-clause catches it."""
    return type(base.__name__, (base,), {"decision": None, "__doc__": "Refused by hirules; nothing was sent. ``decision`` says why, where there is one."})
