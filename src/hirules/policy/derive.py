"""Attributes that follow from others: ``request.action``, ``keys``, ``updated``, ``kind``.

A request may carry them; where it does not, they follow from ``Identifier`` and ``updates``. After a rewrite
they follow the edit (``carried``), so that a rule on the effective request sees what will happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from pydicom.datadict import dictionary_VR, tag_for_keyword

from hirules.model.reading import Fields, Unknown
from hirules.model.request import Request
from hirules.model.updates import updated_paths
from hirules.policy.find import is_nothing, items_of

NO_KEYS = frozenset({"QueryRetrieveLevel", "SpecificCharacterSet", "TimezoneOffsetFromUTC"})
"""Elements of an identifier that ask for nothing (PS3.4 §C.4.1.1.3.1)."""
_OF_OTHERS = ("answer", "release")
_SAME_STRUCTURE = Unknown("it has another structure than expected")


def narrows_get(request: Request) -> bool:
    """Whether it is a C-STORE that a permitted C-GET brings, or a C-MOVE through the gateway: it only narrows what that one was granted."""
    return request.action == "c-store" and request.request.get("action") in ("c-get", "c-move")


def asking_action(request: Request) -> object:
    """The action; for ``answer``, ``release`` and the C-STORE of a retrieve the one that asked for what leaves."""
    if narrows_get(request):
        return request.request["action"]
    if request.action not in _OF_OTHERS:
        return request.action
    told = request.request.get("action")
    return Unknown("the action that asked was not given") if is_nothing(told) else told


def derived(names: tuple[str, ...], request: Request, fields: Fields) -> object | None:
    """The raw value of a derived attribute of ``fields``; ``None`` where ``names`` is none, or is carried."""
    if names == ("action",):
        return asking_action(request)
    follow = _FOLLOW.get(names[0])
    if follow is None or fields.get(names[0]) is not None:
        return None
    return follow(fields)


def keys_of_identifier(identifier: object) -> object:
    """Every key that an identifier asks for, nested ones as ``Sequence[*].Keyword``."""
    if identifier is None:
        return []
    if not isinstance(identifier, Mapping):
        return identifier if isinstance(identifier, Unknown) else _SAME_STRUCTURE
    return [*sorted(set(_keys(identifier, ""))), *_unknown_below(identifier)]


def _keys(data_set: Mapping[str, object], prefix: str) -> Iterator[str]:
    for key, value in data_set.items():
        if value is not None and (prefix or key not in NO_KEYS):
            yield prefix + key
            for item in items_of(value):
                if isinstance(item, Mapping):
                    yield from _keys(item, f"{prefix}{key}[*].")


def _unknown_below(fields: Mapping[str, object]) -> list[Unknown]:
    """One unknown, where a sequence or an item is unknown: it may name more."""
    for key, value in fields.items():
        items = items_of(value)
        if any(isinstance(item, Unknown) or _unknown_below(item) for item in items if isinstance(item, Mapping | Unknown)):
            return [_NAMES_MORE]
        if isinstance(value, Unknown) and _may_be_sequence(key):
            return [_NAMES_MORE]
    return []


def _may_be_sequence(key: str) -> bool:
    tag = tag_for_keyword(key)
    return tag is None or dictionary_VR(tag) == "SQ"


_NAMES_MORE = Unknown("a sequence is unknown, and may name more")


def _updated(fields: Fields) -> object:
    updates = fields.get("updates")
    if updates is None:
        return []
    if not isinstance(updates, Mapping):
        return updates if isinstance(updates, Unknown) else _SAME_STRUCTURE
    levels = [fields for fields in updates.values() if isinstance(fields, Mapping | Unknown)]
    unknown = [_NAMES_MORE] if any(isinstance(fields, Unknown) or _unknown_below(fields) for fields in levels) else []
    return [*updated_paths(updates), *unknown]


def _kind(fields: Fields) -> object:
    updated = _updated(fields) if fields.get("updated") is None else fields["updated"]
    removed = [fields.get("removed"), fields.get("removed_instances")]
    parts = (updated, *removed, fields.get("revertToVersionId"))
    if found := [part for part in parts if isinstance(part, Unknown)]:
        return found[0]
    if not is_nothing(fields.get("revertToVersionId")):
        return "revert"
    updates, removes = not is_nothing(updated), not all(is_nothing(part) for part in removed)
    if updates and removes:
        return "update-and-remove"
    return "update" if updates else "remove" if removes else ""


_FOLLOW: Mapping[str, Callable[[Fields], object]] = {
    "keys": lambda fields: keys_of_identifier(fields.get("Identifier")),
    "updated": _updated,
    "kind": _kind,
}


def carried(before: Fields, after: dict[str, object]) -> dict[str, object]:
    """``after``, its carried lists changed as what they follow from was. ``before`` are the parameters as they came."""
    for name, source in (("keys", "Identifier"), ("updated", "updates")):
        stated = before.get(name)
        if isinstance(stated, list | tuple) and before.get(source) is not after.get(source):
            after[name] = _followed(stated, _FOLLOW[name](before), _FOLLOW[name](after))
    if any(before.get(name) is not after.get(name) for name in ("updates", "updated", "removed")):
        after.pop("kind", None)
        if not is_nothing(before.get("kind")):
            after["kind"] = _kind(after)
    return after


def _followed(stated: Sequence[object], old: object, new: object) -> object:
    """What was stated, without what an edit took away and with what it brought; what is unknown of either stays unknown."""
    if not isinstance(old, list) or not isinstance(new, list):
        return new
    return [*new, *(value for value in stated if value not in old and value not in new)]
