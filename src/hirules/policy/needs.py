"""Which attributes of the resource do rules still need? Asked before anything is looked up, so that only what matters is.

needs        names below ``resource.`` for the request as it came
needs_after  the effective request, and the names that rules need of what *it* reaches
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from hirules.model.path import Name, Path
from hirules.model.request import Request
from hirules.policy.ast import (
    All,
    Any,
    Argument,
    Audit,
    Condition,
    Deny,
    Items,
    Nested,
    Not,
    Operands,
    PathOperand,
    PolicySet,
    Quote,
    Rewrite,
    Row,
    Rule,
    Test,
)  # fmt: skip
from hirules.policy.conditions import applies
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.entities import UNKNOWN_ENTITY, entities_of
from hirules.policy.evaluate import reselected, setting_of
from hirules.policy.matching import Setting
from hirules.policy.operators import OPERATORS, Operator
from hirules.policy.read import View
from hirules.policy.rewriting import Rewriting, rewrite
from hirules.policy.verdict import Verdict

NOTHING: frozenset[str] = frozenset()
_DECIDING = ("deny", "allow", "audit")


def needs(
    policies: PolicySet,
    request: Request,
    now: datetime,
    verdicts: Sequence[Verdict] = (),
    *,
    operators: Mapping[str, Operator] = OPERATORS,
    edits: Mapping[str, EditKind] = EDITS,
) -> frozenset[str]:
    """Names below ``resource.`` that rules which are undecided without it would read, shadow rules too; empty where it is given."""
    setting = setting_of(policies, request, now, operators, edits)
    if request.resource is not None or not _has_resource(policies, request):
        return NOTHING
    before = View(request, request, UNKNOWN_ENTITY, setting.now, setting.zone)
    undecided = _names(_rules(setting, ("rewrite",)), before, setting)
    if any(_names([rule], before, setting) for rule in setting.rules("rewrite", "enforce")):
        # what the effective request is depends on the resource: whatever a rule might read of it
        return undecided | frozenset(name for rule in _rules(setting, _DECIDING) for name in _all_names(rule, setting))
    rewriting = rewrite(setting, request, (UNKNOWN_ENTITY,), verdicts)
    # what the request as it came reaches is of no use to rules that look at what the effective one reaches
    return undecided if rewriting.selects else undecided | _after(setting, request, rewriting)


def needs_after(
    policies: PolicySet,
    request: Request,
    now: datetime,
    verdicts: Sequence[Verdict] = (),
    *,
    operators: Mapping[str, Operator] = OPERATORS,
    edits: Mapping[str, EditKind] = EDITS,
) -> tuple[Request, frozenset[str]]:
    """The effective request, and the names that are needed of what it reaches: none unless a rewrite changed what selects it.

    What a look-up for the effective request answers belongs in ``resource_after`` of ``request``.
    """
    setting = setting_of(policies, request, now, operators, edits)
    if not _has_resource(policies, request):
        return request, NOTHING
    rewriting = rewrite(setting, request, entities_of(request.resource, has_resource=True), verdicts)
    effective = reselected(request, rewriting)
    if not rewriting.selects or request.resource_after is not None:
        return effective, NOTHING
    return effective, _after(setting, request, rewriting)


def _has_resource(policies: PolicySet, request: Request) -> bool:
    action = policies.vocabulary.actions.get(request.action)
    return action is not None and action.has_resource


def _after(setting: Setting, request: Request, rewriting: Rewriting) -> frozenset[str]:
    view = View(rewriting.effective, request, UNKNOWN_ENTITY, setting.now, setting.zone)
    return _names(_rules(setting, _DECIDING), view, setting)


def _rules(setting: Setting, kinds: Sequence[str]) -> list[Rule]:
    return [rule for kind in kinds for mode in ("enforce", "shadow") for rule in setting.rules(kind, mode)]


def _names(rules: Iterable[Rule], view: View, setting: Setting) -> frozenset[str]:
    """What the rules still read of the resource, at a ``view`` that does not know it."""
    return frozenset(name for rule in rules for name in _undecided(rule, view, setting))


def _undecided(rule: Rule, view: View, setting: Setting) -> Iterator[str]:
    truth = applies(rule.when, rule.unless, view, setting.operators, None).truth
    if truth is False:
        return
    if truth is None:
        yield from _of_conditions((rule.when, rule.unless))
    for exception in setting.exceptions(rule):
        if applies(exception.when, None, view, setting.operators, None).truth is None:
            yield from _of_conditions((exception.when,))
    yield from _of_effect(rule)


def resource_names(rule: Rule) -> frozenset[str]:
    """Every name below ``resource.`` that the rule, or one of its exceptions, reads."""
    return frozenset((*_of_conditions((rule.when, rule.unless, *(one.when for one in rule.exceptions))), *_of_effect(rule)))


def _all_names(rule: Rule, setting: Setting) -> Iterator[str]:
    yield from _of_conditions((rule.when, rule.unless, *(exception.when for exception in setting.exceptions(rule))))
    yield from _of_effect(rule)


def _of_conditions(conditions: Iterable[Condition | None]) -> Iterator[str]:
    for condition in conditions:
        match condition:
            case All(inner) | Any(inner):
                yield from _of_conditions(inner)
            case Not(one):
                yield from _of_conditions((one,))
            case Test(path=path, checks=checks):
                yield from _of_path(path)
                for check in checks:
                    yield from _of_argument(check.argument)
            case None:
                pass


def _of_argument(argument: Argument) -> Iterator[str]:
    match argument:
        case Operands(operands):
            yield from (name for operand in operands if isinstance(operand, PathOperand) for name in _of_path(operand.path))
        case Row(match=columns):
            yield from (name for _, operand in columns for name in _of_path(operand.path))
        case Nested(checks):
            yield from (name for check in checks for name in _of_argument(check.argument))
        case Items(condition):
            yield from _of_conditions((condition,))
        case _:
            pass


def _of_effect(rule: Rule) -> Iterator[str]:
    match rule.effect:
        case Deny(reason=parts):
            yield from (name for part in parts if isinstance(part, Quote) for name in _of_path(part.path))
        case Audit(include=quotes):
            yield from (name for quote in quotes for name in _of_path(quote.path))
        case Rewrite(edits=edits):
            for edit in edits:
                operands = edit.argument if isinstance(edit.argument, tuple) else (edit.argument,)
                yield from (name for operand in operands if isinstance(operand, PathOperand) for name in _of_path(operand.path))
        case _:
            pass


def _of_path(path: Path) -> Iterator[str]:
    """The name that a look-up is asked for: the element at the top, or the attribute's own name."""
    if path.root != "resource" or not path.steps:
        return
    first = path.steps[0]
    yield first.name if isinstance(first, Name) else path.text.split(".", 1)[1]
