"""SearchImageSets of the stand-in: filters by attribute, sorting."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hirules.healthimaging.standin_store import ImageSet, Store, Tree, invalid

_TAGS: Mapping[str, tuple[str, str]] = {
    "DICOMPatientId": ("Patient", "PatientID"),
    "DICOMPatientName": ("Patient", "PatientName"),
    "DICOMPatientBirthDate": ("Patient", "PatientBirthDate"),
    "DICOMPatientSex": ("Patient", "PatientSex"),
    "DICOMStudyInstanceUID": ("Study", "StudyInstanceUID"),
    "DICOMStudyId": ("Study", "StudyID"),
    "DICOMStudyDescription": ("Study", "StudyDescription"),
    "DICOMAccessionNumber": ("Study", "AccessionNumber"),
    "DICOMStudyDate": ("Study", "StudyDate"),
    "DICOMStudyTime": ("Study", "StudyTime"),
}


def search(store: Store, criteria: Mapping[str, Any]) -> list[Tree]:
    """The summaries of the image sets that every filter matches."""
    found = [image_set for image_set in store.all() if all(_matches(image_set, each) for each in criteria.get("filters", ()))]
    sort = criteria.get("sort")
    if sort is not None:
        found.sort(key=_sort_key(sort["sortField"]), reverse=sort["sortOrder"] == "DESC")
    return [_summary(image_set) for image_set in found]


def _matches(image_set: ImageSet, each: Mapping[str, Any]) -> bool:
    values = each["values"]
    name = next(iter(values[0]))
    if any(name not in value for value in values):
        raise invalid("The values of a filter are of one attribute")
    if each["operator"] == "EQUAL":
        if len(values) != 1:
            raise invalid("EQUAL takes one value")
        return _comparable(values[0][name]) in _values(image_set, name)
    if len(values) != 2:
        raise invalid("BETWEEN takes two values")
    first, last = (_comparable(value[name]) for value in values)
    return any(first <= value <= last for value in _values(image_set, name))


def _comparable(value: Any) -> Any:
    return value["DICOMStudyDate"] + value.get("DICOMStudyTime", "") if isinstance(value, Mapping) else value


def _values(image_set: ImageSet, name: str) -> list[Any]:
    version = image_set.versions[-1]
    if name == "isPrimary":
        return [image_set.primary]
    if name == "createdAt":
        return [version.created]
    if name == "updatedAt":
        return [version.updated]
    if name == "DICOMSeriesInstanceUID":
        return list(version.metadata["Study"].get("Series", {}))
    if name == "DICOMStudyDateAndTime":
        study = version.metadata["Study"]["DICOM"]
        return [study.get("StudyDate", "")]
    level, keyword = _TAGS[name]
    return [version.metadata.get(level, {}).get("DICOM", {}).get(keyword, "")]


def _sort_key(field: str) -> Callable[[ImageSet], Any]:
    return lambda image_set: _values(image_set, field)[0]


def _summary(image_set: ImageSet) -> Tree:
    version = image_set.versions[-1]
    tags: Tree = {}
    for name, (level, keyword) in _TAGS.items():
        value = version.metadata.get(level, {}).get("DICOM", {}).get(keyword)
        if isinstance(value, str):
            tags[name] = value
    series = version.metadata["Study"].get("Series", {})
    if series:
        tags["DICOMSeriesInstanceUID"] = next(iter(series))
        tags["DICOMNumberOfStudyRelatedSeries"] = len(series)
    return {
        "imageSetId": image_set.id,
        "version": version.number,
        "createdAt": version.created,
        "updatedAt": version.updated,
        "storageTier": "FREQUENT_ACCESS",
        "isPrimary": image_set.primary,
        "DICOMTags": tags,
    }
