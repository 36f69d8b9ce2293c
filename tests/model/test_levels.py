from pydicom.datadict import tag_for_keyword

from hirules.model.levels import PATIENT, SERIES, STUDY, level_of


def test_the_table_has_the_documented_sizes_and_no_overlap() -> None:
    assert (len(PATIENT), len(STUDY), len(SERIES)) == (46, 50, 44)
    assert len(PATIENT | STUDY | SERIES) == 140


def test_every_name_is_a_keyword() -> None:
    assert [name for name in PATIENT | STUDY | SERIES if tag_for_keyword(name) is None] == []


def test_the_surprises() -> None:
    assert {level_of(name) for name in ("PatientAge", "PatientSize", "PatientWeight")} == {"Study"}
    assert {level_of(name) for name in ("Manufacturer", "InstitutionName", "OperatorsName", "FrameOfReferenceUID")} == {"Series"}
    assert level_of("SOPInstanceUID") == "Instance"
    assert level_of("OtherPatientIDs") == "Instance"  # retired: not in AWS's list
