"""The laws of LANGUAGE §6, for every policy set and every request: here for generated ones."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import msgspec
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hirules.model.decision import Decision
from hirules.model.reading import Unknown
from hirules.model.request import Request, replaced
from hirules.policy.ast import PolicySet
from hirules.policy.edits import EDITS
from hirules.policy.evaluate import Trace, Verdict, evaluate
from hirules.policy.needs import needs, needs_after
from hirules.policy.operators import OPERATORS
from tests.laws.generated import SETTINGS, VERDICTS, WHOLE_ENTITY, Policies, policies, request_of, requests, rules
from tests.policy.deciding import NOW, loaded

EXAMPLES = int(os.environ.get("HIRULES_LAW_EXAMPLES", "30"))
"""More of them find more: each law was seen to hold for 2,000."""

law = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def set_of(found: Policies, combining: str = "deny-unless-permit") -> PolicySet:
    return loaded(found, combining=combining)


def outcome(decision: Decision) -> Decision:
    """A decision without what says where in which file a rule stands."""
    errors = tuple(dict.fromkeys(msgspec.structs.replace(error, at=None) for error in decision.errors))
    return msgspec.structs.replace(decision, errors=tuple(sorted(errors, key=str)), policies="")


def without_shadow(decision: Decision) -> Decision:
    return msgspec.structs.replace(outcome(decision), shadow=())


@law
@given(policies(), SETTINGS, requests(), VERDICTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(found: Policies, combining: str, parts: Any, verdicts: list[Verdict], random: Any) -> None:
    shuffled = copy.deepcopy(found)
    for policy in shuffled.values():
        random.shuffle(policy["rules"])
    names = [f"f{number}" for number in range(len(shuffled))]
    random.shuffle(names)
    renamed = dict(zip(names, shuffled.values(), strict=True))
    others = random.sample(verdicts, len(verdicts))
    one = evaluate(set_of(found, combining), request_of(parts), NOW, verdicts)
    assert outcome(evaluate(set_of(renamed, combining), request_of(parts), NOW, others)) == outcome(one)


UNKNOWN = Unknown("it broke")


def broken(draw: st.DrawFn, one: Request) -> Request:
    """The request with something of it unknown."""
    match draw(st.sampled_from(["subject", "parameter", "identifier", "entity", "entity value", "resource", "resource_after"])):
        case "subject" if one.subject:
            return replaced(one, subject={**one.subject, draw(st.sampled_from(sorted(one.subject))): UNKNOWN})
        case "parameter" if one.request:
            return replaced(one, request={**one.request, draw(st.sampled_from(sorted(one.request))): UNKNOWN})
        case "identifier" if isinstance(one.request.get("Identifier"), Mapping) and one.request["Identifier"]:
            identifier: Any = one.request["Identifier"]
            return replaced(one, request={**one.request, "Identifier": {**identifier, draw(st.sampled_from(sorted(identifier))): UNKNOWN}})
        case "entity" if one.resource:
            return replaced(one, resource=[UNKNOWN, *one.resource[1:]])
        case "entity value" if one.resource and one.resource[-1]:
            last = one.resource[-1]
            return replaced(one, resource=[*one.resource[:-1], {**last, draw(st.sampled_from(sorted(last))): UNKNOWN}])
        case "resource_after":
            return replaced(one, resource_after=None)
        case _:
            return replaced(one, resource=None)


def raising(*_: object) -> Any:
    raise RuntimeError("it broke")


@law
@given(policies(), SETTINGS, requests(), VERDICTS, st.data())
def test_an_unknown_value_never_opens_a_door(found: Policies, combining: str, parts: Any, verdicts: list[Verdict], data: st.DataObject) -> None:
    policy_set, one = set_of(found, combining), request_of(parts)
    worse = broken(data.draw, one)  # type: ignore[arg-type]
    if evaluate(policy_set, worse, NOW, verdicts).allowed:
        assert evaluate(policy_set, one, NOW, verdicts).allowed


@law
@given(policies(), SETTINGS, requests(), VERDICTS)
def test_a_plugin_that_raises_never_opens_a_door(found: Policies, combining: str, parts: Any, verdicts: list[Verdict]) -> None:
    failed = [*verdicts, Verdict(effect="unknown", source="plugin:z", reason="raised RuntimeError")]
    decision = evaluate(set_of(found, combining), request_of(parts), NOW, failed)
    assert not decision.allowed
    assert any(error.source == "plugin:z" for error in decision.errors)


@law
@given(policies(), SETTINGS, requests(), st.sampled_from(["equals", "in", "not_equals", "glob", "exists", "contains", "older_than"]))
def test_an_operator_that_raises_never_opens_a_door(found: Policies, combining: str, parts: Any, name: str) -> None:
    policy_set, one = set_of(found, combining), request_of(parts)
    broken_table = {**OPERATORS, name: msgspec.structs.replace(OPERATORS[name], evaluate=raising)}
    if evaluate(policy_set, one, NOW, operators=broken_table).allowed:
        assert evaluate(policy_set, one, NOW).allowed


@law
@given(policies(), SETTINGS, requests(action="c-move"), st.sampled_from(["set", "map", "remove", "keep_only"]))
def test_an_edit_that_raises_never_opens_a_door(found: Policies, combining: str, parts: Any, name: str) -> None:
    policy_set, one = set_of(found, combining), request_of(parts)
    decision = evaluate(policy_set, one, NOW, edits={**EDITS, name: msgspec.structs.replace(EDITS[name], apply=raising)})
    if decision.allowed:
        assert outcome(decision).effective == evaluate(policy_set, one, NOW).effective


@law
@given(st.permutations(["A", "B", "C", "D"]), st.sampled_from(["A", "B", "C", "D"]))
def test_a_rewrite_cannot_loop(cycle: list[str], start: str) -> None:
    following = dict(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    chain = [
        {"id": f"from-{one.lower()}", "on": "c-move", "when": {"request.MoveDestination": one}, "rewrite": [{"set": {"request.MoveDestination": other}}]}
        for one, other in following.items()
    ]
    decision = evaluate(set_of({"p": {"hirules": 1, "policy": "p", "title": "p", "rules": chain}}), Request("c-move", request={"MoveDestination": start}), NOW)
    assert decision.rewritten == {"request.MoveDestination": following[start]}


@law
@given(policies(), SETTINGS, requests(), VERDICTS)
def test_deciding_is_pure(found: Policies, combining: str, parts: Any, verdicts: list[Verdict]) -> None:
    policy_set, one, same = set_of(found, combining), request_of(parts), request_of(copy.deepcopy(parts))
    first = evaluate(policy_set, one, NOW, verdicts)
    trace = Trace()
    assert evaluate(policy_set, one, NOW, verdicts) == first
    assert evaluate(policy_set, same, NOW, verdicts, trace) == first
    assert one == same
    assert {rule.id for rule in policy_set.rules} <= {one.rule for one in trace.rules}


@law
@given(policies(), SETTINGS, requests(), VERDICTS)
def test_shadow_is_invisible(found: Policies, combining: str, parts: Any, verdicts: list[Verdict]) -> None:
    lit = copy.deepcopy(found)
    for policy in lit.values():
        policy["rules"] = [rule if rule["mode"] != "shadow" else {**rule, "mode": "off"} for rule in policy["rules"]]
    one = request_of(parts)
    with_shadow = evaluate(set_of(found, combining), one, NOW, verdicts)
    assert without_shadow(with_shadow) == outcome(evaluate(set_of(lit, combining), one, NOW, verdicts))
    broken_everywhere = {name: msgspec.structs.replace(kind, evaluate=raising) for name, kind in OPERATORS.items()}
    dark = copy.deepcopy(found)
    for policy in dark.values():
        policy["rules"] = [{**rule, "mode": "shadow"} for rule in policy["rules"]]
        policy.pop("exceptions", None)
    nothing = evaluate(set_of(dark, combining), one, NOW, operators=broken_everywhere)
    assert (nothing.allowed, nothing.by, nothing.errors, nothing.rewritten) == (
        combining == "permit-unless-deny" or one.action in ("release", "associate"),
        (),
        (),
        {},
    )


@law
@given(policies(), SETTINGS, requests(), VERDICTS, rules("added", ("deny",), True))
def test_a_further_deny_never_allows(found: Policies, combining: str, parts: Any, verdicts: list[Verdict], deny: Any) -> None:
    more = {**found, "more": {"hirules": 1, "policy": "more", "title": "more", "rules": [deny]}}
    one = request_of(parts)
    if evaluate(set_of(more, combining), one, NOW, verdicts).allowed:
        assert evaluate(set_of(found, combining), one, NOW, verdicts).allowed


@law
@given(policies(kinds=("allow", "deny", "audit")), SETTINGS, requests())
def test_an_exception_suspends_only_the_rules_it_names(found: Policies, combining: str, parts: Any) -> None:
    named = {f"{name}/{rule}" for name, policy in found.items() for exception in policy.get("exceptions", []) for rule in exception["of"]}
    assume(named)
    without = {name: {key: value for key, value in policy.items() if key != "exceptions"} for name, policy in found.items()}
    traces = [Trace(), Trace()]
    decision, plain = (evaluate(set_of(one, combining), request_of(parts), NOW, (), trace) for one, trace in zip((found, without), traces, strict=True))
    seen = [[(one.rule, one.entity, one.outcome) for one in trace.rules if one.rule not in named and one.of is None] for trace in traces]
    assert seen[0] == seen[1]
    assert {use.rule for use in decision.exceptions} <= named
    assert (set(plain.by) - set(decision.by)) <= named or decision.allowed
    suspended = {one.rule for one in traces[0].rules if one.outcome == "suspended" and one.mode == "enforce"}
    assert suspended == {use.rule for use in decision.exceptions}


@law
@given(policies(original=False), SETTINGS, requests(action="c-move"))
def test_rewriting_permits_nothing(found: Policies, combining: str, parts: Any) -> None:
    decision = evaluate(set_of(found, combining), request_of(parts), NOW)
    still = copy.deepcopy(found)
    for policy in still.values():
        policy["rules"] = [rule if "rewrite" not in rule else {**rule, "mode": "off"} for rule in policy["rules"]]
    if decision.allowed:
        # what is allowed is allowed as it is, by the other rules alone
        again = evaluate(set_of(still, combining), decision.effective, NOW)
        assert (again.allowed, again.by, again.rewritten) == (True, decision.by, {})
    only = {name: {**policy, "rules": [rule for rule in policy["rules"] if "rewrite" in rule], "exceptions": []} for name, policy in found.items()}
    rewrites = {name: {key: value for key, value in policy.items() if value != []} for name, policy in only.items() if policy["rules"]}
    if rewrites:
        assert not evaluate(set_of(rewrites), request_of(parts), NOW).allowed


@law
@given(policies(), SETTINGS, requests(entity=WHOLE_ENTITY, action="c-move", known=True), VERDICTS)
def test_what_is_needed_is_enough(found: Policies, combining: str, parts: Any, verdicts: list[Verdict]) -> None:
    policy_set = set_of(found, combining)
    one = request_of(parts)
    asked = replaced(one, resource=None, resource_after=None)
    before = needs(policy_set, asked, NOW, verdicts)
    if before:
        asked = replaced(asked, resource=[{name: value for name, value in entity.items() if name in before} for entity in parts["resource"]])
    after = needs_after(policy_set, asked, NOW, verdicts)[1]
    if after:
        asked = replaced(asked, resource_after=[{name: value for name, value in entity.items() if name in after} for entity in parts["resource_after"]])
    whole, enough = evaluate(policy_set, one, NOW, verdicts), evaluate(policy_set, asked, NOW, verdicts)

    def told(decision: Decision) -> Decision:
        effective = replaced(decision.effective, resource=None, resource_after=None)
        return msgspec.structs.replace(outcome(decision), effective=effective, nothing=False)

    if len(parts["resource"]) == len(parts["resource_after"]) == 1:
        assert told(whole) == told(enough)
    assert whole.allowed == enough.allowed or not before


def test_the_laws_meet_every_outcome() -> None:
    """The generated policies and requests are worth the name: among them are allows, denies, conflicts, suspensions, unknowns."""
    seen: set[str] = set()

    @settings(max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(policies(), requests())
    def meet(found: Policies, parts: Any) -> None:
        decision = evaluate(set_of(found), request_of(parts), NOW)
        seen.add(decision.decision)
        seen.update(name for name in ("by", "notes", "shadow", "exceptions", "errors", "rewritten", "no_match", "nothing") if getattr(decision, name))
        if decision.status == 0xC000:
            seen.add("conflict")

    meet()
    assert seen == {"allow", "deny", "by", "notes", "shadow", "exceptions", "errors", "rewritten", "no_match", "nothing", "conflict"}
