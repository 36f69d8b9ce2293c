from __future__ import annotations

import msgspec
import pytest

from hirules.facts.names import Names
from hirules.model.dataset import DatasetView, dataset_of
from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY


@pytest.mark.parametrize(
    "request_",
    [
        Request("c-move", subject={"ae_title": "A", "tls": {"cn": "x"}, "claims": {"urn:x": "y"}}, request={"MoveDestination": "D", "Priority": None}),
        Request("c-find", request={"Identifier": {"PatientID": "", "(0009,0010)": "x", "ScheduledProcedureStepSequence": [{"Modality": "CT"}]}}),
        Request("c-move", context={"now": "x", "removed_keys": ["PatientName"]}, resource=[{"PatientID": "P", "instance_count": 3}]),
        Request("get-image-set", resource=[{"imageSetState": "ACTIVE", "overrides": {"forced": True}, "PatientID": None}]),
        Request("update-image-set-metadata", request={"updates": {"Patient": {"PatientName": "A"}, "Series": {"Modality": ["CT"]}}, "force": True}),
        Request("search-image-sets", request={"searchCriteria": {"filters": [{"operator": "EQUAL", "values": [{"DICOMPatientId": "P"}]}]}}),
        Request("release", request={"action": "c-move", "Identifier": {"PatientID": "P"}}, original={"MoveDestination": "D"}, instance={"PatientID": "P"}),
    ],
    ids=lambda request: str(request.action),
)
def test_what_the_action_has(request_: Request) -> None:
    assert Names(VOCABULARY).strange(request_) == ()


@pytest.mark.parametrize(
    ("request_", "strange"),
    [
        (Request("c-find", request={"MoveDestination": "D"}), ("request.MoveDestination",)),
        (Request("c-move", subject={"aetitle": "A", "tls": {"cm": "x"}}), ("subject.aetitle", "subject.tls.cm")),
        (Request("c-move", request={"Identifier.PatientID": "P"}), ('request."Identifier.PatientID"',)),
        (Request("c-move", request={"Identifier": {"PatinetID": "P"}}), ("request.Identifier.PatinetID",)),
        (Request("c-move", resource=[{"PatientID": "P"}, {"imageSetState": "ACTIVE"}]), ("resource.imageSetState",)),
        (Request("c-move", resource_after=[{"patient": "P"}]), ("resource.patient",)),
        (Request("c-move", context={"nwo": "x"}), ("context.nwo",)),
        (Request("update-image-set-metadata", request={"updates": {"Patient": {"Modality": "CT"}}}), ("request.updates.Patient.Modality",)),
        (
            Request("search-image-sets", request={"searchCriteria": {"filters": [{"values": [{"PatientId": "P"}]}]}}),
            ("request.searchCriteria.filters[*].values[*].PatientId",),
        ),
        (Request("c-store", instance={"PatinetID": "P"}), ("instance.PatinetID",)),
        (Request("c-move", instance={"PatientID": "P"}), ("instance.PatientID",)),
    ],
)
def test_what_it_does_not_have(request_: Request, strange: tuple[str, ...]) -> None:
    assert Names(VOCABULARY).strange(request_) == strange


def test_names_of_what_leaves_are_remembered_with_those_that_were_asked() -> None:
    names = Names(VOCABULARY)
    data_set = DatasetView(dataset_of({"PatientID": "P"}))

    def leaving(subject: dict[str, object], original: dict[str, object]) -> Request:
        return Request("release", subject, {"action": "c-get", "Identifier": {"StudyInstanceUID": "1"}}, instance=data_set, original=original)

    usual = leaving({"ae_title": "A"}, {"Identifier": {"StudyInstanceUID": "1"}})
    assert not names.usual(usual)
    assert names.strange(usual) == ()
    assert names.usual(usual)
    for other, strange in [
        (leaving({"ae_title": "A"}, {"Identifier": {"PatinetID": "1"}}), ("request.Identifier.PatinetID",)),
        (leaving({"ae_title": "A"}, {"Identfier": {}}), ("request.Identfier",)),
        (leaving({"ae_tilte": "A"}, {"Identifier": {"StudyInstanceUID": "1"}}), ("subject.ae_tilte",)),
        (leaving({"ae_title": "A"}, {"Identifier": {}, "StudyInstanceUID": "1"}), ("request.StudyInstanceUID",)),
    ]:
        assert not names.usual(other)
        assert names.strange(other) == strange
        assert not names.usual(other)
    assert not names.usual(msgspec.structs.replace(usual, instance={"PatinetID": "P"}))
