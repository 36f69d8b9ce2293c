"""Matching by PS3.4 §C.2.2.2, and that a retrieve without a unique key reaches nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from hirules.dimse.catalog import Catalog, Entry, entry_of, matches
from tests.peers.objects import FOLDER


def _entry(patient: str, study: str, series: str, instance: str, **more: object) -> Entry:
    uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance, "SOPClassUID": "1.2"}
    return Entry({"PatientID": patient, **uids, **more}, "1.2.840.10008.1.2.1")


CATALOG = Catalog(
    [
        _entry("P1", "1", "1.1", "1.1.1", Modality="CT", PatientName="Doe^Jane", StudyDate="20250101", StudyTime="101500", SeriesNumber=1),
        _entry("P1", "1", "1.1", "1.1.2", Modality="CT", PatientName="Doe^Jane", StudyDate="20250101", StudyTime="101500", SeriesNumber=1),
        _entry("P1", "1", "1.2", "1.2.1", Modality="SR", PatientName="Doe^Jane", StudyDate="20250101", StudyTime="101500", SeriesNumber=2),
        _entry("P2", "2", "2.1", "2.1.1", Modality="MR", PatientName="Roe^Joe", StudyDate="20260228", StudyTime="2359", SeriesNumber=1),
    ]
)


def _studies(**keys: object) -> list[object]:
    return [match["StudyInstanceUID"] for match in CATALOG.find({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", **keys})]


@pytest.mark.parametrize(
    ("key", "wanted", "value", "match"),
    [
        ("PatientID", "", "P1", True),
        ("PatientID", "P1", "P1", True),
        ("PatientID", "p1", "P1", False),
        ("PatientID", "P*", "P1", True),
        ("PatientID", "P?", "P12", False),
        ("PatientID", "P.", "P1", False),
        ("PatientName", "doe*", "Doe^Jane", True),
        ("PatientName", "Doe^Jane^^", "Doe^Jane", True),
        ("StudyInstanceUID", ["1", "2"], "2", True),
        ("StudyInstanceUID", "*", "2", False),
        ("StudyDate", "20250101-20251231", "20250601", True),
        ("StudyDate", "20250101-", "20241231", False),
        ("StudyDate", "-20250101", "20250101", True),
        ("StudyDate", "20250101", "2025.01.01", True),
        ("StudyTime", "10-11", "105959.5", True),
        ("StudyTime", "1000-1030", "103059", True),
        ("StudyTime", "1000-1030", "1031", False),
        ("StudyTime", "10", "100000.0", True),
        ("SeriesNumber", "01", 1, True),
        ("SeriesNumber", "2", 1, False),
        ("ModalitiesInStudy", "CT", ["CT", "SR"], True),
        ("ModalitiesInStudy", "MR", ["CT", "SR"], False),
        ("PatientID", "P1", "", False),
        ("ReferencedStudySequence", ({"ReferencedSOPInstanceUID": "1"},), "", True),
    ],
)
def test_matching(key: str, wanted: object, value: object, match: bool) -> None:
    assert matches(key, wanted, value) is match


def test_find_at_each_level() -> None:
    assert _studies() == ["1", "2"]
    assert _studies(PatientID="P2") == ["2"]
    assert _studies(ModalitiesInStudy="SR") == ["1"]
    assert _studies(StudyDate="20260101-") == ["2"]
    patients = list(CATALOG.find({"QueryRetrieveLevel": "PATIENT", "PatientID": "", "NumberOfPatientRelatedStudies": ""}))
    assert [(match["PatientID"], match["NumberOfPatientRelatedStudies"]) for match in patients] == [("P1", 1), ("P2", 1)]
    series = list(CATALOG.find({"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1", "SeriesInstanceUID": "", "NumberOfSeriesRelatedInstances": ""}))
    assert [(match["SeriesInstanceUID"], match["NumberOfSeriesRelatedInstances"]) for match in series] == [("1.1", 2), ("1.2", 1)]
    images = list(CATALOG.find({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": ["1.1.2", "2.1.1"]}))
    assert [match["SOPInstanceUID"] for match in images] == ["1.1.2", "2.1.1"]


def test_a_study_shows_what_its_instances_have_alike() -> None:
    (match,) = CATALOG.find(
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1", "Modality": "", "PatientName": "", "ModalitiesInStudy": "", "SOPInstanceUID": ""}
    )
    assert match == {
        "QueryRetrieveLevel": "STUDY",
        "StudyInstanceUID": "1",
        "Modality": "",
        "PatientName": "Doe^Jane",
        "ModalitiesInStudy": ["CT", "SR"],
    }


@given(st.dictionaries(st.sampled_from(["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]), st.sampled_from(["", [], [""], " ", None])))
def test_empty_unique_keys_reach_nothing(keys: dict[str, object]) -> None:
    assert CATALOG.select({"QueryRetrieveLevel": "STUDY", **keys}) == []


def test_select() -> None:
    assert [entry.uid for entry in CATALOG.select({"StudyInstanceUID": "1", "SeriesInstanceUID": ["1.2", "2.1"]})] == ["1.2.1"]
    assert [entry.uid for entry in CATALOG.select({"PatientID": "P2"})] == ["2.1.1"]


def test_an_instance_comes_in() -> None:
    catalog = Catalog()
    dataset = dcmread(FOLDER / "CT_small.dcm")
    entry = entry_of(dataset, "1.2.840.10008.1.2.1")
    assert entry is not None
    assert "PixelData" not in entry.values
    assert repr(entry) == "Entry()"
    catalog.add(entry)
    catalog.add(entry)
    assert len(catalog) == 1
    assert dataset.SOPInstanceUID in catalog
    del dataset.SeriesInstanceUID
    assert entry_of(dataset, "1.2.840.10008.1.2.1") is None
    assert entry_of(Dataset(), "1.2.840.10008.1.2.1") is None
