"""Globs, prefixes and suffixes as shapes of texts, and networks: which lies within which, and which have nothing in common."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import re2

from hirules.model.scalars import Type
from hirules.policy.ast import Check, ListOperand, Operands, Value
from hirules.policy.patterns import glob_pattern, network_of


class Shape(msgspec.Struct, frozen=True):
    """Texts that begin and end so, with at least ``least`` characters. ``whole``: these are all such texts; ``exact``: it is one text."""

    prefix: str
    suffix: str
    least: int
    whole: bool
    exact: bool = False
    pattern: str = ""


def shapes(check: Check, type_: Type) -> list[Shape] | None:
    """The shapes of ``glob``, ``starts_with``, ``ends_with``, one of which is that of a value; ``None`` for other operators."""
    if check.operator not in ("glob", "starts_with", "ends_with") or not isinstance(check.argument, Operands):
        return None
    texts = [str(value) for operand in check.argument.operands for value in _values(operand)]
    if type_ is Type.AE_TITLE:
        texts = [text.upper() for text in texts]
    if not all(text.isascii() for text in texts):
        return None
    return [_shape(check.operator, text) for text in texts]


def _values(operand: object) -> Iterable[object]:
    if isinstance(operand, Value):
        return (operand.value,)
    return operand.values if isinstance(operand, ListOperand) else ()


def _shape(operator: str, text: str) -> Shape:
    if operator == "starts_with":
        return Shape(text, "", len(text), whole=True)
    if operator == "ends_with":
        return Shape("", text, len(text), whole=True)
    wild = [at for at, character in enumerate(text) if character in "*?"]
    if not wild:
        return Shape(text, text, len(text), whole=True, exact=True, pattern=text)
    prefix, suffix = text[: wild[0]], text[wild[-1] + 1 :]
    return Shape(prefix, suffix, len(text) - text.count("*"), whole=len(wild) == 1 and text[wild[0]] == "*", pattern=text)


def within(shape: Shape, other: Shape) -> bool:
    """Whether every text of the one is a text of the other, as far as is seen from their ends."""
    if shape.exact:
        return _is(shape.prefix, other)
    if not other.whole or other.exact:
        return bool(shape.pattern) and shape.pattern == other.pattern
    return shape.prefix.startswith(other.prefix) and shape.suffix.endswith(other.suffix) and shape.least >= other.least


def disjoint(shape: Shape, other: Shape) -> bool:
    """Whether they have no text in common, as far as is seen from their ends."""
    if shape.exact:
        return not _is(shape.prefix, other)
    if other.exact:
        return not _is(other.prefix, shape)
    starts = shape.prefix.startswith(other.prefix) or other.prefix.startswith(shape.prefix)
    ends = shape.suffix.endswith(other.suffix) or other.suffix.endswith(shape.suffix)
    return not (starts and ends)


def _is(text: str, shape: Shape) -> bool:
    if shape.pattern:
        return re2.fullmatch(glob_pattern(shape.pattern), text) is not None
    return text.startswith(shape.prefix) and text.endswith(shape.suffix)


def networks_inside(networks: Iterable[str], others: Iterable[str]) -> bool:
    """Whether each network lies in one of the others."""
    around = [network_of(text) for text in others]
    return all(any(one.version == other.version and one.subnet_of(other) for other in around) for one in map(network_of, networks))  # type: ignore[arg-type]


def networks_apart(networks: Iterable[str], others: Iterable[str]) -> bool:
    """Whether no network has an address in common with one of the others."""
    around = [network_of(text) for text in others]
    return not any(one.version == other.version and one.overlaps(other) for one in map(network_of, networks) for other in around)
