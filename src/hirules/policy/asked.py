"""What conditions ask of the value at one path, so that thousands of them are answered at once.

    exact values   a dictionary: whose condition holds for this value
    beginnings     a dictionary: whose pattern may match a text that begins so, in whose network an address may lie; these are evaluated
    the rest       evaluated once for each reading, and remembered

Conditions are bits of a whole number. Only those are here whose truth depends on what is read at their path, and on nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address

from hirules.model.path import Path
from hirules.model.reading import Reading
from hirules.model.scalars import TEXTUAL, Scalar, Type
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import Argument, Check, Flag, ListOperand, Nested, Operands, Test, Value, Weekdays, Window
from hirules.policy.conditions import holds
from hirules.policy.operators import OPERATORS
from hirules.policy.patterns import network_of
from hirules.policy.read import View, read

_TYPES = TEXTUAL | {Type.INTEGER, Type.ADDRESS}
"""Their canonical scalars are equal exactly where they are the same dictionary key."""
_POSITIVE = frozenset({"equals", "in"})
_NEGATIVE = frozenset({"not_equals", "not_in"})
_WILDCARD = re.compile("[*?]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_REMEMBERED = 4096
_Beginning = str | tuple[int, int, int]
"""The first characters of a text; of an address its version, the length of the network and its first bits."""


def exact_values(test: Test) -> tuple[frozenset[Scalar], bool] | None:
    """The values that ``test`` asks for, and whether it asks for one of them or for none; ``None`` where it asks for something else."""
    if len(test.checks) != 1 or test.attribute.type not in _TYPES:
        return None
    (check,) = test.checks
    if check.operator not in _POSITIVE | _NEGATIVE or not isinstance(check.argument, Operands):
        return None
    values: set[Scalar] = set()
    for operand in check.argument.operands:
        if isinstance(operand, Value):
            values.add(operand.value)
        elif isinstance(operand, ListOperand):
            values |= operand.members
        else:
            return None
    return frozenset(values), check.operator in _POSITIVE


def beginnings(test: Test) -> frozenset[str] | None:
    """Texts with one of which a value must begin to satisfy ``test``; ``None`` where it asks for something else, or for any beginning."""
    if test.attribute.type not in TEXTUAL:
        return None
    for check in test.checks:
        if check.operator in ("glob", "starts_with") and isinstance(check.argument, Operands):
            # AE titles are canonical in upper case; the pattern follows them
            fold = str.upper if test.attribute.type is Type.AE_TITLE else str
            texts = [fold(text) for text in _constants(check.argument)]
            if check.operator == "glob":
                texts = [_WILDCARD.split(text, maxsplit=1)[0] for text in texts]
            if all(texts):
                return frozenset(texts)
    return None


def _constants(argument: Operands) -> Iterator[str]:
    for operand in argument.operands:
        if isinstance(operand, Value):
            yield str(operand.value)
        elif isinstance(operand, ListOperand):
            yield from map(str, operand.values)


def networks(test: Test) -> frozenset[_Beginning] | None:
    """The networks in one of which an address must lie to satisfy ``test``; ``None`` where it asks for something else."""
    for check in test.checks:
        if check.operator == "cidr" and isinstance(check.argument, Operands):
            found = map(network_of, _constants(check.argument))
            return frozenset((one.version, one.prefixlen, int(one.network_address) >> (one.max_prefixlen - one.prefixlen)) for one in found)
    return None


def asks_of_value_alone(test: Test) -> bool:
    """Whether the truth of ``test`` depends on what is read at its path only: not on the time, another attribute, or a plugin."""
    return all(map(_of_value_alone, test.checks))


def _of_value_alone(check: Check) -> bool:
    operator = OPERATORS.get(check.operator)
    return operator is not None and not operator.query_keys and _is_constant(check.argument)


def _is_constant(argument: Argument) -> bool:
    match argument:
        case Operands(operands):
            return all(isinstance(operand, Value | ListOperand) for operand in operands)
        case Nested(checks):
            return all(map(_of_value_alone, checks))
        case _:
            return isinstance(argument, Flag | Window | Weekdays)


class Asked:
    """The conditions on one path. ``all`` are their bits."""

    def __init__(self, path: Path, attribute: Attribute) -> None:
        self.path = path
        self._attribute = attribute
        self.all = 0
        self._exact = self._negative = 0
        self._by_value: dict[Scalar, int] = {}
        self._by_beginning: dict[_Beginning, list[tuple[Test, int]]] = {}
        self._lengths: set[int] = set()
        """Of the texts."""
        self._prefixes: set[tuple[int, int]] = set()
        """Of the networks: version and length."""
        self._rest: list[tuple[Test, int]] = []
        self._evaluated: list[tuple[Test, int]] = []
        self._everyone: list[tuple[Test, int]] = []
        self._known: dict[Reading, tuple[int, int]] = {}

    def add(self, test: Test, bit: int) -> None:
        """One more, which asks of the value alone."""
        self.all |= bit
        self._everyone.append((test, bit))
        if (exact := exact_values(test)) is not None:
            self._exact |= bit
            self._negative |= 0 if exact[1] else bit
            for value in exact[0]:
                self._by_value[value] = self._by_value.get(value, 0) | bit
            return
        self._evaluated.append((test, bit))
        asked = beginnings(test) if test.attribute.type is not Type.ADDRESS else networks(test)
        if asked is None:
            self._rest.append((test, bit))
        for one in asked or ():
            self._by_beginning.setdefault(one, []).append((test, bit))
            if isinstance(one, str):
                self._lengths.add(len(one))
            else:
                self._prefixes.add(one[:2])

    def read(self, view: View) -> tuple[int, int]:
        """Whose condition holds, and whose is unknown, for what is read."""
        seen = read(self.path, self._attribute, view)
        try:
            found = self._known.get(seen)
        except TypeError:  # an item of a sequence has no hash
            return self._answered(seen, view)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[seen] = self._answered(seen, view)
        return found

    def _answered(self, seen: Reading, view: View) -> tuple[int, int]:
        true = unknown = 0
        possible: Iterable[tuple[Test, int]] = self._everyone
        if seen.unknown is None and not seen.everything:
            for value in seen.values if self._exact else ():
                true |= self._by_value.get(value, 0)  # type: ignore[call-overload]
            true = (true ^ self._negative) & self._exact
            possible = self._possible(seen)
        for test, bit in possible:
            truth = holds(test, view, OPERATORS).truth
            if truth is None:
                unknown |= bit
            elif truth:
                true |= bit
        return true, unknown

    def _possible(self, seen: Reading) -> Iterable[tuple[Test, int]]:
        """The conditions to evaluate: the others ask for another beginning, and do not hold."""
        texts = [str(value) for value in seen.values] if self._lengths else []
        if any(not text.isascii() and _SURROGATE.search(text) for text in texts):
            return self._evaluated  # RE2 has no such text: unknown
        asked: list[_Beginning] = [text[:length] for text in texts for length in self._lengths]
        for value in seen.values if self._prefixes else ():
            if isinstance(value, IPv4Address | IPv6Address):
                bits = int(value)
                asked += [(version, length, bits >> (value.max_prefixlen - length)) for version, length in self._prefixes if version == value.version]
        found = {bit: test for one in asked for test, bit in self._by_beginning.get(one, ())}
        return [*self._rest, *((test, bit) for bit, test in found.items())]
