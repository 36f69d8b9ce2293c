from __future__ import annotations

from typing import Any

import yaml

from hirules.policy.needs import needs, needs_after
from tests.policy.deciding import NOW, policy_set, request
from tests.policy.test_evaluate import exception, rule

ALLOW = rule("allow", "allow")


def needed(*rules: Any, action: str = "c-move", exceptions: Any = None, **parts: Any) -> set[str]:
    return set(needs(policy_set(ALLOW, *rules, exceptions=exceptions), request(action, **parts), NOW))


def test_nothing_is_needed_that_no_rule_reads() -> None:
    assert needed() == set()
    assert needed(rule("d", "deny", "{subject.user: x}")) == set()


def test_only_rules_that_could_still_match_need_something() -> None:
    deny = rule("d", "deny", "{subject.ae_title: A, resource.PatientID: P1}")
    assert needed(deny, subject={"ae_title": "A"}) == {"PatientID"}
    assert needed(deny, subject={"ae_title": "B"}) == set()
    assert needed(deny, subject={"ae_title": "?"}) == {"PatientID"}


def test_what_is_given_is_not_asked_for() -> None:
    deny = rule("d", "deny", "{resource.PatientID: P1}")
    assert needed(deny, resource=[{"PatientID": "P1"}]) == set()
    assert needed(deny, resource=[]) == set()


def test_every_place_of_a_rule_is_looked_at() -> None:
    condition = (
        "{any: [{resource.PatientID: A}, {not: {resource.StudyDate: {older_than: 1d}}}, {request.MoveDestination: {equals: {path: resource.RetrieveAETitle}}},"
        "{resource.ModalitiesInStudy: {every: {in: [CT]}}}, {'resource.ReferencedStudySequence[*].StudyInstanceUID': '1'}, {resource.count: {gt: 3}},"
        "{resource.RequestAttributesSequence: {item: {StudyID: {equals: {path: resource.StudyID}}}}},"
        "{subject.ae_title: {row_of: {list: $pairs, match: {peer: subject.ae_title, ae_title: resource.InstitutionName}}}}]}"
    )
    assert needed(rule("d", "deny", condition), request={"MoveDestination": "X"}) == {
        "PatientID", "StudyDate", "RetrieveAETitle", "ModalitiesInStudy", "ReferencedStudySequence", "count", "RequestAttributesSequence", "StudyID",
        "InstitutionName",
    }  # fmt: skip


def test_exceptions_reasons_includes_and_edits_need_too() -> None:
    assert needed(rule("d", "deny"), exceptions=[exception("{resource.PatientID: A}")]) == {"PatientID"}
    assert needed(rule("d", "deny", deny={"reason": "{resource.PatientName}"})) == {"PatientName"}
    assert needed(rule("n", "audit", audit={"include": ["resource.StudyID"]})) == {"StudyID"}
    rewrite = {"id": "r", "on": "c-move", "rewrite": [{"set": {"request.MoveDestination": {"path": "resource.RetrieveAETitle"}}}]}
    assert needed(rewrite) == {"RetrieveAETitle"}


def test_shadow_rules_need_what_they_read_and_others_do_not() -> None:
    condition = "{resource.PatientID: P1}"
    assert needed(rule("d", "deny", condition, mode="shadow")) == {"PatientID"}
    assert needed(rule("d", "deny", condition, mode="off")) == set()
    assert needed(rule("d", "deny", condition, valid={"until": "2020-01-01T00:00:00Z"})) == set()


def test_actions_without_a_resource_need_nothing() -> None:
    assert needs(policy_set(rule("a", "allow", on="c-find")), request("c-find"), NOW) == frozenset()
    assert needs(policy_set(ALLOW), request("c-echo"), NOW) == frozenset()


def rewriting(edits: str, when: str = "") -> Any:
    condition = {"when": yaml.load(when, Loader=yaml.BaseLoader)} if when else {}
    return {"id": "r", "on": "c-move", "rewrite": yaml.load(edits, Loader=yaml.BaseLoader), **condition}


SELECTING = "[{set: {request.Identifier.StudyInstanceUID: '1.9'}}]"
DENY = rule("d", "deny", "{request.MoveDestination: B, resource.PatientID: P1}")


def test_rules_are_looked_at_with_the_effective_request() -> None:
    assert needed(rewriting("[{set: {request.MoveDestination: B}}]"), DENY, request={"MoveDestination": "A"}) == {"PatientID"}
    assert needed(rewriting("[{set: {request.MoveDestination: C}}]"), DENY, request={"MoveDestination": "B"}) == set()


def test_where_the_rewrite_is_undecided_everything_that_could_be_read_is_needed() -> None:
    found = needed(rewriting("[{set: {request.MoveDestination: B}}]", "{resource.StudyID: X}"), DENY, request={"MoveDestination": "A"})
    assert found == {"StudyID", "PatientID"}


def test_what_the_effective_request_reaches_is_asked_for_apart() -> None:
    policies = policy_set(ALLOW, rewriting(SELECTING), DENY)
    one = request(request={"MoveDestination": "B", "Identifier": {"StudyInstanceUID": "1.2"}})
    assert needs(policies, one, NOW) == frozenset()
    effective, names = needs_after(policies, one, NOW)
    assert names == {"PatientID"}
    assert effective.request["Identifier"] == {"StudyInstanceUID": "1.9"}
    assert effective.resource is None
    told = request(request={"MoveDestination": "B", "Identifier": {"StudyInstanceUID": "1.2"}}, resource_after=[{"PatientID": "P2"}])
    assert needs_after(policies, told, NOW)[1] == frozenset()
    same = request(request={"MoveDestination": "B", "Identifier": {"StudyInstanceUID": "1.9"}})
    assert needs_after(policies, same, NOW)[1] == frozenset()
    assert needs(policies, same, NOW) == {"PatientID"}
