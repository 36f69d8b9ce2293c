"""Lint: what a policy set says that its author hardly means. Only in ``check``; a set with such findings loads and decides.

    PolicySet, documents, now ─▶ lints, one module a family ─▶ findings with examples ─▶ silences ─▶ findings
                                   │ proofs    for every request: never, always, covers
                                   │ witness   a request that satisfies a condition
                                   └ evaluate  the reference evaluator confirms each example

terms ─▶ values, readings ─▶ proofs      what follows from conditions, in three-valued logic
pool ─▶ witness                          examples
nearby, meeting                          which rules are worth comparing
shapes, characters                       texts and networks within each other; letters that look alike
subject                                  what is linted

The families: matching, overlap, rewrites, narrowing, traps, identifier, names, times, served; examples for what the compiler warns of.

INVARIANT: what is claimed of all requests is proven, and each example is what the reference evaluator says it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from hirules.policy.ast import PolicySet
from hirules.policy.document import Document, parse
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.findings import Finding, ordered
from hirules.policy.lint import characters, identifier, matching, names, narrowing, overlap, rewrites, served, times, traps
from hirules.policy.lint.examples import with_examples
from hirules.policy.lint.silences import heard
from hirules.policy.lint.subject import Lint, Subject
from hirules.policy.operators import OPERATORS, Operator

FAMILIES = (matching, overlap, rewrites, traps, identifier, names, times, served, narrowing, characters)


def lint(
    policies: PolicySet,
    files: Mapping[str, bytes],
    now: datetime,
    *,
    found: Iterable[Finding] = (),
    operators: Mapping[str, Operator] = OPERATORS,
    edits: Mapping[str, EditKind] = EDITS,
) -> tuple[Finding, ...]:
    """Everything that is to be said about a set that loads: ``found`` (what loading found) and the lints, without what is silenced.

    ``files`` are those that the set was loaded from; ``now``, with its offset, decides what has expired.
    """
    subject = subject_of(policies, files, now, operators, edits)
    findings = [*with_examples(subject, found), *(one.finding for one in lints(subject)), *_not_compared(subject)]
    return ordered(heard(findings, policies, subject.documents))


def _not_compared(subject: Subject) -> list[Finding]:
    """What was left out, where a set has too many rules that name no values."""
    spent = [budget for budget in subject.budgets if budget.left < 0]
    file = min((policy.file for policy in subject.policies.policies), default="")
    hint = "conditions on values, prefixes and networks are compared by an index"
    return [
        Finding(file, 1, 1, "not-compared", f"only the first {budget.most} pairs of {budget.what} were compared with each other", "warning", hint=hint)
        for budget in spent
    ]


def subject_of(
    policies: PolicySet, files: Mapping[str, bytes], now: datetime, operators: Mapping[str, Operator] = OPERATORS, edits: Mapping[str, EditKind] = EDITS
) -> Subject:
    """The set with its documents, ready to be linted."""
    documents: dict[str, Document] = {policy.file: parse(policy.file, files[policy.file]) for policy in policies.policies}
    return Subject(policies, documents, now, operators, edits)


def lints(subject: Subject) -> list[Lint]:
    """The findings of all families with their examples, each once."""
    seen: dict[tuple[object, ...], Lint] = {}
    for family in FAMILIES:
        for one in family.lints(subject):
            place = one.finding
            seen.setdefault((place.file, place.line, place.column, place.code), one)
    return list(seen.values())


__all__ = ["FAMILIES", "Lint", "lint", "lints", "subject_of"]
