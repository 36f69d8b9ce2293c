"""Command sets (PS3.7 §6.3, Annex E): implicit VR little endian, group 0000 only.

    bytes ──parse_command──▶ Command(values, raw)        values ──encode_command──▶ bytes

Rule 1: two readers of the same bytes must see the same command. Whatever peers are known to read
        differently (a tag twice, tags out of order, bytes left over, a wrong length, several values
        where there is one) is a :class:`CommandError`.
Rule 2: what could be read before the mistake goes along in the error, so that a refusal can be sent.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from typing import Final

import msgspec

from hirules.model.status import MISTYPED_ARGUMENT, PROCESSING_FAILURE

Values = Mapping[str, object]
"""PS3.7 keyword to value: US and UL an ``int``, AT a ``tuple`` of tags, the others text without
its padding."""

ELEMENTS: Final[Mapping[int, tuple[str, str]]] = {
    0x0000: ("CommandGroupLength", "UL"),
    0x0002: ("AffectedSOPClassUID", "UI"),
    0x0003: ("RequestedSOPClassUID", "UI"),
    0x0100: ("CommandField", "US"),
    0x0110: ("MessageID", "US"),
    0x0120: ("MessageIDBeingRespondedTo", "US"),
    0x0600: ("MoveDestination", "AE"),
    0x0700: ("Priority", "US"),
    0x0800: ("CommandDataSetType", "US"),
    0x0900: ("Status", "US"),
    0x0901: ("OffendingElement", "AT"),
    0x0902: ("ErrorComment", "LO"),
    0x0903: ("ErrorID", "US"),
    0x1000: ("AffectedSOPInstanceUID", "UI"),
    0x1001: ("RequestedSOPInstanceUID", "UI"),
    0x1002: ("EventTypeID", "US"),
    0x1005: ("AttributeIdentifierList", "AT"),
    0x1008: ("ActionTypeID", "US"),
    0x1020: ("NumberOfRemainingSuboperations", "US"),
    0x1021: ("NumberOfCompletedSuboperations", "US"),
    0x1022: ("NumberOfFailedSuboperations", "US"),
    0x1023: ("NumberOfWarningSuboperations", "US"),
    0x1030: ("MoveOriginatorApplicationEntityTitle", "AE"),
    0x1031: ("MoveOriginatorMessageID", "US"),
}
"""PS3.7 Table E.1-1, without what Table E.2-1 retired."""
NUMBERS: Final[Mapping[str, int]] = {keyword: number for number, (keyword, _) in ELEMENTS.items()}

NO_DATA_SET: Final = 0x0101
"""PS3.7 §E.1: any other Command Data Set Type announces a data set."""

C_STORE_RQ: Final = 0x0001
C_GET_RQ: Final = 0x0010
C_FIND_RQ: Final = 0x0020
C_MOVE_RQ: Final = 0x0021
C_ECHO_RQ: Final = 0x0030
N_EVENT_REPORT_RQ: Final = 0x0100
N_GET_RQ: Final = 0x0110
N_SET_RQ: Final = 0x0120
N_ACTION_RQ: Final = 0x0130
N_CREATE_RQ: Final = 0x0140
N_DELETE_RQ: Final = 0x0150
C_CANCEL_RQ: Final = 0x0FFF
RESPONSE: Final = 0x8000
"""Set in the Command Field of a response."""

REQUESTS: Final = frozenset(
    {
        C_STORE_RQ,
        C_GET_RQ,
        C_FIND_RQ,
        C_MOVE_RQ,
        C_ECHO_RQ,
        N_EVENT_REPORT_RQ,
        N_GET_RQ,
        N_SET_RQ,
        N_ACTION_RQ,
        N_CREATE_RQ,
        N_DELETE_RQ,
    }
)
"""Every request that has a response."""

_HEADER = struct.Struct("<HHI")
_GROUP_LENGTH = _HEADER.pack(0, 0, 4)
_ELEMENT = struct.Struct("<IIH")
"""Tag, length, and the value of a US; every other element has as many bytes in or behind it, or is not plain."""
_BY_WIRE = {number << 16: entry for number, entry in ELEMENTS.items()}
"""By the tag as it is on the wire, little endian, in one number: as long as the group is 0000, in the order of the tags."""
_FIELD, _MESSAGE = _HEADER.pack(0, 0x0100, 2), _HEADER.pack(0, 0x0110, 2)
_OF_INSTANCES = frozenset({"AffectedSOPInstanceUID", "RequestedSOPInstanceUID"})
_SHORT = 512
_REMEMBERED = 256
_seen: dict[bytes, Values] = {}
"""What was read of command sets without a mistake, by their bytes but the Message ID's: a client's requests often differ in no more.

INVARIANT: the place of the Message ID follows from bytes of the key, and there it was read; so the key says all but its value.
"""
_US = struct.Struct("<H")
_UL = struct.Struct("<I")
_UID = re.compile(r"[0-9.]{0,64}")
_AE = re.compile(r"[\x20-\x5b\x5d-\x7e]{0,16}\0*")


class Command(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """A command set as it came. The repr leaves the values out: they may name an instance.

    ``alike``  the bytes without the Message ID, of a command that names no instance: others like it come again; else empty
    """

    values: Values
    raw: bytes
    alike: bytes = b""

    @property
    def field(self) -> int:
        """Command Field."""
        value = self.values.get("CommandField")
        return value if isinstance(value, int) else 0

    @property
    def has_data_set(self) -> bool:
        """Whether Command Data Set Type announces a data set."""
        return self.values.get("CommandDataSetType") != NO_DATA_SET

    @property
    def number(self) -> int:
        """Message ID, of a request."""
        number = self.values["MessageID"]
        assert isinstance(number, int)  # INVARIANT: a request without one breaks its stream, and is never decided
        return number

    def __repr__(self) -> str:
        return f"Command(field=0x{self.field:04X}, size={len(self.raw)})"


class CommandError(ValueError):
    """A command set that is refused: ``status`` is for the response.

    ``values`` is what could be read: the first of a repeated tag, nothing after a wrong length.
    ``ambiguous`` names the keywords that were there more than once.
    """

    def __init__(self, message: str, status: int, values: Values | None = None, ambiguous: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.status = status
        self.values: Values = values or {}
        self.ambiguous = ambiguous


def parse_command(data: bytes, *, lenient: bool = False) -> Command:
    """``data`` as a command set. Raises :class:`CommandError` with the first mistake.

    ``lenient`` is for responses, which are not decided: elements that PS3.7 does not list and values
    that are not well formed are left out of ``values``; the framing stays strict.
    """
    # Message ID, where a request of a service for no single instance has it: behind one UID and the Command Field
    at = data[16] + 38 if len(data) > 16 else 0
    alike = data[:at] + data[at + 2 :] if at + 2 <= len(data) <= _SHORT else b""
    found = _seen.get(alike)
    if found is not None:
        return Command({**found, "MessageID": data[at] | data[at + 1] << 8}, data, alike)
    plain = _plain(data)
    if plain is None:
        return _examined(data, lenient)
    if alike and data[17:20] == b"\0\0\0" and data[at - 18 : at - 10] == _FIELD and data[at - 8 : at] == _MESSAGE and not plain.keys() & _OF_INSTANCES:
        if len(_seen) >= _REMEMBERED:
            _seen.clear()
        _seen[alike] = plain
        return Command(plain, data, alike)
    return Command(plain, data)


def _plain(data: bytes) -> dict[str, object] | None:
    """The values of a command set without a mistake, in one pass; ``None`` where :func:`_examined` is to say."""
    end = len(data)
    if data[:12] != _GROUP_LENGTH + _UL.pack(end - 12 if end > 12 else 0):
        return None
    characters = data.decode("latin-1")
    values: dict[str, object] = {"CommandGroupLength": end - 12}
    unpack, elements = _ELEMENT.unpack_from, _BY_WIRE
    previous, at = 0, 12
    try:
        while at < end:
            wire, length, first = unpack(data, at)
            keyword, vr = elements[wire]
            begin = at + 8
            at = begin + length
            if wire <= previous or at > end or length & 1:
                return None
            previous = wire
            if vr == "US":
                if length != 2:
                    return None
                values[keyword] = first
            elif vr == "UI":
                values[keyword] = text = characters[begin:at].rstrip(" \0")
                # an empty one is looked at closely
                if length > 64 or not text.replace(".", "").isdecimal():
                    return None
            elif vr == "AE":
                values[keyword] = _ae(characters[begin:at])
            else:
                values[keyword] = _READ[vr](data[begin:at])
    except (struct.error, KeyError, CommandError):
        return None
    return values


def _examined(data: bytes, lenient: bool) -> Command:
    """Any command set, element by element, with all that can be said of a mistake."""
    values: dict[str, object] = {}
    mistake: CommandError | None = None
    ambiguous: set[str] = set()
    previous, at, end = -1, 0, len(data)
    while at < end:
        if end - at < 8:
            raise mistake or CommandError("bytes left over after the last element", PROCESSING_FAILURE, values, frozenset(ambiguous))
        group, number, length = _HEADER.unpack_from(data, at)
        at += 8
        if length > end - at:
            raise mistake or CommandError("an element is longer than the command set", PROCESSING_FAILURE, values, frozenset(ambiguous))
        found: CommandError | None = None
        if group:
            found = CommandError("an element outside group 0000", PROCESSING_FAILURE)
        elif number <= previous:
            found = CommandError("a tag is repeated or out of order", PROCESSING_FAILURE)
        entry = None if group else ELEMENTS.get(number)
        if entry is None:
            found = found or (None if lenient else CommandError("an element that is no command element", PROCESSING_FAILURE))
        else:
            keyword, vr = entry
            if keyword in values:
                ambiguous.add(keyword)
            else:
                try:
                    values[keyword] = _READ[vr](data[at : at + length])
                except CommandError as error:
                    if not lenient:
                        found = found or CommandError(f"{error} in {keyword}", error.status)
        mistake = mistake or found
        previous = max(previous, number)
        at += length
    if mistake is None and values.get("CommandGroupLength") != end - 12:
        mistake = CommandError("the group length is wrong or missing", PROCESSING_FAILURE)
    if mistake is not None:
        raise CommandError(str(mistake), mistake.status, values, frozenset(ambiguous))
    return Command(values, data)


def encode_command(values: Values) -> bytes:
    """The command set of ``values``, sorted by tag, with its own CommandGroupLength."""
    parts: list[bytes] = []
    for number, keyword in sorted((NUMBERS[keyword], keyword) for keyword in values):
        if number == 0:
            continue
        value = _write(ELEMENTS[number][1], values[keyword])
        parts.append(_HEADER.pack(0, number, len(value)) + value)
    body = b"".join(parts)
    return _HEADER.pack(0, 0, 4) + _UL.pack(len(body)) + body


def with_number(data: bytes, keyword: str, number: int) -> bytes:
    """The well-framed command set ``data`` with another value of an US that it has; everything else stays, also what PS3.7 does not list."""
    wanted, at = NUMBERS[keyword], 0
    while at + 8 <= len(data):
        group, element, length = _HEADER.unpack_from(data, at)
        at += 8
        if (group, element, length) == (0, wanted, 2):
            return data[:at] + _US.pack(number) + data[at + 2 :]
        at += length
    raise ValueError(f"the command has no {keyword}")


def with_originator(data: bytes, title: str, number: int) -> bytes:
    """The well-formed command set of a C-STORE that has a Move Originator, with another one. They are its last elements (PS3.7 Table 9.3-1)."""
    at = 12
    while at + 8 <= len(data):
        group, element, length = _HEADER.unpack_from(data, at)
        if (group, element) == (0, 0x1030):
            value = _write("AE", title)
            body = data[12:at] + _HEADER.pack(0, 0x1030, len(value)) + value + _HEADER.pack(0, 0x1031, 2) + _US.pack(number)
            return _GROUP_LENGTH + _UL.pack(len(body)) + body
        at += 8 + length
    raise ValueError("the command has no Move Originator")


def _read_us(value: bytes) -> int:
    if len(value) != 2:
        raise CommandError("a wrong element length", MISTYPED_ARGUMENT)
    return int.from_bytes(value, "little")


def _read_ul(value: bytes) -> int:
    if len(value) != 4:
        raise CommandError("a wrong element length", MISTYPED_ARGUMENT)
    return int.from_bytes(value, "little")


def _read_at(value: bytes) -> tuple[int, ...]:
    if len(value) % 4:
        raise CommandError("a wrong element length", MISTYPED_ARGUMENT)
    halves = struct.unpack(f"<{len(value) // 2}H", value)
    return tuple(group << 16 | element for group, element in zip(halves[::2], halves[1::2], strict=True))


def _read_ui(value: bytes) -> str:
    text = _text(value).rstrip(" \0")
    if not _UID.fullmatch(text):
        raise CommandError("no single UID", MISTYPED_ARGUMENT)
    return text


def _read_ae(value: bytes) -> str:
    # Outer spaces are not significant (PS3.5 §6.2), but peers differ: all but the padding of an odd title
    # stays, so that who makes it canonical sees a difference. A backslash would be a second value.
    return _ae(_text(value))


def _ae(text: str) -> str:
    if not _AE.fullmatch(text):
        raise CommandError("no single AE title", MISTYPED_ARGUMENT)
    return text[:-1] if text.endswith(" ") else text


def _read_lo(value: bytes) -> str:
    text = value.decode("latin-1").strip(" \0")
    if "\\" in text:
        raise CommandError("several values", MISTYPED_ARGUMENT)
    return text


def _text(value: bytes) -> str:
    if len(value) % 2:
        raise CommandError("an odd element length", MISTYPED_ARGUMENT)
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        raise CommandError("a character outside ASCII", MISTYPED_ARGUMENT) from None


_READ = {"US": _read_us, "UL": _read_ul, "AT": _read_at, "UI": _read_ui, "AE": _read_ae, "LO": _read_lo}


def _write(vr: str, value: object) -> bytes:
    match value:
        case int():
            return _US.pack(value) if vr == "US" else _UL.pack(value) if vr == "UL" else struct.pack("<HH", value >> 16, value & 0xFFFF)
        case tuple() | list():
            return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value)
        case str():
            text = value.encode("latin-1" if vr == "LO" else "ascii")
            return text + (b"\0" if vr == "UI" else b" ") * (len(text) % 2)
    raise TypeError(f"a {vr} element takes no {type(value).__name__}")
