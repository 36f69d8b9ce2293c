import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hirules.healthimaging.operations import OPERATIONS
from hirules.healthimaging.translate import Refusal, request_of
from hirules.model.reading import Unknown
from hirules.model.request import Request

STORE, SET, OTHER = "0" * 32, "a" * 32, "b" * 32


def update(updatable: Any = None, removable: Any = None, **more: Any) -> dict[str, Any]:
    blobs = {"updatableAttributes": updatable, "removableAttributes": removable}
    encoded = {name: blob if isinstance(blob, bytes | str | bytearray) else json.dumps(blob).encode() for name, blob in blobs.items() if blob is not None}
    return {"datastoreId": STORE, "imageSetId": SET, "latestVersionId": "1", "updateImageSetMetadataUpdates": {"DICOMUpdates": encoded}, **more}


def fields(operation: str, params: dict[str, Any]) -> Any:
    request = request_of(operation, params)
    assert isinstance(request, Request), request
    return request.request


def test_an_update_as_a_request() -> None:
    params = update(
        {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "A^B"}}, "Study": {"DICOM": {"ProcedureCodeSequence": [{"CodeValue": "1"}]}}},
        {"Study": {"DICOM": {"StudyDescription": ""}, "Series": {"1.2": {"Instances": {"1.2.3": {}}}}}},
        force=True,
    )
    assert fields("UpdateImageSetMetadata", params) == {
        "datastoreId": STORE,
        "imageSetId": SET,
        "latestVersionId": "1",
        "force": True,
        "includeStudyImageSets": False,
        "kind": "update-and-remove",
        "updates": {"Patient": {"PatientName": "A^B"}, "Study": {"ProcedureCodeSequence": [{"CodeValue": "1"}]}},
        "updated": ["Patient.PatientName", "Study.ProcedureCodeSequence", "Study.ProcedureCodeSequence[*].CodeValue"],
        "removed": ["Study.StudyDescription"],
        "removed_instances": ["1.2.3"],
    }


def test_several_series_give_several_values() -> None:
    tree = {"Study": {"Series": {"1.2": {"DICOM": {"Manufacturer": "A", "Modality": "CT"}}, "1.3": {"DICOM": {"Manufacturer": "B"}}}}}
    assert fields("UpdateImageSetMetadata", update(tree))["updates"] == {"Series": {"Manufacturer": ["A", "B"], "Modality": "CT"}}


def test_a_revert() -> None:
    params = update()
    params["updateImageSetMetadataUpdates"] = {"revertToVersionId": "1"}
    found = fields("UpdateImageSetMetadata", params)
    assert (found["kind"], found["revertToVersionId"], found["updated"], found["removed"]) == ("revert", "1", [], [])


PATIENT = {"Patient": {"DICOM": {"PatientID": "1"}}}


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (update(), "names no attribute"),
        (update(PATIENT, imageSetId="A" * 32), "`imageSetId` does not match"),
        (update(PATIENT, imageSetId=SET + "\n"), "`imageSetId` does not match"),
        (update(PATIENT, imageSetId=""), "`imageSetId` does not match"),
        (update(PATIENT, datastoreId="../" + "0" * 29), "`datastoreId` does not match"),
        (update(PATIENT, latestVersionId="one"), "`latestVersionId` does not match"),
        (update(PATIENT, latestVersionId="١"), "`latestVersionId` does not match"),
        (update(PATIENT, force="yes"), "`force` is not a boolean"),
        (update(PATIENT, somethingNew=True), "`somethingNew` is a parameter that this version does not know"),
        (update(base64.b64encode(json.dumps(PATIENT).encode())), "`updatableAttributes` is base64 text"),
        (update(b"x" * 30_001), "30001 bytes"),
        (update(b"\xff"), "not UTF-8"),
        (update(removable=b'{"Patient": {"DICOM": {"PatientID": "", "PatientID": ""}}}'), "`removableAttributes` has a key twice"),
        (update(PATIENT, PATIENT), "`Patient.PatientID` is both updated and removed"),
        ({**update(PATIENT), "updateImageSetMetadataUpdates": {}}, "exactly one of `DICOMUpdates`, `revertToVersionId`"),
        ({**update(PATIENT), "updateImageSetMetadataUpdates": {"revertToVersionId": "1", "DICOMUpdates": {}}}, "exactly one of"),
        ({**update(PATIENT), "updateImageSetMetadataUpdates": {"revertToVersionId": "-1"}}, "revertToVersionId` does not match"),
        ({name: value for name, value in update(PATIENT).items() if name != "latestVersionId"}, "`latestVersionId` is missing"),
    ],
)
def test_refuses_before_any_rule(params: dict[str, Any], why: str) -> None:
    refusal = request_of("UpdateImageSetMetadata", params)
    assert isinstance(refusal, Refusal)
    assert why in refusal.reason


@pytest.mark.parametrize("blob", [json.dumps(PATIENT), bytearray(json.dumps(PATIENT).encode())])
def test_reads_what_boto3_takes_as_bytes(blob: object) -> None:
    assert fields("UpdateImageSetMetadata", update(blob))["updated"] == ["Patient.PatientID"]


def test_other_operations() -> None:
    assert fields("GetImageFrame", {"datastoreId": STORE, "imageSetId": SET, "imageFrameInformation": {"imageFrameId": OTHER}}) == {
        "datastoreId": STORE,
        "imageSetId": SET,
        "imageFrameInformation": {"imageFrameId": OTHER},
    }
    copy = {"sourceImageSet": {"latestVersionId": "1"}, "destinationImageSet": {"imageSetId": OTHER, "latestVersionId": "2"}}
    assert fields("CopyImageSet", {"datastoreId": STORE, "sourceImageSetId": SET, "copyImageSetInformation": copy}) == {
        "datastoreId": STORE,
        "sourceImageSetId": SET,
        "copyImageSetInformation": copy,
        "force": False,
        "promoteToPrimary": False,
    }
    unknown = request_of("GetDatastore", {"datastoreId": STORE})
    assert isinstance(unknown, Refusal)


def test_the_instances_of_a_copy_are_json_with_one_reading() -> None:
    copies = {"copiableAttributes": '{"a": 1, "a": 2}'}
    params = {"datastoreId": STORE, "sourceImageSetId": SET, "copyImageSetInformation": {"sourceImageSet": {"latestVersionId": "1", "DICOMCopies": copies}}}
    refusal = request_of("CopyImageSet", params)
    assert isinstance(refusal, Refusal)
    assert "twice" in refusal.reason


def test_times_of_a_search() -> None:
    def value(moment: object) -> object:
        filters = [{"operator": "EQUAL", "values": [{"createdAt": moment}]}]
        return fields("SearchImageSets", {"datastoreId": STORE, "searchCriteria": {"filters": filters}})["searchCriteria"]["filters"][0]["values"][0][
            "createdAt"
        ]

    aware = datetime(2026, 1, 2, tzinfo=UTC)
    assert value(aware) == aware
    assert value(0) == datetime(1970, 1, 1, tzinfo=UTC)
    # boto3 takes the machine's offset: nobody knows it here
    assert isinstance(value(datetime(2026, 1, 2)), Unknown)
    assert isinstance(value("2026-01-02"), Unknown)


def test_nothing_of_the_request_shows_in_its_repr() -> None:
    request = request_of("UpdateImageSetMetadata", update({"Patient": {"DICOM": {"PatientName": "Miller^Anna"}}}))
    assert "Miller" not in repr(request)


# -- whatever comes --------------------------------------------------------------------------------

KEYS = st.sampled_from(["SchemaVersion", "Patient", "Study", "Series", "Instances", "DICOM", "DICOMVRs", "PatientName", "StudyDate", "Rows", "00191001", "1.2"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()), st.booleans())
def test_whatever_comes_is_a_request_or_a_refusal(blob: bytes, removes: bool) -> None:
    params = update(**{"removable" if removes else "updatable": blob})
    found = request_of("UpdateImageSetMetadata", params)
    assert isinstance(found, Refusal) or found.request["updated"] or found.request["removed"] or found.request["removed_instances"]


@given(
    st.dictionaries(st.sampled_from(["datastoreId", "imageSetId", "latestVersionId", "force", "versionId", "searchCriteria"]), VALUES),
    st.sampled_from(sorted(OPERATIONS)),
)
def test_whatever_the_parameters_are(params: dict[str, Any], operation: str) -> None:
    found = request_of(operation, params)
    assert isinstance(found, Refusal | Request)
