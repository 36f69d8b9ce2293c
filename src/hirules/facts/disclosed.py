"""What the rules for `answer` and `release` need of a data set that is about to leave. Known before any comes; pure.

A data set is held only as far as its elements go that some rule reads or edits: what is decided from the header does not wait
for the pixels. ``instance.**``, ``instance.private`` and ``keep_only`` on the whole need all of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from pydicom.datadict import tag_for_keyword

from hirules.facts.reads import paths_of
from hirules.model.path import Name, PrivateTag, Step, Tag
from hirules.policy.ast import All, Condition, Deny, Operands, PolicySet, Rule, Test, Value

PIXELS = 0x7FE00000
"""Where the header of an image ends: group 7FE0 holds its pixels (PS3.3 §C.7.6.3)."""


class Disclosed(msgspec.Struct, frozen=True):
    """What rules need of a data set.

    ``applies``  a rule could refuse, change or note it
    ``whole``    some need more than the elements before group 7FE0
    ``names``    keywords of the top-level elements that they read or edit
    ``hides``    one could have it answered as if it did not exist
    """

    applies: bool = False
    whole: bool = False
    names: frozenset[str] = frozenset()
    hides: bool = False


NOTHING = Disclosed()


def disclosed(policies: PolicySet, action: str, asking: str) -> Disclosed:
    """What the rules for ``action``, in force or in shadow, need where ``asking`` brought the data set about."""
    rules = [rule for policy in policies.policies for rule in policy.rules if rule.mode != "off" and action in rule.on and could_apply(rule, asking)]
    elements = [path.elements for rule in rules for path, _ in paths_of(rule) if path.root == "instance"]
    return Disclosed(
        applies=bool(rules),
        whole=any(not steps or _highest(steps[0]) >= PIXELS for steps in elements),
        names=frozenset(name for steps in elements for name in _name(steps)),
        hides=any(rule.mode == "enforce" and isinstance(rule.effect, Deny) and rule.effect.no_match for rule in rules),
    )


def could_apply(rule: Rule, asking: str) -> bool:
    """Whether ``when`` does not exclude what asked. An allow rule counts in any case: that there is one changes what holds without it."""
    return rule.kind == "allow" or not any(_excludes(test, asking) for test in _needed(rule.when))


def _needed(condition: Condition | None) -> Iterator[Test]:
    """Tests that must all hold."""
    if isinstance(condition, Test):
        yield condition
    elif isinstance(condition, All):
        for one in condition.conditions:
            yield from _needed(one)


def _excludes(test: Test, asking: str) -> bool:
    if test.path.text != "request.action":
        return False
    for check in test.checks:
        argument = check.argument
        if check.operator not in ("equals", "in") or not isinstance(argument, Operands):
            continue
        values = {operand.value for operand in argument.operands if isinstance(operand, Value)}
        if len(values) == len(argument.operands) and asking not in values:
            return True
    return False


def _highest(step: Step) -> int:
    """The highest tag that a first step leads to; beyond every one where it may lead anywhere."""
    match step:
        case Name(name):
            return tag_for_keyword(name) or _ANYWHERE
        case Tag(group, element):
            return int((group + element).replace("x", "F"), 16)
        case PrivateTag(group):
            return group << 16 | 0xFFFF
        case _:
            return _ANYWHERE


_ANYWHERE = 1 << 32


def _name(steps: tuple[Step, ...]) -> Iterator[str]:
    if steps and isinstance(steps[0], Name):
        yield steps[0].name
