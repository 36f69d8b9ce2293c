"""What follows for one path, whatever a request holds there: absent, everything, a key without a value, one value, or several.

A part that could not be read only ever makes definite checks unknown: so it is enough to look at readings without one, but where
something is to follow *definitely* for all of several values: then a literal must have said that nothing is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from hirules.model.reading import ABSENT, EVERYTHING, Reading
from hirules.policy.ast import Check, Flag, ListOperand, Nested, Operands, PathOperand, Row, Value
from hirules.policy.lint.terms import Literal, Operators
from hirules.policy.lint.values import Values, base_of
from hirules.policy.operators import OPERATORS

_SOME = frozenset({"equals", "in", "contains", "contains_any", "glob", "regex", "starts_with", "ends_with", "lt", "lte", "gt", "gte", "between", "cidr"})
"""They hold where one value fits."""
_ALWAYS_THERE = ("context.now",)
_ZERO_LENGTH = Reading(present=True)


def contradictory(literals: Sequence[Literal], operators: Operators, zone: ZoneInfo) -> bool:
    """Whether no reading of their path is such that all the literals are so."""
    values = Values(literals[0], operators, zone)
    if any(_so(values, literals, state) for state in _states(literals[0])):
        return False
    if not literals[0].attribute.many:
        return values.contradictory(literals)
    each = list(_of_each(literals, operators))
    some = list(_of_some(literals))
    return any(values.contradictory([one, *each]) for one in some) or (bool(each) and values.contradictory(each))


def entails(literals: Sequence[Literal], target: Literal, operators: Operators, zone: ZoneInfo) -> bool:
    """Whether ``target`` is so for every reading of its path for which ``literals``, all of the same path, are."""
    if any(one.sign is target.sign and one.canonical == target.canonical for one in literals):
        return True
    if not any(_is_typed(one, operators) for one in literals):
        return False  # the reading may be unknown
    values = Values(target, operators, zone)
    for state in _states(target):
        if _so(values, literals, state) and not (_decided(target, operators) and values.truth(target.check, state) is target.sign):
            return False
    if not target.attribute.many:
        return values.entails(literals, target)
    return _of_many(values, literals, target, operators)


def _is_typed(literal: Literal, operators: Operators) -> bool:
    """Whether that the literal is so shows that its path, read by its type, is known, at least in part."""
    operator = operators.get(literal.check.operator)
    return operator is not None and operator is OPERATORS.get(operator.name) and not operator.query_keys and operator.name != "row_of"


def _of_many(values: Values, literals: Sequence[Literal], target: Literal, operators: Operators) -> bool:
    each, some = list(_of_each(literals, operators)), list(_of_some(literals))
    if target.check.operator == "exists" and isinstance(target.check.argument, Flag):
        # the states without a value are settled; with a value it exists
        return target.check.argument.value is target.sign and bool(each or some)
    wanted = list(_of_some([target]))
    if wanted:
        return all(any(values.entails([one, *each], want) for one in some) or (bool(each) and values.entails(each, want)) for want in wanted)
    universal = list(_of_each([target], operators))
    return bool(universal) and bool(each) and all(values.entails(each, want) for want in universal)


def _states(literal: Literal) -> Iterator[Reading]:
    """The readings without a value that the path may have."""
    attribute, path = literal.attribute, literal.path
    if attribute.default is None and literal.name not in _ALWAYS_THERE:
        yield EVERYTHING if attribute.empty_means_everything else ABSENT
    if path.names[:1] == ("Identifier",):
        yield _ZERO_LENGTH


def _so(values: Values, literals: Sequence[Literal], state: Reading) -> bool:
    """Whether all literals are so for a reading without a value; what depends on more than the path may be."""
    return all(values.truth(one.check, state) is one.sign for one in literals if _decided(one, values.operators))


def _decided(literal: Literal, operators: Operators) -> bool:
    """Whether what it says of a reading without a value depends on nothing else."""
    name = literal.check.operator
    operator = operators.get(name)
    return operator is not None and operator is OPERATORS.get(name) and not operator.query_keys and _own(literal.check)


def _own(check: Check) -> bool:
    match check.argument:
        case Operands(operands):
            return not any(isinstance(operand, PathOperand) for operand in operands)
        case Nested(checks):
            return all(map(_own, checks))
        case Row():
            return False
        case _:
            return True


def _of_some(literals: Sequence[Literal]) -> Iterator[Literal]:
    """What one value must be, for each literal that asks for one."""
    for one in literals:
        if not one.sign:
            continue
        if one.check.operator in _SOME:
            yield one
        elif one.check.operator == "contains_all" and isinstance(one.check.argument, Operands):
            for operand in one.check.argument.operands:
                singles = [operand] if not isinstance(operand, ListOperand) else [Value(value) for value in operand.values]
                for single in singles:
                    yield Literal(one.path, one.attribute, Check("contains", Operands((single,)), one.check.position), True, one.key)


def _of_each(literals: Sequence[Literal], operators: Operators) -> Iterator[Literal]:
    """What every value must be; where there is such a literal, nothing of the reading is unknown, and if it is true there is a value."""
    for one in literals:
        name, argument = one.check.operator, one.check.argument
        if name in _SOME and not one.sign:
            yield one
        elif name == "subset_of" and one.sign:
            yield Literal(one.path, one.attribute, Check("in", argument, one.check.position), True, one.key)
        elif name == "every" and one.sign and isinstance(argument, Nested):
            for inner in argument.checks:
                base = base_of(inner, operators)
                yield Literal(one.path, one.attribute, base, one.sign if base is inner else not one.sign, one.key)
