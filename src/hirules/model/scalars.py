"""Canonical scalars: one Python value for every spelling that means the same.

    read(type, raw)      data: what a request, a data set or an API carries. Raises ValueError
                         for what cannot be parsed; the reading is then unknown
    literal(type, text)  policy: the source text of a YAML scalar. Raises ValueError with what
                         was expected, for the author

| type        | canonical                                  | compares                              |
|-------------|--------------------------------------------|---------------------------------------|
| STRING      | str                                        | exactly                               |
| TEXT        | str, outer spaces and NUL stripped         | VR padding does not count             |
| LONG_TEXT   | str, trailing spaces and NUL stripped      | PS3.5 §6.2: ST, LT, UT, UC            |
| AE_TITLE    | str, stripped, upper case                  | as peers compare them                 |
| UID         | str                                        | a registry name is its number         |
| PERSON_NAME | str, groups without trailing ``^ =``       |                                       |
| INTEGER     | int                                        | as numbers                            |
| NUMBER      | Decimal                                    | as numbers (``1.0`` is ``1``)         |
| DATE        | date, or Partial                           | a Partial has no order                |
| TIME        | time, or Partial                           |                                       |
| DATETIME    | datetime (without offset: the set's zone), or Partial |                            |
| BOOLEAN     | bool                                       |                                       |
| ADDRESS     | IPv4Address, IPv6Address                   | an IPv4-mapped address is IPv4        |
| TAG         | str: the keyword, else canonical tag text  |                                       |
| BINARY      | bytes                                      |                                       |
| SEQUENCE    | a mapping, one item                        |                                       |
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from math import isfinite

import msgspec
from pydicom._uid_dict import UID_dictionary
from pydicom.datadict import keyword_for_tag, tag_for_keyword


class Type(StrEnum):
    """The types of attributes. See the module's own page."""

    STRING = "string"
    TEXT = "text"
    LONG_TEXT = "long text"
    AE_TITLE = "AE title"
    UID = "UID"
    PERSON_NAME = "person name"
    INTEGER = "integer"
    NUMBER = "number"
    DATE = "date"
    TIME = "time"
    DATETIME = "date and time"
    BOOLEAN = "boolean"
    ADDRESS = "IP address"
    TAG = "attribute tag"
    BINARY = "binary"
    SEQUENCE = "sequence"


TEXTUAL = frozenset({Type.STRING, Type.TEXT, Type.LONG_TEXT, Type.AE_TITLE, Type.UID, Type.PERSON_NAME, Type.TAG})
ORDERED = frozenset({Type.INTEGER, Type.NUMBER, Type.DATE, Type.TIME, Type.DATETIME})

VR_TYPE: Mapping[str, Type] = {
    "AE": Type.AE_TITLE, "AS": Type.TEXT, "AT": Type.TAG, "CS": Type.TEXT, "DA": Type.DATE, "DS": Type.NUMBER,
    "DT": Type.DATETIME, "FD": Type.NUMBER, "FL": Type.NUMBER, "IS": Type.INTEGER, "LO": Type.TEXT, "LT": Type.LONG_TEXT,
    "OB": Type.BINARY, "OD": Type.BINARY, "OF": Type.BINARY, "OL": Type.BINARY, "OV": Type.BINARY, "OW": Type.BINARY,
    "PN": Type.PERSON_NAME, "SH": Type.TEXT, "SL": Type.INTEGER, "SQ": Type.SEQUENCE, "SS": Type.INTEGER, "ST": Type.LONG_TEXT,
    "SV": Type.INTEGER, "TM": Type.TIME, "UC": Type.LONG_TEXT, "UI": Type.UID, "UL": Type.INTEGER, "UN": Type.BINARY,
    "UR": Type.LONG_TEXT, "US": Type.INTEGER, "UT": Type.LONG_TEXT, "UV": Type.INTEGER,
    "US or SS": Type.INTEGER, "US or OW": Type.BINARY, "US or SS or OW": Type.BINARY, "OB or OW": Type.BINARY,
}  # fmt: skip
"""PS3.5 §6.2 value representations, and the ambiguous ones of pydicom's dictionary."""


class Partial(msgspec.Struct, frozen=True):
    """A date, time or date and time without its last parts, a range or a wildcard: equal only to itself."""

    text: str

    def __str__(self) -> str:
        return self.text


Scalar = str | int | Decimal | bool | bytes | date | time | datetime | Partial | IPv4Address | IPv6Address | Mapping[str, object]


def read(type_: Type, raw: object) -> Scalar:
    """``raw``, as data carries it, as a canonical scalar. Raises ``ValueError`` without quoting it."""
    return _READERS[type_](raw)


def reader_of(type_: Type) -> Callable[[object], Scalar]:
    """What :func:`read` does for one type."""
    return _READERS[type_]


def literal(type_: Type, text: str) -> Scalar:
    """The source text of a policy's scalar as a canonical scalar. Raises ``ValueError``: what was expected."""
    if type_ in (Type.BINARY, Type.SEQUENCE):
        raise ValueError(f"a {type_} has no value to compare with")
    if type_ is Type.UID and not _UID_CHARACTERS.fullmatch(text.strip()):
        number = uid_names().get(text.strip())
        if number is None:
            raise ValueError("a UID, or its name in the registry")
        return number
    if type_ is Type.TAG and not is_tag(text):
        raise ValueError("a PS3.6 keyword, or a tag `(gggg,eeee)`")
    try:
        return _READERS[type_](text)
    except ValueError:
        raise ValueError(_EXPECTED.get(type_, f"a {type_}")) from None


_EXPECTED: Mapping[Type, str] = {
    Type.INTEGER: "an integer",
    Type.NUMBER: "a number",
    Type.DATE: "a date, `2026-03-02` or `20260302`",
    Type.TIME: "a time, `20:00` or `200000`",
    Type.DATETIME: "a date and time, `2026-03-02T10:00:00+01:00`",
    Type.BOOLEAN: "`true` or `false`",
    Type.ADDRESS: "an IP address",
}


def _string(raw: object) -> str:
    if type(raw) is str:
        return raw
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str | int | float | Decimal):
        return str(raw)
    raise ValueError("not a text")


def _text(raw: object) -> str:
    if type(raw) is str:
        return raw.strip(" \0")
    return _string(raw).strip(" \0")


def _long_text(raw: object) -> str:
    return _string(raw).rstrip(" \0")


def ae_title(raw: object) -> str:
    """An AE title as peers compare it: without outer spaces and case (PS3.5 §6.2, AE)."""
    return _text(raw).upper()


def _uid(raw: object) -> str:
    text = _text(raw)
    return text if _UID_CHARACTERS.fullmatch(text) else uid_names().get(text, text)


def _person_name(raw: object) -> str:
    groups = [group.rstrip("^ \0").lstrip(" ") for group in _string(raw).split("=")]
    return "=".join(groups).rstrip("= ")


def _integer(raw: object) -> int:
    if isinstance(raw, bool):
        raise ValueError("not an integer")
    if isinstance(raw, int):
        return int(raw)
    if isinstance(raw, Decimal | float):
        if not isfinite(raw) or raw != int(raw):
            raise ValueError("not an integer")
        return int(raw)
    text = _text(raw)
    if _INTEGER.fullmatch(text):
        return int(text, 16) if text[:2].lower() == "0x" else int(text)
    raise ValueError("not an integer")


def _number(raw: object) -> Decimal:
    if isinstance(raw, bool):
        raise ValueError("not a number")
    text = _text(raw)
    # Decimal takes more than PS3.5 §6.2 does: `1_0`, digits of other scripts, NaN
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent beyond all bounds
        raise ValueError("not a number") from None


def _date(raw: object) -> date | Partial:
    if isinstance(raw, datetime):
        raise ValueError("a date and time is not a date")
    if isinstance(raw, date):
        return raw
    text = _text(raw)
    if match := _DATE.fullmatch(text):
        return date(int(match["y"]), int(match["m"]), int(match["d"]))
    if _MATCHING.fullmatch(text) or _PARTIAL_DATE.fullmatch(text):
        return Partial(text)
    raise ValueError("not a date")


def _time(raw: object) -> time | Partial:
    if isinstance(raw, time):
        return raw
    text = _text(raw)
    if match := (_TIME.fullmatch(text) or _DICOM_TIME.fullmatch(text)):
        return _clock(match["h"], match["mi"], match["s"] or "0", match["f"])
    if _MATCHING.fullmatch(text) or _PARTIAL_TIME.fullmatch(text):
        return Partial(text)
    raise ValueError("not a time")


def _datetime(raw: object) -> datetime | Partial:
    if isinstance(raw, datetime):
        return raw
    text = _text(raw)
    if match := (_DATETIME.fullmatch(text) or _RFC3339.fullmatch(text)):
        clock = _clock(match["h"], match["mi"], match["s"], match["f"])
        day = date(int(match["y"]), int(match["m"]), int(match["d"]))
        return datetime.combine(day, clock, _offset(match["z"]))
    if _MATCHING.fullmatch(text) or _PARTIAL_DATETIME.fullmatch(text):
        return Partial(text)
    raise ValueError("not a date and time")


def _clock(hours: str, minutes: str, seconds: str, fraction: str | None) -> time:
    # PS3.5 §6.2 lets seconds be 60 for a leap second; Python has none
    return time(int(hours), int(minutes), min(int(seconds), 59), int((fraction or "0")[:6].ljust(6, "0")))


def _offset(text: str | None) -> timezone | None:
    if not text:
        return None
    if text in ("Z", "z"):
        return UTC
    digits = text[1:].replace(":", "")
    delta = timedelta(hours=int(digits[:2]), minutes=int(digits[2:4]))
    return timezone(-delta if text[0] == "-" else delta)


def _boolean(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip() in ("true", "True", "TRUE"):
        return True
    if isinstance(raw, str) and raw.strip() in ("false", "False", "FALSE"):
        return False
    raise ValueError("not a boolean")


_OCTETS = {str(number): number for number in range(256)}


def dotted(text: str) -> int | None:
    """The number of an IPv4 address in its usual form, ``10.1.2.3``, at a fifth of the cost of ``ip_address``; ``None`` for anything else."""
    parts = text.split(".")
    if len(parts) != 4:
        return None
    try:
        return _OCTETS[parts[0]] << 24 | _OCTETS[parts[1]] << 16 | _OCTETS[parts[2]] << 8 | _OCTETS[parts[3]]
    except KeyError:
        return None


def _address(raw: object) -> IPv4Address | IPv6Address:
    address: IPv4Address | IPv6Address
    if isinstance(raw, IPv4Address | IPv6Address):
        address = raw
    elif isinstance(raw, str):
        number = dotted(raw)
        if number is not None:
            return IPv4Address(number)
        try:
            address = ip_address(raw.strip())
        except ValueError:
            raise ValueError("not an IP address") from None
    else:
        raise ValueError("not an IP address")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _tag(raw: object) -> str:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return tag_text(raw)
    text = _text(raw)
    if match := _TAG.fullmatch(text):
        return tag_text(int(match[1] + match[2], 16))
    # a nested key, a repeating group or a private element has no keyword
    if tag_for_keyword(text) is None and text and "[" not in text and not text.startswith("("):
        raise ValueError("not an attribute tag")
    return text


def _binary(raw: object) -> bytes:
    if isinstance(raw, bytes | bytearray | memoryview):
        return bytes(raw)
    if isinstance(raw, str):
        return raw.encode()
    raise ValueError("not binary")


def _item(raw: object) -> Mapping[str, object]:
    if isinstance(raw, Mapping):
        return raw
    raise ValueError("not a sequence item")


_READERS: Mapping[Type, Callable[[object], Scalar]] = {
    Type.STRING: _string, Type.TEXT: _text, Type.LONG_TEXT: _long_text, Type.AE_TITLE: ae_title, Type.UID: _uid,
    Type.PERSON_NAME: _person_name, Type.INTEGER: _integer, Type.NUMBER: _number, Type.DATE: _date, Type.TIME: _time,
    Type.DATETIME: _datetime, Type.BOOLEAN: _boolean, Type.ADDRESS: _address, Type.TAG: _tag, Type.BINARY: _binary,
    Type.SEQUENCE: _item,
}  # fmt: skip


def tag_text(tag: int) -> str:
    """The keyword of a tag, else ``(gggg,eeee)``: a repeating group has one keyword for all its tags."""
    keyword = keyword_for_tag(tag)
    return keyword if keyword and tag_for_keyword(keyword) == tag else f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def is_tag(text: str) -> bool:
    """Whether ``text`` is a PS3.6 keyword or spells a tag."""
    return _TAG.fullmatch(text.strip()) is not None or tag_for_keyword(text.strip()) is not None


@cache
def uid_names() -> Mapping[str, str]:
    """UIDs by their keyword in the registry (PS3.6 Annex A)."""
    return {entry[4]: uid for uid, entry in UID_dictionary.items() if entry[4]}


_UID_CHARACTERS = re.compile(r"[0-9.*?]*")
# (?a): digits of other scripts are no numbers to a peer
_INTEGER = re.compile(r"(?a)[+-]?\d{1,20}|0[xX][0-9A-Fa-f]{1,16}")
_NUMBER = re.compile(r"(?a)[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
# PS3.5 §6.2, DA: `yyyy.mm.dd` is how ACR-NEMA wrote a date, and is still to be understood
_DATE = re.compile(r"(?a)(?P<y>\d{4})(?P<dash>[-.]?)(?P<m>\d{2})(?P=dash)(?P<d>\d{2})")
_TIME = re.compile(r"(?a)(?P<h>\d{2})(?::(?P<mi>\d{2})(?::(?P<s>\d{2})(?:\.(?P<f>\d{1,6}))?)?)")
_DICOM_TIME = re.compile(r"(?a)(?P<h>\d{2})(?P<mi>\d{2})(?P<s>\d{2})(?:\.(?P<f>\d{1,6}))?")
_DATETIME = re.compile(r"(?a)(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})(?P<h>\d{2})(?P<mi>\d{2})(?P<s>\d{2})(?:\.(?P<f>\d{1,6}))?(?P<z>[+-]\d{4})?")
_RFC3339 = re.compile(
    r"(?a)(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})[Tt ](?P<h>\d{2}):(?P<mi>\d{2}):(?P<s>\d{2})(?:\.(?P<f>\d{1,9}))?(?P<z>[Zz]|[+-]\d{2}:\d{2})?"
)
_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
# matching ranges and wildcards (PS3.4 §C.2.2.2), and what has no value at all
_MATCHING = re.compile(r"(?=.*[-*?])[0-9.:+*?]*(?:-[0-9.:+*?]*)?[-0-9.:+]*|")
# without their last components (PS3.5 §6.2)
_PARTIAL_DATE = re.compile(r"(?a)\d{4}(?:-?\d{2})?")
_PARTIAL_TIME = re.compile(r"(?a)\d{2}(?:\d{2})?")
_PARTIAL_DATETIME = re.compile(r"(?a)\d{4}(?:\d{2}){0,4}(?:[+-]\d{4})?")
