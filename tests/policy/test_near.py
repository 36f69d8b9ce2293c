"""Near misses read a trace as the evaluator wrote it: the answers of its tests give the outcome that it gave."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from hirules.policy.evaluate import evaluate
from hirules.policy.near import _applies, near_misses
from hirules.policy.trace import Trace
from tests.laws.generated import policies, request_of, requests
from tests.laws.test_laws import set_of
from tests.policy.deciding import NOW

OUTCOMES: dict[str, set[bool | None]] = {"matched": {True}, "not matched": {False}, "unknown": {None}, "suspended": {True, None}}


@settings(max_examples=150)
@given(policies(), requests())
def test_a_trace_is_read_as_it_was_written(found: Any, parts: Any) -> None:
    loaded = set_of(found)
    rules = {rule.id: rule for rule in loaded.rules}
    trace = Trace()
    evaluate(loaded, request_of(parts), NOW, trace=trace)
    for entry in trace.rules:
        if entry.of is not None or entry.outcome not in OUTCOMES:
            continue
        rule = rules[entry.rule]
        assert _applies(rule, [test.truth for test in entry.tests if test.part != "item"]) in OUTCOMES[entry.outcome]
        near = near_misses(rule, entry.tests)
        assert not near or entry.outcome == "not matched"
        assert all(any(each is test for test in entry.tests) for each in near)
