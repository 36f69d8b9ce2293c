"""The workload is the same for the same seed, and has every kind of rule and of absence at every size."""

from __future__ import annotations

import pytest

from benchmarks.workload import Workload, generate


@pytest.fixture(scope="module", params=[10, 100, 1000])
def workload(request: pytest.FixtureRequest) -> Workload:
    return generate(request.param)


def test_the_same_seed_gives_the_same_workload(workload: Workload) -> None:
    assert generate(len(workload.rules)) == workload
    assert generate(len(workload.rules), seed=1) != workload


def test_more_requests_leave_the_rules_and_the_first_requests_as_they_are() -> None:
    few, many = generate(10, 20), generate(10, 50)
    assert few.rules == many.rules
    assert few.lists == many.lists
    assert many.queries[:20] == few.queries


def test_every_kind_of_rule_is_there(workload: Workload) -> None:
    rules = workload.rules
    assert len({rule.id for rule in rules}) == len(rules)
    for kind in ("callers", "list", "levels", "destinations", "glob", "network"):
        assert any(getattr(rule, kind) for rule in rules), kind
    assert {rule.effect for rule in rules} == {"allow", "deny"}
    assert any(len(rule.callers) > 1 for rule in rules)
    assert any(rule.network and not workload.members(rule) for rule in rules)
    assert sum(bool(rule.glob) for rule in rules) == max(1, round(0.05 * len(rules)))


def test_a_destination_is_tested_only_where_the_action_has_one(workload: Workload) -> None:
    assert not [rule for rule in workload.rules if (rule.destinations or rule.glob) and rule.action != "c-move"]
    assert not [query for query in workload.queries if query.destination and query.action != "c-move"]


def test_two_thousand_different_requests_some_with_absent_attributes(workload: Workload) -> None:
    queries = workload.queries
    assert len(set(queries)) == len(queries) == 2000
    assert any(query.level is None for query in queries)
    assert any(query.address is None for query in queries)
    assert any(query.destination is None for query in queries if query.action == "c-move")


def test_titles_fit_the_standard(workload: Workload) -> None:
    """PS3.5 §6.2: an AE title has at most 16 characters."""
    assert all(len(title) <= 16 for title in workload.callers)
