"""The level of each attribute in a HealthImaging update document: patient, study, series, else instance.

Source: AWS HealthImaging Developer Guide, "Metadata normalization", which lists the elements by tag
(PS3.6 2022b): 46 of the patient, 50 of the study, 44 of the series. Every other element, and every
private one, belongs to the instance. Not what one might expect: PatientAge, PatientSize and
PatientWeight are of the study; Manufacturer, InstitutionName and FrameOfReferenceUID of the series.
"""

from __future__ import annotations

PATIENT = frozenset(
    {
        "PatientName", "PatientID", "IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID", "PatientBirthDate",
        "PatientBirthDateInAlternativeCalendar", "PatientDeathDateInAlternativeCalendar", "PatientAlternativeCalendar", "PatientSex",
        "ReferencedPatientPhotoSequence", "QualityControlSubject", "ReferencedPatientSequence", "PatientBirthTime", "OtherPatientIDsSequence",
        "OtherPatientNames", "EthnicGroup", "PatientComments", "PatientSpeciesDescription", "PatientSpeciesCodeSequence",
        "PatientBreedDescription", "PatientBreedCodeSequence", "BreedRegistrationSequence", "StrainDescription", "StrainNomenclature",
        "StrainCodeSequence", "StrainAdditionalInformation", "StrainStockSequence", "GeneticModificationsSequence", "ResponsiblePerson",
        "ResponsiblePersonRole", "ResponsibleOrganization", "PatientIdentityRemoved", "DeidentificationMethod",
        "DeidentificationMethodCodeSequence", "SourcePatientGroupIdentificationSequence", "GroupOfPatientsIdentificationSequence",
        "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName",
        "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "ClinicalTrialProtocolEthicsCommitteeName",
        "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
    }
)  # fmt: skip
STUDY = frozenset(
    {
        "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence",
        "ConsultingPhysicianName", "ConsultingPhysicianIdentificationSequence", "StudyID", "AccessionNumber", "IssuerOfAccessionNumberSequence",
        "StudyDescription", "PhysiciansOfRecord", "PhysiciansOfRecordIdentificationSequence", "NameOfPhysiciansReadingStudy",
        "PhysiciansReadingStudyIdentificationSequence", "RequestingService", "RequestingServiceCodeSequence", "ReferencedStudySequence",
        "ProcedureCodeSequence", "ReasonForPerformedProcedureCodeSequence", "AdmittingDiagnosesDescription", "AdmittingDiagnosesCodeSequence",
        "PatientAge", "PatientSize", "PatientWeight", "PatientBodyMassIndex", "MeasuredAPDimension", "MeasuredLateralDimension",
        "PatientSizeCodeSequence", "MedicalAlerts", "Allergies", "SmokingStatus", "PregnancyStatus", "LastMenstrualDate", "PatientState",
        "Occupation", "AdditionalPatientHistory", "AdmissionID", "IssuerOfAdmissionIDSequence", "ReasonForVisit", "ReasonForVisitCodeSequence",
        "ServiceEpisodeID", "IssuerOfServiceEpisodeIDSequence", "ServiceEpisodeDescription", "PatientSexNeutered", "ClinicalTrialTimePointID",
        "ClinicalTrialTimePointDescription", "LongitudinalTemporalOffsetFromEvent", "LongitudinalTemporalEventType",
        "ConsentForClinicalTrialUseSequence",
    }
)  # fmt: skip
SERIES = frozenset(
    {
        "Modality", "SeriesInstanceUID", "SeriesNumber", "Laterality", "SeriesDate", "SeriesTime", "PerformingPhysicianName",
        "PerformingPhysicianIdentificationSequence", "ProtocolName", "SeriesDescription", "SeriesDescriptionCodeSequence", "OperatorsName",
        "OperatorIdentificationSequence", "ReferencedPerformedProcedureStepSequence", "RelatedSeriesSequence", "BodyPartExamined",
        "PatientPosition", "SmallestPixelValueInSeries", "LargestPixelValueInSeries", "RequestAttributesSequence", "AnatomicalOrientationType",
        "TreatmentSessionUID", "ClinicalTrialCoordinatingCenterName", "ClinicalTrialSeriesID", "ClinicalTrialSeriesDescription", "Manufacturer",
        "InstitutionName", "InstitutionAddress", "StationName", "InstitutionalDepartmentName", "InstitutionalDepartmentTypeCodeSequence",
        "ManufacturerModelName", "ManufacturerDeviceClassUID", "DeviceSerialNumber", "SoftwareVersions", "GantryID", "UDISequence", "DeviceUID",
        "SpatialResolution", "DateOfLastCalibration", "TimeOfLastCalibration", "PixelPaddingValue", "FrameOfReferenceUID",
        "PositionReferenceIndicator",
    }
)  # fmt: skip

LEVELS = ("Patient", "Study", "Series", "Instance")


def level_of(keyword: str) -> str:
    """The level at which the service keeps ``keyword``."""
    if keyword in PATIENT:
        return "Patient"
    if keyword in STUDY:
        return "Study"
    return "Series" if keyword in SERIES else "Instance"
