"""Values are read from their source text, by the type of their path."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from ipaddress import ip_address

import pytest

from hirules.model.scalars import Partial
from hirules.policy import ast
from hirules.policy.ast import Operands, Value
from tests.policy.loading import codes, compiled, marked, only, rule


def argument(condition: str, on: str = "c-move") -> ast.Argument:
    found = compiled(f"when: {{{condition}}}", on=on).when
    assert isinstance(found, ast.Test)
    return found.checks[0].argument


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ("resource.PatientID: 00123", "00123"),
        ("resource.PatientID: no", "no"),
        ("resource.PatientID: 1.20", "1.20"),
        ("resource.PatientID: 0x10", "0x10"),
        ("resource.PatientID: ' P1 '", "P1"),
        ("resource.PatientName: 'Doe^Jane^^^'", "Doe^Jane"),
        ("subject.ae_title: ' ws_1'", "WS_1"),
        ("request.MessageID: 0x10", 16),
        ("request.MessageID: '7'", 7),
        ("resource.PatientWeight: 70.50", Decimal("70.5")),
        ("resource.StudyDate: 2026-03-02", date(2026, 3, 2)),
        ("resource.StudyDate: 20260302", date(2026, 3, 2)),
        ("resource.StudyDate: 202603", Partial("202603")),
        ("resource.StudyTime: 20:00", time(20)),
        ("resource.StudyTime: 200000", time(20)),
        ("context.now: 2026-03-02T10:00:00Z", datetime(2026, 3, 2, 10, tzinfo=UTC)),
        ("context.purpose_verified: true", True),
        ("subject.address: 10.0.0.1", ip_address("10.0.0.1")),
        ("subject.address: '::ffff:10.0.0.1'", ip_address("10.0.0.1")),
        ("request.AffectedSOPClassUID: CTImageStorage", "1.2.840.10008.5.1.4.1.1.2"),
        ("request.AffectedSOPClassUID: 1.2.3", "1.2.3"),
        ("request.keys: (0010,0010)", "PatientName"),
        ("request.keys: 'ReferencedStudySequence[*].(0010,0020)'", "ReferencedStudySequence[*].PatientID"),
        ("request.action: c-move", "c-move"),
        ("subject.user: $$x", "$x"),
        ("subject.user: $", "$"),
        ("subject.user: 'RES_*'", "RES_*"),
    ],
)
def test_the_type_of_the_path_decides(condition: str, value: object) -> None:
    condition = condition.replace("(0010,0010)", '"(0010,0010)"') if "keys: (" in condition else condition
    assert argument(condition) == Operands((Value(value),))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("condition", "at"),
    [
        ("request.MessageID: 1.5", "1.5"),
        ("request.MessageID: one", "one"),
        ("resource.PatientWeight: .inf", ".inf"),
        ("resource.StudyDate: 2026-02-30", "2026-02-30"),
        ("resource.StudyDate: today", "today"),
        ("resource.StudyDate: {lt: 2026-02}", "2026-02"),
        ("resource.StudyDate: {between: [2026-01-01, 2026]}", "2026"),
        ("resource.StudyTime: 25:00", "25:00"),
        ("context.now: 2026-03-02T25:00:00Z", "2026-03-02T25:00:00Z"),
        ("context.purpose_verified: yes", "yes"),
        ("subject.address: 10.0.0.256", "10.0.0.256"),
        ("request.AffectedSOPClassUID: CTImage", "CTImage"),
        ("request.keys: Nothing", "Nothing"),
        ("request.action: c-mvoe", "c-mvoe"),
        ('subject.user: ""', '""'),
        ('subject.user: "  "', '"  "'),
        ("context.now: {weekday: freitag}", "freitag"),
        ("subject.address: {cidr: 10.0.0.0/33}", "10.0.0.0/33"),
        ("subject.address: {cidr: [10.0.0.0/8, localhost]}", "localhost"),
    ],
)
def test_a_value_that_the_path_cannot_have(condition: str, at: str) -> None:
    found = only(rule(f"when: {{{condition}}}"))
    assert (found.code, marked(found)) == ("literal", at)
    assert found.expected


@pytest.mark.parametrize("text", ["Patient.PatientName", "Study.StudyDate", "Instance.RequestAttributesSequence[*].CodeValue", 'Patient.(0009,"X",01)'])
def test_what_an_update_changes_is_named_by_level_and_keyword(text: str) -> None:
    quoted = "'" + text + "'"
    assert codes(rule(f"when: {{request.updated: {{contains_any: [{quoted}]}}}}", on="update-image-set-metadata")) == []


@pytest.mark.parametrize("text", ["PatientName", "Study.PatientName", "Patient.PatientNme", "patient.PatientName", "Patient."])
def test_what_no_update_changes_is_an_error(text: str) -> None:
    found = only(rule(f"when: {{request.removed: {{contains: {text}}}}}", on="update-image-set-metadata"))
    assert (found.code, marked(found)) == ("literal", text)


def test_closed_lists_of_values_are_closed() -> None:
    found = only(rule("when: {resource.imageSetState: LOCKD}", on="get-image-set"))
    assert (found.code, found.hint) == ("literal", "did you mean `LOCKED`?")
