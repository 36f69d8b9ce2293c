"""Decide every HealthImaging call of a boto3 client, on botocore's events.

    provide-client-params   the caller's mapping is copied
    before-parameter-build  Request ─▶ gate ─▶ Decision: raise, or the patched parameters (last of all handlers)
    before-call             an empty result instead of the call, where the decision says so
    before-sign             of a presigned URL: is it what was decided?
    request-created         which decision does this request carry out?
    before-send             is it still what was decided? (at every attempt; a retry is not decided again)
    after-call(-error)      the outcome completes the record

Rule 1: nothing is sent that was not decided, and only as it was decided.
Rule 2: whatever fails here refuses. Messages and logs carry no value of the request.
It is cooperative: code of the same process can take the handlers off. A boundary is a process of its own.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Collection, Mapping
from contextvars import ContextVar
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, ParamValidationError
from botocore.validate import ParamValidator

from hirules.healthimaging.lookup import ImageSets, unguarded
from hirules.healthimaging.operations import OPERATIONS
from hirules.healthimaging.patch import PatchError, patched
from hirules.healthimaging.refused import ACCESS_DENIED, code_of, not_found, refused
from hirules.healthimaging.sent import Sent
from hirules.healthimaging.translate import Refusal, request_of
from hirules.model.decision import Decision
from hirules.model.reading import Fields
from hirules.model.request import Request, replaced

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel

log = logging.getLogger(__name__)

Subject = Mapping[str, object] | Callable[[], Mapping[str, object]] | None
Unlisted = Literal["refuse", "allow"] | Collection[str]

SERVICE = "medical-imaging"
_PENDING = "hirules"
_EMPTY_RESULT = {"SearchImageSets": "imageSetsMetadataSummaries", "ListImageSetVersions": "imageSetPropertiesList"}
_SENDING: ContextVar[Sent | None] = ContextVar("hirules_healthimaging_sending", default=None)


class Gate(Protocol):
    """What decides: :class:`hirules.gate.Gate`."""

    def check(self, request: Request) -> Decision:
        """Decide, and record the decision."""

    def complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        """Record what became of it."""


@runtime_checkable
class RecordsRefusals(Protocol):
    """A gate that also records what was refused before any rule."""

    def refuse(self, request: Request, status: str, reason: str) -> Decision:
        """Record that ``request`` is refused, and answer the decision that says so."""


class Calls:
    """The handlers of one client."""

    def __init__(self, client: BaseClient, gate: Gate) -> None:
        self.gate = gate
        self.subject: Subject = None
        self.unlisted: Unlisted = "refuse"
        self._exceptions = client.exceptions
        self._validator = ParamValidator()
        self.lookup = ImageSets(unguarded(client))
        self._handlers: tuple[tuple[str, str, Callable[..., Any]], ...] = (
            # the emitter calls the handlers of longer event names first: the bare name, registered last, is the last of all
            ("last", "provide-client-params", self.copy_params),
            ("last", "before-parameter-build", self.decide),
            ("first", f"before-call.{SERVICE}.*", self.before_call),
            ("last", "before-sign", self.before_sign),
            ("last", "request-created", self.request_created),
            ("last", "before-send", self.before_send),
            ("last", "after-call", self.after_call),
            ("last", "after-call-error", self.after_call_error),
        )

    def register(self, client: BaseClient) -> None:
        """Put the handlers on the client's events."""
        for place, event, handler in self._handlers:
            register = client.meta.events.register_first if place == "first" else client.meta.events.register_last
            register(event, handler)

    def unregister(self, client: BaseClient) -> None:
        """Take them off again."""
        for _, event, handler in self._handlers:
            client.meta.events.unregister(event, handler)

    # -- before the call ---------------------------------------------------------------------------

    def copy_params(self, params: Mapping[str, object], **_: object) -> dict[str, object]:
        """A mapping of our own: what is patched is never the caller's (generate_presigned_url hands theirs on)."""
        return dict(params)

    def decide(self, params: dict[str, Any], model: OperationModel, context: dict[str, Any], **_: object) -> None:
        """Decide the call: raise, or leave in ``params`` what was decided."""
        operation = str(model.name)
        try:
            if operation not in OPERATIONS and self._passes(operation):
                context[_PENDING] = Sent.undecided()
                return
            own = _own(params)
            self._validate(own, model)
            decision = self.gate.check(self._request(operation, own))
            if decision.no_match and operation in _EMPTY_RESULT and not context.get("is_presign_request"):
                context[_PENDING] = Sent.answered(decision)
                return
            self._permit(operation, decision)
            own = self._patched(own, decision)
            context[_PENDING] = Sent.of(decision, own, model)
            params.clear()
            params.update(own)
        except (ClientError, ParamValidationError):
            raise
        except PatchError as error:
            raise self._refused(operation, str(error)) from None
        except Exception as error:  # noqa: BLE001 - the guard's one place that fails closed: whatever went wrong, nothing is sent
            log.error("the guard failed on %s: %s", operation, _where(error))
            raise self._refused(operation, f"the guard failed ({type(error).__name__})") from None

    def _patched(self, params: Mapping[str, object], decision: Decision) -> dict[str, object]:
        try:
            return patched(params, decision)
        except PatchError as error:
            self._complete(decision, {"sent": False, "error": str(error)})
            raise

    def _passes(self, operation: str) -> bool:
        return self.unlisted == "allow" or (not isinstance(self.unlisted, str) and operation in self.unlisted)

    def _validate(self, params: Mapping[str, object], model: OperationModel) -> None:
        """botocore's own check, before the decision: of a call that it refuses no record is left open."""
        if model.input_shape is None:
            return
        report = self._validator.validate(params, model.input_shape)
        if report.has_errors():
            raise ParamValidationError(report=report.generate_report())

    def _request(self, operation: str, params: Mapping[str, object]) -> Request:
        subject = self.subject() if callable(self.subject) else self.subject
        asks = {"subject": dict(subject or {}), "context": {"transport": "boto3"}}
        request = request_of(operation, params)
        if isinstance(request, Refusal):
            log.warning("%s was refused before any rule: %s", operation, request.reason)
            decision = None
            if isinstance(self.gate, RecordsRefusals):
                decision = self.gate.refuse(replaced(request.request, **asks), "AccessDenied", request.reason)
            raise self._refused(operation, request.reason, decision)
        return replaced(request, **asks, lookup=self.lookup)

    def _permit(self, operation: str, decision: Decision) -> None:
        if decision.allowed and decision.nothing:
            self._complete(decision, {"sent": False})
        if decision.no_match or (decision.allowed and decision.nothing):
            raise not_found(self._exceptions, operation)
        if not decision.allowed:
            raise refused(self._exceptions, operation, code_of(decision.status), decision.reason or "refused by policy", decision)

    def _refused(self, operation: str, reason: str, decision: Decision | None = None) -> ClientError:
        return refused(self._exceptions, operation, ACCESS_DENIED, reason, decision)

    # -- the call ----------------------------------------------------------------------------------

    def before_call(self, model: OperationModel, params: dict[str, Any], context: dict[str, Any], **_: object) -> tuple[AWSResponse, Fields] | None:
        """Answer without the service, or note where the request goes."""
        sent = self._sent(context, str(model.name))
        if sent.empty:
            metadata = {"RequestId": "", "HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}
            return AWSResponse(params["url"], 200, HTTPHeaders(), None), {_EMPTY_RESULT[str(model.name)]: [], "ResponseMetadata": metadata}
        sent.origin = Sent.origin_of(params["url"])
        return None

    def before_sign(self, request: Any, operation_name: str, **_: object) -> None:
        """Of a presigned URL this is the last that is heard; any other request is looked at when it is sent."""
        if not request.context.get("is_presign_request"):
            return
        sent = self._sent(request.context, operation_name)
        try:
            self._same(sent, request, operation_name)
        except ClientError:
            self._close(sent, {"presigned": False})
            raise
        self._close(sent, {"presigned": True})

    def request_created(self, request: Any, **_: object) -> None:
        """Tie the request to its decision: ``before-send`` has no context in older versions of botocore."""
        _SENDING.set(request.context.get(_PENDING))

    def before_send(self, request: Any, event_name: str = "", **_: object) -> None:
        """Refuse what is not, or no longer, what was decided."""
        operation = event_name.rpartition(".")[2]
        self._same(self._sent({_PENDING: _SENDING.get()}, operation), request, operation)

    def _sent(self, context: Mapping[str, object], operation: str) -> Sent:
        sent = context.get(_PENDING)
        if not isinstance(sent, Sent):
            raise self._refused(operation, "the request was not decided")
        return sent

    def _same(self, sent: Sent, request: Any, operation: str) -> None:
        change = sent.change(request)
        if change:
            log.error("%s was changed after the decision: %s", operation, change)
            raise self._refused(operation, f"the {change} was changed after the decision")

    # -- after the call ----------------------------------------------------------------------------

    def after_call(self, http_response: Any, parsed: Mapping[str, Any], context: dict[str, Any], **_: object) -> None:
        """Complete the record with the service's answer."""
        sent = context.get(_PENDING)
        if not isinstance(sent, Sent) or sent.decision is None:
            return
        metadata = parsed.get("ResponseMetadata", {})
        outcome: dict[str, object] = {"sent": not sent.empty, "http_status": http_response.status_code}
        if not sent.empty:
            outcome["retries"] = metadata.get("RetryAttempts", 0)
        if http_response.status_code >= 300:
            outcome["error"] = parsed.get("Error", {}).get("Code", "")
        for name in ("latestVersionId", "imageSetState", "imageSetWorkflowStatus"):
            if name in parsed:
                outcome[name] = parsed[name]
        self._complete(sent.decision, outcome)

    def after_call_error(self, exception: BaseException, context: dict[str, Any], **_: object) -> None:
        """Complete the record of a call that got no answer."""
        sent = context.get(_PENDING)
        if isinstance(sent, Sent):
            self._close(sent, {"error": type(exception).__name__})

    def _close(self, sent: Sent, outcome: Mapping[str, object]) -> None:
        if sent.decision is not None:
            self._complete(sent.decision, outcome)

    def _complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        try:
            self.gate.complete(decision, outcome)
        except Exception as error:  # noqa: BLE001 - the call is over: raising would tell the caller that it was not carried out
            log.error("the outcome of %s was not recorded: %s", decision.id, _where(error))


def _own(value: Any) -> Any:
    """A copy that nobody else can change, with the leaves as they are."""
    if isinstance(value, Mapping):
        return {name: _own(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_own(item) for item in value]
    return bytes(value) if isinstance(value, bytearray) else value


def _where(error: BaseException) -> str:
    """The kind of the error and the line that raised it; its text may quote a value of the request."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return type(error).__name__ + place
