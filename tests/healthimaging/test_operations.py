"""The table says what the installed botocore's own model says."""

from typing import Any

import botocore.session
import pytest
from botocore.model import Shape as ModelShape

from hirules.healthimaging.operations import ACTION_OPERATION, OPERATIONS, Blob, Flag, Json, Many, Moment, ParameterError, Shape, Structure, Text, Whole
from hirules.model.actions import ACTIONS
from hirules.model.path import parse_path
from hirules.model.vocabulary import VOCABULARY

MODEL = botocore.session.Session().get_service_model("medical-imaging")
SIMPLER = {"[!-~]([ -~]*[!-~])?", "[\\x00-\\x7f]*"}
"""The same language as the API's pattern, in a form that needs linear time, or Python's spelling of it."""


def test_every_action_of_the_service_has_its_operation() -> None:
    assert {action.name: action.operation for action in ACTIONS if action.service == "healthimaging"} == ACTION_OPERATION


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_parameters_are_those_of_the_model(name: str) -> None:
    model = MODEL.operation_model(name).input_shape
    assert model is not None
    same(OPERATIONS[name].parameters, model, name)


def same(own: Shape, model: Any, path: str) -> None:
    known: ModelShape = model
    match own:
        case Structure():
            assert known.type_name == "structure", path
            # an older botocore knows fewer parameters; a newer one may not know more
            assert set(model.members) <= set(own.members), path
            assert own.required & set(model.members) == set(model.required_members), path
            assert own.union == bool(model.metadata.get("union")), path
            for member, shape in model.members.items():
                same(own.members[member], shape, f"{path}.{member}")
        case Many():
            assert known.type_name == "list", path
            assert (own.least, own.most) == (model.metadata.get("min", own.least), model.metadata.get("max", own.most)), path
            same(own.of, model.member, path)
        case Text():
            assert known.type_name == "string", path
            assert own.pattern in SIMPLER or model.metadata.get("enum", []) == own.pattern.split("|") or model.metadata.get("pattern") in (own.pattern, None), (
                path
            )
            if "max" in model.metadata:
                assert (own.least, own.most) == (model.metadata.get("min", 0), model.metadata["max"]), path
        case Json():
            assert (known.type_name, model.metadata["max"]) == ("string", own.most), path
        case Whole():
            assert (known.type_name, model.metadata["min"], model.metadata["max"]) == ("integer", own.least, own.most), path
        case Flag():
            assert known.type_name == "boolean", path
        case Moment():
            assert known.type_name == "timestamp", path
        case Blob():
            assert known.type_name == "blob", path


def leaves(shape: Shape, path: str) -> list[str]:
    match shape:
        case Structure():
            return [leaf for name, member in shape.members.items() for leaf in leaves(member, f"{path}.{name}")]
        case Many():
            return leaves(shape.of, path + "[*]")
        case _:
            return [path]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_parameter_is_an_attribute(name: str) -> None:
    for leaf in leaves(OPERATIONS[name].parameters, "request"):
        if "DICOMUpdates" in leaf:
            continue  # read as updates, updated and removed
        path = leaf.replace("updateImageSetMetadataUpdates.", "")
        attribute = VOCABULARY.lookup(parse_path(path))
        assert attribute is not None, path
        assert OPERATIONS[name].action in attribute.actions, path


def test_a_structure_names_what_is_wrong_without_the_value() -> None:
    search = OPERATIONS["SearchImageSets"].parameters
    with pytest.raises(ParameterError) as caught:
        search.read({"datastoreId": "0" * 32, "searchCriteria": {"filters": [{"operator": "LIKE Miller", "values": [{"DICOMPatientId": "1"}]}]}}, "")
    assert str(caught.value) == "`searchCriteria.filters[0].operator` does not match the pattern of the API"
