"""What holds for all requests: that a rule never matches, that it always does, that it matches wherever another one does.

A proof stands on its own: it is about every request. What is not proven is not reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

from hirules.policy.ast import All, Condition, Not, Rule, Test
from hirules.policy.lint import readings
from hirules.policy.lint.terms import Literal, Operators, Term, literal, terms_of


class Prover:
    """Proofs about the conditions of one policy set."""

    def __init__(self, operators: Operators, zone: ZoneInfo) -> None:
        self.operators = operators
        self.zone = zone

    def impossible(self, term: Iterable[Literal]) -> list[Literal] | None:
        """The literals of one path that cannot be so at once; ``None`` where nothing shows that."""
        for literals in by_path(term).values():
            if readings.contradictory(literals, self.operators, self.zone):
                return literals
        return None

    def reduced(self, culprit: Sequence[Literal]) -> list[Literal]:
        """Those of the literals that cannot be so at once by themselves."""
        found = list(culprit)
        for one in culprit:
            fewer = [other for other in found if other is not one]
            if fewer and readings.contradictory(fewer, self.operators, self.zone):
                found = fewer
        return found

    def follows(self, term: Sequence[Literal], condition: Condition, want: bool) -> bool:
        """Whether ``condition`` is definitely ``want`` wherever the term is so."""
        return self._follows(by_path(term), condition, want)

    def _follows(self, paths: dict[str, list[Literal]], condition: Condition, want: bool) -> bool:
        if isinstance(condition, Test):
            found = (literal(condition, check, self.operators, want) for check in condition.checks)
            each = (readings.entails(paths.get(one.name, ()), one, self.operators, self.zone) for one in found)
            return all(each) if want else any(each)
        if isinstance(condition, Not):
            return self._follows(paths, condition.condition, not want)
        parts = (self._follows(paths, part, want) for part in condition.conditions)
        return all(parts) if isinstance(condition, All) is want else any(parts)

    def matches(self, term: Sequence[Literal], rule: Rule) -> bool:
        """Whether the condition of ``rule`` is true wherever the term is so."""
        paths = by_path(term)
        return (rule.when is None or self._follows(paths, rule.when, True)) and (rule.unless is None or self._follows(paths, rule.unless, False))

    def fails(self, term: Sequence[Literal], rule: Rule) -> bool:
        """Whether the condition of ``rule`` is false wherever the term is so."""
        paths = by_path(term)
        return (rule.when is not None and self._follows(paths, rule.when, False)) or (rule.unless is not None and self._follows(paths, rule.unless, True))

    def covers(self, rule: Rule, terms: Sequence[Term]) -> bool:
        """Whether ``rule`` is true wherever one of the terms, those of another rule, is."""
        return all(self.matches(term, rule) for term in terms)

    def outlasts(self, rule: Rule, other: Rule) -> bool:
        """Whether ``rule`` is not false wherever ``other`` is not: also where something is unknown."""
        failing = terms_of(rule, self.operators, want=False)
        return failing is not None and all(self.fails(term, other) for term in failing)


def by_path(term: Iterable[Literal]) -> dict[str, list[Literal]]:
    """The literals by their path."""
    found: dict[str, list[Literal]] = {}
    for one in term:
        found.setdefault(one.name, []).append(one)
    return found
