"""The indexed evaluator: the decisions of the reference evaluator, at a cost that does not grow with the number of rules.

    request ─▶ action ─▶ node ─▶ … ─▶ leaf: the few rules that can still matter
                          │ one attribute, one look-up   ├─ all their tests are answered by the way here: the decision is shared
                          │                              ├─ else: fused closures, and a shared decision by their truths
                          └ a value not seen before:     └─ rewrites, resources, exceptions, unknowns: the reference
                            buckets and bitsets               evaluator, with these rules only

The trees (``trees.py``) grow with the values that requests bring, and are bounded.

INVARIANT: a rule that is not in a leaf is false for the request, and nothing of it was unknown. So the reference evaluator
says the same with the rules of the leaf as with all of them; that is what the differential test shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from hirules.model.decision import Decision
from hirules.model.request import Request
from hirules.policy.ast import PolicySet, Rule
from hirules.policy.buckets import nothing
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.evaluate import Trace, evaluate
from hirules.policy.leaves import Leaf, restricted
from hirules.policy.needs import NOTHING, needs, needs_after
from hirules.policy.operators import OPERATORS, Operator
from hirules.policy.read import View
from hirules.policy.sources import IDENTIFIER, REQUEST, SUBJECT, Source
from hirules.policy.trees import ANY, Forest, Node
from hirules.policy.verdict import Verdict


class Index:
    """Decides like ``evaluate``, with the same arguments. Thread safe: trees only ever gain nodes, or start anew."""

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
        self._forest = Forest(policies, operators, between)

    def fell(self, between: Callable[[], None]) -> None:
        """Take the trees apart in small steps, once nobody decides by them any more."""
        self._forest.fell(between)

    def decide(self, request: Request, now: datetime, verdicts: Sequence[Verdict] = (), trace: Trace | None = None) -> Decision:
        """What happens to ``request``; see :func:`hirules.policy.evaluate.evaluate`. With a trace the reference evaluator decides."""
        if trace is not None or request.action not in self._forest.roots:
            return evaluate(self.policies, request, now, verdicts, trace, operators=self.operators, edits=self.edits)
        found = None if verdicts else self.shared(request, now)
        if found is None:
            return self._by_reference(self._leaf(request, now), request, now, verdicts)
        return Decision(
            found.decision, request, found.by, found.status, found.reason, found.full_reason, found.offending, found.no_match,
            found.rewritten, found.nothing, found.notes, found.shadow, found.exceptions, found.errors, found.policies,
        )  # fmt: skip

    def shared(self, request: Request, now: datetime) -> Decision | None:
        """The decision that ``request`` has in common with others: all but its ``effective``, which is nobody's.

        ``None`` where its decision is its own. The action is one of the vocabulary.
        """
        leaf = self._leaf(request, now)
        found = leaf.settled
        if found is not None and request.resource is None:
            return found
        if not leaf.shared or not self._is_plain(request):
            return None
        view = View(request, request, ANY, now, self._forest.zone)
        return leaf.decision(request, view, lambda: self._evaluate(self._with(leaf.rules), request, now, ()))

    def _is_plain(self, request: Request) -> bool:
        """Whether nothing but rules decides: a retrieve that reaches nothing, or a sub-operation of a C-GET, has a law of its own."""
        return bool(request.resource or request.resource is None) and not (request.action == "c-store" and "action" in request.request)

    def needs(self, request: Request, now: datetime, verdicts: Sequence[Verdict] = ()) -> frozenset[str]:
        """Names below ``resource.`` that undecided rules need; see :func:`hirules.policy.needs.needs`."""
        if request.action not in self._forest.roots or request.resource is not None:
            return NOTHING
        leaf = self._leaf(request, now)
        rewriting = leaf.rewrites or any(verdict.effect == "rewrite" for verdict in verdicts)
        if not rewriting and not leaf.reads_resource:
            return NOTHING
        # what a rewrite leads to is not known here: every rule may count
        policies = self.policies if rewriting else self._with(leaf.rules)
        return needs(policies, request, now, verdicts, operators=self.operators, edits=self.edits)

    def needs_after(self, request: Request, now: datetime, verdicts: Sequence[Verdict] = ()) -> tuple[Request, frozenset[str]]:
        """The effective request, and what rules need of what it reaches; see :func:`hirules.policy.needs.needs_after`."""
        if request.action not in self._forest.roots:
            return request, NOTHING
        if not self._leaf(request, now).rewrites and not any(verdict.effect == "rewrite" for verdict in verdicts):
            return request, NOTHING
        return needs_after(self.policies, request, now, verdicts, operators=self.operators, edits=self.edits)

    def _leaf(self, request: Request, now: datetime) -> Leaf:
        """The leaf that ``request`` leads to."""
        node: Node = self._forest.roots[request.action]
        while (leaf := node.leaf) is None:
            place = node.place  # what `Source.raw` does, without the call
            if place == SUBJECT:
                raw: object = request.subject.get(node.name)
            elif place == REQUEST:
                raw = request.request.get(node.name)
            elif place == IDENTIFIER and type(identifier := request.request.get("Identifier")) is dict:
                raw = identifier.get(node.name)
            else:
                raw = Source(place, node.name).raw(request)
            try:
                node = node.memo[raw]
            except (KeyError, TypeError):  # not seen yet, or a list
                node = node.tree.descend(node, raw, request, now)
        return leaf

    def _by_reference(self, leaf: Leaf, request: Request, now: datetime, verdicts: Sequence[Verdict]) -> Decision:
        decision = self._evaluate(self._with(leaf.rules), request, now, verdicts)
        if decision.effective is request:
            return decision
        # a rewrite leads to other rules for the effective request; the rewrite rules are those of the request as it came
        other = self._leaf(decision.effective, now)
        return decision if other is leaf else self._evaluate(self._with((*leaf.rules, *other.rules)), request, now, verdicts)

    def _with(self, rules: Iterable[Rule]) -> PolicySet:
        return restricted(self.policies, self._forest.policies, rules)

    def _evaluate(self, policies: PolicySet, request: Request, now: datetime, verdicts: Sequence[Verdict]) -> Decision:
        return evaluate(policies, request, now, verdicts, operators=self.operators, edits=self.edits)
