"""What the value of one attribute leaves of the rules of an action.

A column answers the bits of the rules that can still match: those that its bucket says are satisfied, and those that do not test the
attribute at all. What a raw text leaves is remembered by the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from hirules.model.path import Name, Path
from hirules.model.reading import ByKeyword
from hirules.model.request import Request
from hirules.model.scalars import Type, dotted, reader_of
from hirules.model.vocabulary import Attribute
from hirules.policy.ast import Check
from hirules.policy.buckets import Bucket, nothing
from hirules.policy.entities import entities_of
from hirules.policy.read import View, read
from hirules.policy.sources import IDENTIFIER, SUBJECT, source_of

UNKNOWN: Final = -1
"""Every rule is left, and of those that test the attribute nothing is known."""

VALUES = 4096
"""Values that a column remembers at most, and less where what they leave takes more than so many octets."""
_OCTETS = 4 << 20

ANY = entities_of(None, has_resource=False)[0]
"""The entity of what has no resource, or reads none."""


class Column:
    """``masks`` has what a text, or nothing at all, leaves of the rules; ``tested`` those that test the attribute."""

    __slots__ = (
        "_bucket",
        "_canonical",
        "_has_resource",
        "_is_address",
        "_keyword",
        "_others",
        "_room",
        "_zone",
        "certain",
        "is_integer",
        "lazy",
        "masks",
        "source",
        "tested",
    )

    def __init__(
        self,
        path: Path,
        attribute: Attribute,
        checks: Iterable[tuple[int, Check]],
        rules: int,
        zone: ZoneInfo,
        has_resource: bool,
        between: Callable[[], None] = nothing,
    ) -> None:
        self._bucket = Bucket(path, attribute)
        self._bucket.fill(checks, between)
        self._zone, self._has_resource = zone, has_resource
        self.tested = self._bucket.tested
        self._others = ((1 << rules) - 1) & ~self.tested
        self.is_integer = attribute.type is Type.INTEGER
        self._is_address = attribute.type is Type.ADDRESS
        self._canonical = reader_of(attribute.type)
        self._room = max(64, min(VALUES, _OCTETS * 8 // max(1, rules)))
        self.source = source_of(path, attribute.type)
        self.lazy = not SUBJECT <= self.source.place <= IDENTIFIER
        self.certain = path.root in ("subject", "request")
        """Whether a rule's check is known to hold where the rule is left: an entity's or an instance's value is read for all of them together."""
        self._keyword = _keyword(path)
        self.masks: dict[object, int] = {}

    def learn(self, raw: str | int | None, request: Request, now: datetime) -> int:
        """What is left where ``raw`` stands at the source; remembered. An integer is that of a column of integers."""
        mask = self._plain(raw) if raw else None
        if mask is None:
            mask = self.look(request, now)
        if len(self.masks) >= self._room:
            self.masks.clear()
        self.masks[raw] = mask
        return mask

    def look(self, request: Request, now: datetime) -> int:
        """What is left by what the reference evaluator reads; :data:`UNKNOWN` where that is unknown, or empty means everything."""
        instance = request.instance if self._keyword else None
        # under one key only: no other spelling has a value to be read beside it
        raw = instance.get(self._keyword) if isinstance(instance, ByKeyword) else None
        if type(raw) is not str or not raw:
            return self._looked(request, now)
        mask = self.masks.get(raw)
        if mask is None:
            mask = self._looked(request, now)
            if len(self.masks) >= self._room:
                self.masks.clear()
            self.masks[raw] = mask
        return mask

    def _looked(self, request: Request, now: datetime) -> int:
        path, attribute = self._bucket.path, self._bucket.attribute
        entities = entities_of(request.resource, self._has_resource) if path.root == "resource" else (ANY,)
        bits = self._others
        for entity in entities:
            seen = read(path, attribute, View(request, request, entity, now, self._zone))
            if seen.unknown is not None or seen.everything or not _encodable(seen.values):
                return UNKNOWN
            bits |= self._bucket.satisfied(seen)
        return bits

    def _plain(self, raw: str | int) -> int | None:
        """What a plain value leaves: as :meth:`look` says, at a tenth of its cost; ``None`` where that must say."""
        if isinstance(raw, int):
            return self._others | self._bucket.satisfied_by(raw)
        if self._is_address and (number := dotted(raw)) is not None:
            bits = self._bucket.satisfied_by_address(4, number)
            return self._others | bits if bits else self._others
        if not raw.isascii() or "\\" in raw:
            return None
        try:
            value = self._canonical(raw)
        except (ValueError, ArithmeticError):
            return None
        if value == "":
            return None
        bits = self._bucket.satisfied_by(value)
        return self._others | bits if bits else self._others


def _keyword(path: Path) -> str:
    """The element of the data set that ``path`` is; empty where it is more than one, or below another."""
    steps = path.elements if path.root == "instance" and not path.original else ()
    return steps[0].name if len(steps) == 1 and isinstance(steps[0], Name) else ""


def _encodable(values: Sequence[object]) -> bool:
    """What no UTF-8 holds is unknown to patterns."""
    try:
        for value in values:
            str(value).encode()
    except UnicodeEncodeError:
        return False
    return True
