from __future__ import annotations

import json

import pytest

from hirules.cli.reports import report
from hirules.policy.findings import Finding

FINDINGS = (
    Finding(
        "a,b.yaml", 3, 5, "unknown-key", "`reson` is no key here\n100%", expected="`reason`", hint="did you mean `reason`?", length=5, source="    reson: x"
    ),
    Finding("z.yaml", 1, 1, "always", "the rule always matches", severity="warning"),
)


def test_text() -> None:
    shown = report(FINDINGS, "text")
    assert "a,b.yaml:3:5: error[unknown-key]" in shown
    assert shown.endswith("1 error, 1 warning")
    assert report((), "text") == "no findings"


def test_json() -> None:
    shown = json.loads(report(FINDINGS, "json"))
    assert (shown["errors"], shown["warnings"]) == (1, 1)
    assert shown["findings"][0]["line"] == 3
    assert json.loads(report((), "json")) == {"findings": [], "errors": 0, "warnings": 0}


def test_sarif() -> None:
    run = json.loads(report(FINDINGS, "sarif"))["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["always", "unknown-key"]
    first, second = run["results"]
    assert (first["ruleId"], first["level"], second["level"]) == ("unknown-key", "error", "warning")
    assert run["tool"]["driver"]["rules"][first["ruleIndex"]]["id"] == first["ruleId"]
    assert first["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 5, "endColumn": 10}


def test_a_file_is_a_uri_in_sarif() -> None:
    run = json.loads(report([Finding("my set/50%:ü.yaml", 1, 1, "x", "text")], "sarif"))["runs"][0]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"] == {"uri": "my%20set/50%25%3A%C3%BC.yaml"}


def test_github() -> None:
    first, second = report(FINDINGS, "github").splitlines()
    assert first == (
        "::error file=a%2Cb.yaml,line=3,col=5,title=unknown-key::`reson` is no key here%0A100%25; expected: `reason`; did you mean `reason`?"
    )  # fmt: skip
    assert second.startswith("::warning file=z.yaml,line=1,col=1,title=always::")
    assert report((), "github") == ""


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_programs_get_json_whatever_a_file_holds(form: str) -> None:
    assert json.loads(report([Finding("a.yaml", 1, 1, "x", 'odd "\x1b[31m\u202e text')], form))
