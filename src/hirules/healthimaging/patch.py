"""A rewritten request → API parameters. Pure; the caller's objects stay as they were.

Law, checked here at every rewrite and by a property test: reading the patched parameters gives the
decision's effective request (one value for several series or instances counts for each of them).
Only ``force``, ``includeStudyImageSets``, ``updates`` and ``removed`` are ever written.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal

from hirules.healthimaging.document import Document, Entry, Place
from hirules.healthimaging.operations import ACTION_OPERATION, OPERATIONS
from hirules.healthimaging.strict_json import write_json
from hirules.healthimaging.translate import Refusal, Updates, joined, read_updates, request_of
from hirules.model.decision import Decision
from hirules.model.request import Request
from hirules.model.scalars import Partial

FLAGS = ("force", "includeStudyImageSets")
_DERIVED = frozenset({"updated", "kind"})
_WRITTEN = frozenset({*FLAGS, "updates", "removed"})


class PatchError(ValueError):
    """Why a rewrite cannot be carried out: lower case, without values. The request is refused."""


def patched(params: Mapping[str, object], decision: Decision) -> dict[str, object]:
    """``params`` as the decision's effective request has them. Raises :class:`PatchError`."""
    if not decision.rewritten:
        return dict(params)
    operation = ACTION_OPERATION[decision.effective.action]
    original = request_of(operation, params)
    if isinstance(original, Refusal):
        raise PatchError(original.reason)
    effective = decision.effective.request
    for name in (set(original.request) | set(effective)) - _WRITTEN - _DERIVED:
        if effective.get(name) != original.request.get(name):
            raise PatchError(f"`request.{name}` cannot be rewritten")
    result = dict(params)
    for name in FLAGS:
        if effective.get(name) != original.request.get(name):
            result[name] = effective.get(name)
    if "updates" in original.request:
        _patch_updates(result, original, effective)
    _verify(operation, result, effective)
    return result


def _patch_updates(result: dict[str, object], original: Request, effective: Mapping[str, object]) -> None:
    sent = _read(result)
    wanted, dropped = _wanted(effective), _dropped(original, effective)
    blobs: dict[str, bytes] = {}
    if wanted != original.request["updates"]:
        if sent.kind == "revert":
            raise PatchError("a revert sets no attribute")
        base = sent.updatable or Document({"SchemaVersion": _schema_version(sent)}, (), ())
        blobs["updatableAttributes"] = _with_values(base, wanted)
    if dropped and sent.removable is not None:
        blobs["removableAttributes"] = _without(sent.removable, dropped)
    if blobs:
        structure = result["updateImageSetMetadataUpdates"]
        before = structure["DICOMUpdates"] if isinstance(structure, Mapping) else {}
        result["updateImageSetMetadataUpdates"] = {"DICOMUpdates": {**before, **blobs}}


def _wanted(effective: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """The effective values that are there, as JSON has them."""
    updates = effective.get("updates")
    levels = updates.items() if isinstance(updates, Mapping) else ()
    found = {
        str(level): {str(name): wire(value) for name, value in fields.items() if value is not None} for level, fields in levels if isinstance(fields, Mapping)
    }
    return {level: fields for level, fields in found.items() if fields}


def _dropped(original: Request, effective: Mapping[str, object]) -> set[str]:
    before, after = (_names(fields.get("removed")) for fields in (original.request, effective))
    if after - before:
        raise PatchError("a rewrite cannot add to `request.removed`")
    return before - after


def _names(value: object) -> set[str]:
    return {str(name) for name in value} if isinstance(value, Sequence) and not isinstance(value, str) else set()


def _with_values(document: Document, wanted: Mapping[str, Mapping[str, object]]) -> bytes:
    """The document with these values and no others."""
    tree = copy.deepcopy(document.tree)
    slots: dict[tuple[str, str], list[Entry]] = {}
    for entry in document.entries:
        slots.setdefault((entry.place.level, entry.name), []).append(entry)
    # first what is new: a place that loses all it had would be gone
    for level, fields in wanted.items():
        for name, value in fields.items():
            if (level, name) not in slots:
                _add(tree, document, level, name, value)
    for (level, name), entries in slots.items():
        value = wanted.get(level, {}).get(name)
        if value is None:
            _remove(tree, entries)
        elif value != joined([entry.value for entry in entries]):
            for entry, own in zip(entries, _shares(entries, value), strict=True):
                _attributes(tree, entry.place)[entry.key] = own
    return _written(tree)


def _shares(entries: Sequence[Entry], value: object) -> list[object]:
    """Each place's share of ``value``: all of it, or, of a list as long as all values together, its own part."""
    widths = [len(entry.value) if isinstance(entry.value, list) else 1 for entry in entries]
    if not isinstance(value, list):
        return [value] * len(entries)
    if len(entries) == 1:
        return [value if isinstance(entries[0].value, list) or len(value) != 1 else value[0]]
    if len(value) == 1:
        return [[value[0]] if isinstance(entry.value, list) else value[0] for entry in entries]
    if len(value) != sum(widths):
        raise PatchError(f"`{entries[0].place.level}.{entries[0].name}` has several values for several places")
    rest = iter(value)
    return [[next(rest) for _ in range(width)] if isinstance(entry.value, list) else next(rest) for entry, width in zip(entries, widths, strict=True)]


def _add(tree: dict[str, object], document: Document, level: str, name: str, value: object) -> None:
    if name.startswith("("):
        raise PatchError(f"`{level}.{name}` is private: a rewrite cannot give its value representation")
    if level in ("Patient", "Study"):
        places = [Place(level)]
    else:
        places = [place for place in document.places if place.level == level]
    if not places:
        raise PatchError(f"the update names no place to set `{level}.{name}` at")
    for place in places:
        _attributes(tree, place)[name] = value


def _without(document: Document, dropped: set[str]) -> bytes:
    """The document of removals without those of the ``dropped`` names."""
    for path in dropped:
        if "[*]" in path and path.split("[*]")[0] not in dropped:
            raise PatchError("an element inside a sequence is removed with its sequence or not at all")
    tree = copy.deepcopy(document.tree)
    _remove(tree, [entry for entry in document.entries if f"{entry.place.level}.{entry.name}" in dropped])
    return _written(tree)


def _attributes(tree: dict[str, object], place: Place) -> dict[str, object]:
    if place.level in ("Patient", "Study"):
        tree.setdefault(place.level, {})
    node = place.node(tree)
    if node is None:
        raise PatchError("the update names no such place")
    attributes = node.setdefault("DICOM", {})
    assert isinstance(attributes, dict)  # INVARIANT: the document was read
    return attributes


def _remove(tree: dict[str, object], entries: Sequence[Entry]) -> None:
    """Take the entries out, and every node that then says nothing.

    INVARIANT: an instance node never becomes empty: ``{}`` would remove the instance.
    """
    for entry in entries:
        node = entry.place.node(tree)
        assert node is not None  # INVARIANT: the entry was read from this tree
        for part in ("DICOM", "DICOMVRs"):
            fields = node.get(part)
            if isinstance(fields, dict):
                fields.pop(entry.key, None)
        _prune(tree, entry.place)


def _prune(tree: dict[str, object], place: Place) -> None:
    steps = ["Patient" if place.level == "Patient" else "Study"]
    if place.series is not None:
        steps += ["Series", place.series]
    if place.instance is not None:
        steps += ["Instances", place.instance]
    nodes: list[dict[str, object]] = [tree]
    for step in steps:
        child = nodes[-1].get(step)
        if not isinstance(child, dict):
            break
        nodes.append(child)
    for parent, step, node in reversed(list(zip(nodes, steps, nodes[1:], strict=False))):
        for part in ("DICOM", "DICOMVRs"):
            if node.get(part) == {}:
                del node[part]
        if node:
            break
        del parent[step]


def _written(tree: dict[str, object]) -> bytes:
    if not {"Patient", "Study"} & set(tree):
        raise PatchError("the update document becomes empty")
    return write_json(tree)


def _schema_version(sent: Updates) -> object:
    return sent.removable.tree.get("SchemaVersion", 1.1) if sent.removable is not None else 1.1


def _read(params: Mapping[str, object]) -> Updates:
    checked = OPERATIONS["UpdateImageSetMetadata"].parameters.read(params, "")
    return read_updates(checked["updateImageSetMetadataUpdates"])


def _verify(operation: str, result: Mapping[str, object], effective: Mapping[str, object]) -> None:
    """INVARIANT: what is sent reads as what was decided."""
    read = request_of(operation, result)
    if isinstance(read, Refusal):
        raise PatchError(read.reason)
    for name in FLAGS:
        if read.request.get(name) != effective.get(name):
            raise PatchError(f"`request.{name}` cannot be rewritten so")
    if "updates" not in read.request:
        return
    if not same_values(_wanted(read.request), _wanted(effective)):
        raise PatchError("the rewritten `request.updates` do not read back")
    expected = _names(effective.get("removed"))
    if not _names(read.request["removed"]) <= expected or any("[*]" not in path for path in expected - _names(read.request["removed"])):
        raise PatchError("the rewritten `request.removed` does not read back")


def same_values(one: Mapping[str, Mapping[str, object]], other: Mapping[str, Mapping[str, object]]) -> bool:
    """Whether both set the same; one value, alone or for each of several places, is the same."""
    if one.keys() != other.keys():
        return False
    return all(one[level].keys() == other[level].keys() and all(_once(one[level][name]) == _once(other[level][name]) for name in one[level]) for level in one)


def _once(value: object) -> object:
    if isinstance(value, list) and value and all(item == value[0] for item in value):
        return value[0]
    return value


def wire(value: object) -> object:
    """A value of a rewrite as an update document has it (PS3.5 §6.2)."""
    match value:
        case Mapping():
            return {str(name): wire(item) for name, item in value.items()}
        case list() | tuple():
            return [wire(item) for item in value]
        case datetime():
            return value.strftime("%Y%m%d%H%M%S") + (f".{value.microsecond:06}" if value.microsecond else "") + value.strftime("%z")
        case date():
            return value.strftime("%Y%m%d")
        case time():
            return value.strftime("%H%M%S") + (f".{value.microsecond:06}" if value.microsecond else "")
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case Partial():
            return value.text
        case bool():
            raise PatchError("an attribute of an image has no boolean value")
        case str() | int() | float():
            return value
    raise PatchError("a value of a rewrite cannot be written into an update document")
