"""Identifiers that are flat and plain, read in one pass: what most queries and retrieves are.

    bytes ──read──▶ {keyword: value} ──reach──▶ the keys that the service has, and the names of those that it has not
              └───────── None ──────────┘       the readers of everything are to say

INVARIANT: what is answered here is, value by value, what :mod:`hirules.dimse.identifier`, :mod:`hirules.dimse.retrieve`
and :class:`~hirules.model.dataset.DatasetView` answer together. Nothing is refused here, and what needs judgement is left to
them: sequences, private elements, numbers, binary values, anything but printable ASCII, whatever breaks a rule. Tests
compare both on real data sets and on damaged ones.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Final

import msgspec
from pydicom.datadict import dictionary_VR
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hirules.dimse.retrieve import ALWAYS, LEVEL, QUERIES, RETRIEVES, UNIQUE_KEYS, Model
from hirules.model.dataset import keyword_of

Plain = dict[str, object]

_TEXT: Final = 0
"""The value is the text without its padding."""
_UIDS: Final = 1
_JUDGED: Final = 2
_KINDS: Final[Mapping[str, int]] = {
    "AE": _JUDGED, "AS": _TEXT, "CS": _TEXT, "DA": _TEXT, "DS": _JUDGED, "DT": _TEXT, "IS": _JUDGED, "LO": _TEXT, "PN": _JUDGED, "SH": _TEXT, "TM": _TEXT,
    "UI": _UIDS,
}  # fmt: skip
"""Text whose length has two bytes in Explicit VR (PS3.5 Table 7.1-2)."""
_NO_TEXT: Final = (-1, "", b"", _TEXT)
"""An element that is not for here; no tag comes after one that is below all."""

_CHARACTER_SET: Final = "SpecificCharacterSet"
_ASCII_SETS: Final = frozenset({"", "ISO_IR 6", "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 144", "ISO_IR 192"})
"""Character sets in which an ASCII byte is that character (PS3.3 Tables C.12-2, C.12-5)."""
_LAYOUTS: Final = {str(ImplicitVRLittleEndian): struct.Struct("<L0sL").unpack_from, str(ExplicitVRLittleEndian): struct.Struct("<L2sH").unpack_from}
"""The tag as one number, the value representation, the length. Of other transfer syntaxes nothing is read here."""
_PRINTABLE: Final = re.compile(r"[ -\[\]-~]*").fullmatch
"""Without the backslash, which makes several values of a text."""
_UID_LIST: Final = re.compile(r"[0-9.]{1,64}(?:\\[0-9.]{1,64})+").fullmatch
_DECIMAL: Final = re.compile(r" *[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[Ee][+-]?[0-9]+)?").fullmatch
_INTEGER: Final = re.compile(r" *[+-]?[0-9]{1,20}").fullmatch

_elements: dict[int, tuple[int, str, bytes, int]] = {}
"""Tag, keyword, value representation and kind, by the tag as it is on the wire; filled as elements come, so PS3.6 bounds it."""


def read(data: bytes, transfer_syntax: str | None) -> Plain | None:
    """The elements of ``data`` by keyword, in their order; ``None`` where it is not flat and plain."""
    unpack = _LAYOUTS.get(transfer_syntax) if transfer_syntax is not None else None
    if unpack is None:
        return None
    characters = data.decode("latin-1")
    fields: Plain = {}
    known = _elements.get
    last, at, end = -1, 0, len(data)
    try:
        while at < end:
            wire, vr, length = unpack(data, at)
            tag, keyword, own_vr, kind = known(wire) or _element(wire)
            begin = at + 8
            at = begin + length
            if tag <= last or at > end or length & 1 or (vr and vr != own_vr):
                return None
            last = tag
            fields[keyword] = text = characters[begin:at].rstrip(" \0")
            if kind == _UIDS:
                if len(text) > 64 or not text.replace(".", "").isdecimal():
                    if text and not _UID_LIST(text):
                        return None
                    fields[keyword] = text.split("\\") if text else ""
            elif not ((text.isalnum() and text.isascii()) or _PRINTABLE(text)) or (kind == _JUDGED and not _judged(keyword, own_vr, text, fields)):
                return None
    except struct.error:  # bytes left over
        return None
    return fields


def _element(wire: int) -> tuple[int, str, bytes, int]:
    """What is known of an element with one keyword and one textual value representation."""
    tag = (wire & 0xFFFF) << 16 | wire >> 16
    keyword = keyword_of(tag) if not tag >> 16 & 1 and tag >> 16 > 5 and tag & 0xFFFF else ""
    vr = dictionary_VR(tag) if keyword else ""
    if vr not in _KINDS:
        return _NO_TEXT
    kind = _JUDGED if keyword == _CHARACTER_SET else _KINDS[vr]
    return _elements.setdefault(wire, (tag, keyword, vr.encode(), kind))


def _judged(keyword: str, vr: bytes, text: str, fields: Plain) -> bool:
    """Whether a text that is more than its own value is for here; its value goes to ``fields``."""
    if vr == b"IS":
        if not _INTEGER(text):
            return text == ""
        fields[keyword] = int(text)
    elif vr == b"DS":
        fields[keyword] = text.lstrip(" ")
        return text == "" or _DECIMAL(text) is not None
    elif vr == b"AE":
        return len(text) <= 16 and not text.startswith(" ")
    elif vr == b"PN":
        return "=" not in text  # component groups
    elif keyword == _CHARACTER_SET:
        return text in _ASCII_SETS
    return True


class _Reach(msgspec.Struct, frozen=True):
    """What a retrieve at one level must have, and what it may have (PS3.4 §C.4.2.1.4)."""

    above: tuple[str, ...]
    own: str
    several: bool
    allowed: frozenset[str]


def _reach(model: Model, level: str) -> _Reach:
    above = tuple(UNIQUE_KEYS[higher] for higher in model.levels[: model.levels.index(level)]) if model.hierarchical else ()
    own = UNIQUE_KEYS[level]
    return _Reach(above, own, level != "PATIENT", frozenset({*map(keyword_of, ALWAYS), *above, own}))


_REACHES: Final[Mapping[tuple[str, object, object], _Reach]] = {
    (action, sop_class, level): _reach(model, level)
    for action, models in RETRIEVES.items()
    for sop_class, model in models.items()
    for level in model.levels
    if level != "FRAME"
}
"""By action, SOP class and level; FRAME and models without levels are not for here."""
_LEVEL: Final = keyword_of(LEVEL)


def reach(action: str, sop_class: object, fields: Plain, *, strict: bool) -> tuple[Plain, tuple[str, ...]] | None:
    """A valid identifier's keys that the service has, and the names of those that were taken out; ``None`` where it is not plainly valid."""
    level = fields.get(_LEVEL)
    if action == "c-find":
        model = QUERIES.get(str(sop_class))
        return (fields, ()) if model is None or level in model.levels else None
    one = _REACHES.get((action, sop_class, level))
    if one is None:
        return None
    for key in one.above:
        if not _is_single(key, fields.get(key)):
            return None
    own = fields.get(one.own)
    if not ((one.several and own and type(own) is str) or _is_single(one.own, own) or (one.several and type(own) is list)):
        return None
    if one.allowed.issuperset(fields):
        return fields, ()
    if strict:
        return None
    return {name: value for name, value in fields.items() if name in one.allowed}, tuple([name for name in fields if name not in one.allowed])


def _is_single(key: str, value: object) -> bool:
    """Whether a unique key has one value; a UID that is there was read as one."""
    if type(value) is not str:
        return False
    if value.isalnum():
        return True
    return value != "" if key != "PatientID" else value.strip(" ") != "" and "*" not in value and "?" not in value
