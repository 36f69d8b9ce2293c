"""What the embedded upstream has, and which of it matches an identifier (PS3.4 §C.2.2.2, §C.4).

    entry_of(dataset)                  an instance as the catalog keeps it
    Catalog.find(identifier, levels)   the entities of a level that match, as response identifiers
    Catalog.select(identifier)         the instances that a valid retrieve reaches

No I/O: the archive reads the files. An entity (a patient, study, series or instance) has the elements
that all its instances have alike, and the counts below it. Matching is by single value, list of UIDs,
wildcard and range; an empty key matches everything; keys inside sequences are not matched.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import msgspec
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset

from hirules.model.dataset import BINARY, DatasetView
from hirules.model.reading import Unknown

UNIQUE_KEYS: Mapping[str, str] = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
LEVELS = tuple(UNIQUE_KEYS)
_NOT_MATCHED = frozenset({"QueryRetrieveLevel", "SpecificCharacterSet", "RetrieveAETitle", "InstanceAvailability", "TimezoneOffsetFromUTC"})
_LONGEST = 1024
"""Values longer than this are not kept: nobody queries for them."""

Values = Mapping[str, object]


class Entry(msgspec.Struct, frozen=True):
    """One instance: its values by keyword, and the transfer syntax it is kept in. The repr has no values."""

    values: Values
    transfer_syntax: str

    @property
    def uid(self) -> str:
        """SOP Instance UID."""
        return str(self.values["SOPInstanceUID"])

    @property
    def sop_class(self) -> str:
        """SOP Class UID."""
        return str(self.values["SOPClassUID"])

    def __repr__(self) -> str:
        return "Entry()"


def entry_of(dataset: Dataset, transfer_syntax: str) -> Entry | None:
    """The entry of an instance; ``None`` where one of the UIDs that name it is missing or malformed."""
    values: dict[str, object] = {}
    view = DatasetView(dataset)
    for name in view:
        tag = tag_for_keyword(name)
        if tag is None or tag >= 0x7FE00000 or dictionary_VR(tag) in BINARY | {"SQ", "OB or OW"}:
            continue
        value = view[name]
        if isinstance(value, Unknown | bytes | tuple) or value == "" or len(str(value)) > _LONGEST:
            continue
        if not isinstance(value, list) or not any(isinstance(item, Unknown | bytes) for item in value):
            values[name] = value
    for name in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        if not re.fullmatch(r"[0-9.]{1,64}", str(values.get(name, ""))):
            return None
    return Entry(values, transfer_syntax)


class Catalog:
    """The instances by SOP Instance UID. Replaced as a whole where it changes, so that readers need no lock."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[str, Entry] = {}
        for entry in entries:
            self._entries.setdefault(entry.uid, entry)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __contains__(self, uid: object) -> bool:
        return uid in self._entries

    def add(self, entry: Entry) -> None:
        """Take in ``entry``, in place of one with its UID."""
        self._entries = {**self._entries, entry.uid: entry}

    def select(self, identifier: Values) -> list[Entry]:
        """The instances whose unique keys are among those of ``identifier``, a valid retrieve's."""
        wanted = {key: set(_strings(identifier[key])) for key in UNIQUE_KEYS.values() if _strings(identifier.get(key, ""))}
        if not wanted:
            return []  # INVARIANT: an identifier without a unique key reaches nothing, never everything
        return [entry for entry in self if all(str(entry.values.get(key, "")) in values for key, values in wanted.items())]

    def find(self, identifier: Values) -> Iterator[dict[str, object]]:
        """A response identifier for each matching entity of the identifier's level: the keys that it asked for."""
        level = str(identifier["QueryRetrieveLevel"])
        keys = [key for key in identifier if key not in _NOT_MATCHED and not _below(key, level)]
        for group in self._groups(level):
            entity = _Entity(group, level)
            if all(matches(key, identifier[key], entity.value(key)) for key in keys):
                yield {"QueryRetrieveLevel": level, **{key: entity.value(key) for key in keys}}

    def _groups(self, level: str) -> Iterable[list[Entry]]:
        """The entries of each entity: a series is one of its study, whose UID belongs to its key."""
        names = LEVELS[1 : LEVELS.index(level) + 1] if level != "PATIENT" else ("PATIENT",)
        groups: dict[tuple[str, ...], list[Entry]] = {}
        for entry in self:
            key = tuple(str(entry.values.get(UNIQUE_KEYS[name], "")) for name in names)
            if all(key):
                groups.setdefault(key, []).append(entry)
        return groups.values()


def _below(key: str, level: str) -> bool:
    """Whether ``key`` is the unique key of a lower level."""
    return key in [UNIQUE_KEYS[lower] for lower in LEVELS[LEVELS.index(level) + 1 :]]


class _Entity:
    """The values of one entity, from its instances."""

    def __init__(self, entries: list[Entry], level: str) -> None:
        self._entries = entries
        self._level = level

    def value(self, key: str) -> object:
        """The value that all its instances have, or what is counted over them; ``""`` where they differ."""
        computed = _COMPUTED.get(key)
        if computed is not None:
            level, source = computed
            return self._computed(source) if self._level == level else ""
        first = self._entries[0].values.get(key, "")
        return first if all(entry.values.get(key, "") == first for entry in self._entries[1:]) else ""

    def _computed(self, source: str) -> object:
        found = sorted({str(entry.values[source]) for entry in self._entries if source in entry.values})
        return found if source in ("Modality", "SOPClassUID") else len(found)


_COMPUTED: Mapping[str, tuple[str, str]] = {
    "ModalitiesInStudy": ("STUDY", "Modality"),
    "SOPClassesInStudy": ("STUDY", "SOPClassUID"),
    "NumberOfPatientRelatedStudies": ("PATIENT", "StudyInstanceUID"),
    "NumberOfPatientRelatedSeries": ("PATIENT", "SeriesInstanceUID"),
    "NumberOfPatientRelatedInstances": ("PATIENT", "SOPInstanceUID"),
    "NumberOfStudyRelatedSeries": ("STUDY", "SeriesInstanceUID"),
    "NumberOfStudyRelatedInstances": ("STUDY", "SOPInstanceUID"),
    "NumberOfSeriesRelatedInstances": ("SERIES", "SOPInstanceUID"),
}
"""PS3.4 Tables C.3-1 to C.3-4: the level, and what is collected or counted."""


def matches(key: str, wanted: object, value: object) -> bool:
    """Whether an entity's ``value`` matches the key ``wanted`` of an identifier (PS3.4 §C.2.2.2)."""
    patterns = _strings(wanted)
    if not patterns or isinstance(wanted, tuple):
        return True  # universal matching; a sequence key is not matched
    tag = tag_for_keyword(key)
    vr = "LO" if tag is None else dictionary_VR(tag)
    return any(_matches(vr, pattern, text) for pattern in patterns for text in _strings(value))


def _matches(vr: str, pattern: str, text: str) -> bool:
    if vr in ("DA", "TM", "DT") and "-" in pattern:
        return _in_range(vr, pattern, text)
    if vr in ("IS", "DS", "US", "SS", "UL", "SL"):
        try:
            return Decimal(pattern) == Decimal(text)
        except InvalidOperation:
            return pattern == "*" or pattern == text
    if vr in ("DA", "TM", "DT"):
        return pattern == "*" or _moment(vr, pattern, "0") == _moment(vr, text, "0")
    if vr == "PN":
        # PS3.4 §C.2.2.2.1: an SCP may match names without regard to case; empty trailing components do not count
        pattern, text = pattern.casefold().rstrip("^= "), text.casefold().rstrip("^= ")
    if vr != "UI" and ("*" in pattern or "?" in pattern):
        return _wildcard(pattern).fullmatch(text) is not None
    return pattern == text


@lru_cache(maxsize=256)
def _wildcard(pattern: str) -> re.Pattern[str]:
    """PS3.4 §C.2.2.2.4: ``*`` any sequence of characters, ``?`` any one; runs of ``*`` are one, which keeps it linear enough."""
    parts = re.findall(r"\*+|\?|[^*?]+", pattern)
    return re.compile("".join(".*" if part[0] == "*" else "." if part == "?" else re.escape(part) for part in parts), re.DOTALL)


def _in_range(vr: str, pattern: str, text: str) -> bool:
    """PS3.4 §C.2.2.2.5: both ends belong to the range, an open end has no limit."""
    first, _, last = pattern.partition("-")
    moment = _moment(vr, text, "0")
    return (not first or _moment(vr, first, "0") <= moment) and (not last or moment <= _moment(vr, last, "9"))


def _moment(vr: str, text: str, fill: str) -> str:
    """Digits that sort as the moments do, missing ones filled."""
    whole, _, fraction = text.strip().replace(":", "").partition(".") if vr != "DA" else (text.strip().replace(".", ""), "", "")
    length = {"DA": 8, "TM": 6, "DT": 14}[vr]
    return whole[:length].ljust(length, fill) + fraction[:6].ljust(6, fill)


def _strings(value: object) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    text = "" if value is None or isinstance(value, tuple | bytes) else str(value).strip(" \0")
    return [text] if text else []
