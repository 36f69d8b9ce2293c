"""A local stand-in of AWS HealthImaging that a real boto3 client talks to over HTTP.

    with StandIn() as service:
        image_set, = service.load(paths)
        client = boto3.client("medical-imaging", endpoint_url=service.url, config=Config(inject_host_prefix=False), …)

It has versions and their conflicts, locking, ``force``, levels, primary image sets, reverts, removal of
instances, search and copy. It checks no signature, imports nothing from S3, and is for trials and tests.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from pydicom import Dataset, dcmread

from hirules.healthimaging.document import DocumentError
from hirules.healthimaging.operations import OPERATIONS, ParameterError
from hirules.healthimaging.standin_search import search
from hirules.healthimaging.standin_store import ImageSet, ServiceError, Store, Tree, invalid, metadata_of, missing
from hirules.healthimaging.translate import read_updates

_HTTP_STATUS = {
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "ResourceNotFoundException": 404,
    "ThrottlingException": 429,
    "UnknownOperationException": 404,
    "ValidationException": 400,
}
_PATHS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("SearchImageSets", re.compile(r"POST /datastore/(?P<datastoreId>[^/]+)/searchImageSets")),
    ("CopyImageSet", re.compile(r"POST /datastore/(?P<datastoreId>[^/]+)/imageSet/(?P<sourceImageSetId>[^/]+)/copyImageSet")),
    *(
        (name, re.compile(rf"POST /datastore/(?P<datastoreId>[^/]+)/imageSet/(?P<imageSetId>[^/]+)/{name[0].lower()}{name[1:]}"))
        for name in ("GetImageSet", "GetImageSetMetadata", "GetImageFrame", "UpdateImageSetMetadata", "DeleteImageSet", "ListImageSetVersions")
    ),
    ("GetDatastore", re.compile(r"GET /datastore/(?P<datastoreId>[^/]+)")),
)
_QUERY = {"latestVersion": "latestVersionId", "version": "versionId"}
_BOOLEANS = frozenset({"force", "includeStudyImageSets", "promoteToPrimary"})


class Received(msgspec.Struct, frozen=True):
    """One request as it came."""

    operation: str
    path: str
    query: Mapping[str, str]
    body: bytes


class Response(msgspec.Struct, frozen=True):
    """What is answered."""

    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=lambda: {"Content-Type": "application/json"})
    status: int = 200


class StandIn:
    """The service on a free port of this machine.

    ``delay``  how many seconds an update, copy or deletion keeps its image set locked
    ``fail``   what to answer instead, by operation: ``{"GetImageSet": "ThrottlingException"}``
    """

    def __init__(self, datastore_id: str = "0" * 32, delay: float = 0.0) -> None:
        self.datastore_id = datastore_id
        self.store = Store(datastore_id, delay)
        self.received: list[Received] = []
        self.fail: dict[str, str] = {}
        self.connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._operations: dict[str, Callable[[Tree], Response]] = {
            "GetImageSet": self._get_image_set,
            "GetImageSetMetadata": self._get_image_set_metadata,
            "GetImageFrame": self._get_image_frame,
            "ListImageSetVersions": self._list_image_set_versions,
            "SearchImageSets": self._search_image_sets,
            "UpdateImageSetMetadata": self._update_image_set_metadata,
            "CopyImageSet": self._copy_image_set,
            "DeleteImageSet": self._delete_image_set,
            "GetDatastore": self._get_datastore,
        }

    # -- running -----------------------------------------------------------------------------------

    def start(self) -> str:
        """Listen; the address to give to boto3 as ``endpoint_url``."""
        standin = self

        class Handler(_Handler):
            service = standin

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="healthimaging stand-in", daemon=True).start()
        return self.url

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the stand-in is not started")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def stop(self) -> None:
        """Stop listening and end every connection: boto3 keeps them open."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self.connections):
            with suppress(OSError):  # its other end was faster
                connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> StandIn:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def counts(self) -> Counter[str]:
        """How many requests came, by operation."""
        with self._lock:
            return Counter(each.operation for each in self.received)

    def load(self, files: Iterable[Path | str | Dataset], primary: bool = True) -> list[str]:
        """Import DICOM files: an image set a series, in the order in which the series appear. Their ids."""
        by_series: dict[str, list[Dataset]] = {}
        for file in files:
            data_set = file if isinstance(file, Dataset) else dcmread(file)
            by_series.setdefault(str(data_set.SeriesInstanceUID), []).append(data_set)
        with self._lock:
            return [self.store.add(*metadata_of(self.datastore_id, data_sets), primary=primary).id for data_sets in by_series.values()]

    def metadata(self, image_set: str, version: str | None = None) -> Tree:
        """The metadata document of an image set."""
        with self._lock:
            found = self.store.get(image_set)
            return self.store.version(found, version).metadata

    def settle(self) -> None:
        """End all updates, copies and deletions that are under way."""
        with self._lock:
            self.store.settle()

    # -- answering ---------------------------------------------------------------------------------

    def answer(self, method: str, target: str, body: bytes) -> Response:
        """The response to one HTTP request."""
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        operation, params = _operation(method, unquote(parts.path))
        with self._lock:
            self.received.append(Received(operation, parts.path, query, body))
            try:
                if operation in self.fail:
                    raise ServiceError(self.fail[operation], "The stand-in was told to fail")
                if operation not in self._operations:
                    raise ServiceError("UnknownOperationException", "The stand-in does not have this operation")
                params |= _parameters(operation, query, body)
                if params["datastoreId"] != self.datastore_id:
                    raise missing()
                return self._operations[operation](params)
            except ServiceError as error:
                return _failure(error.code, error.message)
            except (ParameterError, DocumentError) as error:
                return _failure("ValidationException", str(error))

    def _get_datastore(self, params: Tree) -> Response:
        return _json({"datastoreProperties": {"datastoreId": params["datastoreId"], "datastoreName": "stand-in", "datastoreStatus": "ACTIVE"}})

    def _get_image_set(self, params: Tree) -> Response:
        found = self.store.get(params["imageSetId"])
        version = self.store.version(found, params.get("versionId"))
        arn = f"arn:aws:medical-imaging:us-east-1:123456789012:datastore/{self.datastore_id}/imageset/{found.id}"
        return _json({"datastoreId": self.datastore_id, "imageSetArn": arn, "storageTier": "FREQUENT_ACCESS", **self.store.properties(found, version)})

    def _get_image_set_metadata(self, params: Tree) -> Response:
        found = self._present(params["imageSetId"])
        version = self.store.version(found, params.get("versionId"))
        text = json.dumps({**version.metadata, "ImageSetID": found.id}).encode()
        return Response(gzip.compress(text), {"Content-Type": "application/json", "Content-Encoding": "gzip"})

    def _get_image_frame(self, params: Tree) -> Response:
        found = self._present(params["imageSetId"])
        frame = found.frames.get(params["imageFrameInformation"]["imageFrameId"])
        if frame is None:
            raise missing()
        return Response(frame, {"Content-Type": "application/octet-stream"})

    def _list_image_set_versions(self, params: Tree) -> Response:
        found = self.store.get(params["imageSetId"])
        rows = []
        for version in reversed(found.versions):
            row = self.store.properties(found, version)
            row["ImageSetWorkflowStatus"] = row.pop("imageSetWorkflowStatus")
            rows.append(row)
        page, token = _page(rows, params)
        return _json({"imageSetPropertiesList": page, **token})

    def _search_image_sets(self, params: Tree) -> Response:
        page, token = _page(search(self.store, params.get("searchCriteria", {})), params)
        return _json({"imageSetsMetadataSummaries": page, **token})

    def _update_image_set_metadata(self, params: Tree) -> Response:
        updates = read_updates(params["updateImageSetMetadataUpdates"])
        version = self.store.update(
            params["imageSetId"], params["latestVersionId"], updates, params.get("force", False), params.get("includeStudyImageSets", False)
        )
        found = self.store.get(params["imageSetId"])
        return _json(
            {
                "datastoreId": self.datastore_id,
                "imageSetId": found.id,
                "latestVersionId": str(version.number),
                # the call answers before the work is done, however short it is
                "imageSetState": "LOCKED",
                "imageSetWorkflowStatus": "UPDATING",
                "createdAt": version.created,
                "updatedAt": version.updated,
            }
        )

    def _copy_image_set(self, params: Tree) -> Response:
        information = params["copyImageSetInformation"]
        wanted = information.get("destinationImageSet")
        destination = (wanted["imageSetId"], wanted["latestVersionId"]) if wanted is not None else None
        if "DICOMCopies" in information["sourceImageSet"]:
            raise invalid("The stand-in copies whole image sets only")
        source, made = self.store.copy(
            params["sourceImageSetId"], information["sourceImageSet"]["latestVersionId"], destination,
            params.get("force", False), params.get("promoteToPrimary", False),
        )  # fmt: skip
        return _json(
            {
                "datastoreId": self.datastore_id,
                "sourceImageSetProperties": self._copied(source, "COPYING_WITH_READ_ONLY_ACCESS"),
                "destinationImageSetProperties": self._copied(made, "COPYING"),
            }
        )

    def _copied(self, image_set: ImageSet, workflow: str) -> Tree:
        version = str(image_set.versions[-1].number)
        return {"imageSetId": image_set.id, "latestVersionId": version, "imageSetState": "LOCKED", "imageSetWorkflowStatus": workflow}

    def _delete_image_set(self, params: Tree) -> Response:
        found = self.store.delete(params["imageSetId"])
        return _json({"datastoreId": self.datastore_id, "imageSetId": found.id, "imageSetState": "LOCKED", "imageSetWorkflowStatus": "DELETING"})

    def _present(self, image_set: str) -> ImageSet:
        found = self.store.get(image_set)
        if found.deleted is not None:
            raise missing()
        return found


def _operation(method: str, path: str) -> tuple[str, Tree]:
    for operation, pattern in _PATHS:
        match = pattern.fullmatch(f"{method} {path}")
        if match is not None:
            return operation, dict(match.groupdict())
    return f"{method} {path.rpartition('/')[2]}", {}


def _parameters(operation: str, query: Mapping[str, str], body: bytes) -> Tree:
    """Query and body as the parameters of the API; patterns and sizes are checked."""
    params: Tree = {}
    for name, value in query.items():
        if name.startswith("X-Amz-"):
            continue
        params[_QUERY.get(name, name)] = value == "true" if name in _BOOLEANS else int(value) if name == "maxResults" else value
    try:
        content = json.loads(body) if body else {}
    except ValueError:
        raise invalid("The body is no JSON") from None
    if operation == "UpdateImageSetMetadata":
        for name, blob in content.get("DICOMUpdates", {}).items():
            try:
                content["DICOMUpdates"][name] = base64.b64decode(blob, validate=True)
            except (binascii.Error, TypeError):
                raise invalid(f"{name} is no base64") from None
        params["updateImageSetMetadataUpdates"] = content
    elif operation == "CopyImageSet":
        params["copyImageSetInformation"] = content
    elif operation == "GetImageFrame":
        params["imageFrameInformation"] = content
    elif operation == "SearchImageSets" and content:
        params["searchCriteria"] = content
    known = OPERATIONS.get(operation)
    if known is not None:
        for name, value in params.items():
            if name not in known.parameters.members:
                raise invalid(f"{name} is no parameter of {operation}")
            known.parameters.members[name].read(value, name)
    return params


def _page(rows: list[Tree], params: Tree) -> tuple[list[Tree], Tree]:
    try:
        start = int(params.get("nextToken", "0"))
    except ValueError:
        raise invalid("The token is not valid") from None
    end = start + params.get("maxResults", 50)
    return rows[start:end], {"nextToken": str(end)} if end < len(rows) else {}


def _json(body: Tree) -> Response:
    return Response(json.dumps(body).encode())


def _failure(code: str, message: str) -> Response:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return Response(json.dumps({"message": message}).encode(), headers, _HTTP_STATUS.get(code, 500))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    service: StandIn

    def setup(self) -> None:
        super().setup()
        self.service.connections.add(self.connection)

    def finish(self) -> None:
        self.service.connections.discard(self.connection)
        with suppress(OSError):  # the client has gone
            super().finish()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        response = self.service.answer(self.command, self.path, body)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("x-amzn-RequestId", "00000000-0000-0000-0000-000000000000")
        self.end_headers()
        self.wfile.write(response.body)

    do_GET = do_POST = do_DELETE = _serve

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: request lines hold ids."""
