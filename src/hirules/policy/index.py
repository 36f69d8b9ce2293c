"""The indexed evaluator: the decisions of the reference evaluator, at a cost that hardly grows with the number of rules.

    request ─▶ table of its action ─▶ raw values ─┬─ seen together before: the decision, shared
                                                  └─ each leaves some rules, as bits ─▶ leaf: the rules that all of them leave
                                                       ├─ their truths are known by now, or by fused closures: a decision, shared
                                                       ├─ some rewrite: rewritten, and decided by the leaf of what became of it
                                                       └─ resources, exceptions, unknowns: the reference evaluator,
                                                          with these rules only

INVARIANT: a rule that is not in a leaf is false for the request, and nothing of it was unknown. So the reference evaluator
says the same with the rules of the leaf as with all of them; that is what the differential test shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.decision import Decision
from hirules.model.request import Request
from hirules.policy.ast import PolicySet, Rule
from hirules.policy.buckets import nothing
from hirules.policy.columns import ANY
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.entries import Entries
from hirules.policy.evaluate import Trace, evaluate, setting_of
from hirules.policy.leaves import Leaf, restricted
from hirules.policy.matching import unique_errors
from hirules.policy.needs import NOTHING, needs, needs_after
from hirules.policy.operators import OPERATORS, Operator
from hirules.policy.read import View
from hirules.policy.rewriting import rewrite
from hirules.policy.sources import Key
from hirules.policy.tables import Table
from hirules.policy.verdict import Verdict


class Index:
    """Decides like ``evaluate``, with the same arguments. Thread safe: what is remembered is only ever added to, or forgotten whole."""

    def __init__(
        self,
        policies: PolicySet,
        *,
        operators: Mapping[str, Operator] = OPERATORS,
        edits: Mapping[str, EditKind] = EDITS,
        between: Callable[[], None] = nothing,
    ) -> None:
        """``between`` is called between small steps, by whom others run beside."""
        self.policies = policies
        self.operators = operators
        self.edits = edits
        self._zone = ZoneInfo(policies.time_zone)
        self._by_id = {policy.id: policy for policy in policies.policies}
        entries = Entries(policies, between)
        self._tables = {
            name: Table(policies, policies.vocabulary.actions[name], of_action, entries.allows.get(name), entries.paths, operators, between)
            for name, of_action in entries.by_action.items()
        }
        self._recalls = {name: table.recall for name, table in self._tables.items()}

    def fell(self, between: Callable[[], None]) -> None:
        """Take the tables apart in small steps, once nobody decides by them any more."""
        for table in self._tables.values():
            table.fell(between)

    def decide(self, request: Request, now: datetime, verdicts: Sequence[Verdict] = (), trace: Trace | None = None) -> Decision:
        """What happens to ``request``; see :func:`hirules.policy.evaluate.evaluate`. With a trace the reference evaluator decides."""
        if trace is not None or request.action not in self._tables:
            return evaluate(self.policies, request, now, verdicts, trace, operators=self.operators, edits=self.edits)
        found = None if verdicts else self.shared(request, now)
        if found is None:
            return self._by_reference(request, now, verdicts)
        return Decision(
            found.decision, request, found.by, found.status, found.reason, found.full_reason, found.offending, found.no_match,
            found.rewritten, found.nothing, found.notes, found.shadow, found.exceptions, found.errors, found.policies,
        )  # fmt: skip

    def shared(self, request: Request, now: datetime) -> Decision | None:
        """The decision that ``request`` has in common with others: all but its ``effective``, which is nobody's.

        ``None`` where its decision is its own. The action is one of the vocabulary.
        """
        return self._recalls[request.action](self, request, now)

    def decided(self, key: Key | None, request: Request, now: datetime) -> Decision | None:
        """The shared decision of a request that is not known by ``key``, its raw values; without a key it is not remembered."""
        table = self._tables[request.action]
        leaf, follows = table.find(request, now, key)
        if not leaf.shared or not ((request.resource is None and request.action != "c-store") or self._is_plain(request)):
            return None
        decision = leaf.settled
        if decision is None:
            moment = now if now.tzinfo is not None else now.replace(tzinfo=self._zone)
            decision = leaf.decision(request, View(request, request, ANY, moment, self._zone))
        if decision is not None and key is not None and follows and leaf.follows:
            table.remember(key, decision)
        return decision

    def _is_plain(self, request: Request) -> bool:
        """Whether nothing but rules decides: a retrieve that reaches nothing, or a sub-operation of a C-GET, has a law of its own."""
        return bool(request.resource or request.resource is None) and not (request.action == "c-store" and "action" in request.request)

    def needs(self, request: Request, now: datetime, verdicts: Sequence[Verdict] = ()) -> frozenset[str]:
        """Names below ``resource.`` that undecided rules need; see :func:`hirules.policy.needs.needs`."""
        if request.action not in self._tables or request.resource is not None:
            return NOTHING
        table = self._tables[request.action]
        leaf = self._leaf(request, now)
        rewriting = leaf.rewrites or any(verdict.effect == "rewrite" for verdict in verdicts)
        if not rewriting and not leaf.reads_resource:
            return NOTHING
        # what a rewrite leads to is not known here: every rule may count
        policies = self.policies if rewriting else self._with(table, leaf.rules)
        return needs(policies, request, now, verdicts, operators=self.operators, edits=self.edits)

    def needs_after(self, request: Request, now: datetime, verdicts: Sequence[Verdict] = ()) -> tuple[Request, frozenset[str]]:
        """The effective request, and what rules need of what it reaches; see :func:`hirules.policy.needs.needs_after`."""
        if request.action not in self._tables:
            return request, NOTHING
        if not self._leaf(request, now).rewrites and not any(verdict.effect == "rewrite" for verdict in verdicts):
            return request, NOTHING
        return needs_after(self.policies, request, now, verdicts, operators=self.operators, edits=self.edits)

    def _leaf(self, request: Request, now: datetime) -> Leaf:
        """The leaf that ``request`` leads to."""
        return self._tables[request.action].find(request, now, None)[0]

    def _by_reference(self, request: Request, now: datetime, verdicts: Sequence[Verdict]) -> Decision:
        table, leaf = self._tables[request.action], self._leaf(request, now)
        edited = self._edited(leaf, request, now) if leaf.edits and not verdicts else None
        if edited is not None:
            return edited
        decision = self._evaluate(self._with(table, leaf.rules), request, now, verdicts)
        if decision.effective is request:
            return decision
        # a rewrite leads to other rules for the effective request; the rewrite rules are those of the request as it came
        other = self._leaf(decision.effective, now)
        return decision if other is leaf else self._evaluate(self._with(table, (*leaf.rules, *other.rules)), request, now, verdicts)

    def _edited(self, leaf: Leaf, request: Request, now: datetime) -> Decision | None:
        """By the rewrite rules of ``leaf``, and by what the others say of the effective request; ``None`` where more comes into it."""
        if request.resource is not None or request.resource_after is not None or request.action == "c-store" or not leaf.edits:
            return None
        if leaf.editing is None:
            leaf.editing = restricted(self.policies, self._by_id, leaf.edits)
        setting = setting_of(leaf.editing, request, now, self.operators, self.edits)
        rewriting = rewrite(setting, request, (ANY,), ())
        effective = rewriting.effective
        other = leaf if effective is request else self._leaf(effective, now)
        if rewriting.refused or rewriting.selects or other.edits is None:
            return None
        decision = other.settled or other.decision(effective, View(effective, request, ANY, setting.now, setting.zone))
        if decision is None:
            return None
        return msgspec.structs.replace(decision, effective=effective, rewritten=rewriting.rewritten, errors=unique_errors(rewriting.errors))

    def _with(self, table: Table, rules: Iterable[Rule]) -> PolicySet:
        # INVARIANT: whether an action that only narrows has an allow rule counts, whatever the rule says: one is always there
        return restricted(self.policies, self._by_id, rules if table.allow is None else (*rules, table.allow))

    def _evaluate(self, policies: PolicySet, request: Request, now: datetime, verdicts: Sequence[Verdict]) -> Decision:
        return evaluate(policies, request, now, verdicts, operators=self.operators, edits=self.edits)
