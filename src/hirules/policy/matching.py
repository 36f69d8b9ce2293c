"""Matching rules: which are considered, whether they match, at which entity, and which exceptions suspend them.

Each rule is looked at entity by entity. An exception suspends it at the entities where the exception's condition holds; where it
is unknown it does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.decision import Error, ExceptionUse
from hirules.policy.ast import ExceptionRule, PolicySet, Rule
from hirules.policy.conditions import Missing, Outcome, applies
from hirules.policy.edits import EditFailed, EditKind
from hirules.policy.operators import Operator
from hirules.policy.read import View
from hirules.policy.trace import RuleTrace, TestTrace, Trace
from hirules.policy.trace import Step as TraceStep
from hirules.policy.truth import Truth, kleene_any


class Setting(msgspec.Struct, frozen=True):
    """What stays the same for one decision. ``ordered`` are all rules, in the order of their ids."""

    policies: PolicySet
    ordered: tuple[Rule, ...]
    suspending: Mapping[str, tuple[ExceptionRule, ...]]
    action: str
    now: datetime
    zone: ZoneInfo
    operators: Mapping[str, Operator]
    edits: Mapping[str, EditKind]
    trace: Trace | None = None

    def rules(self, kind: str, mode: str) -> tuple[Rule, ...]:
        """The rules of one kind and mode that are considered, in the order of their ids."""
        return tuple(rule for rule in self.ordered if rule.kind == kind and rule.mode == mode and self.why_not(rule) is None)

    def why_not(self, rule: Rule) -> str | None:
        """Why a rule is not considered; ``None`` where it is."""
        if self.action not in rule.on:
            return f"it is not for `{self.action}`"
        if rule.mode == "off":
            return "its mode is off"
        if rule.valid.start is not None and self.now < rule.valid.start:
            return "it is not valid yet"
        if rule.valid.end is not None and self.now >= rule.valid.end:
            return "it is no longer valid"
        return None

    def exceptions(self, rule: Rule) -> tuple[ExceptionRule, ...]:
        """The exceptions that name this rule and have not expired, in the order of their ids."""
        return tuple(one for one in self.suspending.get(rule.id, ()) if self.now < one.expires)

    def edit(self, name: str) -> EditKind:
        """The kind of an edit. Raises :class:`EditFailed`."""
        if name not in self.edits:
            raise EditFailed(f"there is no edit `{name}`")
        return self.edits[name]


def suspending(policies: PolicySet) -> dict[str, tuple[ExceptionRule, ...]]:
    """The exceptions by the rules that they name, each in the order of their ids."""
    found: dict[str, dict[str, ExceptionRule]] = {}
    for policy in policies.policies:
        for one in (*policy.exceptions, *(one for rule in policy.rules for one in rule.exceptions)):
            for name in one.of:
                found.setdefault(name, {})[one.id] = one
    return {name: tuple(of_rule[key] for key in sorted(of_rule)) for name, of_rule in found.items()}


class Match(msgspec.Struct, frozen=True):
    """What a rule said at each entity, after its exceptions. ``truth`` is that of the whole request."""

    rule: Rule
    truths: tuple[Truth, ...]
    errors: tuple[Error, ...] = ()
    uses: tuple[ExceptionUse, ...] = ()

    @property
    def truth(self) -> Truth:
        """True where it matches at one entity, else unknown where it might (LANGUAGE: one true and one unknown: it matches)."""
        return kleene_any(self.truths)

    def at(self, *truths: Truth) -> list[int]:
        """The entities at which it said one of these."""
        return [number for number, truth in enumerate(self.truths) if truth in truths]


def match_everywhere(rule: Rule, views: Sequence[View], setting: Setting, step: TraceStep) -> Match:
    """The rule at every entity."""
    truths: list[Truth] = []
    errors: list[Error] = []
    uses: list[ExceptionUse] = []
    exceptions = setting.exceptions(rule)
    for number, view in enumerate(views):
        tests: list[TestTrace] | None = None if setting.trace is None else []
        outcome = applies(rule.when, rule.unless, view, setting.operators, tests)
        used, failed = _suspended(rule, exceptions, view, setting, step, number) if outcome.truth is not False else ([], [])
        truths.append(False if used else outcome.truth)
        errors += failed if used else [*_errors(rule.id, outcome.missing), *failed]
        uses += used
        if setting.trace is not None:
            setting.trace.add(_traced(rule, step, number, outcome, used, tuple(tests or ())))
    return Match(rule, tuple(truths), unique_errors(errors), tuple(dict.fromkeys(uses)))


def _suspended(
    rule: Rule, exceptions: Sequence[ExceptionRule], view: View, setting: Setting, step: TraceStep, number: int
) -> tuple[list[ExceptionUse], list[Error]]:
    """The exceptions whose condition holds, and what of the others was unknown."""
    used: list[ExceptionUse] = []
    errors: list[Error] = []
    for exception in exceptions:
        tests: list[TestTrace] | None = None if setting.trace is None else []
        outcome = applies(exception.when, None, view, setting.operators, tests)
        if outcome.truth is True:
            used.append(ExceptionUse(exception.id, rule.id, exception.reason, exception.approved_by))
        errors += _errors(exception.id, outcome.missing)
        if setting.trace is not None:
            why = {True: f"suspends `{rule.id}`", False: "its condition does not hold", None: "its condition is unknown, so it does not suspend"}
            name = {True: "matched", False: "not matched", None: "unknown"}
            setting.trace.add(
                RuleTrace(exception.id, step, name[outcome.truth], why[outcome.truth], number, tuple(tests or ()), rule.id, rule.mode)  # type: ignore[arg-type]
            )
    return used, errors


def _errors(source: str, missing: Iterable[Missing]) -> list[Error]:
    return [Error(source, one.why, one.path, None if one.position is None else str(one.position)) for one in missing]


def unique_errors(errors: Iterable[Error]) -> tuple[Error, ...]:
    """Each once, in an order that does not depend on that of rules."""
    return tuple(sorted(set(errors), key=lambda error: (error.source, error.path or "", error.at or "", error.message)))


_UNKNOWN = {
    "allow": "its condition is unknown, so it does not allow",
    "deny": "its condition is unknown, so it denies",
    "audit": "its condition is unknown, so it is noted",
    "rewrite": "its condition is unknown, so it refuses",
}


def _traced(rule: Rule, step: TraceStep, number: int, outcome: Outcome, used: Sequence[ExceptionUse], tests: tuple[TestTrace, ...]) -> RuleTrace:
    if used:
        names = ", ".join(f"`{use.exception}`" for use in used)
        return RuleTrace(rule.id, step, "suspended", f"suspended by {names}", number, tests, None, rule.mode)
    if outcome.truth is None:
        return RuleTrace(rule.id, step, "unknown", _UNKNOWN[rule.kind], number, tests, None, rule.mode)
    if outcome.truth:
        return RuleTrace(rule.id, step, "matched", f"its condition holds: {rule.kind}", number, tests, None, rule.mode)
    return RuleTrace(rule.id, step, "not matched", "its condition does not hold", number, tests, None, rule.mode)


def trace_others(setting: Setting) -> None:
    """Every rule that is not considered, with the reason."""
    if setting.trace is None:
        return
    for rule in setting.ordered:
        why = setting.why_not(rule)
        if why is not None:
            setting.trace.add(RuleTrace(rule.id, "rewrite" if rule.kind == "rewrite" else "decide", "not considered", why, mode=rule.mode))
