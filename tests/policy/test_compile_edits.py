"""Rewrites: edits of what may be written, and of nothing else."""

from __future__ import annotations

import pytest

from hirules.model.path import Name
from hirules.policy.ast import Duration, Edit, ListOperand, PathOperand, Rewrite, Today, Value
from tests.policy.loading import codes, compiled, marked, only, rule

WHEN = "when: {subject.user: x}"
HEAD = "lists: {nodes: [WS_1, ws_2], shown: [PrinterName, PrinterStatus]}\n"


def edits(text: str, on: str = "c-move") -> tuple[Edit, ...]:
    found = compiled(WHEN, on=on, effect=f"rewrite: {text}", head=HEAD).effect
    assert isinstance(found, Rewrite)
    return found.edits


def argument(text: str, on: str = "c-move") -> object:
    (edit,) = edits(f"[{text}]", on)
    return edit.argument


def test_edits_carry_canonical_values() -> None:
    assert argument("set: {request.MoveDestination: pacs}") == Value("PACS")
    assert argument("set: {request.Priority: '2'}") == Value(2)
    assert argument("default: {request.Identifier.StudyDate: {today: -7d}}", "c-find") == Today(Duration(-7, "d"))
    assert argument("set: {request.Identifier.StudyInstanceUID: [1.2, 1.3]}") == (Value("1.2"), Value("1.3"))
    assert argument("remove: request.Identifier.PatientName", "c-find") is None
    assert argument("map: {request.MoveDestination: {old: new, $$a: b}}") == {"OLD": "NEW", "$A": "B"}
    assert argument(r"replace: {request.MoveDestination: {regex: 'OLD_(.*)', with: 'NEW_\1'}}") == ("OLD_(.*)", r"NEW_\1")
    assert argument("drop: {request.AttributeIdentifierList: [PrinterName, $shown]}", "n-get") == (
        Value("PrinterName"),
        ListOperand("shown", ("PrinterName", "PrinterStatus"), frozenset({"PrinterName", "PrinterStatus"})),
    )
    assert isinstance(argument("set: {request.MoveDestination: {path: subject.ae_title}}"), PathOperand)


def test_keep_only_names_elements_of_a_data_set_or_members_of_a_list() -> None:
    assert argument("keep_only: {request.Identifier: [PatientID, '(0020,000D)']}", "c-find") == ((Name("PatientID"),), (Name("StudyInstanceUID"),))
    assert argument("keep_only: {request.AttributeIdentifierList: [PrinterName]}", "n-get") == ("PrinterName",)
    assert argument("keep_only: {request.AttributeIdentifierList: [$shown]}", "n-get") == ("PrinterName", "PrinterStatus")
    assert argument("keep_only: {instance: [Modality]}", "release") == ((Name("Modality"),),)


def test_one_entry_may_edit_several_places() -> None:
    found = edits("[set: {request.Priority: 1, request.MoveDestination: A}, remove: [request.Identifier.PatientName, request.Identifier.PatientID]]")
    assert [(edit.edit, edit.path.text) for edit in found] == [
        ("set", "request.Priority"), ("set", "request.MoveDestination"),
        ("remove", "request.Identifier.PatientName"), ("remove", "request.Identifier.PatientID"),
    ]  # fmt: skip
    assert str(found[1].position) == "p.yaml:8:42"


@pytest.mark.parametrize(
    ("on", "edit", "code", "at"),
    [
        ("c-move", "set: {request.MessageID: 1}", "not-writable", "request.MessageID"),
        ("c-move", "set: {subject.ae_title: A}", "not-writable", "subject.ae_title"),
        ("c-move", "set: {resource.PatientID: A}", "not-writable", "resource.PatientID"),
        ("c-move", "set: {original.request.Priority: 1}", "not-writable", "original.request.Priority"),
        ("release", "set: {instance.SOPInstanceUID: 1.2}", "not-writable", "instance.SOPInstanceUID"),
        ("update-image-set-metadata", "set: {request.latestVersionId: 1}", "not-writable", "request.latestVersionId"),
        ("c-move", "set: {request.Priorty: 1}", "unknown-attribute", "request.Priorty"),
        ("c-find", "set: {request.MoveDestination: A}", "attribute-of-action", "request.MoveDestination"),
        ("c-move", "sett: {request.Priority: 1}", "unknown-edit", "sett"),
        ("c-move", "{set: {request.Priority: 1}, remove: request.Priority}", "argument", "{"),
        ("c-move", "set: {}", "empty", "{}"),
        ("c-move", "set: request.Priority", "not-a-mapping", "request.Priority"),
        ("c-move", "set: {request.Priority: high}", "literal", "high"),
        ("c-move", "set: {request.Priority: [1, 2]}", "argument", "["),
        ("c-move", "set: {request.MoveDestination: $nodes}", "argument", "$nodes"),
        ("c-move", "add: {request.MoveDestination: A}", "edit-type", "request.MoveDestination"),
        ("c-move", "drop: {request.Priority: 1}", "edit-type", "request.Priority"),
        ("c-move", "keep_only: {request.Priority: [1]}", "edit-type", "request.Priority"),
        ("c-move", "replace: {request.Priority: {regex: a, with: b}}", "edit-type", "request.Priority"),
        ("release", "set: {instance.PixelData: x}", "edit-type", "instance.PixelData"),
        ("release", "set: {instance.ReferencedSeriesSequence: x}", "edit-type", "instance.ReferencedSeriesSequence"),
        ("c-move", "replace: {request.MoveDestination: {regex: '(a', with: b}}", "regex", "'(a'"),
        ("c-move", r"replace: {request.MoveDestination: {regex: 'a', with: '\1'}}", "argument", r"'\1'"),
        ("c-move", "replace: {request.MoveDestination: {regex: a}}", "missing-key", "{"),
        ("c-move", "map: {request.MoveDestination: {}}", "empty", "{}"),
        ("c-move", "map: {request.MoveDestination: {a: b, A: c}}", "duplicate-key", "A"),
        ("c-move", "map: {request.Priority: {high: 1}}", "literal", "high"),
        ("c-find", "keep_only: {request.Identifier: [PatientIDD]}", "unknown-attribute", "PatientIDD"),
        ("c-find", "keep_only: {request.Identifier: PatientID}", "not-a-list", "PatientID"),
        ("n-get", "keep_only: {request.AttributeIdentifierList: [Nothing]}", "literal", "Nothing"),
        ("n-get", "drop: {request.AttributeIdentifierList: [Nothing]}", "literal", "Nothing"),
        ("n-get", "add: {request.AttributeIdentifierList: []}", "empty", "[]"),
        ("c-move", "remove: []", "empty", "[]"),
    ],
)
def test_an_edit_that_cannot_be_made(on: str, edit: str, code: str, at: str) -> None:
    found = only(rule(WHEN, on=on, effect=f"rewrite: [{edit}]", head=HEAD))
    assert (found.code, marked(found)) == (code, at)


def test_only_harmless_edits_may_be_skipped() -> None:
    skip = f"{WHEN}\non_unknown: skip"
    found = compiled(skip, effect="rewrite: [{set: {request.Priority: 1}}]").effect
    assert isinstance(found, Rewrite)
    assert found.skip_unknown
    wrong = only(rule(skip, effect="rewrite: [{set: {request.Priority: 1, request.MoveDestination: A}}]"))
    assert (wrong.code, marked(wrong)) == ("not-harmless", "request.MoveDestination")
    assert codes(rule(skip)) == ["unknown-key"]


def test_a_rewrite_is_a_list_of_edits() -> None:
    assert codes(rule(WHEN, effect="rewrite: []")) == ["empty"]
    assert codes(rule(WHEN, effect="rewrite: {set: {request.Priority: 1}}")) == ["not-a-list"]
