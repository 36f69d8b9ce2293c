"""Places: where exactly in a request an edit applies, and writing there without touching the original.

A place is the concrete way to one value: ``("request", "Identifier", "ReferencedSeriesSequence", 0, "Modality")``. A path with
``[*]``, ``**``, ``private`` or a repeating group leads to every such place that is there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pydicom.datadict import tag_for_keyword

from hirules.model.overlay import GONE, overlaid
from hirules.model.path import Deep, Item, Name, Path, Private, PrivateTag, Step, Tag, spell_name
from hirules.model.reading import ByKeyword, Unknown
from hirules.model.request import Request
from hirules.policy.edits import EditFailed
from hirules.policy.find import is_private, items_of, keys_of

Place = tuple[str | int, ...]


class _Absent:
    """Nothing is at a place."""

    def __repr__(self) -> str:
        return "ABSENT_VALUE"


ABSENT_VALUE = _Absent()


def places(path: Path, request: Request) -> list[Place]:
    """Every place that ``path`` leads to. Raises :class:`EditFailed` where part of the way is unknown."""
    return [(path.root, *place) for place in _expand(_root(path.root, request), path.steps)]


def _root(root: str, request: Request) -> object:
    return request.request if root == "request" else request.instance if request.instance is not None else {}


def _expand(node: object, steps: Sequence[Step]) -> Iterator[Place]:
    if not steps:
        yield ()
        return
    if isinstance(node, Unknown):
        raise EditFailed(f"its place is unknown: {node.why}")
    step, rest = steps[0], steps[1:]
    match step:
        case Item():
            yield from _expand_items(node, step.index, rest)
        case Deep():
            yield from _everywhere(node, rest)
        case Private():
            yield from _private(node)
        case _:
            yield from _expand_names(node, step, rest)


def _expand_names(node: object, step: Step, rest: Sequence[Step]) -> Iterator[Place]:
    if node is not ABSENT_VALUE and not isinstance(node, Mapping):
        raise EditFailed("its place has another structure than expected")
    keys = list(keys_of(node, step)) if isinstance(node, Mapping) else []
    for key in keys:
        # INVARIANT: null is absent
        value = node[key] if isinstance(node, Mapping) else None
        yield from ((key, *place) for place in _expand(ABSENT_VALUE if value is None or (rest and value == "") else value, rest))
    if not keys and not (isinstance(step, Tag) and "x" in step.group + step.element):
        yield from ((_key(step), *place) for place in _expand(ABSENT_VALUE, rest))


def _expand_items(node: object, index: int | None, rest: Sequence[Step]) -> Iterator[Place]:
    if node is not ABSENT_VALUE and not isinstance(node, list | tuple):
        raise EditFailed("its place has another structure than expected")
    items: Sequence[object] = node if isinstance(node, list | tuple) else ()
    for number in range(len(items)) if index is None else (index,):
        item = items[number] if number < len(items) else ABSENT_VALUE
        yield from ((number, *place) for place in _expand(item, rest))


def _everywhere(node: object, rest: Sequence[Step]) -> Iterator[Place]:
    """Places that are there, at every depth; ``**`` creates nothing."""
    if not isinstance(node, Mapping):
        return
    for place in _expand_names(node, rest[0], rest[1:]) if rest else ():
        if look(node, place) is not ABSENT_VALUE:
            yield place
    yield from _below(node, lambda item: _everywhere(item, rest))


def _private(node: object) -> Iterator[Place]:
    if not isinstance(node, Mapping):
        return
    own = dict.fromkeys(key for key in node if is_private(key))
    yield from ((key,) for key in own)
    # what lies below a private sequence goes with it
    yield from _below({key: node[key] for key in node if key not in own}, _private)


def _below(node: Mapping[str, object], search: object) -> Iterator[Place]:
    for key, value in node.items():
        if isinstance(value, Unknown):
            raise EditFailed(f"part of the data set is unknown: {value.why}")
        for number, item in enumerate(items_of(value)):
            if isinstance(item, Unknown):
                raise EditFailed(f"part of the data set is unknown: {item.why}")
            yield from ((key, number, *place) for place in search(item))  # type: ignore[operator]


def _key(step: Step) -> str:
    """How an element that is not there yet is written."""
    match step:
        case Name(name):
            return name
        case Tag(group, element):
            return f"({group},{element})"
        case PrivateTag(group, creator, element):
            return f'({group:04X},"{creator}",{element:02X})'
        case _:
            raise TypeError(f"{type(step).__name__} names no key")


def place_text(place: Place) -> str:
    """A place as a path."""
    text = str(place[0])
    for key in place[1:]:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if key.startswith("(") else f".{spell_name(key)}"
    return text


def look(node: object, place: Place) -> object:
    """The raw value below ``node``, or :data:`ABSENT_VALUE`."""
    for key in place:
        if isinstance(key, str) and isinstance(node, Mapping):
            node = node.get(key)
        elif isinstance(key, int) and isinstance(node, list | tuple) and key < len(node):
            node = node[key]
        else:
            return ABSENT_VALUE
        if node is None:
            return ABSENT_VALUE
    return node


def at(request: Request, place: Place) -> object:
    """The raw value at a place of a request, or :data:`ABSENT_VALUE`."""
    return look(_root(str(place[0]), request), place[1:])


def written(node: object, place: Place, value: object) -> object:
    """``node`` with ``value`` at the place, everything else as it was; parents are created, items are not.

    A data set that decodes what is read of it gets an overlay: nothing else of it is decoded.
    """
    if not place:
        return value
    key, rest = place[0], place[1:]
    if isinstance(key, int):
        if not isinstance(node, list | tuple) or key >= len(node):
            raise EditFailed("it would need a sequence item that is not there")
        items = list(node)
        items[key : key + 1] = [] if not rest and value is ABSENT_VALUE else [written(items[key], rest, value)]
        return items
    if node is not None and node != "" and not isinstance(node, Mapping):
        raise EditFailed("its place has another structure than expected")
    if isinstance(node, ByKeyword) and _is_key(node, key):
        return overlaid(node, key, GONE if not rest and value is ABSENT_VALUE else written(node.get(key) if rest else None, rest, value))
    fields = dict(node) if isinstance(node, Mapping) else {}
    if not rest and value is ABSENT_VALUE:
        fields.pop(key, None)
    else:
        fields[key] = written(fields.get(key), rest, value)
    return fields


def _is_key(node: ByKeyword, key: str) -> bool:
    """Whether ``key`` is how the data set names an element that it has, or would name it: one that a number names may have another name there."""
    return key in node or tag_for_keyword(key) is not None
