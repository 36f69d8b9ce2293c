"""All findings as SARIF that the schema of SARIF 2.1.0 takes.

`sarif-2.1.0.json` is the schema of Microsoft's SARIF SDK, whose authors edit the standard; it is the file of that name in the npm package
`@microsoft/sarif-multitool-linux` 5.7.0, under the MIT licence (© Microsoft).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from hirules.assemble import check_set
from hirules.cli import main
from hirules.cli.reports import report
from hirules.policy.findings import CODES, SILENCEABLE, Finding
from tests.test_documentation import ROOT, blocks

SCHEMA = json.loads((Path(__file__).parent / "sarif-2.1.0.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
EXAMPLES = [block for block in blocks((ROOT / "docs" / "lint.md").read_text(encoding="utf-8"), "yaml") if block.startswith("hirules: 1")]
NOW = datetime(2026, 3, 2, tzinfo=UTC)


def sarif(findings: list[Finding]) -> dict[str, Any]:
    """The report, which is valid."""
    found: dict[str, Any] = json.loads(report(findings, "sarif"))
    assert [error.message for error in VALIDATOR.iter_errors(found)] == []
    return found


def test_the_schema_is_that_of_sarif_and_refuses_what_is_none() -> None:
    assert SCHEMA["title"] == "Static Analysis Results Format (SARIF) Version 2.1.0 JSON Schema"
    for wrong in ({}, {"version": "2.0.0", "runs": []}, {"version": "2.1.0", "runs": [{"results": []}]}, {"version": "2.1.0", "runs": [], "more": 1}):
        assert not VALIDATOR.is_valid(wrong)


def test_nothing_found_is_valid() -> None:
    assert sarif([])["runs"][0]["results"] == []


def test_a_finding_of_every_code_is_valid() -> None:
    findings = [
        Finding("set/a b.yaml", 3, 1, code, f"about `{code}`", "warning" if code in SILENCEABLE else "error", expected="another", hint="a hint", length=0)
        for code in CODES
    ]
    assert len(sarif(findings)["runs"][0]["results"]) == len(CODES)


def test_what_check_finds_in_the_examples_of_the_lint_page_is_valid(tmp_path: Path) -> None:
    seen: set[str] = set()
    for number, example in enumerate(EXAMPLES):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "p.yaml").write_text(example, encoding="utf-8")
        results = sarif(list(check_set(folder, now=NOW)))["runs"][0]["results"]
        seen |= {result["ruleId"] for result in results}
    assert len(seen) > 15
    assert seen <= CODES.keys()


@pytest.mark.parametrize("content", ["hirules: 1\n", "a: [", "hirules: 1\npolicy: p\nrules: [{id: r, on: c-mov, alow: {}}]\n", "\x00", ""])
def test_what_check_says_of_a_broken_file_is_valid(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p.yaml").write_text(content, encoding="utf-8")
    assert main(["check", "--format", "sarif", str(tmp_path)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert VALIDATOR.is_valid(found)
    assert found["runs"][0]["results"]
