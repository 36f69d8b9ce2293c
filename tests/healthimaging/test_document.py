import json
from typing import Any

import pytest

from hirules.healthimaging.document import DocumentError, Place, read_document


def instance(attributes: Any, vrs: Any = None) -> dict[str, Any]:
    node = {"DICOM": attributes} if vrs is None else {"DICOM": attributes, "DICOMVRs": vrs}
    return {"Study": {"Series": {"1.2": {"Instances": {"1.2.3": node}}}}}


def read(tree: Any, removes: bool = False) -> Any:
    return read_document(json.dumps(tree).encode(), removes)


def test_reads_the_documented_example() -> None:
    document = read(
        {
            "SchemaVersion": 1.1,
            "Patient": {"DICOM": {"PatientName": "A^B"}},
            "Study": {
                "DICOM": {},
                "Series": {"1.2": {"DICOM": {}, "Instances": {"1.2.3": {"DICOM": {"001910F9": "97"}, "DICOMVRs": {"001910F9": "DS"}}}}},
            },
        }
    )
    assert [(entry.place, entry.name, entry.value) for entry in document.entries] == [
        (Place("Patient"), "PatientName", "A^B"),
        (Place("Instance", "1.2", "1.2.3"), "(0019,10F9)", "97"),
    ]


@pytest.mark.parametrize("version", ["1.1", 1.1, 2])
def test_the_schema_version_keeps_its_form(version: object) -> None:
    assert read({"SchemaVersion": version, "Patient": {"DICOM": {"PatientID": "1"}}}).tree["SchemaVersion"] == version


@pytest.mark.parametrize(
    ("tree", "why"),
    [
        ([], "no JSON object"),
        ({}, "names no attribute"),
        ({"SchemaVersion": 1.1, "Patient": {"DICOM": {}}}, "names no attribute"),
        ({"SchemaVersion": None, "Patient": {"DICOM": {"PatientID": "1"}}}, "SchemaVersion"),
        ({"SchemaVersion": True, "Patient": {"DICOM": {"PatientID": "1"}}}, "SchemaVersion"),
        ({"patient": {"DICOM": {"PatientID": "1"}}}, "does not have there"),
        ({"DatastoreID": "x"}, "never updatable"),
        ({"Patient": {"DICOM": {"PatientID": "1"}, "Series": {}}}, "does not have there"),
        ({"Patient": {"DICOM": []}}, "no object"),
        ({"Patient": {"DICOM": {"00100020": "1"}}}, "spelled by its tag"),
        ({"Patient": {"DICOM": {"0010,0020": "1"}}}, "neither a PS3.6 keyword"),
        ({"Patient": {"DICOM": {"patientID": "1"}}}, "other case"),
        ({"Patient": {"DICOM": {"PatientId": "1"}}}, "other case"),
        ({"Patient": {"DICOM": {"Nonsense": "1"}}}, "neither a PS3.6 keyword"),
        ({"Patient": {"DICOM": {"StudyDate": "20200101"}}}, "belongs to the level `Study`"),
        ({"Patient": {"DICOM": {"PatientAge": "030Y"}}}, "belongs to the level `Study`"),
        ({"Study": {"DICOM": {"Manufacturer": "x"}}}, "belongs to the level `Series`"),
        ({"Study": {"DICOM": {"Rows": 1}}}, "belongs to the level `Instance`"),
        ({"Patient": {"DICOM": {"00191001": "x"}, "DICOMVRs": {"00191001": "LO"}}}, "belongs to the level `Instance`"),
        ({"Patient": {"DICOM": {"PatientID": None}}}, "neither text nor number"),
        ({"Patient": {"DICOM": {"PatientID": True}}}, "neither text nor number"),
        ({"Patient": {"DICOM": {"PatientID": {"Value": ["1"]}}}}, "neither text nor number"),
        ({"Patient": {"DICOM": {"PatientID": ["1", ["2"]]}}}, "neither text nor number"),
        ({"Patient": {"DICOM": {"PatientID": "1\\2"}}}, "backslash"),
        ({"Study": {"DICOM": {"ProcedureCodeSequence": "x"}}}, "is a sequence"),
        ({"Study": {"DICOM": {"ProcedureCodeSequence": [{}]}}}, "is a sequence"),
        ({"Study": {"DICOM": {"ProcedureCodeSequence": [{"00080100": "x"}]}}}, "spelled by its tag"),
        ({"Study": {"DICOM": {"ProcedureCodeSequence": [{"PixelData": "x"}]}}}, "never updatable"),
        ({"Study": {"DICOM": {"ProcedureCodeSequence": [{"00191001": "x"}]}}}, "private element"),
        ({"Study": {"Series": {"not a uid": {"DICOM": {"Modality": "CT"}}}}}, "no UID"),
        (instance({"PixelData": "x"}), "never updatable"),
        (instance({"Width": 1}), "never updatable"),
        (instance({"TransferSyntaxUID": "1.2"}), "no element of a data set"),
        (instance({"CommandField": 1}), "no element of a data set"),
        (instance({"00191001": "x"}), "value representation of `00191001`"),
        (instance({"001910f9": "x"}, {"001910f9": "LO"}), "no private element"),
        (instance({"00191001": "x"}, {"00191001": "XX"}), "unknown value representation"),
        (instance({"00191001": "x"}, {"00191001": 5}), "unknown value representation"),
        (instance({"Rows": 1}, {"Rows": "US"}), "no private element"),
        (instance({"00191001": "x"}, {"00191001": "LO", "00191002": "LO"}), "no private element"),
        (instance({"00051001": "x"}, {"00051001": "LO"}), "no private element"),
        ({"Study": {"Series": {"1.2": {"Instances": {"1.2.3": {"DICOM": {"Rows": 1}, "ImageFrames": []}}}}}}, "does not have there"),
    ],
)
def test_refuses(tree: object, why: str) -> None:
    with pytest.raises(DocumentError, match=why):
        read(tree)


def test_sizes() -> None:
    with pytest.raises(DocumentError, match="0 bytes"):
        read_document(b"", removes=False)
    padding = '{"Patient":{"DICOM":{"PatientID":"%s"}}}'
    fits = (padding % ("1" * (30_000 - len(padding) + 2))).encode()
    assert len(fits) == 30_000
    assert len(read_document(fits, removes=False).entries) == 1
    with pytest.raises(DocumentError, match="30001 bytes"):
        read_document(fits + b" ", removes=False)


def test_duplicate_keys_are_refused() -> None:
    with pytest.raises(DocumentError, match="twice"):
        read_document(b'{"Patient": {"DICOM": {"PatientID": "1", "PatientID": "2"}}}', removes=False)


def test_an_empty_instance_is_removed() -> None:
    document = read({"Study": {"Series": {"1.2": {"Instances": {"1.2.3": {}}}}}}, removes=True)
    assert document.removed_instances == (Place("Instance", "1.2", "1.2.3"),)
    assert document.entries == ()


@pytest.mark.parametrize(
    "tree",
    [
        {"Study": {"Series": {"1.2": {}}}},
        {"Study": {"Series": {}, "DICOM": {"StudyID": ""}}},
        {"Study": {"Series": {"1.2": {"Instances": {}, "DICOM": {"Modality": ""}}}}},
        {"Study": {"Series": {"1.2": {"Instances": {"1.2.3": {"DICOM": {}}}}}}},
        {"Patient": {}, "Study": {"DICOM": {"StudyID": ""}}},
        {"Patient": {"DICOM": {}}, "Study": {"DICOM": {"StudyID": ""}}},
    ],
)
def test_what_removing_an_empty_node_means_is_not_known(tree: object) -> None:
    with pytest.raises(DocumentError, match="nothing in it"):
        read(tree, removes=True)


def test_a_removal_says_names_and_any_value() -> None:
    document = read({"Study": {"DICOM": {"StudyDescription": None, "ProcedureCodeSequence": [{"CodeValue": ""}], "RequestingServiceCodeSequence": []}}}, True)
    assert [path for entry in document.entries for path in entry.paths()] == [
        "Study.StudyDescription",
        "Study.ProcedureCodeSequence",
        "Study.ProcedureCodeSequence[*].CodeValue",
        "Study.RequestingServiceCodeSequence",
    ]


def test_messages_carry_no_value() -> None:
    with pytest.raises(DocumentError) as caught:
        read({"Patient": {"DICOM": {"PatientName": "Miller\\Anna"}}})
    assert "Miller" not in str(caught.value)
    with pytest.raises(DocumentError) as caught:
        read({"Patient": {"DICOM": {"Miller^Anna": "x"}}})
    assert "Miller" not in str(caught.value)
