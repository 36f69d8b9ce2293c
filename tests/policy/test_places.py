from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
from pydicom.dataset import Dataset

from hirules.model.dataset import DatasetView, dataset_of
from hirules.model.overlay import Overlay
from hirules.model.reading import ByKeyword
from hirules.policy.edits import EditFailed
from hirules.policy.places import ABSENT_VALUE, Place, written

FIELDS = {
    "PatientID": "P",
    "PatientName": "A^B",
    '(0009,"ACME",01)': "x",
    "ReferencedStudySequence": [{"StudyInstanceUID": "1.1", "StudyDate": "20260101"}, {"StudyInstanceUID": "1.2"}],
}


class Asked(ByKeyword):
    """Remembers what is read of it."""

    def __init__(self, dataset: Dataset) -> None:
        self.view = DatasetView(dataset)
        self.read: list[str] = []

    def __getitem__(self, key: str) -> object:
        self.read.append(key)
        return self.view[key]

    def __contains__(self, key: object) -> bool:
        return key in self.view

    def __iter__(self) -> Iterator[str]:
        return iter(self.view)

    def __len__(self) -> int:
        return len(self.view)


def plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("place", "value", "read"),
    [
        (("PatientName",), "X", set()),
        (("PatientName",), ABSENT_VALUE, set()),
        (("StationName",), "X", set()),
        (("StationName",), ABSENT_VALUE, set()),
        (('(0009,"ACME",01)',), "y", set()),
        (('(0009,"ACME",01)',), ABSENT_VALUE, set()),
        (("ReferencedStudySequence", 0, "StudyDate"), "20270101", {"ReferencedStudySequence"}),
        (("ReferencedStudySequence", 0, "StudyDate"), ABSENT_VALUE, {"ReferencedStudySequence"}),
        (("ReferencedStudySequence", 1, "StudyDate"), "20270101", {"ReferencedStudySequence"}),
        (("ReferencedStudySequence", 1), ABSENT_VALUE, {"ReferencedStudySequence"}),
        (("ReferencedStudySequence",), [], set()),
    ],
    ids=str,
)
def test_writing_decodes_nothing_else(place: Place, value: object, read: set[str]) -> None:
    lazy = Asked(dataset_of(FIELDS))
    after = written(lazy, place, value)
    assert isinstance(after, Overlay)
    assert set(lazy.read) <= read
    assert plain(after) == plain(written(dict(DatasetView(dataset_of(FIELDS))), place, value))
    assert plain(lazy) == plain(DatasetView(dataset_of(FIELDS)))


def test_what_a_number_names_and_is_not_there_may_have_another_name() -> None:
    """A rule must find it under the name that it has then, so nothing is taken for granted of the keys."""
    view = DatasetView(dataset_of({"PatientID": "P"}))
    for key in ('(0009,"ACME",01)', "(0009,1001)"):
        assert written(view, (key,), "x") == {"PatientID": "P", key: "x"}
        assert not isinstance(written(view, (key,), "x"), ByKeyword)


def test_other_fields_are_copied() -> None:
    fields = {"a": 1, "b": {"c": [1, 2]}}
    assert written(fields, ("b", "c", 0), ABSENT_VALUE) == {"a": 1, "b": {"c": [2]}}
    assert type(written(fields, ("a",), 2)) is dict
    assert fields == {"a": 1, "b": {"c": [1, 2]}}
    with pytest.raises(EditFailed):
        written(DatasetView(dataset_of(FIELDS)), ("PatientID", "PatientName"), "X")
    with pytest.raises(EditFailed):
        written(DatasetView(dataset_of(FIELDS)), ("ReferencedStudySequence", 7), "X")
