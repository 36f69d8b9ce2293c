from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydicom.uid import ImplicitVRLittleEndian

from hirules.dimse.identifier import read
from hirules.dimse.lookup_query import Target, identifier, keywords, level_of, match, not_told, number, target_of, told, verified
from hirules.facts import LookupFailed
from hirules.model.dataset import DatasetView
from hirules.model.reading import Unknown
from hirules.model.request import Request
from tests.dimse.archives import GET_PATIENT_ROOT, get
from tests.dimse.associations import GET

COMPOSITE = "1.2.840.10008.5.1.4.1.2.4.3"
HANGING = "1.2.840.10008.5.1.4.38.4"


@pytest.mark.parametrize(
    ("request_", "target"),
    [
        (get(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2"), Target("STUDY", "StudyInstanceUID", ("1.2",))),
        (get(QueryRetrieveLevel="STUDY", StudyInstanceUID=["1.2", "1.3", "1.2"]), Target("STUDY", "StudyInstanceUID", ("1.2", "1.3"))),
        (
            get(QueryRetrieveLevel="SERIES", StudyInstanceUID="1.2", SeriesInstanceUID=["1.3"]),
            Target("SERIES", "SeriesInstanceUID", ("1.3",), {"StudyInstanceUID": "1.2"}),
        ),
        (get(GET_PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID=" P1 "), Target("STUDY", "PatientID", ("P1",), {}, patient_root=True)),
        (
            get(GET_PATIENT_ROOT, QueryRetrieveLevel="IMAGE", PatientID="P", StudyInstanceUID="1", SeriesInstanceUID="2", SOPInstanceUID="3"),
            Target("IMAGE", "SOPInstanceUID", ("3",), {"PatientID": "P", "StudyInstanceUID": "1", "SeriesInstanceUID": "2"}, patient_root=True),
        ),
        (get(COMPOSITE, QueryRetrieveLevel="FRAME", SOPInstanceUID="1.2"), Target("IMAGE", "SOPInstanceUID", ("1.2",))),
        (Request("n-set", request={"RequestedSOPInstanceUID": "1.2"}), Target("IMAGE", "SOPInstanceUID", ("1.2",))),
    ],
)
def test_what_a_request_names(request_: Request, target: Target) -> None:
    assert target_of(request_) == target


@pytest.mark.parametrize(
    "request_",
    [
        get(HANGING, SOPInstanceUID="1.2"),
        get("1.2.3", QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2"),
        get(QueryRetrieveLevel="PATIENT", PatientID="P"),
        get(StudyInstanceUID="1.2"),
        get(QueryRetrieveLevel="STUDY"),
        get(QueryRetrieveLevel="STUDY", StudyInstanceUID=""),
        get(QueryRetrieveLevel="STUDY", StudyInstanceUID=["1.2", ""]),
        get(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.*"),
        get(QueryRetrieveLevel="SERIES", StudyInstanceUID=["1", "2"], SeriesInstanceUID="3"),
        get(QueryRetrieveLevel="STUDY", StudyInstanceUID=Unknown("x")),
        get(GET_PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID="*"),
        get(GET_PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID="A?"),
        get(GET_PATIENT_ROOT, QueryRetrieveLevel="PATIENT", PatientID="A\\B"),
        Request("c-get", request={"AffectedSOPClassUID": GET}),
        Request("n-get"),
    ],
)
def test_what_names_nothing_that_can_be_asked_is_a_failure(request_: Request) -> None:
    with pytest.raises(LookupFailed):
        target_of(request_)


def test_what_can_be_asked() -> None:
    asked = keywords(
        ["PatientID", "count", "instance_count", "QueryRetrieveLevel", "SpecificCharacterSet", '(0009,"A",01)', "PixelData", "(0010,0020)", "nope"]
    )
    assert asked == {"PatientID"}


@pytest.mark.parametrize(
    ("keyword", "patient_root", "study_root"),
    [
        ("PatientBirthDate", "PATIENT", "STUDY"),
        ("NumberOfPatientRelatedStudies", "PATIENT", "STUDY"),
        ("StudyDate", "STUDY", "STUDY"),
        ("ModalitiesInStudy", "STUDY", "STUDY"),
        ("Modality", "SERIES", "SERIES"),
        ("NumberOfSeriesRelatedInstances", "SERIES", "SERIES"),
        ("SOPClassUID", "IMAGE", "IMAGE"),
        ("Rows", "IMAGE", "IMAGE"),
        ("RetrieveAETitle", "SERIES", "SERIES"),
    ],
)
def test_the_level_of_a_key(keyword: str, patient_root: str, study_root: str) -> None:
    assert [level_of(keyword, "SERIES", patient_root=root) for root in (True, False)] == [patient_root, study_root]


def test_the_query_matches_its_keys_and_asks_for_the_rest() -> None:
    data = identifier("SERIES", {"StudyInstanceUID": "1.2", "SeriesInstanceUID": ("1.3", "1.4")}, {"Modality", "PatientID", "RequestAttributesSequence"})
    assert dict(DatasetView(read(data, ImplicitVRLittleEndian))) == {
        "QueryRetrieveLevel": "SERIES",
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": ["1.3", "1.4"],
        "Modality": "",
        "PatientID": "",
        "RequestAttributesSequence": (),
    }


def test_a_patient_id_outside_ascii_is_asked_in_utf_8() -> None:
    view = DatasetView(read(identifier("STUDY", {"PatientID": "Ä1"}, ()), ImplicitVRLittleEndian))
    assert (view["PatientID"], view["SpecificCharacterSet"]) == ("Ä1", "ISO_IR 192")


def element(group: int, number: int, value: bytes) -> bytes:
    return group.to_bytes(2, "little") + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


CHARACTERS = element(8, 5, b"ISO_IR 100")
NAME = element(16, 16, "Müller^A".encode("latin-1"))


def test_text_is_read_in_the_character_set_of_the_answer() -> None:
    assert match(CHARACTERS + NAME)["PatientName"] == "Müller^A"


def test_an_element_that_cannot_be_read_is_unknown_and_no_other() -> None:
    found = match(element(8, 32, b"20250101") + element(16, 16, "Müller^A".encode("latin-1")) + element(16, 32, b"P1"))
    assert (found["StudyDate"], found["PatientID"]) == ("20250101", "P1")
    assert isinstance(found["PatientName"], Unknown)


def test_where_the_character_set_is_not_known_only_ascii_is_read() -> None:
    found = match(element(8, 5, b"ISO_IR 999") + NAME + element(16, 32, b"P1"))
    assert found["PatientID"] == "P1"
    assert isinstance(found["PatientName"], Unknown)


@pytest.mark.parametrize(
    "data",
    [
        element(16, 32, b"P1") * 2,
        element(16, 32, b"P1") + element(8, 32, b"20250101"),
        element(16, 32, b"P1")[:-1],
        b"\x10\x00\x20\x00\x00",
        element(16, 16, b"\xff\xff") + b"\x10\x00\x20\x00\xff\xff\xff\xff",
    ],
    ids=["twice", "order", "cut", "header", "undefined"],
)
def test_an_answer_that_can_be_read_in_two_ways_is_a_failure(data: bytes) -> None:
    with pytest.raises(LookupFailed, match="malformed"):
        match(data)


STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        (STUDY, {"StudyInstanceUID": "1.2"}),
        (STUDY, {"StudyInstanceUID": ("1.1", "1.2")}),
        (STUDY, {"StudyInstanceUID": "", "PatientID": ""}),
        ({**STUDY, "PatientID": "p1 "}, {"PatientID": "P1", "StudyInstanceUID": "1.2"}),
        ({"StudyInstanceUID": "1.2"}, {"StudyInstanceUID": "1.2"}),
    ],
)
def test_an_answer_about_what_was_asked(answer: Mapping[str, object], keys: Mapping[str, object]) -> None:
    assert verified(answer, "STUDY", keys) is answer


@pytest.mark.parametrize(
    ("answer", "keys"),
    [
        ({**STUDY, "StudyInstanceUID": "1.3"}, {"StudyInstanceUID": "1.2"}),
        ({**STUDY, "StudyInstanceUID": "1.20"}, {"StudyInstanceUID": ("1.1", "1.2")}),
        ({**STUDY, "StudyInstanceUID": ["1.2", "1.3"]}, {"StudyInstanceUID": "1.2"}),
        ({"QueryRetrieveLevel": "STUDY"}, {"StudyInstanceUID": "1.2"}),
        (STUDY, {"StudyInstanceUID": "1.2", "PatientID": "P1"}),
        ({**STUDY, "PatientID": "P2"}, {"StudyInstanceUID": "1.2", "PatientID": "P1"}),
        ({**STUDY, "QueryRetrieveLevel": "SERIES"}, {"StudyInstanceUID": "1.2"}),
    ],
)
def test_an_answer_about_something_else_is_a_failure(answer: Mapping[str, object], keys: Mapping[str, object]) -> None:
    with pytest.raises(LookupFailed):
        verified(answer, "STUDY", keys)


def test_what_is_known_of_a_value_that_is_not_told() -> None:
    assert [told(value) for value in ("A", ["A"], 0, "", None, [], [""], (), Unknown("x"))] == [True, True, True, False, False, False, False, False, False]
    assert not_told("", "StudyDate", ()) is None
    assert isinstance(not_told(None, "StudyDate", ()), Unknown)
    assert isinstance(not_told("", "StudyDescription", ()), Unknown)
    assert not_told("", "StudyDescription", ("StudyDescription",)) is None


def test_counts() -> None:
    assert [number(value) for value in (7, 0, -1, "7", None, Unknown("x"))] == [7, 0, None, None, None, None]
