"""Data sets as mappings, lazily, and back; with every DICOM file of the pydicom wheel."""

from __future__ import annotations

import warnings
from datetime import date, time
from decimal import Decimal
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from hirules.model.dataset import DatasetView, dataset_of, element_name, keyword_of, tag_of
from hirules.model.path import parse_path
from hirules.model.reading import Unknown

FILES = sorted(path for path in (Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm") if path.read_bytes()[128:132] == b"DICM")


def _dataset() -> Dataset:
    dataset = Dataset()
    dataset.PatientID = "P1"
    dataset.PatientName = "Doe^Jane"
    dataset.StudyDate = "20250101"
    dataset.ModalitiesInStudy = ["CT", "SR"]
    dataset.AccessionNumber = None
    dataset.SeriesNumber = 7
    dataset.SliceThickness = "1.50"
    dataset.Rows = 512
    dataset.SelectorAttribute = 0x00100020
    dataset.add_new(0x00091001, "LO", "without creator")
    dataset.private_block(0x0011, "ACME 1.0", create=True).add_new(0x02, "LO", "secret")
    dataset.add_new(0x60020010, "US", 4)
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    dataset.ReferencedImageSequence = [item]
    return dataset


def test_keys_and_values() -> None:
    view = DatasetView(_dataset())
    assert dict(view) == {
        "StudyDate": "20250101",
        "AccessionNumber": "",
        "ModalitiesInStudy": ["CT", "SR"],
        "ReferencedImageSequence": (DatasetView(view.dataset.ReferencedImageSequence[0]),),
        "(0009,1001)": "without creator",
        "PatientName": "Doe^Jane",
        "PatientID": "P1",
        "(0011,0010)": "ACME 1.0",
        '(0011,"ACME 1.0",02)': "secret",
        "SliceThickness": "1.50",
        "SeriesNumber": 7,
        "Rows": 512,
        "SelectorAttribute": "PatientID",
        "(6002,0010)": 4,
    }
    assert len(view) == len(list(view)) == 14
    assert view["ReferencedImageSequence"][0]["ReferencedSOPInstanceUID"] == "1.2.3"  # type: ignore[index]


@pytest.mark.parametrize("key", ["(0010,0020)", "PatientSex", "patientid", "", '(0011,"ACME 2.0",02)', "(0011,1002)", "(6000,0010)"])
def test_what_is_not_there(key: str) -> None:
    view = DatasetView(_dataset())
    assert key not in view
    with pytest.raises(KeyError):
        view[key]


def test_the_names_are_those_of_paths() -> None:
    dataset = _dataset()
    for name in DatasetView(dataset):
        if not name.startswith("(6002"):
            assert parse_path(f"instance.{name}").text == f"instance.{name}"
        tag = tag_of(name, dataset)
        assert tag is not None
        assert tag in dataset


def test_a_repeating_group_has_no_keyword_of_its_own() -> None:
    assert keyword_of(0x60020010) == keyword_of(0x60000010) == ""
    assert keyword_of(0x00100020) == "PatientID"


def test_a_repr_shows_no_value() -> None:
    assert "P1" not in repr(DatasetView(_dataset()))
    assert "Doe" not in str(DatasetView(_dataset()))


@pytest.mark.parametrize(("vr", "value"), [("US", b"\0"), ("PN", b"\xff\xff"), ("XX", b"ab"), ("FD", b"1234")], ids=["US", "PN", "VR", "FD"])
def test_what_cannot_be_decoded_is_unknown(vr: str, value: bytes) -> None:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    tag = Tag(0x00091001)
    dataset._dict[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value_read = DatasetView(dataset)["(0009,1001)"]
    assert isinstance(value_read, Unknown)


def test_elements_are_decoded_when_they_are_read() -> None:
    dataset = dcmread(FILES[0].parent / "CT_small.dcm")
    view = DatasetView(dataset)
    assert "PatientName" in view
    assert len(list(view)) == len(dataset)
    assert isinstance(dataset.get_item("PatientName"), RawDataElement)
    view["PatientName"]
    assert not isinstance(dataset.get_item("PatientName"), RawDataElement)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_can_be_viewed(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(path)
        _walk(DatasetView(dataset))


def _walk(view: DatasetView) -> None:
    names = list(view)
    assert len(set(names)) == len(names)
    for name in names:
        assert name in view
        value = view[name]
        assert isinstance(value, str | int | float | bytes | list | tuple | Unknown), name
        for item in value if isinstance(value, tuple) else ():
            _walk(item)


def test_back_to_a_data_set() -> None:
    fields = {**DatasetView(_dataset())}
    fields["ReferencedImageSequence"] = [{"ReferencedSOPInstanceUID": "1.2.3"}]
    del fields["(0009,1001)"]
    again = dataset_of({**fields, "PatientSex": None})
    assert {**DatasetView(again)}.keys() == fields.keys()
    assert all(DatasetView(again)[name] == value for name, value in fields.items() if name != "ReferencedImageSequence")
    assert again.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3"


def test_canonical_scalars_are_written_as_dicom() -> None:
    dataset = dataset_of(
        {
            "StudyDate": date(2025, 1, 2),
            "StudyTime": time(20, 0),
            "SliceThickness": Decimal("1.5"),
            "SeriesNumber": 3,
            "SelectorAttribute": "PatientID",
            "SmallestImagePixelValue": -1,
            "PatientComments": "a\\b",
        }
    )
    assert dataset.StudyDate == "20250102"
    assert dataset.StudyTime == "200000"
    assert dataset["SliceThickness"].value == "1.5"
    assert dataset["SeriesNumber"].value == "3"
    assert dataset.SelectorAttribute == Tag("PatientID")
    assert dataset["SmallestImagePixelValue"].VR == "SS"
    assert dataset.PatientComments == "a\\b"


@pytest.mark.parametrize(
    "fields",
    [
        {"NoSuchKeyword": "x"},
        {"PatientID": Unknown("a reason")},
        {"PatientID": "A\\B"},
        {"PatientID": True},
        {"PatientID": {"a": 1}},
        {"Rows": "many"},
        {"SelectorAttribute": "NoSuchKeyword"},
        {"ReferencedImageSequence": "x"},
        {"ReferencedImageSequence": ["x"]},
        {"PixelData": 7},
    ],
)
def test_what_no_element_can_hold(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^(`|\()") as raised:
        dataset_of(fields)
    assert not any(str(value) in str(raised.value) for value in fields.values() if isinstance(value, str) and len(value) > 1)


_TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="\\ "), min_size=1, max_size=12)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "PatientID": _TEXT | st.just(""),
            "ModalitiesInStudy": st.lists(_TEXT, min_size=2, max_size=3),
            "StudyInstanceUID": st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}", fullmatch=True),
            "Rows": st.integers(0, 65535),
            "SeriesNumber": st.integers(-(2**31), 2**31 - 1),
            '(0011,"ACME 1.0",02)': _TEXT,
        },
    )
)
def test_the_inverse(fields: dict[str, object]) -> None:
    view = DatasetView(dataset_of(fields))
    assert {name: value for name, value in view.items() if name != "(0011,0010)"} == fields
    assert [element_name(tag, view.dataset) for tag in sorted(view.dataset.keys())] == list(view)
