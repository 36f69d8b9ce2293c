"""`expect`: what is read of it, and what in it is an error."""

from __future__ import annotations

import pytest

from hirules.model.decision import AssociateStatus
from tests.policy.suites import case, said


def test_everything_that_can_be_expected() -> None:
    expected = case(
        """
        on: c-move
        expect:
          decision: deny
          by: [p/clinical, p/agreed]
          status: 0xA801
          reason: no
          full_reason: 12
          no_match: false
          rewritten: {request.MoveDestination: PACS_MAIN, "request.Identifier.(0010,0020)": null}
          notes: [p/vip, {severity: alert, note: x, include: {resource.PatientID: P1}}]
          shadow: [p/later, {rule: p/later, outcome: deny}]
          exceptions: [p/audit, {exception: p/audit, rule: p/agreed}]
          errors: [resource.PatientID, p/vip, gate, {source: p/audit, path: subject.user}]
        """
    ).expected
    assert expected.stated == set(expected.__struct_fields__) - {"stated"}
    assert (expected.by, expected.status, expected.reason, expected.full_reason) == (("p/agreed", "p/clinical"), 0xA801, "no", "12")
    assert expected.rewritten == {"request.MoveDestination": "PACS_MAIN", "request.Identifier.PatientID": None}
    assert expected.notes == ({"source": "p/vip"}, {"severity": "alert", "note": "x", "include": {"resource.PatientID": "P1"}})
    assert expected.shadow == ({"rule": "p/later"}, {"rule": "p/later", "outcome": "deny"})
    assert expected.exceptions == ({"exception": "p/audit"}, {"exception": "p/audit", "rule": "p/agreed"})
    assert expected.errors == (
        {"path": "resource.PatientID"}, {"source": "p/vip"}, {"source": "gate"}, {"source": "p/audit", "path": "subject.user"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "status"), [("0x0124", 0x0124), ("292", 292), ("AccessDenied", "AccessDenied"), ("null", None), ("{result: 1, source: 3, reason: 2}", (1, 3, 2))]
)
def test_statuses(text: str, status: object) -> None:
    expected = AssociateStatus(*status) if isinstance(status, tuple) else status
    assert case(f"on: c-find\nexpect: {{decision: deny, status: {text}}}").expected.status == expected


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ("decision: maybe", "choice: `decision` is neither `allow` nor `deny`"),
        ("decision: deny, no_mach: true", "unknown-key: `no_mach` is no key of `expect`"),
        ("decision: deny, by: p/agreed", "not-a-list: `by` is no list"),
        ("decision: deny, by: [agreed]", "unknown-rule: there is no rule `agreed` in the set"),
        ("decision: deny, by: [p/audit]", "unknown-rule: there is no rule `p/audit` in the set"),
        ("decision: deny, status: {result: 1}", "missing-key: the status of an association has no `reason`"),
        ("decision: deny, status: {result: 1, source: 1, reason: x}", "status: the status of an association is three numbers"),
        ("decision: deny, status: [1]", "not-a-text: `status` is a list"),
        ("decision: deny, reason: []", "not-a-text: a reason is a list"),
        ("decision: deny, no_match: 'true'", "choice: `no_match` is true or false"),
        ("decision: deny, rewritten: [request.Priority]", "not-a-mapping: `rewritten` is a list"),
        ("decision: deny, rewritten: {request.Prio: 1}", "unknown-attribute: `request.Prio` is no attribute of `c-move`"),
        ("decision: deny, rewritten: {instance.PatientID: 1}", "unknown-attribute: `instance.PatientID` is no attribute of `c-move`"),
        ("decision: deny, rewritten: {Priority: 1}", "invalid-path: `Priority` is no root of a path"),
        ("decision: deny, notes: [p/agreed]", "choice: `p/agreed` is no audit rule and leaves no note"),
        ("decision: deny, notes: [{sauce: p/vip}]", "unknown-key: `sauce` is no key of an entry of `notes`"),
        ("decision: deny, shadow: [p/latter]", "unknown-rule: there is no rule `p/latter` in the set"),
        ("decision: deny, shadow: [{rule: p/later, outcome: denied}]", "choice: that is no outcome of a rule in shadow"),
        ("decision: deny, exceptions: [p/agreed]", "unknown-rule: there is no exception `p/agreed` in the set"),
        ("decision: deny, errors: [resource.PatientId]", "unknown-attribute: `resource.PatientId` is no attribute of `c-move`"),
        ("decision: deny, errors: [p/nobody]", "unknown-rule: there is no rule `p/nobody` in the set"),
        ("decision: deny, errors: ['plugin:none']", "unknown-rule: there is no rule `plugin:none` in the set"),
        ("decision: deny, errors: [[]]", "not-a-mapping: an entry of `errors` is a list"),
    ],
)
def test_what_cannot_be_expected(expect: str, message: str) -> None:
    found = said(f"tests:\n  - {{name: t, on: c-move, expect: {{{expect}}}}}")
    assert any(one.startswith(message) for one in found), found


def test_a_mistake_above_a_table_is_told_once() -> None:
    text = "tests:\n  - {name: t, on: c-find, expect: {decision: deny, by: [p/x]}, cases: [{subject: {user: a}}, {subject: {user: b}}]}"
    assert said(text) == ["unknown-rule: there is no rule `p/x` in the set"]
