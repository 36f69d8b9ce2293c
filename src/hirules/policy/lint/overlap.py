"""Rules that say what another one says already.

``duplicate``     the same condition and the same effect
``shadowed``      an allow or a deny where another one, wider or as wide, always matches too, and speaks in its place
``allow-denied``  an allow that a deny matches wherever it does: it allows nothing
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

import msgspec

from hirules.model.decision import SEVERITIES
from hirules.policy.ast import Deny, Edit, Rewrite, Rule
from hirules.policy.lint.nearby import Nearby
from hirules.policy.lint.subject import Budget, Lint, Subject, at
from hirules.policy.lint.terms import canonical_condition
from hirules.policy.lint.witness import Found

MOST_COMPARED = 40_000
"""Pairs of rules that are compared: rules that name no values are compared each with each."""


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    doubles: set[str] = set()
    for lint, rule in _duplicates(subject):
        doubles.add(rule.id)
        yield lint
    by_action: dict[tuple[str, str], Nearby] = {}
    for rule in subject.enforced:
        terms = subject.terms(rule) if rule.kind in ("allow", "deny") else None
        if terms:
            for action in rule.on:
                by_action.setdefault((action, rule.kind), Nearby(subject.operators)).add(rule, terms)
    compared = subject.budget(MOST_COMPARED, "allow and deny rules")
    for rule in subject.enforced:
        if rule.kind in ("allow", "deny") and rule.id not in doubles:
            yield from _covered(subject, rule, by_action, compared)


# The same twice.


def _duplicates(subject: Subject) -> Iterator[tuple[Lint, Rule]]:
    first: dict[Hashable, Rule] = {}
    for rule in subject.rules:
        key = (rule.kind, rule.mode, rule.on, rule.valid, canonical_condition(rule.when), canonical_condition(rule.unless), _effect(rule), _suspended(rule))
        earlier = first.setdefault(key, rule)
        if earlier is rule:
            continue
        example = _example(subject, rule)
        if example is not None and {earlier.id, rule.id} <= subject.matched([earlier, rule], example):
            yield _said_twice(subject, rule, earlier, example), rule


def _said_twice(subject: Subject, rule: Rule, earlier: Rule, example: Found) -> Lint:
    message = f"`{rule.id}` says what `{earlier.id}` says already"
    return subject.lint(rule.position, "duplicate", message, expected="one of them", hint=f"the first one is in {at(earlier.position)}", example=example)


def _effect(rule: Rule) -> Hashable:
    """Equal for effects that do the same; the reason of a deny is no part of it, nor the note of an audit."""
    match rule.effect:
        case Rewrite(edits=edits, skip_unknown=skip):
            return (skip, frozenset(map(_edit, edits)))
        case Deny(status=status, no_match=no_match):
            return (repr(sorted(status.items())), no_match)
        case effect:
            return repr(effect)


def _edit(edit: Edit) -> Hashable:
    return (edit.edit, edit.path.text, repr(edit.argument))


def _suspended(rule: Rule) -> Hashable:
    return frozenset(exception.id for exception in rule.exceptions)


# Covered by another one.


def _covered(subject: Subject, rule: Rule, by_action: dict[tuple[str, str], Nearby], compared: Budget) -> Iterator[Lint]:
    terms = subject.terms(rule)
    if not terms:
        return
    action = min(rule.on)
    for kind in ("allow", "deny") if rule.kind == "allow" else ("deny",):
        nearby = by_action.get((action, kind))
        for other in () if nearby is None else nearby.of(terms[0]):
            if other is rule or not rule.on <= other.on or not _lasts(subject, other, rule):
                continue
            if not compared.take():
                return
            lint = _denied(subject, rule, other) if kind != rule.kind else _shadowed(subject, rule, other)
            if lint is not None:
                yield lint
                return


def _lasts(subject: Subject, other: Rule, rule: Rule) -> bool:
    """Whether ``other`` is in force wherever ``rule`` is: in time, and for all that may suspend it."""
    if other.valid.start is not None and (rule.valid.start is None or rule.valid.start < other.valid.start):
        return False
    if other.valid.end is not None and (rule.valid.end is None or rule.valid.end > other.valid.end):
        return False
    return all(one.expires <= subject.now or rule.id in one.of for one in other.exceptions)


def _shadowed(subject: Subject, rule: Rule, other: Rule) -> Lint | None:
    terms = subject.terms(rule) or []
    if rule.kind == "deny" and (_rank(rule) < _rank(other) or not subject.prover.outlasts(other, rule)):
        return None
    if rule.kind == "allow" and (not subject.prover.covers(other, terms) or (_is_earlier(rule, other) and _covered_by(subject, other, rule))):
        return None
    example = _example(subject, rule)
    if example is None or not {rule.id, other.id} <= subject.matched([rule, other], example):
        return None
    what = "allows nothing that it does not" if rule.kind == "allow" else "denies nothing that it does not, and never gives the reason"
    message = f"`{rule.id}` is shadowed by `{other.id}`, which matches wherever it does: it {what}"
    return subject.lint(rule.position, "shadowed", message, expected="a condition of its own, or no rule", hint=_hint(other), example=example)


def _hint(other: Rule) -> str:
    return f"`{other.id}` is in {at(other.position)}"


def _rank(rule: Rule) -> tuple[bool, int, str]:
    """Which of several denies speaks: the lowest (LANGUAGE: Effects)."""
    assert isinstance(rule.effect, Deny)
    return (not rule.effect.no_match, -SEVERITIES.index(rule.severity), rule.id)


def _is_earlier(rule: Rule, other: Rule) -> bool:
    return (rule.position.file, rule.position.line, rule.position.column) < (other.position.file, other.position.line, other.position.column)


def _covered_by(subject: Subject, rule: Rule, other: Rule) -> bool:
    """Whether it would be reported the other way round: of two that cover each other the later one is."""
    if not rule.on <= other.on or not _lasts(subject, other, rule):
        return False
    return subject.prover.covers(other, subject.terms(rule) or [])


def _denied(subject: Subject, rule: Rule, deny: Rule) -> Lint | None:
    if not subject.prover.covers(deny, subject.terms(rule) or []):
        return None
    example = _example(subject, rule)
    if example is None or not subject.decide([rule], example).allowed or subject.decide([rule, deny], example).by != (deny.id,):
        return None
    message = f"`{rule.id}` allows nothing: `{deny.id}` denies whatever it allows"
    return subject.lint(rule.position, "allow-denied", message, expected="an `unless` in the deny, or no allow", hint=_hint(deny), example=example)


def _example(subject: Subject, rule: Rule) -> Found | None:
    """A request that the rule matches, while it is valid."""
    found = next(subject.search.satisfying(min(rule.on), subject.terms(rule) or ()), None)
    if found is None:
        return None
    start, end = rule.valid.start, rule.valid.end
    if (start is None or start <= found.now) and (end is None or found.now < end):
        return found
    return msgspec.structs.replace(found, now=start) if start is not None else found
