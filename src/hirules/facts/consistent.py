"""A request that can be read in two ways is refused before any rule (LANGUAGE: Absent and unknown are two things).

Who enforces tells ``updates`` and may tell what follows from it (``updated``, ``kind``), ``Identifier`` and ``keys`` likewise.
Rules read both; where they disagree, or where a standard element is spelled so that a rule would not find it, a rule would look
at something else than what is carried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hirules.model.levels import LEVELS, level_of
from hirules.model.path import Name, PathError, Tag, is_keyword, parse_elements, path_of
from hirules.model.reading import Fields
from hirules.model.request import Request
from hirules.model.scalars import Type, read
from hirules.policy.derive import derived

CONCERNED = frozenset({"updates", "updated", "removed", "kind", "keys"})
"""Names of parameters without which nothing can be read in two ways."""
_KINDS: Mapping[object, frozenset[str]] = {
    "update": frozenset({"update", "update-and-remove"}),
    "remove": frozenset({"remove", "update-and-remove"}),
    "update-and-remove": frozenset({"update-and-remove"}),
    "revert": frozenset({"revert"}),
}
"""What ``kind`` may say, by what the update does."""


def ambiguous(request: Request) -> tuple[str, ...]:
    """Every path below ``request.`` that can be read in two ways, sorted."""
    fields = request.request
    if CONCERNED.isdisjoint(fields):
        return ()
    return tuple(sorted({*_updates(fields), *_named(fields), *_disagreeing(request, fields)}))


def _updates(fields: Fields) -> Iterator[str]:
    updates = fields.get("updates")
    for level, elements in updates.items() if isinstance(updates, Mapping) else ():
        yield from _numbered(f"request.updates.{level}", elements)


def _numbered(prefix: str, value: object) -> Iterator[str]:
    """Standard elements that are spelled by their number, at every depth."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbered(prefix + "[*]", item)
    elif isinstance(value, Mapping):
        for key, below in value.items():
            path = f"{prefix}.{key}"
            if _canonical(str(key)) != key:
                yield path
            yield from _numbered(path, below)


def _named(fields: Fields) -> Iterator[str]:
    """Lists of ``Level.Keyword`` of which a member is spelled in another way, or at another level."""
    for name in ("updated", "removed"):
        value = fields.get(name)
        members = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(member, str) and member and not _level_and_name(member) for member in members):
            yield f"request.{name}"


def _level_and_name(text: str) -> bool:
    level, _, rest = text.partition(".")
    if level not in LEVELS or _canonical(rest) != rest:
        return False
    first = parse_elements(rest)[0]
    return isinstance(first, Tag) or not isinstance(first, Name) or (is_keyword(first.name) and level_of(first.name) == level)


def _canonical(name: str) -> str | None:
    try:
        return path_of("instance", parse_elements(name)).text.removeprefix("instance.")
    except PathError:
        return None


def _disagreeing(request: Request, fields: Fields) -> Iterator[str]:
    """What is told, and lacks something that follows from the request itself."""
    for name, source in (("updated", "updates"), ("keys", "Identifier")):
        told = fields.get(name)
        if told is not None and isinstance(fields.get(source), Mapping):
            follows = derived((name,), request, {key: value for key, value in fields.items() if key != name})
            if not _texts(name, follows) <= _texts(name, told):
                yield f"request.{name}"
    kind = derived(("kind",), request, {key: value for key, value in fields.items() if key != "kind"})
    if isinstance(fields.get("kind"), str) and isinstance(kind, str) and kind and fields["kind"] not in _KINDS[kind]:
        yield "request.kind"


def _texts(name: str, value: object) -> frozenset[str]:
    members = value if isinstance(value, list | tuple) else (value,)
    return frozenset(_key(member) if name == "keys" else member for member in members if isinstance(member, str))


def _key(text: str) -> str:
    try:
        return str(read(Type.TAG, text))
    except ValueError:
        return text
