"""The two update documents of UpdateImageSetMetadata, read strictly.

    {"SchemaVersion": 1.1,
     "Patient": {"DICOM": {"PatientName": "A^B"}},
     "Study": {"DICOM": {}, "Series": {"<uid>": {"DICOM": {},
       "Instances": {"<uid>": {"DICOM": {"001910F9": "97"}, "DICOMVRs": {"001910F9": "DS"}}}}}}}

Source: AWS HealthImaging Developer Guide, "Updating image set metadata" and "DICOM metadata constraints".
A document that is accepted has one reading: each attribute under one name, at the level that the service
keeps it at. In ``removableAttributes`` an instance with nothing in it, ``"<uid>": {}``, is removed itself.
What that would mean for a series, or for an instance with empty ``DICOM``, is not documented: refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec
from pydicom.datadict import dictionary_VR, keyword_dict, tag_for_keyword
from pydicom.valuerep import VR

from hirules.healthimaging.strict_json import JsonError, read_json
from hirules.model.levels import level_of

MAX_BYTES = 30_000

GENERATED = frozenset(
    {
        "SchemaVersion", "DatastoreID", "ImageSetID", "PixelData", "Checksum", "Width", "Height", "MinPixelValue", "MaxPixelValue", "FrameSizeInBytes"
    }
)  # fmt: skip
"""What the service generates itself and no update may touch."""

_UID = re.compile(r"[0-9.]{1,64}")
_HEX = re.compile(r"[0-9A-Fa-f]{8}")
_BACKSLASH_IS_TEXT = frozenset({"LT", "ST", "UT", "UR"})
"""PS3.5 §6.2: elsewhere in text it parts the values."""
_BY_LOWER_CASE = frozenset(keyword.lower() for keyword in keyword_dict)
_VRS = frozenset(str(vr.value) for vr in VR if len(vr.value) == 2)

Node = Mapping[str, object]


class DocumentError(ValueError):
    """Why a document is refused: lower case, without values; names of attributes are no patient data."""


class Place(msgspec.Struct, frozen=True):
    """Where an attribute stands: its level and, below the study, the series and the instance."""

    level: str
    series: str | None = None
    instance: str | None = None

    def node(self, tree: Node) -> dict[str, object] | None:
        """The node of this place in ``tree``, if there is one."""
        steps = {
            "Patient": ("Patient",),
            "Study": ("Study",),
            "Series": ("Study", "Series", self.series),
            "Instance": ("Study", "Series", self.series, "Instances", self.instance),
        }[self.level]
        node: object = tree
        for step in steps:
            node = node.get(step) if isinstance(node, Mapping) else None
        return node if isinstance(node, dict) else None


class Entry(msgspec.Struct, frozen=True):
    """One attribute of a document. ``key`` is its spelling there, ``name`` the keyword or ``(gggg,eeee)``."""

    place: Place
    key: str
    name: str
    value: object

    def paths(self) -> Iterator[str]:
        """``Level.Keyword``, and ``Level.Sequence[*].Keyword`` for what its items hold."""
        yield from _paths(f"{self.place.level}.{self.name}", self.value)

    def __repr__(self) -> str:
        return f"Entry({self.place.level}.{self.name})"


class Document(msgspec.Struct, frozen=True):
    """A document that was accepted. ``tree`` is its JSON; whoever changes it copies it first."""

    tree: dict[str, object]
    entries: tuple[Entry, ...]
    places: tuple[Place, ...]
    removed_instances: tuple[Place, ...] = ()

    def __repr__(self) -> str:
        return f"Document({len(self.entries)} entries)"


def read_document(blob: bytes, removes: bool) -> Document:
    """The document in ``blob``; ``removes`` for ``removableAttributes``. Raises :class:`DocumentError`."""
    if not 1 <= len(blob) <= MAX_BYTES:
        raise DocumentError(f"has {len(blob)} bytes; the service takes 1 to {MAX_BYTES}")
    try:
        tree = read_json(blob)
    except JsonError as error:
        raise DocumentError(str(error)) from None
    if not isinstance(tree, dict):
        raise DocumentError("is no JSON object")
    return _Reader(removes).read(tree)


class _Reader:
    """Walks the tree once and collects what it says."""

    def __init__(self, removes: bool) -> None:
        self.removes = removes
        self.entries: list[Entry] = []
        self.places: list[Place] = []
        self.removed: list[Place] = []

    def read(self, tree: dict[str, object]) -> Document:
        _keys(tree, {"SchemaVersion", "Patient", "Study"}, "the document")
        version = tree.get("SchemaVersion", "")
        if isinstance(version, bool) or not isinstance(version, str | int | float):
            raise DocumentError("`SchemaVersion` is neither a number nor a text")
        if "Patient" in tree:
            patient = _mapping(tree["Patient"], "`Patient`")
            self._says(patient.get("DICOM"), "`Patient`")
            self._node(Place("Patient"), patient, set())
        if "Study" in tree:
            study = _mapping(tree["Study"], "`Study`")
            self._says(study.get("DICOM") or study.get("Series"), "`Study`")
            self._node(Place("Study"), study, {"Series"})
            for uid, series in self._children(study, "Series"):
                self._series(uid, series)
        if not self.entries and not self.removed:
            raise DocumentError("names no attribute")
        return Document(tree, tuple(self.entries), tuple(self.places), tuple(self.removed))

    def _series(self, uid: str, node: dict[str, object]) -> None:
        self._says(node.get("DICOM") or node.get("Instances"), "a series")
        self._node(Place("Series", uid), node, {"Instances"})
        for instance, child in self._children(node, "Instances"):
            place = Place("Instance", uid, instance)
            if self.removes and not child:
                self.removed.append(place)
            else:
                self._says(child.get("DICOM"), "an instance")
                self._node(place, child, set())

    def _says(self, content: object, where: str) -> None:
        # the guide does not say what removing an empty node removes: perhaps all of it
        if not content and self.removes:
            raise DocumentError(f"has {where} with nothing in it")

    def _children(self, node: Node, name: str) -> Iterator[tuple[str, dict[str, object]]]:
        children = _mapping(node.get(name, {}), f"`{name}`")
        if name in node:
            self._says(children, f"`{name}`")
        for uid, child in children.items():
            if not _UID.fullmatch(uid):
                raise DocumentError(f"`{name}` has a key that is no UID")
            yield uid, _mapping(child, f"an entry of `{name}`")

    def _node(self, place: Place, node: dict[str, object], children: set[str]) -> None:
        where = f"`{place.level}`"
        _keys(node, {"DICOM", "DICOMVRs"} | children, where)
        attributes = _mapping(node.get("DICOM", {}), f"`DICOM` of {where}")
        vrs = _mapping(node.get("DICOMVRs", {}), f"`DICOMVRs` of {where}")
        for key, vr in vrs.items():
            if key not in attributes or not _is_private(key):
                raise DocumentError(f"`DICOMVRs` of {where} has an entry for no private element of `DICOM`")
            if vr not in _VRS:
                raise DocumentError(f"`DICOMVRs` of {where} has an unknown value representation")
        self.places.append(place)
        for key, value in attributes.items():
            self.entries.append(self._entry(place, key, value, vrs.get(key)))

    def _entry(self, place: Place, key: str, value: object, vr: object) -> Entry:
        name, own_vr = element_name(key)
        level = level_of(name)
        if level != place.level:
            raise DocumentError(f"`{name}` belongs to the level `{level}`, not `{place.level}`")
        if own_vr is None and vr is None and not self.removes:
            raise DocumentError(f"`DICOMVRs` does not give the value representation of `{key}`")
        self._value(name, own_vr or str(vr or "UN"), value)
        return Entry(place, key, name, value)

    def _value(self, name: str, vr: str, value: object) -> None:
        if vr == "SQ":
            self._items(name, value)
            return
        for item in value if isinstance(value, list) else [value]:
            if self.removes and item is None:
                continue  # what a removal says as the value is not looked at
            if isinstance(item, bool) or not isinstance(item, str | int | float):
                raise DocumentError(f"`{name}` has a value that is neither text nor number")
            if isinstance(item, str) and "\\" in item and vr not in _BACKSLASH_IS_TEXT:
                raise DocumentError(f"`{name}` has a backslash, which parts values: give an array")

    def _items(self, name: str, value: object) -> None:
        if self.removes and value in (None, "", []):
            return
        if not isinstance(value, list) or not all(isinstance(item, dict) and item for item in value):
            raise DocumentError(f"`{name}` is a sequence: an array of objects that are not empty")
        for item in value:
            for key, inner in item.items():
                inner_name, vr = element_name(key)
                if vr is None and not self.removes:
                    raise DocumentError(f"`{name}` has a private element, whose value representation cannot be given there")
                self._value(inner_name, vr or "UN", inner)


def element_name(key: str) -> tuple[str, str | None]:
    """The name of the element that ``key`` spells, and its VR, ``None`` for a private one. Raises :class:`DocumentError`."""
    if key in GENERATED:
        raise DocumentError(f"`{key}` is never updatable")
    tag = tag_for_keyword(key)
    if tag is not None:
        if tag >> 16 in (0x0000, 0x0002, 0x0004, 0x0006, 0xFFFE):
            raise DocumentError(f"`{key}` is no element of a data set")
        return key, dictionary_VR(tag)
    if _is_private(key):
        return f"({key[:4]},{key[4:]})", None
    if _HEX.fullmatch(key):
        raise DocumentError(f"`{key}` is spelled by its tag: a standard element goes by its keyword, a private one by eight upper-case digits")
    if key.lower() in _BY_LOWER_CASE:
        raise DocumentError(f"`{key}` is a keyword in other case")
    raise DocumentError("has a key that is neither a PS3.6 keyword nor the tag of a private element")


def _is_private(key: str) -> bool:
    """PS3.5 §7.8.1: an odd group, but none of 0001, 0003, 0005, 0007 and FFFF; an element 0010 or above."""
    if not _HEX.fullmatch(key) or key != key.upper():
        return False
    group, element = int(key[:4], 16), int(key[4:], 16)
    return group % 2 == 1 and group not in (1, 3, 5, 7, 0xFFFF) and element >= 0x10


def _keys(node: Node, known: set[str], where: str) -> None:
    for key in node:
        if key not in known:
            if key in GENERATED:
                raise DocumentError(f"`{key}` is never updatable")
            raise DocumentError(f"{where} has a key that an update document does not have there")


def _mapping(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise DocumentError(f"{where} is no object")
    return value


def _paths(path: str, value: object) -> Iterator[str]:
    yield path
    for item in value if isinstance(value, list) else ():
        if isinstance(item, dict):
            for key, inner in item.items():
                yield from _paths(f"{path}[*].{element_name(key)[0]}", inner)
