from __future__ import annotations

from hirules.audit.redaction import LONGEST, WITHHELD, removed_keys, shown, shown_paths
from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY

MOVE = {
    "MoveDestination": "NOWHERE", "Priority": 0, "AffectedSOPInstanceUID": "1.2.3",
    "Identifier": {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3", "PatientID": "P1"},
}  # fmt: skip


def test_parameters_without_patient_data_are_shown() -> None:
    assert shown(VOCABULARY, MOVE, "request", identifying_values=False) == {"MoveDestination": "NOWHERE", "Priority": 0}


def test_configured_everything_is_shown() -> None:
    assert shown(VOCABULARY, MOVE, "request", identifying_values=True) == MOVE


def test_names_that_the_vocabulary_lacks_stay_out() -> None:
    assert shown(VOCABULARY, {"PatientNote": "secret", "x.y": "secret"}, "request", identifying_values=False) == {}


def test_update_documents_stay_out() -> None:
    update = {"datastoreId": "d", "updates": {"Patient": {"PatientName": "A^B"}}, "updated": ["Patient.PatientName"], "removed_instances": ["1.2"]}
    assert shown(VOCABULARY, update, "request", identifying_values=False) == {"datastoreId": "d", "updated": ["Patient.PatientName"]}


def test_values_by_path_are_withheld_but_seen() -> None:
    values = {"request.MoveDestination": "X", "request.Identifier.PatientID": "P1", "request.Identifier.QueryRetrieveLevel": "STUDY", "no path": "?"}
    assert shown_paths(VOCABULARY, values, identifying_values=False) == {
        "request.MoveDestination": "X", "request.Identifier.PatientID": WITHHELD, "request.Identifier.QueryRetrieveLevel": "STUDY", "no path": WITHHELD,
    }  # fmt: skip
    assert shown_paths(VOCABULARY, values, identifying_values=True) == values


def test_nested_and_long_and_binary_values() -> None:
    subject = {"tls": {"cn": "node", "other": "?"}, "claims": {"urn:x": "y"}, "stated_user": "u" * (LONGEST + 5), "address": None}
    safe = shown(VOCABULARY, subject, "subject", identifying_values=False)
    assert safe["tls"] == {"cn": "node"}
    assert safe["claims"] == {"urn:x": "y"}
    assert safe["stated_user"] == "u" * LONGEST + "…"
    assert "address" not in safe
    assert shown(VOCABULARY, {"MoveDestination": b"xyz"}, "request", identifying_values=True) == {"MoveDestination": "3 bytes"}


def test_removed_keys_are_names() -> None:
    assert removed_keys(Request("c-move", context={"removed_keys": ("PatientName", "AccessionNumber")})) == ("AccessionNumber", "PatientName")
    assert removed_keys(Request("c-move")) == ()
