"""What several peers need to say a rule in their own words: the halves of a glob, a network as numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable

from benchmarks.workload import Query, Rule


def number(address: str) -> int:
    """An IPv4 address as a number, for engines that have no addresses but intervals."""
    return sum(int(part) << shift for part, shift in zip(address.split("."), (24, 16, 8, 0), strict=True))


def interval(network: str) -> tuple[int, int]:
    """The first and the last address of a network."""
    start, _, bits = network.partition("/")
    low = number(start)
    return low, low + (1 << (32 - int(bits))) - 1


def halves(glob: str) -> tuple[str, str]:
    """What stands before and after the one ``*``."""
    before, _, after = glob.partition("*")
    return before, after


def like(value: str, glob: str) -> bool:
    """Whether ``value`` is ``glob``, for engines that take a function of the application."""
    before, after = halves(glob)
    return len(value) >= len(before) + len(after) and value.startswith(before) and value.endswith(after)


def common_expressions(rule: Rule, prefix: str = "") -> Iterable[str]:
    """The conditions on level and destination in the Common Expression Language, for both engines that speak it.

    `==` for one value and `in` for several; `startsWith` and `endsWith` for a glob, cheaper than `matches`.
    """
    for name, values in (("level", rule.levels), ("destination", rule.destinations)):
        if len(values) == 1:
            yield f'{prefix}{name} == "{values[0]}"'
        elif values:
            yield f"{prefix}{name} in {json.dumps(values)}"
    if rule.glob:
        before, after = halves(rule.glob)
        if before:
            yield f'{prefix}destination.startsWith("{before}")'
        if after:
            yield f'{prefix}destination.endsWith("{after}")'
        if before and after:
            yield f"size({prefix}destination) >= {len(before) + len(after)}"


def flat(query: Query) -> dict[str, str | int]:
    """A request for engines with neither absent values nor addresses: the empty text, and -1, which no rule names."""
    return {
        "action": query.action,
        "caller": query.caller,
        "study": query.study,
        "level": query.level or "",
        "destination": query.destination or "",
        "address": -1 if query.address is None else number(query.address),
    }
