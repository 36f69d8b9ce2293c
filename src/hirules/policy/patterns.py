"""Comparing texts and addresses with patterns: globs, RE2, prefixes, networks, and the wildcards of query keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import re2

from hirules.model.reading import Reading
from hirules.model.scalars import Type
from hirules.policy.ast import Flag, ListOperand, Operands, Value
from hirules.policy.members import some
from hirules.policy.truth import Scope, Truth, kleene_any, kleene_not


def glob(reading: Reading, argument: Operands, scope: Scope) -> Truth:
    """``*`` is any characters, ``?`` one; everything else is itself."""
    return _texts(reading, argument, scope, lambda value, pattern: _full_match(glob_pattern(pattern), value))


def regex(reading: Reading, argument: Operands, scope: Scope) -> Truth:
    """RE2, on the whole value; without regard to case for AE titles."""
    flags = "(?i)" if scope.attribute.type is Type.AE_TITLE else ""
    patterns = _patterns(argument, scope)
    return some(reading, lambda value: kleene_any(_full_match(f"{flags}(?:{pattern})", str(value)) for pattern in patterns))


def starts_with(reading: Reading, argument: Operands, scope: Scope) -> Truth:
    """One value starts with one of the texts."""
    return _texts(reading, argument, scope, str.startswith)


def ends_with(reading: Reading, argument: Operands, scope: Scope) -> Truth:
    """One value ends with one of the texts."""
    return _texts(reading, argument, scope, str.endswith)


def _texts(reading: Reading, argument: Operands, scope: Scope, test: Callable[[str, str], Truth]) -> Truth:
    # AE titles are canonical in upper case; the pattern follows them
    fold: Callable[[str], str] = str.upper if scope.attribute.type is Type.AE_TITLE else str
    patterns = [fold(pattern) for pattern in _patterns(argument, scope)]
    return some(reading, lambda value: kleene_any(test(str(value), pattern) for pattern in patterns))


def _patterns(argument: Operands, scope: Scope) -> list[str]:
    # INVARIANT: patterns stand in the policy; another attribute's value is never one, so none is unknown
    return [str(value) for operand in argument.operands if isinstance(operand, Value | ListOperand) for value in scope.operand(operand).values]


def _full_match(pattern: str, value: str) -> Truth:
    try:
        return re2.fullmatch(pattern, value) is not None
    except UnicodeEncodeError:  # a lone surrogate, which no UTF-8 holds
        return None


@cache
def glob_pattern(pattern: str) -> str:
    """The RE2 pattern of a glob."""
    return "(?s)" + "".join({"*": ".*", "?": "."}.get(character, re2.escape(character)) for character in pattern)


def cidr(reading: Reading, argument: Operands, scope: Scope) -> Truth:
    """One address lies in one of the networks."""
    networks = [network_of(pattern) for pattern in _patterns(argument, scope)]
    return some(reading, lambda value: _inside(value, networks))


@cache
def network_of(text: str) -> IPv4Network | IPv6Network:
    """The network that an argument of ``cidr`` spells."""
    network = ip_network(text.strip(), strict=False)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    # addresses that map IPv4 into IPv6 are read as IPv4, so are such networks
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped is not None and network.prefixlen >= 96 else network


def _inside(address: object, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    return isinstance(address, IPv4Address | IPv6Address) and any(address.version == network.version and address in network for network in networks)


# Query keys: the reading holds the key's own text (PS3.4 §C.2.2.2).


def wildcard(reading: Reading, argument: Flag, scope: Scope) -> Truth:
    """A value holds ``*`` or ``?``."""
    return _flagged(some(reading, lambda value: "*" in str(value) or "?" in str(value)), argument)


def universal(reading: Reading, argument: Flag, scope: Scope) -> Truth:
    """The key matches everything: it is missing, zero-length or nothing but ``*`` (or a range without ends)."""
    return _flagged(matches_everything(reading), argument)


def matches_everything(reading: Reading) -> Truth:
    """Whether a key restricts nothing."""
    if not reading.values and reading.unknown is None:
        return True
    return some(reading, lambda value: not str(value).strip("*^= ") or str(value).strip() == "-")


def _flagged(truth: Truth, argument: Flag) -> Truth:
    return truth if argument.value else kleene_not(truth)
