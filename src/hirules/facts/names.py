"""Does a request carry only what its action has? A name that nothing reads is a mistake that a rule would miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from hirules.facts.consistent import CONCERNED
from hirules.model.path import PathError, parse_path, spell_name
from hirules.model.request import Request
from hirules.model.scalars import is_tag
from hirules.model.vocabulary import Vocabulary

_OF_GATEWAY = frozenset({"context.removed_keys"})
"""What the gateway tells the record; no rule reads it."""

_SHAPES = 1024
"""Combinations of names that are remembered for an action."""


class Names:
    """The names that requests may carry, by root and action."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._known: dict[tuple[str, str], frozenset[str]] = {}
        self._usual: dict[str, set[tuple[object, ...] | None]] = {action: set() for action in vocabulary.actions}
        self._further = {action: CONCERNED | self._containers_of(action) for action in vocabulary.actions}
        """Names whose values are to be looked at each time."""

    def strange(self, request: Request, *, whole: bool = False) -> tuple[str, ...]:
        """Every path in ``request`` that its action does not have, sorted. The action itself is known.

        With ``whole`` also those below an attribute that has no names below it; to a rule such a value is unknown.
        """
        found = tuple(sorted(_strange(request, self, whole)))
        if not found and not whole and (shape := _shape(request)) is not None and self._further[request.action].isdisjoint(shape):
            usual = self._usual[request.action]
            if len(usual) >= _SHAPES:
                usual.clear()
            usual.add(shape)
        return found

    def usual(self, request: Request) -> bool:
        """Whether a request with just these names has been found to have nothing strange, nor anything that could be read in two ways."""
        return _shape(request) in self._usual[request.action]

    def _containers_of(self, action: str) -> frozenset[str]:
        """The names that have names below them, the identifier left out, whose names are part of a shape."""
        nested = (path.replace("[*]", "").split(".") for path, attribute in self.vocabulary.attributes.items() if action in attribute.actions)
        return frozenset(names[1] for names in nested if len(names) > 2) - {"Identifier"}

    def below(self, root: str, action: str) -> frozenset[str]:
        """The first names that a request for ``action`` may carry below ``root``."""
        known = self._known.get((root, action))
        if known is None:
            known = self._known[root, action] = self.vocabulary.names_below(root, action)
        return known


_END: Final = object()
_ORIGINAL: Final = object()


def _shape(request: Request) -> tuple[object, ...] | None:
    """All the names in a plain request; ``None`` for one that has more than parameters, the keys of an identifier and a data set from the wire."""
    if request.resource or request.resource_after or type(request.instance) is dict:
        return None
    fields, original = request.request, request.original
    identifier = fields.get("Identifier")
    shape: tuple[object, ...]
    if type(identifier) is dict:
        shape = (*request.subject, _END, *fields, _END, *request.context, _END, *identifier)
    else:
        shape = (*request.subject, _END, *fields, _END, *request.context)
    if original is None:
        return shape
    asked = original.get("Identifier")
    return (*shape, _ORIGINAL, *original, _END, *asked) if type(asked) is dict else (*shape, _ORIGINAL, *original)


def _strange(request: Request, names: Names, whole: bool) -> Iterator[str]:
    action, attributes = request.action, names.vocabulary.attributes
    roots: list[tuple[str, Mapping[str, object]]] = [
        ("subject", request.subject),
        ("request", request.request),
        ("context", request.context),
        *(("resource", entity) for entity in (request.resource or ())),
        *(("resource", entity) for entity in (request.resource_after or ())),
    ]
    if request.original is not None:
        roots.append(("request", request.original))
    if type(request.instance) is dict:
        roots.append(("instance", request.instance))
    for root, fields in roots:
        known = names.below(root, action)
        for name, value in fields.items():
            path = f"{root}.{_spelled(name)}"
            if not (name in known or ("<Keyword>" in known and _is_element(name)) or path in _OF_GATEWAY):
                yield path
            elif type(value) is dict and (whole or path not in attributes):  # a data set from the wire is lazy, and has been read strictly
                yield from _below(path, value, action, names.vocabulary)


def _below(prefix: str, fields: Mapping[str, object], action: str, vocabulary: Vocabulary) -> Iterator[str]:
    if f"{prefix}.<name>" in vocabulary.attributes:
        return
    for name, value in fields.items():
        path = f"{prefix}.{_spelled(name)}"
        attribute = None
        try:
            parsed = parse_path(path)
            attribute = vocabulary.lookup(parsed)
        except PathError:
            yield path
            continue
        if attribute is not None and action in attribute.actions:
            continue
        if type(value) is dict and _leads_on(path, action, vocabulary):
            yield from _below(path, value, action, vocabulary)
        elif isinstance(value, list | tuple) and _leads_on(path + "[*]", action, vocabulary):
            for item in value:
                if type(item) is dict:
                    yield from _below(path + "[*]", item, action, vocabulary)
        else:
            yield path


def _spelled(name: str) -> str:
    return name if name.startswith("(") else spell_name(name)  # a tag stands in a path as it is


def _leads_on(prefix: str, action: str, vocabulary: Vocabulary) -> bool:
    return any(path.startswith(prefix + ".") and action in attribute.actions for path, attribute in vocabulary.attributes.items())


def _is_element(name: str) -> bool:
    if name.startswith("("):
        try:
            return bool(parse_path(f"instance.{name}").elements)
        except PathError:
            return False
    return is_tag(name)
