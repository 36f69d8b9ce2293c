"""Whether an identifier is valid for its information model, and what of it a retrieve has (PS3.4 §C.4).

An empty or missing Study Instance UID in a C-GET returned every instance of a real archive, so a
retrieve is checked before anything else:

- the level is one of the model's
- each level above has its unique key, with one value; the level itself has its own, with a list of
  UIDs at STUDY, SERIES and IMAGE only
- a unique key is never empty and never a wildcard
- every other key is taken out of what is forwarded: Orthanc delivers by StudyInstanceUID although
  PatientID names another patient, and a key that nobody matches must not look like a restriction

A C-FIND is checked for its level only. Keys of higher levels may be missing: a relational query is
the upstream's to answer or refuse, and the rules see which keys are universal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from hirules.dimse.identifier import IdentifierError
from hirules.model.dataset import element_name
from hirules.model.status import SOP_CLASS_NOT_SUPPORTED

LEVEL = 0x00080052
ALWAYS = frozenset({0x00080005, LEVEL, 0x00080053})  # Specific Character Set, Query/Retrieve Level, Query/Retrieve View (PS3.4 §C.4.2.1.4)
_UID = re.compile(r"[0-9.]{1,64}")

UNIQUE_KEYS: Mapping[str, str] = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
    "FRAME": "SOPInstanceUID",
}


class Model(msgspec.Struct, frozen=True):
    """An information model. Without ``levels`` it has one level, whose unique key is the SOP Instance UID.

    ``hierarchical``  the levels above have their unique keys too
    ``frames``        at FRAME exactly one of these says which frames
    """

    levels: tuple[str, ...] = ()
    hierarchical: bool = True
    frames: tuple[str, ...] = ()


_PATIENT_ROOT = Model(("PATIENT", "STUDY", "SERIES", "IMAGE"))
_STUDY_ROOT = Model(("STUDY", "SERIES", "IMAGE"))
_PATIENT_STUDY_ONLY = Model(("PATIENT", "STUDY"))
_COMPOSITE_INSTANCE_ROOT = Model(("IMAGE", "FRAME"), hierarchical=False, frames=("SimpleFrameList", "CalculatedFrameList", "TimeRange"))
_ONE_LEVEL = Model()

_FAMILIES: tuple[tuple[str, Model, str, str], ...] = (
    # the SOP classes' common prefix, the model, and what follows for C-MOVE and for C-GET
    ("1.2.840.10008.5.1.4.1.2.1", _PATIENT_ROOT, ".2", ".3"),
    ("1.2.840.10008.5.1.4.1.2.2", _STUDY_ROOT, ".2", ".3"),
    ("1.2.840.10008.5.1.4.1.2.3", _PATIENT_STUDY_ONLY, ".2", ".3"),
    ("1.2.840.10008.5.1.4.1.2.4", _COMPOSITE_INSTANCE_ROOT, ".2", ".3"),  # PS3.4 Annex Y
    ("1.2.840.10008.5.1.4.1.2.5", Model(("IMAGE",)), "", ".3"),  # Without Bulk Data, PS3.4 Annex Z
    ("1.2.840.10008.5.1.4.20", _ONE_LEVEL, ".2", ".3"),  # Defined Procedure Protocol, PS3.4 Annex HH
    ("1.2.840.10008.5.1.4.38", _ONE_LEVEL, ".3", ".4"),  # Hanging Protocol, PS3.4 Annex U
    ("1.2.840.10008.5.1.4.39", _ONE_LEVEL, ".3", ".4"),  # Color Palette, PS3.4 Annex X
    ("1.2.840.10008.5.1.4.43", _ONE_LEVEL, ".3", ".4"),  # Generic Implant Template, PS3.4 Annex BB
    ("1.2.840.10008.5.1.4.44", _ONE_LEVEL, ".3", ".4"),  # Implant Assembly Template
    ("1.2.840.10008.5.1.4.45", _ONE_LEVEL, ".3", ".4"),  # Implant Template Group
    ("1.2.840.10008.5.1.4.1.1.200", _ONE_LEVEL, ".5", ".6"),  # Protocol Approval, PS3.4 Annex II
    ("1.2.840.10008.5.1.4.1.1.201", _ONE_LEVEL, ".3", ".4"),  # Inventory, PS3.4 Annex JJ
)
RETRIEVES: Mapping[str, Mapping[str, Model]] = {
    "c-move": {prefix + move: model for prefix, model, move, _ in _FAMILIES if move},
    "c-get": {prefix + get: model for prefix, model, _, get in _FAMILIES if get},
}
"""The information models by action and SOP class. Of any other nobody knows what a valid identifier reaches: it is refused."""

QUERIES: Mapping[str, Model] = {
    "1.2.840.10008.5.1.4.1.2.1.1": _PATIENT_ROOT,
    "1.2.840.10008.5.1.4.1.2.2.1": _STUDY_ROOT,
    "1.2.840.10008.5.1.4.1.2.3.1": _PATIENT_STUDY_ONLY,
}
"""The C-FIND models with levels; worklists and the others have none."""


class Checked(msgspec.Struct, frozen=True):
    """A valid identifier, without the keys that a retrieve does not have; ``removed`` names those."""

    dataset: Dataset
    removed: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Checked(removed={len(self.removed)})"


def check_query(sop_class: str, dataset: Dataset) -> None:
    """A C-FIND identifier has a level of its model (PS3.4 §C.4.1.2.2). Raises :class:`IdentifierError`."""
    model = QUERIES.get(sop_class)
    if model is not None:
        _level(model, dataset)


def check_retrieve(action: str, sop_class: str, dataset: Dataset, *, strict: bool = False) -> Checked:
    """A C-GET or C-MOVE identifier (PS3.4 §C.4.2.1.4). ``strict`` refuses other keys. Raises :class:`IdentifierError`."""
    model = RETRIEVES[action].get(sop_class)
    if model is None:
        raise IdentifierError("retrieves of this information model are not supported", status=SOP_CLASS_NOT_SUPPORTED)
    allowed = _check_model(model, dataset)
    others = sorted(set(dataset.keys()) - allowed)
    if not others:
        return Checked(dataset)
    if strict:
        raise IdentifierError("the identifier has keys that a retrieve does not have", *others)
    kept = Dataset()
    for tag in sorted(dataset.keys()):
        if tag in allowed:
            kept.add(dataset[tag])
    return Checked(kept, tuple(element_name(tag, dataset) for tag in others))


def _check_model(model: Model, dataset: Dataset) -> frozenset[int]:
    """The tags that belong to a valid identifier of ``model``."""
    if not model.levels:
        _unique(dataset, "SOPInstanceUID", several=True)
        return frozenset({0x00080005, _tag("SOPInstanceUID")})
    level = _level(model, dataset)
    keys = [UNIQUE_KEYS[above] for above in model.levels[: model.levels.index(level)]] if model.hierarchical else []
    for key in keys:
        _unique(dataset, key, several=False)
    _unique(dataset, UNIQUE_KEYS[level], several=level in ("STUDY", "SERIES", "IMAGE"))
    if level == "FRAME":
        # PS3.4 §Y.3.2.2.3: one of the three, and no list of instances to cut frames from
        present = [key for key in model.frames if key in dataset]
        if len(present) != 1 or dataset[present[0]].is_empty:
            raise IdentifierError("a FRAME request names frames in one way", *map(_tag, present))
        keys = [*keys, *present]
    return ALWAYS | {_tag(key) for key in (*keys, UNIQUE_KEYS[level])}


def _level(model: Model, dataset: Dataset) -> str:
    value = dataset[LEVEL].value if LEVEL in dataset else None
    if not isinstance(value, str) or value not in model.levels:
        raise IdentifierError("the query/retrieve level is not one of the model", LEVEL)
    return value


def _unique(dataset: Dataset, key: str, *, several: bool) -> None:
    """``key`` has a value, without wildcards; ``several`` where the level takes a list of UIDs."""
    tag = _tag(key)
    value = dataset[tag].value if tag in dataset else None
    values = [str(item) for item in value] if isinstance(value, list) else [str(value).strip()] if value is not None else []
    if not values or not all(values):
        raise IdentifierError("a unique key is missing or empty", tag)
    if len(values) > 1 and not several:
        raise IdentifierError("a unique key has more than one value", tag)
    if key == "PatientID":
        if any(character in values[0] for character in "*?"):
            raise IdentifierError("a unique key has a wildcard", tag)
    elif not all(_UID.fullmatch(uid) for uid in values):
        raise IdentifierError("a unique key is no UID", tag)


def _tag(key: str) -> int:
    tag = tag_for_keyword(key)
    if tag is None:  # only keywords of this file come here
        raise LookupError(key)
    return tag
