import json
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from hirules.facts import LookupFailed
from hirules.healthimaging import guard, lookup
from hirules.healthimaging.lookup import ImageSets
from hirules.healthimaging.standin import StandIn
from hirules.model.request import Request
from tests.healthimaging.conftest import make_client
from tests.healthimaging.gates import FunctionGate

STORE = "0" * 32
NONE: frozenset[str] = frozenset()


@pytest.fixture
def image_sets(client: Any) -> ImageSets:
    return ImageSets(lambda: client)


def asked(action: str, image_set: str, **more: Any) -> Request:
    return Request(action, request={"datastoreId": STORE, "imageSetId": image_set, **more})


def test_every_property_is_known(image_sets: ImageSets, image_set: str, service: StandIn) -> None:
    (entity,) = image_sets(asked("get-image-set", image_set), NONE)
    assert entity["imageSetState"] == "ACTIVE"
    assert entity["isPrimary"] is False
    # what the service left out is absent, not unknown
    assert entity["deletedAt"] is None
    assert entity["overrides"] is None
    assert "PatientID" not in entity
    assert service.counts == {"GetImageSet": 1}


def test_attributes_of_patient_study_series_and_instances(image_sets: ImageSets, image_set: str) -> None:
    needed = frozenset({"PatientID", "Modality", "PatientComments", "imageSetState"})
    (entity,) = image_sets(asked("get-image-set-metadata", image_set), needed)
    assert (entity["PatientID"], entity["Modality"], entity["PatientComments"]) == ("1CT1", ["CT"], None)
    assert "StudyDate" not in entity
    (entity,) = image_sets(asked("get-image-set-metadata", image_set), frozenset({"(0009,1001)"}))
    assert entity["StudyDate"] == "20040119"


def test_the_version_that_is_asked_for(image_sets: ImageSets, image_set: str, client: Any) -> None:
    updates = {"DICOMUpdates": {"updatableAttributes": json.dumps({"Patient": {"DICOM": {"PatientID": "ANON"}}}).encode()}}
    client.update_image_set_metadata(datastoreId=STORE, imageSetId=image_set, latestVersionId="1", updateImageSetMetadataUpdates=updates)
    needed = frozenset({"PatientID"})
    (old,) = image_sets(asked("get-image-set-metadata", image_set, versionId="1"), needed)
    (new,) = image_sets(asked("get-image-set-metadata", image_set), needed)
    assert (old["PatientID"], old["versionId"], new["PatientID"], new["versionId"]) == ("1CT1", "1", "ANON", "2")


def test_a_stale_or_missing_image_set_is_unknown(image_sets: ImageSets, image_set: str) -> None:
    assert image_sets(asked("update-image-set-metadata", image_set, latestVersionId="2"), NONE) == [{}]
    assert image_sets(asked("delete-image-set", "f" * 32), NONE) == [{}]
    (entity,) = image_sets(asked("update-image-set-metadata", image_set, latestVersionId="1"), NONE)
    assert entity["versionId"] == "1"


def test_both_sides_of_a_copy(image_sets: ImageSets, image_set: str, service: StandIn) -> None:
    (other,) = service.load([str(get_testdata_file("MR_small.dcm"))])
    information: dict[str, Any] = {"sourceImageSet": {"latestVersionId": "1"}}
    request = Request("copy-image-set", request={"datastoreId": STORE, "sourceImageSetId": image_set, "copyImageSetInformation": information})
    assert [entity["imageSetId"] for entity in image_sets(request, NONE)] == [image_set]
    information["destinationImageSet"] = {"imageSetId": other, "latestVersionId": "1"}
    assert [entity["imageSetId"] for entity in image_sets(request, NONE)] == [image_set, other]
    information["destinationImageSet"]["latestVersionId"] = "3"
    assert image_sets(request, NONE)[1] == {}


def test_all_primary_sets_of_the_study(image_sets: ImageSets, service: StandIn, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    files = []
    for number in range(4):
        data_set = dcmread(str(get_testdata_file("CT_small.dcm")))
        data_set.SeriesInstanceUID, data_set.SOPInstanceUID = f"1.2.{number}", f"1.2.{number}.1"
        files.append(data_set)
    primary, (apart,) = service.load(files[:3]), service.load(files[3:], primary=False)
    service.load([str(get_testdata_file("MR_small.dcm"))])
    request = asked("update-image-set-metadata", primary[0], latestVersionId="1", includeStudyImageSets=True)
    assert sorted(str(entity["imageSetId"]) for entity in image_sets(request, NONE)) == sorted(primary)
    alone = asked("update-image-set-metadata", apart, latestVersionId="1", includeStudyImageSets=True)
    assert {str(entity["imageSetId"]) for entity in image_sets(alone, NONE)} == {apart, *primary}
    monkeypatch.setattr(lookup, "MAX_IMAGE_SETS", 2)
    with pytest.raises(LookupFailed, match="more than 2"):
        image_sets(request, NONE)


@pytest.mark.parametrize("operation", ["GetImageSet", "GetImageSetMetadata"])
def test_failures(image_sets: ImageSets, image_set: str, service: StandIn, operation: str) -> None:
    service.fail[operation] = "AccessDeniedException"
    with pytest.raises(LookupFailed, match="the service answered AccessDeniedException"):
        image_sets(asked("get-image-set", image_set), frozenset({"PatientID"}))
    service.stop()
    with pytest.raises(LookupFailed, match="EndpointConnectionError"):
        image_sets(asked("get-image-set", image_set), NONE)


def test_an_import_reaches_nobody_knows_what(image_sets: ImageSets) -> None:
    with pytest.raises(LookupFailed, match="not known beforehand"):
        image_sets(Request("start-dicom-import-job", request={"datastoreId": STORE}), NONE)


def test_the_deadline(image_sets: ImageSets, image_set: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "SECONDS", -1.0)
    with pytest.raises(LookupFailed, match="took more than"):
        image_sets(asked("get-image-set", image_set), NONE)


def test_the_guards_own_client_is_not_guarded(client: Any, service: StandIn, image_set: str) -> None:
    gate = FunctionGate()
    guard(client, gate)
    client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    (request,) = gate.requests
    assert request.lookup is not None
    (entity,) = request.lookup(request, frozenset({"PatientID"}))
    assert entity["PatientID"] == "1CT1"
    assert len(gate.requests) == 1
    assert service.counts == {"GetImageSet": 2, "GetImageSetMetadata": 1}


def test_a_client_of_the_callers_choice(client: Any, service: StandIn, image_set: str) -> None:
    gate = FunctionGate()
    other = make_client(service.url)
    guard(client, gate, lookup_client=other)
    client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    called: list[str] = []
    other.meta.events.register("before-call", lambda model, **_: called.append(model.name))
    lookup_of_request = gate.requests[0].lookup
    assert lookup_of_request is not None
    lookup_of_request(gate.requests[0], NONE)
    assert called == ["GetImageSet"]
