"""The image sets of the stand-in: versions, states, and the rules of the service. No network.

What AWS documents is done; what it leaves open is marked "inferred". Source: AWS HealthImaging
Developer Guide, "Updating image set metadata", "DICOM metadata constraints", "Copying an image set".
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom import Dataset
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.multival import MultiValue

from hirules.healthimaging.document import Document, DocumentError, Entry
from hirules.healthimaging.translate import Updates
from hirules.model.levels import level_of

FORCED = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "StudyID"})
IDENTITY = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"})
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})

Tree = dict[str, Any]


class ServiceError(Exception):
    """An error of the service, by its API name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def conflict(message: str) -> ServiceError:
    """409."""
    return ServiceError("ConflictException", message)


def invalid(message: str) -> ServiceError:
    """400."""
    return ServiceError("ValidationException", message)


def missing() -> ServiceError:
    """404."""
    return ServiceError("ResourceNotFoundException", "The image set was not found")


@dataclass
class Version:
    """One version. ``ready``: when the work on it ends; before, the image set is locked."""

    number: int
    metadata: Tree
    busy: str
    done: str
    ready: float
    created: float
    updated: float
    forced: bool | None = None
    message: str | None = None


@dataclass
class ImageSet:
    """One image set with its history, the newest version last."""

    id: str
    primary: bool
    versions: list[Version]
    frames: dict[str, bytes] = field(default_factory=dict)
    deleted: float | None = None


class Store:
    """The image sets of one data store. Not thread safe: its caller locks."""

    def __init__(self, datastore: str, delay: float = 0.0, clock: Callable[[], float] = time.time) -> None:
        self.datastore = datastore
        self.delay = delay
        self._clock = clock
        self._sets: dict[str, ImageSet] = {}
        self._ids = itertools.count(1)

    # -- reading -----------------------------------------------------------------------------------

    def all(self) -> list[ImageSet]:
        """Every image set that is not deleted, in the order of their making."""
        return [image_set for image_set in self._sets.values() if image_set.deleted is None]

    def get(self, image_set: str) -> ImageSet:
        """The image set, deleted or not."""
        if image_set not in self._sets:
            raise missing()
        return self._sets[image_set]

    def version(self, image_set: ImageSet, number: str | None) -> Version:
        """The version, by default the newest."""
        if number is None:
            return image_set.versions[-1]
        for version in image_set.versions:
            if str(version.number) == number:
                return version
        raise missing()

    def properties(self, image_set: ImageSet, version: Version) -> Tree:
        """What GetImageSet answers about a version."""
        state, workflow = self.state(image_set, version)
        found: Tree = {
            "imageSetId": image_set.id,
            "versionId": str(version.number),
            "imageSetState": state,
            "imageSetWorkflowStatus": workflow,
            "createdAt": version.created,
            "updatedAt": version.updated,
            "isPrimary": image_set.primary,
        }
        if image_set.deleted is not None:
            found["deletedAt"] = image_set.deleted
        if version.message is not None:
            found["message"] = version.message
        if version.forced is not None:
            found["overrides"] = {"forced": version.forced}
        return found

    def state(self, image_set: ImageSet, version: Version) -> tuple[str, str]:
        """State and workflow status."""
        if self._clock() < version.ready:
            return "LOCKED", version.busy
        if image_set.deleted is not None:
            return "DELETED", "DELETED"
        return "ACTIVE", version.done

    # -- changing ----------------------------------------------------------------------------------

    def add(self, metadata: Tree, frames: Mapping[str, bytes], primary: bool) -> ImageSet:
        """A new image set, as an import makes it."""
        digest = hashlib.sha256(f"{self.datastore}/{next(self._ids)}".encode()).hexdigest()[:32]
        now = self._clock()
        image_set = ImageSet(digest, primary, [Version(1, metadata, "CREATED", "CREATED", now, now, now)], dict(frames))
        self._sets[digest] = image_set
        return image_set

    def settle(self) -> None:
        """End all work that is under way."""
        for image_set in self._sets.values():
            image_set.versions[-1].ready = 0.0

    def writable(self, image_set: str, latest: str) -> ImageSet:
        """The image set, if it may be written at this version."""
        found = self._unlocked(image_set)
        if str(found.versions[-1].number) != latest:
            raise conflict("The version is not the latest version of the image set")
        return found

    def _unlocked(self, image_set: str) -> ImageSet:
        found = self.get(image_set)
        if found.deleted is not None:
            raise missing()
        if self.state(found, found.versions[-1])[0] == "LOCKED":
            raise conflict("The image set is locked")
        return found

    def update(self, image_set: str, latest: str, updates: Updates, force: bool, study: bool) -> Version:
        """UpdateImageSetMetadata."""
        asked = self.writable(image_set, latest)
        if study and updates.kind == "revert":
            raise invalid("includeStudyImageSets cannot be used with revertToVersionId")
        sets = [asked] + [other for other in self.all() if study and other is not asked and other.primary and _study(other) == _study(asked)]
        for each in sets:
            if updates.updatable is not None and not force:
                _needs_no_force(updates.updatable)
            if each.primary:
                _suits_primary(updates)
            if self.state(each, each.versions[-1])[0] == "LOCKED":
                raise conflict("An image set of the study is locked")
        for each in sets:
            self._write(each, updates, force)
        return asked.versions[-1]

    def _write(self, image_set: ImageSet, updates: Updates, force: bool) -> None:
        now = self._clock()
        before = image_set.versions[-1]
        done, message = "UPDATED", None
        if updates.revert_to is not None:
            metadata = copy.deepcopy(self.version(image_set, updates.revert_to).metadata)
        else:
            metadata = copy.deepcopy(before.metadata)
            try:
                _apply(metadata, updates)
            except DocumentError as error:
                metadata, done, message = copy.deepcopy(before.metadata), "UPDATE_FAILED", str(error)
        version = Version(before.number + 1, metadata, "UPDATING", done, now + self.delay, before.created, now, force or None, message)
        image_set.versions.append(version)

    def copy(self, source: str, latest: str, destination: tuple[str, str] | None, force: bool, promote: bool) -> tuple[ImageSet, ImageSet]:
        """CopyImageSet, of all instances."""
        origin = self.writable(source, latest)
        now = self._clock()
        content = copy.deepcopy(origin.versions[-1].metadata)
        if destination is None:
            made = self.add(content, origin.frames, primary=promote)
            made.versions[-1].busy, made.versions[-1].done, made.versions[-1].ready = "COPYING", "COPIED", now + self.delay
            return origin, made
        target = self.writable(*destination)
        before = target.versions[-1]
        metadata = copy.deepcopy(before.metadata)
        if metadata.get("Patient") != content.get("Patient") and not force:
            raise invalid("The image sets have inconsistent metadata")
        for uid, series in content["Study"].get("Series", {}).items():
            kept = metadata["Study"].setdefault("Series", {}).setdefault(uid, {**series, "Instances": {}})
            kept["Instances"].update(series.get("Instances", {}))
        target.frames.update(origin.frames)
        target.versions.append(Version(before.number + 1, metadata, "COPYING", "COPIED", now + self.delay, before.created, now, force or None))
        return origin, target

    def delete(self, image_set: str) -> ImageSet:
        """DeleteImageSet."""
        found = self._unlocked(image_set)
        version, now = found.versions[-1], self._clock()
        found.deleted, version.busy, version.ready = now, "DELETING", now + self.delay
        return found


def _study(image_set: ImageSet) -> object:
    return image_set.versions[-1].metadata.get("Study", {}).get("DICOM", {}).get("StudyInstanceUID")


def _needs_no_force(document: Document) -> None:
    for entry in document.entries:
        tag = tag_for_keyword(entry.name)
        if tag is None:
            raise invalid("A private element cannot be updated without force")
        if entry.name in FORCED or dictionary_VR(tag) == "SQ" or dictionary_VM(tag) != "1":
            raise invalid(f"{entry.name} cannot be updated without force")


def _suits_primary(updates: Updates) -> None:
    for document in (updates.updatable, updates.removable):
        for entry in document.entries if document is not None else ():
            if entry.place.level in ("Patient", "Series") or entry.name in IDENTITY:
                raise invalid(f"{entry.name} of a primary image set cannot be updated")


def _apply(metadata: Tree, updates: Updates) -> None:
    """Raises :class:`DocumentError` where the image set has no such series or instance (inferred: a failed update)."""
    for entry in updates.updatable.entries if updates.updatable is not None else ():
        node = _node(metadata, entry)
        node.setdefault("DICOM", {})[entry.key] = copy.deepcopy(entry.value)
        sent = entry.place.node(updates.updatable.tree) if updates.updatable is not None else None
        vrs = (sent or {}).get("DICOMVRs")
        if isinstance(vrs, dict) and entry.key in vrs:
            node.setdefault("DICOMVRs", {})[entry.key] = vrs[entry.key]
    if updates.removable is None:
        return
    for entry in updates.removable.entries:
        node = _node(metadata, entry)
        node.get("DICOM", {}).pop(entry.key, None)
        node.get("DICOMVRs", {}).pop(entry.key, None)
    for place in updates.removable.removed_instances:
        instances = metadata.get("Study", {}).get("Series", {}).get(place.series, {}).get("Instances", {})
        if instances.pop(place.instance, None) is None:
            raise DocumentError("The image set has no such instance")
        if not instances:
            del metadata["Study"]["Series"][place.series]


def _node(metadata: Tree, entry: Entry) -> Tree:
    if entry.place.level in ("Patient", "Study"):
        metadata.setdefault(entry.place.level, {})
    node = entry.place.node(metadata)
    if node is None:
        raise DocumentError("The image set has no such series or instance")
    return node


# -- import ----------------------------------------------------------------------------------------


def metadata_of(datastore: str, data_sets: list[Dataset]) -> tuple[Tree, dict[str, bytes]]:
    """The metadata document of the instances of one series, and their pixel data by frame id."""
    study: Tree = {"DICOM": {}, "Series": {}}
    tree: Tree = {"SchemaVersion": "1.1", "DatastoreID": datastore, "Patient": {"DICOM": {}}, "Study": study}
    frames: dict[str, bytes] = {}
    for data_set in data_sets:
        series = study["Series"].setdefault(str(data_set.SeriesInstanceUID), {"DICOM": {}, "Instances": {}})
        instance: Tree = {"DICOM": {}, "DICOMVRs": {}, "ImageFrames": []}
        series["Instances"][str(data_set.SOPInstanceUID)] = instance
        nodes = {"Patient": tree["Patient"], "Study": study, "Series": series, "Instance": instance}
        for key, value, vr in _elements(data_set):
            node = nodes[level_of(key)]
            node["DICOM"][key] = value
            if tag_for_keyword(key) is None:
                node["DICOMVRs"][key] = vr
        if "PixelData" in data_set:
            frame = hashlib.sha256(str(data_set.SOPInstanceUID).encode()).hexdigest()[:32]
            frames[frame] = bytes(data_set.PixelData)
            instance["ImageFrames"].append({"ID": frame, "FrameSizeInBytes": len(frames[frame])})
    return tree, frames


def _elements(data_set: Dataset) -> Iterator[tuple[str, object, str]]:
    for element in data_set:
        if element.VR in _BINARY or not (element.keyword or element.tag.is_private):
            continue
        key = element.keyword or f"{element.tag:08X}"
        if element.VR == "SQ":
            yield key, [{name: value for name, value, _ in _elements(item)} for item in element.value], "SQ"
        elif isinstance(element.value, MultiValue):
            yield key, [_plain(value) for value in element.value], element.VR
        else:
            yield key, _plain(element.value), element.VR


def _plain(value: object) -> object:
    if value is None:
        return ""
    return value if isinstance(value, int) and type(value) is int else str(value)
