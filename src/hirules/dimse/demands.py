"""What the policies demand of who enforces them, known before any data come: which instances and answers are decisions of their own.

Asked again and again, since the policies may be reloaded; an answer is kept for a set. A plugin that votes may look at everything.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from hirules.dimse.options import Options
from hirules.facts.disclosed import Disclosed, could_apply, disclosed
from hirules.policy.ast import PolicySet

_SETS = 8
"""Sets of policies whose demands are remembered."""


@runtime_checkable
class Policed(Protocol):
    """A gate that says by what it decides."""

    @property
    def policies(self) -> PolicySet:
        """The set that decides now."""

    @property
    def votes(self) -> bool:
        """Whether a plugin has a say."""

    @property
    def records(self) -> bool:
        """Whether decisions are recorded."""


class Demands:
    """Those of one gate. Thread safe: what is kept is replaced whole."""

    def __init__(self, gate: Policed) -> None:
        self._gate = gate
        self._known: tuple[PolicySet, dict[tuple[str, str], Disclosed]] = gate.policies, {}
        self._narrowed: tuple[PolicySet, bool] | None = None
        self._released: dict[str, bool] = {}
        """By the digest of a set; of the one that decides and of those before."""
        self.deliveries()

    def suboperations(self) -> bool:
        """A rule could refuse, change or note a C-STORE of a permitted retrieve: then each of them is a decision of its own."""
        policies, kept = self._gate.policies, self._narrowed
        if kept is None or kept[0] is not policies:
            kept = self._narrowed = policies, any("c-store" in rule.on and rule.kind != "allow" and rule.mode != "off" for rule in policies.rules)
        return self._gate.votes or kept[1]

    def deliveries(self, decided_by: str = "") -> bool:
        """A rule decides instances of a C-MOVE as they leave: then none may leave past the gateway. A plugin is asked about the C-MOVE itself.

        ``decided_by`` is the digest of the set that decided the C-MOVE: after a reload neither it nor the one that decides now may demand it.
        """
        policies = self._gate.policies
        demanded_now = self._released.get(policies.digest)
        if demanded_now is None:
            demanded_now = any("release" in rule.on and rule.mode == "enforce" and could_apply(rule, "c-move") for rule in policies.rules)
            before = dict(list(self._released.items())[-_SETS:])
            self._released = {**before, policies.digest: demanded_now}
        return demanded_now or (decided_by not in ("", policies.digest) and self._released.get(decided_by, True))

    def disclosed(self, action: str, asking: str) -> Disclosed:
        """What the rules for an ``answer`` or a ``release`` need of a data set that ``asking`` brings."""
        policies, kept = self._gate.policies, self._known
        if kept[0] is not policies:
            kept = self._known = policies, {}
        found = kept[1].get((action, asking))
        if found is None:
            found = disclosed(policies, action, asking)
            if self._gate.votes:
                found = msgspec.structs.replace(found, applies=True, whole=True, hides=True)
            kept[1][action, asking] = found
        return found


def demanded(options: Options, gate: object) -> Options:
    """``options`` with what the policies of ``gate`` demand, where it says by what it decides and the options do not ask for more.

    INVARIANT: nobody who builds a gateway can forget a rule.
    """
    if not isinstance(gate, Policed):
        return options
    demands = Demands(gate)
    return msgspec.structs.replace(
        options,
        decide_suboperations=options.decide_suboperations or demands.suboperations,
        decide_deliveries=options.decide_deliveries or demands.deliveries,
        disclosed=options.disclosed or demands.disclosed,
        record_instances=options.record_instances or gate.records,
    )
