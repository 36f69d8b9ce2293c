"""Which C-FIND answers what a rule asks of the resource (PS3.4 §C.4.1, §C.6). No I/O.

    Request ──target_of──▶ Target      what it names: unique keys, and the level of its entities
    names   ──keywords──▶ keys         what can be asked, each at the level where PS3.4 has it (`level_of`)
    keys    ──identifier──▶ bytes      of one query, hierarchical: one value for each level above
    bytes   ──match──▶ Fields          of one answer, which must be about what was asked (`verified`)

A value counts as told where it is there and not zero-length. Zero-length is absent for a key that every archive must have
(Unique, Required); of an optional key nobody knows whether the archive keeps it: Orthanc answers zero-length then.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache

import msgspec
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import ImplicitVRLittleEndian

from hirules.dimse.identifier import CHARACTER_SET, UNDEFINED, IdentifierError, read, write
from hirules.dimse.retrieve import QUERIES, RETRIEVES, UNIQUE_KEYS
from hirules.facts import LookupFailed
from hirules.model.dataset import BINARY, DatasetView, dataset_of, keyword_of
from hirules.model.levels import level_of as level_of_attribute
from hirules.model.reading import Fields, Unknown
from hirules.model.request import Request

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
COUNTS: Mapping[str, str] = {"STUDY": "NumberOfStudyRelatedInstances", "SERIES": "NumberOfSeriesRelatedInstances"}
"""How many instances an entity of the level has."""
COLLECTED: Mapping[str, str] = {"ModalitiesInStudy": "Modality", "SOPClassesInStudy": "SOPClassUID"}
"""What a study has of all its series, or instances (PS3.4 Table C.6-5)."""
_QUERY_LEVELS: Mapping[str, str] = {
    **dict.fromkeys(
        ("NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries", "NumberOfPatientRelatedInstances", "OtherPatientIDs"), "PATIENT"
    ),
    **dict.fromkeys(
        (
            *COLLECTED, "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "AnatomicRegionsInStudyCodeSequence", "StudyStatusID",
            "StudyPriorityID", "StudyComments", "StudyUpdateDateTime",
        ),
        "STUDY",
    ),
    **dict.fromkeys(
        (
            "NumberOfSeriesRelatedInstances", "PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime", "PerformedProcedureStepID",
            "PerformedProcedureStepDescription",
        ),
        "SERIES",
    ),
}  # fmt: skip
"""Keys of queries (PS3.4 Tables C.6-1 to C.6-5) that are no attributes of images, or lie elsewhere than :mod:`hirules.model.levels` says."""
_OF_ANY_LEVEL = frozenset({"RetrieveAETitle", "RetrieveURI", "InstanceAvailability", "StorageMediaFileSetID", "StorageMediaFileSetUID"})
_NEVER_ASKED = frozenset({"QueryRetrieveLevel", "SpecificCharacterSet", "TimezoneOffsetFromUTC"})
"""In an answer they say something about the answer."""
ALWAYS_KEPT = frozenset(
    {
        "PatientName", "PatientID", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "StudyInstanceUID", "Modality", "SeriesNumber",
        "SeriesInstanceUID", "InstanceNumber", "SOPInstanceUID",
    }
)  # fmt: skip
"""Unique and Required keys (PS3.4 Tables C.6-1 to C.6-5)."""
_UID = re.compile(r"[0-9.]{1,64}")
_ELEMENT = struct.Struct("<HHL")


class Target(msgspec.Struct, frozen=True):
    """What a request names: of ``key`` the ``values``, within ``above`` (unique keys of the levels above, by their keywords).

    ``level``  of the entities: a study for PATIENT and STUDY
    ``patient_root``  the request's model has a patient level
    """

    level: str
    key: str
    values: tuple[str, ...]
    above: Mapping[str, str] = {}
    patient_root: bool = False

    def __repr__(self) -> str:
        return f"Target({self.level}, {len(self.values)} values of {self.key})"


def target_of(request: Request) -> Target:
    """What ``request`` names. Raises :class:`LookupFailed`."""
    asked = request.request
    if request.action not in RETRIEVES:
        return Target("IMAGE", "SOPInstanceUID", _values("SOPInstanceUID", asked.get("RequestedSOPInstanceUID")))
    model = RETRIEVES[request.action].get(str(asked.get("AffectedSOPClassUID")))
    identifier = asked.get("Identifier")
    level = identifier.get("QueryRetrieveLevel") if isinstance(identifier, Mapping) else None
    if model is None or not model.levels:
        raise LookupFailed("what retrieves of this information model reach is not looked up")
    if not isinstance(identifier, Mapping) or not isinstance(level, str) or level not in model.levels:
        raise LookupFailed("the identifier has no level of its model")
    higher = model.levels[: model.levels.index(level)] if model.hierarchical else ()
    above = {UNIQUE_KEYS[name]: _values(UNIQUE_KEYS[name], identifier.get(UNIQUE_KEYS[name]), most=1)[0] for name in higher}
    key = UNIQUE_KEYS[level]
    entity = {"PATIENT": "STUDY", "FRAME": "IMAGE"}.get(level, level)
    return Target(entity, key, _values(key, identifier.get(key)), above, model.levels[0] == "PATIENT")


def _values(key: str, value: object, most: int | None = None) -> tuple[str, ...]:
    """The values of a unique key, each once, in their order. Raises :class:`LookupFailed`: a rewrite may have left anything."""
    given = value if isinstance(value, list | tuple) else [value]
    texts = [text.strip(" \0") for text in given if isinstance(text, str)]
    fits = all(_UID.fullmatch(text) for text in texts) if key != "PatientID" else all(text and not re.search(r"[*?\\]", text) for text in texts)
    if not texts or len(texts) != len(given) or not fits or (most is not None and len(texts) > most):
        raise LookupFailed("a unique key of the request has no valid value")
    return tuple(dict.fromkeys(texts))


def keywords(needed: Iterable[str]) -> frozenset[str]:
    """Of the names that rules need those that can be asked: private elements, pixels and what describes the answer itself cannot."""
    return frozenset(name for name in needed if name not in _NEVER_ASKED and _askable(name))


def _askable(name: str) -> bool:
    tag = tag_for_keyword(name)
    return tag is not None and keyword_of(tag) == name and tag >> 16 > 7 and not BINARY & set(dictionary_VR(tag).split(" or "))


def level_of(keyword: str, entity: str, *, patient_root: bool) -> str:
    """The level at which ``keyword`` is asked; what every level has, at that of the entity. Study Root has no patient level (PS3.4 §C.6.2)."""
    if keyword in _OF_ANY_LEVEL:
        return entity
    attribute = level_of_attribute(keyword)
    level = _QUERY_LEVELS.get(keyword) or {"Patient": "PATIENT", "Study": "STUDY", "Series": "SERIES"}.get(attribute, "IMAGE")
    if keyword == "SOPInstanceUID":
        level = "IMAGE"
    return "STUDY" if level == "PATIENT" and not patient_root else level


@lru_cache(maxsize=64)
def kept_at(sop_class: str, level: str) -> frozenset[str]:
    """The keys that every archive must keep, of a query's own level: it need not answer those of other levels (PS3.4 §C.4.1.3.1.1)."""
    model = QUERIES.get(sop_class)
    if model is None or level not in model.levels:
        return ALWAYS_KEPT
    root = model.levels[0] == "PATIENT"
    return frozenset(name for name in ALWAYS_KEPT if level_of(name, level, patient_root=root) == level)


def kept_in(request: Request, optional: Collection[str]) -> frozenset[str]:
    """The keys whose zero length in a match of the C-FIND ``request`` says that they are absent: ``optional`` ones that the archive keeps, too."""
    identifier = request.request.get("Identifier")
    level = identifier.get("QueryRetrieveLevel") if isinstance(identifier, Mapping) else None
    return kept_at(str(request.request.get("AffectedSOPClassUID")), str(level)).union(optional)


def identifier(level: str, keys: Mapping[str, object], wanted: Collection[str]) -> bytes:
    """A query at ``level``: ``keys`` are matched, ``wanted`` only asked for. Raises :class:`LookupFailed`."""
    fields: dict[str, object] = {**dict.fromkeys(wanted, ""), **keys, "QueryRetrieveLevel": level}
    if not all(str(value).isascii() for value in keys.values()):
        fields["SpecificCharacterSet"] = "ISO_IR 192"
    try:
        return write(dataset_of({name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}), ImplicitVRLittleEndian)
    except ValueError:
        raise LookupFailed("the query cannot be written") from None


def match(data: bytes) -> Fields:
    """An answer. An element that cannot be read is unknown. Raises :class:`LookupFailed` where nothing of it can be relied on."""
    try:
        return DatasetView(read(data, ImplicitVRLittleEndian, keys=False))
    except IdentifierError:
        return _element_by_element(data)


def _element_by_element(data: bytes) -> Fields:
    fields: dict[str, object] = {}
    characters, last, at = b"", -1, 0
    while at < len(data):
        if len(data) - at < _ELEMENT.size:
            raise LookupFailed("the archive's answer is malformed")
        group, number, length = _ELEMENT.unpack_from(data, at)
        tag, end = group << 16 | number, at + _ELEMENT.size + length
        if length == UNDEFINED or end > len(data) or tag <= last:
            raise LookupFailed("the archive's answer is malformed")
        element, at, last = data[at:end], end, tag
        if tag == CHARACTER_SET:
            characters = element
        elif name := keyword_of(tag):
            fields[name] = _element(name, element, characters)
    return fields


def _element(name: str, element: bytes, characters: bytes) -> object:
    # where the character set is not known, plain ASCII is what it is in every one
    for data in (characters + element, element):
        try:
            return DatasetView(read(data, ImplicitVRLittleEndian, keys=False)).get(name, "")
        except IdentifierError:
            continue
    return Unknown("the archive's value cannot be read")


def verified(answer: Fields, level: str, keys: Mapping[str, object]) -> Fields:
    """``answer``, which is about what ``keys`` ask for. Raises :class:`LookupFailed`.

    An archive may ignore a key: dcmqrscp answers an IMAGE query of Study Root for every patient, whatever PatientID says.
    """
    if answer.get("QueryRetrieveLevel", level) != level:
        raise LookupFailed("the archive answered about another level")
    for key, wanted in keys.items():
        values = wanted if isinstance(wanted, tuple) else (wanted,) if wanted else ()
        if not values:
            continue
        found = answer.get(key)
        if not isinstance(found, str) or not found:
            raise LookupFailed("the archive's answer does not say what it is about")
        # an archive may match patient ids without regard to case; then it also retrieves so
        if not any(found.strip() == value or (key == "PatientID" and found.strip().casefold() == value.casefold()) for value in values):
            raise LookupFailed("the archive answered about something else")
    return answer


def told(value: object) -> bool:
    """Whether an archive's value says something."""
    if isinstance(value, list | tuple):
        return any(told(item) for item in value)
    return value is not None and value != "" and not isinstance(value, Unknown)


def not_told(value: object, keyword: str, kept: Collection[str]) -> object:
    """What is known where nothing is told: absent, of a key that the archive keeps and answered zero-length; else unknown."""
    if isinstance(value, Unknown):
        return value
    if value is None:
        return Unknown("the archive did not answer it")
    return None if keyword in ALWAYS_KEPT or keyword in kept else Unknown("the archive answered it zero-length, and may not keep it")


def number(value: object) -> int | None:
    """A count that an archive tells."""
    return value if isinstance(value, int) and value >= 0 else None
