"""Conditions that say something else than a reader takes them for.

``several-under-not``      ``not: {a: …, b: …}`` holds as soon as one of them does not
``not-any``                a deny on ``not_in`` of a path with many values matches only where none fits
``absent-matches``         a ``not`` that opens also holds where the attribute is absent (the compiler finds negated operators)
``glob-without-wildcard``  a pattern that is a plain value
"""

from __future__ import annotations

from collections.abc import Iterator

from hirules.policy.ast import All, Check, Condition, ExceptionRule, Flag, Items, ListOperand, Nested, Not, Operands, Position, Rule, Test, Value
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode
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
            yield from _absent(subject, rule.when if rule.kind == "allow" else rule.unless)
    for policy in subject.policies.policies:
        for exception in policy.exceptions:
            yield from _of_exception(subject, exception)


def _of_exception(subject: Subject, exception: ExceptionRule) -> Iterator[Lint]:
    if exception.when is not None:
        yield from _globs(subject, exception.when)
        yield from _absent(subject, exception.when)


# `not` with several keys.


def _several(subject: Subject) -> Iterator[Lint]:
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
                        yield subject.lint(Position(document.file, key.line, key.column), "several-under-not", message, expected=expected)


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


def _absent(subject: Subject, condition: Condition | None, turned: bool = False, present: frozenset[str] = frozenset()) -> Iterator[Lint]:
    """Tests inside a ``not`` of a condition that opens, without ``exists`` beside it. ``turned``: inside of one."""
    match condition:
        case None:
            return
        case Test(path=path, attribute=attribute, checks=checks, position=position):
            if not turned or path.text in present or attribute.default is not None or attribute.empty_means_everything or path.text in _ALWAYS_THERE:
                return
            if all(check.operator in _FITS or check.argument == Flag(True) for check in checks) and any(check.operator in _FITS for check in checks):
                message = f"this `not` also holds where `{path}` is absent, and this condition opens"
                yield subject.lint(position, "absent-matches", message, expected=f"`{path}: {{exists: true}}` beside the `not`")
        case Not(inner):
            yield from _absent(subject, inner, not turned, present)
        case All(parts):
            there = present if turned else present | {part.path.text for part in parts if isinstance(part, Test) and _asks_presence(part)}
            for part in parts:
                yield from _absent(subject, part, turned, there)
        case _:
            for part in condition.conditions:
                yield from _absent(subject, part, turned, present)


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
