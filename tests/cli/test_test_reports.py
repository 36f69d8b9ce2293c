"""How tests went: side by side with the reason, for people; everything, for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hirules.cli import main
from hirules.cli.test_reports import percent
from hirules.policy.coverage import CoverageReport, OwnerCoverage
from tests.cli.suites import FAILING, write

OUTPUT = """FAIL policies/p_test.yaml:4:11: 100%, <&> or: none
             expected                                actual
  decision   deny                                    allow
  rewritten  request.MoveDestination is not changed  request.MoveDestination: PACS_MAIN
  because
    p/moved (rewrite) matched: its condition holds: rewrite  [policies/p.yaml:12:5]
      when request.MoveDestination: equals holds; it saw `OLD_PACS`  [policies/p.yaml:14:12]
    p/wards (allow) matched: its condition holds: allow  [policies/p.yaml:4:5]
      when subject.ae_title: in holds; it saw `WARD_1`  [policies/p.yaml:6:12]
    p/agreed (deny) not matched: its condition does not hold  [policies/p.yaml:8:5]
      when request.MoveDestination: not_in does not hold; it saw `PACS_MAIN`  [policies/p.yaml:10:12]

rule               matched  not matched  conditions
p/wards   allow    yes      NO           1 of 2
p/agreed  deny     NO       yes          1 of 2
p/moved   rewrite  yes      NO           1 of 2
p/vip     audit    NO       NO           0 of 2
p/night   deny     NO       NO           0 of 2

not covered:
  policies/p.yaml:4:5: p/wards: never not matched
  policies/p.yaml:6:12: p/wards: when subject.ae_title: in was never false
  policies/p.yaml:8:5: p/agreed: never matched
  policies/p.yaml:10:12: p/agreed: when request.MoveDestination: not_in was never true
  policies/p.yaml:12:5: p/moved: never not matched
  policies/p.yaml:14:12: p/moved: when request.MoveDestination: equals was never false
  policies/p.yaml:17:5: p/vip: never matched
  policies/p.yaml:17:5: p/vip: never not matched
  policies/p.yaml:19:12: p/vip: when request.Identifier.PatientID: equals was never true
  policies/p.yaml:19:12: p/vip: when request.Identifier.PatientID: equals was never false
  policies/p.yaml:21:5: p/night: never matched
  policies/p.yaml:21:5: p/night: never not matched
  policies/p.yaml:23:12: p/night: when context.now: time_between was never true
  policies/p.yaml:23:12: p/night: when context.now: time_between was never false

policies: 0 passed, 1 failed, coverage 30 % (6 of 20)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that holds `policies`, and in which the command is called."""
    write(tmp_path / "policies", FAILING)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
def test_the_report_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "policies", "--coverage"]) == 1
    assert capsys.readouterr().out == OUTPUT


@pytest.mark.usefixtures("folder")
def test_the_report_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "policies", "--coverage", "--format", "json"]) == 1
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["failed"], found["errors"]) == (0, 1, 0)
    (of,) = found["sets"]
    (test,) = of["tests"]
    assert (test["file"], test["line"], test["column"], test["passed"]) == ("policies/p_test.yaml", 4, 11, False)
    assert test["differences"][0] == {"what": "decision", "expected": ["deny"], "actual": ["allow"]}
    assert [entry["rule"] for entry in test["because"]] == ["p/moved", "p/wards", "p/agreed"]
    assert test["because"][0]["conditions"][0]["at"] == "policies/p.yaml:14:12"
    assert test["decision"]["rewritten"] == {"request.MoveDestination": "PACS_MAIN"}
    assert (of["coverage"]["covered"], of["coverage"]["total"], of["coverage"]["percent"]) == (6, 20, 30.0)
    assert of["coverage"]["rules"][0]["conditions"][0]["true"] is True


@pytest.mark.usefixtures("folder")
def test_the_report_for_a_github_workflow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "policies", "--coverage", "--format", "github"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("::error file=policies/p_test.yaml,line=4,col=11,title=100%25%2C <&> or%3A none::")
    assert "%0Adecision   deny " in lines[0]
    assert "::warning file=policies/p.yaml,line=8,col=5,title=not covered::p/agreed: never matched" in lines
    assert len(lines) == 15


def test_a_github_workflow_hears_nothing_where_all_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(write(tmp_path / "policies")), "--format", "github"]) == 0
    assert capsys.readouterr().out == ""


def test_mistakes_are_annotated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, FAILING.replace("decision: deny", "decision: no"))
    assert main(["test", str(folder), "--format", "github"]) == 1
    out = capsys.readouterr().out
    assert out == f"::error file={folder}/p_test.yaml,line=8,col=24,title=choice::`decision` is neither `allow` nor `deny`\n"


def test_what_a_terminal_would_act_on_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_text('{"001021B0": {"vr": "LT", "Value": ["P\\u001b[31m1"]}}', encoding="utf-8")
    text = """hirules-test: 1
now: 2026-03-02T10:00:00+01:00
tests:
  - {name: t, on: c-find, subject: {ae_title: WARD_1}, request: {Identifier: {file: x.json}}, expect: {decision: allow, by: [], notes: [p/vip]}}
"""
    policy = write(tmp_path, text) / "p.yaml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("PatientID", "AdditionalPatientHistory"), encoding="utf-8")
    assert main(["test", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "it saw `P\N{REPLACEMENT CHARACTER}[31m1`" in out


def _coverage(covered: int, of: int) -> CoverageReport:
    from hirules.policy.ast import Position

    owners = [OwnerCoverage(f"p/r{number}", "deny", "enforce", Position("p.yaml", 1, 1), number < covered, None, ()) for number in range(of)]
    return CoverageReport(tuple(owners), ())


@pytest.mark.parametrize(("covered", "of", "text"), [(0, 0, "100"), (0, 3, "0"), (1, 3, "33.3"), (1999, 2000, "99.9"), (2000, 2000, "100")])
def test_the_percentage_is_rounded_down(covered: int, of: int, text: str) -> None:
    assert percent(_coverage(covered, of)) == text
