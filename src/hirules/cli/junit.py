"""Test results as JUnit XML, as the Jenkins plugin, GitLab and GitHub's actions read it (junit-10.xsd).

A suite is a file of tests. The format has a file for a suite and no line for a test: that is the test's `system-out`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from hirules.cli.test_reports import Ran, Report, failure_lines
from hirules.policy.findings import Finding, render_one

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0 §2.2."""


def junit(reports: Sequence[Report]) -> bytes:
    """The document."""
    root = Element("testsuites", name="hirules")
    for one in reports:
        files = sorted({*(ran.file for ran in one.ran), *(found.file for found in one.findings if found.is_error)})
        for file in files:
            ran = [each for each in one.ran if each.file == file]
            _suite(root, one, file, ran, [found for found in one.findings if found.is_error and found.file == file])
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode").encode() + b"\n"


def _suite(root: Element, one: Report, file: str, ran: Sequence[Ran], errors: Sequence[Finding]) -> None:
    failed = [each for each in ran if each.result.differences]
    broken = sum(bool(each.result.internal and not each.result.differences) for each in ran)
    suite = SubElement(
        root, "testsuite", name=one.path(file), file=one.path(file), tests=str(len(ran) + len(errors)), failures=str(len(failed)),
        errors=str(broken + len(errors)), skipped="0", time=_seconds(sum(each.seconds for each in ran)),
    )  # fmt: skip
    for found in errors:
        case = SubElement(suite, "testcase", name=_clean(f"{found.code}: {found.message}"), classname=one.path(file), time="0.000")
        problem = SubElement(case, "error", type=found.code, message=_clean(found.message))
        problem.text = _clean(render_one(found))
        SubElement(case, "system-out").text = f"{one.path(file)}:{found.line}:{found.column}"
    for each in ran:
        _case(suite, one, each)


def _case(suite: Element, one: Report, ran: Ran) -> None:
    result = ran.result
    case = SubElement(suite, "testcase", name=_clean(result.case.name), classname=one.path(ran.file), time=_seconds(ran.seconds))
    if not result.passed:
        what = ", ".join(difference.what for difference in result.differences)
        kind, message = ("failure", f"not as expected: {what}") if result.differences else ("error", result.internal)
        problem = SubElement(case, kind, type="decision" if result.differences else "internal", message=_clean(message))
        problem.text = _clean("\n".join([one.at(result.case.position), *([result.internal] if result.internal else []), *failure_lines(one, result)]))
    SubElement(case, "system-out").text = one.at(result.case.position)


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
