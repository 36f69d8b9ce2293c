"""Which rules read the clock."""

from __future__ import annotations

import pytest

from hirules.policy.clock import reading_clock
from tests.policy.deciding import policy_set
from tests.policy.suites import POLICY, policies


@pytest.mark.parametrize(
    "rule",
    [
        "{on: c-move, when: {resource.StudyDate: {older_than: 90d}}, deny: {}}",
        "{on: c-move, unless: {resource.StudyDate: {newer_than: 90d}}, deny: {}}",
        "{on: c-move, when: {context.now: {weekday: sat}}, deny: {}}",
        "{on: c-move, when: {any: [{subject.user: x}, {not: {resource.StudyDate: {lt: {today: -1d}}}}]}, deny: {}}",
        "{on: c-move, when: {resource.StudyDate: {every: {gt: {today: -1d}}}}, deny: {}}",
        "{on: c-move, valid: {until: '2027-01-01T00:00:00Z'}, deny: {}}",
        "{on: c-move, mode: shadow, valid: {from: '2027-01-01T00:00:00Z'}, deny: {}}",
        "{on: c-move, deny: {reason: 'not at {context.now}'}}",
        "{on: c-find, rewrite: [{set: {request.Identifier.StudyDate: {today: -1d}}}]}",
        "{on: c-move, audit: {include: context.now}}",
    ],
)
def test_rules_that_read_the_clock(rule: str) -> None:
    assert set(reading_clock(policy_set(rule)).values()) == {"p/r0"}


@pytest.mark.parametrize(
    "rule",
    [
        "{on: c-move, when: {resource.StudyDate: {lt: 2020-01-01}}, deny: {}}",
        "{on: c-move, when: {resource.StudyDate: {weekday: sat}}, deny: {}}",
        "{on: c-move, when: {subject.ae_title: {in: $clinical}}, allow: {}}",
        "{on: c-move, mode: off, when: {resource.StudyDate: {older_than: 90d}}, deny: {}}",
        "{on: c-find, when: {request.Identifier.StudyDate: {range_wider_than: 31d}}, deny: {}}",
    ],
)
def test_rules_that_do_not(rule: str) -> None:
    assert not reading_clock(policy_set(rule))


def test_an_exception_expires() -> None:
    assert reading_clock(policies(POLICY)) == {"c-move": "p/agreed"}
