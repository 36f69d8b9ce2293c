"""Findings for people and for programs: text, JSON, SARIF 2.1.0, GitHub's annotations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import quote

from hirules.policy.findings import CODES, Finding, render

FORMATS = ("text", "json", "sarif", "github")


def report(findings: Sequence[Finding], form: str) -> str:
    """``findings`` in one of :data:`FORMATS`."""
    match form:
        case "json":
            errors = sum(found.is_error for found in findings)
            return json.dumps(
                {"findings": [found.as_json() for found in findings], "errors": errors, "warnings": len(findings) - errors}, indent=2, ensure_ascii=False
            )
        case "sarif":
            return json.dumps(_sarif(findings), indent=2, ensure_ascii=False)
        case "github":
            return "\n".join(_annotation(found) for found in findings)
        case _:
            return _text(findings)


def _text(findings: Sequence[Finding]) -> str:
    errors = sum(found.is_error for found in findings)
    warnings = len(findings) - errors
    summary = ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for count, word in ((errors, "error"), (warnings, "warning")) if count)
    return f"{render(findings)}\n\n{summary}" if findings else "no findings"


def _sarif(findings: Sequence[Finding]) -> dict[str, object]:
    used = sorted({found.code for found in findings})
    return {
        "version": "2.1.0",
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "hirules",
                        "rules": [{"id": code, "shortDescription": {"text": CODES.get(code, code)}} for code in used],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    {
                        "ruleId": found.code,
                        "ruleIndex": used.index(found.code),
                        "level": "error" if found.is_error else "warning",
                        "message": {"text": _sentence(found)},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": quote(found.file)},  # RFC 3986
                                    "region": {"startLine": found.line, "startColumn": found.column, "endColumn": found.column + max(found.length, 1)},
                                }
                            }
                        ],
                        **({"properties": {"example": json.loads(found.example)}} if found.example else {}),
                    }
                    for found in findings
                ],
            }
        ],
    }


def escaped(text: str, property_: bool = False) -> str:
    """``text`` in a workflow command of GitHub, there as a property's value (docs.github.com, Workflow commands)."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property_ else text


def _annotation(found: Finding) -> str:
    kind = "error" if found.is_error else "warning"
    return f"::{kind} file={escaped(found.file, True)},line={found.line},col={found.column},title={escaped(found.code, True)}::{escaped(_sentence(found))}"


def _sentence(found: Finding) -> str:
    expected = f"expected: {found.expected}" if found.expected else ""
    return "; ".join(part for part in (found.message, expected, found.hint) if part)
