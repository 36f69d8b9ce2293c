"""What a decision lets through, as bytes: compared with what is about to be sent.

The parameters that were decided are serialised here, by botocore's own serialiser, right after the
decision. A handler that changes parameters, path, query or body later is thereby noticed; headers,
which signing and retries change, do not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from botocore.serialize import create_serializer

from hirules.model.decision import Decision

if TYPE_CHECKING:
    from botocore.model import OperationModel


class Sent:
    """One call that may be sent. ``decision`` is ``None`` for an operation that needs none."""

    __slots__ = ("_body", "_method", "_path", "_query", "decision", "empty", "origin")

    def __init__(
        self, decision: Decision | None, method: str = "", path: str = "", query: object = None, body: bytes | None = b"", empty: bool = False
    ) -> None:
        self.decision = decision
        self.empty = empty
        self.origin: tuple[str, str, str] | None = None
        self._method, self._path, self._query, self._body = method, path, query, body

    @classmethod
    def undecided(cls) -> Sent:
        """A call that the configuration lets pass."""
        return cls(None)

    @classmethod
    def answered(cls, decision: Decision) -> Sent:
        """A call that is answered with an empty result: nothing may be sent."""
        return cls(decision, empty=True)

    @classmethod
    def of(cls, decision: Decision, params: Mapping[str, object], model: OperationModel) -> Sent:
        """The call with these parameters."""
        service = model.service_model
        protocol = getattr(service, "resolved_protocol", None) or service.metadata["protocol"]
        request = _serializer(str(protocol)).serialize_to_request(params, model)
        query = sorted((str(name), _text(value)) for name, value in request["query_string"].items())
        return cls(decision, request["method"], request["url_path"], query, _bytes(request["body"]))

    @staticmethod
    def origin_of(url: str) -> tuple[str, str, str]:
        """Scheme, host and path of ``url``."""
        parts = urlsplit(url)
        return parts.scheme, parts.netloc, parts.path

    def change(self, request: Any) -> str:
        """What of the request is not as it was decided: ``method``, ``address``, ``path``, ``query`` or ``body``; else empty."""
        if self.empty:
            return "answer"
        if self.decision is None:
            return ""
        parts = urlsplit(request.url)
        if request.method != self._method:
            return "method"
        if self.origin is not None and (parts.scheme, parts.netloc, parts.path) != self.origin:
            return "address"
        if not parts.path.endswith(self._path):
            return "path"
        # a signature may be in the query (SigV4, X-Amz-…); a presigned AWSRequest keeps its parameters apart
        query = sorted((name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if not name.startswith("X-Amz-"))
        if query != self._query or getattr(request, "params", None):
            return "query"
        body = request.data if hasattr(request, "data") else request.body
        return "" if _bytes(body) == self._body else "body"


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bytes(body: object) -> bytes | None:
    """The body as bytes; ``None`` for a stream, which equals nothing."""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    return b"" if not body else None


@cache
def _serializer(protocol: str) -> Any:
    return create_serializer(protocol, include_validation=False)
