"""The vocabulary against the sources that it is made from: pynetdicom's primitives and botocore's model."""

import botocore.session
import pytest
from botocore.model import ListShape, Shape, StructureShape
from pynetdicom import dimse_primitives

from hirules.model.actions import ACTIONS, GROUPS, Action
from hirules.model.path import parse_path
from hirules.model.scalars import Type
from hirules.model.vocabulary import VOCABULARY, Attribute

DIMSE = [action for action in ACTIONS if action.service == "dimse"]
IMAGE_SETS = [action for action in ACTIONS if action.service == "healthimaging"]
RESPONSES = {"MessageIDBeingRespondedTo", "Status", "OffendingElement", "ErrorComment", "ErrorID", "ActionReply", "EventReply"}


@pytest.mark.parametrize("action", DIMSE, ids=lambda action: action.name)
def test_every_parameter_that_a_dimse_request_carries_is_an_attribute(action: Action) -> None:
    primitive = getattr(dimse_primitives, action.operation.replace("-", "_"))
    for keyword in primitive.REQUEST_KEYWORDS:
        if keyword in ("DataSet", "Identifier", "ModificationList", "AttributeList", "ActionInformation", "EventInformation"):
            path = "instance.<Keyword>" if keyword == "DataSet" else f"request.{keyword}.<Keyword>"
        else:
            path = f"request.{keyword}"
        assert action.name in VOCABULARY.attributes[path].actions, path


def leaves(shape: Shape | None, name: str = "") -> list[str]:
    if isinstance(shape, StructureShape):
        return [leaf for key, member in shape.members.items() for leaf in leaves(member, f"{name}.{key}" if name else key)]
    if isinstance(shape, ListShape):
        return leaves(shape.member, name + "[*]")
    return [name]


@pytest.mark.parametrize("action", IMAGE_SETS, ids=lambda action: action.name)
def test_every_parameter_of_an_image_set_operation_is_an_attribute(action: Action) -> None:
    model = botocore.session.get_session().get_service_model("medical-imaging").operation_model(action.operation)
    for leaf in leaves(model.input_shape):
        if leaf.startswith("updateImageSetMetadataUpdates.DICOMUpdates."):
            continue  # the two documents are `updates`, `updated`, `removed`
        name = leaf.replace("updateImageSetMetadataUpdates.", "")
        assert action.name in VOCABULARY.attributes[f"request.{name}"].actions, leaf


def test_every_field_that_get_image_set_answers_is_below_resource() -> None:
    model = botocore.session.get_session().get_service_model("medical-imaging").operation_model("GetImageSet")
    for leaf in leaves(model.output_shape):
        assert "update-image-set-metadata" in VOCABULARY.attributes[f"resource.{leaf}"].actions, leaf


def test_groups_name_actions() -> None:
    assert set(GROUPS["retrieve"]) == {"c-get", "c-move", "get-image-set-metadata", "get-image-frame"}
    for name, members in GROUPS.items():
        assert name not in VOCABULARY.actions
        assert all(member in VOCABULARY.actions for member in members)
        assert len(set(members)) == len(members)


def lookup(text: str) -> Attribute | None:
    return VOCABULARY.lookup(parse_path(text))


def test_elements_have_the_type_of_their_vr_and_the_multiplicity_of_their_place() -> None:
    def shown(text: str) -> tuple[Type, bool, bool]:
        attribute = lookup(text)
        assert attribute is not None, text
        return attribute.type, attribute.many, attribute.writable

    assert shown("request.Identifier.PatientID") == (Type.TEXT, False, True)
    assert shown("request.Identifier.StudyInstanceUID") == (Type.UID, True, True)
    assert shown("resource.StudyDate") == (Type.DATE, False, False)
    assert shown("resource.Modality") == (Type.TEXT, True, False)
    assert shown("instance.Modality") == (Type.TEXT, False, True)
    assert shown("instance.SOPInstanceUID") == (Type.UID, False, False)
    assert shown("instance.**.PatientName") == (Type.PERSON_NAME, True, True)
    assert shown("instance.RequestAttributesSequence[*].ScheduledProcedureStepID") == (Type.TEXT, True, True)
    assert shown("instance.RequestAttributesSequence[0].ScheduledProcedureStepID") == (Type.TEXT, False, True)
    assert shown("original.request.MoveDestination") == (Type.AE_TITLE, False, False)


@pytest.mark.parametrize(
    "text",
    [
        "request.Foo", "request.Identifier.Foo", "instance.RequestAttributesSequence.ScheduledProcedureStepID", "subject.tls",
        "request.updates.Series.PatientName", "instance.PatientID[*].PatientName", "resource.foo", "context.foo",
    ],
)  # fmt: skip
def test_what_is_not_declared_is_not_there(text: str) -> None:
    assert lookup(text) is None


def test_what_is_fixed_is_never_writable() -> None:
    for text in ("request.latestVersionId", "request.MessageID", "subject.ae_title", "request.AffectedSOPInstanceUID", "request.RequestedSOPInstanceUID"):
        attribute = lookup(text)
        assert attribute is not None
        assert not attribute.writable
    assert [name for name, attribute in VOCABULARY.attributes.items() if attribute.harmless] == ["request.Priority"]


def test_an_added_action_has_the_general_attributes_and_no_name_is_taken_twice() -> None:
    export = Action("export", "added", "", "a study is about to be exported")
    target = Attribute("request.Target", Type.STRING, frozenset({"export"}), "where it goes")
    more = VOCABULARY.extended([export], [target])
    assert "export" in more.attributes["subject.ae_title"].actions
    assert "export" not in VOCABULARY.attributes["subject.ae_title"].actions
    assert more.expand("export") == ("export",)
    assert "Target" in more.names_below("request", "export")
    with pytest.raises(ValueError, match="c-get"):
        VOCABULARY.extended([Action("c-get", "added", "", "")])
    with pytest.raises(ValueError, match=r"request\.Priority"):
        VOCABULARY.extended([], [Attribute("request.Priority", Type.STRING, frozenset({"c-get"}), "")])
