"""The image-set operations and their parameters, by the names and patterns of the API reference.

botocore checks types, but no pattern, no length and no union here; this table does. A parameter that
the table does not have is refused: a policy could say nothing about it. A test holds the table against
the installed botocore's own model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from hirules.healthimaging.strict_json import JsonError, read_json
from hirules.model.reading import Unknown


class ParameterError(ValueError):
    """Why a parameter is refused: lower case, with its path, without its value."""


class Text(msgspec.Struct, frozen=True):
    """A text that matches ``pattern`` as a whole."""

    pattern: str = "[\\s\\S]*"
    least: int = 0
    most: int = 4096

    def read(self, value: object, path: str) -> object:
        """``value``, checked."""
        if not isinstance(value, str) or not self.least <= len(value) <= self.most or not re.fullmatch(self.pattern, value, re.ASCII):
            raise ParameterError(f"`{path}` does not match the pattern of the API")
        return value


class Json(msgspec.Struct, frozen=True):
    """A text that is JSON with one reading."""

    most: int

    def read(self, value: object, path: str) -> object:
        """``value``, checked."""
        if not isinstance(value, str) or not 1 <= len(value) <= self.most:
            raise ParameterError(f"`{path}` is no text of 1 to {self.most} characters")
        try:
            read_json(value.encode("utf-8", "surrogatepass"))
        except JsonError as error:
            raise ParameterError(f"`{path}` {error}") from None
        return value


class Flag(msgspec.Struct, frozen=True):
    """A boolean."""

    def read(self, value: object, path: str) -> object:
        """``value``, checked."""
        if not isinstance(value, bool):
            raise ParameterError(f"`{path}` is not a boolean")
        return value


class Whole(msgspec.Struct, frozen=True):
    """An integer of a range."""

    least: int
    most: int

    def read(self, value: object, path: str) -> object:
        """``value``, checked."""
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise ParameterError(f"`{path}` is not an integer from {self.least} to {self.most}")
        return value


class Moment(msgspec.Struct, frozen=True):
    """A time: boto3 takes a ``datetime``, a number of seconds or a text."""

    def read(self, value: object, path: str) -> object:
        """``value`` as a ``datetime`` with offset; unknown where it has none, since boto3 then takes the machine's."""
        if isinstance(value, datetime):
            return value if value.tzinfo is not None else Unknown("a time without an offset")
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                return datetime.fromtimestamp(value, UTC)
            except (OverflowError, ValueError, OSError):
                raise ParameterError(f"`{path}` is no time") from None
        if isinstance(value, str):
            return value if re.search(r"(?:Z|[+-]\d\d:\d\d)$", value) else Unknown("a time without an offset")
        raise ParameterError(f"`{path}` is no time")


class Blob(msgspec.Struct, frozen=True):
    """Bytes; a ``str`` is what boto3 makes of it, its UTF-8."""

    def read(self, value: object, path: str) -> object:
        """``value`` as bytes."""
        if isinstance(value, str):
            return value.encode("utf-8", "surrogatepass")
        if isinstance(value, bytes | bytearray):
            return bytes(value)
        raise ParameterError(f"`{path}` is not bytes")


class Many(msgspec.Struct, frozen=True):
    """A list."""

    of: Shape
    least: int
    most: int

    def read(self, value: object, path: str) -> object:
        """``value``, each item read."""
        if not isinstance(value, list | tuple) or not self.least <= len(value) <= self.most:
            raise ParameterError(f"`{path}` is not a list of {self.least} to {self.most} items")
        return [self.of.read(item, f"{path}[{index}]") for index, item in enumerate(value)]


class Structure(msgspec.Struct, frozen=True):
    """A mapping; of a ``union`` exactly one member."""

    members: Mapping[str, Shape]
    required: frozenset[str] = frozenset()
    union: bool = False

    def read(self, value: object, path: str) -> dict[str, object]:
        """``value``, each member read."""
        if not isinstance(value, Mapping):
            raise ParameterError(f"`{path}` is not a mapping")
        prefix = f"{path}." if path else ""
        for name in value:
            if name not in self.members:
                raise ParameterError(f"`{prefix}{name}` is a parameter that this version does not know")
        for name in sorted(self.required - set(value)):
            raise ParameterError(f"`{prefix}{name}` is missing")
        if self.union and len(value) != 1:
            raise ParameterError(f"`{path}` takes exactly one of {', '.join(f'`{name}`' for name in self.members)}")
        return {name: self.members[name].read(item, prefix + name) for name, item in value.items()}


Shape = Text | Json | Flag | Whole | Moment | Blob | Many | Structure


class Operation(msgspec.Struct, frozen=True):
    """An operation of the API that is an action. ``defaults``: documented values of what was left out."""

    action: str
    parameters: Structure
    defaults: Mapping[str, bool] = {}


_ID = Text("[0-9a-z]{32}", 32, 32)
_VERSION = Text("\\d+", 1, 19)
_TOKEN = Text("[\\x00-\\x7f]*", 1, 8192)
_PAGE = Whole(1, 50)
_UID = Text("[0-9.]+", 0, 512)
_S3_URI = Text("s3://[a-z0-9][\\.\\-a-z0-9]{1,61}[a-z0-9](/.*)?", 1, 1024)


def _of(action: str, required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None, **defaults: bool) -> Operation:
    return Operation(action, Structure({**required, **(optional or {})}, frozenset(required)), defaults)


_SEARCH_VALUE = Structure(
    {
        "DICOMPatientId": Text(most=512),
        "DICOMAccessionNumber": Text(most=512),
        "DICOMStudyId": Text(most=512),
        "DICOMStudyInstanceUID": _UID,
        "DICOMSeriesInstanceUID": _UID,
        "createdAt": Moment(),
        "updatedAt": Moment(),
        "DICOMStudyDateAndTime": Structure({"DICOMStudyDate": Text(most=36), "DICOMStudyTime": Text(most=56)}, frozenset({"DICOMStudyDate"})),
        "isPrimary": Flag(),
    },
    union=True,
)
_SEARCH_FILTER = Structure({"values": Many(_SEARCH_VALUE, 1, 2), "operator": Text("EQUAL|BETWEEN")}, frozenset({"values", "operator"}))
_SORT = Structure({"sortOrder": Text("ASC|DESC"), "sortField": Text("updatedAt|createdAt|DICOMStudyDateAndTime")}, frozenset({"sortOrder", "sortField"}))
_COPY = Structure(
    {
        "sourceImageSet": Structure(
            {
                "latestVersionId": _VERSION,
                "DICOMCopies": Structure({"copiableAttributes": Json(260_000)}, frozenset({"copiableAttributes"})),
            },
            frozenset({"latestVersionId"}),
        ),
        "destinationImageSet": Structure({"imageSetId": _ID, "latestVersionId": _VERSION}, frozenset({"imageSetId", "latestVersionId"})),
    },
    frozenset({"sourceImageSet"}),
)
_UPDATES = Structure({"DICOMUpdates": Structure({"removableAttributes": Blob(), "updatableAttributes": Blob()}), "revertToVersionId": _VERSION}, union=True)
_MAPPING = Structure(
    {
        "studyInstanceUID": _UID,
        "seriesInstanceUID": _UID,
        "metadataFilePath": Text("[!-~]([ -~]*[!-~])?", 1, 1024),  # the API's own pattern takes exponential time in a backtracking matcher
    },
    frozenset({"studyInstanceUID", "metadataFilePath"}),
)
_IMPORT = Structure(
    {"dicomJsonMetadataImportConfiguration": Structure({"dicomMetadataMappings": Many(_MAPPING, 1, 1000)}, frozenset({"dicomMetadataMappings"}))},
    union=True,
)
_SET: Mapping[str, Shape] = {"datastoreId": _ID, "imageSetId": _ID}

OPERATIONS: Mapping[str, Operation] = {
    "GetImageSet": _of("get-image-set", _SET, {"versionId": _VERSION}),
    "GetImageSetMetadata": _of("get-image-set-metadata", _SET, {"versionId": _VERSION}),
    "GetImageFrame": _of("get-image-frame", {**_SET, "imageFrameInformation": Structure({"imageFrameId": _ID}, frozenset({"imageFrameId"}))}),
    "SearchImageSets": _of(
        "search-image-sets",
        {"datastoreId": _ID},
        {
            "searchCriteria": Structure({"filters": Many(_SEARCH_FILTER, 1, 2), "sort": _SORT}),
            "maxResults": _PAGE,
            "nextToken": _TOKEN,
        },
    ),
    "ListImageSetVersions": _of("list-image-set-versions", _SET, {"nextToken": _TOKEN, "maxResults": _PAGE}),
    "UpdateImageSetMetadata": _of(
        "update-image-set-metadata",
        {**_SET, "latestVersionId": _VERSION, "updateImageSetMetadataUpdates": _UPDATES},
        {"force": Flag(), "includeStudyImageSets": Flag()},
        force=False,
        includeStudyImageSets=False,
    ),
    "CopyImageSet": _of(
        "copy-image-set",
        {"datastoreId": _ID, "sourceImageSetId": _ID, "copyImageSetInformation": _COPY},
        {"force": Flag(), "promoteToPrimary": Flag()},
        force=False,
        promoteToPrimary=False,
    ),
    "DeleteImageSet": _of("delete-image-set", _SET),
    "StartDICOMImportJob": _of(
        "start-dicom-import-job",
        {
            "dataAccessRoleArn": Text("arn:aws(-[^:]+)?:iam::[0-9]{12}:role/.+", 20, 2048),
            "clientToken": Text("[A-Za-z0-9._-]+", 1, 64),
            "datastoreId": _ID,
            "inputS3Uri": _S3_URI,
            "outputS3Uri": _S3_URI,
        },
        {"jobName": Text("[A-Za-z0-9._/#-]+", 1, 64), "inputOwnerAccountId": Text("\\d+", 12, 12), "importConfiguration": _IMPORT},
    ),
}
"""By the API's name of the operation."""

ACTION_OPERATION: Mapping[str, str] = {operation.action: name for name, operation in OPERATIONS.items()}
