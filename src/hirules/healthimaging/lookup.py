"""Facts about image sets, asked of the service itself through a client that no guard listens to.

    GetImageSet          every property of an image set
    GetImageSetMetadata  patient, study and series attributes, where a rule reads one
    SearchImageSets      the other primary image sets of the study, with includeStudyImageSets

An image set that is not there, or whose version is not the request's ``latestVersionId``, is an entity
without a key: everything about it is unknown. Any other failure leaves the whole look-up unknown.
"""

from __future__ import annotations

import gzip
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from hirules.facts import LookupFailed
from hirules.healthimaging.strict_json import JsonError, read_json
from hirules.model.reading import Fields
from hirules.model.request import Entities, Request

if TYPE_CHECKING:
    from botocore.client import BaseClient

CONNECT_SECONDS = 2.0
READ_SECONDS = 4.0
ATTEMPTS = 2
SECONDS = 8.0
"""For all calls of one look-up together."""
MAX_IMAGE_SETS = 1000
MAX_METADATA_BYTES = 256 * 1024 * 1024
"""Of one image set, uncompressed: more is no answer, but a bomb."""

NOTHING_KNOWN: Fields = {}
_KEYWORD = re.compile(r"[A-Z][A-Za-z0-9]*")


class ImageSets:
    """The look-up of a guard: ``lookup(request, needed)``."""

    def __init__(self, client: Callable[[], Any]) -> None:
        self._client = client

    def __call__(self, request: Request, needed: frozenset[str]) -> Entities:
        """The image sets that ``request`` reads or changes. Raises :class:`LookupFailed`."""
        asked = request.request
        inquiry = _Inquiry(self._client(), str(asked.get("datastoreId")), _keywords(needed))
        try:
            match request.action:
                case "copy-image-set":
                    return _copied(inquiry, asked)
                case "update-image-set-metadata":
                    return _updated(inquiry, asked)
                case "get-image-set" | "get-image-set-metadata" | "get-image-frame" | "list-image-set-versions" | "delete-image-set":
                    version = asked.get("versionId")
                    return [inquiry.entity(str(asked["imageSetId"]), version=str(version) if version is not None else None)]
        except ClientError as error:
            raise LookupFailed(f"the service answered {error.response.get('Error', {}).get('Code', 'an error')}") from None
        except (BotoCoreError, JsonError, OSError, EOFError, KeyError, zlib.error) as error:
            raise LookupFailed(f"the look-up failed ({type(error).__name__})") from None
        raise LookupFailed("what this action reaches is not known beforehand")


def _updated(inquiry: _Inquiry, asked: Fields) -> Entities:
    own = str(asked["imageSetId"])
    entities = [inquiry.entity(own, latest=str(asked["latestVersionId"]))]
    if asked.get("includeStudyImageSets"):
        entities += [inquiry.entity(other) for other in inquiry.primary_sets_of_study(own) if other != own]
    return entities


def _copied(inquiry: _Inquiry, asked: Fields) -> Entities:
    information = _mapping(asked["copyImageSetInformation"])
    entities = [inquiry.entity(str(asked["sourceImageSetId"]), latest=str(_mapping(information["sourceImageSet"])["latestVersionId"]))]
    destination = information.get("destinationImageSet")
    if isinstance(destination, Mapping):
        entities.append(inquiry.entity(str(destination["imageSetId"]), latest=str(destination["latestVersionId"])))
    return entities


class _Inquiry:
    """The calls of one look-up, within one deadline."""

    def __init__(self, client: Any, datastore: str, keywords: frozenset[str] | None) -> None:
        self._client = client
        self._datastore = datastore
        self._keywords = keywords
        self._until = time.monotonic() + SECONDS

    def entity(self, image_set: str, *, version: str | None = None, latest: str | None = None) -> Fields:
        """The image set with every property, and those of its attributes that are needed."""
        try:
            properties = self._call("get_image_set", imageSetId=image_set, **({"versionId": version} if version is not None else {}))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
                return NOTHING_KNOWN
            raise
        properties.pop("ResponseMetadata", None)
        if latest is not None and properties.get("versionId") != latest:
            return NOTHING_KNOWN
        entity: dict[str, object] = dict.fromkeys(self._properties())
        entity.update(properties)
        if self._keywords is None or self._keywords:
            entity.update(self._attributes(image_set, str(properties["versionId"])))
        return entity

    def primary_sets_of_study(self, image_set: str) -> list[str]:
        """Every primary image set of the study that ``image_set`` belongs to."""
        study = _node(self._metadata(image_set, None), "Study", "DICOM").get("StudyInstanceUID")
        if not isinstance(study, str) or not study:
            raise LookupFailed("the study of the image set is not known")
        filters = [{"operator": "EQUAL", "values": [{"DICOMStudyInstanceUID": study}]}]
        found: list[str] = []
        token: dict[str, str] = {}
        while True:
            page = self._call("search_image_sets", searchCriteria={"filters": filters}, maxResults=50, **token)
            # a service that does not say is no reason to leave one out
            found += [each["imageSetId"] for each in page["imageSetsMetadataSummaries"] if each.get("isPrimary", True)]
            if len(found) > MAX_IMAGE_SETS:
                raise LookupFailed(f"the study has more than {MAX_IMAGE_SETS} image sets")
            if not page.get("nextToken"):
                return found
            token = {"nextToken": page["nextToken"]}

    def _properties(self) -> Sequence[str]:
        """What this version of botocore can answer: of those an absent one is known to be absent."""
        shape = self._client.meta.service_model.operation_model("GetImageSet").output_shape
        return list(shape.members)

    def _attributes(self, image_set: str, version: str) -> Fields:
        metadata = self._metadata(image_set, version)
        found: dict[str, list[object]] = {}
        for attributes in _nodes(metadata):
            for name, value in attributes.items():
                if self._keywords is None or name in self._keywords:
                    found.setdefault(name, []).append(value)
        single = [_node(metadata, "Patient", "DICOM"), _node(metadata, "Study", "DICOM")]
        entity: dict[str, object] = dict.fromkeys(self._keywords or ())
        for name, values in found.items():
            entity[name] = values[0] if any(name in node for node in single) else _distinct(values)
        return entity

    def _metadata(self, image_set: str, version: str | None) -> Mapping[str, object]:
        answer = self._call("get_image_set_metadata", imageSetId=image_set, **({"versionId": version} if version is not None else {}))
        body = answer["imageSetMetadataBlob"]
        with gzip.GzipFile(fileobj=body) as stream:
            text = stream.read(MAX_METADATA_BYTES + 1)
        if len(text) > MAX_METADATA_BYTES:
            raise LookupFailed("the metadata of the image set are too large")
        return _mapping(read_json(text))

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        if time.monotonic() > self._until:
            raise LookupFailed(f"the look-up took more than {SECONDS:g} s")
        answer: dict[str, Any] = getattr(self._client, method)(datastoreId=self._datastore, **params)
        return answer


def _keywords(needed: frozenset[str]) -> frozenset[str] | None:
    """The DICOM attributes among the needed names; ``None`` for all, where one is no plain keyword."""
    names = {re.split(r"[.\[]", name)[0] for name in needed if not name[:1].islower()}
    return None if any(not _KEYWORD.fullmatch(name) for name in names) else frozenset(names)


def _nodes(metadata: Mapping[str, object]) -> Iterator[Mapping[str, object]]:
    """The attributes of the patient, the study, each series and each instance."""
    study = _node(metadata, "Study")
    yield _node(metadata, "Patient", "DICOM")
    yield _node(study, "DICOM")
    for series in _node(study, "Series").values():
        yield _node(_mapping(series), "DICOM")
        for instance in _node(_mapping(series), "Instances").values():
            yield _node(_mapping(instance), "DICOM")


def _node(tree: Mapping[str, object], *steps: str) -> Mapping[str, object]:
    for step in steps:
        tree = _mapping(tree.get(step, {}))
    return tree


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise JsonError("is no metadata document")
    return value


def _distinct(values: Sequence[object]) -> list[object]:
    """Every value once, in order; values of several places and several values of one place alike."""
    found: list[object] = []
    seen: set[str] = set()
    for value in values:
        for item in value if isinstance(value, list) else [value]:
            if repr(item) not in seen:
                seen.add(repr(item))
                found.append(item)
    return found


def unguarded(client: BaseClient) -> Callable[[], Any]:
    """Makes, when it is first needed, a client like ``client``: its credentials, region and endpoint, but patient with nobody."""
    lock = threading.Lock()
    made: list[Any] = []
    meta = client.meta
    credentials = client._request_signer._credentials  # type: ignore[attr-defined] # botocore has no public way

    def make() -> Any:
        with lock:
            if not made:
                session = Session()
                session.register_component("credential_provider", CredentialResolver([_Given(credentials)]))
                retries = {"mode": "standard", "total_max_attempts": ATTEMPTS}
                short = Config(connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=retries)  # type: ignore[arg-type]
                config = meta.config.merge(short)
                made.append(session.create_client("medical-imaging", region_name=meta.region_name, endpoint_url=meta.endpoint_url, config=config))
            return made[0]

    return make


class _Given(CredentialProvider):
    """The credentials of another client, refreshed with it."""

    METHOD = "hirules"
    CANONICAL_NAME = "hirules"

    def __init__(self, credentials: Any) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Any:
        """The credentials."""
        return self._credentials
