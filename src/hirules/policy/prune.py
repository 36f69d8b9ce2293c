"""Keeping of a data set only what is named (``keep_only``): whole subtrees, and of several lists what all of them name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hirules.model.path import Deep, Item, Private, Step
from hirules.policy.find import is_private, keys_of

Names = Sequence[tuple[Step, ...]]
"""Elements below the data set, each by its steps."""
Way = tuple[str | int, ...]


def pruned(data_set: Mapping[str, object], lists: Sequence[Names]) -> tuple[dict[str, object], tuple[Way, ...]]:
    """What of ``data_set`` every list keeps, and the ways of what went."""
    removed: list[Way] = []
    kept = _kept(data_set, lists, (), removed)
    return kept, tuple(removed)


def _kept(data_set: Mapping[str, object], lists: Sequence[Names], way: Way, removed: list[Way]) -> dict[str, object]:
    """``lists`` name what to keep from here; an empty name keeps all of it."""
    result: dict[str, object] = {}
    for key in data_set:
        rests = [list(_rests(data_set, key, names)) for names in lists]
        if not all(rests):
            removed.append((*way, key))
        elif all(() in rest for rest in rests):
            result[key] = data_set[key]
        else:
            value = _kept_items(data_set[key], rests, (*way, key), removed)
            if value is not None:
                result[key] = value
    return result


def _rests(data_set: Mapping[str, object], key: str, names: Names) -> Iterator[tuple[Step, ...]]:
    """For each name that leads through ``key``: its further steps."""
    for name in names:
        if not name:
            yield ()
            continue
        step, rest = name[0], name[1:]
        if isinstance(step, Deep):
            # at this depth, or at a deeper one
            yield from _rests(data_set, key, [rest])
            if isinstance(data_set[key], list | tuple):
                yield (Item(None), *name)
        elif isinstance(step, Private):
            if is_private(key):
                yield ()
            elif isinstance(data_set[key], list | tuple):
                yield (Item(None), *name)
        elif key in set(keys_of(data_set, step)):
            yield rest


def _kept_items(value: object, lists: Sequence[Names], way: Way, removed: list[Way]) -> object:
    """The items of a sequence, each pruned; ``None`` where nothing is left, since an empty sequence asks for all of it."""
    gone: list[Way] = []
    items: list[object] = []
    left = False
    for number, item in enumerate(value if isinstance(value, list | tuple) else ()):
        below = [[name[1:] for name in names if _names_item(name, number)] or ([()] if () in names else []) for names in lists]
        kept = _kept(item, below, (*way, number), gone) if isinstance(item, Mapping) and all(below) else {}
        if isinstance(item, Mapping) and not all(below):
            gone.append((*way, number))
            continue
        left = left or bool(kept)
        items.append(kept)
    if not left:
        removed.append(way)
        return None
    removed.extend(gone)
    return items


def _names_item(name: tuple[Step, ...], number: int) -> bool:
    return bool(name) and isinstance(name[0], Item) and name[0].index in (None, number)
