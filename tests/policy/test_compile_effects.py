"""Allow, deny and audit."""

from __future__ import annotations

import pytest

from hirules.model.decision import AssociateStatus
from hirules.policy.ast import Allow, Audit, Deny, Quote
from tests.policy.loading import codes, compiled, load, marked, only, policy, rule

WHEN = "when: {subject.user: x}"


def deny(body: str, on: str = "c-move") -> Deny:
    found = compiled(WHEN, on=on, effect=f"deny: {body}").effect
    assert isinstance(found, Deny)
    return found


def audit(body: str, extra: str = "") -> Audit:
    found = compiled(WHEN + extra, effect=f"audit: {body}").effect
    assert isinstance(found, Audit)
    return found


def test_an_allow_says_nothing_more() -> None:
    assert compiled(WHEN, effect="allow: {}").effect == Allow()
    assert marked(only(rule(WHEN, effect="allow: {subject.user: y}"))) == "subject.user"
    assert codes(rule(WHEN, effect="allow: true")) == ["not-a-mapping"]


def test_a_reason_quotes_attributes() -> None:
    reason = deny('{reason: "to `{request.MoveDestination}` {{not {subject.claims."urn:a"} }"}'.replace('"urn:a"', '\\"urn:a\\"')).reason
    shown = [part.path.text if isinstance(part, Quote) else part for part in reason]
    assert shown == ["to `", "request.MoveDestination", "` {not ", 'subject.claims."urn:a"', " }"]
    assert deny("{reason: plain}").reason == ("plain",)
    assert deny("{reason: 2026}").reason == ("2026",)
    assert deny("{}") == Deny()


@pytest.mark.parametrize(
    ("reason", "code", "at"),
    [
        ("no {subject.usr} x", "unknown-attribute", "subject.usr"),
        ("no {request.AttributeIdentifierList}", "attribute-of-action", "request.AttributeIdentifierList"),
        ("no {nothing}", "invalid-path", "nothing"),
        ("open {subject.user", "reason", "{"),
        ("open {{ {", "reason", "{"),
        ("open {a{b}}", "reason", "{"),
        ("empty {}", "reason", "{}"),
    ],
)
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_reason_that_cannot_be_told(reason: str, code: str, at: str, quote: str) -> None:
    found = only(rule(WHEN, effect=f"deny: {{reason: {quote}{reason}{quote}}}"))
    assert (found.code, marked(found)) == (code, at)


@pytest.mark.parametrize(
    ("on", "status", "expected"),
    [
        ("c-move", "0xA801", {"c-move": 0xA801}),
        ("c-move", "43009", {"c-move": 0xA801}),
        ("[c-move, c-get]", "0xA702", {"c-move": 0xA702, "c-get": 0xA702}),
        ("[c-move, c-get]", "{c-move: 0xA801}", {"c-move": 0xA801}),
        ("retrieve", "{c-move: 0xA801, get-image-frame: ResourceNotFound}", {"c-move": 0xA801, "get-image-frame": "ResourceNotFound"}),
        ("metadata-update", "{n-set: 0x0110, metadata-update: 0x0110}", None),
        ("get-image-set", "AccessDenied", {"get-image-set": "AccessDenied"}),
        ("associate", "{result: 1, source: 1, reason: 7}", {"associate": AssociateStatus(1, 1, 7)}),
        ("[associate, c-find]", "{associate: {result: 2, source: 3, reason: 1}}", {"associate": AssociateStatus(2, 3, 1)}),
    ],
)
def test_a_status_is_of_its_action(on: str, status: str, expected: object) -> None:
    if expected is None:
        assert set(codes(rule(WHEN, on=on, effect=f"deny: {{status: {status}}}"))) == {"status", "duplicate-key"}
    else:
        assert deny(f"{{status: {status}}}", on).status == expected


@pytest.mark.parametrize(
    ("on", "status", "code", "at"),
    [
        ("c-move", "0x0000", "status", "0x0000"),
        ("c-move", "0xFF00", "status", "0xFF00"),
        ("c-find", "0xA801", "status", "0xA801"),
        ("[c-move, c-find]", "0xA801", "status", "0xA801"),
        ("[c-move, get-image-set]", "0x0124", "status", "0x0124"),
        ("get-image-set", "AccesDenied", "status", "AccesDenied"),
        ("associate", "0x0124", "status", "0x0124"),
        ("associate", "{result: 1, source: 1, reason: 99}", "status", "{"),
        ("associate", "{result: 1, source: 1}", "status", "{"),
        ("c-move", "{c-find: 0x0124}", "unknown-action", "c-find"),
        ("c-move", "{c-mvoe: 0x0124}", "unknown-action", "c-mvoe"),
        ("c-move", "{}", "empty", "{}"),
        ("c-move", "[0x0124]", "status", "["),
    ],
)
def test_a_status_that_refuses_nothing_there(on: str, status: str, code: str, at: str) -> None:
    found = only(rule(WHEN, on=on, effect=f"deny: {{status: {status}}}"))
    assert (found.code, marked(found)) == (code, at)


def test_only_what_may_be_hidden_is_answered_as_if_nothing_existed() -> None:
    assert deny("{respond: no-match}", "[c-find, c-move, n-get, answer, release, get-image-set]").no_match
    assert not deny("{}").no_match
    for on in ("c-store", "n-set", "associate", "update-image-set-metadata", "[c-find, copy-image-set]"):
        found = only(rule(WHEN, on=on, effect="deny: {respond: no-match}"))
        assert (found.code, marked(found)) == ("respond", "no-match")


def test_offending_elements_are_paths() -> None:
    assert [path.text for path in deny("{offending: request.Identifier.(0010,0020)}".replace("(0010,0020)", "PatientID")).offending] == [
        "request.Identifier.PatientID"
    ]
    assert codes(rule(WHEN, effect="deny: {offending: [request.Identifier.PatientDI]}")) == ["unknown-attribute"]


def test_an_audit_adds_to_the_record() -> None:
    found = audit("{severity: alert, note: seen, include: [subject.user, resource.PatientID], sample: 5%}")
    assert (found.severity, found.note, found.sample) == ("alert", "seen", 0.05)
    assert [quote.path.text for quote in found.include] == ["subject.user", "resource.PatientID"]
    assert audit("{}") == Audit()
    assert audit("{}", "\nseverity: high").severity == "high"
    assert audit("{severity: low}", "\nseverity: high").severity == "low"


@pytest.mark.parametrize("sample", ["0%", "101%", "5", "half", "-5%"])
def test_a_sample_is_a_share(sample: str) -> None:
    found = only(rule(WHEN, effect=f"audit: {{sample: {sample}}}"))
    assert (found.code, marked(found)) == ("argument", sample)


def test_keys_of_effects_are_known() -> None:
    for effect in ("deny: {reson: x}", "audit: {severty: low}"):
        found = only(rule(WHEN, effect=effect))
        assert found.code == "unknown-key"
        assert found.hint.startswith("did you mean")
    assert codes(load(policy("- {id: r, on: c-find, when: {subject.user: x}, deny: {respond: hide}}"))) == ["choice"]
