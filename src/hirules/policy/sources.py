"""Reading one raw value quickly, and what may be remembered of it.

A source answers the raw value at a path, ``None`` where there is nothing, or :data:`OTHER` for what takes more than one look. What the
reference evaluator reads at such a path depends on that value alone, so it may be remembered by it, where it is a text or nothing.

An identifier may spell an element by its number, ``(0010,0020)``, which rules read too; then nothing is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, Protocol

import msgspec

from hirules.model.decision import Decision
from hirules.model.path import Name, Path
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
    otherwise = tuple(sorted(spelled_otherwise(sources)))
    made = _written(*map(len, names), len(otherwise))(known, EMPTY, *names[0], *names[1], *names[2], *otherwise)
    return made, at


_TEXT: Final = """
def made(known, EMPTY{arguments}):
    recall = known.get

    def recalled(decider, request, now):
        subject, fields = request.subject, request.request
        {identifier}
        key = ({key})
        try:
            found = recall(key)
        except TypeError:  # a list is in it
            return decider.decided(None, request, now)
        return found if found is not None and request.resource is None else decider.decided(key, request, now)

    return recalled
"""
_OF_IDENTIFIER: Final = """identifier = fields.get("Identifier", EMPTY)
        if type(identifier) is not dict{otherwise}:
            return decider.decided(None, request, now)"""


@lru_cache(maxsize=256)
def _written(subjects: int, fields: int, elements: int, spellings: int) -> Callable[..., Recall]:
    """The function for so many names of each kind, written out: every request is read so, and loops over names take three times as long.

    The text is made of numbers only; names are bound as arguments.
    """
    places = [("s", "subject", subjects), ("f", "fields", fields), ("e", "identifier", elements)]
    own = [f"{letter}{number}" for letter, _, count in places for number in range(count)]
    spelled = [f"o{number}" for number in range(spellings)]
    key = "".join(f"{mapping}.get({letter}{number}), " for letter, mapping, count in places for number in range(count))
    identifier = _OF_IDENTIFIER.format(otherwise="".join(f" or {name} in identifier" for name in spelled)) if elements else ""
    namespace: dict[str, Callable[..., Recall]] = {}
    exec(_TEXT.format(arguments="".join(f", {name}" for name in [*own, *spelled]), identifier=identifier, key=key), {}, namespace)
    return namespace["made"]


def spelled_otherwise(sources: Iterable[Source]) -> frozenset[str]:
    """The other keys by which an identifier may name the elements that these sources read."""
    return frozenset(spelling for source in sources if source.place == IDENTIFIER for spelling in spellings(source.name))
