from __future__ import annotations

from typing import Any

import pytest

from hirules.model.path import parse_elements
from hirules.policy.prune import pruned

DATA_SET: dict[str, Any] = {
    "PatientID": "P1",
    "(0009,0010)": "X",
    "RequestAttributesSequence": [{"StudyID": "1", "RequestedProcedureID": "R"}, {"RequestedProcedureID": "S", "(0011,0010)": "Y"}],
    "ProcedureCodeSequence": [],
}


@pytest.mark.parametrize(
    ("lists", "kept", "removed"),
    [
        ([["PatientID"]], {"PatientID": "P1"}, [("(0009,0010)",), ("RequestAttributesSequence",), ("ProcedureCodeSequence",)]),
        ([["RequestAttributesSequence", "ProcedureCodeSequence"]],
         {name: DATA_SET[name] for name in ("RequestAttributesSequence", "ProcedureCodeSequence")}, [("PatientID",), ("(0009,0010)",)]),
        ([["RequestAttributesSequence[*].StudyID"]], {"RequestAttributesSequence": [{"StudyID": "1"}, {}]},
         [("PatientID",), ("(0009,0010)",), ("RequestAttributesSequence", 0, "RequestedProcedureID"), ("RequestAttributesSequence", 1, "RequestedProcedureID"),
          ("RequestAttributesSequence", 1, "(0011,0010)"), ("ProcedureCodeSequence",)]),
        ([["RequestAttributesSequence[1]"]], {"RequestAttributesSequence": [DATA_SET["RequestAttributesSequence"][1]]},
         [("PatientID",), ("(0009,0010)",), ("RequestAttributesSequence", 0), ("ProcedureCodeSequence",)]),
        ([["**.StudyID"]], {"RequestAttributesSequence": [{"StudyID": "1"}, {}]}, None),
        ([["private"]], {"(0009,0010)": "X", "RequestAttributesSequence": [{}, {"(0011,0010)": "Y"}]}, None),
        ([["PatientID", "RequestAttributesSequence"], ["PatientID"]], {"PatientID": "P1"}, None),
        ([["RequestAttributesSequence"], ["RequestAttributesSequence[*].StudyID", "PatientID"]], {"RequestAttributesSequence": [{"StudyID": "1"}, {}]}, None),
        ([["RequestAttributesSequence[*].StudyID"], ["RequestAttributesSequence[*].RequestedProcedureID"]], {}, None),
    ],
)  # fmt: skip
def test_only_what_every_list_names_is_kept(lists: list[list[str]], kept: object, removed: list[Any] | None) -> None:
    for order in (lists, lists[::-1]):
        result, gone = pruned(DATA_SET, [[parse_elements(name) for name in names] for names in order])
        assert result == kept
        assert removed is None or list(gone) == removed


def test_a_sequence_of_which_nothing_is_left_goes_as_a_whole() -> None:
    """An empty sequence, or an empty item, would ask for all of it (PS3.4 §C.2.2.2.6)."""
    result, gone = pruned({"RequestAttributesSequence": [{"StudyID": "1"}]}, [[parse_elements("RequestAttributesSequence[*].RequestedProcedureID")]])
    assert (result, gone) == ({}, (("RequestAttributesSequence",),))
