"""A DICOM data set as the mapping that paths read, and back.

    DatasetView(dataset)  lazy: an element is decoded when it is read
    dataset_of(mapping)   the inverse, value representations from PS3.6

Keys are PS3.6 keywords, else the canonical text of :mod:`hirules.model.path`: ``(gggg,eeee)``, or
``(0009,"GEMS_IDEN_01",01)`` where a private creator names the block. Values are ``str``, ``int``,
``float``, ``bytes``, a list of those, or a tuple of views for a sequence; ``""`` where the element is
there without a value; :class:`~hirules.model.reading.Unknown` where it cannot be decoded. DS stays
text, since a float would change it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from functools import lru_cache
from typing import Any

from pydicom.datadict import dictionary_VR, keyword_for_tag, private_dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag, Tag
from pydicom.valuerep import PersonName

from hirules.model.reading import ByKeyword, Unknown

BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
UNSPLIT = frozenset({"LT", "ST", "UR", "UT"})
"""PS3.5 §6.2: the backslash is a character of the value."""
INTEGERS = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
_TAG = re.compile(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)")
_PRIVATE = re.compile(r'\(([0-9A-F]{4}),"([^"]+)",([0-9A-F]{2})\)')
_NO_TEXT = INTEGERS | BINARY | {"AT", "FD", "FL", "SQ"}
_NUL = re.compile(r"\x00")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""PS3.5 §6.1.3: none of them is in a text of one line. Some archives take them off, some end the text at a NUL, others keep them."""
_INTEGER = re.compile(r" *[+-]?\d{1,20} *")
_UNDECODABLE = Unknown("the element cannot be decoded")


class DatasetView(ByKeyword):
    """``dataset`` as a mapping. ``source`` is the encoded data set, where the view was made of exactly these bytes."""

    __slots__ = ("_dataset", "source")

    def __init__(self, dataset: Dataset, source: bytes | None = None) -> None:
        self._dataset = dataset
        self.source = source

    def __getitem__(self, key: str) -> object:
        tag = tag_of(key, self._dataset)
        if tag is None or tag not in self._dataset or element_name(tag, self._dataset) != key:
            raise KeyError(key)
        return value_at(self._dataset, tag)

    def __contains__(self, key: object) -> bool:
        tag = tag_of(key, self._dataset) if isinstance(key, str) else None
        return tag is not None and tag in self._dataset and element_name(tag, self._dataset) == key

    def __iter__(self) -> Iterator[str]:
        return (element_name(tag, self._dataset) for tag in sorted(self._dataset.keys()))

    def __len__(self) -> int:
        return len(self._dataset)

    def __repr__(self) -> str:
        return f"DatasetView({len(self)} elements)"

    @property
    def dataset(self) -> Dataset:
        """The pydicom data set behind the view."""
        return self._dataset


def value_at(dataset: Dataset, tag: int) -> object:
    """What a view shows of an element that is there."""
    try:
        element = dataset[tag]
        return _UNDECODABLE if _contradicts(tag, element.VR) else _value(element)
    except Exception:  # noqa: BLE001 - pydicom decodes here and raises whatever the bytes make it raise; the element is unknown
        return _UNDECODABLE


@lru_cache(maxsize=4096)
def _contradicts(tag: int, vr: str) -> bool:
    """Whether ``vr`` is of another kind than PS3.6 gives the element: who goes by the dictionary then reads another value of the same bytes."""
    if not keyword_of(tag):
        return False
    kinds = {_kind(each) for each in dictionary_VR(tag).split(" or ")}
    return bool(kinds & {"text", "SQ"}) and _kind(vr) not in kinds


def _kind(vr: str) -> str:
    return vr if vr in _NO_TEXT else "text"


def element_names(dataset: Dataset) -> dict[str, int]:
    """The tag of each element by its key, in their order: what :func:`element_name` says of each, in one pass."""
    names: dict[str, int] = {}
    creators: dict[int, str] = {}
    for tag in sorted(map(int, dataset.keys())):
        name = keyword_of(tag)
        if not name:
            name = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
            if tag >> 16 & 1 and tag & 0xFFFF >= 0x1000:
                block = tag >> 8
                if block not in creators:
                    creators[block] = _creator(dataset, tag >> 16, block & 0xFF)
                private = f'({tag >> 16:04X},"{creators[block]}",{tag & 0xFF:02X})'
                name = private if creators[block] and private not in names else name
        names[name] = tag
    return names


@lru_cache(maxsize=16384)
def keyword_of(tag: int) -> str:
    """The keyword that names this tag and no other; ``""`` where there is none (a repeating group has one for all its tags)."""
    keyword = keyword_for_tag(tag)
    return keyword if keyword and tag_for_keyword(keyword) == tag else ""


def element_name(tag: int, dataset: Dataset) -> str:
    """The key of an element: its keyword, else its canonical tag text."""
    keyword = keyword_of(tag)
    if keyword:
        return keyword
    group, element = tag >> 16, tag & 0xFFFF
    if group % 2 and element >= 0x1000:
        creator = _creator(dataset, group, element >> 8)
        # the first of two blocks of one creator has the name, the other its number
        if creator and _private_tag(dataset, group, creator, element & 0xFF) == tag:
            return f'({group:04X},"{creator}",{element & 0xFF:02X})'
    return f"({group:04X},{element:04X})"


def tag_of(key: str, dataset: Dataset | None = None) -> int | None:
    """The tag that a key names, a private one by the creators of ``dataset``; ``None`` where there is none."""
    tag = tag_for_keyword(key)
    if tag is not None:
        return tag
    if match := _TAG.fullmatch(key):
        return int(match[1] + match[2], 16)
    if (match := _PRIVATE.fullmatch(key)) and dataset is not None:
        return _private_tag(dataset, int(match[1], 16), match[2], int(match[3], 16))
    return None


def _creator(dataset: Dataset, group: int, block: int) -> str:
    creator_tag = Tag(group, block)
    try:
        value = dataset[creator_tag].value if creator_tag in dataset else ""
    except Exception:  # noqa: BLE001 - as above: a creator that pydicom cannot decode names nothing
        return ""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    text = text.strip(" \0")
    return "" if '"' in text else text


def _private_tag(dataset: Dataset, group: int, creator: str, element: int) -> int | None:
    """The first element of ``creator`` that is there, as its block says (PS3.5 §7.8.1)."""
    for tag in sorted(dataset.keys()):
        if tag >> 16 == group and 0x10 <= tag & 0xFFFF <= 0xFF and _creator(dataset, group, tag & 0xFF) == creator:
            candidate = BaseTag(group << 16 | (tag & 0xFF) << 8 | element)
            if candidate in dataset:
                return candidate
    return None


def _value(element: DataElement) -> object:
    value = element.value
    if element.VR == "SQ":
        return tuple(DatasetView(item) for item in value or ())
    if value is None or element.is_empty:
        return ""
    if element.VR not in BINARY and not isinstance(value, str | bytes | PersonName) and hasattr(value, "__iter__"):
        return [_scalar(element.VR, item) for item in value]
    return _scalar(element.VR, value)


def _scalar(vr: str, value: Any) -> object:
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if vr == "AT":
        return keyword_of(value) or f"({value >> 16:04X},{value & 0xFFFF:04X})"
    if vr == "DS":
        return str(getattr(value, "original_string", value)).strip(" \0")
    if vr == "IS" and _INTEGER.fullmatch(str(value)):
        return int(value)
    if isinstance(value, int | float):
        return int(value) if isinstance(value, int) else float(value)
    text = str(value).rstrip(" \0")
    if not text.isprintable() and (_CONTROL if vr not in UNSPLIT else _NUL).search(text):
        return _UNDECODABLE
    # pydicom puts U+FFFD where the character set did not fit
    return _UNDECODABLE if "\ufffd" in text else text


def dataset_of(fields: Mapping[str, object], into: Dataset | None = None) -> Dataset:
    """The data set that ``fields`` describe; ``None`` is absent. Raises ``ValueError`` for what is no element or cannot be encoded.

    ``into`` is a data set that they are added to.
    """
    dataset = Dataset() if into is None else into
    # standard elements and private creators first: a private element takes its creator's block
    for key, value in sorted(fields.items(), key=lambda field: _PRIVATE.fullmatch(field[0]) is not None):
        if value is None:
            continue
        if isinstance(value, Unknown):
            raise ValueError(f"`{key}` is unknown: {value.why}")
        if match := _PRIVATE.fullmatch(key):
            group, creator, low = int(match[1], 16), match[2], int(match[3], 16)
            tag = dataset.private_block(group, creator, create=True).get_tag(low)
            dataset.add(element_of(tag, _private_vr(tag, creator, value), value))
            continue
        number = tag_of(key)
        if number is None:
            raise ValueError(f"`{key}` names no element")
        dataset.add(element_of(number, _vr(number, value), value))
    return dataset


def element_of(tag: int, vr: str, value: object) -> DataElement:
    """An element of ``value`` as a :class:`DatasetView` shows it. Raises ``ValueError``."""
    if vr == "SQ":
        items = [] if value == "" else value
        if not isinstance(items, list | tuple) or not all(isinstance(item, Mapping) for item in items):
            raise ValueError(f"{Tag(tag)} is a sequence and takes a list of items")
        return DataElement(tag, vr, Sequence([dataset_of(item) for item in items]), already_converted=True)
    if isinstance(value, list | tuple):
        return DataElement(tag, vr, [_wire(tag, vr, item) for item in value] or None, already_converted=True)
    return DataElement(tag, vr, None if value == "" else _wire(tag, vr, value), already_converted=True)


def _vr(tag: int, value: object) -> str:
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        if tag >> 16 & 1 and 0x10 <= tag & 0xFFFF <= 0xFF:
            return "LO"  # PS3.5 §7.8.1: a private creator
        return _guess(value)
    if " or " not in vr:
        return vr
    if isinstance(value, bytes) or "US" not in vr:
        return "OB" if vr == "OB or OW" else "OW"
    first = value[0] if isinstance(value, list | tuple) and value else value
    return "SS" if isinstance(first, int) and first < 0 else "US"


def _private_vr(tag: int, creator: str, value: object) -> str:
    try:
        vr = private_dictionary_VR(tag, creator)
    except KeyError:
        return _guess(value)
    return "UN" if isinstance(value, bytes) and vr not in BINARY else vr


def _guess(value: object) -> str:
    """A value representation for an element that no dictionary knows."""
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        return "SQ"
    return "LO" if isinstance(value, str) and value else "UN"


def _wire(tag: int, vr: str, value: object) -> object:
    """One value as pydicom's writer takes it. Raises ``ValueError`` without quoting it."""
    try:
        encoded = _encodable(vr, value)
    except ValueError:
        encoded = None
    if encoded is None:
        raise ValueError(f"{Tag(tag)} cannot take such a value as {vr}")
    return encoded


def _encodable(vr: str, value: object) -> object:
    if vr in BINARY:
        if isinstance(value, bytes):
            return value
    elif vr == "AT":
        number = value if isinstance(value, int) else tag_of(str(value))
        if number is not None:
            return Tag(number)
    elif vr in INTEGERS:
        return int(str(value))
    elif vr in ("FL", "FD"):
        return float(str(value))
    elif isinstance(value, datetime):
        return value.strftime("%Y%m%d%H%M%S.%f%z")
    elif isinstance(value, date):
        return value.strftime("%Y%m%d")
    elif isinstance(value, time):
        return value.strftime("%H%M%S.%f") if value.microsecond else value.strftime("%H%M%S")
    elif isinstance(value, bytes):
        return value.decode("ascii")
    elif not isinstance(value, Mapping | bool | list | tuple | Unknown) and value is not None:
        text = str(value)
        if "\\" in text and vr not in UNSPLIT:
            return None  # a backslash would make two values of it
        return PersonName(text) if vr == "PN" else text
    return None
