from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hirules.model.dataset import DatasetView, dataset_of
from hirules.model.overlay import GONE, Overlay, overlaid, touched

FIELDS = {"PatientID": "P", "PatientName": "A^B", "PatientBirthDate": "19700101", "StudyDate": "20260101"}
KEYS = (*FIELDS, "Modality", "StationName", "no such element")
CHANGES = st.lists(st.tuples(st.sampled_from(KEYS), st.one_of(st.just(GONE), st.sampled_from(["", "X", "Y"]))), max_size=6)


def as_it_came() -> DatasetView:
    return DatasetView(dataset_of(FIELDS))


@given(CHANGES)
def test_an_overlay_is_the_dict_that_it_stands_for(changes: list[tuple[str, object]]) -> None:
    fields: dict[str, object] = dict(as_it_came())
    data_set: DatasetView | Overlay = as_it_came()
    for key, value in changes:
        data_set = overlaid(data_set, key, value)
        if value is GONE:
            fields.pop(key, None)
        else:
            fields[key] = value
        assert data_set == fields
        assert fields == data_set
        assert len(data_set) == len(fields)
        assert sorted(data_set) == sorted(fields)
    for key in KEYS:
        assert (key in data_set) == (key in fields)
        assert data_set.get(key) == fields.get(key)


def test_it_stays_as_it_is() -> None:
    first = overlaid(as_it_came(), "PatientID", "Q")
    second = overlaid(first, "PatientName", GONE)
    assert dict(first) == {**FIELDS, "PatientID": "Q"}
    assert dict(second) == {name: value for name, value in dict(first).items() if name != "PatientName"}
    with pytest.raises(KeyError):
        second["PatientName"]
    assert "Q" not in repr(second)


def test_what_may_be_otherwise() -> None:
    before = as_it_came()
    after = overlaid(overlaid(before, "PatientID", "Q"), "PatientName", GONE)
    assert set(touched(before, after) or ()) == {"PatientID", "PatientName"}
    assert touched(before, before) == ()
    assert touched(as_it_came(), after) is None
    assert touched(before, dict(after)) is None
