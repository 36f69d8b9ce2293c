"""Values are read from their source text, by the type of their path."""

from __future__ import annotations

from datetime import date, datetime, time, timezone
from decimal import Decimal
from ipaddress import ip_address

import pytest

from hirules.model.scalars import Partial
from hirules.policy import ast
from hirules.policy.ast import Age, Duration, Operands, Value, Weekdays, Window
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
        ("context.now: 2026-03-02T10:00:00Z", datetime(2026, 3, 2, 10, tzinfo=timezone.utc)),
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


@pytest.mark.parametrize(
    ("condition", "code", "at"),
    [
        ("subject.ae_title: {in: [A, 'RES_*']}", "pattern-in-list", "'RES_*'"),
        ("subject.ae_title: [A, RES_?]", "pattern-in-list", "RES_?"),
        ("subject.address: [10.0.0.0/8]", "pattern-in-list", "10.0.0.0/8"),
        ("subject.roles: {contains_any: [10.0.0.0/8]}", "pattern-in-list", "10.0.0.0/8"),
        ("subject.user: $nodes", "argument", "$nodes"),
        ("subject.user: {in: $ndes}", "unknown-list", "$ndes"),
        ("subject.user: {in: [$ndes]}", "unknown-list", "$ndes"),
        ("subject.address: {in: $nodes}", "literal", "$nodes"),
        ("subject.user: {equals: [a]}", "argument", "["),
        ("subject.user: {in: {a: b}}", "argument", "{"),
        ("subject.user: {regex: '(a'}", "regex", "'(a'"),
        ("subject.user: {regex: '(?=a)b'}", "regex", "'(?=a)b'"),
        ("subject.user: {regex: 'a)(b'}", "regex", "'a)(b'"),
        ("subject.user: {regex: [a, '\\1']}", "regex", "'\\1'"),
        ("subject.user: {glob: ''}", "argument", "''"),
        ("subject.user: {starts_with: {path: subject.ae_title}}", "not-a-text", "{"),
        ("resource.StudyDate: {between: [2026-01-01]}", "argument", "["),
        ("resource.StudyDate: {between: [2026-01-02, 2026-01-01]}", "argument", "["),
        ("resource.StudyDate: {older_than: 90}", "duration", "90"),
        ("resource.StudyDate: {older_than: -90d}", "duration", "-90d"),
        ("resource.StudyDate: {older_than: 5h}", "duration", "5h"),
        ("resource.StudyDate: {older_than: 1month}", "duration", "1month"),
        ("resource.StudyDate: {lt: {today: 3h}}", "duration", "3h"),
        ("resource.StudyDate: {lt: {today: monday}}", "duration", "monday"),
        ("context.now: {lt: {today: -3d}}", "operand-type", "-3d"),
        ("resource.StudyTime: {lt: {path: resource.StudyDate}}", "operand-type", "resource.StudyDate"),
        ("subject.address: {path: subject.ae_title}", "operand-type", "subject.ae_title"),
        ("subject.user: {path: subject.nobody}", "unknown-attribute", "subject.nobody"),
        ("subject.user: {path: [a]}", "not-a-text", "["),
        ("context.now: {time_between: [20:00]}", "argument", "["),
        ("context.now: {time_between: [20:00, 20:00:00]}", "argument", "["),
        ("context.now: {time_between: [20:00, late]}", "literal", "late"),
        ("context.now: {time_between: [20:00, '2000']}", "literal", "'2000'"),
    ],
)
def test_an_argument_that_the_operator_cannot_have(condition: str, code: str, at: str) -> None:
    found = only(rule(f"when: {{{condition}}}", head="lists: {nodes: [WS_1, WS_2]}\n"))
    assert (found.code, marked(found)) == (code, at)


def test_durations_windows_and_days() -> None:
    assert argument("resource.StudyDate: {older_than: 2w}") == Age(Duration(2, "w"))
    assert argument("context.now: {older_than: 36h, tz: Europe/Berlin}") == Age(Duration(36, "h"), "Europe/Berlin")
    assert argument("context.now: {time_between: [20:00, 06:00]}") == Window(time(20), time(6))
    assert argument("context.now: {weekday: [sat, sunday], tz: UTC}") == Weekdays(frozenset({5, 6}), "UTC")
    assert argument("context.now: {weekday: mon}") == Weekdays(frozenset({0}))


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
