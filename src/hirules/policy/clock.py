"""Which rules read the clock? A test of what they are about must say what time it is."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hirules.model.path import Path
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import Check, ListOperand, PolicySet, Position, Rule, Today, Value
from hirules.policy.operators import OPERATORS

_NOW = "context.now"
_AGES = frozenset({"older_than", "newer_than"})
_TIMELESS = (Value, ListOperand, Attribute, Position)


def reading_clock(policies: PolicySet) -> Mapping[str, str]:
    """By action, one rule whose outcome may depend on the time; actions without one are left out. Rules in mode ``off`` read nothing."""
    found: dict[str, str] = {}
    for rule in policies.rules:
        if rule.mode != "off" and not rule.on <= found.keys() and _reads(rule):
            found.update((action, rule.id) for action in rule.on if action not in found)
    return found


def _reads(rule: Rule) -> bool:
    if rule.valid.start is not None or rule.valid.end is not None or rule.exceptions:
        return True  # an exception expires
    return any(_reads_clock(part) for part in (rule.when, rule.unless, rule.effect))


def _reads_clock(value: object) -> bool:
    if isinstance(value, _TIMELESS):
        return False
    if isinstance(value, Path):
        return value.text == _NOW
    if isinstance(value, Today):
        return True
    # what an operator of a plugin reads is not known
    if isinstance(value, Check) and (value.operator in _AGES or value.operator not in OPERATORS):
        return True
    if isinstance(value, msgspec.Struct):
        return any(_reads_clock(getattr(value, name)) for name in value.__struct_fields__)
    if isinstance(value, Mapping):
        return any(map(_reads_clock, value.values()))
    return isinstance(value, list | tuple | frozenset) and any(map(_reads_clock, value))
