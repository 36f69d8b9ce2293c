"""The guard with real policies: boto3, the gate, the record, and the stand-in."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file

import hirules
from hirules.healthimaging.standin import StandIn
from tests.healthimaging.conftest import make_client

STORE = "0" * 32
POLICY = """
hirules: 1
policy: image-sets
title: What happens to image sets
owner: privacy-office
rules:
  - id: no-force
    on: update-image-set-metadata
    when: {request.force: true}
    rewrite:
      - set: {request.force: false}
  - id: no-names
    on: update-image-set-metadata
    when: {request.updated: {contains: Patient.PatientName}}
    rewrite:
      - set: {request.updates.Patient.PatientName: ANONYMOUS}
  - id: comments-stay
    on: update-image-set-metadata
    when: {request.removed: {contains: Patient.PatientComments}}
    rewrite:
      - drop: {request.removed: Patient.PatientComments}
  - id: reverts-are-not-undone
    on: update-image-set-metadata
    when: {request.kind: revert}
    severity: high
    deny: {reason: a revert can undo a de-identification}
  - id: the-released-patient-is-closed
    on: [get-image-set-metadata, update-image-set-metadata]
    when: {resource.PatientID: CLOSED}
    deny: {reason: this patient is closed, status: Conflict}
  - id: hidden
    on: [get-image-set, search-image-sets]
    when: {subject.user: guest}
    deny: {respond: no-match}
  - id: known-versions
    on: [get-image-set, get-image-set-metadata, update-image-set-metadata]
    when: {resource.imageSetState: ACTIVE}
    allow: {}
  - id: search
    on: search-image-sets
    when: {subject.user: {exists: true}}
    allow: {}
"""


@pytest.fixture
def gate(tmp_path: Path) -> Any:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "image-sets.yaml").write_text(POLICY)
    return hirules.load(folder, audit=tmp_path / "audit.jsonl")


@pytest.fixture
def guarded(gate: Any, client: Any) -> Any:
    hirules.healthimaging.guard(client, gate, {"user": "anna"})
    return client


def update(client: Any, image_set: str, version: str = "1", updatable: Any = None, removable: Any = None, **more: Any) -> Any:
    blobs = {"updatableAttributes": updatable, "removableAttributes": removable}
    updates = {"DICOMUpdates": {name: json.dumps(blob).encode() for name, blob in blobs.items() if blob is not None}}
    return client.update_image_set_metadata(
        datastoreId=STORE, imageSetId=image_set, latestVersionId=version, updateImageSetMetadataUpdates=updates, **more
    )  # fmt: skip


def test_rewritten_on_the_wire(guarded: Any, image_set: str, service: StandIn, tmp_path: Path) -> None:
    tree = {"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientName": "Miller^Anna", "PatientSex": "O"}}}
    update(guarded, image_set, updatable=tree, force=True)
    assert service.metadata(image_set)["Patient"]["DICOM"]["PatientName"] == "ANONYMOUS"
    assert service.metadata(image_set)["Patient"]["DICOM"]["PatientSex"] == "O"
    assert service.received[-1].query["force"] == "false"
    record, outcome = (json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (record["decision"], record["by"]) == ("allow", ["image-sets/known-versions"])
    assert sorted(record["rewritten"]) == ["request.force", "request.updates.Patient.PatientName"]
    assert (outcome["id"], outcome["outcome"]["latestVersionId"]) == (record["id"], "2")
    assert "Miller" not in (tmp_path / "audit.jsonl").read_text()


def test_a_removal_is_cut_down(guarded: Any, image_set: str, service: StandIn) -> None:
    update(guarded, image_set, removable={"Patient": {"DICOM": {"PatientComments": "", "PatientSex": ""}}})
    sent = json.loads(service.received[-1].body)["DICOMUpdates"]
    assert list(sent) == ["removableAttributes"]
    assert "PatientSex" not in service.metadata(image_set)["Patient"]["DICOM"]
    with pytest.raises(guarded.exceptions.AccessDeniedException):
        update(guarded, image_set, "2", removable={"Patient": {"DICOM": {"PatientComments": ""}}})
    assert service.counts["UpdateImageSetMetadata"] == 1


def test_a_revert_is_denied(guarded: Any, image_set: str, service: StandIn) -> None:
    with pytest.raises(guarded.exceptions.AccessDeniedException, match="undo a de-identification") as caught:
        guarded.update_image_set_metadata(
            datastoreId=STORE, imageSetId=image_set, latestVersionId="1", updateImageSetMetadataUpdates={"revertToVersionId": "1"}
        )
    assert caught.value.decision.by == ("image-sets/reverts-are-not-undone",)
    assert service.counts["UpdateImageSetMetadata"] == 0


def test_what_the_service_knows_decides(guarded: Any, image_set: str, service: StandIn) -> None:
    assert guarded.get_image_set_metadata(datastoreId=STORE, imageSetId=image_set)["imageSetMetadataBlob"].read()
    service.metadata(image_set)["Patient"]["DICOM"]["PatientID"] = "CLOSED"
    with pytest.raises(guarded.exceptions.ConflictException, match="closed"):
        update(guarded, image_set, updatable={"Study": {"DICOM": {"StudyDescription": "x"}}})
    # of a version that is not the newest nothing is known: the deny rule matches, the allow rule does not
    service.metadata(image_set)["Patient"]["DICOM"]["PatientID"] = "OPEN"
    with pytest.raises(guarded.exceptions.ConflictException):
        update(guarded, image_set, "7", updatable={"Study": {"DICOM": {"StudyDescription": "x"}}})
    assert service.counts["UpdateImageSetMetadata"] == 0


def test_a_look_up_that_fails_refuses(guarded: Any, image_set: str, service: StandIn) -> None:
    service.fail["GetImageSet"] = "AccessDeniedException"
    with pytest.raises(guarded.exceptions.ConflictException) as caught:
        guarded.get_image_set_metadata(datastoreId=STORE, imageSetId=image_set)
    assert any("AccessDeniedException" in error.message for error in caught.value.decision.errors)
    assert service.counts["GetImageSetMetadata"] == 0


def test_hidden(gate: Any, service: StandIn, image_set: str) -> None:
    client = make_client(service.url)
    hirules.healthimaging.guard(client, gate, {"user": "guest"})
    assert client.search_image_sets(datastoreId=STORE)["imageSetsMetadataSummaries"] == []
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert service.counts["SearchImageSets"] == 0


def test_search_with_every_kind_of_filter_is_understood(guarded: Any, service: StandIn) -> None:
    service.load([str(get_testdata_file("MR_small.dcm"))])
    filters = [
        {"operator": "EQUAL", "values": [{"DICOMPatientId": "4MR1"}]},
        {
            "operator": "BETWEEN",
            "values": [{"DICOMStudyDateAndTime": {"DICOMStudyDate": "20000101"}}, {"DICOMStudyDateAndTime": {"DICOMStudyDate": "20300101"}}],
        },
    ]
    criteria = {"filters": filters, "sort": {"sortOrder": "ASC", "sortField": "updatedAt"}}
    assert len(guarded.search_image_sets(datastoreId=STORE, searchCriteria=criteria, maxResults=3)["imageSetsMetadataSummaries"]) == 1


@pytest.mark.parametrize("action", ["answer", "release"])
def test_a_rule_that_this_version_cannot_enforce_is_not_ignored(client: Any, tmp_path: Path, action: str) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    rule = f"hirules: 1\npolicy: p\nrules:\n  - id: r\n    on: {action}\n    when: {{instance.PatientID: '1'}}\n    deny: {{}}\n"
    (folder / "p.yaml").write_text(rule)
    with pytest.raises(ValueError, match=f"p/r.*{action}"):
        hirules.healthimaging.guard(client, hirules.load(folder))


EDITS = """
hirules: 1
policy: edits
rules:
  - {id: everybody, on: update-image-set-metadata, allow: {}}
  - id: one-set-only
    on: update-image-set-metadata
    rewrite:
      - set: {request.includeStudyImageSets: false}
  - id: patient
    on: update-image-set-metadata
    when: {request.updated: {contains: Patient.PatientID}}
    rewrite:
      - keep_only: {request.updates.Patient: [PatientID, PatientSex]}
  - id: study
    on: update-image-set-metadata
    when: {request.updated: {contains: Study.StudyDate}}
    rewrite:
      - set: {request.updates.Study.StudyDate: 2020-01-01}
      - default: {request.updates.Study.StudyDescription: unknown}
      - remove: request.updates.Study.AccessionNumber
      - map: {request.updates.Study.StudyID: {S1: S2}}
  - id: series
    on: update-image-set-metadata
    when: {request.updated: {contains: Series.StationName}}
    rewrite:
      - replace: {request.updates.Series.StationName: {regex: '(..).*', with: '\\1'}}
      - set: {request.updates.Series.Manufacturer: M}
"""


def test_every_edit_reaches_the_wire(client: Any, image_set: str, service: StandIn, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "edits.yaml").write_text(EDITS)
    hirules.healthimaging.guard(client, hirules.load(folder))
    ((series, node),) = service.metadata(image_set)["Study"]["Series"].items()
    tree = {
        "SchemaVersion": 1.1,
        "Patient": {"DICOM": {"PatientID": "7", "PatientSex": "F", "PatientName": "Miller^Anna"}},
        "Study": {
            "DICOM": {"StudyDate": "20240101", "AccessionNumber": "A", "StudyID": "S1"},
            "Series": {
                series: {"DICOM": {"StationName": "CT-1", "Manufacturer": "GE"}, "Instances": {uid: {"DICOM": {"Rows": 7}} for uid in node["Instances"]}},
                "1.2.3": {"DICOM": {"StationName": "MR-2"}},
            },
        },
    }
    update(client, image_set, updatable=tree, includeStudyImageSets=True, force=True)
    request = service.received[-1]
    assert request.query == {"latestVersion": "1", "includeStudyImageSets": "false", "force": "true"}
    sent = json.loads(base64.b64decode(json.loads(request.body)["DICOMUpdates"]["updatableAttributes"]))
    assert sent["Patient"]["DICOM"] == {"PatientID": "7", "PatientSex": "F"}
    assert sent["Study"]["DICOM"] == {"StudyDate": "20200101", "StudyDescription": "unknown", "StudyID": "S2"}
    assert {uid: each["DICOM"] for uid, each in sent["Study"]["Series"].items()} == {
        series: {"StationName": "CT", "Manufacturer": "M"},
        "1.2.3": {"StationName": "MR"},
    }
    assert sent["Study"]["Series"][series]["Instances"] == tree["Study"]["Series"][series]["Instances"]  # type: ignore[index]


def test_what_is_refused_before_any_rule_is_recorded(guarded: Any, image_set: str, tmp_path: Path) -> None:
    with pytest.raises(guarded.exceptions.AccessDeniedException) as caught:
        update(guarded, image_set, updatable={"Patient": {"DICOM": {"00100010": "Miller^Anna"}}})
    (record,) = (json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines())
    assert (record["action"], record["decision"], record["status"]) == ("update-image-set-metadata", "deny", "AccessDenied")
    assert record["id"] == caught.value.decision.id
    assert "spelled by its tag" in json.dumps(record)
    assert "Miller" not in json.dumps(record)


def test_a_record_that_cannot_be_written_refuses(client: Any, image_set: str, service: StandIn, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "p.yaml").write_text("hirules: 1\npolicy: p\nrules:\n  - {id: r, on: get-image-set, allow: {}}\n")
    hirules.healthimaging.guard(client, hirules.load(folder, audit="/dev/full"))
    with pytest.raises(client.exceptions.AccessDeniedException, match="recorded"):
        client.get_image_set(datastoreId=STORE, imageSetId=image_set)
    assert service.counts.total() == 0
