"""Examples for what the compiler warns of: it knows no requests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from hirules.policy.ast import Check, Flag, Position, Rule, Test
from hirules.policy.findings import Finding
from hirules.policy.lint.subject import Subject, conditions_of, each_test
from hirules.policy.lint.terms import Literal
from hirules.policy.lint.witness import Found


def with_examples(subject: Subject, findings: Iterable[Finding]) -> Iterator[Finding]:
    """The findings, with a request where one shows what is meant."""
    by_start = {(rule.position.file, rule.position.line, rule.position.column): rule for rule in subject.rules}
    for finding in findings:
        example = None
        if finding.code == "always":
            rule = by_start.get((finding.file, finding.line, finding.column))
            example = None if rule is None else subject.search.for_term(min(rule.on), ())
        elif finding.code == "absent-matches":
            example = _negated(subject, finding)
        elif finding.code == "client-claim":
            example = _claimed(subject, finding, by_start.values())
        yield finding if example is None else msgspec.structs.replace(finding, example=subject.example_text(example))


def absent(subject: Subject, rule: Rule, test: Test) -> Found | None:
    """A request that the rule matches although the path of the test is absent."""
    missing = Literal(test.path, test.attribute, Check("exists", Flag(False), test.position), True, test.position)
    for term in subject.terms(rule) or ():
        found = subject.search.for_term(min(rule.on), (*term, missing))
        if found is not None and rule.id in subject.matched([rule], found):
            return found
    return None


def _negated(subject: Subject, finding: Finding) -> Found | None:
    for rule in subject.rules:
        if rule.position.file == finding.file and rule.kind == "allow":
            for condition in conditions_of(rule):
                for test in each_test(condition):
                    if any(_is_at(check.position, finding) for check in test.checks):
                        return absent(subject, rule, test)
    return None


def _is_at(position: Position, finding: Finding) -> bool:
    return (position.line, position.column) == (finding.line, finding.column)


def _claimed(subject: Subject, finding: Finding, rules: Iterable[Rule]) -> Found | None:
    """A retrieve that is allowed by what it says, and reaches another patient."""
    before = [rule for rule in rules if rule.position.file == finding.file and (rule.position.line, rule.position.column) <= (finding.line, finding.column)]
    rule = max(before, key=lambda one: (one.position.line, one.position.column), default=None)
    if rule is None:
        return None
    action = next((name for name in sorted(rule.on) if subject.policies.vocabulary.actions[name].retrieve), None)
    for term in (subject.terms(rule) or ()) if action is not None else ():
        found = subject.search.for_term(action or "", term)
        if found is not None and not found.request.resource:
            other = Found(msgspec.structs.replace(found.request, resource=[{"PatientID": "ANOTHER PATIENT"}]), found.now)
            if rule.id in subject.matched([rule], other):
                return other
    return None
