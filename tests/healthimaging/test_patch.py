import copy
import json
from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hirules.healthimaging.patch import PatchError, patched, same_values, wire
from hirules.healthimaging.translate import Refusal, request_of
from hirules.model.decision import Decision
from hirules.model.request import Request, replaced
from hirules.model.updates import updated_paths

STORE, SET = "0" * 32, "a" * 32


def update(updatable: Any = None, removable: Any = None, **more: Any) -> dict[str, Any]:
    blobs = {"updatableAttributes": updatable, "removableAttributes": removable}
    encoded = {name: json.dumps(blob).encode() for name, blob in blobs.items() if blob is not None}
    return {"datastoreId": STORE, "imageSetId": SET, "latestVersionId": "1", "updateImageSetMetadataUpdates": {"DICOMUpdates": encoded}, **more}


def rewritten(params: dict[str, Any], operation: str = "UpdateImageSetMetadata", **changes: Any) -> dict[str, Any]:
    request = request_of(operation, params)
    assert isinstance(request, Request), request
    effective = replaced(request, request={**request.request, **changes})
    return patched(params, Decision("allow", effective, rewritten={f"request.{name}": None for name in changes}))


def document(params: dict[str, Any], name: str = "updatableAttributes") -> Any:
    return json.loads(params["updateImageSetMetadataUpdates"]["DICOMUpdates"][name])


TWO_SERIES = {
    "SchemaVersion": "1.1",
    "Patient": {"DICOM": {"PatientName": "A^B", "PatientID": "1"}},
    "Study": {
        "DICOM": {"StudyDate": "20200101"},
        "Series": {
            "1.2": {"DICOM": {"Manufacturer": "A", "SoftwareVersions": ["1", "2"]}},
            "1.3": {
                "DICOM": {"Manufacturer": "B", "SoftwareVersions": "3"},
                "Instances": {"1.3.1": {"DICOM": {"Rows": 512, "00191001": "x"}, "DICOMVRs": {"00191001": "LO"}}},
            },
        },
    },
}  # fmt: skip


def values(**levels: Any) -> dict[str, Any]:
    base = {
        "Patient": {"PatientName": "A^B", "PatientID": "1"},
        "Study": {"StudyDate": "20200101"},
        "Series": {"Manufacturer": ["A", "B"], "SoftwareVersions": ["1", "2", "3"]},
        "Instance": {"Rows": 512, "(0019,1001)": "x"},
    }
    return {**base, **levels}


def test_the_reading_of_the_example() -> None:
    request = request_of("UpdateImageSetMetadata", update(TWO_SERIES))
    assert isinstance(request, Request)
    assert request.request["updates"] == values()


def test_an_unchanged_request_keeps_its_bytes() -> None:
    params = update(TWO_SERIES)
    request = request_of("UpdateImageSetMetadata", params)
    assert isinstance(request, Request)
    result = patched(params, Decision("allow", request))
    assert result == params
    assert result is not params


def test_flags() -> None:
    params = update(TWO_SERIES, force=True)
    result = rewritten(params, force=False, includeStudyImageSets=True)
    assert (result["force"], result["includeStudyImageSets"]) == (False, True)
    assert result["updateImageSetMetadataUpdates"] == params["updateImageSetMetadataUpdates"]
    # what was left out and is false stays out: an older botocore does not have the parameter
    assert "includeStudyImageSets" not in rewritten(params, force=False, includeStudyImageSets=False)


def test_a_copy_takes_no_other_source() -> None:
    params = {"datastoreId": STORE, "sourceImageSetId": SET, "copyImageSetInformation": {"sourceImageSet": {"latestVersionId": "1"}}, "force": True}
    assert rewritten(params, "CopyImageSet", force=False)["force"] is False
    with pytest.raises(PatchError, match="sourceImageSetId"):
        rewritten(params, "CopyImageSet", sourceImageSetId="b" * 32)


@pytest.mark.parametrize("name", ["latestVersionId", "imageSetId", "datastoreId", "revertToVersionId", "removed_instances"])
def test_nothing_else_is_written(name: str) -> None:
    with pytest.raises(PatchError, match=name):
        rewritten(update(TWO_SERIES), **{name: "2"})


def test_values_are_set_removed_and_added() -> None:
    params = update(TWO_SERIES)
    before = copy.deepcopy(params)
    wanted = values(Patient={"PatientName": "ANON", "PatientSex": "O"}, Study={"StudyDate": date(2021, 2, 3)})
    tree = document(rewritten(params, updates=wanted))
    assert tree["SchemaVersion"] == "1.1"
    assert tree["Patient"] == {"DICOM": {"PatientName": "ANON", "PatientSex": "O"}}
    assert tree["Study"]["DICOM"] == {"StudyDate": "20210203"}
    assert tree["Study"]["Series"] == TWO_SERIES["Study"]["Series"]  # type: ignore[index]
    assert params == before


def test_a_value_for_several_series_goes_to_each_or_one_by_one() -> None:
    def series(value: object, name: str = "Manufacturer") -> list[Any]:
        wanted = values()
        wanted["Series"] = {**wanted["Series"], name: value}
        return [node["DICOM"][name] for node in document(rewritten(update(TWO_SERIES), updates=wanted))["Study"]["Series"].values()]

    assert series("X") == ["X", "X"]
    assert series(["X"]) == ["X", "X"]
    assert series(["X", "Y"]) == ["X", "Y"]
    assert series(["X", "Y", "Z"], "SoftwareVersions") == [["X", "Y"], "Z"]
    with pytest.raises(PatchError, match="several values for several places"):
        series(["X", "Y", "Z"])


def test_a_new_attribute_goes_to_every_series_that_the_update_names() -> None:
    wanted = values(Series={**values()["Series"], "StationName": "S"}, Instance={**values()["Instance"], "Columns": Decimal(256)})
    tree = document(rewritten(update(TWO_SERIES), updates=wanted))["Study"]["Series"]
    assert [node["DICOM"]["StationName"] for node in tree.values()] == ["S", "S"]
    assert tree["1.3"]["Instances"]["1.3.1"]["DICOM"]["Columns"] == 256
    with pytest.raises(PatchError, match="names no place"):
        rewritten(update({"Patient": {"DICOM": {"PatientID": "1"}}}), updates={"Patient": {"PatientID": "1"}, "Series": {"StationName": "S"}})


def test_what_becomes_empty_goes_with_its_series() -> None:
    result = rewritten(update(TWO_SERIES), updates={"Patient": {"PatientName": "A^B"}})
    assert document(result) == {"SchemaVersion": "1.1", "Patient": {"DICOM": {"PatientName": "A^B"}}}
    with pytest.raises(PatchError, match="becomes empty"):
        rewritten(update(TWO_SERIES), updates={})


def test_levels_and_types_are_checked_again() -> None:
    with pytest.raises(PatchError, match="belongs to the level"):
        rewritten(update(TWO_SERIES), updates=values(Patient={"PatientID": "1", "StudyID": "2"}))
    with pytest.raises(PatchError, match="never updatable"):
        rewritten(update(TWO_SERIES), updates=values(Instance={"PixelData": "x"}))
    with pytest.raises(PatchError, match="private"):
        rewritten(update(TWO_SERIES), updates=values(Instance={**values()["Instance"], "(0019,1002)": "x"}))
    with pytest.raises(PatchError, match="cannot be written"):
        rewritten(update(TWO_SERIES), updates=values(Patient={"PatientID": b"1"}))


def test_a_revert_sets_nothing() -> None:
    params = {**update(), "updateImageSetMetadataUpdates": {"revertToVersionId": "1"}}
    with pytest.raises(PatchError, match="revert"):
        rewritten(params, updates={"Patient": {"PatientName": "X"}})


REMOVAL = {
    "SchemaVersion": 1.1,
    "Patient": {"DICOM": {"PatientName": ""}},
    "Study": {
        "DICOM": {"ProcedureCodeSequence": [{"CodeValue": "", "CodeMeaning": ""}]},
        "Series": {"1.2": {"Instances": {"1.2.1": {"DICOM": {"Rows": 1}}, "1.2.2": {}}}, "1.3": {"Instances": {"1.3.1": {"DICOM": {"Rows": 1}}}}},
    },
}
_CODES = "Study.ProcedureCodeSequence"
REMOVED = ["Instance.Rows", "Patient.PatientName", _CODES, f"{_CODES}[*].CodeMeaning", f"{_CODES}[*].CodeValue"]


def test_a_removal_that_is_dropped_never_removes_the_instance() -> None:
    """An instance node that is left empty would remove the instance itself."""
    result = rewritten(update(removable=REMOVAL), removed=[name for name in REMOVED if name != "Instance.Rows"])
    assert document(result, "removableAttributes")["Study"]["Series"] == {"1.2": {"Instances": {"1.2.2": {}}}}
    read = request_of("UpdateImageSetMetadata", result)
    assert isinstance(read, Request)
    assert read.request["removed_instances"] == ["1.2.2"]


def test_sequences_are_dropped_as_a_whole() -> None:
    result = rewritten(update(removable=REMOVAL), removed=[name for name in REMOVED if name != "Study.ProcedureCodeSequence"])
    assert "DICOM" not in document(result, "removableAttributes")["Study"]
    with pytest.raises(PatchError, match="with its sequence or not at all"):
        rewritten(update(removable=REMOVAL), removed=[name for name in REMOVED if "CodeMeaning" not in name])


def test_nothing_is_added_to_a_removal() -> None:
    with pytest.raises(PatchError, match="cannot add"):
        rewritten(update(removable=REMOVAL), removed=[*REMOVED, "Patient.PatientID"])


def test_a_removal_that_becomes_empty_is_refused() -> None:
    with pytest.raises(PatchError, match="becomes empty"):
        rewritten(update(removable={"Patient": {"DICOM": {"PatientName": ""}}}), removed=[])
    # also beside an update that stays
    with pytest.raises(PatchError, match="becomes empty"):
        rewritten(update({"Patient": {"DICOM": {"PatientID": "1"}}}, {"Patient": {"DICOM": {"PatientName": ""}}}), removed=[])


def test_a_removal_gets_a_value_to_set_beside_it() -> None:
    result = rewritten(update(removable=REMOVAL), updates={"Patient": {"PatientID": "ANON"}})
    assert document(result) == {"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientID": "ANON"}}}
    assert document(result, "removableAttributes") == REMOVAL


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (date(2020, 1, 2), "20200102"),
        (time(3, 4, 5), "030405"),
        (time(3, 4, 5, 60), "030405.000060"),
        (Decimal("1.50"), 1.5),
        (Decimal(3), 3),
        ((1, "a"), [1, "a"]),
    ],
)
def test_values_of_policies_as_json(value: object, written: object) -> None:
    assert wire(value) == written


# -- the law ---------------------------------------------------------------------------------------

NAMES = {
    "Patient": ["PatientName", "PatientID", "PatientComments"],
    "Study": ["StudyDescription", "AccessionNumber", "PatientAge"],
    "Series": ["Manufacturer", "StationName", "Modality"],
    "Instance": ["ImageComments", "Rows", "InstanceNumber"],
}
texts = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\\"), min_size=1, max_size=6)
scalars = texts | st.integers(-(2**40), 2**40)


def attributes(level: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(NAMES[level]), scalars, max_size=3)


def places(inner: st.SearchStrategy[Any], prefix: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from([f"{prefix}.{number}" for number in range(3)]), inner, max_size=3)


instances = places(st.fixed_dictionaries({"DICOM": attributes("Instance")}), "1.9")
series = places(st.fixed_dictionaries({"DICOM": attributes("Series"), "Instances": instances}), "1.2")
trees = st.fixed_dictionaries(
    {
        "SchemaVersion": st.sampled_from([1.1, "1.1"]),
        "Patient": st.fixed_dictionaries({"DICOM": attributes("Patient")}),
        "Study": st.fixed_dictionaries({"DICOM": attributes("Study"), "Series": series}),
    }
)
edits = st.dictionaries(
    st.sampled_from([(level, name) for level, names in NAMES.items() for name in names]),
    st.none() | scalars | st.lists(scalars, min_size=1, max_size=4),
    max_size=5,
)


@given(trees, edits, st.booleans(), st.booleans())
def test_reading_the_patched_parameters_gives_the_effective_request(tree: Any, changes: Any, force: bool, study: bool) -> None:
    params = update(tree)
    before = copy.deepcopy(params)
    original = request_of("UpdateImageSetMetadata", params)
    if isinstance(original, Refusal):
        return
    wanted = copy.deepcopy(dict(original.request["updates"]))  # type: ignore[call-overload]
    for (level, name), value in changes.items():
        if value is None:
            wanted.get(level, {}).pop(name, None)
        else:
            wanted.setdefault(level, {})[name] = value
    wanted = {level: fields for level, fields in wanted.items() if fields}
    fields = {**original.request, "updates": wanted, "updated": updated_paths(wanted), "force": force, "includeStudyImageSets": study}
    decision = Decision("allow", replaced(original, request=fields), rewritten={"request.updates": None})
    try:
        result = patched(params, decision)
    except PatchError:
        return
    finally:
        assert params == before
    read = request_of("UpdateImageSetMetadata", result)
    assert isinstance(read, Request)
    assert same_values(read.request["updates"], wanted)  # type: ignore[arg-type]
    assert {name: value for name, value in read.request.items() if name != "updates"} == {name: value for name, value in fields.items() if name != "updates"}


@given(trees, st.data())
def test_dropping_removals_drops_exactly_these(tree: Any, data: st.DataObject) -> None:
    params = update(removable=tree)
    original = request_of("UpdateImageSetMetadata", params)
    if isinstance(original, Refusal):
        return
    names: Any = original.request["removed"]
    kept = sorted(data.draw(st.sets(st.sampled_from(names)))) if names else []
    decision = Decision("allow", replaced(original, request={**original.request, "removed": kept}), rewritten={"request.removed": kept})
    if not kept:
        with pytest.raises(PatchError, match="becomes empty"):
            patched(params, decision)
        return
    read = request_of("UpdateImageSetMetadata", patched(params, decision))
    assert isinstance(read, Request)
    assert read.request["removed"] == kept
    assert read.request["removed_instances"] == original.request["removed_instances"]
