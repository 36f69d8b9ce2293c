"""Which rules can match, by the value of one attribute: the buckets of the indexed evaluator.

A rule is in the buckets of an attribute when its ``when`` cannot hold unless a positive check on that attribute does. Each rule
is one bit; for the values of a request a bucket answers the bits of the rules whose check they satisfy:

    exact     equals, in, contains, contains_any      one dictionary look-up, for the numbers of the rules
    lists     the same, for long lists                one look-up in each different list
    patterns  glob, starts_with                       one look-up for each length of a literal prefix, or suffix
    networks  cidr, and single IPv4 addresses         one look-up for each length of a network's prefix

INVARIANT: what is left out is false, without an unknown: an attribute that is unknown leaves every rule in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
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
_TEXTS = frozenset({"glob", "starts_with"})
_INDEXED = _EQUALITY | _TEXTS | {"cidr"}
_ROOTS = frozenset({"subject", "request", "resource", "instance"})
_LONG_LIST = 64
Matcher = Callable[[str], bool]


def nothing() -> None:
    """What happens between the steps of a work that nobody runs beside."""


class _Patterns:
    """The patterns with one literal prefix, or suffix: the rules of those that match whatever follows, and the others with theirs."""

    __slots__ = ("always", "others")

    def __init__(self) -> None:
        self.always = 0
        self.others: dict[str, tuple[Matcher, int]] = {}

    def matching(self, text: str) -> int:
        bits = self.always
        for matcher, rules in self.others.values():
            if matcher(text):
                bits |= rules
        return bits


class Bucket:
    """The rules that test one attribute. ``tested`` has their bits."""

    def __init__(self, path: Path, attribute: Attribute) -> None:
        self.path = path
        self.attribute = attribute
        self.tested = 0
        self._is_address = attribute.type is Type.ADDRESS
        self._exact: dict[object, tuple[int, ...]] = {}
        self._lists: dict[frozenset[Scalar], int] = {}
        self._prefixes: dict[int, dict[str, _Patterns]] = {}
        self._suffixes: dict[int, dict[str, _Patterns]] = {}
        self._networks: dict[int, dict[int, dict[int, int]]] = {4: {}, 6: {}}

    def fill(self, checks: Iterable[tuple[int, Check]], between: Callable[[], None] = nothing) -> None:
        """The rules, by their number, that need a check which :func:`indexable` said yes to. A bucket is filled once.

        ``between`` is called between small steps.
        """
        exact: defaultdict[object, list[int]] = defaultdict(list)
        lists: defaultdict[frozenset[Scalar], list[int]] = defaultdict(list)
        others: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        tested: list[int] = []
        for number, check in checks:
            between()
            tested.append(number)
            if check.operator in _EQUALITY:
                for operand in _operands(check):
                    if isinstance(operand, Value):
                        exact[operand.value].append(number)
                    elif len(operand.members) > _LONG_LIST:
                        lists[operand.members].append(number)
                    else:
                        for value in operand.members:
                            exact[value].append(number)
            else:
                for value in _values(check):
                    others[check.operator, str(value)].append(number)
        self.tested = _bits(tested)
        for found, numbers in exact.items():
            if isinstance(found, IPv4Address):
                self._add_host(4, 0, int(found), _bits(numbers))
            else:
                self._exact[found] = tuple(numbers)
            between()
        for members, numbers in lists.items():
            self._lists[members] = _bits(numbers)
            for member in members if self.attribute.type is Type.ADDRESS else ():
                if isinstance(member, IPv4Address):
                    self._add_host(4, 0, int(member), self._lists[members])
                between()
        for (operator, text), numbers in others.items():
            between()
            if operator == "cidr":
                self._add_network(text, _bits(numbers))
            else:
                self._add_pattern(operator, text, _bits(numbers))

    def satisfied(self, reading: Reading) -> int:
        """The bits of the rules whose check one of the values satisfies. The reading is known."""
        bits = 0
        for value in reading.values:
            bits |= self.satisfied_by(value)
        return bits

    def satisfied_by(self, value: object) -> int:
        """The same for one canonical value."""
        if self._is_address and isinstance(value, IPv4Address):
            return self.satisfied_by_address(4, int(value))
        numbers = self._exact.get(value)
        bits = 0 if numbers is None else _bits(numbers)
        for members, rules in self._lists.items():
            if value in members:
                bits |= rules
        if self._prefixes or self._suffixes:
            text = str(value)
            for length, prefixes in self._prefixes.items():
                patterns = prefixes.get(text[:length])
                if patterns is not None:
                    bits |= patterns.matching(text) if patterns.others else patterns.always
            for length, suffixes in self._suffixes.items():
                patterns = suffixes.get(text[-length:])
                if patterns is not None:
                    bits |= patterns.matching(text)
        if self._is_address and isinstance(value, IPv6Address):
            bits |= self.satisfied_by_address(6, int(value))
        return bits

    def satisfied_by_address(self, version: int, address: int) -> int:
        """The same for an address by its number; of IPv6 those in networks only."""
        bits = 0
        for host, networks in self._networks[version].items():
            rules = networks.get(address >> host)
            if rules is not None:
                bits |= rules
        return bits

    def _add_pattern(self, operator: str, pattern: str, bit: int) -> None:
        if self.attribute.type is Type.AE_TITLE:
            pattern = pattern.upper()
        prefix, matcher = _matcher(operator, pattern)
        suffix = _suffix(pattern) if operator == "glob" and not prefix else ""
        by_length = self._suffixes if suffix else self._prefixes
        alike = by_length.setdefault(len(suffix or prefix), {}).setdefault(suffix or prefix, _Patterns())
        if matcher is _always:
            alike.always |= bit
        else:
            known = alike.others.get(operator + pattern)
            alike.others[operator + pattern] = (matcher, bit) if known is None else (known[0], known[1] | bit)

    def _add_network(self, text: str, bit: int) -> None:
        network = network_of(text)
        self._add_host(network.version, network.max_prefixlen - network.prefixlen, int(network.network_address), bit)

    def _add_host(self, version: int, host: int, address: int, bit: int) -> None:
        alike = self._networks[version].setdefault(host, {})
        alike[address >> host] = alike.get(address >> host, 0) | bit


def indexable(test: Test) -> Check | None:
    """The check of ``test`` by which its rule can be found; ``None`` where there is none."""
    path = test.path
    if path.root not in _ROOTS or path.original or test.attribute.type not in INDEXED_TYPES:
        return None
    for check in test.checks:
        if _positive(check):
            return check
    return None


def necessary(condition: Condition | None) -> list[Test]:
    """The tests without which a condition does not hold."""
    if isinstance(condition, Test):
        return [condition]
    return [test for one in condition.conditions for test in necessary(one)] if isinstance(condition, All) else []


_CONSTANT = frozenset({Value, ListOperand})


def _positive(check: Check) -> bool:
    if check.operator not in _INDEXED or type(check.argument) is not Operands:
        return False
    if not _CONSTANT.issuperset(map(type, check.argument.operands)):
        return False
    return check.operator not in _TEXTS or all(map(_encodable, _values(check)))


def _encodable(value: Scalar) -> bool:
    return isinstance(value, str) and value.isascii()


def _values(check: Check) -> Iterator[Scalar]:
    """The values of the operands, those of lists too."""
    for operand in _operands(check):
        if isinstance(operand, Value):
            yield operand.value
        else:
            yield from operand.members


def _operands(check: Check) -> Iterable[Value | ListOperand]:
    assert isinstance(check.argument, Operands)
    return check.argument.operands  # type: ignore[return-value]  # of what is indexable


_FEW = 16
"""Numbers that are set one by one: a number of ten thousand bits is made each time."""


def _bits(numbers: Sequence[int]) -> int:
    """An integer with these bits."""
    if len(numbers) <= _FEW:
        bits = 0
        for number in numbers:
            bits |= 1 << number
        return bits
    octets = bytearray(max(numbers) // 8 + 1)
    for number in numbers:
        octets[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(octets, "little")


def _matcher(operator: str, pattern: str) -> tuple[str, Matcher]:
    """The literal prefix of a pattern, and what tells whether a text that starts with it matches."""
    if operator == "starts_with":
        return pattern, _always
    wild = next((at for at, character in enumerate(pattern) if character in "*?"), len(pattern))
    prefix, rest = pattern[:wild], pattern[wild:]
    if rest == "*":
        return prefix, _always
    if rest.count("*") == 1 and rest[0] == "*" and "?" not in rest:  # `prefix*suffix`
        suffix, least = rest[1:], len(pattern) - 1
        return prefix, lambda text: text.endswith(suffix) and len(text) >= least
    if not rest:
        return prefix, lambda text: text == prefix
    compiled = re2.compile(glob_pattern(pattern))
    return prefix, lambda text: compiled.fullmatch(text) is not None


def _suffix(pattern: str) -> str:
    """The literal end of a glob."""
    return pattern[max(pattern.rfind("*"), pattern.rfind("?")) + 1 :]


def _always(text: str) -> bool:
    return True
