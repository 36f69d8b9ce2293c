"""Rules that can never match, and rules that always do.

``never-matches``  no request makes the condition true: its parts exclude each other
``always``         no request makes it false, although it has a condition
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hirules.policy.ast import ExceptionRule, ListOperand, Operands, Rule
from hirules.policy.lint.subject import Lint, Subject
from hirules.policy.lint.terms import Literal, Term, terms, terms_of
from hirules.policy.lint.witness import Found


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    for rule in subject.rules:
        if subject.never(rule):
            yield from _never(subject, rule)
        else:
            yield from _always(subject, rule)
    for policy in subject.policies.policies:
        by_id = {rule.id: rule for rule in policy.rules}
        for exception in policy.exceptions:
            yield from _exception(subject, exception, [by_id[name] for name in exception.of if name in by_id])


def _never(subject: Subject, rule: Rule) -> Iterator[Lint]:
    found = terms_of(rule, subject.operators) or []
    culprits = [culprit for term in found if (culprit := subject.prover.impossible(term)) is not None]
    if any(_is_empty_list(one) for culprit in culprits for one in culprit):
        return  # the finding about the empty list says it
    last = _last(subject.prover.reduced(culprits[0]))
    unknown = "" if rule.kind == "allow" else "; where that is unknown it still matches"
    message = f"`{rule.id}` never matches: nothing that `{last.name}` may hold satisfies all of its conditions{unknown}"
    yield subject.lint(last.check.position, "never-matches", message, expected="conditions that can hold together")


def _last(culprit: Sequence[Literal]) -> Literal:
    return max(culprit, key=lambda one: (one.check.position.line, one.check.position.column))


def _is_empty_list(one: Literal) -> bool:
    argument = one.check.argument
    return isinstance(argument, Operands) and any(isinstance(operand, ListOperand) and not operand.values for operand in argument.operands)


def _always(subject: Subject, rule: Rule) -> Iterator[Lint]:
    if rule.when is None and rule.unless is None:
        return  # a deny or an audit for everything says what it means; the compiler warns of the others
    failing = terms_of(rule, subject.operators, want=False)
    if not failing or any(subject.prover.impossible(term) is None for term in failing):
        return
    example = _example(subject, rule)
    if example is not None and rule.id in subject.matched([rule], example):
        message = f"`{rule.id}` matches every request of its actions: its conditions cannot fail"
        yield subject.lint(rule.position, "always", message, expected="a condition that some requests do not satisfy, or none at all", example=example)


def _example(subject: Subject, rule: Rule) -> Found | None:
    return next(subject.search.satisfying(min(rule.on), subject.terms(rule) or ()), None)


def _exception(subject: Subject, exception: ExceptionRule, rules: Sequence[Rule]) -> Iterator[Lint]:
    own = None if exception.when is None else terms(exception.when, subject.operators)
    if own is None or exception.expires <= subject.now or not rules:
        return
    culprits: list[Sequence[Literal]] = []
    for rule in rules:
        for term in _together(subject, rule, own):
            culprit = subject.prover.impossible(term)
            if culprit is None:
                return
            culprits.append(culprit)
    if not culprits or any(_is_empty_list(one) for culprit in culprits for one in culprit):
        return
    reduced = subject.prover.reduced(culprits[0])
    last = _last([one for one in reduced if one in _literals(own)] or reduced)
    message = f"the exception `{exception.id}` never suspends anything: nothing that `{last.name}` may hold satisfies it and a rule that it names"
    yield subject.lint(last.check.position, "never-matches", message, expected="a condition that fits the rules under `of`")


def _together(subject: Subject, rule: Rule, own: Sequence[Term]) -> Iterator[Term]:
    """What makes the rule and the exception match; nothing at all where the rule has too many ways."""
    found = subject.terms(rule)
    if found is None:
        yield ()
        return
    yield from (term + one for term in found for one in own)


def _literals(found: Sequence[Term]) -> list[Literal]:
    return [one for term in found for one in term]
