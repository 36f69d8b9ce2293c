"""What the lints claim of all requests is so on generated ones, by the reference evaluator; and each example is one."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.ast import All, Rule
from hirules.policy.conditions import applies
from hirules.policy.entities import entities_of
from hirules.policy.lint import Lint, lints, subject_of
from hirules.policy.lint.subject import Subject
from hirules.policy.load import load_set
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from hirules.policy.truth import Truth
from tests.laws.differential import Generator
from tests.policy.lint.generated import Sets, seeds

NOW = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
SETS, REQUESTS, RULES = 1000, 25, 7


def truths(rule: Rule, request: Request, now: datetime) -> list[Truth]:
    """What the rule's condition says at each entity of a request, as it came."""
    views = [View(request, request, entity, now, ZoneInfo("UTC")) for entity in entities_of(request.resource, VOCABULARY.actions[request.action].has_resource)]
    return [applies(rule.when, rule.unless, view, OPERATORS, None).truth for view in views]


def confirm(subject: Subject, lint: Lint, requests: list[tuple[Request, datetime]]) -> None:
    """Fails where a request, or the lint's own example, says otherwise."""
    by_id = {rule.id: rule for rule in subject.rules}
    about = [by_id[name] for name in lint.finding.message.split("`")[1::2] if name in by_id]
    code, example = lint.finding.code, lint.example
    match code:
        case "never-matches" if about:
            assert all(True not in truths(about[0], *request) for request in requests), lint.finding
        case "never-matches":
            exception = next(one for policy in subject.policies.policies for one in policy.exceptions if f"`{one.id}`" in lint.finding.message)
            for name in exception.of:
                suspended = msgspec.structs.replace(by_id[name], when=All(tuple(one for one in (by_id[name].when, exception.when) if one is not None)))
                assert all(True not in truths(suspended, *request) for request in requests), lint.finding
        case "always":
            assert all(False not in truths(about[0], *request) for request in requests), lint.finding
            assert example is not None
            assert about[0].id in subject.matched(about, example)
        case "shadowed" | "allow-denied":
            for request in requests:
                for own, other in zip(truths(about[0], *request), truths(about[1], *request), strict=True):
                    if about[0].kind == about[1].kind == "allow":
                        assert own is not True or other is True, (lint.finding, request)
                    else:
                        assert own is False or (own is None and about[0].kind == "allow") or other is not False, (lint.finding, request)
            assert example is not None
            if code == "shadowed":
                assert {rule.id for rule in about[:2]} <= subject.matched(about[:2], example)
            else:
                assert subject.decide(about[:1], example).allowed
                assert not subject.decide(about[:2], example).allowed
        case "duplicate":
            for request in requests:
                assert truths(about[0], *request) == truths(about[1], *request)
        case "rewrite-conflict":
            assert example is not None
            decision = subject.decide(about[:2], example)
            assert not decision.allowed
            assert decision.by == tuple(sorted({rule.id for rule in about[:2]}))
            assert decision.reason == "rewrite rules are in conflict"
        case "rewrite-past-deny":
            assert example is not None
            rewrite, deny = about[:2]
            assert subject.decide([deny], example).by == (deny.id,)
            assert deny.id not in subject.decide([deny, rewrite], example).by
        case "deny-reads-rewritten":
            assert example is not None
            decision = subject.decide(about[:2], example)
            assert about[0].id in decision.by
            assert decision.rewritten
        case "closes-action":
            assert example is not None
            decision = subject.decide([rule for rule in subject.enforced if rule.kind == "allow"], example)
            assert not decision.allowed
            assert decision.by == ()
        case "walks-round":
            assert example is not None
            assert about[0].id not in subject.decide(about[:1], example).by
        case "not-any":
            assert example is None or about == [] or not subject.matched(about[:1], example)


def test_every_claim_is_confirmed_on_a_thousand_generated_sets() -> None:
    said: Counter[str] = Counter()
    checked = 0
    for seed in seeds(0):
        generator = Sets(seed)
        files = generator.files(RULES)
        loaded = load_set(files)
        if loaded.set is None:
            continue
        subject = subject_of(loaded.set, files, NOW)
        found = lints(subject)
        requests = [(generator.request(), NOW + timedelta(hours=generator.random.randrange(168))) for _ in range(REQUESTS)]
        for lint in found:
            said[lint.finding.code] += 1
            confirm(subject, lint, requests)
        checked += 1
        if checked == SETS:
            break
    # they are said at all
    assert said["never-matches"] > 100
    assert said["shadowed"] > 20
    assert said["allow-denied"] > 20
    assert said["rewrite-conflict"] > 20
    assert said["rewrite-past-deny"] > 5


def test_the_same_for_sets_of_all_actions() -> None:
    """The sets of the differential test, whose requests have values that cannot be read, several for one, and texts that are no UTF-8."""
    said: Counter[str] = Counter()
    for seed in range(60):
        generator = Generator(seed)
        files = generator.files(30)
        loaded = load_set(files)
        if loaded.set is None:
            continue
        subject = subject_of(loaded.set, files, NOW)
        requests = [(generator.request(), NOW) for _ in range(60)]
        for lint in lints(subject):
            said[lint.finding.code] += 1
            rule = next((rule for rule in subject.rules if f"`{rule.id}`" in lint.finding.message), None)
            confirm(subject, lint, [] if rule is None else [one for one in requests if one[0].action in rule.on])
    assert said["shadowed"] > 50
    assert said["never-matches"] > 5
    assert said["closes-action"] > 0
    assert said["walks-round"] > 5
