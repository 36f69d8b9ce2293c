"""The few rules that can still matter for a request, and how they are decided.

shared     every truth is known by the values that led here, or by a closure: one decision for all such requests
reference  rewrites, resources, exceptions, quoted or sampled values, unknowns: the reference evaluator with these rules only
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from hirules.model.decision import Decision
from hirules.model.request import Request
from hirules.policy.ast import Policy, PolicySet, Rewrite, Rule
from hirules.policy.entries import Entry
from hirules.policy.fused import Fused, follows_from, fused_rule
from hirules.policy.needs import resource_names
from hirules.policy.operators import Operator
from hirules.policy.outcomes import Outcomes, is_own
from hirules.policy.read import View
from hirules.policy.sources import Source


class Member:
    """A rule as leaves see it; made when it is first in one.

    ``answerable``  its truth is known where the values of the request leave it
    ``shared``      nothing of it is left to the reference evaluator
    ``own``         where it matches, the decision is one request's own
    ``edits``       it rewrites, and nothing but its edits comes into that
    """

    __slots__ = ("_closure", "_follows", "_operators", "_sources", "answerable", "edits", "own", "reads_resource", "rewrites", "rule", "shared", "timed")

    def __init__(self, entry: Entry, sources: Collection[Source], operators: Mapping[str, Operator]) -> None:
        self.rule = rule = entry.rule
        self.answerable = entry.answerable
        self.rewrites = type(rule.effect) is Rewrite
        self.reads_resource = bool(resource_names(rule))
        plain = not (self.reads_resource or rule.exceptions)
        self.shared = plain and not self.rewrites
        self.edits = plain and self.rewrites and rule.mode == "enforce"
        self.own = is_own(rule)
        self.timed = rule.valid.start is not None or rule.valid.end is not None
        self._sources, self._operators = sources, operators
        self._closure: Fused | None = None
        self._follows: bool | None = None

    @property
    def closure(self) -> Fused:
        """Tells its truth."""
        if self._closure is None:
            self._closure = fused_rule(self.rule, self._operators)
        return self._closure

    @property
    def follows(self) -> bool:
        """Whether its truth follows from what stands at the sources of the table."""
        if self._follows is None:
            self._follows = follows_from(self.rule, self._sources)
        return self._follows

    def is_valid(self, now: datetime) -> bool:
        """Whether the time lies in its ``valid``."""
        valid = self.rule.valid
        return (valid.start is None or valid.start <= now) and (valid.end is None or now < valid.end)


class Leaf:
    """``rules`` are all that can matter. Here they all match, and are plain (``Entry``).

    ``shared``   whether what it decides is shared, as long as no truth is unknown
    ``settled``  the decision, where it is the same for all that come here; its ``effective`` is nobody's
    ``follows``  whether the decision follows from what stands at the sources of the table
    ``edits``    the rules that rewrite the request as it came here, where all others are shared; else ``None``
    """

    __slots__ = ("editing", "edits", "follows", "reads_resource", "rewrites", "rules", "settled", "shared")

    def __init__(self, rules: Sequence[Rule], settled: Decision | None) -> None:
        self.rules, self.settled = rules, settled
        self.edits: Sequence[Rule] | None = ()
        self.editing: PolicySet | None = None
        """The set with these edits only, once it was needed."""
        self.shared = self.follows = True
        self.rewrites = self.reads_resource = False

    def decision(self, request: Request, view: View) -> Decision | None:
        """The decision that all requests with the same truths share, its ``effective`` nobody's; ``None`` where it is not shared."""
        return self.settled


class Asking(Leaf):
    """A leaf of any rules. ``certain`` are those whose condition holds; of the ``asked`` the truth depends on more."""

    __slots__ = ("_asked", "_certain", "_outcomes", "_timed")

    def __init__(self, certain: Sequence[Member], asked: Sequence[Member], outcomes: Outcomes) -> None:
        members = (*certain, *asked)
        super().__init__([member.rule for member in members], None)
        # what rewrites decides nothing
        self._certain, self._asked = ([member for member in some if not member.rewrites] for some in (certain, asked))
        self._outcomes = outcomes
        self.edits = [member.rule for member in members if member.edits] if all(member.shared or member.edits for member in members) else None
        self._timed = any(member.timed for member in members)
        self.rewrites = any(member.rewrites for member in members)
        self.reads_resource = any(member.reads_resource for member in members)
        self.shared = all(member.shared for member in members)
        self.follows = not self._timed and all(member.follows for member in asked)

    def decision(self, request: Request, view: View) -> Decision | None:
        """By the truths of the rules that decide: those that rewrite do not."""
        matching = list(self._certain)
        for member in self._asked:
            truth = member.closure(request, view)
            if truth is None:
                return None
            if truth:
                matching.append(member)
        if self._timed:
            matching = [member for member in matching if member.is_valid(view.now)]
        if any(member.own for member in matching):
            return None
        return self._outcomes.of([member.rule for member in matching])


def restricted(policies: PolicySet, by_id: Mapping[str, Policy], rules: Iterable[Rule]) -> PolicySet:
    """The set with these rules only; ``by_id`` are its policies by their ids."""
    chosen: dict[str, dict[str, Rule]] = {}
    for rule in rules:
        chosen.setdefault(rule.id.split("/", 1)[0], {})[rule.id] = rule
    kept = []
    for name in sorted(chosen):
        policy, own = by_id[name], chosen[name]
        exceptions = tuple(one for one in policy.exceptions if not own.keys().isdisjoint(one.of))
        kept.append(msgspec.structs.replace(policy, rules=tuple(own.values()), exceptions=exceptions))
    return msgspec.structs.replace(policies, policies=tuple(kept))
