"""Which rules can match, by the value of one attribute: the buckets of the indexed evaluator.

A rule is in the buckets of an attribute when its ``when`` cannot hold unless a positive check on that attribute does. Each rule
is one bit; for the values of a request a bucket answers the bits of the rules whose check they satisfy:

    exact     equals, in, contains, contains_any      one dictionary look-up
    lists     the same, for long lists                one look-up in each different list
    patterns  glob, starts_with                       one look-up for each length of a literal prefix
    networks  cidr                                    one look-up for each length of a network's prefix

INVARIANT: what is left out is false, without an unknown: an attribute that is unknown leaves every rule in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address

import re2

from hirules.model.path import Path
from hirules.model.reading import Reading
from hirules.model.scalars import TEXTUAL, Scalar, Type
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import All, Check, Condition, ListOperand, Operands, Test, Value
from hirules.policy.patterns import glob_pattern, network_of

INDEXED_TYPES = TEXTUAL | {Type.INTEGER, Type.BOOLEAN, Type.ADDRESS}
"""Types whose equal scalars are equal and hash alike in Python; dates and times depend on the zone."""

_EQUALITY = frozenset({"equals", "in", "contains", "contains_any"})
_ROOTS = frozenset({"subject", "request", "resource", "instance"})
_LONG_LIST = 64
Matcher = Callable[[str], bool]


class Bucket:
    """The rules that test one attribute. ``tested`` has their bits."""

    def __init__(self, path: Path, attribute: Attribute) -> None:
        self.path = path
        self.attribute = attribute
        self.tested = 0
        self._exact: dict[object, int] = {}
        self._lists: dict[frozenset[Scalar], int] = {}
        self._patterns: dict[int, dict[str, dict[str, tuple[Matcher, int]]]] = {}
        self._networks: dict[tuple[int, int], dict[int, int]] = {}

    def add(self, check: Check, bit: int) -> None:
        """The rule with ``bit`` needs ``check``, which :func:`indexable` said yes to."""
        self.tested |= bit
        for members in _lists(check) if check.operator in _EQUALITY else ():
            self._lists[members] = self._lists.get(members, 0) | bit
        for value in _values(check, lists=check.operator not in _EQUALITY):
            if check.operator in _EQUALITY:
                self._exact[value] = self._exact.get(value, 0) | bit
            elif check.operator == "cidr":
                self._add_network(str(value), bit)
            else:
                self._add_pattern(check.operator, str(value), bit)

    def satisfied(self, reading: Reading) -> int:
        """The bits of the rules whose check one of the values satisfies. The reading is known."""
        bits = 0
        for value in reading.values:
            bits |= self._exact.get(value, 0)
            for members, rules in self._lists.items():
                if value in members:
                    bits |= rules
            if self._patterns:
                bits |= self._matching(str(value))
            if self._networks and isinstance(value, IPv4Address | IPv6Address):
                bits |= self._containing(value)
        return bits

    def _add_pattern(self, operator: str, pattern: str, bit: int) -> None:
        if self.attribute.type is Type.AE_TITLE:
            pattern = pattern.upper()
        prefix, matcher = _matcher(operator, pattern)
        alike = self._patterns.setdefault(len(prefix), {}).setdefault(prefix, {})
        known = alike.get(operator + pattern)
        alike[operator + pattern] = (matcher, bit) if known is None else (known[0], known[1] | bit)

    def _matching(self, text: str) -> int:
        bits = 0
        for length, prefixes in self._patterns.items():
            for matcher, rules in prefixes.get(text[:length], _NO_PATTERNS).values():
                if matcher(text):
                    bits |= rules
        return bits

    def _add_network(self, text: str, bit: int) -> None:
        network = network_of(text)
        same_length = self._networks.setdefault((network.version, network.prefixlen), {})
        number = int(network.network_address)
        same_length[number] = same_length.get(number, 0) | bit

    def _containing(self, address: IPv4Address | IPv6Address) -> int:
        bits, number = 0, int(address)
        for (version, length), networks in self._networks.items():
            if version == address.version:
                host = (32 if version == 4 else 128) - length
                bits |= networks.get(number >> host << host, 0)
        return bits


_NO_PATTERNS: dict[str, tuple[Matcher, int]] = {}


def indexable(test: Test) -> Check | None:
    """The check of ``test`` by which its rule can be found; ``None`` where there is none."""
    path = test.path
    if path.root not in _ROOTS or path.original or test.attribute.type not in INDEXED_TYPES:
        return None
    return next((check for check in test.checks if _positive(check)), None)


def necessary(condition: Condition | None) -> Iterator[Test]:
    """The tests without which a condition does not hold."""
    match condition:
        case Test():
            yield condition
        case All(conditions):
            for one in conditions:
                yield from necessary(one)
        case _:
            return


def _positive(check: Check) -> bool:
    if not isinstance(check.argument, Operands) or not all(isinstance(one, Value | ListOperand) for one in check.argument.operands):
        return False
    if check.operator in ("glob", "starts_with"):
        return all(_encodable(value) for value in _values(check, lists=True))
    return check.operator in _EQUALITY or check.operator == "cidr"


def _encodable(value: Scalar) -> bool:
    return isinstance(value, str) and value.isascii()


def _lists(check: Check) -> Iterator[frozenset[Scalar]]:
    assert isinstance(check.argument, Operands)
    for operand in check.argument.operands:
        if isinstance(operand, ListOperand) and len(operand.members) > _LONG_LIST:
            yield operand.members


def _values(check: Check, lists: bool) -> Iterable[Scalar]:
    """The values of the operands; those of long lists only with ``lists``."""
    assert isinstance(check.argument, Operands)
    for operand in check.argument.operands:
        if isinstance(operand, Value):
            yield operand.value
        elif isinstance(operand, ListOperand) and (lists or len(operand.members) <= _LONG_LIST):
            yield from operand.members


def _matcher(operator: str, pattern: str) -> tuple[str, Matcher]:
    """The literal prefix of a pattern, and what tells whether a text that starts with it matches."""
    if operator == "starts_with":
        return pattern, _always
    wild = next((at for at, character in enumerate(pattern) if character in "*?"), len(pattern))
    prefix, rest = pattern[:wild], pattern[wild:]
    if rest == "*":
        return prefix, _always
    if not rest:
        return prefix, lambda text: text == prefix
    compiled = re2.compile(glob_pattern(pattern))
    return prefix, lambda text: compiled.fullmatch(text) is not None


def _always(text: str) -> bool:
    return True
