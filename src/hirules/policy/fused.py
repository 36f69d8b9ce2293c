"""Fused closures: conditions in Kleene's logic, cheap tests first, without what explains an unknown.

A closure says what ``conditions.holds`` says. One on a single raw value remembers it by that value.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from hirules.model.path import Name
from hirules.model.reading import ByKeyword
from hirules.model.request import Request
from hirules.policy.ast import All, Any, Check, Condition, Flag, ListOperand, Nested, Not, Operands, Rule, Test, Value
from hirules.policy.conditions import holds
from hirules.policy.operators import Operator
from hirules.policy.read import View
from hirules.policy.sources import ELSEWHERE, Source, source_of
from hirules.policy.truth import Truth, kleene_all, kleene_any, kleene_not

Fused = Callable[[Request, View], Truth]
_REMEMBERED = 512
_UNSEEN = object()


def fused_rule(rule: Rule, operators: Mapping[str, Operator]) -> Fused:
    """A closure that tells whether ``when`` holds and ``unless`` does not."""
    parts = [] if rule.when is None else [fused(rule.when, operators)]
    if rule.unless is not None:
        parts.append(_negation(fused(rule.unless, operators)))
    return parts[0] if len(parts) == 1 else _conjunction(parts)


def follows_from(rule: Rule, sources: Collection[Source]) -> bool:
    """Whether the truth of the rule depends on nothing but what stands at these sources."""
    return all(condition is None or _follows(condition, sources) for condition in (rule.when, rule.unless))


def _follows(condition: Condition, sources: Collection[Source]) -> bool:
    match condition:
        case Test(path=path, attribute=attribute, checks=checks):
            return source_of(path, attribute.type) in sources and all(map(_static, checks))
        case Not(inner):
            return _follows(inner, sources)
        case All(conditions) | Any(conditions):
            return all(_follows(one, sources) for one in conditions)


def fused(condition: Condition, operators: Mapping[str, Operator]) -> Fused:
    """A closure that tells the truth of ``condition``."""
    match condition:
        case Test():
            return _remembering(condition, operators) or _of_element(condition, operators) or _reference(condition, operators)
        case Not(inner):
            return _negation(fused(inner, operators))
        case All(conditions):
            return _conjunction([fused(one, operators) for one in sorted(conditions, key=_cost)])
        case Any(conditions):
            return _disjunction([fused(one, operators) for one in sorted(conditions, key=_cost)])


def _cost(condition: Condition) -> int:
    match condition:
        case Test(path=path, attribute=attribute, checks=checks):
            if path.root in ("resource", "instance"):
                return 3
            return 0 if source_of(path, attribute.type).place and all(_static(check) for check in checks) else 1
        case _:
            return 2


def _negation(inner: Fused) -> Fused:
    return lambda request, view: kleene_not(inner(request, view))


def _conjunction(parts: list[Fused]) -> Fused:
    def closure(request: Request, view: View) -> Truth:
        truths = []
        for part in parts:
            truth = part(request, view)
            if truth is False:
                return False
            truths.append(truth)
        return kleene_all(truths)

    return closure


def _disjunction(parts: list[Fused]) -> Fused:
    def closure(request: Request, view: View) -> Truth:
        truths = []
        for part in parts:
            truth = part(request, view)
            if truth is True:
                return True
            truths.append(truth)
        return kleene_any(truths)

    return closure


def _reference(test: Test, operators: Mapping[str, Operator]) -> Fused:
    return lambda request, view: holds(test, view, operators).truth


def _remembering(test: Test, operators: Mapping[str, Operator]) -> Fused | None:
    """A closure that asks the reference once for each raw text; ``None`` where the truth depends on more."""
    source = source_of(test.path, test.attribute.type)
    if source.place == ELSEWHERE or not all(_static(check) for check in test.checks):
        return None
    memo: dict[object, object] = {}

    def closure(request: Request, view: View) -> Truth:
        raw = source.raw(request)
        if raw is None or type(raw) is str:
            known = memo.get(raw, _UNSEEN)
            if known is not _UNSEEN:
                return known  # type: ignore[return-value]
            truth = holds(test, view, operators).truth
            if len(memo) >= _REMEMBERED:
                memo.clear()
            memo[raw] = truth
            return truth
        return holds(test, view, operators).truth

    return closure


def _of_element(test: Test, operators: Mapping[str, Operator]) -> Fused | None:
    """As :func:`_remembering`, for an element of a data set from the wire; ``None`` where the path is no keyword alone."""
    path = test.path
    if path.root != "instance" or path.original or len(path.elements) != 1 or not all(_static(check) for check in test.checks):
        return None
    step = path.elements[0]
    if not isinstance(step, Name):
        return None
    name = step.name
    memo: dict[str, Truth] = {}

    def closure(request: Request, view: View) -> Truth:
        instance = view.request.instance
        # under one key only: no other spelling has a value to be read beside it
        raw = instance.get(name) if isinstance(instance, ByKeyword) and view.place is None else None
        if type(raw) is not str or not raw:
            return holds(test, view, operators).truth
        known = memo.get(raw, _UNSEEN)
        if known is not _UNSEEN:
            return known  # type: ignore[return-value]
        truth = holds(test, view, operators).truth
        if len(memo) >= _REMEMBERED:
            memo.clear()
        memo[raw] = truth
        return truth

    return closure


_STATIC_OPERATORS = frozenset(
    {
        "exists", "equals", "not_equals", "in", "not_in", "glob", "not_glob", "regex", "not_regex", "starts_with", "ends_with", "lt", "lte", "gt", "gte",
        "between", "contains", "contains_any", "contains_all", "subset_of", "every", "cidr", "not_cidr", "wildcard", "universal",
    }
)  # fmt: skip
"""Operators whose truth depends on the value and their argument only; a plugin's may depend on anything."""


def _static(check: Check) -> bool:
    if check.operator not in _STATIC_OPERATORS:
        return False
    match check.argument:
        case Flag():
            return True
        case Operands(operands):
            return all(isinstance(operand, Value | ListOperand) for operand in operands)
        case Nested(checks):
            return all(_static(inner) for inner in checks)
        case _:
            return False
