"""Conditions as terms: what must be definitely so for a condition to be true, or to be false.

In Kleene's logic a condition is true exactly where one of its terms is: a list of literals, each of which says of one check
of one path that it is definitely true, or definitely false. So what holds for every term holds wherever the condition does.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from functools import cached_property
from itertools import product

from hirules.model.path import Path
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import (
    Age,
    All,
    Any,
    Argument,
    Check,
    Condition,
    Flag,
    Items,
    ListOperand,
    Nested,
    Not,
    Operand,
    Operands,
    PathOperand,
    Position,
    Row,
    Rule,
    Test,
    Today,
    Value,
    Weekdays,
    Window,
)
from hirules.policy.operators import Operator

MOST_TERMS = 96
"""Beyond so many nothing is concluded."""
Term = tuple["Literal", ...]
Operators = Mapping[str, Operator]


class Literal:
    """One check of one path, and whether it is to be true (``sign``) or false. Negated operators are turned round."""

    def __init__(self, path: Path, attribute: Attribute, check: Check, sign: bool, key: Position) -> None:
        self.path = path
        self.attribute = attribute
        self.check = check
        self.sign = sign
        self.key = key
        self.name = path.text

    @cached_property
    def canonical(self) -> Hashable:
        """Equal for equal literals, whichever rule they stand in; without the sign."""
        return (self.name, *canonical_check(self.check))

    def negated(self) -> Literal:
        """The same check with the other sign."""
        return Literal(self.path, self.attribute, self.check, not self.sign, self.key)


def terms_of(rule: Rule, operators: Operators, want: bool = True) -> list[Term] | None:
    """The terms of ``when`` and not ``unless``; ``None`` where there are too many."""
    parts: list[Condition] = [] if rule.when is None else [rule.when]
    if rule.unless is not None:
        parts.append(Not(rule.unless))
    return terms(All(tuple(parts)), operators, want)


def terms(condition: Condition, operators: Operators, want: bool = True) -> list[Term] | None:
    """The terms of ``condition`` being true, or false; ``None`` where there are too many."""
    try:
        return _terms(condition, operators, want)
    except _TooMany:
        return None


class _TooMany(Exception):
    pass


def _terms(condition: Condition, operators: Operators, want: bool) -> list[Term]:
    if isinstance(condition, Test):
        found = [literal(condition, check, operators, want) for check in condition.checks]
        return [tuple(found)] if want else [(one,) for one in found]
    if isinstance(condition, Not):
        return _terms(condition.condition, operators, not want)
    parts = [_terms(part, operators, want) for part in condition.conditions]
    if isinstance(condition, All) is want:
        return _joined(parts)
    return _few([term for part in parts for term in part])


def _joined(parts: Iterable[list[Term]]) -> list[Term]:
    found: list[Term] = [()]
    for part in parts:
        _few_of(len(found) * len(part))
        found = [one + other for one, other in product(found, part)]
    return found


def _few(found: list[Term]) -> list[Term]:
    _few_of(len(found))
    return found


def _few_of(count: int) -> None:
    if count > MOST_TERMS:
        raise _TooMany


def literal(test: Test, check: Check, operators: Operators, sign: bool) -> Literal:
    """One check of a test."""
    operator = operators.get(check.operator)
    if operator is not None and operator.negates is not None:
        return Literal(test.path, test.attribute, Check(operator.negates, check.argument, check.position), not sign, test.position)
    return Literal(test.path, test.attribute, check, sign, test.position)


# Equality whatever the place: positions do not count.


def canonical_check(check: Check) -> tuple[Hashable, ...]:
    """Equal for checks that say the same."""
    return (check.operator, _argument(check.argument))


def canonical_condition(condition: Condition | None) -> Hashable:
    """Equal for conditions that are written alike, whatever the order of their parts."""
    match condition:
        case None:
            return None
        case Test(path=path, checks=checks):
            return ("test", path.text, frozenset(map(canonical_check, checks)))
        case All(parts) | Any(parts):
            return (type(condition).__name__, frozenset(map(canonical_condition, parts)))
        case Not(inner):
            return ("not", canonical_condition(inner))


def _argument(argument: Argument) -> Hashable:
    match argument:
        case Operands(operands):
            return tuple(map(_operand, operands))
        case Nested(checks):
            return ("nested", frozenset(map(canonical_check, checks)))
        case Items(condition):
            return ("item", canonical_condition(condition))
        case Row(table, match):
            return ("row", id(table.rows), frozenset((column, operand.path.text) for column, operand in match))
    return argument if isinstance(argument, Age | Flag | Weekdays | Window) else repr(argument)  # a plugin's own may be anything


def _operand(operand: Operand) -> Hashable:
    match operand:
        case Value(value):
            return repr(value) if isinstance(value, Mapping) else ("value", value)
        case ListOperand(members=members):
            return ("list", members)
        case PathOperand(path=path):
            return ("path", path.text)
        case Today(offset):
            return ("today", offset)
