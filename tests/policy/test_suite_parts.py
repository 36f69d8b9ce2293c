"""Parts of requests: how they are laid over each other, and files."""

from __future__ import annotations

import json

import pytest

from hirules.model.dataset import DatasetView
from hirules.policy.suite_parts import Part, merged
from tests.policy.suites import case, reading, said

STUDY = json.dumps({"0020000D": {"vr": "UI", "Value": ["1.2.3"]}, "00100020": {"vr": "LO", "Value": ["P1"]}}).encode()
UPDATE = b'{"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "A^B"}}}'
REMOVAL = b'{"SchemaVersion": 1.1, "Study": {"DICOM": {"StudyDescription": ""}}}'
RECORD = json.dumps(
    {
        "entry": "decision", "format": 1, "id": "r-1", "time": "2026-02-01T08:00:00Z", "action": "c-move", "subject": {"ae_title": "PACS_MAIN"},
        "request": {"MoveDestination": "OLDPACS", "Priority": 0}, "decision": "allow", "policies": "sha256:x",
    }
).encode()  # fmt: skip
FILES = {"t/study.json": STUDY, "data/study.json": STUDY, "t/update.json": UPDATE, "t/removal.json": REMOVAL, "t/record.json": RECORD}


def test_later_parts_go_over_earlier_ones() -> None:
    parts = [{"subject": {"ae_title": "A"}, "resource": ({"a": 1},)}, {"subject": {"user": "x"}, "resource": ({"b": 2},)}, {"subject": {"ae_title": None}}]
    assert merged([Part(None, part) for part in parts]) == {"subject": {"ae_title": None, "user": "x"}, "resource": ({"b": 2},)}  # type: ignore[arg-type]


def test_a_file_is_a_data_set() -> None:
    one = case("on: c-find\nrequest: {Identifier: {file: study.json}}\nexpect: {decision: deny}", files=FILES)
    identifier = one.request.request["Identifier"]
    assert isinstance(identifier, DatasetView)
    assert dict(identifier) == {"StudyInstanceUID": "1.2.3", "PatientID": "P1"}


def test_parts_go_over_a_file() -> None:
    given = "[{request: {Identifier: {file: ../data/study.json}}}, {request: {Identifier: {PatientID: P2, PatientName: ''}}}]"
    one = case(f"on: c-find\ngiven: {given}\nexpect: {{decision: deny}}", files=FILES)
    assert one.request.request == {"Identifier": {"StudyInstanceUID": "1.2.3", "PatientID": "P2", "PatientName": ""}}


def test_an_instance_and_an_entity_may_be_files() -> None:
    one = case("on: c-store\ninstance: {file: study.json}\nexpect: {decision: deny}", files=FILES)
    assert dict(one.request.instance or {})["PatientID"] == "P1"
    one = case("on: c-move\nresource: [{file: study.json}, {PatientID: P2}]\nexpect: {decision: deny}", files=FILES)
    assert [entity["PatientID"] for entity in one.request.resource or ()] == ["P1", "P2"]


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("{file: update.json}", {"kind": "update", "updated": ["Patient.PatientName"], "removed": []}),
        ("{DICOMUpdates: {removableAttributes: {file: removal.json}}}", {"kind": "remove", "updated": [], "removed": ["Study.StudyDescription"]}),
        (
            "{DICOMUpdates: {updatableAttributes: {file: update.json}, removableAttributes: {file: removal.json}}}",
            {"kind": "update-and-remove", "updated": ["Patient.PatientName"], "removed": ["Study.StudyDescription"]},
        ),
        ("{revertToVersionId: 3}", {"kind": "revert", "revertToVersionId": "3"}),
    ],
)
def test_an_update_document_is_read_as_the_guard_reads_it(parameter: str, expected: dict[str, object]) -> None:
    one = case(f"on: update-image-set-metadata\nrequest: {{force: true, updateImageSetMetadataUpdates: {parameter}}}\nexpect: {{decision: deny}}", files=FILES)
    assert {name: one.request.request[name] for name in expected} == expected
    assert one.request.request["force"] == "true"


def test_a_captured_record_is_a_request() -> None:
    one = case("on: c-move\ngiven: [{file: record.json}, {request: {MoveDestination: PACS_DR}}]\nexpect: {decision: deny}", files=FILES)
    assert one.request.subject == {"ae_title": "PACS_MAIN"}
    assert one.request.request["MoveDestination"] == "PACS_DR"
    assert one.request.request["Priority"] == 0
    assert one.now.isoformat() == "2026-02-01T08:00:00+00:00"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("on: c-find, request: {Identifier: {file: none.json}}", "test-file: there is no file `none.json`"),
        ("on: c-find, request: {Identifier: {file: ../../x.json}}", "test-file: `../../x.json` is outside of the folder of the set"),
        ("on: c-find, request: {Identifier: {file: /t/study.json}}", "test-file: `/t/study.json` is outside of the folder of the set"),
        ("on: c-find, request: {Identifier: {file: update.json}}", "test-file: `update.json` cannot be read as a data set: it is no DICOM JSON"),
        ("on: c-find, given: {file: study.json}", "test-file: `study.json` cannot be read as an audit record: a line is no record of the audit log"),
        ("on: c-get, given: {file: record.json}", "choice: the record is of `c-move`, and the test of `c-get`"),
        ("on: c-move, given: {file: record.json, id: other}", "test-file: `record.json` cannot be read as an audit record: it holds no decision with the id"),
        ("on: c-move, given: {file: record.json, subject: {}}", "unknown-key: `subject` is no key of a captured audit record"),
        (
            "on: update-image-set-metadata, request: {updateImageSetMetadataUpdates: {file: study.json}}",
            "test-file: `study.json` cannot be read as an update document: `updatableAttributes` ",
        ),
        (
            "on: update-image-set-metadata, request: {updateImageSetMetadataUpdates: {DICOMUpdates: {removableAttributes: x}}}",
            "argument: `removableAttributes` is no file",
        ),
        (
            "on: update-image-set-metadata, request: {updateImageSetMetadataUpdates: {DICOMUpdates: {updateableAttributes: {file: update.json}}}}",
            "unknown-key: `updateableAttributes` is no key of `DICOMUpdates`",
        ),
        ("on: c-find, subject: {file: study.json}", "unknown-attribute: `subject.file` is no attribute of `c-find`"),
        ("on: c-find, request: {file: study.json}", "unknown-attribute: `request.file` is no attribute of `c-find`"),
    ],
)
def test_files_that_cannot_be_used(keys: str, message: str) -> None:
    (found,) = said(f"tests:\n  - {{name: t, {keys}, expect: {{decision: deny}}}}", files=FILES)
    assert found.startswith(message)


def test_a_document_that_is_no_text() -> None:
    files = {"t/update.json": b'{"Patient": "\xff"}'}
    parameter = "{DICOMUpdates: {updatableAttributes: {file: update.json}}}"
    text = f"tests:\n  - {{name: t, on: update-image-set-metadata, request: {{updateImageSetMetadataUpdates: {parameter}}}, expect: {{decision: deny}}}}"
    assert said(text, files=files) == ["test-file: no update document: it is not UTF-8"]


def test_a_name_near_by_is_offered() -> None:
    _, (found,) = reading("tests:\n  - {name: t, on: c-find, request: {Identifier: {file: studi.json}}, expect: {decision: deny}}", files=FILES)
    assert found.hint == "did you mean `study.json`?"
