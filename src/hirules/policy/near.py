"""Near misses: of a rule that did not match, the tests each of which alone kept it from matching."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hirules.policy.ast import All, Any, Condition, Not, Rule, Test
from hirules.policy.trace import TestTrace
from hirules.policy.truth import Truth, kleene_all, kleene_any, kleene_not


def near_misses(rule: Rule, tests: Sequence[TestTrace]) -> tuple[TestTrace, ...]:
    """``tests`` are all that were made of ``rule`` at one entity, in the order of a trace. Empty where more than one stood in the way."""
    asked = [test for test in tests if test.part != "item"]  # those of an item are part of the test of its sequence
    truths = [test.truth for test in asked]
    if _applies(rule, truths) is not False:
        return ()
    found = []
    for number, truth in enumerate(truths):
        otherwise = [*truths[:number], truth is False, *truths[number + 1 :]]
        if _applies(rule, otherwise):
            found.append(asked[number])
    return tuple(found)


def _applies(rule: Rule, truths: Sequence[Truth]) -> Truth:
    remaining = iter(truths)
    parts = [] if rule.when is None else [_holds(rule.when, remaining)]
    if rule.unless is not None:
        parts.append(kleene_not(_holds(rule.unless, remaining)))
    return kleene_all(parts)


def _holds(condition: Condition, truths: Iterator[Truth]) -> Truth:
    """As :func:`hirules.policy.conditions.holds` does, with tests that are answered already, in the same order."""
    match condition:
        case All(conditions):
            return kleene_all([_holds(one, truths) for one in conditions])
        case Any(conditions):
            return kleene_any([_holds(one, truths) for one in conditions])
        case Not(inner):
            return kleene_not(_holds(inner, truths))
        case Test():
            return next(truths)
