"""Which rules might cover another one: an index, so that a thousand rules are not compared each with each.

A term that names values, prefixes or networks of a path can only cover a term whose values lie among them. It is found by one
of these values; the others by their path.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

from hirules.policy.ast import Rule
from hirules.policy.lint.shapes import shapes
from hirules.policy.lint.terms import Literal, Operators, Term
from hirules.policy.lint.values import is_static, members_of
from hirules.policy.patterns import network_of

_NAMING = frozenset({"equals", "in", "contains", "contains_any", "subset_of"})
_LONG = 64


class Nearby:
    """Rules by what they name."""

    def __init__(self, operators: Operators) -> None:
        self.operators = operators
        self._by_key: defaultdict[Hashable, list[int]] = defaultdict(list)
        self._by_list: defaultdict[str, list[tuple[frozenset[object], int]]] = defaultdict(list)
        self._by_path: defaultdict[str, list[int]] = defaultdict(list)
        self._anything: list[int] = []
        self._rules: list[Rule] = []

    def add(self, rule: Rule, terms: Iterable[Term]) -> None:
        """A rule that may cover others."""
        number = len(self._rules)
        self._rules.append(rule)
        for term in terms:
            self._add(number, term)

    def _add(self, number: int, term: Term) -> None:
        best: tuple[int, Literal] | None = None
        for one in term:
            rank = self._rank(one)
            if rank is not None and (best is None or rank < best[0]):
                best = (rank, one)
        if best is None:
            if term:
                self._by_path[term[0].name].append(number)
            else:
                self._anything.append(number)
            return
        one = best[1]
        if one.check.operator in _NAMING:
            members = members_of(one.check)
            if len(members) > _LONG:
                self._by_list[one.name].append((members, number))
            else:
                for value in members:
                    self._by_key[one.name, "value", value].append(number)
        elif one.check.operator == "cidr":
            for text in members_of(one.check):
                self._by_key[one.name, "network", network_of(str(text))].append(number)
        else:
            for shape in shapes(one.check, one.attribute.type) or ():
                self._by_key[one.name, "prefix", shape.prefix].append(number)

    def _rank(self, one: Literal) -> int | None:
        """How well a literal tells terms apart; ``None`` where not at all."""
        if not one.sign or not is_static(one.check, self.operators):
            return None
        if one.check.operator in _NAMING:
            return len(members_of(one.check))
        if one.check.operator == "cidr":
            return 1000
        own = shapes(one.check, one.attribute.type)
        return 2000 if own and all(shape.prefix for shape in own) else None

    def of(self, term: Term) -> Iterator[Rule]:
        """Rules that may hold wherever the term is so."""
        numbers = set(self._anything)
        for one in term:
            numbers.update(self._by_path.get(one.name, ()))
            if one.sign and is_static(one.check, self.operators):
                for key in self._keys(one):
                    numbers.update(self._by_key.get(key, ()))
                if self._by_list and one.check.operator in _NAMING:
                    value = next(iter(members_of(one.check)), None)
                    numbers.update(number for members, number in self._by_list.get(one.name, ()) if value in members)
        for number in sorted(numbers):
            yield self._rules[number]

    def _keys(self, one: Literal) -> Iterator[Hashable]:
        """Under what a rule stands that covers the literal."""
        if one.check.operator in _NAMING or one.check.operator == "contains_all":
            members = members_of(one.check)
            for value in members if one.check.operator == "contains_all" else list(members)[:1]:
                yield one.name, "value", value
                yield from _prefixes(one.name, str(value))
                if isinstance(value, IPv4Address | IPv6Address):
                    yield from _networks(one.name, ip_network(value))
        elif one.check.operator == "cidr":
            text = next(iter(members_of(one.check)), None)
            yield from () if text is None else _networks(one.name, network_of(str(text)))
        else:
            for shape in (shapes(one.check, one.attribute.type) or ())[:1]:
                yield from _prefixes(one.name, shape.prefix)


def _prefixes(name: str, text: str) -> Iterator[Hashable]:
    for length in range(1, min(len(text), 64) + 1):
        yield name, "prefix", text[:length]


def _networks(name: str, network: IPv4Network | IPv6Network) -> Iterator[Hashable]:
    while True:
        yield name, "network", network
        if network.prefixlen == 0:
            return
        network = network.supernet()
