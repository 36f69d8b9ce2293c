"""Shadow rules: what each would have done had it been in mode ``enforce``, and nothing else: they change no outcome."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hirules.model.decision import Effect, ShadowResult
from hirules.model.request import EMPTY, Request
from hirules.policy.entities import Entity
from hirules.policy.matching import Setting, match_everywhere
from hirules.policy.read import View
from hirules.policy.rewriting import Rewriting, combine, proposed_by, rewritten_of

_KINDS: tuple[Effect, ...] = ("allow", "deny", "audit")


def shadow_results(setting: Setting, request: Request, rewriting: Rewriting, views: Sequence[View], entities: Sequence[Entity]) -> tuple[ShadowResult, ...]:
    """Those that match, in the order of their ids. Exceptions hold for them too."""
    originals = [View(request, request, entity, setting.now, setting.zone) for entity in entities]
    return tuple(sorted((*_decisions(setting, views), *_rewrites(setting, rewriting, originals)), key=lambda result: result.rule))


def _decisions(setting: Setting, views: Sequence[View]) -> Iterator[ShadowResult]:
    for kind in _KINDS:
        # an unknown deny or audit matches, an unknown allow does not
        truths = (True,) if kind == "allow" else (True, None)
        for rule in setting.rules(kind, "shadow"):
            if match_everywhere(rule, views, setting, "decide").at(*truths):
                yield ShadowResult(rule.id, kind, kind)


def _rewrites(setting: Setting, rewriting: Rewriting, views: Sequence[View]) -> Iterator[ShadowResult]:
    for rule in setting.rules("rewrite", "shadow"):
        match = match_everywhere(rule, views, setting, "rewrite")
        own = proposed_by(match, setting, views)
        if own.failed is not None:
            yield ShadowResult(rule.id, "rewrite", "unknown" if own.unknown else "deny")
            continue
        if not own.proposals and match.truth is not True:
            continue
        together = combine((*rewriting.proposals, *own.proposals), views[0])
        alone = combine(own.proposals, views[0])
        if rule.id in together.conflicting:
            yield ShadowResult(rule.id, "rewrite", "conflict")
        elif any(error.source == rule.id for error in together.errors):
            yield ShadowResult(rule.id, "rewrite", "deny")
        else:
            places = {proposal.place for proposal in own.proposals}
            changes = [change for change in (together.changes or alone.changes) if change.place in places]
            yield ShadowResult(rule.id, "rewrite", "rewrite", rewritten_of(changes) or EMPTY)
