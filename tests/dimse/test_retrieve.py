"""Which retrieves are valid (PS3.4 §C.4.2.1.4), for each information model, and what is taken out of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from hirules.dimse.identifier import IdentifierError
from hirules.dimse.retrieve import QUERIES, RETRIEVES, UNIQUE_KEYS, check_query, check_retrieve
from hirules.model.dataset import DatasetView, dataset_of

PATIENT_GET, STUDY_GET, PATIENT_STUDY_GET = (f"1.2.840.10008.5.1.4.1.2.{model}.3" for model in (1, 2, 3))
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
COMPOSITE_GET, NO_BULK_GET = "1.2.840.10008.5.1.4.1.2.4.3", "1.2.840.10008.5.1.4.1.2.5.3"
HANGING_GET, HANGING_MOVE = "1.2.840.10008.5.1.4.38.4", "1.2.840.10008.5.1.4.38.3"


def keys(level: str | None = None, **values: object) -> Dataset:
    return dataset_of({"QueryRetrieveLevel": level, **values})


def refused(sop_class: str, dataset: Dataset, action: str = "c-get", *, strict: bool = False) -> tuple[int, tuple[str, ...]]:
    with pytest.raises(IdentifierError) as raised:
        check_retrieve(action, sop_class, dataset, strict=strict)
    names = {tag_for_keyword(name): name for name in (*UNIQUE_KEYS.values(), "QueryRetrieveLevel", "PatientName", "StudyDate", "SimpleFrameList", "TimeRange")}
    assert len(str(raised.value)) <= 64
    return raised.value.status, tuple(names[tag] for tag in raised.value.tags)


@pytest.mark.parametrize(
    ("sop_class", "dataset"),
    [
        (PATIENT_GET, keys("PATIENT", PatientID="P1")),
        (PATIENT_GET, keys("STUDY", PatientID="P1", StudyInstanceUID=["1.2", "1.3"])),
        (PATIENT_GET, keys("IMAGE", PatientID="P1", StudyInstanceUID="1.2", SeriesInstanceUID="1.3", SOPInstanceUID="1.4")),
        (STUDY_GET, keys("STUDY", StudyInstanceUID="1.2")),
        (STUDY_GET, keys("SERIES", StudyInstanceUID="1.2", SeriesInstanceUID=["1.3", "1.4"])),
        (STUDY_GET, keys("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.3", SOPInstanceUID=["1.4", "1.5"])),
        (PATIENT_STUDY_GET, keys("STUDY", PatientID="P1", StudyInstanceUID="1.2")),
        (COMPOSITE_GET, keys("IMAGE", SOPInstanceUID="1.4")),
        (COMPOSITE_GET, keys("FRAME", SOPInstanceUID="1.4", SimpleFrameList=[1, 2])),
        (NO_BULK_GET, keys("IMAGE", SOPInstanceUID=["1.4", "1.5"])),
        (HANGING_GET, keys(SOPInstanceUID="1.4")),
    ],
)
def test_valid(sop_class: str, dataset: Dataset) -> None:
    checked = check_retrieve("c-get", sop_class, dataset, strict=True)
    assert checked.dataset is dataset
    assert checked.removed == ()


@pytest.mark.parametrize(
    ("sop_class", "dataset", "offending"),
    [
        (STUDY_GET, keys(None, StudyInstanceUID="1.2"), "QueryRetrieveLevel"),
        (STUDY_GET, keys("", StudyInstanceUID="1.2"), "QueryRetrieveLevel"),
        (STUDY_GET, keys("PATIENT", PatientID="P1"), "QueryRetrieveLevel"),
        (STUDY_GET, keys("study", StudyInstanceUID="1.2"), "QueryRetrieveLevel"),
        (PATIENT_STUDY_GET, keys("SERIES", PatientID="P1", StudyInstanceUID="1.2", SeriesInstanceUID="1.3"), "QueryRetrieveLevel"),
        (STUDY_GET, keys("STUDY"), "StudyInstanceUID"),
        (STUDY_GET, keys("STUDY", StudyInstanceUID=""), "StudyInstanceUID"),
        (STUDY_GET, keys("STUDY", StudyInstanceUID="*"), "StudyInstanceUID"),
        (STUDY_GET, keys("STUDY", StudyInstanceUID="1.2*"), "StudyInstanceUID"),
        (STUDY_GET, keys("STUDY", StudyInstanceUID=["1.2", ""]), "StudyInstanceUID"),
        (STUDY_GET, keys("STUDY", PatientID="P1"), "StudyInstanceUID"),
        (STUDY_GET, keys("SERIES", SeriesInstanceUID="1.3"), "StudyInstanceUID"),
        (STUDY_GET, keys("SERIES", StudyInstanceUID=["1.2", "1.3"], SeriesInstanceUID="1.3"), "StudyInstanceUID"),
        (STUDY_GET, keys("SERIES", StudyInstanceUID="1.2"), "SeriesInstanceUID"),
        (STUDY_GET, keys("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.3"), "SOPInstanceUID"),
        (PATIENT_GET, keys("PATIENT", PatientID=""), "PatientID"),
        (PATIENT_GET, keys("PATIENT", PatientID="P*"), "PatientID"),
        (PATIENT_GET, keys("PATIENT", PatientID="P?"), "PatientID"),
        (PATIENT_GET, keys("PATIENT", PatientID="  "), "PatientID"),
        (PATIENT_GET, keys("STUDY", StudyInstanceUID="1.2"), "PatientID"),
        (COMPOSITE_GET, keys("STUDY", StudyInstanceUID="1.2"), "QueryRetrieveLevel"),
        (COMPOSITE_GET, keys("FRAME", SOPInstanceUID=["1.4", "1.5"], SimpleFrameList=[1]), "SOPInstanceUID"),
        (NO_BULK_GET, keys("IMAGE"), "SOPInstanceUID"),
        (HANGING_GET, keys(SOPInstanceUID=""), "SOPInstanceUID"),
    ],
)
def test_invalid(sop_class: str, dataset: Dataset, offending: str) -> None:
    assert refused(sop_class, dataset) == (0xA900, (offending,))


def test_frames_are_named_in_one_way() -> None:
    assert refused(COMPOSITE_GET, keys("FRAME", SOPInstanceUID="1.4")) == (0xA900, ())
    both = keys("FRAME", SOPInstanceUID="1.4", SimpleFrameList=[1], TimeRange=[0.0, 1.0])
    assert refused(COMPOSITE_GET, both) == (0xA900, ("SimpleFrameList", "TimeRange"))


def test_other_keys_are_taken_out_or_refused() -> None:
    dataset = keys("STUDY", StudyInstanceUID="1.2", PatientID="P1", StudyDate="20250101", PatientName="", SpecificCharacterSet="ISO_IR 100")
    dataset.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "x")
    checked = check_retrieve("c-get", STUDY_GET, dataset)
    assert dict(DatasetView(checked.dataset)) == {"SpecificCharacterSet": "ISO_IR 100", "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}
    assert set(checked.removed) == {"StudyDate", "PatientName", "PatientID", "(0009,0010)", '(0009,"ACME",01)'}
    assert "P1" not in repr(checked)
    assert len(dataset) == 8, "the given one stays as it is"
    plain = keys("STUDY", StudyInstanceUID="1.2", PatientID="P1", StudyDate="20250101")
    assert refused(STUDY_GET, plain, strict=True) == (0xA900, ("StudyDate", "PatientID"))


def test_a_lower_unique_key_is_taken_out() -> None:
    checked = check_retrieve("c-get", STUDY_GET, keys("STUDY", StudyInstanceUID="1.2", SeriesInstanceUID="1.3"))
    assert checked.removed == ("SeriesInstanceUID",)


@pytest.mark.parametrize(
    ("action", "sop_class"),
    [("c-get", "1.2.840.10008.5.1.4.31"), ("c-get", "1.2.3.4"), ("c-get", STUDY_MOVE), ("c-move", STUDY_GET), ("c-move", NO_BULK_GET), ("c-get", HANGING_MOVE)],
)
def test_other_models_are_refused(action: str, sop_class: str) -> None:
    assert refused(sop_class, keys("STUDY", StudyInstanceUID="1.2"), action) == (0x0122, ())


def test_every_retrieve_of_the_registry_has_its_model() -> None:
    registry = {"c-move": "- MOVE", "c-get": "- GET"}
    for action, suffix in registry.items():
        names = {uid: entry[0] for uid, entry in UID_dictionary.items() if entry[0].endswith(suffix) and "Worklist" not in entry[0]}
        assert set(RETRIEVES[action]) == set(names)


_NAMES = st.sampled_from([*UNIQUE_KEYS.values(), "PatientName"])
_VALUES = st.sampled_from(["", "*", "1.2", "1.?", ["1.2", "1.3"], ["1.2", ""]])


@given(st.dictionaries(_NAMES, _VALUES), st.data())
def test_a_valid_retrieve_always_names_what_it_reaches(values: dict[str, object], data: st.DataObject) -> None:
    action = data.draw(st.sampled_from(sorted(RETRIEVES)))
    sop_class = data.draw(st.sampled_from(sorted(RETRIEVES[action])))
    level = data.draw(st.sampled_from(["PATIENT", "STUDY", "SERIES", "IMAGE", None]))
    if isinstance(values.get("PatientID"), list):
        del values["PatientID"]
    try:
        checked = check_retrieve(action, sop_class, keys(level, **values))
    except IdentifierError:
        return
    view = DatasetView(checked.dataset)
    model = RETRIEVES[action][sop_class]
    own = UNIQUE_KEYS[level] if model.levels and level else "SOPInstanceUID"
    assert view[own] in ("1.2", ["1.2", "1.3"])
    assert "PatientName" not in view


@pytest.mark.parametrize(
    ("sop_class", "dataset", "good"),
    [
        ("1.2.840.10008.5.1.4.1.2.1.1", keys("PATIENT", PatientID="*"), True),
        ("1.2.840.10008.5.1.4.1.2.2.1", keys("PATIENT", PatientID="P1"), False),
        ("1.2.840.10008.5.1.4.1.2.2.1", keys("STUDY", PatientID="P1"), True),
        ("1.2.840.10008.5.1.4.1.2.2.1", keys("IMAGE", SOPInstanceUID=""), True),
        ("1.2.840.10008.5.1.4.1.2.2.1", keys(None, StudyInstanceUID=""), False),
        ("1.2.840.10008.5.1.4.1.2.3.1", keys("SERIES", SeriesInstanceUID=""), False),
        ("1.2.840.10008.5.1.4.31", keys(None, PatientName=""), True),
    ],
)
def test_queries(sop_class: str, dataset: Dataset, good: bool) -> None:
    if good:
        check_query(sop_class, dataset)
        return
    with pytest.raises(IdentifierError) as raised:
        check_query(sop_class, dataset)
    assert (raised.value.status, raised.value.tags) == (0xA900, (0x00080052,))


def test_the_query_models_are_those_of_the_roots() -> None:
    assert {UID_dictionary[uid][0].split(" - ")[0] for uid in QUERIES} == {
        "Patient Root Query/Retrieve Information Model",
        "Study Root Query/Retrieve Information Model",
        "Patient/Study Only Query/Retrieve Information Model",
    }
