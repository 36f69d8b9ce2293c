"""Coverage: what each test sees of rules, conditions and exceptions. That it is the same by few rules: test_narrowing.py."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from hirules.policy.coverage import CoverageReport, OwnerCoverage
from hirules.policy.suite_run import Runner
from tests.policy.suites import cases, policies


def coverage(rules: str, rows: str, exceptions: str = "") -> CoverageReport:
    """What the rows of a table see; each expects what it gets, so that errors do not matter here."""
    of = policies(f"hirules: 1\npolicy: p\nrules:\n{rules}\n{exceptions}")
    runner = Runner(of, coverage=True)
    for case in cases(f"tests:\n  - {{name: t, on: c-move, resource: [], expect: {{decision: deny}}, cases: [{rows}]}}", of):
        runner.run(case)
    report = runner.coverage()
    assert report is not None
    return report


def seen(owner: OwnerCoverage) -> str:
    """`m` matched, `n` not matched, then each condition: `t`, `f`, `tf` or `-`."""
    conditions = [("t" if one.true else "") + ("f" if one.false else "") or "-" for one in owner.conditions]
    return " ".join([("m" if owner.matched else "") + ("n" if owner.unmatched else "") or "-", *conditions])


def only(report: CoverageReport) -> str:
    (owner,) = report.owners
    return seen(owner)


def titles(*names: str) -> str:
    return ", ".join(f"{{subject: {{ae_title: {name}}}}}" for name in names)


@pytest.mark.parametrize(
    ("rule", "rows", "expected"),
    [
        ("when: {subject.ae_title: A}", titles("A", "B"), "mn tf"),
        ("when: {subject.ae_title: A}", titles("A"), "m t"),
        ("when: {subject.ae_title: A}", titles("B"), "n f"),
        ("when: {subject.ae_title: {not_in: [A]}}", titles("A", "B"), "mn tf"),
        ("when: {subject.ae_title: {glob: 'A*'}}", titles("AB", "B"), "mn tf"),
        ("unless: {subject.ae_title: A}", titles("A"), "n t"),
        ("when: {any: [{subject.ae_title: A}, {not: {subject.user: x}}]}", titles("A", "B"), "m tf f"),
        # every condition is seen, whatever stands beside it
        ("when: {subject.ae_title: A, subject.user: x}", "{subject: {ae_title: B, user: x}}", "n f t"),
        # unknown is neither
        ("when: {resource.PatientID: P1}", "{resource: [{}]}", "- -"),
        ("when: {resource.PatientID: P1}", "{resource: [{PatientID: P1}, {PatientID: P2}]}", "mn tf"),
        ("when: {resource.RequestAttributesSequence: {item: {Modality: CT}}}", "{resource: [{RequestAttributesSequence: [{Modality: MR}]}]}", "n f f"),
        # not looked at
        ("valid: {until: '2026-01-01T00:00:00Z'}, when: {subject.ae_title: A}", titles("A", "B"), "- -"),
        ("mode: shadow, when: {subject.ae_title: A}", titles("A", "B"), "mn tf"),
    ],
)
def test_what_is_seen(rule: str, rows: str, expected: str) -> None:
    assert only(coverage(f"  - {{id: r, on: [c-move, c-get], {rule}, deny: {{}}}}", rows)) == expected


def test_a_rule_of_another_action_is_not_seen() -> None:
    assert only(coverage("  - {id: r, on: c-get, when: {subject.ae_title: A}, deny: {}}", titles("A", "B"))) == "- -"


def test_a_rule_without_condition_has_one_point() -> None:
    report = coverage("  - {id: r, on: c-move, deny: {}}", titles("A"))
    assert (report.owners[0].unmatched, report.covered, report.total) == (None, 1, 1)


def test_rules_that_are_off_are_left_out_and_listed() -> None:
    report = coverage("  - {id: r, on: c-move, mode: off, when: {subject.ae_title: A}, deny: {}}\n  - {id: s, on: c-move, allow: {}}", titles("A"))
    assert ([owner.id for owner in report.owners], report.off) == (["p/s"], ("p/r",))


EXCEPTION = "exceptions:\n  - {id: e, of: [r], when: {subject.user: x}, reason: y, expires: %s}\n"


@pytest.mark.parametrize(
    ("rows", "rule", "exception"),
    [
        ("{subject: {ae_title: A, user: x}}", "- t", "m t"),
        ("{subject: {ae_title: A, user: y}}", "m t", "n f"),
        # it is looked at only where its rule would match
        ("{subject: {ae_title: B, user: x}}", "n f", "- -"),
    ],
)
def test_exceptions_count_like_rules(rows: str, rule: str, exception: str) -> None:
    report = coverage("  - {id: r, on: c-move, when: {subject.ae_title: A}, deny: {}}", rows, EXCEPTION % "2027-01-01T00:00:00Z")
    assert {owner.id: seen(owner) for owner in report.owners} == {"p/r": rule, "p/e": exception}
    assert report.owners[1].kind == "exception"
    assert report.total == 8


def test_an_exception_that_has_expired_is_not_seen() -> None:
    rows = "{subject: {ae_title: A, user: x}}"
    report = coverage("  - {id: r, on: c-move, when: {subject.ae_title: A}, deny: {}}", rows, EXCEPTION % "2026-01-01T00:00:00Z")
    assert [seen(owner) for owner in report.owners] == ["m t", "- -"]


def test_rules_look_at_the_effective_request_and_rewrites_at_the_one_that_came() -> None:
    rules = """
  - {id: move, on: c-move, when: {request.MoveDestination: OLD}, rewrite: [{set: {request.MoveDestination: NEW}}]}
  - {id: old, on: c-move, when: {request.MoveDestination: OLD}, deny: {}}
  - {id: new, on: c-move, when: {request.MoveDestination: NEW}, deny: {}}
  - {id: came, on: c-move, when: {original.request.MoveDestination: OLD}, deny: {}}"""
    report = coverage(rules, "{request: {MoveDestination: OLD}}")
    assert _by_rule(report.owners) == {"p/move": "m t", "p/old": "n f", "p/new": "m t", "p/came": "m t"}


def _by_rule(owners: Iterable[OwnerCoverage]) -> dict[str, str]:
    return {owner.id: seen(owner) for owner in owners}


def test_the_same_condition_in_two_rules_counts_twice() -> None:
    """An alias of YAML puts one condition into two rules."""
    rules = "  - {id: r, on: c-move, when: &one {subject.ae_title: A}, deny: {}}\n  - {id: s, on: c-get, when: *one, deny: {}}"
    assert _by_rule(coverage(rules, titles("A", "B")).owners) == {"p/r": "mn tf", "p/s": "- -"}
