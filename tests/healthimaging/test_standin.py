import gzip
import json
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from hirules.healthimaging.standin import StandIn
from tests.healthimaging.conftest import make_client

STORE = "0" * 32


def update(client: Any, image_set: str, version: str, updatable: Any = None, removable: Any = None, **more: Any) -> Any:
    blobs = {"updatableAttributes": updatable, "removableAttributes": removable}
    updates = {"DICOMUpdates": {name: json.dumps(blob).encode() for name, blob in blobs.items() if blob is not None}}
    return client.update_image_set_metadata(
        datastoreId=STORE, imageSetId=image_set, latestVersionId=version, updateImageSetMetadataUpdates=updates, **more
    )  # fmt: skip


def properties(client: Any, image_set: str, **more: Any) -> Any:
    return client.get_image_set(datastoreId=STORE, imageSetId=image_set, **more)


def study(description: str) -> dict[str, Any]:
    return {"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": description}}}


def test_metadata_of_a_real_file(client: Any, image_set: str) -> None:
    answer = client.get_image_set_metadata(datastoreId=STORE, imageSetId=image_set)
    metadata = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
    assert answer["contentEncoding"] == "gzip"
    assert metadata["Patient"]["DICOM"]["PatientID"] == "1CT1"
    assert metadata["Study"]["DICOM"]["PatientAge"] == "000Y"
    (series,) = metadata["Study"]["Series"].values()
    assert series["DICOM"]["Manufacturer"] == "GE MEDICAL SYSTEMS"
    (instance,) = series["Instances"].values()
    assert instance["DICOM"]["Rows"] == 128
    assert instance["DICOMVRs"]["00091001"] == "LO"


def test_a_frame(client: Any, image_set: str, service: StandIn) -> None:
    (series,) = service.metadata(image_set)["Study"]["Series"].values()
    (instance,) = series["Instances"].values()
    frame = {"imageFrameId": instance["ImageFrames"][0]["ID"]}
    answer = client.get_image_frame(datastoreId=STORE, imageSetId=image_set, imageFrameInformation=frame)
    assert answer["imageFrameBlob"].read() == dcmread(str(get_testdata_file("CT_small.dcm"))).PixelData
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_image_frame(datastoreId=STORE, imageSetId=image_set, imageFrameInformation={"imageFrameId": "f" * 32})


def test_an_update_makes_a_version_and_a_stale_one_conflicts(client: Any, image_set: str, service: StandIn) -> None:
    answer = update(client, image_set, "1", study("new"))
    assert (answer["latestVersionId"], answer["imageSetState"], answer["imageSetWorkflowStatus"]) == ("2", "LOCKED", "UPDATING")
    after = properties(client, image_set)
    assert (after["versionId"], after["imageSetState"], after["imageSetWorkflowStatus"]) == ("2", "ACTIVE", "UPDATED")
    assert service.metadata(image_set)["Study"]["DICOM"]["StudyDescription"] == "new"
    assert service.metadata(image_set, "1")["Study"]["DICOM"]["StudyDescription"] == "e+1"
    with pytest.raises(client.exceptions.ConflictException) as caught:
        update(client, image_set, "1", study("newer"))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    assert service.counts["UpdateImageSetMetadata"] == 2


def test_a_locked_image_set_conflicts() -> None:
    with StandIn(delay=3600) as slow:
        client = make_client(slow.url)
        (made,) = slow.load([str(get_testdata_file("CT_small.dcm"))])
        update(client, made, "1", study("new"))
        assert properties(client, made)["imageSetState"] == "LOCKED"
        with pytest.raises(client.exceptions.ConflictException, match="locked"):
            update(client, made, "2", study("newer"))
        slow.settle()
        assert properties(client, made)["imageSetWorkflowStatus"] == "UPDATED"
        update(client, made, "2", study("newer"))


def test_force(client: Any, image_set: str, service: StandIn) -> None:
    for attributes in ({"StudyID": "2"}, {"ProcedureCodeSequence": [{"CodeValue": "1"}]}, {"MedicalAlerts": "x"}):
        tree = {"Study": {"DICOM": attributes}}
        with pytest.raises(client.exceptions.ValidationException, match="force"):
            update(client, image_set, "1", tree)
    update(client, image_set, "1", {"Study": {"DICOM": {"StudyID": "2"}}}, force=True)
    assert properties(client, image_set)["overrides"] == {"forced": True}
    assert service.metadata(image_set)["Study"]["DICOM"]["StudyID"] == "2"


def test_a_primary_image_set_keeps_patient_and_series(client: Any, service: StandIn) -> None:
    (primary,) = service.load([str(get_testdata_file("MR_small.dcm"))])
    for tree in ({"Patient": {"DICOM": {"PatientID": "2"}}}, {"Study": {"DICOM": {"StudyInstanceUID": "1.2"}}}):
        with pytest.raises(client.exceptions.ValidationException, match="primary"):
            update(client, primary, "1", tree, force=True)
    update(client, primary, "1", study("new"))


def test_include_study_image_sets_and_revert(client: Any, service: StandIn) -> None:
    one, other = dcmread(str(get_testdata_file("CT_small.dcm"))), dcmread(str(get_testdata_file("CT_small.dcm")))
    other.SeriesInstanceUID, other.SOPInstanceUID = "1.2.3", "1.2.3.4"
    first, second = service.load([one, other])
    update(client, first, "1", study("both"), includeStudyImageSets=True)
    assert [service.metadata(each)["Study"]["DICOM"]["StudyDescription"] for each in (first, second)] == ["both", "both"]
    revert = {"datastoreId": STORE, "imageSetId": first, "latestVersionId": "2", "updateImageSetMetadataUpdates": {"revertToVersionId": "1"}}
    with pytest.raises(client.exceptions.ValidationException):
        client.update_image_set_metadata(**revert, includeStudyImageSets=True)
    client.update_image_set_metadata(**revert)
    assert properties(client, first)["versionId"] == "3"
    assert service.metadata(first)["Study"]["DICOM"]["StudyDescription"] == "e+1"
    versions = client.list_image_set_versions(datastoreId=STORE, imageSetId=first)["imageSetPropertiesList"]
    assert [each["versionId"] for each in versions] == ["3", "2", "1"]


def test_removals(client: Any, image_set: str, service: StandIn) -> None:
    ((series, node),) = service.metadata(image_set)["Study"]["Series"].items()
    (instance,) = node["Instances"]
    update(client, image_set, "1", removable={"Study": {"DICOM": {"StudyDescription": ""}}})
    assert "StudyDescription" not in service.metadata(image_set)["Study"]["DICOM"]
    update(client, image_set, "2", removable={"Study": {"Series": {series: {"Instances": {instance: {}}}}}})
    assert service.metadata(image_set)["Study"]["Series"] == {}
    update(client, image_set, "3", removable={"Study": {"Series": {series: {"Instances": {instance: {}}}}}})
    failed = properties(client, image_set)
    assert (failed["imageSetWorkflowStatus"], failed["message"]) == ("UPDATE_FAILED", "The image set has no such instance")


def test_search_pages_and_filters(client: Any, service: StandIn) -> None:
    files = [str(get_testdata_file(name)) for name in ("CT_small.dcm", "MR_small.dcm")]
    ct, mr = service.load(files)
    pages = client.get_paginator("search_image_sets").paginate(datastoreId=STORE, PaginationConfig={"PageSize": 1})
    assert [each["imageSetId"] for page in pages for each in page["imageSetsMetadataSummaries"]] == [ct, mr]
    filters = [{"operator": "EQUAL", "values": [{"DICOMPatientId": "4MR1"}]}]
    (found,) = client.search_image_sets(datastoreId=STORE, searchCriteria={"filters": filters})["imageSetsMetadataSummaries"]
    assert (found["imageSetId"], found["version"], found["DICOMTags"]["DICOMPatientId"]) == (mr, 1, "4MR1")


def test_copy_and_delete(client: Any, image_set: str, service: StandIn) -> None:
    source = {"sourceImageSet": {"latestVersionId": "1"}}
    made = client.copy_image_set(datastoreId=STORE, sourceImageSetId=image_set, copyImageSetInformation=source, promoteToPrimary=True)
    copied = made["destinationImageSetProperties"]["imageSetId"]
    assert properties(client, copied)["isPrimary"] is True
    assert client.delete_image_set(datastoreId=STORE, imageSetId=copied)["imageSetWorkflowStatus"] == "DELETING"
    assert properties(client, copied)["imageSetState"] == "DELETED"
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_image_set_metadata(datastoreId=STORE, imageSetId=copied)
    into = {**source, "destinationImageSet": {"imageSetId": image_set, "latestVersionId": "7"}}
    with pytest.raises(client.exceptions.ConflictException):
        client.copy_image_set(datastoreId=STORE, sourceImageSetId=image_set, copyImageSetInformation=into)


def test_errors_on_the_wire(client: Any, service: StandIn) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        properties(client, "f" * 32)
    with pytest.raises(client.exceptions.ValidationException):
        update(client, "f" * 32, "one", study("x"))
    service.fail["GetImageSet"] = "ThrottlingException"
    with pytest.raises(client.exceptions.ThrottlingException):
        properties(client, "f" * 32)
