"""Arguments of operators, kind by kind."""

from __future__ import annotations

from datetime import time

import pytest

from hirules.policy import ast
from hirules.policy.ast import Age, Duration, Weekdays, Window
from tests.policy.loading import compiled, marked, only, rule


def argument(condition: str, on: str = "c-move") -> ast.Argument:
    found = compiled(f"when: {{{condition}}}", on=on).when
    assert isinstance(found, ast.Test)
    return found.checks[0].argument


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
