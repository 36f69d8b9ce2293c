"""What is decided beside what is expected: whatever differs fails, and what was not expected at all, too."""

from __future__ import annotations

import pytest

from hirules.model.decision import AssociateStatus
from hirules.policy.suite_compare import status_text, value_text
from tests.policy.suites import policies, run

MAIN = "on: c-move\nsubject: {ae_title: PACS_MAIN}\nresource: [{PatientID: P1}]\nrequest: {MoveDestination: %s}\nexpect: {%s}"
REWRITES = """
hirules: 1
policy: p
rules:
  - {id: all, on: [c-move, c-find, n-get], allow: {}}
  - id: edits
    on: c-find
    when: {subject.ae_title: A}
    rewrite:
      - set: {request.Identifier.StudyDate: 2026-03-01}
      - set: {request.Identifier.StudyInstanceUID: [1.2.3, 1.2.4]}
      - remove: request.Identifier.PatientName
      - set: {request.Priority: 2}
"""


def differing(text: str, of: str = "") -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every difference: what, expected, actual."""
    result = run(text, policies(of) if of else None)
    assert result.passed == (not result.differences)
    return {one.what: (one.expected, one.actual) for one in result.differences}


@pytest.mark.parametrize(
    ("destination", "expect"),
    [
        ("PACS_DR", "decision: allow, by: [p/clinical], status: null, reason: '', no_match: false, rewritten: {}, notes: [], shadow: [], exceptions: []"),
        ("NOWHERE", "decision: deny, by: [p/agreed], status: 43009, reason: '`NOWHERE` has no release agreement'"),
        ("OLDPACS", "decision: allow, rewritten: {request.MoveDestination: ' pacs_main'}"),
        ("AUDIT_NODE", "decision: allow, exceptions: [{exception: p/audit, rule: p/agreed, approved_by: office}]"),
    ],
)
def test_what_is_as_expected_passes(destination: str, expect: str) -> None:
    assert not differing(MAIN % (destination, expect))


@pytest.mark.parametrize(
    ("destination", "expect", "expected"),
    [
        ("PACS_DR", "decision: deny", {"decision": (("deny",), ("allow",))}),
        ("PACS_DR", "decision: allow, by: []", {"by": (("(no rule: `combining`)",), ("p/clinical",))}),
        ("NOWHERE", "decision: deny, by: [p/agreed, p/clinical]", {"by": (("p/agreed", "p/clinical"), ("p/agreed",))}),
        ("NOWHERE", "decision: deny, status: 0x0124", {"status": (("0x0124",), ("0xA801",))}),
        ("NOWHERE", "decision: deny, reason: no", {"reason": (("no",), ("`NOWHERE` has no release agreement",))}),
        ("NOWHERE", "decision: deny, full_reason: no", {"full_reason": (("no",), ("`NOWHERE` has no release agreement",))}),
        ("NOWHERE", "decision: deny, no_match: true", {"no_match": (("true",), ("false",))}),
        # a rewrite that nobody expected, one that did not happen, one to another value
        (
            "OLDPACS", "decision: allow",
            {"rewritten": (("request.MoveDestination is not changed",), ("request.MoveDestination: PACS_MAIN",))},
        ),
        (
            "PACS_DR", "decision: allow, rewritten: {request.Priority: null}",
            {"rewritten": (("request.Priority is removed",), ("request.Priority is not changed",))},
        ),
        (
            "OLDPACS", "decision: allow, rewritten: {request.MoveDestination: PACS_DR}",
            {"rewritten": (("request.MoveDestination: PACS_DR",), ("request.MoveDestination: PACS_MAIN",))},
        ),
        ("PACS_DR", "decision: allow, notes: [p/vip]", {"notes": (("source: p/vip",), ("(none)",))}),
        ("PACS_DR", "decision: allow, shadow: [p/later]", {"shadow": (("rule: p/later",), ("(none)",))}),
        ("PACS_DR", "decision: allow, exceptions: [p/audit]", {"exceptions": (("exception: p/audit",), ("(none)",))}),
        (
            "AUDIT_NODE", "decision: allow, exceptions: []",
            {"exceptions": (("(none)",), ("exception: p/audit, rule: p/agreed, reason: a ticket, approved_by: office",))},
        ),
    ],
)  # fmt: skip
def test_what_differs_fails(destination: str, expect: str, expected: dict[str, object]) -> None:
    assert differing(MAIN % (destination, expect)) == expected


VIP = "on: c-move\nsubject: {ae_title: PACS_DR}\nresource: [{PatientID: VIP}]\nrequest: {MoveDestination: PACS_DR}\nexpect: {decision: allow, %s}"


@pytest.mark.parametrize(
    "expect",
    [
        "notes: [p/vip]", "notes: [{severity: alert}]", "notes: [{source: p/vip, include: {resource.PatientID: VIP}}]",
        "shadow: [p/later]", "shadow: [{rule: p/later, effect: deny, outcome: deny}]",
    ],
)  # fmt: skip
def test_an_entry_is_compared_by_what_is_stated_of_it(expect: str) -> None:
    assert not differing(VIP % expect)


@pytest.mark.parametrize(
    ("expect", "what"),
    [
        ("notes: []", "notes"), ("notes: [{source: p/vip, severity: low}]", "notes"), ("notes: [{include: {resource.PatientID: P1}}]", "notes"),
        ("shadow: []", "shadow"), ("shadow: [{rule: p/later, outcome: allow}]", "shadow"),
    ],
)  # fmt: skip
def test_an_entry_that_differs_or_was_not_expected_fails(expect: str, what: str) -> None:
    assert list(differing(VIP % expect)) == [what]


UNKNOWN = "on: c-move\nsubject: {ae_title: PACS_MAIN}\nrequest: {MoveDestination: PACS_DR}\nexpect: {decision: allow%s}"


def test_a_fact_that_was_needed_and_not_given_fails() -> None:
    assert differing(UNKNOWN % "") == {"errors": (("(none)",), ("p/vip needs `resource.PatientID`, which is unknown: the resource was not given",))}


@pytest.mark.parametrize("errors", ["resource.PatientID", "p/vip", "{source: p/vip, path: resource.PatientID, message: the resource was not given}"])
def test_a_fact_that_is_expected_to_be_unknown_passes(errors: str) -> None:
    assert not differing(UNKNOWN % f", errors: [{errors}]")


def test_an_error_that_did_not_happen_fails() -> None:
    assert differing(UNKNOWN % ", errors: [resource.PatientID, subject.user]") == {"errors": (("path: subject.user",), ("(none)",))}


def test_new_values_are_compared_by_the_type_of_their_path() -> None:
    text = """
        on: c-find
        subject: {ae_title: A}
        request: {Identifier: {PatientName: Doe}}
        expect:
          decision: allow
          rewritten:
            request.Identifier.StudyDate: "20260301"
            request.Identifier.StudyInstanceUID: [1.2.3, 1.2.4]
            request.Identifier.PatientName: null
            request.Priority: "0x2"
    """
    assert not differing(text, REWRITES)
    assert list(differing(text.replace("1.2.4]", "1.2.5]"), REWRITES)) == ["rewritten"]
    assert list(differing(text.replace("[1.2.3, 1.2.4]", "1.2.3"), REWRITES)) == ["rewritten"]
    assert list(differing(text.replace('"20260301"', "2026-03-02"), REWRITES)) == ["rewritten"]
    assert list(differing(text.replace("PatientName: null", 'PatientName: ""'), REWRITES)) == ["rewritten"]


@pytest.mark.parametrize(
    ("value", "text"),
    [("", '""'), (b"abc", "(3 bytes)"), ([1, "a"], "[1, a]"), ({"a": ["x"]}, "{a: [x]}"), (2, "2")],
)
def test_values_as_text(value: object, text: str) -> None:
    assert value_text(value) == text


def test_statuses_as_text() -> None:
    statuses = (0x124, "AccessDenied", None, AssociateStatus(1, 2, 3))
    assert [status_text(status) for status in statuses] == ["0x0124", "AccessDenied", "(none)", "{result: 1, source: 2, reason: 3}"]
