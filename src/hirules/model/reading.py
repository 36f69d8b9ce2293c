"""What a path yields when it is read: values, nothing, or something that could not be established.

LANGUAGE: absent and unknown are two things. A :class:`Reading` keeps them apart:

    values   known, canonical scalars (``hirules.model.scalars``), in their order
    present  the attribute is there; a zero-length key of a C-FIND is present without a value
    unknown  why some or all of it could not be established (never holds a value), else None
    everything  absent, where empty means everything (an absent AttributeIdentifierList)

A reading may hold values *and* be unknown: of three sequence items two could be read.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

Fields = Mapping[str, object]
"""Attributes by name, nested; DICOM elements by keyword or canonical tag text. ``None`` is absent."""


class ByKeyword(Mapping[str, object]):
    """A data set that has each of its elements under one key: an element of PS3.6 under its keyword, whatever other spellings it is asked for by."""

    __slots__ = ()


class Unknown(msgspec.Struct, frozen=True):
    """Stands in the place of a value that could not be established; ``why`` never quotes a value."""

    why: str


class Reading(msgspec.Struct, frozen=True, gc=False):
    """See the module's own page. Nothing that it holds leads back to it: the garbage collector passes it by (``gc=False``)."""

    values: tuple[object, ...] = ()
    present: bool = False
    unknown: str | None = None
    everything: bool = False

    @property
    def absent(self) -> bool:
        """Known not to be there."""
        return not self.present and self.unknown is None

    def __repr__(self) -> str:
        return f"Reading({len(self.values)} values, present={self.present}, unknown={self.unknown!r}, everything={self.everything})"


ABSENT = Reading()
EVERYTHING = Reading(everything=True)


def unknown(why: str) -> Reading:
    """A reading of which nothing could be established."""
    return Reading(unknown=why)
