"""The indexed evaluator says what the reference evaluator says. The differential run is the proof; here what it rests on."""

from __future__ import annotations

import os

import pytest

from hirules.model.dataset import DatasetView, dataset_of
from hirules.model.reading import Unknown
from hirules.model.request import Request
from hirules.policy import index as index_module
from hirules.policy.evaluate import Trace, Verdict, evaluate
from hirules.policy.index import Index
from hirules.policy.needs import needs, needs_after
from tests.laws import differential
from tests.policy.deciding import NOW, policy_set

SECONDS = float(os.environ.get("HIRULES_DIFFERENTIAL_SECONDS", "60"))


def test_generated_sets_and_requests_show_no_difference() -> None:
    decisions, sets = differential.run(SECONDS, seed=0)
    assert decisions > 300
    assert sets > 1


def move(title: object, destination: object = "D", **more: object) -> Request:
    return Request("c-move", {"ae_title": title}, {"MoveDestination": destination, **more}, id="1")


@pytest.mark.parametrize("title", ["A", " a ", "B", "", None, "A\\B", ["A", "B"], ["A"], 7, True, Unknown("it broke"), "\ud800", b"A", {}])
def test_every_form_of_a_value_is_decided_alike(title: object) -> None:
    policies = policy_set(
        "{on: c-move, when: {subject.ae_title: A}, allow: {}}",
        "{on: c-move, when: {subject.ae_title: {glob: 'B*'}}, deny: {reason: no}}",
        "{on: c-move, when: {subject.ae_title: {glob: '*7'}, request.MoveDestination: D}, allow: {}}",
    )
    index = Index(policies)
    for _ in range(2):
        assert index.decide(move(title), NOW) == evaluate(policies, move(title), NOW)


def test_a_shared_decision_carries_the_request_that_was_asked() -> None:
    index = Index(policy_set("{on: c-move, when: {subject.ae_title: A}, allow: {}}"))
    first, second = move("A"), move("A", "E")
    assert index.decide(first, NOW).effective is first
    assert index.decide(second, NOW).effective is second


def test_a_rewritten_request_meets_the_rules_for_what_it_became() -> None:
    policies = policy_set(
        "{on: c-move, when: {request.MoveDestination: OLD}, rewrite: [{set: {request.MoveDestination: NEW}}]}",
        "{on: c-move, when: {request.MoveDestination: NEW, subject.ae_title: A}, deny: {reason: not there}}",
        "{on: c-move, when: {subject.ae_title: A}, allow: {}}",
    )
    decision = Index(policies).decide(move("A", "OLD"), NOW)
    assert decision == evaluate(policies, move("A", "OLD"), NOW)
    assert decision.by == ("p/r1",)


def leaving(**elements: str) -> Request:
    return Request("release", {"ae_title": "A"}, {"action": "c-get"}, instance=DatasetView(dataset_of(elements)), id="1")


REMOVE, ANONYMOUS = "{on: release, rewrite: [{remove: instance.PatientBirthDate}]}", "{on: release, rewrite: [{set: {instance.PatientID: NOBODY}}]}"
CASES = {
    "what it was": [ANONYMOUS, "{on: release, when: {original.instance.PatientID: VIP}, deny: {reason: not this patient}}"],
    "what it becomes": [ANONYMOUS, "{on: release, when: {instance.PatientID: NOBODY, instance.Modality: CT}, deny: {reason: nobody}}"],
    "both": [ANONYMOUS, "{on: release, when: {original.instance.PatientID: VIP, instance.PatientID: NOBODY}, audit: {note: seen}}"],
    "nothing to change": [REMOVE, "{on: release, when: {instance.PatientID: VIP}, allow: {}}"],
    "in conflict": [ANONYMOUS, "{on: release, rewrite: [{set: {instance.PatientID: OTHER}}]}"],
    "failed": ["{on: release, rewrite: [{map: {instance.PatientID: {P: Q}}}]}"],
    "shadow": [ANONYMOUS, "{on: release, mode: shadow, rewrite: [{remove: instance.Modality}]}", "{on: release, mode: shadow, deny: {}}"],
    "expired": ["{on: release, valid: {until: '2026-03-02T10:00:00+01:00'}, rewrite: [{remove: instance.PatientID}]}", REMOVE],
    "an own reason": [ANONYMOUS, "{on: release, deny: {reason: '`{instance.Modality}` of {subject.ae_title}'}}"],
    "unknown": [ANONYMOUS, "{on: release, when: {instance.StudyDate: {older_than: 90d}}, deny: {}}"],
}


@pytest.mark.parametrize("rules", CASES.values(), ids=CASES.keys())
def test_a_rewritten_data_set_meets_the_rules_as_the_reference_says(rules: list[str]) -> None:
    policies = policy_set(*rules)
    index = Index(policies)
    for elements in (
        {"PatientID": "VIP", "Modality": "CT", "StudyDate": "202"},
        {"PatientID": "P", "PatientBirthDate": "19700101", "StudyDate": "20250101"},
        {},
    ):
        for _ in range(2):
            request = leaving(**elements)
            decision = index.decide(request, NOW)
            assert decision == evaluate(policies, request, NOW)
            assert decision.effective.instance is request.instance or decision.rewritten


def test_an_edit_that_is_left_out_where_it_is_unknown_is_noted() -> None:
    policies = policy_set(
        "{on: c-move, when: {subject.user: alice}, on_unknown: skip, rewrite: [{set: {request.Priority: 2}}]}",
        "{on: c-move, when: {subject.ae_title: A}, allow: {}}",
    )
    request = Request("c-move", {"ae_title": "A", "user": Unknown("it broke")}, {"Priority": 0, "MoveDestination": "D"}, id="1")
    decision = Index(policies).decide(request, NOW)
    assert decision == evaluate(policies, request, NOW)
    assert decision.allowed
    assert [error.source for error in decision.errors] == ["p/r0"]


def test_what_only_edits_is_decided_without_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    policies = policy_set(REMOVE, "{on: release, when: {instance.Modality: {not_in: [CT, MR]}}, deny: {reason: CT and MR only}}")
    request = leaving(PatientID="P", Modality="CT", PatientBirthDate="19700101")
    expected = evaluate(policies, request, NOW)
    monkeypatch.setattr(index_module, "evaluate", None)
    assert Index(policies).decide(request, NOW) == expected
    assert expected.rewritten == {"instance.PatientBirthDate": None}


def test_an_allow_rule_of_an_action_that_narrows_counts_where_it_does_not_match() -> None:
    policies = policy_set("{on: associate, when: {subject.ae_title: A}, allow: {}}")
    index = Index(policies)
    assert index.decide(Request("associate", {"ae_title": "A"}), NOW).allowed
    assert not index.decide(Request("associate", {"ae_title": "B"}), NOW).allowed


def test_a_request_that_reaches_nothing_and_one_that_is_traced_go_to_the_reference() -> None:
    policies = policy_set("{on: c-move, when: {subject.ae_title: A}, allow: {}}")
    index = Index(policies)
    nothing = Request("c-move", {"ae_title": "A"}, resource=())
    assert index.decide(move("A"), NOW).nothing is False
    assert index.decide(nothing, NOW).nothing is True
    trace = Trace()
    index.decide(move("A"), NOW, (), trace)
    assert trace.rules


def test_verdicts_join_the_rules() -> None:
    policies = policy_set("{on: c-move, when: {subject.ae_title: A}, allow: {}}")
    verdicts = [Verdict(effect="deny", source="plugin:x", reason="no")]
    assert Index(policies).decide(move("A"), NOW, verdicts).by == ("plugin:x",)


def test_what_is_needed_of_the_resource_is_what_the_reference_needs() -> None:
    policies = policy_set(
        "{on: c-move, when: {subject.ae_title: A, resource.PatientID: P}, allow: {}}",
        "{on: c-move, when: {request.MoveDestination: OLD}, rewrite: [{set: {request.Identifier.PatientID: P}}]}",
    )
    index = Index(policies)
    for request in (move("A"), move("B"), move("A", "OLD"), move(Unknown("it broke"))):
        assert index.needs(request, NOW) == needs(policies, request, NOW)
        assert index.needs_after(request, NOW)[1] == needs_after(policies, request, NOW)[1]
    assert index.needs(move("B"), NOW) == frozenset()


def test_an_unknown_action_is_refused() -> None:
    assert not Index(policy_set("{on: c-move, allow: {}}")).decide(Request("c-echo"), NOW).allowed


def test_what_an_exception_needs_of_the_resource_is_looked_up() -> None:
    exception = {
        "id": "e", "of": ["r0"], "when": {"resource.PatientID": "P"}, "reason": "ticket", "approved_by": "office", "expires": "2027-01-01T00:00:00Z",
    }  # fmt: skip
    policies = policy_set("{on: c-move, when: {subject.ae_title: A}, deny: {}}", "{on: c-move, allow: {}}", exceptions=[exception])
    index = Index(policies)
    assert index.needs(move("A"), NOW) == needs(policies, move("A"), NOW) == {"PatientID"}
    assert index.needs(move("B"), NOW) == frozenset()
