"""Which paths do rules read? Known before any request comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from hirules.model.path import Path
from hirules.model.vocabulary import Vocabulary
from hirules.policy.ast import PolicySet, Position, Rule

OF_THE_GATE = frozenset({"context.now", "context.transport"})


class Reads(msgspec.Struct, frozen=True):
    """What the rules of one action read that may have to be looked up."""

    resource: bool = False
    context: frozenset[str] = frozenset()
    """Paths: ``context.purpose_of_use``."""


def reads(policies: PolicySet) -> Mapping[str, Reads]:
    """By action; rules in mode ``off`` read nothing."""
    paths: dict[str, set[Path]] = {action: set() for action in policies.vocabulary.actions}
    for rule in policies.rules:
        if rule.mode != "off":
            read = {path for path, _ in paths_of(rule)}
            for action in rule.on:
                paths[action] |= read
    return {
        action: Reads(
            resource=any(path.root == "resource" for path in found),
            context=frozenset(path.text for path in found if path.root == "context") - OF_THE_GATE,
        )
        for action, found in paths.items()
    }


def paths_of(rule: Rule) -> Iterator[tuple[Path, Position]]:
    """Every path in a rule and its exceptions, with the nearest position around it."""
    yield from _paths(rule, rule.position)


def _paths(value: object, position: Position) -> Iterator[tuple[Path, Position]]:
    if isinstance(value, Path):
        yield value, position
    elif isinstance(value, Vocabulary | str | bytes):
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
