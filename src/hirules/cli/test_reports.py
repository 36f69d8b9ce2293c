"""How tests went: for people, for programs, for a GitHub workflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

import msgspec

from hirules.cli.answers import decision_json, text
from hirules.cli.reports import escaped
from hirules.cli.sentences import seen
from hirules.policy.ast import PolicySet, Position, Rule
from hirules.policy.coverage import ConditionCoverage, CoverageReport, OwnerCoverage
from hirules.policy.findings import Finding, printable, render
from hirules.policy.suite_compare import Difference, value_text
from hirules.policy.suite_reasons import deciding
from hirules.policy.suite_run import Result
from hirules.policy.trace import RuleTrace, TestTrace

FORMATS = ("text", "json", "github")
WIDTH = 100
"""Columns of the comparison; longer lines are not cut."""


class Ran(msgspec.Struct, frozen=True):
    """A test that ran, in its file, and the seconds that it took."""

    file: str
    result: Result
    seconds: float


class Report(msgspec.Struct, frozen=True):
    """One policy set: what is wrong with its files, its tests, its coverage."""

    folder: Path
    findings: tuple[Finding, ...]
    ran: tuple[Ran, ...] = ()
    coverage: CoverageReport | None = None
    policies: PolicySet | None = None

    @property
    def failures(self) -> tuple[Ran, ...]:
        """The tests that did not pass."""
        return tuple(one for one in self.ran if not one.result.passed)

    @property
    def failed(self) -> bool:
        """Whether anything is wrong."""
        return bool(self.failures) or any(found.is_error for found in self.findings)

    def is_below(self, percent: float) -> bool:
        """Whether less than this is covered. What could not be tested is not covered."""
        if self.coverage is None:
            return True
        return self.coverage.covered * 100 < percent * self.coverage.total

    def path(self, file: str) -> str:
        """A file of the set as it is named from here."""
        return str(self.folder / file)

    def at(self, position: Position) -> str:
        """``file:line:column``."""
        return f"{self.path(position.file)}:{position.line}:{position.column}"


def report(reports: Sequence[Report], form: str, *, verbose: bool = False, fail_under: float | None = None) -> str:
    """The results in one of :data:`FORMATS`."""
    match form:
        case "json":
            return text(_json(reports))
        case "github":
            return "\n".join(line for one in reports for line in _annotations(one))
        case _:
            return "\n".join(printable(line) for line in _text(reports, verbose, fail_under))


def percent(coverage: CoverageReport) -> str:
    """Rounded down: 100 is all."""
    return f"{int(1000 * coverage.covered / coverage.total) / 10:g}" if coverage.total else "100"


# For people.


def _text(reports: Sequence[Report], verbose: bool, fail_under: float | None) -> Iterator[str]:
    for one in reports:
        findings = [msgspec.structs.replace(found, file=one.path(found.file)) for found in one.findings]
        if findings:
            yield from render(findings).split("\n")
            yield ""
        for ran in one.ran:
            if not ran.result.passed:
                yield from _failure(one, ran.result)
            elif verbose:
                yield f"ok   {one.path(ran.file)}:{ran.result.case.position.line}: {ran.result.case.name}"
        if one.coverage is not None and one.policies is not None:
            yield from _coverage(one, one.coverage)
        yield _summary(one, fail_under)


def _summary(one: Report, fail_under: float | None) -> str:
    errors = sum(found.is_error for found in one.findings)
    parts = [f"{len(one.ran) - len(one.failures)} passed", *([f"{len(one.failures)} failed"] if one.failures else [])]
    parts += [f"{errors} error{'' if errors == 1 else 's'} in the files"] if errors else []
    if one.coverage is not None and one.policies is not None:
        below = fail_under is not None and one.is_below(fail_under)
        wanted = f", below {fail_under:g} %" if below else ""
        parts.append(f"coverage {percent(one.coverage)} % ({one.coverage.covered} of {one.coverage.total}){wanted}")
    return f"{one.folder}: {', '.join(parts)}"


def failure_lines(one: Report, result: Result) -> list[str]:
    """What is not as expected beside what was, and why it was decided so."""
    return list(_comparison(result.differences)) + list(_reasons(one, result))


def _failure(one: Report, result: Result) -> Iterator[str]:
    yield f"FAIL {one.at(result.case.position)}: {result.case.name}"
    if result.internal:
        yield f"  {result.internal}"
    for line in failure_lines(one, result):
        yield f"  {line}" if line else ""
    yield ""


def _comparison(differences: Sequence[Difference]) -> Iterator[str]:
    if not differences:
        return
    rows = [("", "expected", "actual")]
    for difference in differences:
        pairs = zip_longest(difference.expected, difference.actual, fillvalue="")
        rows += [(difference.what if number == 0 else "", *pair) for number, pair in enumerate(pairs)]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    for what, expected, actual in rows:
        yield f"{what.ljust(first)}  {expected.ljust(min(second, WIDTH))}  {actual}".rstrip()


def _reasons(one: Report, result: Result) -> Iterator[str]:
    if not result.reasons:
        return
    rules = {rule.id: rule for rule in one.policies.rules} if one.policies is not None else {}
    yield "because"
    many = len({entry.entity for entry in result.reasons if entry.entity is not None}) > 1
    for entry in result.reasons:
        yield f"  {_told(one, entry, rules, many)}"
        for test in deciding(entry):
            yield f"    {sentence(test)}  [{one.at(test.position)}]"


def _told(one: Report, entry: RuleTrace, rules: dict[str, Rule], many: bool) -> str:
    rule = rules.get(entry.rule)
    kind = f"exception of {entry.of}" if entry.of else rule.kind if rule is not None else "plugin"
    mode = f", in {entry.mode}" if entry.mode != "enforce" else ""
    entity = f" for entity {entry.entity + 1}" if many and entry.entity is not None else ""
    where = f"  [{one.at(rule.position)}]" if rule is not None else ""
    return f"{entry.rule} ({kind}{mode}) {entry.outcome}{entity}: {entry.why}{where}"


_TRUTH = {True: "holds", False: "does not hold", None: "is unknown"}


def sentence(test: TestTrace) -> str:
    """One condition, whether it held, and the value that it saw."""
    return f"{test.part} {test.path}: {', '.join(test.operators)} {_TRUTH[test.truth]}; it saw {seen(test, values=True, spell=_quoted)}"


def _quoted(value: object) -> str:
    return f"`{value_text(value)}`"


# Coverage.


def _coverage(one: Report, coverage: CoverageReport) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [("rule", "", "matched", "not matched", "conditions")]
    rows += [_row(owner) for owner in coverage.owners]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    missing = list(_missing(one, coverage))
    if missing:
        yield ""
        yield "not covered:"
        yield from (f"  {line}" for line in missing)
    if coverage.off:
        yield ""
        yield f"left out, since they are off: {', '.join(coverage.off)}"
    yield ""


def _row(owner: OwnerCoverage) -> tuple[str, ...]:
    mode = f", in {owner.mode}" if owner.mode != "enforce" else ""
    unmatched = "-" if owner.unmatched is None else _yes(owner.unmatched)
    points, of = sum(each.true + each.false for each in owner.conditions), 2 * len(owner.conditions)
    return (owner.id, owner.kind + mode, _yes(owner.matched), unmatched, f"{points} of {of}" if of else "-")


def _yes(value: bool) -> str:
    return "yes" if value else "NO"


def missing_points(coverage: CoverageReport) -> Iterator[tuple[Position, str]]:
    """Where something was not seen, and what."""
    for owner in coverage.owners:
        for what, condition, is_seen in owner.points():
            if not is_seen:
                yield (owner.position if condition is None else condition.position), _point(owner, what, condition)


def _point(owner: OwnerCoverage, what: str, condition: ConditionCoverage | None) -> str:
    if condition is None:
        return f"{owner.id}: never {what}"
    return f"{owner.id}: {condition.part} {condition.path}: {', '.join(condition.operators)} was never {what}"


def _missing(one: Report, coverage: CoverageReport) -> Iterator[str]:
    return (f"{one.at(position)}: {said}" for position, said in missing_points(coverage))


# For programs.


def _json(reports: Sequence[Report]) -> dict[str, object]:
    return {
        "passed": sum(len(one.ran) - len(one.failures) for one in reports),
        "failed": sum(len(one.failures) for one in reports),
        "errors": sum(found.is_error for one in reports for found in one.findings),
        "sets": [
            {
                "folder": str(one.folder),
                "policies": None if one.policies is None else one.policies.digest,
                "findings": [{**found.as_json(), "file": one.path(found.file)} for found in one.findings],
                "tests": [_test_json(one, ran) for ran in one.ran],
                "coverage": None if one.coverage is None else _coverage_json(one, one.coverage),
            }
            for one in reports
        ],
    }


def _test_json(one: Report, ran: Ran) -> dict[str, object]:
    result, case = ran.result, ran.result.case
    found: dict[str, object] = {
        "file": one.path(ran.file), "line": case.position.line, "column": case.position.column, "name": case.name, "action": case.request.action,
        "passed": result.passed,
    }  # fmt: skip
    if result.passed:
        return found
    return {
        **found,
        "internal": result.internal or None,
        "differences": [
            {"what": difference.what, "expected": list(difference.expected), "actual": list(difference.actual)} for difference in result.differences
        ],
        "because": [
            {
                "rule": entry.rule, "outcome": entry.outcome, "why": entry.why, "entity": entry.entity, "of": entry.of, "mode": entry.mode,
                "conditions": [{"at": one.at(test.position), "path": test.path, "truth": test.truth, "said": sentence(test)} for test in deciding(entry)],
            }
            for entry in result.reasons
        ],
        "decision": decision_json(result.decision, case.request),
    }  # fmt: skip


def _coverage_json(one: Report, coverage: CoverageReport) -> dict[str, object]:
    return {
        "covered": coverage.covered,
        "total": coverage.total,
        "percent": float(percent(coverage)),
        "off": list(coverage.off),
        "rules": [
            {
                "id": owner.id, "kind": owner.kind, "mode": owner.mode, "at": one.at(owner.position), "matched": owner.matched,
                "not_matched": owner.unmatched,
                "conditions": [
                    {
                        "path": each.path, "operators": list(each.operators), "part": each.part, "at": one.at(each.position), "true": each.true,
                        "false": each.false,
                    }
                    for each in owner.conditions
                ],
            }
            for owner in coverage.owners
        ],
    }  # fmt: skip


# For a GitHub workflow.


def _annotations(one: Report) -> Iterator[str]:
    for found in one.findings:
        kind = "error" if found.is_error else "warning"
        yield _annotation(kind, one.path(found.file), found.line, found.column, found.code, found.message)
    for ran in one.failures:
        case = ran.result.case
        lines = "\n".join([*([ran.result.internal] if ran.result.internal else []), *failure_lines(one, ran.result)])
        yield _annotation("error", one.path(ran.file), case.position.line, case.position.column, case.name, lines)
    for position, said in missing_points(one.coverage) if one.coverage is not None else ():
        yield _annotation("warning", one.path(position.file), position.line, position.column, "not covered", said)


def _annotation(kind: str, file: str, line: int, column: int, title: str, message: str) -> str:
    return f"::{kind} file={escaped(file, True)},line={line},col={column},title={escaped(title, True)}::{escaped(message)}"
