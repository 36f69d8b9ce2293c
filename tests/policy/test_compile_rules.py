"""Rules, exceptions and the keys of a policy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.policy.loading import codes, compiled, load, marked, only, policy, rule

WHEN = "when: {subject.user: x}"


def test_a_rule_says_what_it_is() -> None:
    found = compiled(
        "title: T\ndescription: D\nreferences: [A, B]\ntags: research\nseverity: high\nmode: shadow\n"
        "valid: {from: 2026-01-01T00:00:00Z, until: 2026-12-31T23:59:59+01:00}\nwhen: {subject.user: x}"
    )
    assert (found.id, found.kind, found.title, found.description, found.references, found.tags) == ("p/r", "deny", "T", "D", ("A", "B"), ("research",))
    assert (found.severity, found.mode, found.on) == ("high", "shadow", frozenset({"c-move"}))
    assert found.valid.start == datetime(2026, 1, 1, tzinfo=UTC)
    assert found.valid.end == datetime(2026, 12, 31, 22, 59, 59, tzinfo=UTC)
    plain = compiled(WHEN)
    assert (plain.severity, plain.mode, plain.valid.start, plain.unless, str(plain.position)) == ("low", "enforce", None, None, "p.yaml:4:5")


def test_groups_stand_for_their_actions() -> None:
    assert compiled(WHEN, on="[query, c-move]").on == {"c-find", "search-image-sets", "c-move"}


@pytest.mark.parametrize(
    ("body", "code", "at"),
    [
        ("severty: low", "unknown-key", "severty"),
        ("severity: severe", "choice", "severe"),
        ("mode: On", "choice", "On"),
        ("mode: [off]", "not-a-text", "["),
        ("valid: {}", "empty", "{}"),
        ("valid: {since: 2026-01-01T00:00:00Z}", "unknown-key", "since"),
        ("valid: {from: 2026-01-01}", "timestamp", "2026-01-01"),
        ("valid: {from: 2026-01-01T00:00:00}", "timestamp", "2026-01-01T00:00:00"),
        ("valid: {from: 2026-02-30T00:00:00Z}", "timestamp", "2026-02-30T00:00:00Z"),
        ("valid: {from: 20260101000000+0100}", "timestamp", "20260101000000+0100"),
        ("valid: {from: 2026-01-01T01:00:00+01:00, until: 2026-01-01T00:00:00Z}", "timestamp", "2026-01-01T00:00:00Z"),
        ("valid: always", "not-a-mapping", "always"),
        ("tags: [[a]]", "not-a-text", "["),
        ("title: {a: b}", "not-a-text", "{"),
        ("on_unknown: skip", "unknown-key", "on_unknown"),
        ("unless: {}", "empty", "{}"),
        ("unless: x", "not-a-mapping", "x"),
    ],
)
def test_a_key_that_is_wrong(body: str, code: str, at: str) -> None:
    found = only(rule(f"{WHEN}\n{body}"))
    assert (found.code, marked(found)) == (code, at)


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("- {on: c-move, deny: {}}", "missing-key", "{"),
        ("- {id: r, deny: {}}", "missing-key", "{"),
        ("- {id: r, on: c-move}", "effect", "{"),
        ("- {id: r, on: c-move, deny: {}, audit: {}}", "effect", "audit"),
        ("- {id: R_1, on: c-move, deny: {}}", "invalid-id", "R_1"),
        ("- {id: a--b, on: c-move, deny: {}}", "invalid-id", "a--b"),
        ("- {id: r, on: c-mvoe, deny: {}}", "unknown-action", "c-mvoe"),
        ("- {id: r, on: [c-move, C-GET], deny: {}}", "unknown-action", "C-GET"),
        ("- {id: r, on: [], deny: {}}", "empty", "[]"),
        ("- {id: r, on: {c-move: yes}, deny: {}}", "not-a-list", "{"),
        ("- r", "not-a-mapping", "r"),
        ("- {id: r, on: c-move, deny: {}}\n- {id: r, on: c-get, deny: {}}", "duplicate-id", "r"),
    ],
)
def test_a_rule_that_is_none(text: str, code: str, at: str) -> None:
    found = only(load(policy(text)))
    assert (found.code, marked(found)) == (code, at)


@pytest.mark.parametrize(
    ("effect", "warned"), [("allow: {}", True), ("rewrite: [{set: {request.Priority: 1}}]", True), ("deny: {}", False), ("audit: {}", False)]
)
def test_what_opens_or_changes_always_is_worth_a_warning(effect: str, warned: bool) -> None:
    found = rule("", effect=effect)
    assert codes(found) == (["always"] if warned else [])
    assert found.set is not None
    assert codes(rule("unless: {subject.user: x}", effect=effect)) == []


def test_every_finding_of_a_rule_comes_at_once() -> None:
    found = load(policy("- {id: R, on: c-mvoe, mode: x, when: {subject.usr: a}, unless: {}, deny: {reson: b}, audit: {sample: 2}}"))
    assert codes(found) == ["invalid-id", "unknown-action", "choice", "unknown-attribute", "empty", "unknown-key", "effect", "argument"]


# Exceptions.

EXCEPTION = "{id: e, of: [r], reason: audit, expires: 2026-12-31T23:59:59Z, when: {subject.user: y}}"


def excepted(exception: str) -> list[str]:
    head = f"exceptions:\n  - {exception}\n"
    rules = "- {id: r, on: c-move, deny: {}}\n- {id: a, on: c-move, when: {subject.user: x}, allow: {}}\n- {id: w, on: [c-move, c-get], audit: {}}"
    return codes(load(policy(rules, head)))


@pytest.mark.parametrize(
    ("exception", "expected"),
    [
        (EXCEPTION, []),
        (EXCEPTION.replace("[r]", "[r, w]"), []),
        (EXCEPTION.replace("[r]", "[a]"), ["exception"]),
        (EXCEPTION.replace("[r]", "[s]"), ["exception"]),
        (EXCEPTION.replace("[r]", "[p/r]"), ["exception"]),
        (EXCEPTION.replace("[r]", "[r, r]"), ["duplicate-id"]),
        (EXCEPTION.replace("[r]", "[]"), ["empty"]),
        (EXCEPTION.replace("id: e", "id: r"), ["duplicate-id"]),
        (EXCEPTION.replace("id: e", "id: E"), ["invalid-id"]),
        (EXCEPTION.replace("reason: audit, ", ""), ["missing-key"]),
        (EXCEPTION.replace("reason: audit", "reason: ' '"), ["empty"]),
        (EXCEPTION.replace(", expires: 2026-12-31T23:59:59Z", ""), ["missing-key"]),
        (EXCEPTION.replace("59Z", "59"), ["timestamp"]),
        (EXCEPTION.replace(", when: {subject.user: y}", ""), ["always"]),
        (EXCEPTION.replace("subject.user: y", ""), ["empty"]),
        (EXCEPTION.replace("[r]", "[r, w]").replace("subject.user", "request.MoveDestination"), ["attribute-of-action"]),
        (EXCEPTION.replace("id: e", "id: e, untl: x"), ["unknown-key"]),
        (f"{EXCEPTION}\n  - {EXCEPTION}", ["duplicate-id"]),
    ],
)
def test_an_exception_names_rules_that_it_may_suspend(exception: str, expected: list[str]) -> None:
    assert excepted(exception) == expected


def test_an_exception_of_a_rule_with_findings_is_none_of_them() -> None:
    head = f"exceptions:\n  - {EXCEPTION}\n"
    assert codes(load(policy("- {id: r, on: c-mvoe, deny: {}}", head))) == ["unknown-action"]
