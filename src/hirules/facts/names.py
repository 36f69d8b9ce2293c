"""Does a request carry only what its action has? A name that nothing reads is a mistake that a rule would miss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hirules.model.path import PathError, parse_path, spell_name
from hirules.model.request import Request
from hirules.model.scalars import is_tag
from hirules.model.vocabulary import Vocabulary

_OF_GATEWAY = frozenset({"context.removed_keys"})
"""What the gateway tells the record; no rule reads it."""


_ELEMENTS = 4096
"""Names of elements that are remembered for an action."""


class Names:
    """The names that requests may carry, by root and action."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._known: dict[tuple[str, str], frozenset[str]] = {}
        self._elements: dict[str, set[str]] = {action: set() for action in vocabulary.actions}
        self._plain = {action: tuple(self.below(root, action) for root in ("subject", "request", "context")) for action in vocabulary.actions}

    def strange(self, request: Request) -> tuple[str, ...]:
        """Every path in ``request`` that its action does not have, sorted. The action itself is known."""
        if self._usual(request):
            return ()
        found = tuple(sorted(_strange(request, self)))
        identifier = request.request.get("Identifier")
        elements = self._elements[request.action]
        if not found and type(identifier) is dict and len(elements) < _ELEMENTS:
            elements.update(identifier)
        return found

    def _usual(self, request: Request) -> bool:
        """Whether a request plainly has known names only: nothing nested but an identifier of elements that were seen to be known."""
        if request.resource or request.resource_after or request.instance is not None or request.original is not None:
            return False
        subject, parameters, context = self._plain[request.action]
        fields = request.request
        identifier = fields.get("Identifier")
        nested = isinstance(identifier, dict)
        if not (request.subject.keys() <= subject and fields.keys() <= parameters) or dict in map(type, request.subject.values()):
            return False
        if isinstance(identifier, dict) and not identifier.keys() <= self._elements[request.action]:
            return False
        if list(map(type, fields.values())).count(dict) != nested:
            return False
        return not request.context or (request.context.keys() <= context and dict not in map(type, request.context.values()))

    def below(self, root: str, action: str) -> frozenset[str]:
        """The first names that a request for ``action`` may carry below ``root``."""
        known = self._known.get((root, action))
        if known is None:
            known = self._known[root, action] = self.vocabulary.names_below(root, action)
        return known


def _strange(request: Request, names: Names) -> Iterator[str]:
    action = request.action
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
            elif type(value) is dict:  # a data set from the wire is lazy, and has been read strictly
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
