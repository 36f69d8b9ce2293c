"""Identifiers, and the data sets of N services, read so that no two readers differ (PS3.5 §7).

    bytes ──read──▶ pydicom Dataset          Dataset ──write──▶ bytes

Peers read a malformed data set differently: of an element that is there twice pydicom takes the last
and Orthanc the first. What is decided must be what is forwarded, so :func:`read` refuses whatever is
not read in one way only:

- tags repeated or out of order, also in sequence items; groups 0000, 0002, FFFE and FFFF
- bytes left over, elements longer than what holds them, odd lengths, nesting too deep
- a value representation that contradicts PS3.6, a length that does not fit it
- several values where PS3.6 allows one; an identifier's UI keys may be lists (PS3.4 §C.2.2.2.2)
- text outside its character set, a NUL inside a text, a UID or AE title that is too long

It is an own walker: pydicom accepts most of this, and its warnings quote values.
"""

from __future__ import annotations

import re
import struct
from functools import lru_cache
from typing import NamedTuple

import msgspec
from pydicom.charset import convert_encodings, decode_bytes, encode_string, python_encoding
from pydicom.datadict import dictionary_VM, dictionary_VR, private_dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian
from pydicom.valuerep import PersonName

from hirules.dimse.elements import Malformed, deflated, inflated
from hirules.model.dataset import BINARY, UNSPLIT
from hirules.model.status import IDENTIFIER_DOES_NOT_MATCH

MAX_DEPTH = 8
MAX_INFLATED = 16 * 1024 * 1024
UNDEFINED = 0xFFFFFFFF
CHARACTER_SET = 0x00080005
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})  # PS3.5 Table 7.1-1
_NUMBERS = {"FD": "d", "FL": "f", "SL": "l", "SS": "h", "SV": "q", "UL": "L", "US": "H", "UV": "Q"}
_UNIT = {"OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}
_CHARACTERS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})  # Specific Character Set applies (PS3.5 §6.1.2.3)
_ASCII = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"})
_KNOWN_VRS = BINARY | _CHARACTERS | _ASCII | set(_NUMBERS) | {"AT", "SQ"}
_LONGEST = {"AE": 16, "UI": 64}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""PS3.5 §6.1.3: none of them is in a value of one line. Some archives take them off, others match them."""
_UID = re.compile(r"[0-9.*?]*")  # a wildcard has no meaning in a UID, but it is text that every peer sees alike


class IdentifierError(ValueError):
    """A data set that is refused: ``status`` and ``tags`` are for the response; no message quotes a value."""

    def __init__(self, why: str, *tags: int, status: int = IDENTIFIER_DOES_NOT_MATCH) -> None:
        super().__init__(why)
        self.tags = tags
        self.status = status


class _Form(msgspec.Struct, frozen=True):
    """How the bytes are laid out, and what may be in them."""

    implicit: bool
    order: str
    keys: bool


class _Frame(NamedTuple):
    """Where an element's data set ends and what it inherits."""

    end: int
    depth: int
    encodings: list[str]
    blame: int
    """The top-level tag that an Offending Element names; 0 at the top."""


def read(data: bytes, transfer_syntax: str, *, keys: bool = True) -> Dataset:
    """The data set in ``data``. ``keys``: of a query or retrieve. Raises :class:`IdentifierError`."""
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        try:
            data = inflated(data, MAX_INFLATED)
        except Malformed as error:
            raise IdentifierError(str(error)) from None
    form = _Form(
        transfer_syntax == ImplicitVRLittleEndian,
        ">" if transfer_syntax == ExplicitVRBigEndian else "<",
        keys,
    )
    dataset, _ = _dataset(data, 0, form, _Frame(len(data), 0, ["iso8859"], 0), delimited=False)
    return dataset


def write(dataset: Dataset, transfer_syntax: str) -> bytes:
    """``dataset`` encoded. Raises ``ValueError``, without quoting it, for a value that cannot be encoded."""
    file = DicomBytesIO()
    file.is_implicit_VR = transfer_syntax == ImplicitVRLittleEndian
    file.is_little_endian = transfer_syntax != ExplicitVRBigEndian
    _check_text(dataset, ["iso8859"])
    try:
        write_dataset(file, dataset)
    except Exception:  # noqa: BLE001 - pydicom raises what its encoders raise, and some of it quotes the element
        raise ValueError("a value does not fit its value representation") from None
    data = file.getvalue()
    if transfer_syntax == DeflatedExplicitVRLittleEndian:
        data = deflated(data)
    return data


def _check_text(dataset: Dataset, inherited: list[str]) -> None:
    # pydicom would replace what does not fit, with a warning
    character_set = dataset[CHARACTER_SET].value if CHARACTER_SET in dataset else None
    # what was read by pydicom has its own kind of lists, and `None` where it is zero-length
    encodings = _encodings(list(character_set) if isinstance(character_set, MultiValue) else character_set) if character_set else inherited
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                _check_text(item, encodings)
        elif element.VR in _CHARACTERS | _ASCII:
            for text in element.value if isinstance(element.value, list | MultiValue) else [element.value or ""]:
                if not str(text).isascii() and (element.VR in _ASCII or not _holds(encodings, str(text))):
                    raise ValueError(f"{element.tag} has text outside its character set")


def _holds(encodings: list[str], text: str) -> bool:
    if encodings == ["iso8859"]:
        return False
    try:
        return decode_bytes(encode_string(text, encodings), encodings, set()) == text
    except (UnicodeError, LookupError):
        return False


def _dataset(data: bytes, at: int, form: _Form, frame: _Frame, *, delimited: bool) -> tuple[Dataset, int]:
    """The elements up to ``frame.end``, or up to an Item Delimitation Item; and where the next thing begins."""
    dataset = Dataset()
    last, group_length = -1, None
    while at < frame.end:
        tag, vr, length, value_at = _header(data, at, form, frame)
        blame = frame.blame or tag
        if delimited and tag == _ITEM_END:
            if length or (group_length and group_length[1] != at):
                raise IdentifierError("a delimiter or a group length is malformed", blame)
            return dataset, value_at
        if tag <= last:
            raise IdentifierError("an element is repeated or out of order", blame)
        if tag >> 16 in (0x0000, 0x0001, 0x0002, 0x0003, 0x0005, 0x0007, 0xFFFE, 0xFFFF):
            raise IdentifierError("an element of a group that no data set has", blame)
        if group_length and group_length[0] != tag >> 16:
            _check_group_length(group_length, at, blame)
            group_length = None
        last = tag
        if tag & 0xFFFF == 0:
            # PS3.5 §7.2: retired but legal; it says nothing that the elements do not say
            group_length = (tag >> 16, _group_length(data, vr, length, value_at, form, frame, blame), blame)
            at = value_at + length
            continue
        vr = _representation(tag, vr, length, dataset, form, blame)
        inner = _Frame(frame.end, frame.depth, frame.encodings, blame)
        if vr == "SQ":
            items, at = _sequence(data, value_at, length, form, inner)
            if form.keys and len(items) > 1:
                raise IdentifierError("a sequence key has several items", blame)  # PS3.4 §C.2.2.2.6
            dataset.add(DataElement(BaseTag(tag), "SQ", Sequence(items), already_converted=True))
            continue
        if length == UNDEFINED or length > frame.end - value_at:
            raise IdentifierError("an element is longer than what holds it", blame)
        if length % 2:
            raise IdentifierError("an element has an odd length", blame)
        value = _value(data[value_at : value_at + length], tag, vr, form, inner)
        at = value_at + length
        if tag == CHARACTER_SET:
            frame = _Frame(frame.end, frame.depth, _encodings(value, blame), frame.blame)
        dataset.add(DataElement(BaseTag(tag), vr, value, already_converted=True))
    if delimited:
        raise IdentifierError("a sequence item has no end", *_named(frame))
    if group_length:
        _check_group_length(group_length, at, group_length[2])
    return dataset, at


def _header(data: bytes, at: int, form: _Form, frame: _Frame) -> tuple[int, str, int, int]:
    """Tag, value representation (empty when implicit), length, and where the value begins (PS3.5 §7.1)."""
    if frame.end - at < 8:
        raise IdentifierError("bytes are left over after the last element", *_named(frame))
    group, element = struct.unpack_from(form.order + "HH", data, at)
    tag = group << 16 | element
    if form.implicit or group == 0xFFFE:
        return tag, "", struct.unpack_from(form.order + "L", data, at + 4)[0], at + 8
    vr = data[at + 4 : at + 6].decode("latin-1")
    if vr not in _KNOWN_VRS:
        raise IdentifierError("an element has no value representation", frame.blame or tag)
    if vr not in _LONG:
        return tag, vr, struct.unpack_from(form.order + "H", data, at + 6)[0], at + 8
    if frame.end - at < 12 or data[at + 6 : at + 8] != b"\0\0":
        raise IdentifierError("an element header is malformed", frame.blame or tag)
    return tag, vr, struct.unpack_from(form.order + "L", data, at + 8)[0], at + 12


def _named(frame: _Frame) -> tuple[int, ...]:
    return (frame.blame,) if frame.blame else ()


def _group_length(data: bytes, vr: str, length: int, at: int, form: _Form, frame: _Frame, blame: int) -> int:
    if length != 4 or vr not in ("", "UL") or frame.end - at < 4:
        raise IdentifierError("a group length is malformed", blame)
    return at + 4 + int(struct.unpack_from(form.order + "L", data, at)[0])


def _check_group_length(group_length: tuple[int, int, int], at: int, blame: int) -> None:
    if group_length[1] != at:
        raise IdentifierError("a group length is wrong", blame)


@lru_cache(maxsize=4096)
def _entry(tag: int) -> tuple[tuple[str, ...], int | None]:
    """The value representations and the highest multiplicity that PS3.6 gives a standard element; none when it has no entry."""
    try:
        vr, vm = dictionary_VR(tag), dictionary_VM(tag)
    except KeyError:
        return (), None
    highest = vm.rpartition("-")[2]
    return tuple(vr.split(" or ")), int(highest) if highest.isdigit() else None


def _representation(tag: int, vr: str, length: int, dataset: Dataset, form: _Form, blame: int) -> str:
    """The value representation to read with: the dictionary's, which an explicit one may not contradict."""
    if tag >> 16 & 1:
        known = _private(tag, dataset)
        if not vr:
            return known or ("SQ" if length == UNDEFINED else "UN")
        return vr
    allowed, _ = _entry(tag)
    if not vr:
        # of an ambiguous one the first number: queries have no Pixel Representation to tell
        return (allowed[0] if allowed else "UN") if allowed != ("OB", "OW") else "OW"
    if allowed and vr not in allowed:
        raise IdentifierError("a value representation contradicts the dictionary", blame)
    return vr


def _private(tag: int, dataset: Dataset) -> str:
    """The value representation of a private element, where its creator is in the data set and pydicom knows it."""
    element = tag & 0xFFFF
    if 0x10 <= element <= 0xFF:
        return "LO"
    creator = dataset.get(BaseTag(tag & 0xFFFF0000 | element >> 8))
    if creator is None or not isinstance(creator.value, str):
        return ""
    try:
        vr = private_dictionary_VR(tag, creator.value)
    except KeyError:
        return ""
    return vr if vr in _KNOWN_VRS else ""


def _sequence(data: bytes, at: int, length: int, form: _Form, frame: _Frame) -> tuple[list[Dataset], int]:
    """The items of a sequence of defined or undefined length (PS3.5 §7.5)."""
    if frame.depth >= MAX_DEPTH:
        raise IdentifierError("sequences are nested too deep", frame.blame)
    end = frame.end if length == UNDEFINED else at + length
    if end > frame.end:
        raise IdentifierError("a sequence is longer than what holds it", frame.blame)
    items: list[Dataset] = []
    while at < end:
        if end - at < 8:
            raise IdentifierError("bytes are left over in a sequence", frame.blame)
        group, element, item_length = struct.unpack_from(form.order + "HHL", data, at)
        tag, at = group << 16 | element, at + 8
        if tag == _SEQUENCE_END and length == UNDEFINED and not item_length:
            return items, at
        if tag != _ITEM:
            raise IdentifierError("a sequence has something other than items", frame.blame)
        undefined = item_length == UNDEFINED
        item_end = end if undefined else at + item_length
        if item_end > end:
            raise IdentifierError("a sequence item is longer than its sequence", frame.blame)
        inner = _Frame(item_end, frame.depth + 1, frame.encodings, frame.blame)
        item, at = _dataset(data, at, form, inner, delimited=undefined)
        items.append(item)
    if length == UNDEFINED:
        raise IdentifierError("a sequence has no end", frame.blame)
    return items, at


def _value(raw: bytes, tag: int, vr: str, form: _Form, frame: _Frame) -> object:
    """The decoded value, as pydicom holds it and :class:`~hirules.model.dataset.DatasetView` shows it."""
    if vr in BINARY:
        if len(raw) % _UNIT.get(vr, 1):
            raise IdentifierError("a length does not fit the value representation", frame.blame)
        return raw or None
    if vr in _NUMBERS or vr == "AT":
        values: list[object] = _numbers(raw, vr, form, frame.blame)
    else:
        values = _texts(raw, tag, vr, form, frame)
    _, highest = _entry(tag)
    if highest is not None and len(values) > highest and not (form.keys and vr == "UI"):
        raise IdentifierError("a key has more values than it may have", frame.blame)
    if len(values) == 1:
        return values[0]
    return values or ("" if vr not in _NUMBERS and vr != "AT" else None)


def _numbers(raw: bytes, vr: str, form: _Form, blame: int) -> list[object]:
    code = "HH" if vr == "AT" else _NUMBERS[vr]
    size = struct.calcsize("=" + code)
    if len(raw) % size:
        raise IdentifierError("a length does not fit the value representation", blame)
    if vr == "AT":
        return [BaseTag(group << 16 | element) for group, element in struct.iter_unpack(form.order + code, raw)]
    return [number for (number,) in struct.iter_unpack(form.order + code, raw)]


def _texts(raw: bytes, tag: int, vr: str, form: _Form, frame: _Frame) -> list[object]:
    if not raw:
        return []
    text = _decode(raw, tag, vr, frame).rstrip(" \0")
    values = [text] if vr in UNSPLIT else [part.rstrip(" \0" if vr == "UI" else " ") for part in text.split("\\")]
    for value in values:
        # a C string ends at a NUL, a counted one does not; fixed buffers cut what is too long
        one_line = form.keys and vr not in UNSPLIT
        if "\0" in value or (one_line and _CONTROL.search(value)) or len(value) > _LONGEST.get(vr, len(value)) or (vr == "UI" and not _UID.fullmatch(value)):
            raise IdentifierError("a key has a value that peers read differently", frame.blame)
    if values == [""]:
        return []
    return [PersonName(value) for value in values] if vr == "PN" else list(values)


def _decode(raw: bytes, tag: int, vr: str, frame: _Frame) -> str:
    try:
        # without a character set only ISO-IR 6 is there (PS3.3 §C.12.1.1.2): peers differ about anything else
        if vr in _ASCII:
            return raw.decode("ascii")
        if b"\x1b" not in raw:
            return raw.decode("ascii" if frame.encodings[0] == "iso8859" else frame.encodings[0])
        _check_ascii(raw, frame.encodings[0])
        text = decode_bytes(raw, frame.encodings, {0x5C, 0x5E, 0x3D} if vr == "PN" else {0x5C, 0x0A, 0x0C, 0x0D, 0x09})
    except (UnicodeError, LookupError):
        text = "\ufffd"
    if "\ufffd" in text or "\x1b" in text:
        raise IdentifierError("a text does not fit its character set", frame.blame)
    return text


def _check_ascii(raw: bytes, encoding: str) -> None:
    """Where only ASCII is in force, at the beginning without a character set and after ``ESC ( B``, peers differ about any other byte.

    Raises ``UnicodeError``.
    """
    first, *escaped = raw.split(b"\x1b")
    if encoding == "iso8859":
        first.decode("ascii")
    for part in escaped:
        if part.startswith(b"(B"):
            part.decode("ascii")


def _encodings(value: object, blame: int = CHARACTER_SET) -> list[str]:
    """Python's names of the character sets in (0008,0005)."""
    given = [value] if isinstance(value, str) else value
    # spaces only: `strip()` would take the control characters away too, and peers would not
    names = [name.strip(" ") for name in given if isinstance(name, str)] if isinstance(given, list) else []
    if not isinstance(given, list) or len(names) != len(given) or not all(name in python_encoding for name in names):
        raise IdentifierError("the character set is not known", blame)
    if len(names) > 1 and any(name in ("ISO_IR 192", "GB18030", "GBK") for name in names):
        raise IdentifierError("the character set takes no code extensions", blame)
    return list(convert_encodings(names))
