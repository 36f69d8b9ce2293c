"""`lint: {code: reason}`: what it silences, and what it must say."""

from __future__ import annotations

import msgspec
import pytest

from hirules.policy.findings import Finding
from hirules.policy.lint.silences import heard
from hirules.policy.load import load_set
from tests.policy.lint.test_golden import found
from tests.policy.loading import codes, load, only

GLOB = "{id: r, on: c-move, when: {subject.ae_title: {glob: WARD_1}}, allow: {}"
OTHER = "{id: s, on: c-move, when: {subject.ae_title: {glob: WARD_2}}, allow: {}}"


def policy(rules: str, head: str = "") -> str:
    return f"hirules: 1\npolicy: p\n{head}rules:\n{rules}"


def test_a_rule_silences_what_stands_in_it_and_no_more() -> None:
    said = found(policy(f"  - {GLOB}, lint: {{glob-without-wildcard: soon more}}}}\n  - {OTHER}\n"))
    assert [(one.code, one.line) for one in said] == [("glob-without-wildcard", 5)]


def test_a_policy_silences_what_stands_in_its_file() -> None:
    assert found(policy(f"  - {GLOB}}}\n  - {OTHER}\n", "lint: {glob-without-wildcard: soon more}\n")) == ()


def test_an_exception_silences_itself() -> None:
    rule = "  - {id: r, on: c-move, when: {subject.ae_title: A}, deny: {}}\n"
    exception = "exceptions:\n  - {id: e, of: r, when: {subject.user: a}, reason: t, expires: '2026-03-03T00:00:00Z', lint: {expires-soon: it is for a day}}\n"
    assert found(policy(rule + exception)) == ()


def test_rules_on_one_line_are_told_apart() -> None:
    text = f"hirules: 1\npolicy: p\nrules: [{GLOB}, lint: {{glob-without-wildcard: a}}}}, {OTHER}]\n"
    (one,) = found(text)
    assert one.column == text.split("\n")[2].rindex("glob: WARD_2") + 1


def test_a_silence_without_effect_is_a_finding_that_cannot_be_silenced() -> None:
    said = found(policy(f"  - {GLOB}, lint: {{shadowed: not any more}}}}\n"))
    assert [one.code for one in said] == ["glob-without-wildcard", "unused-silence"]
    errors = load(policy(f"  - {GLOB}, lint: {{unused-silence: a}}}}\n"))
    assert codes(errors) == ["choice"]


@pytest.mark.parametrize(
    ("lint", "code", "message"),
    [
        ("{shadow: a}", "choice", "`shadow` is no finding that can be silenced"),
        ("{unknown-key: a}", "choice", "`unknown-key` is no finding that can be silenced"),
        ("{}", "empty", "`lint` is empty"),
        ('{shadowed: " "}', "empty", "the reason is empty"),
        ("[shadowed]", "not-a-mapping", "`lint` is a list"),
        ("{shadowed: [a]}", "not-a-text", "the reason of `shadowed` is a list"),
    ],
)
def test_a_silence_names_a_warning_and_gives_a_reason(lint: str, code: str, message: str) -> None:
    found = only(load(policy(f"  - {{id: r, on: c-move, when: {{subject.ae_title: A}}, lint: {lint}, allow: {{}}}}\n")))
    assert (found.code, found.message, found.severity) == (code, message, "error")


def test_an_error_is_never_silenced() -> None:
    files = {"p.yaml": policy(f"  - {GLOB}, lint: {{glob-without-wildcard: a}}}}\n").encode()}
    policies = load_set(files).required()
    error = Finding("p.yaml", 4, 5, "glob-without-wildcard", "m")
    assert heard([error], policies, {})[0] == error
    assert heard([msgspec.structs.replace(error, severity="warning")], policies, {}) == []
    other = Finding("set.yaml", 1, 1, "glob-without-wildcard", "m", "warning")
    assert other in heard([other], policies, {})
