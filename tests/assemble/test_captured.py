"""Files as requests: real DICOM files, data sets as the wire carries them, DICOM JSON, update documents, records of the audit log."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hirules.assemble.captured import audit_record, data_set, reader, update_document
from hirules.audit.record import DecisionRecord, OutcomeRecord, encode
from hirules.audit.recorder import Recorder
from hirules.dimse.identifier import write
from hirules.model.dataset import dataset_of
from hirules.model.decision import Decision
from hirules.model.reading import Unknown
from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY
from tests.policy.deciding import NOW

CT = (files("pydicom") / "data" / "test_files" / "CT_small.dcm").read_bytes()
IDENTIFIER = {"QueryRetrieveLevel": "STUDY", "PatientID": "P1", "StudyInstanceUID": "1.2.3"}
DOCUMENT = {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "A^B"}}}


def test_a_dicom_file() -> None:
    view = data_set(CT)
    assert (view["PatientID"], view["Modality"]) == ("1CT1", "CT")
    assert "PixelData" in view


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_bare_data_set(syntax: str) -> None:
    assert dict(data_set(write(dataset_of(IDENTIFIER), syntax))) == IDENTIFIER


def test_dicom_json() -> None:
    text = dcmread(BytesIO(CT), stop_before_pixels=True).to_json()
    assert data_set(text.encode())["PatientID"] == "1CT1"
    assert data_set(f"[{text}]".encode())["PatientID"] == "1CT1"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it holds no element"),
        (b"hirules: 1\npolicy: p\n", "it is neither a DICOM file nor a bare data set: "),
        (CT[:130] + b"XX" + CT[132:], "it is neither a DICOM file nor a bare data set: "),
        (b"{", "it is no JSON"),
        (b"[]", "it is no DICOM JSON"),
        (b'{"PatientID": "P1"}', "it is no DICOM JSON"),
        (b"{}", "it holds no element"),
        (b'{"00100020": {"vr": "XX", "Value": ["SECRET"]}}', "it is no DICOM JSON"),
        (b'{"00081115": {"vr": "SQ", "Value": [{"0020000E": {}}]}}', "it is no DICOM JSON"),
        (b'{"7FE00010": {"vr": "OW", "BulkDataURI": "http://x"}}', "it refers to bulk data elsewhere"),
    ],
)
def test_what_is_no_data_set(data: bytes, why: str) -> None:
    with pytest.raises(ValueError) as raised:
        data_set(data)
    assert str(raised.value).startswith(why)
    assert "SECRET" not in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        DOCUMENT,
        {"DICOMUpdates": {"updatableAttributes": DOCUMENT}},
        {"DICOMUpdates": {"updatableAttributes": json.dumps(DOCUMENT)}},
        {"DICOMUpdates": {"updatableAttributes": base64.b64encode(json.dumps(DOCUMENT).encode()).decode()}},
    ],
)
def test_an_update_document(content: object) -> None:
    found = update_document(json.dumps(content).encode())
    assert (found["kind"], found["updated"], found["updates"]) == ("update", ["Patient.PatientName"], {"Patient": {"PatientName": "A^B"}})


def test_a_revert() -> None:
    assert update_document(b'{"revertToVersionId": "2"}')["kind"] == "revert"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "it is not JSON"),
        (b"[]", "`updatableAttributes` is no JSON object"),
        (b'{"Patient": {"DICOM": {"PatientName": "A"}}, "Patient": {}}', ""),
        (b'{"Patient": {"DICOM": {"00100010": "A"}}}', "`updatableAttributes` `00100010` is spelled by its tag"),
        (b'{"DICOMUpdates": {}}', "`DICOMUpdates` has no other keys than"),
        (b'{"DICOMUpdates": {"updates": {}}}', "`DICOMUpdates` has no other keys than"),
        (b'{"DICOMUpdates": {"updatableAttributes": 1}}', "a document is an object, a text of JSON, or Base64"),
        (b'{"DICOMUpdates": {"updatableAttributes": "SECRET!"}}', "a document is an object, a text of JSON, or Base64"),
        (b'{"DICOMUpdates": {"updatableAttributes": {}}, "revertToVersionId": "1"}', "it is either `DICOMUpdates` or `revertToVersionId`"),
        (b'{"revertToVersionId": 1}', "`revertToVersionId` is no text"),
    ],
)
def test_what_is_no_update_document(data: bytes, why: str) -> None:
    with pytest.raises(ValueError) as raised:
        update_document(data)
    assert why in str(raised.value)
    assert "SECRET" not in str(raised.value)


def recorded(number: str, *, identifying: bool = False) -> bytes:
    """The line of a C-MOVE, as the gateway records it."""
    request = Request("c-move", {"ae_title": "WARD_1"}, {"MoveDestination": "PACS_DR", "Identifier": IDENTIFIER}, id=number)
    decision = Decision("deny", request, by=("p/r",), status=0xA801)
    return encode(Recorder(None, VOCABULARY, identifying_values=identifying).record(request, decision, NOW))


def test_a_record_is_the_request_without_what_it_withholds() -> None:
    found = audit_record(recorded("r-1"), "", VOCABULARY)
    assert (found["action"], found["subject"], found["context"], found["id"]) == ("c-move", {"ae_title": "WARD_1"}, {"now": NOW}, "r-1")
    request = found["request"]
    assert isinstance(request, dict)
    assert request["MoveDestination"] == "PACS_DR"
    # nobody knows from the record whether there was one
    assert isinstance(request["Identifier"], Unknown)


def test_a_record_with_identifying_values_has_all_of_it() -> None:
    assert audit_record(recorded("r-1", identifying=True), "", VOCABULARY)["request"] == {"MoveDestination": "PACS_DR", "Identifier": IDENTIFIER}


def test_one_of_several_records() -> None:
    outcome = encode(OutcomeRecord(id="r-2", time=NOW, outcome={"status": 0}))
    log = recorded("r-1") + recorded("r-2") + outcome
    assert audit_record(log, "r-2", VOCABULARY)["id"] == "r-2"
    with pytest.raises(ValueError, match="it holds 2 decisions; `id` names the one"):
        audit_record(log, "", VOCABULARY)
    with pytest.raises(ValueError, match="it holds no decision with the id `r-3`"):
        audit_record(log, "r-3", VOCABULARY)


def test_a_record_laid_out_for_people() -> None:
    text = json.dumps(json.loads(recorded("r-1")), indent=2)
    assert audit_record(text.encode(), "", VOCABULARY)["id"] == "r-1"


@pytest.mark.parametrize("data", [b"", b"{}", b"SECRET", b'{"entry": "decision", "id": "SECRET"}'])
def test_what_is_no_record(data: bytes) -> None:
    with pytest.raises(ValueError) as raised:
        audit_record(data, "", VOCABULARY)
    assert "SECRET" not in str(raised.value)


def test_an_update_of_which_the_record_shows_names_only() -> None:
    """`updated` is recorded; the values are not, and stay unknown beside it."""
    record = DecisionRecord(
        id="r", time=NOW, action="update-image-set-metadata", request={"updated": ["Patient.PatientName"], "kind": "update"}, decision="allow", policies="x"
    )
    request = reader(VOCABULARY)("audit record", encode(record), "")["request"]
    assert isinstance(request, dict)
    assert request["updated"] == ["Patient.PatientName"]
    assert isinstance(request["updates"], Unknown)
