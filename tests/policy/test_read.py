from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hirules.model.dataset import DatasetView
from hirules.model.path import parse_path
from hirules.model.reading import ABSENT, EVERYTHING, Reading
from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.entities import entities_of
from hirules.policy.read import View, read
from tests.policy.deciding import NOW, ZONE, request, truth_of


def seen(text: str, one: Request, original: Request | None = None) -> Reading:
    path = parse_path(text)
    attribute = VOCABULARY.lookup(path)
    assert attribute is not None
    entity = entities_of(one.resource, VOCABULARY.actions[one.action].has_resource)[0]
    return read(path, attribute, View(one, original or one, entity, NOW, ZoneInfo(ZONE)))


def values(text: str, action: str = "c-move", **parts: Any) -> object:
    """The values; `?` where unknown."""
    found = seen(text, request(action, **parts))
    return "?" if found.unknown is not None and not found.values else found.values


def test_absent_unknown_and_values_are_three_things() -> None:
    assert seen("subject.user", request()) == ABSENT
    assert seen("subject.user", request(subject={"user": None})) == ABSENT
    assert seen("subject.user", request(subject={"user": ""})) == ABSENT
    assert seen("subject.user", request(subject={"user": "a"})) == Reading(("a",), present=True)
    assert seen("subject.user", request(subject={"user": "?"})) == Reading(unknown="the test says so")
    assert seen("subject.roles", request(subject={"roles": ["a", "?"]})) == Reading(("a",), present=True, unknown="the test says so")


@pytest.mark.parametrize(
    ("text", "parts", "expected"),
    [
        ("subject.tls.san", {"subject": {"tls": {"san": ["a", "b"]}}}, ("a", "b")),
        ("subject.tls.cn", {"subject": {"tls": None}}, ()),
        ("subject.tls.cn", {"subject": {"tls": "text"}}, "?"),
        ('subject.claims."urn:x.y"', {"subject": {"claims": {"urn:x.y": "a"}}}, ("a",)),
        ("request.action", {"request": {"action": "c-find"}}, ("c-move",)),
        ("request.Identifier.PatientID", {"request": {"Identifier": {"PatientID": " P1 \0"}}}, ("P1",)),
        ("request.Identifier.PatientID", {"request": {"Identifier": {"PatientID": "   "}}}, ()),
        ("request.Identifier.PatientID", {"request": {"Identifier": {"PatientID": ["P1", ""]}}}, "?"),
        ("request.Identifier.PatientID", {"request": {"Identifier": {"PatientID": [""]}}}, ()),
        ("request.Identifier.StudyInstanceUID", {"request": {"Identifier": {"StudyInstanceUID": "1.2\\\\1.3"}}}, ("1.2", "1.3")),
        ("resource.SeriesNumber", {"resource": {"SeriesNumber": ["1", ""]}}, (1,)),
        ("request.Identifier.PatientID", {"request": {"Identifier": "no data set"}}, "?"),
        ("request.Identifier.(0010,0020)", {"request": {"Identifier": {"PatientID": "P1"}}}, ("P1",)),
        ("request.Identifier.StudyInstanceUID", {"request": {"Identifier": {"StudyInstanceUID": "1.2\\1.3"}}}, ("1.2", "1.3")),
        ("request.Identifier.SeriesNumber", {"request": {"Identifier": {"SeriesNumber": "x"}}}, "?"),
        ("request.Priority", {"request": {"Priority": True}}, "?"),
        ("context.transport", {}, ()),
    ],
)  # fmt: skip
def test_values(text: str, parts: dict[str, Any], expected: object) -> None:
    assert values(text, **parts) == expected


def test_a_documented_default_is_a_value() -> None:
    assert values("request.force", "update-image-set-metadata") == (False,)
    assert values("request.force", "update-image-set-metadata", request={"force": True}) == (True,)


def test_empty_means_everything() -> None:
    empty: tuple[dict[str, Any], ...] = ({}, {"AttributeIdentifierList": None}, {"AttributeIdentifierList": []})
    for given in empty:
        assert seen("request.AttributeIdentifierList", request("n-get", request=given)) == EVERYTHING
    assert values("request.AttributeIdentifierList", "n-get", request={"AttributeIdentifierList": [0x21100010, "(2110,0030)", "PrinterName"]}) == (
        "PrinterStatus", "PrinterName", "PrinterName",
    )  # fmt: skip
    assert values("request.AttributeIdentifierList", "n-get", request={"AttributeIdentifierList": "?"}) == "?"


def test_a_long_text_keeps_its_backslash() -> None:
    assert values("instance.PatientComments", "c-store", instance={"PatientComments": "a\\b"}) == ("a\\b",)


# Resources.


def test_in_an_entity_a_missing_key_is_unknown_and_null_is_absent() -> None:
    assert values("resource.PatientID", resource={}) == "?"
    assert values("resource.PatientID", resource={"PatientID": None}) == ()
    assert values("resource.PatientID", resource={"PatientID": "?"}) == "?"
    assert values("resource.PatientID") == "?"
    assert values("resource.PatientID", resource=[]) == ()
    assert values("resource.overrides.forced", "get-image-set", resource={"overrides": None}) == ()
    assert values("resource.overrides.forced", "get-image-set", resource={"overrides": {}}) == "?"
    assert values("resource.overrides.forced", "get-image-set", resource={"overrides": {"forced": True}}) == (True,)
    assert seen("resource.**.PatientID", request(resource={"PatientID": "P1"})).unknown is not None


def test_counts() -> None:
    assert values("resource.count", resource=[{}, {}]) == (2,)
    assert values("resource.count") == "?"
    assert values("resource.count", resource=[]) == ()
    assert values("resource.instance_count", resource=[{"instance_count": 2}, {"instance_count": "3"}]) == (5,)
    assert values("resource.instance_count", resource=[{"instance_count": 2}, {}]) == "?"
    assert values("resource.instance_count", resource=[{"instance_count": "many"}]) == "?"
    assert values("resource.instance_count", resource=[{"instance_count": 9}, {"instance_count": None}]) == "?"
    assert values("resource.instance_count", resource=[{"instance_count": None}, {"instance_count": 9}]) == "?"


# Derived attributes.


def test_keys_follow_the_identifier_unless_they_are_given() -> None:
    identifier = {"QueryRetrieveLevel": "STUDY", "SpecificCharacterSet": "", "PatientID": "", "StudyID": None, "RequestAttributesSequence": [{"StudyID": ""}]}
    expected = ("PatientID", "RequestAttributesSequence", "RequestAttributesSequence[*].StudyID")
    assert values("request.keys", "c-find", request={"Identifier": identifier}) == expected
    assert values("request.keys", "c-find", request={"Identifier": identifier, "keys": ["PatientName"]}) == ("PatientName",)
    assert values("request.keys", "c-find") == ()


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"updates": {"Patient": {"PatientName": "A"}}}, ("update",)), ({"removed": ["Patient.PatientName"]}, ("remove",)),
        ({"removed_instances": ["1.2"]}, ("remove",)), ({"updates": {"Patient": {"PatientName": "A"}}, "removed": ["Study.StudyID"]}, ("update-and-remove",)),
        ({"revertToVersionId": "1"}, ("revert",)), ({}, ()), ({"kind": "revert"}, ("revert",)), ({"updates": "?"}, "?"), ({"removed": "?"}, "?"),
    ],
)  # fmt: skip
def test_the_kind_of_an_update(fields: Mapping[str, Any], kind: object) -> None:
    assert values("request.kind", "update-image-set-metadata", request=fields) == kind


def test_updated_follows_the_updates() -> None:
    updates = {"Patient": {"PatientName": "A", "PatientSex": None}, "Study": {"ProcedureCodeSequence": [{"CodeValue": "1"}]}}
    assert values("request.updated", "update-image-set-metadata", request={"updates": updates}) == (
        "Patient.PatientName", "Study.ProcedureCodeSequence", "Study.ProcedureCodeSequence[*].CodeValue",
    )  # fmt: skip


# What leaves.


def test_an_answer_lacks_only_what_was_asked_for() -> None:
    asked = {"action": "c-find", "Identifier": {"PatientName": "", "RequestAttributesSequence": [{"StudyID": ""}], "ProcedureCodeSequence": ""}}

    def leaves(text: str, **instance: Any) -> object:
        return values(text, "answer", request=asked, instance=instance)

    assert leaves("instance.PatientName") == ()
    assert leaves("instance.PatientID") == "?"
    assert leaves("instance.PatientID", PatientID="P1") == ("P1",)
    assert leaves("instance.RequestAttributesSequence[*].StudyID", RequestAttributesSequence=[{}]) == ()
    assert leaves("instance.RequestAttributesSequence[*].RequestedProcedureID", RequestAttributesSequence=[{}]) == "?"
    assert leaves("instance.ProcedureCodeSequence[*].CodeValue", ProcedureCodeSequence=[{}]) == ()
    assert leaves("instance.private") == "?"
    assert values("instance.PatientID", "answer", request={"action": "search-image-sets"}, instance={}) == "?"
    assert values("instance.PatientID", "answer", request=asked) == "?"
    assert values("instance.PatientID", "answer", request={"keys": ["PatientID"]}, instance={}) == ()


def test_what_an_item_of_an_answer_lacks_is_absent_only_where_it_was_asked_for() -> None:
    def absent(condition: str, *keys: str, **instance: Any) -> object:
        return truth_of(condition, "answer", request={"keys": list(keys)}, instance=instance)

    one = "{instance.RequestAttributesSequence: {item: {StudyID: {exists: false}}}}"
    assert absent(one, "RequestAttributesSequence[*].StudyID", RequestAttributesSequence=[{}]) is True
    assert absent(one, "RequestAttributesSequence[*].RequestedProcedureID", RequestAttributesSequence=[{}]) is None
    first = "{'instance.RequestAttributesSequence[0]': {item: {StudyID: {exists: false}}}}"
    assert absent(first, "RequestAttributesSequence[*].StudyID", RequestAttributesSequence=[{}]) is True
    assert absent(first, "RequestAttributesSequence[*].RequestedProcedureID", RequestAttributesSequence=[{}]) is None
    inner = "{instance.ReferencedSeriesSequence: {item: {ReferencedInstanceSequence: {item: {ReferencedSOPInstanceUID: {exists: false}}}}}}"
    given: Any = [{"ReferencedInstanceSequence": [{}]}]
    asked = "ReferencedSeriesSequence[*].ReferencedInstanceSequence[*].ReferencedSOP"
    assert absent(inner, f"{asked}InstanceUID", ReferencedSeriesSequence=given) is True
    assert absent(inner, f"{asked}ClassUID", ReferencedSeriesSequence=given) is None
    # asked for elsewhere than where it is looked for
    assert absent(inner, "ReferencedSOPInstanceUID", "ReferencedSeriesSequence[*].SeriesInstanceUID", ReferencedSeriesSequence=given) is None


def test_what_no_key_can_ask_for_is_unknown_in_an_answer_and_in_a_listed_release() -> None:
    listed = {"action": "n-get", "AttributeIdentifierList": ["PrinterName"]}
    for text in ("instance.(60xx,3000)", "instance.private", "instance.**.PatientID"):
        assert values(text, "answer", request={"keys": ["PatientID"]}, instance={}) == "?"
        assert values(text, "release", request=listed, instance={}) == "?"
    assert values("instance.PrinterName", "release", request={**listed, "AttributeIdentifierList": ["nonsense"]}, instance={}) == "?"
    assert seen("instance.PatientID", request("answer", request={"keys": []}, instance={})).unknown == "the caller did not ask for it"


def test_what_was_asked_for_as_it_came_counts_for_the_original() -> None:
    came = request("release", request={"action": "n-get", "AttributeIdentifierList": ["PrinterName"]}, instance={})
    effective = request("release", request={"action": "n-get"}, instance={})
    assert seen("original.instance.PrinterStatus", effective, came).unknown is not None
    assert seen("instance.PrinterStatus", effective, came) == ABSENT


def test_a_release_is_whole_but_for_attribute_lists() -> None:
    assert values("instance.PatientID", "release", request={"action": "c-get"}, instance={}) == ()
    listed = {"action": "n-get", "AttributeIdentifierList": ["PrinterName"]}
    assert values("instance.PrinterName", "release", request=listed, instance={}) == ()
    assert values("instance.PrinterStatus", "release", request=listed, instance={}) == "?"
    assert values("instance.PrinterStatus", "release", request=listed, instance={"PrinterStatus": "NORMAL"}) == ("NORMAL",)
    assert values("instance.PrinterStatus", "release", request={"action": "n-get"}, instance={}) == ()
    assert values("instance.PrinterStatus", "release", request={"action": "n-get"}) == "?"


def test_the_action_that_asked() -> None:
    assert values("request.action", "release", request={"action": "c-get"}) == ("c-get",)
    assert values("request.action", "release") == "?"


def test_original_is_the_request_as_it_came() -> None:
    came, effective = request(request={"MoveDestination": "A"}), request(request={"MoveDestination": "B"})
    assert seen("original.request.MoveDestination", effective, came).values == ("A",)
    assert seen("request.MoveDestination", effective, came).values == ("B",)
    assert values("original.request.MoveDestination", "release", request={"MoveDestination": "B"}, original={"MoveDestination": "A"}) == ("A",)
    assert values("original.request.MoveDestination", "release", request={"MoveDestination": "B"}) == "?"
    assert values("original.instance.PatientID", "c-store", instance={"PatientID": "P"}) == ("P",)


def test_what_a_plugin_adds_and_did_not_tell_is_unknown() -> None:
    from hirules.model.attributes import Attribute
    from hirules.model.scalars import Type

    path = parse_path("context.office_closed")
    attribute = Attribute("context.office_closed", Type.BOOLEAN, frozenset({"c-move"}), "of a plugin")
    for context, expected in (({}, None), ({"office_closed": True}, (True,)), ({"office_closed": None}, ())):
        one = request(context=context)
        found = read(path, attribute, View(one, one, entities_of(None, True)[0], NOW, ZoneInfo(ZONE)))
        assert (None if found.unknown else found.values) == expected


def test_now_is_the_time_of_the_decision() -> None:
    assert values("context.now", context={"now": "2020-01-01T00:00:00Z"}) == (NOW,)


# DICOM data sets.


def dicom() -> Dataset:
    data_set = Dataset()
    data_set.PatientID = "P1"
    data_set.OtherPatientIDsSequence = Sequence([Dataset()])
    data_set.OtherPatientIDsSequence[0].PatientID = "P2"
    block = data_set.private_block(0x0009, "GEMS_IDEN_01", create=True)
    block.add_new(0x01, "LO", "secret")
    data_set.add_new(0x60003000, "OW", b"\1\0")
    data_set.add_new(0x60023000, "OW", b"\2\0")
    return data_set


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("instance.PatientID", ("P1",)), ("instance.**.PatientID", ("P1", "P2")), ("instance.OtherPatientIDsSequence[*].PatientID", ("P2",)),
        ("instance.OtherPatientIDsSequence[0].PatientID", ("P2",)), ("instance.OtherPatientIDsSequence[1].PatientID", ()),
        ('instance.(0009,"GEMS_IDEN_01",01)', ("secret",)), ('instance.(0009,"OTHER",01)', ()), ("instance.private", (b"GEMS_IDEN_01", b"secret")),
        ("instance.(60xx,3000)", (b"\1\0", b"\2\0")), ("instance.(6002,3000)", (b"\2\0",)),
    ],
)  # fmt: skip
def test_elements_of_a_data_set(text: str, expected: object) -> None:
    one = Request("c-store", instance=DatasetView(dicom()))
    found = seen(text, one)
    assert found.unknown is None
    assert found.values == expected


def test_private_elements_by_number_have_the_creator_of_their_block() -> None:
    fields = {"(0009,0010)": "GEMS_IDEN_01", "(0009,1001)": "secret", "(0009,0011)": "OTHER", "(0009,1101)": "other"}
    assert values('instance.(0009,"GEMS_IDEN_01",01)', "c-store", instance=fields) == ("secret",)
    assert values('instance.(0009,"OTHER",01)', "c-store", instance=fields) == ("other",)


@pytest.mark.parametrize("key", ["(0010,0020)", "00100020", "PatientID"])
def test_a_standard_element_is_found_however_it_is_spelled(key: str) -> None:
    assert values("request.Identifier.PatientID", request={"Identifier": {key: "P1"}}) == ("P1",)
    assert values("request.keys", request={"Identifier": {key: "P1"}}) == ("PatientID",)
    assert values("instance.**.PatientID", "c-store", instance={"OtherPatientIDsSequence": [{key: "P1"}]}) == ("P1",)


def test_an_element_that_is_spelled_twice_is_unknown() -> None:
    assert values("request.Identifier.PatientID", request={"Identifier": {"(0010,0020)": "P1", "PatientID": "P2"}}) == "?"


@pytest.mark.parametrize("key", ["(0009,1001)", "00091001", "(0009,0010)", '(0009,"X",01)', '(0009,"X",0a)'])
def test_a_private_element_is_found_however_it_is_spelled(key: str) -> None:
    assert values("instance.private", "c-store", instance={key: "secret"}) == (b"secret",)
    assert values('instance.(0009,"X",0A)', "c-store", instance={'(0009,"X",0a)': "secret"}) == ("secret",)


def test_what_cannot_be_decoded_is_unknown_at_every_depth() -> None:
    assert values("instance.**.PatientName", "c-store", instance={"OtherPatientIDsSequence": "?"}) == "?"
    assert seen("instance.**.PatientID", request("c-store", instance={"PatientID": "P", "StudyID": "?"})).unknown is not None


def test_a_list_in_a_list_hides_nothing() -> None:
    hidden = {"OtherPatientIDsSequence": [[{"PatientID": "P", "(0009,1001)": "x"}]]}
    for path in ("instance.**.PatientID", "instance.private"):
        assert values(path, "c-store", instance=hidden) == "?"
    assert seen("request.keys", request("c-find", request={"Identifier": hidden})).unknown is not None
