"""Reading one raw value quickly, and what may be remembered of it.

A source answers the raw value at a path, ``None`` where there is nothing, or :data:`OTHER` for what takes more than one look. What the
reference evaluator reads at such a path depends on that value alone, so it may be remembered by it, where it is a text or nothing.

An identifier may spell an element by its number, ``(0010,0020)``, which rules read too; then nothing is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import msgspec

from hirules.model.decision import Decision
from hirules.model.path import Name, Path
from hirules.model.reading import Fields
from hirules.model.request import EMPTY, Request
from hirules.model.scalars import TEXTUAL, Type
from hirules.policy.find import spellings


class _Other:
    """Neither a text nor nothing; equal to nothing that is remembered."""


OTHER: Final = _Other()

SUBJECT: Final = 1
REQUEST: Final = 2
IDENTIFIER: Final = 3
ELSEWHERE: Final = 0
"""What is read there depends on more than one raw value."""

_FOLLOWING = frozenset({"action", "keys", "updated", "kind"})
"""They may follow from other attributes (``derive``)."""
_TYPES = TEXTUAL | {Type.INTEGER, Type.ADDRESS}


class Source(msgspec.Struct, frozen=True):
    """``place`` is one of the constants above, ``name`` the name or the keyword there."""

    place: int = ELSEWHERE
    name: str = ""

    def raw(self, request: Request) -> object:
        """The raw text, ``None`` or :data:`OTHER`."""
        if self.place == SUBJECT:
            return request.subject.get(self.name)
        if self.place == REQUEST:
            return request.request.get(self.name)
        if self.place == IDENTIFIER:
            identifier = request.request.get("Identifier")
            if isinstance(identifier, Mapping):
                return OTHER if any(spelling in identifier for spelling in spellings(self.name)) else identifier.get(self.name)
            return None if identifier is None else OTHER
        return OTHER


NO_SOURCE = Source()


def source_of(path: Path, type_: Type) -> Source:
    """The source of ``path``."""
    if path.original or type_ not in _TYPES or not all(isinstance(step, Name) for step in path.steps):
        return NO_SOURCE
    names = tuple(step.name for step in path.steps if isinstance(step, Name))
    if names and names[0] != "Identifier" and spellings(names[0]):
        return NO_SOURCE
    if path.root == "subject" and len(names) == 1:
        return Source(SUBJECT, names[0])
    if path.root != "request":
        return NO_SOURCE
    if len(names) == 1 and not path.elements and names[0] not in _FOLLOWING:
        return Source(REQUEST, names[0])
    return Source(IDENTIFIER, names[1]) if len(names) == 2 and names[0] == "Identifier" else NO_SOURCE


Key = tuple[object, ...]
"""What of a request's subject, its parameters and its identifier stands at some sources."""


class Decider(Protocol):
    """What decides a request that is not known."""

    def decided(self, key: Key | None, request: Request, now: datetime) -> Decision | None:
        """``key`` is what stands at the sources; ``None`` where that cannot be a key."""


_Reader = Callable[[Fields, Fields, Fields], Key]
Recall = Callable[[Decider, Request, datetime], Decision | None]
"""The decision that is known by what stands at some sources of a request; else the decider's."""


def recall_of(sources: Sequence[Source], known: Mapping[Key, Decision]) -> tuple[Recall, tuple[int, ...]]:
    """What recalls decisions from ``known`` by these sources, and where in its keys each of them is.

    The key is of an identifier that is a ``dict`` and spells no element of the sources otherwise; another may be decoded as it is read. No
    decision is known of a request with a resource.
    """
    names = [tuple([source.name for source in sources if source.place == place]) for place in (SUBJECT, REQUEST, IDENTIFIER)]
    before = (0, len(names[0]), len(names[0]) + len(names[1]))
    at = tuple([before[source.place - SUBJECT] + names[source.place - SUBJECT].index(source.name) for source in sources])
    written = _USUAL.get((len(names[0]), len(names[1]), len(names[2])))
    read = _any(*names) if written is None else written(*names[0], *names[1], *names[2])
    recall, none_otherwise = known.get, spelled_otherwise(sources).isdisjoint

    def recalled(decider: Decider, request: Request, now: datetime) -> Decision | None:
        fields = request.request
        identifier = fields.get("Identifier", EMPTY)
        if type(identifier) is not dict or not none_otherwise(identifier):
            return decider.decided(None, request, now)
        key = read(request.subject, fields, identifier)
        try:
            found = recall(key)
        except TypeError:  # a list is in it
            return decider.decided(None, request, now)
        return found if found is not None and request.resource is None else decider.decided(key, request, now)

    return recalled, at


def _any(of_subject: Sequence[str], of_request: Sequence[str], of_identifier: Sequence[str]) -> _Reader:
    return lambda subject, request, identifier: (*map(subject.get, of_subject), *map(request.get, of_request), *map(identifier.get, of_identifier))


# A loop over names takes three times as long, and every request is read so.
_USUAL: Final[Mapping[tuple[int, int, int], Callable[..., _Reader]]] = {
    (0, 0, 1): lambda a: lambda s, r, i: (i.get(a),),
    (0, 0, 2): lambda a, b: lambda s, r, i: (i.get(a), i.get(b)),
    (0, 1, 0): lambda a: lambda s, r, i: (r.get(a),),
    (0, 1, 1): lambda a, b: lambda s, r, i: (r.get(a), i.get(b)),
    (0, 1, 2): lambda a, b, c: lambda s, r, i: (r.get(a), i.get(b), i.get(c)),
    (1, 0, 0): lambda a: lambda s, r, i: (s.get(a),),
    (1, 0, 1): lambda a, b: lambda s, r, i: (s.get(a), i.get(b)),
    (1, 0, 2): lambda a, b, c: lambda s, r, i: (s.get(a), i.get(b), i.get(c)),
    (1, 1, 0): lambda a, b: lambda s, r, i: (s.get(a), r.get(b)),
    (1, 1, 1): lambda a, b, c: lambda s, r, i: (s.get(a), r.get(b), i.get(c)),
    (1, 1, 2): lambda a, b, c, d: lambda s, r, i: (s.get(a), r.get(b), i.get(c), i.get(d)),
    (2, 0, 0): lambda a, b: lambda s, r, i: (s.get(a), s.get(b)),
    (2, 0, 1): lambda a, b, c: lambda s, r, i: (s.get(a), s.get(b), i.get(c)),
    (2, 0, 2): lambda a, b, c, d: lambda s, r, i: (s.get(a), s.get(b), i.get(c), i.get(d)),
    (2, 1, 0): lambda a, b, c: lambda s, r, i: (s.get(a), s.get(b), r.get(c)),
    (2, 1, 1): lambda a, b, c, d: lambda s, r, i: (s.get(a), s.get(b), r.get(c), i.get(d)),
    (2, 1, 2): lambda a, b, c, d, e: lambda s, r, i: (s.get(a), s.get(b), r.get(c), i.get(d), i.get(e)),
}
"""Readers by the number of names of the subject, the parameters and the identifier."""


def spelled_otherwise(sources: Iterable[Source]) -> frozenset[str]:
    """The other keys by which an identifier may name the elements that these sources read."""
    return frozenset(spelling for source in sources if source.place == IDENTIFIER for spelling in spellings(source.name))
