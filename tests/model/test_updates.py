from hirules.model.updates import updated_paths


def test_every_level_and_every_depth() -> None:
    updates = {
        "Study": {"ProcedureCodeSequence": [{"CodeValue": "1"}, {"CodeMeaning": "m", "CodeValue": "2"}], "StudyDate": "20200101"},
        "Instance": {"(0019,1001)": "x"},
        "Patient": {"PatientName": None},
    }
    assert updated_paths(updates) == [
        "Instance.(0019,1001)",
        "Study.ProcedureCodeSequence",
        "Study.ProcedureCodeSequence[*].CodeMeaning",
        "Study.ProcedureCodeSequence[*].CodeValue",
        "Study.StudyDate",
    ]


def test_a_mapping_alone_is_one_item() -> None:
    updates = {"Study": {"ProcedureCodeSequence": {"CodeValue": "1"}}}
    assert updated_paths(updates) == ["Study.ProcedureCodeSequence", "Study.ProcedureCodeSequence[*].CodeValue"]


def test_nothing() -> None:
    assert updated_paths({}) == []
    assert updated_paths({"Patient": {}, "Study": None}) == []
