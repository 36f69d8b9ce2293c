from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from hirules.model.decision import AssociateStatus, Error
from hirules.model.request import Request
from hirules.policy.evaluate import Trace, Verdict, evaluate
from hirules.policy.notes import sampled
from tests.policy.deciding import NOW, decide, loaded, policy_set, request


def rule(name: str, effect: str, when: str = "", /, on: Any = "c-move", **more: Any) -> dict[str, Any]:
    """`rule("d", "deny", "{subject.user: a}")`."""
    effects: dict[str, Any] = {"allow": {}, "deny": {}, "audit": {}}
    condition = {"when": yaml.load(when, Loader=yaml.BaseLoader)} if when else {}
    return {"id": name, "on": on, **condition, **({effect: effects[effect]} if effect not in more else {}), **more}


ALLOW = rule("allow", "allow")
P1, SECRET = "{resource.PatientID: P1}", "{resource.PatientID: SECRET}"


# Combining.


def test_one_deny_denies_and_names_every_deny() -> None:
    policies = policy_set(ALLOW, rule("b", "deny"), rule("a", "deny"), rule("c", "deny", "{subject.user: x}"))
    decision = decide(policies)
    assert (decision.decision, decision.by, decision.status) == ("deny", ("p/a", "p/b"), 0x0124)


def test_an_allow_allows_and_every_allow_is_named() -> None:
    decision = decide(policy_set(ALLOW, rule("b", "allow"), rule("c", "allow", "{subject.user: x}")))
    assert (decision.decision, decision.by, decision.status, decision.reason) == ("allow", ("p/allow", "p/b"), None, "")


def test_otherwise_combining_speaks() -> None:
    some = rule("a", "allow", "{subject.user: x}")
    assert (decide(policy_set(some)).decision, decide(policy_set(some)).by, decide(policy_set(some)).status) == ("deny", (), 0x0124)
    permitting = decide(policy_set(some, combining="permit-unless-deny"))
    assert (permitting.decision, permitting.by) == ("allow", ())


@pytest.mark.parametrize("combining", ["deny-unless-permit", "permit-unless-deny"])
def test_an_unknown_deny_matches_and_an_unknown_allow_does_not(combining: str) -> None:
    unknown: dict[str, Any] = {"subject": {"user": "?"}}
    denied = decide(policy_set(ALLOW, rule("d", "deny", "{subject.user: x}"), combining=combining), **unknown)
    assert (denied.by, denied.errors[0].source, denied.errors[0].path) == (("p/d",), "p/d", "subject.user")
    assert decide(policy_set(ALLOW, rule("d", "deny", "{not: {subject.user: x}}"), combining=combining), **unknown).by == ("p/d",)
    assert decide(policy_set(rule("a", "allow", "{subject.user: x}"), combining=combining), **unknown).by == ()
    assert decide(policy_set(rule("a", "allow", "{not: {subject.user: x}}"), combining=combining), **unknown).by == ()


def test_known_conditions_bound_an_unknown_one() -> None:
    policies = policy_set(ALLOW, rule("d", "deny", "{subject.user: x, subject.ae_title: A}"))
    assert decide(policies, subject={"user": "?", "ae_title": "B"}).by == ("p/allow",)
    assert decide(policies, subject={"user": "?", "ae_title": "B"}).errors == ()
    assert decide(policies, subject={"user": "?", "ae_title": "A"}).by == ("p/d",)


def test_a_time_without_offset_is_that_of_the_sets_zone() -> None:
    policies = policy_set(rule("a", "allow", "{context.now: {time_between: [10:00, 10:30]}}"))
    assert decide(policies, now=NOW.replace(tzinfo=None)).allowed
    assert decide(policies, now=NOW.astimezone(UTC)).allowed
    assert not decide(policies, now=NOW.replace(tzinfo=UTC)).allowed


def test_unless() -> None:
    policies = policy_set(ALLOW, rule("d", "deny", unless={"subject.ae_title": "A"}))
    assert decide(policies, subject={"ae_title": "a"}).allowed
    assert not decide(policies, subject={"ae_title": "b"}).allowed
    assert not decide(policies, subject={"ae_title": "?"}).allowed


def test_an_action_that_is_none_is_refused_whatever_combining_says() -> None:
    policies = policy_set(ALLOW, combining="permit-unless-deny")
    decision = decide(policies, "c-echo", id="7")
    assert (decision.decision, decision.by, decision.errors) == ("deny", (), (Error("gate", "there is no such action"),))
    assert (decision.reason, decision.full_reason) == ("there is no such action", "there is no such action")
    assert (decision.status, decision.id, decision.policies) == (0x0124, "7", policies.digest)


# Actions that only narrow.

NARROWING = ["associate", "answer", "release"]


@pytest.mark.parametrize("action", NARROWING)
def test_what_only_narrows_is_permitted_unless_denied_or_allowed_elsewhere(action: str) -> None:
    assert decide(policy_set(ALLOW), action).allowed
    assert decide(policy_set(ALLOW, rule("d", "deny", on=action)), action).by == ("p/d",)
    some = rule("a", "allow", "{subject.user: x}", on=action)
    assert not decide(policy_set(ALLOW, some), action).allowed
    assert decide(policy_set(ALLOW, some, combining="permit-unless-deny"), action).allowed
    assert decide(policy_set(ALLOW, some), action, subject={"user": "x"}).by == ("p/a",)


@pytest.mark.parametrize("action", NARROWING)
@pytest.mark.parametrize("valid", [{"until": "2026-01-01T00:00:00Z"}, {"from": "2027-01-01T00:00:00Z"}])
def test_an_allow_rule_counts_there_whatever_its_validity_but_only_in_mode_enforce(action: str, valid: Any) -> None:
    assert not decide(policy_set(ALLOW, rule("a", "allow", on=action, valid=valid)), action).allowed
    for mode in ("shadow", "off"):
        assert decide(policy_set(ALLOW, rule("a", "allow", on=action, mode=mode)), action).allowed


# Entities.


@pytest.mark.parametrize("asked", ["c-get", "c-move"])
def test_a_store_that_a_retrieve_brings_is_permitted_unless_denied_whatever_is_allowed_elsewhere(asked: str) -> None:
    only_get = policy_set(rule("a", "allow", on=asked))
    stored: dict[str, Any] = {"subject": {"ae_title": "PACS"}}
    brought = {**stored, "request": {"action": asked}}
    assert [decide(only_get, "c-store", **each).decision for each in (stored, brought)] == ["deny", "allow"]
    elsewhere = policy_set(rule("a", "allow", "{subject.ae_title: OTHER}", on="c-store"))
    assert [decide(elsewhere, "c-store", **each).decision for each in (stored, brought)] == ["deny", "allow"]
    narrowed = policy_set(rule("d", "deny", f"{{request.action: {asked}}}", on="c-store"), rule("a", "allow", on="c-store"))
    assert [decide(narrowed, "c-store", **each).decision for each in (stored, brought)] == ["allow", "deny"]
    unknown = policy_set(rule("d", "deny", "{instance.PatientID: VIP}", on="c-store"))
    assert decide(unknown, "c-store", **brought).decision == "deny"
    assert decide(only_get, "c-find", request={"action": asked}).decision == "deny"


def test_every_entity_must_be_allowed_and_none_denied() -> None:
    policies = policy_set(rule("a", "allow", P1), rule("b", "allow", "{resource.PatientID: P2}"), rule("d", "deny", SECRET))
    assert decide(policies, resource=[{"PatientID": "P1"}, {"PatientID": "P2"}]).by == ("p/a", "p/b")
    assert (decide(policies, resource=[{"PatientID": "P1"}, {"PatientID": "P3"}]).decision, decide(policies, resource=[{"PatientID": "P3"}]).by) == ("deny", ())
    assert decide(policies, resource=[{"PatientID": "P1"}, {"PatientID": "SECRET"}]).by == ("p/d",)
    assert decide(policies, resource=[{"PatientID": "P1"}, {}]).by == ("p/d",)
    assert decide(policies, resource=[{"PatientID": "P1"}, "?"]).by == ("p/d",)
    assert decide(policies).by == ("p/d",)


def test_a_request_known_to_reach_nothing_has_absent_attributes() -> None:
    policies = policy_set(
        rule("a", "allow", "{resource.PatientID: {not_equals: SECRET}}"), rule("d", "deny", SECRET), rule("c", "deny", "{resource.count: {gte: 0}}")
    )
    decision = decide(policies, resource=[])
    assert (decision.by, decision.nothing) == (("p/a",), True)
    assert decide(policy_set(rule("a", "allow", P1)), resource=[]).nothing is False
    assert decide(policy_set(ALLOW), resource=[{"PatientID": "P1"}]).nothing is False
    assert decide(policy_set(rule("a", "allow", on="n-get")), "n-get", resource=[]).nothing is False


def test_counts_are_of_all_entities() -> None:
    policies = policy_set(ALLOW, rule("d", "deny", "{any: [{resource.count: {gt: 2}}, {resource.instance_count: {gt: 100}}]}"))
    assert decide(policies, resource=[{"instance_count": 50}, {"instance_count": 50}]).allowed
    assert not decide(policies, resource=[{"instance_count": 50}, {"instance_count": 51}]).allowed
    assert not decide(policies, resource=[{"instance_count": 1}] * 3).allowed
    assert not decide(policies, resource=[{"instance_count": 1}, {}]).allowed


def test_an_entity_whose_allow_is_unknown_refuses_the_whole() -> None:
    policies = policy_set(rule("a", "allow", P1))
    assert decide(policies, resource=[{"PatientID": "P1"}, {}]).by == ()
    assert not decide(policies, resource=[{"PatientID": "P1"}, {}]).allowed


# Validity, modes, exceptions.


def test_validity_is_from_inclusive_until_exclusive() -> None:
    policies = policy_set(ALLOW, rule("d", "deny", valid={"from": NOW.isoformat(), "until": (NOW + timedelta(hours=1)).isoformat()}))
    assert decide(policies, now=NOW - timedelta(microseconds=1)).allowed
    assert not decide(policies, now=NOW).allowed
    assert not decide(policies, now=NOW + timedelta(minutes=59)).allowed
    assert decide(policies, now=NOW + timedelta(hours=1)).allowed


def exception(when: str, name: str = "e", of: str = "d", expires: str = "2026-12-31T23:59:59Z") -> dict[str, Any]:
    return {"id": name, "of": [of], "when": yaml.load(when, Loader=yaml.BaseLoader), "reason": "ticket 1", "approved_by": "office", "expires": expires}


def test_an_exception_suspends_only_the_rule_it_names_and_is_recorded() -> None:
    policies = policy_set(ALLOW, rule("d", "deny"), rule("other", "deny", "{subject.user: y}"), exceptions=[exception("{subject.user: [x, y]}")])
    decision = decide(policies, subject={"user": "x"})
    assert decision.by == ("p/allow",)
    assert [(use.exception, use.rule, use.reason, use.approved_by) for use in decision.exceptions] == [("p/e", "p/d", "ticket 1", "office")]
    assert decide(policies, subject={"user": "y"}).by == ("p/other",)
    assert decide(policies, subject={"user": "z"}).exceptions == ()


def test_an_unknown_exception_does_not_suspend() -> None:
    decision = decide(policy_set(ALLOW, rule("d", "deny"), exceptions=[exception("{subject.user: x}")]), subject={"user": "?"})
    assert (decision.by, decision.exceptions, decision.errors[0].source) == (("p/d",), (), "p/e")


def test_an_exception_suspends_a_rule_that_matches_because_it_is_unknown() -> None:
    policies = policy_set(ALLOW, rule("d", "deny", "{subject.user: a}"), exceptions=[exception("{subject.ae_title: X}")])
    assert decide(policies, subject={"user": "?", "ae_title": "X"}).by == ("p/allow",)


def test_an_expired_exception_suspends_nothing() -> None:
    policies = policy_set(ALLOW, rule("d", "deny"), exceptions=[exception("{subject.user: x}", expires=NOW.isoformat())])
    assert decide(policies, now=NOW - timedelta(microseconds=1), subject={"user": "x"}).allowed
    assert decide(policies, now=NOW, subject={"user": "x"}).by == ("p/d",)


def test_an_exception_is_looked_at_entity_by_entity() -> None:
    policies = policy_set(ALLOW, rule("d", "deny"), exceptions=[exception(P1)])
    assert decide(policies, resource=[{"PatientID": "P1"}]).allowed
    assert not decide(policies, resource=[{"PatientID": "P1"}, {"PatientID": "P2"}]).allowed
    assert not decide(policies, resource=[{"PatientID": "P1"}, {}]).allowed
    assert len(decide(policies, resource=[{"PatientID": "P1"}, {"PatientID": "P1"}]).exceptions) == 1


def test_an_exception_is_looked_at_where_its_rule_is() -> None:
    rewrite = {"id": "r", "on": "c-move", "rewrite": [{"set": {"request.MoveDestination": "NEW"}}]}
    of_rewrite = policy_set(ALLOW, rewrite, exceptions=[exception("{request.MoveDestination: OLD}", of="r")])
    assert decide(of_rewrite, request={"MoveDestination": "OLD"}).rewritten == {}
    assert [use.rule for use in decide(of_rewrite, request={"MoveDestination": "OLD"}).exceptions] == ["p/r"]
    of_deny = policy_set(ALLOW, rewrite, rule("d", "deny"), exceptions=[exception("{request.MoveDestination: NEW}")])
    assert decide(of_deny, request={"MoveDestination": "OLD"}).by == ("p/allow",)
    of_old = policy_set(ALLOW, rewrite, rule("d", "deny"), exceptions=[exception("{request.MoveDestination: OLD}")])
    assert decide(of_old, request={"MoveDestination": "OLD"}).by == ("p/d",)


def test_off_is_off_and_shadow_changes_nothing() -> None:
    policies = policy_set(
        ALLOW, rule("off", "deny", mode="off"), rule("d", "deny", mode="shadow"), rule("n", "audit", mode="shadow"), rule("a", "allow", mode="shadow"),
        {"id": "r", "on": "c-move", "mode": "shadow", "rewrite": [{"set": {"request.Priority": 2}}]},
    )  # fmt: skip
    decision = decide(policies)
    assert (decision.decision, decision.by, decision.notes, decision.rewritten) == ("allow", ("p/allow",), (), {})
    assert [(result.rule, result.effect, result.outcome) for result in decision.shadow] == [
        ("p/a", "allow", "allow"), ("p/d", "deny", "deny"), ("p/n", "audit", "audit"), ("p/r", "rewrite", "rewrite"),
    ]  # fmt: skip
    assert decision.shadow[3].edits == {"request.Priority": 2}


def test_shadow_rewrites_say_conflict_unknown_and_deny() -> None:
    def shadow(name: str, edit: Any, when: str = "") -> dict[str, Any]:
        condition = {"when": yaml.load(when, Loader=yaml.BaseLoader)} if when else {}
        return {"id": name, "on": "c-move", "mode": "shadow", "rewrite": [edit], **condition}

    policies = policy_set(
        ALLOW, {"id": "real", "on": "c-move", "rewrite": [{"set": {"request.MoveDestination": "A"}}]},
        shadow("conflict", {"set": {"request.MoveDestination": "B"}}), shadow("unknown", {"set": {"request.Priority": 1}}, "{subject.user: x}"),
        shadow("failed", {"map": {"request.Priority": {"1": "2"}}}), shadow("same", {"set": {"request.MoveDestination": "A"}}),
    )  # fmt: skip
    decision = decide(policies, subject={"user": "?"}, request={"MoveDestination": "X", "Priority": 0})
    assert (decision.decision, decision.rewritten, decision.errors) == ("allow", {"request.MoveDestination": "A"}, ())
    assert {result.rule: result.outcome for result in decision.shadow} == {
        "p/conflict": "conflict", "p/unknown": "unknown", "p/failed": "deny", "p/same": "rewrite",
    }  # fmt: skip


# What a refusal says.


def test_the_highest_severity_then_the_lowest_name_speaks() -> None:
    policies = policy_set(
        rule("z", "deny", deny={"reason": "z", "status": "0xA801"}, severity="high"), rule("y", "deny", deny={"reason": "y"}, severity="high"),
        rule("a", "deny", deny={"reason": "a"}, severity="medium"),
    )  # fmt: skip
    assert (decide(policies).reason, decide(policies).status, decide(policies).by) == ("y", 0x0124, ("p/a", "p/y", "p/z"))


def test_no_match_speaks_first_and_gives_no_reason() -> None:
    policies = policy_set(rule("a", "deny", deny={"reason": "secret", "respond": "no-match"}), rule("z", "deny", deny={"reason": "z"}, severity="alert"))
    decision = decide(policies)
    assert (decision.no_match, decision.reason, decision.full_reason, decision.by) == (True, "", "secret", ("p/a", "p/z"))


def test_a_reason_quotes_and_never_shows_patient_data_to_the_caller() -> None:
    text = "{{x} {request.MoveDestination} {request.Identifier.PatientID} {subject.user} {context.purpose_of_use} {resource.PatientName}"
    policies = policy_set(rule("d", "deny", deny={"reason": text}))
    decision = decide(
        policies, subject={"user": "?"}, request={"MoveDestination": "ws", "Identifier": {"PatientID": "P123"}}, resource=[{"PatientName": "Doe^Jane"}]
    )
    assert decision.reason == "{x} WS … ? - …"
    assert decision.full_reason == "{x} WS P123 ? - Doe^Jane"
    # that there is none, or that it is unknown, is no patient data
    nothing = decide(policies, request={"Identifier": {"PatientID": "?"}}, resource=[{"PatientName": None}])
    assert nothing.reason == "{x} - ? - - -"


def test_a_reason_for_the_caller_is_short_and_printable() -> None:
    policies = policy_set(rule("d", "deny", deny={"reason": "{subject.user}" + "x" * 100}))
    decision = decide(policies, subject={"user": "a\n\\b"})
    assert decision.reason == "a??b" + "x" * 60
    assert len(decision.full_reason) == 104


@pytest.mark.parametrize(
    ("action", "status"),
    [("c-find", 0x0124), ("n-get", 0x0124), ("get-image-set", "AccessDenied"), ("associate", AssociateStatus(1, 1, 1)), ("release", 0x0124)],
)
def test_default_statuses(action: str, status: object) -> None:
    assert decide(policy_set(rule("d", "deny", on=action)), action).status == status
    unpermitted = decide(policy_set(rule("a", "allow", "{subject.user: x}", on=action)), action)
    assert (unpermitted.by, unpermitted.status) == ((), status)


def test_offending_elements_are_named() -> None:
    decision = decide(policy_set(rule("d", "deny", deny={"offending": "request.Identifier.PatientID"})))
    assert decision.offending == ("request.Identifier.PatientID",)
    hidden = decide(policy_set(rule("d", "deny", deny={"offending": "request.Identifier.PatientID", "respond": "no-match"})))
    assert (hidden.no_match, hidden.offending) == (True, ())


# Audit.


def test_audit_rules_note_and_change_nothing() -> None:
    audit = {"severity": "alert", "note": "seen", "include": ["resource.PatientID", "subject.user", "request.Priority"]}
    policies = policy_set(ALLOW, rule("n", "audit", P1, audit=audit))
    (note,) = decide(policies, resource=[{"PatientID": "P2"}, {"PatientID": "P1"}], subject={"user": "?"}).notes
    assert (note.source, note.severity, note.note) == ("p/n", "alert", "seen")
    assert note.include == {"resource.PatientID": "P1", "subject.user": "?", "request.Priority": None}
    assert decide(policies, resource=[{"PatientID": "P2"}]).notes == ()
    assert len(decide(policies).notes) == 1
    assert decide(policies).by == ("p/allow",)


def test_audit_rules_note_a_refused_rewrite_too() -> None:
    rewrites = [{"id": name, "on": "c-move", "rewrite": [{"set": {"request.Priority": value}}]} for name, value in (("a", "1"), ("b", "2"))]
    decision = decide(policy_set(ALLOW, rule("n", "audit"), *rewrites))
    assert (decision.by, [note.source for note in decision.notes]) == (("p/a", "p/b"), ["p/n"])


def test_a_sample_is_a_hash_of_the_request_id() -> None:
    policies = policy_set(ALLOW, rule("n", "audit", audit={"sample": "5%"}))
    ids = [f"id-{number}" for number in range(2000)]
    noted = {name for name in ids if decide(policies, id=name).notes}
    assert 60 < len(noted) < 140
    assert noted == {name for name in ids if sampled(name, 0.05)}
    assert all(sampled(name, 1.0) and not sampled(name, 0.0) for name in ids)


# Plugins.


def verdict(effect: Any, **more: Any) -> Verdict:
    return Verdict(effect=effect, source=more.pop("source", "plugin:x"), **more)


def test_plugins_are_combined_by_the_same_law() -> None:
    denied = decide(policy_set(ALLOW), verdicts=[verdict("deny", reason="closed", status=0xA801)])
    assert (denied.by, denied.status, denied.reason) == (("plugin:x",), 0xA801, "closed")
    assert decide(policy_set(rule("a", "allow", "{subject.user: x}")), verdicts=[verdict("allow")]).by == ("plugin:x",)
    assert decide(policy_set(rule("d", "deny")), verdicts=[verdict("allow")]).by == ("p/d",)
    assert decide(policy_set(ALLOW), verdicts=[verdict("audit", severity="high", note="n")]).notes[0].severity == "high"
    assert decide(policy_set(ALLOW), verdicts=[verdict("deny"), verdict("allow", source="plugin:y")]).by == ("plugin:x",)


@pytest.mark.parametrize("effect", ["unknown", "something else"])
@pytest.mark.parametrize("combining", ["deny-unless-permit", "permit-unless-deny"])
@pytest.mark.parametrize("action", ["c-move", *NARROWING])
def test_a_plugin_that_failed_denies(effect: str, combining: str, action: str) -> None:
    policies = policy_set(rule("allow", "allow", on=["c-move", *NARROWING]), combining=combining)
    decision = decide(policies, action, verdicts=[verdict(effect, reason="raised ValueError")])
    assert (decision.decision, decision.by, decision.errors) == ("deny", ("plugin:x",), (Error("plugin:x", "raised ValueError"),))
    assert (decision.reason, decision.full_reason) == ("a plugin could not decide", "raised ValueError")
    silent = decide(policies, action, verdicts=[verdict(effect)])
    assert (silent.reason, silent.full_reason) == ("a plugin could not decide", "a plugin could not decide")
    assert silent.status == decide(policies, action, verdicts=[verdict("deny")]).status


@pytest.mark.parametrize("status", [0x0000, 0xFF00, 0xB000, "AccessDenied", None])
def test_a_plugins_status_must_refuse(status: Any) -> None:
    assert decide(policy_set(ALLOW), verdicts=[verdict("deny", status=status)]).status == 0x0124


def test_a_verdict_is_no_error() -> None:
    said = [verdict("deny"), verdict("allow", source="plugin:y"), verdict("audit", source="plugin:z")]
    assert decide(policy_set(ALLOW), verdicts=said).errors == ()
    assert decide(policy_set(ALLOW), verdicts=[verdict("unknown")]).errors == (Error("plugin:x", "the plugin could not decide"),)


def test_a_severity_that_is_none_is_the_lowest() -> None:
    said = [verdict("deny", source="plugin:a", severity="urgent", reason="a"), verdict("deny", source="plugin:b", severity="medium", reason="b")]
    assert decide(policy_set(ALLOW), verdicts=said).reason == "b"


def test_a_plugin_hides_only_where_a_rule_could() -> None:
    assert decide(policy_set(ALLOW), verdicts=[verdict("deny", no_match=True)]).no_match
    assert not decide(policy_set(ALLOW), "c-store", verdicts=[verdict("deny", no_match=True)]).no_match


def test_an_operator_that_raises_is_unknown() -> None:
    import msgspec

    from hirules.policy.operators import OPERATORS

    def raising(*_: object) -> bool:
        raise RuntimeError("no")

    broken = {**OPERATORS, "equals": msgspec.structs.replace(OPERATORS["equals"], evaluate=raising)}
    allowing = policy_set(rule("a", "allow", "{subject.user: x}"))
    assert not evaluate(allowing, request(subject={"user": "x"}), NOW, operators=broken).allowed
    denying = policy_set(ALLOW, rule("d", "deny", "{subject.user: y}"))
    decision = evaluate(denying, request(subject={"user": "x"}), NOW, operators=broken)
    assert (decision.by, decision.errors[0].message) == (("p/d",), "`equals` raised RuntimeError")
    shadowed = policy_set(ALLOW, rule("d", "deny", "{subject.user: y}", mode="shadow"))
    assert evaluate(shadowed, request(subject={"user": "x"}), NOW, operators=broken).allowed


# The record, and explaining.


def test_the_digest_is_passed_through_and_the_order_of_files_does_not_matter() -> None:
    one = {"hirules": 1, "policy": "one", "title": "one", "rules": [rule("d", "deny", "{subject.user: x}")]}
    two = {"hirules": 1, "policy": "two", "title": "two", "rules": [ALLOW]}
    policies = loaded({"b": one, "a": two})
    assert decide(policies).policies == policies.digest
    assert decide(policies, subject={"user": "x"}).by == ("one/d",)


def test_errors_never_quote_values() -> None:
    policies = policy_set(rule("d", "deny", "{resource.StudyDate: {lt: 2020-01-01}, resource.PatientID: x}"))
    decision = decide(policies, resource=[{"StudyDate": "SECRET-DATE", "PatientID": ["SECRET-1", "SECRET-2"]}])
    assert {error.path for error in decision.errors} == {"resource.StudyDate", "resource.PatientID"}
    assert "SECRET" not in str(decision.errors)


def test_a_trace_says_of_every_rule_what_came_of_it() -> None:
    policies = policy_set(
        ALLOW, rule("d", "deny", "{subject.user: x}"), rule("e", "deny", "{subject.user: [y]}"), rule("other", "deny", on="c-find"),
        rule("off", "deny", mode="off"), rule("old", "deny", valid={"until": "2020-01-01T00:00:00Z"}),
        exceptions=[exception("{subject.ae_title: A}", "suspends", of="e")],
    )  # fmt: skip
    trace = Trace()
    traced = evaluate(policies, request(subject={"user": "y", "ae_title": "a"}), NOW, (), trace)
    assert traced == evaluate(policies, request(subject={"user": "y", "ae_title": "a"}), NOW)
    assert {(one.rule, one.outcome) for one in trace.rules} == {
        ("p/allow", "matched"), ("p/d", "not matched"), ("p/e", "suspended"), ("p/off", "not considered"), ("p/old", "not considered"),
        ("p/other", "not considered"), ("p/suspends", "matched"),
    }  # fmt: skip
    assert {one.rule: one.why for one in trace.rules} == {
        "p/allow": "its condition holds: allow", "p/d": "its condition does not hold", "p/e": "suspended by `p/suspends`", "p/off": "its mode is off",
        "p/old": "it is no longer valid", "p/other": "it is not for `c-move`", "p/suspends": "suspends `p/e`",
    }  # fmt: skip
    assert {(one.rule, one.of) for one in trace.rules if one.of} == {("p/suspends", "p/e")}
    assert {one.rule: (one.step, one.mode) for one in trace.rules if one.entity is None} == {
        "p/off": ("decide", "off"), "p/old": ("decide", "enforce"), "p/other": ("decide", "enforce"),
    }  # fmt: skip
    (test,) = next(one for one in trace.rules if one.rule == "p/d").tests
    assert (test.path, test.operators, test.truth, test.seen.values) == ("subject.user", ("equals",), False, ("y",))
    assert repr(trace) == f"Trace({len(trace.rules)} rules)"


def test_a_trace_says_at_which_entity_and_step_what_was_unknown() -> None:
    policies = policy_set(
        rule("d", "deny", "{resource.PatientID: P1}", mode="shadow"), rule("a", "audit", "{resource.PatientID: P1}"),
        {"id": "w", "on": "c-move", "when": {"resource.PatientID": "P1"}, "rewrite": [{"set": {"request.Priority": 2}}]},
    )  # fmt: skip
    trace = Trace()
    evaluate(policies, request(resource=[{"PatientID": "P2"}, {}]), NOW, (), trace)
    found = {(one.rule, one.entity): (one.step, one.outcome, one.why, one.mode, len(one.tests)) for one in trace.rules if one.rule != "p/w"}
    assert found == {
        ("p/d", 0): ("decide", "not matched", "its condition does not hold", "shadow", 1),
        ("p/d", 1): ("decide", "unknown", "its condition is unknown, so it denies", "shadow", 1),
        ("p/a", 0): ("decide", "not matched", "its condition does not hold", "enforce", 1),
        ("p/a", 1): ("decide", "unknown", "its condition is unknown, so it is noted", "enforce", 1),
    }
    assert [(one.step, one.outcome, one.entity) for one in trace.rules if one.rule == "p/w"] == [("rewrite", "not matched", 0), ("rewrite", "unknown", 1)]


def test_a_trace_says_why_an_exception_did_or_did_not_suspend() -> None:
    policies = policy_set(
        rule("d", "deny", mode="shadow"),
        exceptions=[exception("{subject.ae_title: A}", "holds"), exception("{subject.ae_title: B}", "not"), exception("{subject.user: x}", "unknown")],
    )
    trace = Trace()
    evaluate(policies, request(subject={"user": "?", "ae_title": "a"}), NOW, (), trace)
    assert {(one.rule, one.outcome, one.why, one.of, one.mode, len(one.tests)) for one in trace.rules} == {
        ("p/holds", "matched", "suspends `p/d`", "p/d", "shadow", 1),
        ("p/not", "not matched", "its condition does not hold", "p/d", "shadow", 1),
        ("p/unknown", "unknown", "its condition is unknown, so it does not suspend", "p/d", "shadow", 1),
        ("p/d", "suspended", "suspended by `p/holds`", None, "shadow", 0),
    }


def test_a_trace_says_in_which_step_and_part() -> None:
    policies = policy_set(
        {"id": "w", "on": "c-find", "rewrite": [{"set": {"request.Priority": 2}}]},
        rule("d", "deny", "{all: [{subject.user: x}, {any: [{subject.ae_title: A}]}]}", unless={"not": {"subject.user": "y"}}),
    )
    trace = Trace()
    evaluate(policies, request(subject={"user": "x", "ae_title": "a"}), NOW, (), trace)
    assert [(one.rule, one.step, one.outcome) for one in trace.rules if one.rule == "p/w"] == [("p/w", "rewrite", "not considered")]
    (seen,) = [one for one in trace.rules if one.rule == "p/d"]
    assert [(test.path, test.part) for test in seen.tests] == [("subject.user", "when"), ("subject.ae_title", "when"), ("subject.user", "unless")]


def test_a_trace_shows_the_tests_inside_an_item() -> None:
    policies = policy_set(rule("d", "deny", "{request.Identifier.RequestAttributesSequence: {item: {StudyID: A}}}"))
    trace = Trace()
    evaluate(policies, request(request={"Identifier": {"RequestAttributesSequence": [{"StudyID": "A"}]}}), NOW, (), trace)
    assert [(test.path, test.part, test.truth) for test in trace.rules[0].tests] == [
        ("item.StudyID", "item", True), ("request.Identifier.RequestAttributesSequence", "when", True),
    ]  # fmt: skip


def test_now_without_an_offset_is_in_the_zone_of_the_set() -> None:
    policies = policy_set(rule("a", "allow", "{context.now: {time_between: [09:59, 10:01]}}"))
    assert evaluate(policies, Request("c-move"), datetime(2026, 3, 2, 10, 0)).allowed


# The example of LANGUAGE §1, and its tests of §7.

EXAMPLE = {
    "hirules": 1, "policy": "move-destinations", "title": "t",
    "lists": {"clinical": ["PACS_MAIN", "PACS_DR"], "agreements": {"file": "pairs.csv", "column": "ae_title"}, "vip": ["VIP1"]},
    "rules": [
        {"id": "old-pacs-is-gone", "on": "c-move",
         "when": {"request.MoveDestination": "OLDPACS"}, "rewrite": [{"set": {"request.MoveDestination": "PACS_MAIN"}}]},
        {"id": "only-agreed-destinations", "on": "c-move", "when": {"request.MoveDestination": {"not_in": "$agreements"}},
         "unless": {"subject.ae_title": {"in": "$clinical"}}, "deny": {"reason": "`{request.MoveDestination}` has no release agreement", "status": "0xA801"}},
        {"id": "clinical-retrieve", "on": ["c-find", "c-get", "c-move"], "when": {"subject.ae_title": {"in": "$clinical"}}, "allow": {}},
        {"id": "watch-vip", "on": "retrieve",
         "when": {"resource.PatientID": {"in": "$vip"}}, "audit": {"severity": "alert", "note": "a VIP record was requested"}},
    ],
    "exceptions": [{"id": "audit-2026-17", "of": ["only-agreed-destinations"], "when": {"request.MoveDestination": "AUDIT_NODE"}, "reason": "external audit",
                    "approved_by": "privacy-office", "expires": "2026-12-31T23:59:59Z"}],
}  # fmt: skip


def test_the_example_decides_as_its_tests_say() -> None:
    policies = loaded({"example": EXAMPLE})
    refused = decide(
        policies,
        subject={"ae_title": "RES_1", "address": "10.1.2.3"},
        request={"MoveDestination": "NOWHERE"},
        resource=[{"PatientID": "P1", "StudyDate": "20250101"}],
    )
    assert (refused.decision, refused.by, refused.status) == ("deny", ("move-destinations/only-agreed-destinations",), 0xA801)
    assert refused.reason == "`NOWHERE` has no release agreement"
    moved = decide(policies, subject={"ae_title": "PACS_MAIN"}, request={"MoveDestination": "OLDPACS"})
    assert (moved.decision, moved.rewritten) == ("allow", {"request.MoveDestination": "PACS_MAIN"})
    assert (moved.by, [note.source for note in moved.notes]) == (("move-destinations/clinical-retrieve",), ["move-destinations/watch-vip"])
    excepted = decide(policies, subject={"ae_title": "RES_1"}, request={"MoveDestination": "audit_node"}, resource=[])
    assert (excepted.decision, excepted.by, len(excepted.exceptions)) == ("deny", (), 1)
