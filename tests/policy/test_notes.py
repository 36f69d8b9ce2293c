from __future__ import annotations

from typing import Any

from hirules.model.decision import Note
from hirules.policy.evaluate import Verdict
from hirules.policy.notes import sampled
from tests.policy.deciding import decide, policy_set

ALLOW = {"id": "allow", "on": "c-move", "allow": {}}


def noted(audit: Any, when: Any = None, **parts: Any) -> tuple[Note, ...]:
    rule = {"id": "n", "on": "c-move", "audit": audit, **({"when": when} if when else {})}
    return decide(policy_set(ALLOW, rule), **parts).notes


def test_a_value_that_differs_by_entity_is_noted_of_each_that_matched() -> None:
    (note,) = noted(
        {"include": ["resource.PatientID", "resource.ModalitiesInStudy"]},
        {"resource.StudyID": "S"},
        resource=[
            {"PatientID": "P1", "StudyID": "S", "ModalitiesInStudy": ["CT", "MR"]},
            {"PatientID": "P2", "StudyID": "T"},
            {"PatientID": "P3", "StudyID": "S"},
        ],
    )
    assert note.include == {"resource.PatientID": ["P1", "P3"], "resource.ModalitiesInStudy": [["CT", "MR"], "?"]}


def test_dates_are_noted_as_dicom_writes_them() -> None:
    (note,) = noted({"include": ["resource.StudyDate"]}, resource=[{"StudyDate": "2026-03-01"}])
    assert note.include == {"resource.StudyDate": "20260301"}


def test_notes_are_sorted_and_plugins_add_theirs() -> None:
    rules = [{"id": name, "on": "c-move", "audit": {"note": name}} for name in ("z", "b")]
    decision = decide(policy_set(ALLOW, *rules), verdicts=[Verdict(effect="audit", source="plugin:n", note="from a plugin", severity="alert")])
    assert [(note.source, note.note) for note in decision.notes] == [("p/b", "b"), ("p/z", "z"), ("plugin:n", "from a plugin")]


def test_a_larger_sample_takes_all_of_a_smaller_one() -> None:
    ids = [f"id-{number}" for number in range(500)]
    small, large = ({name for name in ids if sampled(name, share)} for share in (0.1, 0.5))
    assert small < large
