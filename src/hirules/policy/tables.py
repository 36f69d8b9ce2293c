"""The table of one action: its rules as bits, a column for each attribute that tells them apart, and what follows from their values.

A request's values leave some of the rules in each column; those that all columns leave are a leaf, which decides. What follows from
the raw values alone is remembered by all of them together: one look-up for a request whose like has been decided before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from hirules.model.actions import NARROWING, Action
from hirules.model.decision import Decision
from hirules.model.path import Path
from hirules.model.request import Request
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import Check, PolicySet, Rule
from hirules.policy.buckets import nothing
from hirules.policy.columns import UNKNOWN, Column
from hirules.policy.entries import Entry
from hirules.policy.leaves import Asking, Leaf, Member
from hirules.policy.operators import Operator
from hirules.policy.outcomes import Outcomes
from hirules.policy.sources import REQUEST, Key, Source, recall_of

_KNOWN = 8192
"""Combinations of raw values whose decision is remembered; then they are forgotten, all at once, which takes half a millisecond."""
_LEAVES = 4096
_OCTETS = 4 << 20
"""What the bits of all leaves take at most."""

_BROUGHT: Final = Source(REQUEST, "action")
"""What a C-STORE that a C-GET brings carries: other law holds for it."""


class Table:
    """``known`` has the decisions, shared, that ``recall`` finds by what it reads of a request.

    ``allow``  of an action that only narrows: an allow rule for it in mode ``enforce``, where there is one
    """

    __slots__ = (
        "_columns", "_entries", "_every", "_leaves", "_looked", "_members", "_operators", "_outcomes", "_room", "_sources",
        "allow", "known", "recall",
    )  # fmt: skip

    def __init__(
        self,
        policies: PolicySet,
        action: Action,
        entries: list[Entry],
        allow: Rule | None,
        paths: Mapping[str, tuple[Path, Attribute]],
        operators: Mapping[str, Operator],
        between: Callable[[], None] = nothing,
    ) -> None:
        self._entries, self._operators = entries, operators
        self.allow = allow if action.name in NARROWING else None
        self._every = (1 << len(entries)) - 1
        self._outcomes = Outcomes(policies, action, allow is not None)
        found: dict[str, list[tuple[int, Check]]] = {}
        for at, entry in enumerate(entries):
            for path, check in entry.checks.items():
                found.setdefault(path, []).append((at, check))
            between()
        zone = ZoneInfo(policies.time_zone)
        columns = [Column(*paths[path], checks, len(entries), zone, action.has_resource, between) for path, checks in found.items()]
        in_key = sorted([column for column in columns if not column.lazy], key=lambda column: column.source.place)
        self._looked = [column for column in columns if column.lazy]
        """Their values are looked for only where a rule that is left tests them, and are no part of what is remembered."""
        sources = tuple(column.source for column in in_key)
        self._sources = frozenset(sources)
        self.known: dict[Key, Decision] = {}
        self.recall, places = recall_of((*sources, _BROUGHT) if action.name == "c-store" else sources, self.known)
        # what most rules test comes first: then few are left, and most of the others need not be looked at
        self._columns = sorted(zip(in_key, places, strict=False), key=lambda column: -column[0].tested.bit_count())
        self._leaves: dict[object, Leaf] = {}
        self._room = max(64, min(_LEAVES, _OCTETS * 8 // max(1, len(entries))))
        self._members: dict[int, Member] = {}

    def remember(self, key: Key, decision: Decision) -> None:
        """From now on ``known`` has the decision."""
        if len(self.known) >= _KNOWN:
            self.known.clear()
        self.known[key] = decision

    def find(self, request: Request, now: datetime, key: Key | None) -> tuple[Leaf, bool]:
        """The leaf that ``request`` leads to, and whether it follows from ``key`` alone.

        ``key`` is what ``recall`` reads of the request; without it the identifier is read only as far as rules that are left test it.
        """
        bits, doubt, follows = self._every, 0, key is not None
        for column, at in self._columns:
            if key is not None:
                raw = key[at]
            elif bits & column.tested:
                raw = column.source.raw(request)
            else:
                continue
            if type(raw) is str or raw is None:
                if not bits & column.tested:
                    continue  # whatever the value, it leaves what is left
                mask = column.masks.get(raw)
                if mask is None:
                    mask = column.learn(raw, request, now)
            elif type(raw) is int and column.is_integer:
                follows = False  # to a dictionary `True` is the same key
                mask = column.masks.get(raw)
                if mask is None:
                    mask = column.learn(raw, request, now)
            else:
                mask, follows = column.look(request, now), False
            if mask == UNKNOWN:
                doubt |= column.tested
            else:
                bits &= mask
        for column in self._looked:
            if bits & column.tested:
                mask, follows = column.look(request, now), False
                if mask == UNKNOWN or not column.certain:
                    doubt |= column.tested
                bits &= mask
        doubt &= bits
        alike = (bits, doubt) if doubt else bits
        leaf = self._leaves.get(alike)
        if leaf is None:
            if len(self._leaves) >= self._room:
                self._leaves.clear()
            leaf = self._leaves[alike] = self._leaf(_ones(bits), doubt)
        return leaf, follows

    def fell(self, between: Callable[[], None]) -> None:
        """Take it apart in small steps, once nobody decides by it: to free it at once takes its time."""
        held: list[dict[Any, Any] | list[Any]] = [self.known, self._leaves, self._members, *(column.masks for column, _ in self._columns), self._entries]
        for items in held:
            while items:
                items.pop() if isinstance(items, list) else items.popitem()
                between()

    def _leaf(self, numbers: Sequence[int], doubt: int) -> Leaf:
        if not doubt:
            rules = []
            for number in numbers:
                entry = self._entries[number]
                if not entry.plain:
                    break
                rules.append(entry.rule)
            else:
                return Leaf(rules, self._outcomes.decide(rules))
        members = [(number, self._member(number)) for number in numbers]
        certain = [member for number, member in members if member.answerable and not doubt >> number & 1]
        asked = [member for number, member in members if not member.answerable or doubt >> number & 1]
        return Asking(certain, asked, self._outcomes)

    def _member(self, number: int) -> Member:
        member = self._members.get(number)
        if member is None:
            member = self._members[number] = Member(self._entries[number], self._sources, self._operators)
        return member


def _ones(bits: int) -> Sequence[int]:
    """The numbers of the bits that are set, the highest first."""
    found = []
    while bits:
        number = bits.bit_length() - 1
        found.append(number)
        bits ^= 1 << number
    return found
