from __future__ import annotations

import copy
from typing import Any

import pytest
import yaml
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from hirules.model.dataset import DatasetView
from hirules.model.reading import Unknown
from hirules.model.request import Request, plain
from hirules.policy.evaluate import Verdict, evaluate
from tests.policy.deciding import NOW, decide, policy_set, request

ALLOW = {"id": "allow", "on": ["c-find", "c-move", "n-get", "update-image-set-metadata", "c-store"], "allow": {}}


def rule(name: str, edits: str, /, **more: Any) -> dict[str, Any]:
    return {"id": name, "on": more.pop("on", "c-move"), "rewrite": yaml.load(edits, Loader=yaml.BaseLoader), **more}


def together(*edits: str, action: str = "n-get", **parts: Any) -> Any:
    return decide(policy_set(*(rule(f"e{number}", one, on=action) for number, one in enumerate(edits)), ALLOW), action, **parts)


SET_A, SET_B = "[{set: {request.MoveDestination: A}}]", "[{set: {request.MoveDestination: B}}]"
AIL = "request.AttributeIdentifierList"


def test_a_refusal_says_why_and_where() -> None:
    conflict = together(SET_A, SET_B, action="c-move", request={"MoveDestination": "X"})
    assert (conflict.reason, conflict.full_reason, conflict.status) == ("rewrite rules are in conflict", "rewrite rules are in conflict", 0xC000)
    failed = together("[{map: {request.MoveDestination: {A: B}}}]", action="c-move", request={"MoveDestination": "X"})
    assert (failed.reason, failed.full_reason) == ("a rewrite rule could not be carried out", "a rewrite rule could not be carried out")
    (error,) = failed.errors
    assert (error.source, error.message) == ("p/e0", "its edit failed: a value has no entry in the table")
    assert error.at is not None
    assert error.at.startswith("p.yaml:1:")
    unknown = decide(policy_set(rule("e", SET_A, when={"subject.user": "x"}), ALLOW), subject={"user": "?"}, request={"MoveDestination": "X"})
    assert "its condition is unknown, so it refuses" in {each.message for each in unknown.errors}


def test_every_conflict_is_named() -> None:
    low, high = "[{set: {request.Priority: 1}}]", "[{set: {request.Priority: 2}}]"
    decision = together(SET_A, SET_B, low, high, "[{set: {request.Identifier.PatientID: P}}]", action="c-move", request={"Identifier": {"PatientID": "Q"}})
    assert decision.by == ("p/e0", "p/e1", "p/e2", "p/e3")
    assert decision.rewritten == {}


def test_an_update_that_would_become_empty_says_so() -> None:
    decision = together(
        "[{remove: request.updates.Patient.PatientName}]", action="update-image-set-metadata", request={"updates": {"Patient": {"PatientName": "A"}}}
    )
    assert [(error.source, error.message) for error in decision.errors] == [("p/e0", "an update document would become empty")]


def test_several_items_are_removed_by_the_numbers_they_had() -> None:
    studies = [{"StudyInstanceUID": f"1.{number}"} for number in range(12)]
    for gone in ((0, 1), (2, 10), (11, 9, 0)):
        edits = "".join(f"{{remove: 'instance.ReferencedStudySequence[{number}]'}}, " for number in gone)
        decision = together(f"[{edits}]", action="c-store", instance={"ReferencedStudySequence": studies})
        left: Any = (decision.effective.instance or {})["ReferencedStudySequence"]
        assert [item["StudyInstanceUID"] for item in left] == [f"1.{number}" for number in range(12) if number not in gone]


def test_edits_of_different_places_are_all_applied() -> None:
    decision = together(SET_A, "[{set: {request.Priority: 2}}]", action="c-move", request={"MoveDestination": "X", "Priority": 0})
    assert decision.rewritten == {"request.MoveDestination": "A", "request.Priority": 2}
    assert decision.effective.request == {"MoveDestination": "A", "Priority": 2}


@pytest.mark.parametrize(
    ("edits", "action", "parts", "rewritten"),
    [
        ([SET_A, "[{set: {request.MoveDestination: ' a'}}]"], "c-move", {}, {"request.MoveDestination": "A"}),
        ([SET_A, "[{map: {request.MoveDestination: {X: A}}}]"], "c-move", {"request": {"MoveDestination": "X"}}, {"request.MoveDestination": "A"}),
        ([f"[{{drop: {{{AIL}: PrinterName}}}}]", f"[{{drop: {{{AIL}: PrinterStatus}}}}]"], "n-get",
         {"request": {"AttributeIdentifierList": ["PrinterName", "PrinterStatus", "Manufacturer"]}}, {AIL: ["Manufacturer"]}),
        ([f"[{{add: {{{AIL}: PrinterName}}}}]", f"[{{add: {{{AIL}: [PrinterStatus, PrinterName]}}}}]"], "n-get",
         {"request": {"AttributeIdentifierList": ["Manufacturer"]}}, {AIL: ["Manufacturer", "PrinterName", "PrinterStatus"]}),
        ([f"[{{keep_only: {{{AIL}: [PrinterName, PrinterStatus]}}}}]", f"[{{keep_only: {{{AIL}: [PrinterName, Manufacturer]}}}}]"], "n-get",
         {}, {AIL: ["PrinterName"]}),
        (["[{keep_only: {request.Identifier: [PatientID, StudyDate]}}]", "[{keep_only: {request.Identifier: [PatientID, PatientName]}}]"], "c-find",
         {"request": {"Identifier": {"PatientID": "", "StudyDate": "", "PatientName": "", "QueryRetrieveLevel": "STUDY"}}},
         {"request.Identifier.StudyDate": None, "request.Identifier.PatientName": None}),
        (["[{set: {'request.Identifier.RequestAttributesSequence[*].StudyID': A}}]", "[{set: {'request.Identifier.RequestAttributesSequence[0].StudyID': A}}]"],
         "c-find", {"request": {"Identifier": {"RequestAttributesSequence": [{}]}}}, {"request.Identifier.RequestAttributesSequence[0].StudyID": "A"}),
    ],
)  # fmt: skip
def test_equal_results_count_once_and_lists_combine(edits: list[str], action: str, parts: dict[str, Any], rewritten: object) -> None:
    for order in (edits, edits[::-1]):
        decision = together(*order, action=action, **parts)
        assert (decision.decision, decision.by, decision.rewritten) == ("allow", ("p/allow",), rewritten)


@pytest.mark.parametrize(
    ("edits", "action", "parts"),
    [
        ([SET_A, SET_B], "c-move", {}),
        ([SET_A, "[{default: {request.MoveDestination: B}}]"], "c-move", {"request": {"MoveDestination": "X"}}),
        ([f"[{{drop: {{{AIL}: PrinterName}}}}]", f"[{{add: {{{AIL}: PrinterStatus}}}}]"], "n-get",
         {"request": {"AttributeIdentifierList": ["PrinterName", "Manufacturer"]}}),
        (["[{remove: request.Identifier.RequestAttributesSequence}]", "[{set: {'request.Identifier.RequestAttributesSequence[0].StudyID': A}}]"], "c-find",
         {"request": {"Identifier": {"RequestAttributesSequence": [{}]}}}),
        (["[{keep_only: {request.Identifier: [PatientID]}}]", "[{remove: request.Identifier.StudyDate}]"], "c-find",
         {"request": {"Identifier": {"PatientID": "", "StudyDate": ""}}}),
        (["[{set: {'request.Identifier.RequestAttributesSequence[*].StudyID': A}}]", "[{set: {'request.Identifier.RequestAttributesSequence[0].StudyID': B}}]"],
         "c-find", {"request": {"Identifier": {"RequestAttributesSequence": [{}]}}}),
    ],
)  # fmt: skip
def test_any_other_overlap_is_a_conflict_and_denies(edits: list[str], action: str, parts: dict[str, Any]) -> None:
    decision = together(*edits, action=action, **parts)
    assert (decision.decision, decision.by, decision.status) == ("deny", ("p/e0", "p/e1"), 0xC000)
    assert decision.rewritten == {}
    assert decision.effective.request == request(action, **parts).request


def test_one_rule_can_be_in_conflict_with_itself() -> None:
    decision = together("[{set: {request.Priority: 1}}, {set: {request.Priority: 2}}]", SET_A, action="c-move")
    assert (decision.decision, decision.by, decision.status) == ("deny", ("p/e0",), 0xC000)


def test_only_the_rules_in_conflict_are_named() -> None:
    policies = policy_set(rule("a", SET_A), rule("b", SET_B), rule("other", "[{set: {request.Priority: 2}}]"), {"id": "no", "on": "c-move", "deny": {}}, ALLOW)
    assert decide(policies).by == ("p/a", "p/b")


def test_drops_that_together_empty_what_would_mean_everything_fail() -> None:
    decision = together(
        f"[{{drop: {{{AIL}: PrinterName}}}}]", f"[{{drop: {{{AIL}: PrinterStatus}}}}]", request={"AttributeIdentifierList": ["PrinterName", "PrinterStatus"]}
    )
    assert (decision.decision, decision.by) == ("deny", ("p/e0", "p/e1"))


def test_an_intersection_of_nothing_fails() -> None:
    decision = together(f"[{{keep_only: {{{AIL}: [PrinterName]}}}}]", f"[{{keep_only: {{{AIL}: [PrinterStatus]}}}}]")
    assert (decision.decision, decision.by) == ("deny", ("p/e0", "p/e1"))


def test_an_unknown_rewrite_denies_and_names_itself() -> None:
    policies = policy_set(rule("r", SET_A, when={"subject.user": "alice"}), {"id": "no", "on": "c-move", "deny": {}}, ALLOW)
    decision = decide(policies, subject={"user": "?"})
    assert (decision.decision, decision.by, decision.status) == ("deny", ("p/r",), 0x0124)
    assert {(error.source, error.path) for error in decision.errors} == {("p/r", None), ("p/r", "subject.user")}


def test_an_unknown_or_failed_rewrite_may_be_skipped_where_it_is_harmless() -> None:
    policies = policy_set(
        rule("r", "[{set: {request.Priority: 2}}, {map: {request.Priority: {1: 2}}}]", when={"subject.user": "alice"}, on_unknown="skip"), ALLOW
    )
    assert decide(policies, subject={"user": "?"}, request={"Priority": 0}).rewritten == {}
    failed = decide(policies, subject={"user": "alice"}, request={"Priority": 0})
    assert (failed.decision, failed.rewritten) == ("allow", {})


def test_rewriting_permits_nothing() -> None:
    decision = decide(policy_set(rule("r", SET_A)), request={"MoveDestination": "X"})
    assert (decision.decision, decision.by, decision.rewritten) == ("deny", (), {"request.MoveDestination": "A"})


def test_rewrite_rules_run_once_on_the_request_as_it_came() -> None:
    policies = policy_set(
        rule("ab", SET_B, when={"request.MoveDestination": "A"}),
        rule("bc", "[{set: {request.MoveDestination: C}}]", when={"request.MoveDestination": "B"}),
        ALLOW,
    )
    assert decide(policies, request={"MoveDestination": "A"}).rewritten == {"request.MoveDestination": "B"}


def test_deny_rules_look_at_the_effective_request_and_can_ask_for_the_original() -> None:
    rewrite = rule("r", SET_B, when={"request.MoveDestination": "A"})
    effective = policy_set(rewrite, {"id": "d", "on": "c-move", "when": {"request.MoveDestination": "A"}, "deny": {}}, ALLOW)
    original = policy_set(rewrite, {"id": "d", "on": "c-move", "when": {"original.request.MoveDestination": "A"}, "deny": {}}, ALLOW)
    assert decide(effective, request={"MoveDestination": "a"}).by == ("p/allow",)
    assert decide(original, request={"MoveDestination": "a"}).by == ("p/d",)


def test_the_resource_is_that_of_the_effective_request() -> None:
    policies = policy_set(
        rule("r", "[{set: {request.Identifier.StudyInstanceUID: 1.9}}]"),
        {"id": "d", "on": "c-move", "when": {"resource.PatientID": "SECRET"}, "deny": {}},
        ALLOW,
    )
    before, after = [{"PatientID": "P1"}], [{"PatientID": "SECRET"}]
    assert decide(policies, resource=before, resource_after=after).by == ("p/d",)
    assert decide(policies, resource=after, resource_after=before).by == ("p/allow",)
    # nobody told: unknown, and the deny matches
    assert decide(policies, resource=before).by == ("p/d",)
    # nothing that selects was changed: `resource_after` is not looked at
    same = decide(policies, request={"Identifier": {"StudyInstanceUID": "1.9"}}, resource=before, resource_after=after)
    assert (same.by, same.rewritten) == (("p/allow",), {})


def test_a_rewrite_matches_when_one_entity_does() -> None:
    policies = policy_set(rule("r", SET_A, when={"resource.PatientID": "P1"}), ALLOW)
    assert decide(policies, resource=[{"PatientID": "P2"}, {"PatientID": "P1"}, {}]).rewritten == {"request.MoveDestination": "A"}
    assert decide(policies, resource=[{"PatientID": "P2"}, {}]).by == ("p/r",)
    assert decide(policies, resource=[{"PatientID": "P2"}]).rewritten == {}
    assert decide(policies, resource=[]).rewritten == {}


def test_a_value_that_differs_by_entity_is_a_conflict() -> None:
    policies = policy_set(rule("r", "[{set: {request.Identifier.PatientID: {path: resource.PatientID}}}]"), ALLOW)
    assert decide(policies, resource=[{"PatientID": "P1"}, {"PatientID": "P1"}], resource_after=[]).rewritten == {"request.Identifier.PatientID": "P1"}
    assert decide(policies, resource=[{"PatientID": "P1"}, {"PatientID": "P2"}]).status == 0xC000


@pytest.mark.parametrize(
    ("edits", "parts"),
    [
        ("[{remove: request.updates.Patient.PatientName}]", {"updates": {"Patient": {"PatientName": "A"}}, "removed": ["Study.StudyID"]}),
        ("[{drop: {request.removed: Study.StudyID}}]", {"updates": {"Patient": {"PatientName": "A"}}, "removed": ["Study.StudyID"]}),
    ],
)
def test_a_document_that_becomes_empty_is_refused(edits: str, parts: dict[str, Any]) -> None:
    decision = together(edits, action="update-image-set-metadata", request=parts)
    assert (decision.decision, decision.by, decision.rewritten, decision.status) == ("deny", ("p/e0",), {}, "AccessDenied")


def test_one_level_of_an_update_may_become_empty() -> None:
    keep = "[{keep_only: {request.updates.Patient: [PatientSex]}}]"
    update = {"updates": {"Patient": {"PatientName": "A"}, "Study": {"StudyID": "1"}}}
    assert together(keep, action="update-image-set-metadata", request=update).rewritten == {"request.updates.Patient.PatientName": None}
    assert together(keep, action="update-image-set-metadata", request={"updates": {"Patient": {"PatientName": "A"}}}).by == ("p/e0",)


def test_derived_lists_follow_the_edit() -> None:
    update = {"updates": {"Patient": {"PatientName": "A", "PatientSex": "O"}}, "updated": ["Patient.PatientName", "Patient.PatientSex"], "kind": "update"}
    deny = {"id": "d", "on": "update-image-set-metadata", "when": {"request.updated": "Patient.PatientName"}, "deny": {}}
    policies = policy_set(rule("r", "[{remove: request.updates.Patient.PatientName}]", on="update-image-set-metadata"), deny, ALLOW)
    decision = decide(policies, "update-image-set-metadata", request=update)
    assert decision.by == ("p/allow",)
    assert decision.effective.request == {"updates": {"Patient": {"PatientSex": "O"}}, "updated": ["Patient.PatientSex"], "kind": "update"}


def test_what_is_stated_beyond_what_follows_stays() -> None:
    query = {"Identifier": {"PatientName": "", "PatientID": ""}, "keys": ["PatientName", "PatientID", "StudyID", "?"]}
    deny = {"id": "d", "on": "c-find", "when": {"request.keys": "StudyDate"}, "deny": {}}
    decision = decide(policy_set(rule("r", "[{remove: request.Identifier.PatientName}]", on="c-find"), deny, ALLOW), "c-find", request=query)
    assert decision.by == ("p/d",)
    assert decision.effective.request["keys"] == ["PatientID", "StudyID", Unknown("the test says so")]


def test_the_original_is_never_touched() -> None:
    parts: dict[str, Any] = {
        "request": {"MoveDestination": "X", "Identifier": {"RequestAttributesSequence": [{"StudyID": "1"}, {"StudyID": "2"}], "PatientID": "P"}}
    }
    one = Request("c-move", **copy.deepcopy(parts))
    edits = "[{remove: 'request.Identifier.RequestAttributesSequence[0]'}, {set: {'request.Identifier.RequestAttributesSequence[1].StudyID': '9'}}]"
    decision = evaluate(policy_set(rule("r", edits), ALLOW), one, NOW)
    assert decision.effective.request["Identifier"] == {"RequestAttributesSequence": [{"StudyID": "9"}], "PatientID": "P"}
    assert one.request == parts["request"]


def test_keep_only_never_takes_what_says_what_an_instance_is() -> None:
    instance = {"SOPInstanceUID": "1", "StudyInstanceUID": "2", "SpecificCharacterSet": "ISO_IR 100", "Modality": "CT", "PatientName": "A", "(0009,0010)": "X"}
    decision = together("[{keep_only: {instance: [Modality]}}]", action="c-store", instance=instance)
    assert decision.rewritten == {"instance.PatientName": None, "instance.(0009,0010)": None}
    assert set(decision.effective.instance) == {"SOPInstanceUID", "StudyInstanceUID", "SpecificCharacterSet", "Modality"}


def test_a_lazy_data_set_is_rewritten_into_a_plain_mapping() -> None:
    data_set = Dataset()
    data_set.PatientID, data_set.PatientName, data_set.StudyInstanceUID = "P1", "A^B", ["1.2", "1.3"]
    data_set.RequestAttributesSequence = DicomSequence([Dataset(), Dataset()])
    for number, item in enumerate(data_set.RequestAttributesSequence):
        item.StudyID, item.RequestedProcedureID = str(number), "R"
    view = DatasetView(data_set)
    edits = "[{remove: request.Identifier.PatientName}, {set: {'request.Identifier.RequestAttributesSequence[1].StudyID': X}}]"
    decision = evaluate(policy_set(rule("r", edits), ALLOW), Request("c-move", request={"Identifier": view}), NOW)
    assert decision.rewritten == {"request.Identifier.PatientName": None, "request.Identifier.RequestAttributesSequence[1].StudyID": "X"}
    assert plain(decision.effective.request["Identifier"]) == {
        "PatientID": "P1", "StudyInstanceUID": ["1.2", "1.3"],
        "RequestAttributesSequence": [{"StudyID": "0", "RequestedProcedureID": "R"}, {"StudyID": "X", "RequestedProcedureID": "R"}],
    }  # fmt: skip
    assert (data_set.PatientName, data_set.RequestAttributesSequence[1].StudyID) == ("A^B", "1")
    same = evaluate(
        policy_set(rule("r", "[{set: {request.Identifier.StudyInstanceUID: [1.2, 1.3]}}]"), ALLOW), Request("c-move", request={"Identifier": view}), NOW
    )
    assert same.rewritten == {}
    assert same.effective.request["Identifier"] is view


# Plugins' rewrites join before deciding.


def plugin(edits: Any, name: str = "plugin:x") -> Verdict:
    return Verdict(effect="rewrite", source=name, edits=edits)


def test_a_plugins_edits_are_applied_and_can_conflict_with_a_rules() -> None:
    policies = policy_set(rule("a", SET_A), ALLOW)
    assert decide(policies, verdicts=[plugin({"request.Priority": ("set", 2)})]).rewritten == {"request.MoveDestination": "A", "request.Priority": 2}
    assert decide(policies, verdicts=[plugin({"request.MoveDestination": ("set", "a ")})]).by == ("p/allow",)
    conflict = decide(policies, verdicts=[plugin({"request.MoveDestination": ("set", "B")})])
    assert (conflict.by, conflict.status) == (("p/a", "plugin:x"), 0xC000)


@pytest.mark.parametrize(
    "edits",
    [
        {"request.MessageID": ("set", 7)}, {"subject.ae_title": ("set", "X")}, {"request.NoSuch": ("set", 1)}, {"request.Priority": ("multiply", 2)},
        {"request.Priority": ("set", "high")}, {"nonsense": ("set", 1)}, {"original.request.Priority": ("set", 1)},
        {"request.AttributeIdentifierList": ("drop", ["PrinterName"])}, {"request.Priority": ("add", 2)}, {"request.Priority": 2},
        None, (("request.Priority", "set", 2),), {"request.MoveDestination": ("set", " ")},
        {"request.Priority": ("map", 2)}, {"request.Identifier": ("set", {"PatientID": "P"})}, {"request.Identifier.StudyDate": ("keep_only", "x")},
    ],
)  # fmt: skip
def test_a_plugin_may_write_no_more_than_a_rule(edits: Any) -> None:
    decision = decide(policy_set(ALLOW), verdicts=[plugin(edits)])
    assert (decision.decision, decision.by, decision.rewritten) == ("deny", ("plugin:x",), {})


def test_every_kind_of_edit_may_come_from_a_plugin() -> None:
    edits = {
        "request.Identifier": ("keep_only", ["PatientID", "StudyInstanceUID"]),
        "request.MoveDestination": ("replace", {"regex": "OLD_(.*)", "with": r"\1"}),
        "request.Priority": ("map", {0: 2}),
    }
    parts = {"MoveDestination": "OLD_A", "Priority": 0, "Identifier": {"PatientID": "P", "PatientName": "N", "StudyInstanceUID": "1.2"}}
    decision = decide(policy_set(ALLOW), request=parts, verdicts=[plugin(edits)])
    assert decision.rewritten == {"request.Identifier.PatientName": None, "request.MoveDestination": "A", "request.Priority": 2}
