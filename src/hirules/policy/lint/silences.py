"""Findings that a policy silences, with a reason: ``lint: {code: reason}`` of a rule, an exception or a whole policy.

Of a rule or an exception it silences what stands in it, of a policy what stands in its file. A silence that silences nothing is
itself a finding: what it spoke of has been mended, or was never there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping

from hirules.policy.ast import Policy, PolicySet, Position, Silence
from hirules.policy.document import Document
from hirules.policy.findings import Finding

_Place = tuple[int, int]


def heard(findings: Iterable[Finding], policies: PolicySet, documents: Mapping[str, Document]) -> list[Finding]:
    """The findings that are not silenced, and one for each silence without effect."""
    by_file: dict[str, list[Finding]] = {}
    for finding in findings:
        by_file.setdefault(finding.file, []).append(finding)
    kept: list[Finding] = []
    for policy in policies.policies:
        kept += _of_policy(policy, by_file.pop(policy.file, []), documents.get(policy.file))
    return [*kept, *(finding for others in by_file.values() for finding in others)]


def _of_policy(policy: Policy, findings: list[Finding], document: Document | None) -> list[Finding]:
    owners = _owners(policy)
    if not any(silences for _, silences in owners) and not policy.lint:
        return findings
    starts = [place for place, _ in owners]
    used: set[Position] = set()
    kept = []
    for finding in findings:
        number = bisect_right(starts, (finding.line, finding.column)) - 1
        own = owners[number][1] if number >= 0 else ()
        silencing = [] if finding.is_error else [silence for silence in (*own, *policy.lint) if silence.code == finding.code]
        used.update(silence.position for silence in silencing)
        if not silencing:
            kept.append(finding)
    unused = [silence for silences in (policy.lint, *(own for _, own in owners)) for silence in silences if silence.position not in used]
    return kept + [_unused(policy, silence, document) for silence in unused]


def _owners(policy: Policy) -> list[tuple[_Place, tuple[Silence, ...]]]:
    """Rules and exceptions by where they begin; each reaches to the next."""
    found = [(rule.position, rule.lint) for rule in policy.rules]
    found += [(exception.position, exception.lint) for exception in policy.exceptions]
    return sorted((((place.line, place.column), silences) for place, silences in found), key=lambda one: one[0])


def _unused(policy: Policy, silence: Silence, document: Document | None) -> Finding:
    place = silence.position
    line = document.lines[place.line - 1] if document is not None and place.line <= len(document.lines) else ""
    message = f"`{silence.code}` is silenced here, and there is nothing to silence"
    return Finding(place.file, place.line, place.column, "unused-silence", message, "warning", "no silence", "", len(silence.code), line)
