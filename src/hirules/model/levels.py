"""The level of each attribute in a HealthImaging update document: patient, study, series, else instance."""

from __future__ import annotations

PATIENT = frozenset(
    {
        "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientBirthTime", "PatientSex", "OtherPatientIDs", "OtherPatientNames",
        "EthnicGroup", "PatientComments", "ResponsiblePerson", "NumberOfPatientRelatedStudies", "NumberOfPatientRelatedSeries",
        "NumberOfPatientRelatedInstances", "PatientIdentityRemoved", "DeidentificationMethod", "QualityControlSubject",
    }
)  # fmt: skip
STUDY = frozenset(
    {
        "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "StudyDescription", "ReferringPhysicianName", "PatientAge",
        "PatientSize", "PatientWeight", "AdditionalPatientHistory", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
        "Occupation", "AdmissionID", "StudyStatusID",
    }
)  # fmt: skip
SERIES = frozenset({"SeriesInstanceUID", "Modality", "SeriesNumber", "SeriesDescription", "BodyPartExamined", "Manufacturer", "InstitutionName"})

LEVELS = ("Patient", "Study", "Series", "Instance")


def level_of(keyword: str) -> str:
    """The level at which the service keeps ``keyword``."""
    if keyword in PATIENT:
        return "Patient"
    if keyword in STUDY:
        return "Study"
    return "Series" if keyword in SERIES else "Instance"
