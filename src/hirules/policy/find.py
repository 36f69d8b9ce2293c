"""Finding what a path leads to in nested mappings: names, DICOM elements, items, every depth.

``find`` answers the raw values, in order. :class:`~hirules.model.reading.Unknown` stands for what could not be
established. A name that is not there is ``missing``: nothing where it is known to be absent, else an ``Unknown``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from pydicom.datadict import tag_for_keyword

from hirules.model.path import Deep, Item, Name, Private, PrivateTag, Step, Tag
from hirules.model.reading import ByKeyword, Unknown

Raw = object
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_PRIVATE = re.compile(r'\(([0-9A-Fa-f]{4}),"([^"]+)",([0-9A-Fa-f]{2})\)')
_NO_MAPPING = Unknown("it has another structure than expected")


def find(node: Raw, steps: Sequence[Step], missing: Unknown | None = None) -> list[Raw]:
    """Every raw value that ``steps`` lead to."""
    if isinstance(node, Unknown):
        return [node]
    if not steps:
        return [node]
    if is_nothing(node):
        return []
    step, rest = steps[0], steps[1:]
    match step:
        case Item(index):
            return [raw for item in _items_at(node, index) for raw in find(item, rest, missing)]
        case Deep():
            found = [raw for mapping in every_depth(node) for raw in find(mapping, rest)]
        case Private():
            found = [mapping[key] for mapping in every_depth(node) if isinstance(mapping, Mapping) for key in mapping if is_private(key)]
            found += [mapping for mapping in every_depth(node) if isinstance(mapping, Unknown)]
        case _:
            if not isinstance(node, Mapping):
                return [_NO_MAPPING]
            found = [raw for key in keys_of(node, step) for raw in find(node[key], rest, missing)]
            if found or any(True for _ in keys_of(node, step)):
                return found
    # what could not be searched may hold more
    return found if missing is None else [*found, missing]


def is_nothing(node: Raw) -> bool:
    """Whether a raw value is zero-length."""
    return node is None or (isinstance(node, str | bytes | list | tuple) and not node)


def keys_of(mapping: Mapping[str, Raw], step: Step) -> Iterator[str]:
    """The keys of a data set, or of other fields, that a step names."""
    match step:
        case Name(name):
            if name in mapping:
                yield name
            # a caller may spell a standard element by its number; a rule must not miss it
            if not isinstance(mapping, ByKeyword):
                yield from (spelling for spelling in spellings(name) if spelling in mapping)
        case PrivateTag(group, creator, element):
            blocks = _blocks(mapping, group, creator)
            yield from (key for key in mapping if _names_private(key, group, creator, element, blocks))
        case Tag(group, element):
            pattern = re.compile((group + element).replace("x", "[0-9A-F]"))
            yield from (key for key in mapping if (text := tag_digits(key)) is not None and pattern.fullmatch(text))
        case _:
            raise TypeError(f"{type(step).__name__} names no key")


@cache
def spellings(keyword: str) -> tuple[str, ...]:
    """The other ways to write a standard element of a data set; those of a command set are parameters, and have their names only."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag < 0x00010000:
        return ()
    digits = f"{tag:08X}"
    return tuple(dict.fromkeys(text for one in (digits, digits.lower()) for text in (f"({one[:4]},{one[4:]})", one)))


def _blocks(mapping: Mapping[str, Raw], group: int, creator: str) -> set[int]:
    """The blocks that the data set itself says are the creator's (PS3.5 §7.8.1)."""
    return {
        int(found[2], 16)
        for key in mapping
        if (found := _TAG.fullmatch(key)) and int(found[1], 16) == group and found[2][:2] == "00" and _is_text(mapping[key], creator)
    }


def _is_text(value: Raw, text: str) -> bool:
    return isinstance(value, str) and value.strip(" \0") == text


def _names_private(key: str, group: int, creator: str, element: int, blocks: set[int]) -> bool:
    if found := _PRIVATE.fullmatch(key):
        return (int(found[1], 16), found[2], int(found[3], 16)) == (group, creator, element)
    found = _TAG.fullmatch(key)
    return found is not None and int(found[1], 16) == group and int(found[2], 16) & 0xFF == element and int(found[2], 16) >> 8 in blocks


def tag_digits(key: str) -> str | None:
    """The eight hex digits of an element's key; ``None`` where it has no number."""
    if found := _TAG.fullmatch(key):
        return (found[1] + found[2]).upper()
    tag = tag_for_keyword(key)
    return None if tag is None else f"{tag:08X}"


def is_private(key: str) -> bool:
    """Whether a key of a data set names a private element or a private creator: its group is odd."""
    found = _TAG.fullmatch(key) or _PRIVATE.fullmatch(key)
    return found is not None and int(found[1], 16) % 2 == 1


def every_depth(node: Raw) -> Iterator[Raw]:
    """A data set and the items of all its sequences, with what of them is unknown."""
    yield node
    if isinstance(node, Mapping):
        for value in node.values():
            for item in items_of(value):
                yield from every_depth(item)
            if isinstance(value, Unknown):
                yield value


def items_of(value: Raw) -> Sequence[Raw]:
    """The items of a sequence or of a list of mappings; a mapping alone is one item. A list in a list may hide some: it is unknown."""
    if isinstance(value, Mapping):
        return (value,)
    if isinstance(value, list | tuple):
        return [_NO_MAPPING if isinstance(item, list | tuple) else item for item in value if isinstance(item, Mapping | Unknown | list | tuple)]
    return ()


def _items_at(node: Raw, index: int | None) -> Sequence[Raw]:
    items: Sequence[Raw] = node if isinstance(node, list | tuple) else (node,)
    return items if index is None else items[index : index + 1]
