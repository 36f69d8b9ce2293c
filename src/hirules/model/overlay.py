"""A data set with a few elements otherwise, at the cost of these few: all others are read, and decoded, where somebody asks for them.

    data set as it came ──overlaid──▶ Overlay ──overlaid──▶ Overlay …      each stays as it is

Law: an :class:`Overlay` is equal to the ``dict`` of the data set with these elements put in, or taken out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from hirules.model.reading import ByKeyword, Fields


class _Gone:
    """Stands for an element that is taken out."""


GONE: Final = _Gone()
_BELOW: Final = object()


class Overlay(ByKeyword):
    """``base`` where ``changed`` says nothing. A value of ``changed`` is what stands there now; :data:`GONE`: nothing does."""

    __slots__ = ("_base", "_changed")

    def __init__(self, base: ByKeyword, changed: Mapping[str, object]) -> None:
        self._base = base
        self._changed = changed

    @property
    def base(self) -> ByKeyword:
        """The data set as it came."""
        return self._base

    @property
    def changed(self) -> Mapping[str, object]:
        """The elements that are otherwise."""
        return self._changed

    def __getitem__(self, key: str) -> object:
        value = self._changed.get(key, _BELOW)
        if value is _BELOW:
            return self._base[key]
        if value is GONE:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        if key in self._changed:
            return self._changed[key] is not GONE  # type: ignore[index]
        return key in self._base

    def __iter__(self) -> Iterator[str]:
        changed, known = self._changed, set()
        for key in self._base:
            known.add(key)
            if changed.get(key) is not GONE:
                yield key
        yield from (key for key, value in changed.items() if key not in known and value is not GONE)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Overlay({len(self._changed)} changed)"


def overlaid(data_set: ByKeyword, key: str, value: object) -> Overlay:
    """``data_set`` with ``value`` at ``key``, which names an element as the data set does; :data:`GONE` takes it out."""
    if isinstance(data_set, Overlay):
        return Overlay(data_set.base, {**data_set.changed, key: value})
    return Overlay(data_set, {key: value})


def touched(before: Fields, after: Fields) -> Collection[str] | None:
    """The elements that alone may be otherwise in ``after``; ``None``: any may."""
    if after is before:
        return ()
    return after.changed.keys() if isinstance(after, Overlay) and after.base is before else None
