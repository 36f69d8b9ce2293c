"""One generated hospital: N rules and 2,000 different requests, the same for the same seed.

A rule allows or denies when the action is *a* and, where it says so, the calling AE title is one, one of a few, or in a
list file, the query/retrieve level is one of a set, the move destination is one, one of a few or like a glob, and the
peer's address is in a network. One deny denies, else one allow allows, else it is denied.

The shares are those below; every size has at least one rule of each kind. AE titles grow with the rules (a hospital
with more rules has more nodes), so that the rules which name one node stay a handful: that favours every engine that
keys them, and is how such rule sets look.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

ACTIONS = ("c-find", "c-get", "c-move")
LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
KINDS = ("CT", "MR", "US", "CR", "WS", "RES", "AI", "PACS")

SHARE_OF_DENY = 0.25
SHARE_OF_GLOB = 0.05
SHARE_OF_LIST = 0.03
SHARE_OF_FEW = 0.12
SHARE_OF_NETWORK = 0.03
SHARE_OF_ZONE = 0.001
"""A zone is a network without a calling AE title: `nothing moves from the guest network`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; what is empty is not tested. ``glob`` has one ``*``."""

    id: str
    effect: Literal["allow", "deny"]
    action: str
    callers: tuple[str, ...] = ()
    list: str = ""
    levels: tuple[str, ...] = ()
    destinations: tuple[str, ...] = ()
    glob: str = ""
    network: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """One request; ``None`` is absent."""

    action: str
    caller: str
    study: str
    level: str | None = None
    destination: str | None = None
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Rules, the lists they name, and the requests."""

    rules: Sequence[Rule]
    lists: Mapping[str, tuple[str, ...]]
    callers: Sequence[str]
    queries: Sequence[Query]

    def members(self, rule: Rule) -> tuple[str, ...]:
        """The AE titles that ``rule`` covers, its list resolved; empty: any."""
        return self.lists[rule.list] if rule.list else rule.callers


def generate(size: int, queries: int = 2000, seed: int = 20261121) -> Workload:
    """The workload of ``size`` rules."""
    draw = random.Random(f"{seed}/{size}")
    callers = tuple(_ae_title(number) for number in range(max(6, size // 5)))
    destinations = tuple(draw.sample(callers, max(4, len(callers) // 4)))
    lists = {f"nodes-{number:02}": tuple(sorted(draw.sample(callers, min(20, len(callers) // 3)))) for number in range(max(2, min(40, size // 250)))}
    globs, listed, few, networks, zones = (
        _marked(draw, size, share) for share in (SHARE_OF_GLOB, SHARE_OF_LIST, SHARE_OF_FEW, SHARE_OF_NETWORK, SHARE_OF_ZONE)
    )
    rules = []
    for number in range(size):
        action = "c-move" if number in globs else draw.choices(ACTIONS, (3, 2, 5))[0]
        zone, in_list = number in zones, number in listed
        to = _destinations(draw, destinations, number in globs) if action == "c-move" else ((), "")
        rules.append(
            Rule(
                id=f"rule-{number:05}",
                effect="deny" if draw.random() < SHARE_OF_DENY else "allow",
                action=action,
                callers=() if zone or in_list else tuple(draw.sample(callers, 3 if number in few else 1)),
                list=draw.choice(list(lists)) if in_list and not zone else "",
                levels=tuple(sorted(draw.sample(LEVELS, draw.choices((0, 1, 2, 3), (1, 5, 3, 1))[0]), key=LEVELS.index)),
                destinations=to[0],
                glob=to[1],
                network=_network(draw) if zone or number in networks else "",
            )
        )
    workload = Workload(tuple(rules), lists, callers, ())
    return Workload(workload.rules, lists, callers, _queries(draw, workload, destinations, queries))


def _ae_title(number: int) -> str:
    return f"{KINDS[number % len(KINDS)]}_{number * 7 % 40:02}_{number:04}"


def _marked(draw: random.Random, size: int, share: float) -> frozenset[int]:
    """Which rules are of a kind: the share of them, at least one."""
    return frozenset(draw.sample(range(size), max(1, round(size * share))))


def _destinations(draw: random.Random, known: Sequence[str], glob: bool) -> tuple[tuple[str, ...], str]:
    if glob:
        kind, site, number = draw.choice(known).split("_")
        return (), draw.choices((f"{kind}_{site}_*", f"*_{site}_{number}", f"{kind}_*_{number}"), (7, 2, 1))[0]
    return tuple(sorted(draw.sample(known, draw.choices((0, 1, 2, 3), (2, 5, 2, 1))[0]))), ""


def _network(draw: random.Random) -> str:
    bits = draw.choice((14, 16, 16, 20, 22, 24))
    whole = (10 << 24 | draw.randrange(1 << 24)) >> (32 - bits) << (32 - bits)
    return f"{_dotted(whole)}/{bits}"


def _dotted(number: int) -> str:
    return ".".join(str(number >> shift & 255) for shift in (24, 16, 8, 0))


def _queries(draw: random.Random, workload: Workload, destinations: Sequence[str], count: int) -> tuple[Query, ...]:
    """Three in four are made from a rule, so that they meet it or miss it by little; the others are drawn freely."""
    found: dict[Query, None] = {}
    while len(found) < count:
        rule = draw.choice(workload.rules)
        near = draw.random() < 0.75
        action = rule.action if near else draw.choice(ACTIONS)
        caller = draw.choice(workload.members(rule) or workload.callers) if near else draw.choice((*workload.callers, "STRANGER"))
        level = draw.choice(rule.levels or LEVELS) if near and draw.random() < 0.85 else draw.choice((*LEVELS, None))
        address = _inside(draw, rule.network) if near and rule.network and draw.random() < 0.85 else _dotted(10 << 24 | draw.randrange(1 << 24))
        found[
            Query(
                action=action,
                caller=caller,
                study=f"1.2.826.0.1.{draw.randrange(10**9)}",
                level=level,
                destination=_destination(draw, rule, destinations, near) if action == "c-move" else None,
                address=None if draw.random() < 0.03 else address,
            )
        ] = None
    return tuple(found)


def _inside(draw: random.Random, network: str) -> str:
    start, _, bits = network.partition("/")
    whole = sum(int(part) << shift for part, shift in zip(start.split("."), (24, 16, 8, 0), strict=True))
    return _dotted(whole | draw.randrange(1 << (32 - int(bits))))


def _destination(draw: random.Random, rule: Rule, known: Sequence[str], near: bool) -> str | None:
    if near and rule.glob and draw.random() < 0.85:
        return rule.glob.replace("*", str(draw.randrange(100, 1000)))
    if near and rule.destinations and draw.random() < 0.85:
        return draw.choice(rule.destinations)
    return draw.choice((*known, "NOWHERE", None))
