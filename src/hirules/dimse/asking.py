"""The gate as the desk of a guarded program asks it: with what the program knows of the peer, and with no rule that would be ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hirules.dimse.demands import Demands
from hirules.facts.disclosed import Disclosed
from hirules.facts.reads import paths_of
from hirules.gate import Gate
from hirules.model.decision import Decision, Status
from hirules.model.request import Request, replaced
from hirules.model.status import default_status
from hirules.policy.ast import PolicySet

SubjectOf = Callable[[Any], Mapping[str, object]]
"""``subject(association)`` says what else is known of the peer, by the names below ``subject.``."""


class Asking:
    """Of one association of pynetdicom. Thread safe."""

    def __init__(self, association: Any, gate: Gate, subject: SubjectOf | None) -> None:
        self._association = association
        self._gate = gate
        self._subject = subject
        self._seen: tuple[PolicySet, str] | None = None
        self._demands = Demands(gate)

    def check(self, request: Request) -> Decision:
        """Decide and record."""
        request = self._known(request)
        policies, seen = self._gate.policies, self._seen
        if seen is None or seen[0] is not policies:
            # the gate may have reloaded since `guard`
            seen = self._seen = policies, not_enforceable(policies)
        if seen[1]:
            return self._gate.refuse(request, default_status(request.action), "a rule that the guard cannot enforce")
        return self._gate.check(request)

    def refuse(self, request: Request, status: Status, reason: str) -> Decision:
        """Record a refusal before any rule."""
        return self._gate.refuse(self._known(request), status, reason)

    def disclosed(self, action: str, asking: str) -> Disclosed:
        """What the rules of the set that decides now need of a data set."""
        return self._demands.disclosed(action, asking)

    def leaves(self, decision: Decision, uid: str) -> bool:
        """Whether the instance is in the record; else it must not leave."""
        return self._gate.leaves(decision, uid)

    def complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        """Record how it ended."""
        self._gate.complete(decision, outcome)

    def _known(self, request: Request) -> Request:
        return request if self._subject is None else replaced(request, subject={**request.subject, **self._subject(self._association)})


def not_enforceable(policies: PolicySet) -> str:
    """Why ``policies`` cannot be enforced here; empty when they can. A rule is never ignored."""
    for rule in policies.rules:
        if rule.mode == "off":
            continue
        if "c-store" in rule.on and any(path.root == "instance" for path, _ in paths_of(rule)):
            return f"the guard cannot enforce `{rule.id}`: what arrives by `c-store` is not read in this version; `mode: off` leaves the rule out"
    return ""
