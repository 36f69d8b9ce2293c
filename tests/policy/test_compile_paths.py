"""Paths: what they name, for which actions, and what is near."""

from __future__ import annotations

import pytest

from hirules.policy import ast
from tests.policy.loading import compiled, marked, only, rule


@pytest.mark.parametrize(
    ("path", "on", "text", "many"),
    [
        ("request.Identifier.(0010,0020)", "c-find", "request.Identifier.PatientID", False),
        ("request.Identifier.StudyInstanceUID", "c-find", "request.Identifier.StudyInstanceUID", True),
        ("instance.(0009,'X',01)", "c-store", 'instance.(0009,"X",01)', None),
        ("instance.ReferencedSeriesSequence[0].SeriesInstanceUID", "c-store", "instance.ReferencedSeriesSequence[0].SeriesInstanceUID", False),
        ("instance.ReferencedSeriesSequence[*].SeriesInstanceUID", "c-store", "instance.ReferencedSeriesSequence[*].SeriesInstanceUID", True),
        ("instance.**.PatientID", "c-store", "instance.**.PatientID", True),
        ("instance.private", "c-store", "instance.private", True),
        ("instance.(60xx,3000)", "c-store", "instance.(60xx,3000)", True),
        ("subject.claims.'urn:x.y'", "c-find", 'subject.claims."urn:x.y"', True),
        ("original.request.MoveDestination", "c-move", "original.request.MoveDestination", False),
        ("resource.StudyDate", "c-move", "resource.StudyDate", False),
        ("resource.Modality", "c-move", "resource.Modality", True),
    ],
)
def test_a_path_names_an_attribute(path: str, on: str, text: str, many: bool | None) -> None:
    found = compiled(f"when:\n  {path.replace(chr(39), chr(34))}: {{exists: true}}", on=on).when
    assert isinstance(found, ast.Test)
    assert found.path.text == text
    assert many is None or found.attribute.many is many


@pytest.mark.parametrize(
    ("path", "on", "code", "at", "hint"),
    [
        ("subject.ae_tilte", "c-move", "unknown-attribute", "subject.ae_tilte", "did you mean `subject.ae_title`?"),
        ("request.movedestination", "c-move", "unknown-attribute", "request.movedestination", "did you mean `request.MoveDestination`?"),
        ("MoveDestination", "c-move", "invalid-path", "MoveDestination", ""),
        ("requst.MoveDestination", "c-move", "invalid-path", "requst.MoveDestination", "did you mean `request`?"),
        ("request.Identifier.PatientIDs", "c-move", "unknown-attribute", "PatientIDs", "did you mean `PatientID`?"),
        ("instance.patientid", "c-store", "unknown-attribute", "patientid", "did you mean `PatientID`?"),
        ("request.updates.Study.PatientID", "update-image-set-metadata", "unknown-attribute", "request.updates.Study.PatientID", ""),
        ("request.Identifier", "c-find", "unknown-attribute", "request.Identifier", ""),
        ("instance", "c-store", "unknown-attribute", "instance", ""),
        ("resource.StudyDate", "[c-find, c-move]", "attribute-of-action", "resource.StudyDate", ""),
        ("instance.Modality", "c-move", "attribute-of-action", "instance.Modality", ""),
        ("instance.Modality[0]", "c-store", "unknown-attribute", "instance.Modality[0]", ""),
        ("subject..user", "c-move", "invalid-path", ".user", ""),
        ("original.resource.PatientID", "c-move", "invalid-path", "resource.PatientID", ""),
    ],
)
def test_a_path_that_names_nothing_here(path: str, on: str, code: str, at: str, hint: str) -> None:
    found = only(rule(f"when:\n  {path}: x", on=on))
    assert (found.code, marked(found), found.hint) == (code, at, hint)


def test_an_attribute_must_be_one_of_every_action_and_the_finding_says_which_lacks_it() -> None:
    found = only(rule("when: {request.MoveDestination: A}", on="[c-move, c-get, n-get]"))
    assert "`c-get`, `n-get`" in found.message
    assert "`c-move`" in found.expected
