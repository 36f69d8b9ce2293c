"""Reading one raw value quickly, and what may be remembered of it.

A source answers the raw text at a path, ``None`` where there is nothing, or :data:`OTHER` for whatever else is there. What the
reference evaluator reads at such a path depends on that text alone, so it may be remembered by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from hirules.model.path import Name, Path
from hirules.model.request import Request
from hirules.model.scalars import TEXTUAL, Type


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
                return identifier.get(self.name)
            return None if identifier is None else OTHER
        return OTHER


NO_SOURCE = Source()


def source_of(path: Path, type_: Type) -> Source:
    """The source of ``path``."""
    if path.original or type_ not in _TYPES or not all(isinstance(step, Name) for step in path.steps):
        return NO_SOURCE
    names = tuple(step.name for step in path.steps if isinstance(step, Name))
    if path.root == "subject" and len(names) == 1:
        return Source(SUBJECT, names[0])
    if path.root != "request":
        return NO_SOURCE
    if len(names) == 1 and not path.elements and names[0] not in _FOLLOWING:
        return Source(REQUEST, names[0])
    return Source(IDENTIFIER, names[1]) if len(names) == 2 and names[0] == "Identifier" else NO_SOURCE
