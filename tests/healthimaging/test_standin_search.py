from typing import Any

import pytest

from hirules.healthimaging.standin_search import search
from hirules.healthimaging.standin_store import ServiceError, Store


def store() -> Store:
    clock = iter(range(1000))
    made = Store("0" * 32, clock=lambda: float(next(clock)))
    for number in range(3):
        study = {"DICOM": {"StudyInstanceUID": f"1.{number}", "StudyDate": f"2020010{number + 1}"}, "Series": {f"1.{number}.1": {}}}
        made.add({"Patient": {"DICOM": {"PatientID": f"P{number}"}}, "Study": study}, {}, primary=number > 0)
    return made


def patients(*filters: Any, **sort: Any) -> list[str]:
    return [each["DICOMTags"]["DICOMPatientId"] for each in search(store(), {"filters": filters, **sort})]


def equal(**value: Any) -> dict[str, Any]:
    return {"operator": "EQUAL", "values": [value]}


def between(name: str, first: Any, last: Any) -> dict[str, Any]:
    return {"operator": "BETWEEN", "values": [{name: first}, {name: last}]}


def test_filters() -> None:
    assert patients() == ["P0", "P1", "P2"]
    assert patients(equal(DICOMPatientId="P1")) == ["P1"]
    assert patients(equal(DICOMSeriesInstanceUID="1.2.1")) == ["P2"]
    assert patients(equal(isPrimary=True), equal(DICOMStudyInstanceUID="1.2")) == ["P2"]
    assert patients(between("DICOMStudyDateAndTime", {"DICOMStudyDate": "20200102"}, {"DICOMStudyDate": "20200103", "DICOMStudyTime": "0"})) == ["P1", "P2"]
    assert patients(between("createdAt", 0, 1)) == ["P0", "P1"]


def test_sorting() -> None:
    assert patients(sort={"sortField": "createdAt", "sortOrder": "DESC"}) == ["P2", "P1", "P0"]
    assert patients(sort={"sortField": "DICOMStudyDateAndTime", "sortOrder": "ASC"}) == ["P0", "P1", "P2"]


def test_filters_that_the_service_refuses() -> None:
    with pytest.raises(ServiceError):
        patients({"operator": "EQUAL", "values": [{"DICOMPatientId": "1"}, {"DICOMPatientId": "2"}]})
    with pytest.raises(ServiceError):
        patients({"operator": "BETWEEN", "values": [{"createdAt": 1}]})
    with pytest.raises(ServiceError):
        patients({"operator": "BETWEEN", "values": [{"createdAt": 1}, {"updatedAt": 2}]})
