"""A request that satisfies a condition, found by trying values: an example for whoever reads a finding.

What is found is no proof: whoever uses it lets the reference evaluator decide it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.path import Deep, Item, Name, Path, Private, PrivateTag, Step, Tag
from hirules.model.request import Request
from hirules.model.scalars import Type
from hirules.model.vocabulary import Attribute, Vocabulary
from hirules.policy.ast import Check, Condition, Items, Operands, PathOperand, Row, Test, Value
from hirules.policy.conditions import holds
from hirules.policy.entities import entities_of
from hirules.policy.lint import pool
from hirules.policy.lint.terms import Literal, Operators, Term, terms
from hirules.policy.read import View
from hirules.policy.spelling import spelled

_STEPS = 400
"""Candidates that are tried for one term."""
_OTHERS_OWN = ("answer", "release")


class Found(msgspec.Struct, frozen=True):
    """A request and when it is made."""

    request: Request
    now: datetime


class Place(msgspec.Struct, frozen=True):
    """Where in a request a path is written: the field, and the steps below it."""

    field: str
    steps: tuple[Step, ...]


class Search:
    """Looks for requests, for one policy set."""

    def __init__(self, vocabulary: Vocabulary, operators: Operators, zone: ZoneInfo, now: datetime) -> None:
        self.vocabulary = vocabulary
        self.operators = operators
        self.zone = zone
        self.now = now

    def satisfying(self, action: str, found: Iterable[Term]) -> Iterator[Found]:
        """A request for ``action`` for each term that one is found for."""
        for term in found:
            one = self.for_term(action, term)
            if one is not None:
                yield one

    def for_term(self, action: str, term: Term) -> Found | None:
        """A request that makes every literal of the term so."""
        flat = self._without_rows(term)
        attempt = None if flat is None else _Attempt(self, action, flat)
        return None if attempt is None else attempt.run()

    def _without_rows(self, term: Term) -> Term | None:
        """``row_of`` as the cells of one of its rows."""
        found: list[Literal] = []
        for one in term:
            if one.check.operator == "row_of" and one.sign and isinstance(one.check.argument, Row):
                cells = self._cells(one, one.check.argument)
                if cells is None:
                    return None
                found += cells
            found.append(one)
        return tuple(found)

    def _cells(self, one: Literal, row: Row) -> list[Literal] | None:
        for cells in row.table.rows[:1]:
            checks = []
            for column, operand in row.match:
                value = _read(operand.attribute.type, cells.get(column, ""), self.zone)
                if value is None:
                    return None
                checks.append(Literal(operand.path, operand.attribute, Check("equals", Operands((Value(value),)), one.check.position), True, one.key))
            return checks
        return None

    def item(self, condition: Condition) -> dict[str, object] | None:
        """A sequence item that satisfies the condition of an ``item``."""
        for term in terms(condition, self.operators) or ():
            attempt = _Attempt(self, "c-find", term, inside=True)
            if attempt.run() is not None:
                item: dict[str, object] = attempt.parts.get("item", {})
                return item
        return None


def _read(type_: Type, text: str, zone: ZoneInfo) -> Any:
    from hirules.model.scalars import literal as canonical

    try:
        return canonical(type_, text) if text.strip() else None
    except ValueError:
        return None


class _Attempt:
    """The search for one term: paths get a value one after the other; one that does not fit is taken back."""

    def __init__(self, search: Search, action: str, term: Term, inside: bool = False) -> None:
        self.search = search
        self.action = action
        self.inside = inside
        self.steps = 0
        self.parts: dict[str, Any] = {}
        self.moment = search.now
        groups: dict[Place, list[Literal]] = {}
        paths: dict[Place, tuple[Path, Attribute]] = {}
        for one in term:
            place = self._place(one.path)
            groups.setdefault(place, []).append(one)
            paths.setdefault(place, (one.path, one.attribute))
            for operand in _operands(one):
                other = self._place(operand.path)
                groups.setdefault(other, [])
                paths.setdefault(other, (operand.path, operand.attribute))
        # what has most to satisfy comes first
        self.order = sorted(groups, key=lambda place: (not any(_names(one) for one in groups[place]), -len(groups[place])))
        self.groups, self.paths = groups, paths
        self.chosen: dict[Place, object] = {}

    def run(self) -> Found | None:
        """The request, or ``None`` where none was found."""
        if self._assign(0):
            self.parts = self._built()
            return Found(self._request(self.parts), self.moment)
        return None

    def _place(self, path: Path) -> Place:
        if path.root == "item":
            return Place("item", path.steps)
        field = "original" if path.original and path.root == "request" and self.action in _OTHERS_OWN else path.root
        return Place(field, path.steps)

    def _assign(self, number: int) -> bool:
        if number == len(self.order):
            return all(self._so(one) for literals in self.groups.values() for one in literals)
        place = self.order[number]
        for value in self._candidates(place):
            self.steps += 1
            if self.steps > _STEPS:
                return False
            self.chosen[place] = value
            if self._fits(place) and self._assign(number + 1):
                return True
            del self.chosen[place]
        return False

    def _fits(self, place: Place) -> bool:
        """Whether all that can be told by now is so."""
        ready = (one for one in self.groups[place] if all(self._place(operand.path) in self.chosen for operand in _operands(one)))
        return all(self._so(one) for one in ready)

    def _so(self, one: Literal) -> bool:
        parts = self._built()
        request = self._request(parts)
        test = Test(one.path, one.attribute, (one.check,), one.key)
        has_resource = self.search.vocabulary.actions[self.action].has_resource
        view = View(request, request, entities_of(request.resource, has_resource)[0], self.moment, self.search.zone)
        if self.inside:
            from hirules.policy.read import within

            view = within(Path("instance", (Name("X"),)), view, parts.get("item", {}))
        return holds(test, view, self.search.operators).truth is one.sign

    # Candidates: what may stand at one place.

    def _candidates(self, place: Place) -> Iterator[object]:
        path, attribute = self.paths[place]
        literals = self.groups[place]
        if place == _NOW:
            yield from pool.values(literals, Type.DATETIME, self.search.now, self.search.zone)
            return
        if place.field == "request" and place.steps == (Name("action"),) and self.action not in _OTHERS_OWN:
            yield None
            return
        raws = list(self._raws(path, attribute, literals))
        if attribute.many:
            yield from self._several(raws, literals)
        else:
            yield from raws
        if path.names[:1] == ("Identifier",):
            yield ""
        yield None

    def _raws(self, path: Path, attribute: Attribute, literals: Sequence[Literal]) -> Iterator[object]:
        for one in literals:
            if isinstance(one.check.argument, Items):
                item = self.search.item(one.check.argument.condition)
                if item is not None:
                    yield item
        # of another attribute that is to be the same
        for one in (literal for group in self.groups.values() for literal in group):
            others = [operand.path for operand in _operands(one)]
            if others and (one.path == path or path in others):
                for other in (one.path, *others):
                    known = self.chosen.get(self._place(other))
                    if known is not None:
                        yield known[0] if isinstance(known, list) else known
        dicom = bool(path.elements) or path.root == "item"
        for value in pool.values(literals, attribute.type, self.search.now, self.search.zone):
            if attribute.type is not Type.SEQUENCE:
                yield spelled(value, dicom)

    def _several(self, raws: Sequence[object], literals: Sequence[Literal]) -> Iterator[object]:
        yield from ([raw] for raw in raws)
        named = list(raws[:8])
        for size in (2, 3):
            yield from (list(one) for one in combinations(named, size))
        if len(named) > 3:
            yield named
        for one in literals:
            if one.check.operator == "count":
                for number in pool.count(one.check.argument):
                    yield [*raws, *(f"OTHER_{more}" for more in range(50))][:number]

    # Putting it together.

    def _built(self) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        self.moment = self.search.now
        for place, value in self.chosen.items():
            if place == _NOW:
                if isinstance(value, datetime):
                    self.moment = value
                continue
            _write(parts, place, value)
        return parts

    def _request(self, parts: Mapping[str, Any]) -> Request:
        entity = parts.get("resource")
        has_resource = self.search.vocabulary.actions[self.action].has_resource
        return Request(
            self.action,
            parts.get("subject", {}),
            parts.get("request", {}),
            resource=[entity] if has_resource and entity is not None else None,
            instance=parts.get("instance", {}) if self.action in ("release", "answer", "c-store") else None,
            context=parts.get("context", {}),
            original=parts.get("original", {}) if self.action in _OTHERS_OWN else None,
        )


_NOW = Place("context", (Name("now"),))


def _operands(one: Literal) -> list[PathOperand]:
    match one.check.argument:
        case Operands(operands):
            return [operand for operand in operands if isinstance(operand, PathOperand)]
        case Row(match=match):
            return [operand for _, operand in match]
        case _:
            return []


def _names(one: Literal) -> bool:
    return one.sign and isinstance(one.check.argument, Operands) and not _operands(one)


_KINDS: Mapping[object, Mapping[str, object]] = {
    "update": {"updates": {"Study": {"StudyDescription": "OTHER"}}},
    "remove": {"removed": ["Study.StudyDescription"]},
    "update-and-remove": {"updates": {"Study": {"StudyDescription": "OTHER"}}, "removed": ["Patient.PatientComments"]},
    "revert": {"revertToVersionId": "1"},
}
"""Requests whose ``kind`` is this."""


def _write(parts: dict[str, Any], place: Place, value: object) -> None:
    """``value`` at its place. What follows from other parameters is written as them."""
    names = [step.name for step in place.steps if isinstance(step, Name)]
    fields = parts.setdefault(place.field, {})
    if place.field in ("request", "original") and len(place.steps) == 1 and names[0] in ("keys", "updated", "kind"):
        if names[0] == "kind":
            fields.update(_KINDS.get(value, {}))
        for name in value if isinstance(value, list) else ():
            target = ("Identifier", name) if names[0] == "keys" else ("updates", *str(name).split(".", 1))
            if "[" not in str(name) and len(target) == (2 if names[0] == "keys" else 3):
                _put(fields, tuple(map(Name, target)), "" if names[0] == "keys" else "OTHER", weak=True)
        return
    if value is None and place.field not in ("resource", "instance", "context"):
        return
    _put(fields, place.steps, value)


def _put(node: dict[str, Any], steps: Sequence[Step], value: object, weak: bool = False) -> None:
    for number, step in enumerate(steps):
        rest = steps[number + 1 :]
        if isinstance(step, Deep | Item):
            continue
        key = _key(step)
        if not rest:
            if not (weak and key in node):
                node[key] = value
            return
        if isinstance(rest[0], Item):
            items = node.setdefault(key, [{}])
            if len(rest) == 1:
                node[key] = value if isinstance(value, list) else [value]
                return
            node = items[0] if isinstance(items, list) and items and isinstance(items[0], dict) else {}
        else:
            below = node.setdefault(key, {})
            if not isinstance(below, dict):
                return
            node = below


def _key(step: Step) -> str:
    match step:
        case Name(name):
            return name
        case Tag(group, element):
            return f"({group},{element})".replace("x", "0")
        case PrivateTag(group, creator, element):
            return f'({group:04X},"{creator}",{element:02X})'
        case Private():
            return "(0009,1001)"
        case _:
            raise TypeError(f"{type(step).__name__} names no key")


__all__ = ["Found", "Search"]
