"""Which paths do rules read? Known before any request comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import assert_never

import msgspec

from hirules.model.path import Path
from hirules.model.vocabulary import Attribute, Vocabulary
from hirules.policy.ast import All, Allow, Any, Condition, Deny, Effect, ListOperand, Not, Operands, PolicySet, Position, Rule, Test, Value
from hirules.policy.buckets import nothing

OF_THE_GATE = frozenset({"context.now", "context.transport"})


class Reads(msgspec.Struct, frozen=True):
    """What the rules of one action read that may have to be looked up."""

    resource: bool = False
    context: frozenset[str] = frozenset()
    """Paths: ``context.purpose_of_use``."""


def reads(policies: PolicySet, between: Callable[[], None] = nothing) -> Mapping[str, Reads]:
    """By action; rules in mode ``off`` read nothing. ``between`` is called between small steps."""
    resource: set[str] = set()
    context: dict[str, set[str]] = {action: set() for action in policies.vocabulary.actions}
    for policy in policies.policies:
        for rule in policy.rules:
            between()
            for path, _ in _paths_of(rule) if rule.mode != "off" else ():
                if path.root == "resource":
                    resource |= rule.on
                elif path.root == "context":
                    for action in rule.on:
                        context[action].add(path.text)
    return {action: Reads(action in resource, frozenset(found) - OF_THE_GATE) for action, found in context.items()}


def paths_of(rule: Rule) -> Iterator[tuple[Path, Position]]:
    """Every path in a rule and its exceptions, with the nearest position around it."""
    yield from _paths_of(rule)


def _paths_of(rule: Rule) -> list[tuple[Path, Position]]:
    found: list[tuple[Path, Position]] = []
    for part in (rule.when, rule.unless):
        if part is not None:
            _condition(part, found)
    if not _is_plain(rule.effect):
        found += _paths(rule.effect, rule.position)
    if rule.exceptions:
        found += _paths(rule.exceptions, rule.position)
    return found


def _is_plain(effect: Effect) -> bool:
    """An allow, or a deny that quotes nothing."""
    return isinstance(effect, Allow) or (isinstance(effect, Deny) and not effect.offending and all(isinstance(part, str) for part in effect.reason))


def _condition(condition: Condition, found: list[tuple[Path, Position]]) -> None:
    """Without what never holds a path: a large set has tens of thousands of tests."""
    if isinstance(condition, Test):
        found.append((condition.path, condition.position))
        for check in condition.checks:
            if not (type(check.argument) is Operands and _CONSTANT.issuperset(map(type, check.argument.operands))):
                found += _paths(check.argument, check.position)
    elif isinstance(condition, All) or isinstance(condition, Any):  # noqa: SIM101 - a union would be made each time
        for one in condition.conditions:
            _condition(one, found)
    elif isinstance(condition, Not):
        _condition(condition.condition, found)
    else:
        assert_never(condition)


_CONSTANT = frozenset({Value, ListOperand})


def _paths(value: object, position: Position) -> Iterator[tuple[Path, Position]]:
    if isinstance(value, Path):
        yield value, position
    elif isinstance(value, Vocabulary | Attribute | Position | str | bytes):
        return
    elif isinstance(value, msgspec.Struct):
        here = getattr(value, "position", position)
        for name in value.__struct_fields__:
            yield from _paths(getattr(value, name), here)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _paths(item, position)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _paths(item, position)
