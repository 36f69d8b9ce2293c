"""The trees of the indexed evaluator: one for each action, a node for each attribute that tells rules apart.

A node's attribute is the one that most of its rules test. What follows for a value is found by buckets and bitsets and
remembered by the raw text. Where few of many rules are left, they go on in a tree of their own, with small bitsets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.actions import NARROWING
from hirules.model.path import Path
from hirules.model.reading import Reading
from hirules.model.request import Request
from hirules.model.scalars import read as canonical
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import All, Check, Condition, PolicySet, Rule, Test
from hirules.policy.buckets import Bucket, indexable, necessary, nothing
from hirules.policy.entities import entities_of
from hirules.policy.leaves import Leaf
from hirules.policy.operators import Operator
from hirules.policy.read import View, read
from hirules.policy.sources import ELSEWHERE, source_of

_VALUES = 4096
"""Values that one node remembers, and readings of one path."""
_NODES = 65536
"""Nodes that are kept; then the trees start anew."""
_SPLIT = 4
"""A tree of their own for at most this part of the rules."""

ANY = entities_of(None, has_resource=False)[0]
"""The entity of what has no resource, or reads none."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A rule in a tree, with the checks by which it can be found.

    ``answerable``  the checks are all of its condition
    ``always``      it is in every leaf
    """

    rule: Rule
    checks: Mapping[str, Check]
    answerable: bool
    always: bool = False


class Node:
    """``memo`` has the next node by the raw value at ``place`` and ``name``; a node with a ``leaf`` is the end of the way.

    ``bits``   the rules of ``tree`` that can still matter
    ``exact``  nothing on the way was unknown
    ``used``   the paths that the way has passed
    """

    __slots__ = ("bits", "bucket", "children", "exact", "leaf", "memo", "name", "place", "tree", "used")

    def __init__(self, tree: Tree, bits: int, exact: bool, used: frozenset[str]) -> None:
        self.tree, self.bits, self.exact, self.used = tree, bits, exact, used
        self.memo: dict[object, Node] = {}
        self.children: dict[tuple[int, bool], Node] = {}
        self.bucket: Bucket | None = None
        self.place = ELSEWHERE
        self.name = ""
        self.leaf: Leaf | None = None


class Forest:
    """All trees, and what they share: what was read, and leaves with the same rules.

    ``between`` is called between small steps of making it, by whom others run beside.
    """

    def __init__(self, policies: PolicySet, operators: Mapping[str, Operator], between: Callable[[], None] = nothing) -> None:
        self.zone = ZoneInfo(policies.time_zone)
        self.policies = {policy.id: policy for policy in policies.policies}
        self._operators = operators
        self._actions = policies.vocabulary.actions
        self._paths: dict[str, tuple[Path, Attribute]] = {}
        self._texts: dict[int, str] = {}
        self._used: dict[frozenset[str], frozenset[str]] = {}
        entries = []
        for rule in policies.rules:
            if rule.mode != "off":
                entries.append(self._entry(rule))
            between()
        self._entries = _by_action(self._actions, entries, between)
        self.plant(between)

    def plant(self, between: Callable[[], None] = nothing) -> None:
        """Begin anew: no node but the roots."""
        self.nodes = 0
        self._leaves: dict[object, Leaf] = {}
        self._readings: dict[str, dict[object, Reading | None]] = {}
        self.roots = {action: Tree(self, action, entries, between=between).node(None, True, frozenset()) for action, entries in self._entries.items()}

    def one(self, used: frozenset[str]) -> frozenset[str]:
        """The one of these paths that all nodes share: thousands have passed the same."""
        return self._used.setdefault(used, used)

    def fell(self, between: Callable[[], None]) -> None:
        """Take it apart in small steps, once nobody decides by it: its nodes hold each other, and to free them at once takes its time."""
        nodes, self.roots = list(self.roots.values()), {}
        while nodes:
            node = nodes.pop()
            nodes += node.children.values()
            node.children.clear()
            node.memo.clear()
            node.leaf = None
            del node.tree, node
            between()
        for entries in self._entries.values():
            _emptied(entries, between)
        _emptied(self._leaves, between)
        for readings in self._readings.values():
            _emptied(readings, between)

    def bucket(self, path: str) -> Bucket:
        """An empty bucket for a path that rules test."""
        return Bucket(*self._paths[path])

    def leaf(self, action: str, entries: Sequence[Entry], exact: bool, used: frozenset[str]) -> Leaf:
        """The leaf of these rules; one for all ways that tell as much of them."""
        told = [exact and entry.answerable and not entry.always and used.issuperset(entry.checks) for entry in entries]
        key = (action, exact, *[(entry.rule.id, answered) for entry, answered in zip(entries, told, strict=True)])
        found = self._leaves.get(key)
        if found is None:
            answered = frozenset(entry.rule.id for entry, yes in zip(entries, told, strict=True) if yes)
            found = self._leaves[key] = Leaf(tuple(entry.rule for entry in entries), answered, exact, self._operators, settles=action != "c-store")
        return found

    def reading(self, bucket: Bucket, raw: object, request: Request, now: datetime) -> Reading | None:
        """What the bucket's path yields; ``None`` where something of it is unknown, or where empty means everything."""
        if not (raw is None or type(raw) is str):
            return self._read(bucket, request, now)
        known = self._readings.setdefault(bucket.path.text, {})
        if raw not in known:
            if len(known) >= _VALUES:
                known.clear()
            known[raw] = found = _plain(bucket, raw) or self._read(bucket, request, now)
            return found
        return known.get(raw)

    def _read(self, bucket: Bucket, request: Request, now: datetime) -> Reading | None:
        entities = entities_of(request.resource, self._actions[request.action].has_resource) if bucket.path.root == "resource" else (ANY,)
        values: tuple[object, ...] = ()
        for entity in entities:
            seen = read(bucket.path, bucket.attribute, View(request, request, entity, now, self.zone))
            if seen.unknown is not None or seen.everything or not _encodable(seen.values):
                return None
            values += seen.values
        return Reading(values, present=bool(values))

    def _entry(self, rule: Rule) -> Entry:
        tests = necessary(rule.when)
        checks: dict[str, Check] = {}
        for test in tests:
            check = indexable(test)
            if check is not None and (text := self._text(test)) not in checks:
                checks[text] = check
        answerable = rule.unless is None and len(checks) == len(tests) and all(len(test.checks) == 1 for test in tests)
        answerable = answerable and (rule.when is None or _is_conjunction(rule.when))
        return Entry(rule, checks, answerable)

    def _text(self, test: Test) -> str:
        """The path's text, spelled once for all rules that share the path. The rules are kept, so no other path gets its identity."""
        text = self._texts.get(id(test.path))
        if text is None:
            text = self._texts[id(test.path)] = test.path.text
            self._paths.setdefault(text, (test.path, test.attribute))
        return text


def _plain(bucket: Bucket, raw: object) -> Reading | None:
    """What a plain text reads: what ``read`` answers for it, at a tenth of its cost; ``None`` where ``read`` must say."""
    if type(raw) is not str or "\\" in raw or not raw.isascii():
        return None
    try:
        value = canonical(bucket.attribute.type, raw)
    except (ValueError, ArithmeticError):
        return None
    return None if value == "" else Reading((value,), present=True)


def _emptied(items: list[Any] | dict[Any, Any], between: Callable[[], None]) -> None:
    while items:
        items.pop() if isinstance(items, list) else items.popitem()
        between()


def _by_action(actions: Iterable[str], entries: Iterable[Entry], between: Callable[[], None]) -> Mapping[str, list[Entry]]:
    """The rules for each action.

    INVARIANT: whether an action that only narrows has an allow rule counts, whatever the rule says: one is in every leaf.
    """
    found: dict[str, list[Entry]] = {action: [] for action in actions}
    narrowed: set[str] = set()
    for entry in entries:
        for action in entry.rule.on:
            if action in NARROWING and action not in narrowed and entry.rule.kind == "allow" and entry.rule.mode == "enforce":
                narrowed.add(action)
                found[action].append(msgspec.structs.replace(entry, always=True))
            else:
                found[action].append(entry)
        between()
    return found


class Tree:
    """Rules, as bits, and the buckets that find them."""

    def __init__(
        self, forest: Forest, action: str, entries: Sequence[Entry], used: frozenset[str] = frozenset(), *, between: Callable[[], None] = nothing
    ) -> None:
        self._forest = forest
        self._action = action
        self._entries = entries
        self._always = sum(1 << at for at, entry in enumerate(entries) if entry.always)
        self._buckets: dict[str, Bucket] = {}
        found: dict[str, list[tuple[int, Check]]] = {}
        for at, entry in enumerate(entries):
            for path, check in entry.checks.items():
                if path not in used:
                    found.setdefault(path, []).append((at, check))
            between()
        for path, checks in found.items():
            bucket = self._buckets[path] = forest.bucket(path)
            bucket.fill(checks, between)

    def node(self, bits: int | None, exact: bool, used: frozenset[str]) -> Node:
        """A node for these rules, by default all of them; a leaf where no attribute tells them apart any more."""
        self._forest.nodes += 1
        if bits is None:
            bits = (1 << len(self._entries)) - 1
        node = Node(self, bits, exact, used)
        most = 0
        for path, bucket in self._buckets.items():
            if path not in used and (count := (bits & bucket.tested).bit_count()) > most:
                most, node.bucket = count, bucket
        if node.bucket is None:
            node.leaf = self._forest.leaf(self._action, [self._entries[number] for number in _ones(bits)], exact, used)
        else:
            source = source_of(node.bucket.path, node.bucket.attribute.type)
            node.place, node.name = source.place, source.name
        return node

    def descend(self, node: Node, raw: object, request: Request, now: datetime) -> Node:
        """The next node for a value that ``node`` has not seen."""
        bucket = node.bucket
        assert bucket is not None  # INVARIANT: what is no leaf tests something
        bits, exact = node.bits, node.exact
        reading = self._forest.reading(bucket, raw, request, now)
        if reading is None:
            exact = False
        else:
            bits &= ~bucket.tested | bucket.satisfied(reading) | self._always
            # an entity's or an instance's value was read for all of them together
            exact = exact and bucket.path.root in ("subject", "request")
        child = node.children.get((bits, exact))
        if child is None:
            if self._forest.nodes >= _NODES:
                self._forest.plant()
                return self._forest.roots[request.action]
            child = node.children[bits, exact] = self._child(bits, exact, self._forest.one(node.used | {bucket.path.text}))
        if raw is None or type(raw) is str:
            if len(node.memo) >= _VALUES:
                node.memo.clear()
            node.memo[raw] = child
        return child

    def _child(self, bits: int, exact: bool, used: frozenset[str]) -> Node:
        left = bits.bit_count()
        if left > 1 and left * _SPLIT <= len(self._entries):
            return Tree(self._forest, self._action, [self._entries[number] for number in _ones(bits)], used).node(None, exact, used)
        return self.node(bits, exact, used)


def _is_conjunction(condition: Condition) -> bool:
    return isinstance(condition, Test) or (isinstance(condition, All) and all(map(_is_conjunction, condition.conditions)))


def _encodable(values: Sequence[object]) -> bool:
    """What no UTF-8 holds is unknown to patterns."""
    try:
        for value in values:
            str(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _ones(bits: int) -> list[int]:
    found = []
    while bits:
        low = bits & -bits
        found.append(low.bit_length() - 1)
        bits ^= low
    return found
