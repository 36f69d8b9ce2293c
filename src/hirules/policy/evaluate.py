"""The reference evaluator: the language page in code, obvious rather than fast. Pure.

    request as it came ──▶ rewrite ──▶ effective request ──▶ deny, allow, audit ──▶ Decision
                             │ conflict, failed, unknown: refused

Rule 1: what is not known never opens anything. An unknown deny or audit matches, an unknown allow does not, an unknown rewrite refuses.
Rule 2: every entity must be permitted; one that is denied, or that nothing allows, refuses the whole.
Rule 3: what a shadow rule, or the order of rules, does to the outcome is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.actions import NARROWING, Action
from hirules.model.decision import Decision, Error, ExceptionUse, Note, ShadowResult
from hirules.model.request import Request, replaced
from hirules.model.status import conflict_status, default_status
from hirules.policy.ast import PolicySet
from hirules.policy.derive import narrows_get
from hirules.policy.edits import EDITS, EditKind
from hirules.policy.entities import NO_ENTITY, Entity, entities_of
from hirules.policy.matching import Match, Setting, match_everywhere, suspending, trace_others, unique_errors
from hirules.policy.notes import notes_of
from hirules.policy.operators import OPERATORS, Operator
from hirules.policy.read import View
from hirules.policy.reasons import Denial, denial_of_rule, denial_of_verdict, spokesman
from hirules.policy.rewriting import Rewriting, rewrite
from hirules.policy.shadow import shadow_results
from hirules.policy.trace import Trace
from hirules.policy.verdict import Verdict


class Matches(msgspec.Struct, frozen=True):
    """The rules in mode ``enforce`` at every entity of the effective request."""

    deny: tuple[Match, ...]
    allow: tuple[Match, ...]
    audit: tuple[Match, ...]

    @property
    def all(self) -> tuple[Match, ...]:
        """All of them."""
        return (*self.deny, *self.allow, *self.audit)


def evaluate(
    policies: PolicySet,
    request: Request,
    now: datetime,
    verdicts: Sequence[Verdict] = (),
    trace: Trace | None = None,
    *,
    operators: Mapping[str, Operator] = OPERATORS,
    edits: Mapping[str, EditKind] = EDITS,
) -> Decision:
    """What happens to ``request``. ``now`` is ``context.now``, with its offset; ``trace`` collects how it came to it."""
    action = policies.vocabulary.actions.get(request.action)
    if action is None:
        return refused_action(policies, request)
    setting = setting_of(policies, request, now, operators, edits, trace)
    trace_others(setting)
    rewriting = rewrite(setting, request, entities_of(request.resource, action.has_resource), verdicts)
    effective = reselected(request, rewriting)
    entities = entities_of(effective.resource, action.has_resource)
    views = [View(effective, request, entity, setting.now, setting.zone) for entity in entities]
    matches = Matches(
        *(tuple(match_everywhere(rule, views, setting, "decide") for rule in setting.rules(kind, "enforce")) for kind in ("deny", "allow", "audit"))
    )
    decision = _refused(rewriting, effective, action) if rewriting.refused else _decided(setting, action, effective, views, matches, verdicts)
    nothing = decision.allowed and action.retrieve and entities == (NO_ENTITY,)
    return msgspec.structs.replace(
        decision,
        rewritten=rewriting.rewritten,
        nothing=nothing,
        notes=notes_of(matches.audit, views, verdicts, request.id),
        shadow=shadow_results(setting, request, rewriting, views, entities_of(request.resource, action.has_resource)),
        exceptions=_uses((*rewriting.matches, *matches.all)),
        errors=unique_errors((*rewriting.errors, *(error for match in matches.all for error in match.errors), *_plugin_errors(verdicts))),
        policies=policies.digest,
    )


def setting_of(
    policies: PolicySet, request: Request, now: datetime, operators: Mapping[str, Operator], edits: Mapping[str, EditKind], trace: Trace | None = None
) -> Setting:
    """What stays the same for one decision. A time without offset is in the set's zone."""
    zone = ZoneInfo(policies.time_zone)
    moment = now if now.tzinfo is not None else now.replace(tzinfo=zone)
    return Setting(policies, policies.rules, suspending(policies), request.action, moment, zone, operators, edits, trace)


def reselected(request: Request, rewriting: Rewriting) -> Request:
    """The effective request with the resource that *it* reaches: unknown where an edit changed what selects it and nobody told."""
    effective = rewriting.effective
    return replaced(effective, resource=request.resource_after, resource_after=None) if rewriting.selects else effective


def refused_action(policies: PolicySet, request: Request) -> Decision:
    """An action that the vocabulary does not have is refused, whatever ``combining`` says."""
    reason = "there is no such action"
    error = Error("gate", reason)
    return Decision("deny", request, status=default_status(request.action), reason=reason, full_reason=reason, errors=(error,), policies=policies.digest)


def _refused(rewriting: Rewriting, effective: Request, action: Action) -> Decision:
    reason = "rewrite rules are in conflict" if rewriting.conflict else "a rewrite rule could not be carried out"
    status = conflict_status(action.name) if rewriting.conflict else default_status(action.name)
    return Decision("deny", effective, by=tuple(sorted(rewriting.refused)), status=status, reason=reason, full_reason=reason)


def _decided(
    setting: Setting, action: Action, effective: Request, views: Sequence[View], matches: Matches, verdicts: Sequence[Verdict]
) -> Decision:  # fmt: skip
    denials = [denial_of_rule(match.rule, views[match.at(True, None)[0]], action) for match in matches.deny if match.at(True, None)]
    denials += [denial_of_verdict(verdict, action) for verdict in verdicts if verdict.effect not in ("allow", "rewrite", "audit")]
    if denials:
        return denied(denials, effective)
    # INVARIANT: only a rule that is known to match allows; an unknown one does not
    allowing = sorted({*(match.rule.id for match in matches.allow if match.at(True)), *(verdict.source for verdict in verdicts if verdict.effect == "allow")})
    by_plugin = any(verdict.effect == "allow" for verdict in verdicts)
    allowed = all(by_plugin or any(match.truths[number] is True for match in matches.allow) for number in range(len(views)))
    if allowed or _permitted_otherwise(setting, action, effective):
        return Decision("allow", effective, by=tuple(allowing))
    reason = "no rule allows it"
    return Decision("deny", effective, status=default_status(action.name), reason=reason, full_reason=reason)


def denied(denials: Sequence[Denial], effective: Request, notes: tuple[Note, ...] = (), shadow: tuple[ShadowResult, ...] = (), policies: str = "") -> Decision:
    """The refusal of these denies: at least one, of rules and plugins."""
    first = spokesman(denials)
    return Decision(
        "deny",
        effective,
        by=(first.source,) if len(denials) == 1 else tuple(sorted({denial.source for denial in denials})),
        status=first.status,
        reason="" if first.no_match else first.reason,
        full_reason=first.full_reason,
        offending=() if first.no_match else first.offending,
        no_match=first.no_match,
        notes=notes,
        shadow=shadow,
        policies=policies,
    )


def _permitted_otherwise(setting: Setting, action: Action, request: Request) -> bool:
    """What holds where no rule allows: ``combining``; an action that only narrows is permitted where no rule allows it at all.

    A C-STORE that a permitted C-GET brings is permitted whatever allow rules for ``c-store`` there are: those are about what
    comes to be stored, and the C-GET has been granted.
    """
    if setting.policies.combining == "permit-unless-deny" or narrows_get(request):
        return True
    # in mode enforce, whatever its `valid`: else an allow rule would open everything on the day it expires
    has_allow = any(rule.kind == "allow" and rule.mode == "enforce" and action.name in rule.on for rule in setting.ordered)
    return action.name in NARROWING and not has_allow


def _uses(matches: Sequence[Match]) -> tuple[ExceptionUse, ...]:
    return tuple(sorted({use for match in matches for use in match.uses}, key=lambda use: (use.exception, use.rule)))


def _plugin_errors(verdicts: Sequence[Verdict]) -> tuple[Error, ...]:
    known = ("allow", "deny", "rewrite", "audit")
    return tuple(Error(verdict.source, verdict.reason or "the plugin could not decide") for verdict in verdicts if verdict.effect not in known)


__all__ = ["Entity", "Trace", "Verdict", "evaluate", "refused_action", "reselected", "setting_of"]
