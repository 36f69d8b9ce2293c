"""Why a request was decided so: which of all the rules are worth telling, and which of their conditions."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hirules.policy.trace import RuleTrace, TestTrace

NEAR_MISSES = 5
"""Rules that did not match, told because little kept them from it."""


def told(entries: Iterable[RuleTrace], named: Collection[str], near: Collection[str]) -> tuple[RuleTrace, ...]:
    """The rules that are ``named`` or took part, and of those in ``near`` the ones that fewest conditions kept from matching."""
    entries = _once(entries)
    chosen = [entry for entry in entries if entry.rule in named or entry.outcome in ("matched", "unknown", "suspended")]
    missed = [entry for entry in entries if entry not in chosen and entry.rule in near and entry.outcome == "not matched"]
    missed.sort(key=lambda entry: (len(deciding(entry)), entry.rule))
    return (*chosen, *missed[:NEAR_MISSES])


def _once(entries: Iterable[RuleTrace]) -> tuple[RuleTrace, ...]:
    """Each of the entries once; by comparison, since the values of sequences, which they hold, have no hash."""
    by_rule: dict[str, list[RuleTrace]] = {}
    for entry in entries:
        if entry not in (same := by_rule.setdefault(entry.rule, [])):
            same.append(entry)
    return tuple(entry for same in by_rule.values() for entry in same)


def deciding(entry: RuleTrace) -> tuple[TestTrace, ...]:
    """The conditions that made it so; all of them where that cannot be told apart."""
    outer = [test for test in entry.tests if test.part != "item"]
    match entry.outcome:
        case "matched" | "suspended":
            chosen = [test for test in outer if test.truth is (test.part == "when")]
        case "not matched":
            chosen = [test for test in outer if test.truth is (test.part != "when")]
        case "unknown":
            chosen = [test for test in outer if test.truth is None]
        case _:
            chosen = []
    return tuple(chosen or outer)
