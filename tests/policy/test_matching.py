from __future__ import annotations

from typing import Any

import pytest

from hirules.policy.edits import EDITS
from hirules.policy.entities import entities_of
from hirules.policy.evaluate import setting_of
from hirules.policy.matching import Match, match_everywhere
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from tests.policy.deciding import NOW, policy_set, request

DENY: dict[str, Any] = {"id": "d", "on": "c-move", "when": {"resource.PatientID": "P1"}, "deny": {}}
EXCEPTION = {"id": "e", "of": ["d"], "when": {"subject.user": "x"}, "reason": "r", "approved_by": "a", "expires": "2026-12-31T23:59:59Z"}


def matched(*resource: Any, subject: Any = None, exceptions: Any = None) -> Match:
    policies = policy_set(DENY, exceptions=exceptions)
    one = request(resource=list(resource), subject=subject or {})
    setting = setting_of(policies, one, NOW, OPERATORS, EDITS)
    views = [View(one, one, entity, setting.now, setting.zone) for entity in entities_of(one.resource, True)]
    return match_everywhere(setting.ordered[0], views, setting, "decide")


@pytest.mark.parametrize(
    ("resource", "truths", "truth"),
    [
        ([{"PatientID": "P1"}, {"PatientID": "P2"}], (True, False), True), ([{}, {"PatientID": "P1"}], (None, True), True),
        ([{}, {"PatientID": "P2"}], (None, False), None), ([{"PatientID": "P2"}], (False,), False), ([], (False,), False),
    ],
)  # fmt: skip
def test_a_rule_says_something_of_each_entity(resource: Any, truths: Any, truth: Any) -> None:
    found = matched(*resource)
    assert (found.truths, found.truth) == (truths, truth)


def test_a_suspended_rule_reports_neither_its_unknowns_nor_unused_exceptions() -> None:
    suspended = matched({}, subject={"user": "x"}, exceptions=[EXCEPTION])
    assert (suspended.truth, suspended.errors, [use.exception for use in suspended.uses]) == (False, (), ["p/e"])
    unused = matched({"PatientID": "P2"}, subject={"user": "x"}, exceptions=[EXCEPTION])
    assert (unused.truth, unused.uses) == (False, ())


def test_errors_name_the_rule_the_path_and_the_line() -> None:
    (error,) = matched({}).errors
    assert (error.source, error.path, error.message) == ("p/d", "resource.PatientID", "the look-up did not tell it")
    assert error.at is not None
    assert error.at.startswith("p.yaml:1:")


def test_a_rule_that_is_not_considered_says_why() -> None:
    policies = policy_set(
        DENY, {**DENY, "id": "f", "on": "c-get"}, {**DENY, "id": "o", "mode": "off"}, {**DENY, "id": "l", "valid": {"from": "2027-01-01T00:00:00Z"}},
        {**DENY, "id": "p", "valid": {"until": "2020-01-01T00:00:00Z"}},
    )  # fmt: skip
    setting = setting_of(policies, request(), NOW, OPERATORS, EDITS)
    assert {rule.id: setting.why_not(rule) for rule in setting.ordered} == {
        "p/d": None, "p/f": "it is not for `c-move`", "p/l": "it is not valid yet", "p/o": "its mode is off", "p/p": "it is no longer valid",
    }  # fmt: skip
