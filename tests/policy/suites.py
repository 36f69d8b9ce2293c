"""Tests of policies as text: what the tests of their reading and running share."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent

from hirules.assemble.captured import reader
from hirules.facts.consistent import ambiguous
from hirules.facts.names import Names
from hirules.policy.ast import PolicySet
from hirules.policy.findings import Finding
from hirules.policy.load import load_set
from hirules.policy.suite import Case, Suite
from hirules.policy.suite_parts import Files
from hirules.policy.suite_read import Reader
from hirules.policy.suite_run import Result, Runner

HEAD = "hirules-test: 1\nnow: 2026-03-02T10:00:00+01:00\n"
POLICY = """
hirules: 1
policy: p
lists:
  clinical: [PACS_MAIN, PACS_DR]
rules:
  - id: old
    on: c-move
    when: {request.MoveDestination: OLDPACS}
    rewrite:
      - set: {request.MoveDestination: PACS_MAIN}
  - id: agreed
    on: c-move
    when: {request.MoveDestination: {not_in: $clinical}}
    deny: {reason: "`{request.MoveDestination}` has no release agreement", status: 0xA801}
  - id: clinical
    on: [c-find, c-get, c-move]
    when: {subject.ae_title: {in: $clinical}}
    allow: {}
  - id: vip
    on: c-move
    when: {resource.PatientID: VIP}
    audit: {severity: alert, note: a VIP record was requested, include: [resource.PatientID]}
  - id: later
    on: c-move
    mode: shadow
    when: {subject.ae_title: PACS_DR}
    deny: {}
  - id: hidden
    on: c-find
    when: {subject.ae_title: SPY}
    deny: {respond: no-match}
exceptions:
  - id: audit
    of: [agreed]
    when: {request.MoveDestination: AUDIT_NODE}
    reason: a ticket
    approved_by: office
    expires: 2026-12-31T23:59:59Z
"""


def policies(text: str = POLICY) -> PolicySet:
    """The set of this one policy."""
    return load_set({"p.yaml": dedent(text).encode()}).required()


def reading(text: str, of: PolicySet | None = None, files: Mapping[str, bytes] | None = None) -> tuple[Suite | None, tuple[Finding, ...]]:
    """The tests in ``text``, and what was found; without a head they get the usual one."""
    body = dedent(text)
    chosen = policies() if of is None else of
    names = Names(chosen.vocabulary)
    contents = Files({} if files is None else files, reader(chosen.vocabulary))
    made = Reader(chosen, contents, lambda request: names.strange(request, whole=True), ambiguous)
    return made.read("t/x_test.yaml", (body if body.startswith("hirules-test") else HEAD + body).encode())


def cases(text: str, of: PolicySet | None = None, files: Mapping[str, bytes] | None = None) -> tuple[Case, ...]:
    """The tests in ``text``, which has no mistake."""
    suite, findings = reading(text, of, files)
    assert suite is not None, "\n".join(map(str, findings))
    return suite.cases


def case(text: str, of: PolicySet | None = None, files: Mapping[str, bytes] | None = None) -> Case:
    """The only test; ``text`` are its keys."""
    body = "\n".join("    " + line for line in dedent(text).strip().split("\n"))
    (one,) = cases(f"tests:\n  - name: t\n{body}\n", of, files)
    return one


def run(text: str, of: PolicySet | None = None) -> Result:
    """What comes of a test, ``text`` its keys."""
    chosen = policies() if of is None else of
    return Runner(chosen).run(case(text, chosen))


def said(text: str, of: PolicySet | None = None, files: Mapping[str, bytes] | None = None) -> list[str]:
    """The findings, each as ``code: message``."""
    return [f"{found.code}: {found.message}" for found in reading(text, of, files)[1]]
