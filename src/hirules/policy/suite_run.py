"""Running tests of policies: each is decided twice, and what was decided is compared with what was expected.

    Case ─▶ reference evaluator, with the few rules that can matter ─┐
        └▶ indexed evaluator ────────────────────────────────────────┴▶ Decision ─▶ Differences, and why it was decided so

Where the two evaluators differ the fault is in hirules, and the test fails with that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.decision import Decision
from hirules.model.request import Request, plain
from hirules.policy.ast import PolicySet, Rule
from hirules.policy.coverage import Coverage, CoverageReport
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.entities import WITHOUT_RESOURCE, entities_of
from hirules.policy.evaluate import evaluate
from hirules.policy.index import Index
from hirules.policy.narrowing import STEPS, Narrowing, Step
from hirules.policy.operators import OPERATORS, Operator
from hirules.policy.read import View
from hirules.policy.suite import Case
from hirules.policy.suite_compare import Difference, differences
from hirules.policy.suite_reasons import told
from hirules.policy.trace import RuleTrace, Trace
from hirules.policy.verdict import Verdict

EXPLAINED = 50
"""Tests that failed for which every rule is looked at that might have led to what was expected; of more, only those that took part."""
_OTHERWISE = {"allow": ("deny",), "deny": ("allow",)}
"""By what was decided, though it should not be: the kind of the rules that did not match."""


class Result(msgspec.Struct, frozen=True):
    """What came of one test; it passed where nothing differs. ``reasons`` only where something does."""

    case: Case
    decision: Decision
    differences: tuple[Difference, ...] = ()
    reasons: tuple[RuleTrace, ...] = ()
    internal: str = ""
    """A fault of hirules itself."""

    @property
    def passed(self) -> bool:
        """Whether everything is as expected."""
        return not self.differences and not self.internal


class Runner:
    """Runs tests against one policy set. ``verdicts`` asks the plugins that are loaded."""

    def __init__(
        self,
        policies: PolicySet,
        *,
        operators: Mapping[str, Operator] = OPERATORS,
        edits: Mapping[str, EditKind] = EDITS,
        verdicts: Callable[[Request], Sequence[Verdict]] = lambda request: (),
        coverage: bool = False,
    ) -> None:
        self.policies = policies
        self._operators, self._edits, self._verdicts = operators, edits, verdicts
        self._index = Index(policies, operators=operators, edits=edits)
        self._narrowing = Narrowing(policies)
        self._coverage = Coverage(policies, self._narrowing, operators) if coverage else None
        self._zone = ZoneInfo(policies.time_zone)
        self._explained = 0

    def run(self, case: Case) -> Result:
        """Decide and compare."""
        verdicts = self._verdicts(case.request)
        decision = self._decided(case, verdicts)
        indexed = self._index.decide(case.request, case.now, verdicts)
        internal = "" if _same(decision, indexed) else "the two evaluators differ: this is a fault of hirules, please report it"
        found = differences(case, decision, self.policies.vocabulary)
        if not found and not internal:
            return Result(case, decision)
        return Result(case, decision, found, self._reasons(case, decision, verdicts), internal)

    def coverage(self) -> CoverageReport | None:
        """What the tests that ran have seen, where it is counted."""
        return None if self._coverage is None else self._coverage.report()

    # Deciding with the few rules that can matter.

    def _decided(self, case: Case, verdicts: Sequence[Verdict]) -> Decision:
        request = case.request
        rewriting, deciding = self._candidates(case, request, "rewrite"), self._candidates(case, request, "decide")
        effective = request
        if rewriting or verdicts:
            effective = self._evaluated(case, self._rules(request, rewriting, []), verdicts, None).effective
            if effective is not request:
                # other rules may look at the effective request
                deciding = self._candidates(case, effective, "decide")
        trace = None if self._coverage is None else Trace()
        decision = self._evaluated(case, self._rules(request, rewriting, deciding), verdicts, trace)
        if self._coverage is not None and trace is not None:
            self._coverage.observe(trace)
            self._coverage.observe_others(request.action, "rewrite", self._views(case, request), rewriting)
            self._coverage.observe_others(request.action, "decide", self._views(case, effective), deciding)
        return decision

    def _evaluated(self, case: Case, rules: Iterable[Rule], verdicts: Sequence[Verdict], trace: Trace | None) -> Decision:
        policies = self._narrowing.restricted(case.request.action, rules)
        return evaluate(policies, case.request, case.now, verdicts, trace, operators=self._operators, edits=self._edits)

    def _candidates(self, case: Case, request: Request, step: Step) -> list[int]:
        """The numbers of the rules of a shelf that may matter; what they need is the same for all entities."""
        view = View(request, case.request, WITHOUT_RESOURCE, case.now, self._zone)
        return self._narrowing.shelf(request.action, step).candidates(view)

    def _rules(self, request: Request, rewriting: Iterable[int], deciding: Iterable[int]) -> list[Rule]:
        first, second = (self._narrowing.shelf(request.action, step).rules for step in STEPS)
        return [*(first[number] for number in rewriting), *(second[number] for number in deciding)]

    def _views(self, case: Case, request: Request) -> list[View]:
        entities = entities_of(request.resource, self.policies.vocabulary.actions[request.action].has_resource)
        return [View(request, case.request, entity, case.now, self._zone) for entity in entities]

    # Why.

    def _reasons(self, case: Case, decision: Decision, verdicts: Sequence[Verdict]) -> tuple[RuleTrace, ...]:
        """Of the rules that decided, were expected to, or nearly did: what their conditions saw."""
        expected = case.expected
        named = {*expected.by, *decision.by, *(error.source for error in decision.errors)}
        entries = (*expected.notes, *expected.shadow, *expected.exceptions, *expected.errors)
        named |= {str(entry[key]) for entry in entries for key in ("source", "rule", "exception") if key in entry}
        near = self._near(case, decision)
        rules = [rule for rule in self.policies.rules if rule.id in named or named.intersection(one.id for one in rule.exceptions)]
        candidates = [self._candidates(case, request, step) for request, step in zip((case.request, decision.effective), STEPS, strict=True)]
        rules += [*self._rules(case.request, *candidates), *near]
        trace = Trace()
        self._evaluated(case, rules, verdicts, trace)
        return told(trace.rules, named, {rule.id for rule in near})

    def _near(self, case: Case, decision: Decision) -> list[Rule]:
        """The rules of which one would have led to what was expected."""
        self._explained += 1
        if self._explained > EXPLAINED:
            return []
        kinds = set(_OTHERWISE[decision.decision]) if decision.decision != case.expected.decision else set()
        if case.expected.rewritten.keys() - decision.rewritten.keys():
            kinds.add("rewrite")
        return [rule for rule in self.policies.rules if rule.kind in kinds and rule.mode == "enforce" and case.request.action in rule.on]


def _same(one: Decision, other: Decision) -> bool:
    """Whether two decisions say the same; data sets are compared by what they hold."""
    if one == other:
        return True
    bare = msgspec.structs.replace(one, effective=other.effective)
    return bare == other and _parts(one.effective) == _parts(other.effective)


def _parts(request: Request) -> object:
    return [plain(getattr(request, name)) for name in request.__struct_fields__ if name != "lookup"]
