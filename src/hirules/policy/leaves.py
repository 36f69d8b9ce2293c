"""The few rules that can still matter for a request, and how they are decided.

shared     every test is answered by the way to the leaf, or by a closure that remembers: one decision for all such requests
reference  rewrites, resources, exceptions, quoted or sampled values, unknowns: the reference evaluator with these rules only
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from hirules.model.decision import Decision
from hirules.model.request import Request
from hirules.policy.ast import All, Any, Audit, Check, Condition, Deny, Flag, ListOperand, Nested, Not, Operands, Policy, PolicySet, Quote, Rule, Test, Value
from hirules.policy.conditions import holds
from hirules.policy.needs import resource_names
from hirules.policy.operators import Operator
from hirules.policy.read import View
from hirules.policy.sources import ELSEWHERE, source_of
from hirules.policy.truth import Truth, kleene_all, kleene_any, kleene_not

Fused = Callable[[Request, View], Truth]
_REMEMBERED = 4096
_NOBODYS = Request("")


class Leaf:
    """``rules`` are all that can matter; ``answered`` those whose condition holds by the way here.

    ``settled``  the decision of every request that comes here, where it is the same for all; its ``effective`` is nobody's
    ``shared``   the same for the truths of the closures
    ``settles``  whether nothing but rules decides such requests
    """

    __slots__ = ("_closures", "_decisions", "_settles", "_timed", "reads_resource", "rewrites", "rules", "settled", "shared")

    def __init__(self, rules: tuple[Rule, ...], answered: frozenset[str], exact: bool, operators: Mapping[str, Operator], settles: bool = True) -> None:
        self.rules = rules
        self.reads_resource = any(resource_names(rule) for rule in rules)
        self.rewrites = any(rule.kind == "rewrite" for rule in rules)
        self.shared = exact and not self.rewrites and not self.reads_resource and not any(rule.exceptions for rule in rules)
        self.settled: Decision | None = None
        self._settles = settles
        self._closures = tuple(_of_rule(rule, operators) for rule in rules if rule.id not in answered)
        self._timed = tuple(rule.valid for rule in rules if rule.valid.start is not None or rule.valid.end is not None)
        self._decisions: dict[object, Decision | None] = {}

    def decision(self, request: Request, view: View, decide: Callable[[], Decision]) -> Decision | None:
        """The decision that all requests with the same truths share, its ``effective`` nobody's; ``None`` where it is not shared.

        ``decide`` is the reference evaluator; it is asked once for each combination of truths.
        """
        truths = tuple([closure(request, view) for closure in self._closures])
        if None in truths:
            return None
        now = view.now
        key = (truths, *[(valid.start is None or valid.start <= now) and (valid.end is None or now < valid.end) for valid in self._timed])
        if key in self._decisions:
            return self._decisions[key]
        decision = decide()
        # without the request: what is remembered holds no patient's values
        shared = msgspec.structs.replace(decision, effective=_NOBODYS) if self._shareable(decision) else None
        if len(self._decisions) >= _REMEMBERED:
            self._decisions.clear()
        self._decisions[key] = shared
        if self._settles and not self._closures and not self._timed:
            self.settled = shared
        return shared

    def _shareable(self, decision: Decision) -> bool:
        """Whether nothing in it comes from this request alone."""
        if decision.errors or decision.rewritten or decision.exceptions:
            return False
        return not any(_is_own(rule, decision) for rule in self.rules)


def _is_own(rule: Rule, decision: Decision) -> bool:
    """Whether the rule puts a value of the request, or of its id, into its decisions."""
    match rule.effect:
        case Deny(reason=parts):
            return any(isinstance(part, Quote) for part in parts) and rule.id in decision.by
        case Audit(include=include, sample=sample):
            return bool(include) or sample < 1
        case _:
            return False


def restricted(policies: PolicySet, by_id: Mapping[str, Policy], rules: Iterable[Rule]) -> PolicySet:
    """The set with these rules only; ``by_id`` are its policies by their ids."""
    chosen: dict[str, dict[str, Rule]] = {}
    for rule in rules:
        chosen.setdefault(rule.id.split("/", 1)[0], {})[rule.id] = rule
    kept = []
    for name in sorted(chosen):
        policy, own = by_id[name], chosen[name]
        exceptions = tuple(one for one in policy.exceptions if not own.keys().isdisjoint(one.of))
        kept.append(msgspec.structs.replace(policy, rules=tuple(own.values()), exceptions=exceptions))
    return msgspec.structs.replace(policies, policies=tuple(kept))


# Fused closures: conditions in Kleene's logic, without what explains an unknown.


def _of_rule(rule: Rule, operators: Mapping[str, Operator]) -> Fused:
    parts = [] if rule.when is None else [fused(rule.when, operators)]
    if rule.unless is not None:
        parts.append(_negation(fused(rule.unless, operators)))
    return parts[0] if len(parts) == 1 else _conjunction(parts)


def fused(condition: Condition, operators: Mapping[str, Operator]) -> Fused:
    """A closure that tells the truth of ``condition``, cheap tests first."""
    match condition:
        case Test():
            return _remembering(condition, operators) or _reference(condition, operators)
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
    memo: dict[object, Truth] = {}

    def closure(request: Request, view: View) -> Truth:
        raw = source.raw(request)
        if raw is None or type(raw) is str:
            if raw in memo:
                return memo[raw]
            truth = holds(test, view, operators).truth
            if len(memo) >= _REMEMBERED:
                memo.clear()
            memo[raw] = truth
            return truth
        return holds(test, view, operators).truth

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
