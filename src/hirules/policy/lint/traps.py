"""Conditions that say something else than a reader takes them for.

``several-under-not``      ``not: {a: …, b: …}`` holds as soon as one of them does not
``not-any``                a deny on ``not_in`` of a path with many values matches only where none fits
``absent-matches``         a ``not`` that opens also holds where the attribute is absent (the compiler finds negated operators)
``glob-without-wildcard``  a pattern that is a plain value
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hirules.policy.ast import All, Check, Condition, ExceptionRule, Flag, Items, ListOperand, Nested, Not, Operands, Position, Rule, Test, Value
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode
from hirules.policy.lint.examples import absent
from hirules.policy.lint.subject import Lint, Subject, conditions_of, items_of
from hirules.policy.lint.terms import terms
from hirules.policy.lint.witness import Found

_NEGATED = frozenset({"not_equals", "not_in", "not_glob", "not_regex", "not_cidr"})
_FITS = frozenset({"equals", "in", "glob", "regex", "starts_with", "ends_with", "contains", "contains_any", "cidr"})


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    yield from _several(subject)
    for rule in subject.rules:
        yield from _not_any(subject, rule)
        for condition in conditions_of(rule):
            yield from _globs(subject, condition)
        if rule.kind in ("allow", "deny", "rewrite"):
            for test in _absent(rule.when if rule.kind == "allow" else rule.unless):
                yield _also_absent(subject, test, absent(subject, rule, test) if rule.kind == "allow" else None)
    for policy in subject.policies.policies:
        for exception in policy.exceptions:
            yield from _of_exception(subject, exception)


def _of_exception(subject: Subject, exception: ExceptionRule) -> Iterator[Lint]:
    if exception.when is not None:
        yield from _globs(subject, exception.when)
        for test in _absent(exception.when):
            yield _also_absent(subject, test, None)


# `not` with several keys.


def _several(subject: Subject) -> Iterator[Lint]:
    written = {(part.position.file, part.position.line, part.position.column): found for found in _negations(subject) for part in found.parts[:1]}
    for document in subject.documents.values():
        seen: set[tuple[int, int]] = set()
        for item in (*items_of(document, "rules"), *items_of(document, "exceptions")):
            for part in ("when", "unless"):
                node = item.get(part)
                for key, entries in () if node is None else _nots(node):
                    if (key.line, key.column) not in seen:
                        seen.add((key.line, key.column))
                        names = " and ".join(f"`{name}`" for name in list(entries.entries)[:3])
                        message = f"this `not` holds as soon as one of {names} does not: it fails only where all of them hold"
                        expected = "`not: {all: [{…}, {…}]}` for this, `not: {any: [{…}, {…}]}` for neither"
                        first = next(iter(entries.entries.values()))[0]
                        example = _holding(subject, written.get((document.file, first.line, first.column)))
                        place = Position(document.file, key.line, key.column)
                        yield subject.lint(place, "several-under-not", message, expected=expected, example=example)


class _Negation(msgspec.Struct, frozen=True):
    """A ``not`` of several conditions, and an action that it is for."""

    parts: tuple[Test, ...]
    action: str


def _negations(subject: Subject) -> Iterator[_Negation]:
    for policy in subject.policies.policies:
        actions = {rule.id: min(rule.on) for rule in policy.rules}
        for rule in policy.rules:
            for condition in conditions_of(rule):
                yield from _negations_of(condition, actions[rule.id])
        for exception in policy.exceptions:
            if exception.when is not None:
                yield from _negations_of(exception.when, actions[exception.of[0]])


def _negations_of(condition: Condition, action: str) -> Iterator[_Negation]:
    match condition:
        case Test():
            return
        case Not(All(parts)):
            tests = tuple(part for part in parts if isinstance(part, Test))
            if len(tests) == len(parts):
                yield _Negation(tests, action)
            yield from _negations_of(All(parts), action)
        case Not(inner):
            yield from _negations_of(inner, action)
        case _:
            for part in condition.conditions:
                yield from _negations_of(part, action)


def _holding(subject: Subject, negation: _Negation | None) -> Found | None:
    """A request for which the first of the conditions holds, the second does not, and so the ``not`` does."""
    if negation is None:
        return None
    first, second = negation.parts[:2]
    return next(subject.search.satisfying(negation.action, terms(All((first, Not(second))), subject.operators) or ()), None)


def _nots(node: Node) -> Iterator[tuple[ScalarNode, MappingNode]]:
    if isinstance(node, SequenceNode):
        for item in node.items:
            yield from _nots(item)
    elif isinstance(node, MappingNode):
        for name, (key, value) in node.entries.items():
            if name == "not" and isinstance(value, MappingNode) and len(value.entries) > 1:
                yield key, value
            yield from _nots(value)


# Many values.


def _not_any(subject: Subject, rule: Rule) -> Iterator[Lint]:
    if rule.kind != "deny" or rule.when is None:
        return
    for test in _tests(rule.when):
        for check in test.checks if test.attribute.many else ():
            if check.operator in _NEGATED:
                example = _passing(subject, rule, test, check)
                name, base = check.operator, check.operator.removeprefix("not_")
                all_of = f"`not: {{{test.path}: {{every: {{{base}: …}}}}}}`"
                message = f"`{test.path}` may have several values, and `{name}` holds only where none of them fits: one that fits is enough to pass this deny"
                expected = f"{all_of} to deny where one does not fit, `not: {{{test.path}: {{{_plain(base)}: …}}}}` for what it says now"
                yield subject.lint(check.position, "not-any", message, expected=expected, example=example)


def _plain(base: str) -> str:
    return {"equals": "contains", "in": "contains_any"}.get(base, base)


def _passing(subject: Subject, rule: Rule, test: Test, check: Check) -> Found | None:
    """A request with one value that fits and one that does not, which the deny lets pass."""
    base = Check(check.operator.removeprefix("not_"), check.argument, check.position)
    other = Check("every", Nested((base,)), check.position)
    wanted = All((Test(test.path, test.attribute, (base,), test.position), Not(Test(test.path, test.attribute, (other,), test.position))))
    for found in subject.search.satisfying(min(rule.on), terms(wanted, subject.operators) or ()):
        if rule.id not in subject.matched([rule], found):
            return found
    return None


def _tests(condition: Condition, turned: bool = False) -> Iterator[Test]:
    """The tests outside of any ``not``."""
    match condition:
        case Test():
            if not turned:
                yield condition
        case Not(inner):
            yield from _tests(inner, not turned)
        case _:
            for part in condition.conditions:
                yield from _tests(part, turned)


# Absent attributes.


def _also_absent(subject: Subject, test: Test, example: Found | None) -> Lint:
    message = f"this `not` also holds where `{test.path}` is absent, and this condition opens"
    return subject.lint(test.position, "absent-matches", message, expected=f"`{test.path}: {{exists: true}}` beside the `not`", example=example)


def _absent(condition: Condition | None, turned: bool = False, present: frozenset[str] = frozenset()) -> Iterator[Test]:
    """Tests inside a ``not`` of a condition that opens, without ``exists`` beside it. ``turned``: inside of one."""
    match condition:
        case None:
            return
        case Test(path=path, attribute=attribute, checks=checks):
            if not turned or path.text in present or attribute.default is not None or attribute.empty_means_everything or path.text in _ALWAYS_THERE:
                return
            if all(check.operator in _FITS or check.argument == Flag(True) for check in checks) and any(check.operator in _FITS for check in checks):
                yield condition
        case Not(inner):
            yield from _absent(inner, not turned, present)
        case All(parts):
            there = present if turned else present | {part.path.text for part in parts if isinstance(part, Test) and _asks_presence(part)}
            for part in parts:
                yield from _absent(part, turned, there)
        case _:
            for part in condition.conditions:
                yield from _absent(part, turned, present)


_ALWAYS_THERE = frozenset({"context.now", "request.action"})


def _asks_presence(test: Test) -> bool:
    """Whether the test is false where its path is absent."""
    return any(check.operator in _FITS or (check.operator == "exists" and check.argument == Flag(True)) for check in test.checks)


# Patterns.


def _globs(subject: Subject, condition: Condition) -> Iterator[Lint]:
    match condition:
        case Test(checks=checks):
            for check in checks:
                yield from _glob(subject, check)
        case Not(inner):
            yield from _globs(subject, inner)
        case _:
            for part in condition.conditions:
                yield from _globs(subject, part)


def _glob(subject: Subject, check: Check) -> Iterator[Lint]:
    match check.argument:
        case Nested(checks):
            for inner in checks:
                yield from _glob(subject, inner)
        case Items(condition):
            yield from _globs(subject, condition)
        case Operands(operands) if check.operator in ("glob", "not_glob"):
            plain = next((what for operand in operands for what in _without_wildcard(operand)), None)
            if plain is not None:
                other = "in" if check.operator == "glob" else "not_in"
                message = f"{plain} has no wildcard: as a pattern it is one exact value"
                yield subject.lint(check.position, "glob-without-wildcard", message, expected=f"`*` or `?` in it, or `{other}`")
        case _:
            pass


def _without_wildcard(operand: object) -> Iterator[str]:
    if isinstance(operand, Value) and not _wild(operand.value):
        yield f"`{operand.value!s}`"
    elif isinstance(operand, ListOperand) and not all(map(_wild, operand.values)):
        yield f"a member of `${operand.name}`"


def _wild(value: object) -> bool:
    return "*" in str(value) or "?" in str(value)
