"""What the DIMSE gateway of this version cannot enforce. It does not start on such a rule: a rule is never ignored."""

from __future__ import annotations

from collections.abc import Iterator

from hirules.facts.reads import paths_of
from hirules.model.vocabulary import Vocabulary
from hirules.policy.ast import PolicySet, Position, Rule
from hirules.policy.findings import Finding, ordered

LOOKED_UP = frozenset({"c-get", "c-move", "n-get", "n-set", "n-action", "n-delete"})
"""What these reach is asked of the upstream (``hirules.dimse.lookup``); the others name nothing that exists already, or come from it."""


def not_enforceable(policies: PolicySet) -> tuple[Finding, ...]:
    """A finding for each rule, in force or in shadow, that the gateway could not carry out as it stands."""
    return ordered({finding for rule in policies.rules if rule.mode != "off" for finding in _not_enforceable(rule, policies.vocabulary)})


def _not_enforceable(rule: Rule, vocabulary: Vocabulary) -> Iterator[Finding]:
    dimse = sorted(action for action in rule.on if vocabulary.actions[action].service == "dimse")
    for path, position in paths_of(rule):
        if path.root == "resource" and (unknown := [action for action in dimse if action not in LOOKED_UP]):
            yield _finding(rule, position, f"`{path}` for `{unknown[0]}`: what it reaches cannot be looked up")
        elif path.root == "instance" and "c-store" in rule.on:
            yield _finding(rule, position, f"`{path}` for `c-store`: what arrives is not read in this version")


def _finding(rule: Rule, position: Position, why: str) -> Finding:
    return Finding(
        position.file, position.line, position.column, "not-enforceable", f"the gateway cannot enforce `{rule.id}`: {why}",
        hint="`mode: off` leaves the rule out",
    )  # fmt: skip
