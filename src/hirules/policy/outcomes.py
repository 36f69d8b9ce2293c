"""The decision that rules make which are known to match, where nothing of the request comes into it.

It is what the reference evaluator decides when each rule's truth is known, nothing is rewritten, no exception suspends a rule and none
quotes or samples the request. It is made once for each combination of rules, and shared.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from hirules.model.actions import NARROWING, Action
from hirules.model.decision import Decision, Note, ShadowResult
from hirules.model.request import Request
from hirules.model.status import default_status
from hirules.policy.ast import Allow, Audit, Deny, PolicySet, Quote, Rule
from hirules.policy.columns import ANY
from hirules.policy.evaluate import denied
from hirules.policy.read import View
from hirules.policy.reasons import denial_of_rule

NOBODYS: Final = Request("")
"""The effective request of a decision that many share: what is remembered holds no patient's values."""
_NO_VIEW: Final = View(NOBODYS, NOBODYS, ANY, datetime(1, 1, 1, tzinfo=UTC), ZoneInfo("UTC"))
_REMEMBERED = 4096


class Outcomes:
    """The decisions on one action. ``has_allow``: whether an allow rule in mode ``enforce`` is for it, matching or not."""

    __slots__ = ("_action", "_decisions", "_digest", "_permits")

    def __init__(self, policies: PolicySet, action: Action, has_allow: bool) -> None:
        self._action = action
        self._digest = policies.digest
        self._permits = policies.combining == "permit-unless-deny" or (action.name in NARROWING and not has_allow)
        self._decisions: dict[tuple[str, ...], Decision] = {}

    def of(self, matching: Sequence[Rule]) -> Decision:
        """The decision where these rules match and no others. None of them :func:`is_own`, has an exception or rewrites."""
        key = tuple([rule.id for rule in matching])
        found = self._decisions.get(key)
        if found is None:
            if len(self._decisions) >= _REMEMBERED:
                self._decisions.clear()
            found = self._decisions[key] = self.decide(matching)
        return found

    def decide(self, matching: Sequence[Rule]) -> Decision:
        """The same, made anew."""
        allowing, denying, notes, shadow = [], [], [], []
        for rule in matching:
            effect = rule.effect
            if rule.mode == "shadow":
                kind = rule.kind
                shadow.append(ShadowResult(rule.id, kind, kind))
            elif type(effect) is Allow:
                allowing.append(rule.id)
            elif type(effect) is Deny:
                denying.append(denial_of_rule(rule, _NO_VIEW, self._action))
            elif type(effect) is Audit:
                notes.append(Note(rule.id, effect.severity, effect.note))
        noted = tuple(sorted(notes, key=lambda note: note.source)) if notes else ()
        shadowed = tuple(sorted(shadow, key=lambda result: result.rule)) if shadow else ()
        if denying:
            return denied(denying, NOBODYS, noted, shadowed, self._digest)
        if allowing or self._permits:
            return Decision("allow", NOBODYS, by=tuple(sorted(allowing)), notes=noted, shadow=shadowed, policies=self._digest)
        reason, status = "no rule allows it", default_status(self._action.name)
        return Decision("deny", NOBODYS, status=status, reason=reason, full_reason=reason, notes=noted, shadow=shadowed, policies=self._digest)


def is_own(rule: Rule) -> bool:
    """Whether a decision that the rule makes is one request's own: it quotes a value, or samples by the id."""
    effect = rule.effect
    if type(effect) is Deny:
        return any(isinstance(part, Quote) for part in effect.reason)
    return type(effect) is Audit and (bool(effect.include) or effect.sample < 1)
