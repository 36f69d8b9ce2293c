from __future__ import annotations

import pytest

from hirules.facts.consistent import ambiguous
from hirules.model.request import Request

PRIVATE = '(0009,"GEMS_IDEN_01",01)'


def update(**fields: object) -> Request:
    return Request("update-image-set-metadata", request=fields)


@pytest.mark.parametrize(
    "request_",
    [
        Request("c-move", request={"MoveDestination": "A", "Identifier": {"(0010,0020)": "P"}}),
        Request("c-find", request={"Identifier": {"PatientID": "", "QueryRetrieveLevel": "STUDY"}, "keys": ["(0010,0020)", "PatientName"]}),
        update(updates={"Patient": {"PatientID": "1"}, "Instance": {PRIVATE: "x"}}, kind="update"),
        update(updates={"Patient": {"PatientID": "1"}}, updated=["Patient.PatientID", "Study.StudyID"], removed=["Study.StudyDate"], kind="update-and-remove"),
        update(updated=["Study.ProcedureCodeSequence", "Study.ProcedureCodeSequence[*].CodeValue"], removed="Patient.PatientID"),
        update(removed=["Instance.(0009,1001)"], kind="remove"),
        update(revertToVersionId="1", kind="revert"),
        update(kind="update"),
    ],
    ids=lambda request: str(dict(request.request)),
)
def test_what_can_be_read_in_one_way(request_: Request) -> None:
    assert ambiguous(request_) == ()


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (update(updates={"Patient": {"(0010,0020)": "1"}}), "request.updates.Patient.(0010,0020)"),
        (update(updates={"Study": {"ProcedureCodeSequence": [{"(0008,0100)": "1"}]}}), "request.updates.Study.ProcedureCodeSequence[*].(0008,0100)"),
        (update(removed=["Patient.(0010,0020)"]), "request.removed"),
        (update(removed=["Patient.00100020"]), "request.removed"),
        (update(removed=["patient.PatientID"]), "request.removed"),
        (update(removed=["Patient.patientid"]), "request.removed"),
        (update(removed=["Study.PatientID"]), "request.removed"),
        (update(removed="Study.PatientID"), "request.removed"),
        (update(updated=["Patient"]), "request.updated"),
        (update(updates={"Patient": {"PatientID": "1"}}, updated=["Patient.PatientName"]), "request.updated"),
        (update(updates={"Patient": {"PatientID": "1"}}, updated=[]), "request.updated"),
        (update(updates={"Patient": {"PatientID": "1"}}, removed=["Patient.PatientSex"], kind="update"), "request.kind"),
        (update(removed_instances=["1.2"], kind="update"), "request.kind"),
        (update(revertToVersionId="1", kind="update"), "request.kind"),
        (Request("c-find", request={"Identifier": {"PatientName": ""}, "keys": ["PatientID"]}), "request.keys"),
        (Request("c-find", request={"Identifier": {"PatientName": ""}, "keys": []}), "request.keys"),
    ],
)
def test_what_can_be_read_in_two(request_: Request, path: str) -> None:
    assert ambiguous(request_) == (path,)
