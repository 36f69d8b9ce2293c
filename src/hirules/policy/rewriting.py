"""Rewriting: every rewrite rule looks at the request as it came; their edits together make the effective one.

    collect  rules and plugins → proposals, and what is unknown or failed
    combine  proposals → changes, or a conflict
    effect   changes → the effective request, the original untouched

Rewriting permits nothing: it ends in an effective request that is decided, or in a refusal (LANGUAGE: How a request is decided, 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from hirules.model.decision import Error
from hirules.model.reading import Fields
from hirules.model.request import EMPTY, Request, replaced
from hirules.policy.ast import Rewrite, Rule
from hirules.policy.derive import carried, derived
from hirules.policy.edits import EditFailed
from hirules.policy.entities import Entity
from hirules.policy.find import is_nothing
from hirules.policy.matching import Match, Setting, match_everywhere
from hirules.policy.places import ABSENT_VALUE, Place, place_text, written
from hirules.policy.proposals import Change, Proposal, overlaps, propose, settle
from hirules.policy.read import View
from hirules.policy.verdict import Verdict
from hirules.policy.verdict_edits import edits_of


class Proposed(msgspec.Struct, frozen=True):
    """What one rule or plugin proposes; ``failed`` says why its rewrite cannot be carried out."""

    source: str
    proposals: tuple[Proposal, ...] = ()
    failed: Error | None = None
    unknown: bool = False


class Combined(msgspec.Struct, frozen=True):
    """All proposals together: changes, or the sources that conflict or whose edits fail."""

    changes: tuple[Change, ...] = ()
    conflicting: frozenset[str] = frozenset()
    errors: tuple[Error, ...] = ()


class Rewriting(msgspec.Struct, frozen=True):
    """``refused`` names the rules and plugins that refuse the request; else ``effective`` is decided."""

    effective: Request
    refused: frozenset[str] = frozenset()
    conflict: bool = False
    rewritten: Fields = EMPTY
    selects: bool = False
    errors: tuple[Error, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    matches: tuple[Match, ...] = ()

    def __repr__(self) -> str:
        return f"Rewriting({self.effective!r}, refused={sorted(self.refused)})"


def rewrite(setting: Setting, request: Request, entities: Sequence[Entity], verdicts: Sequence[Verdict]) -> Rewriting:
    """The effective request, or why there is none."""
    views = [View(request, request, entity, setting.now, setting.zone) for entity in entities]
    matches = tuple(match_everywhere(rule, views, setting, "rewrite") for rule in setting.rules("rewrite", "enforce"))
    everything = [proposed_by(match, setting, views) for match in matches] + [_proposed_by_verdict(verdict, setting, views[0]) for verdict in verdicts]
    failed = [one for one in everything if one.failed is not None]
    proposals = tuple(proposal for one in everything if one.failed is None for proposal in one.proposals)
    combined = combine(proposals, views[0])
    errors = (*(one.failed for one in failed if one.failed is not None), *(error for match in matches for error in match.errors), *combined.errors)
    refused = frozenset(one.source for one in failed) | combined.conflicting | frozenset(error.source for error in combined.errors)
    if refused:
        return Rewriting(request, refused, bool(combined.conflicting), errors=errors, proposals=proposals, matches=matches)
    effective = _effective(request, combined.changes)
    if emptied := _emptied(request, effective, proposals, combined.changes):
        errors += tuple(Error(source, "an update document would become empty") for source in sorted(emptied))
        return Rewriting(request, emptied, errors=errors, proposals=proposals, matches=matches)
    return Rewriting(
        effective, rewritten=rewritten_of(combined.changes), selects=any(change.selects for change in combined.changes),
        errors=errors, proposals=proposals, matches=matches,
    )  # fmt: skip


def proposed_by(match: Match, setting: Setting, views: Sequence[View]) -> Proposed:
    """What a rewrite rule proposes where it matched."""
    rule = match.rule
    assert isinstance(rule.effect, Rewrite)  # INVARIANT: only rewrite rules are matched for rewriting
    if match.truth is False or (match.truth is None and rule.effect.skip_unknown):
        return Proposed(rule.id)
    if match.truth is None:
        return Proposed(rule.id, failed=_failure(rule, "its condition is unknown, so it refuses"), unknown=True)
    try:
        proposals = tuple(
            proposal for number in match.at(True) for edit in rule.effect.edits for proposal in propose(rule.id, edit, setting.edit(edit.edit), views[number])
        )
        for proposal in proposals:
            settle([proposal], views[0])
    except EditFailed as error:
        return Proposed(rule.id) if rule.effect.skip_unknown else Proposed(rule.id, failed=_failure(rule, f"its edit failed: {error}"))
    return Proposed(rule.id, proposals)


def _failure(rule: Rule, message: str) -> Error:
    return Error(rule.id, message, at=str(rule.position))


def _proposed_by_verdict(verdict: Verdict, setting: Setting, view: View) -> Proposed:
    if verdict.effect != "rewrite":
        return Proposed(verdict.source)
    try:
        edits = edits_of(verdict, setting.policies.vocabulary, setting.edits, view.original.action)
        return Proposed(verdict.source, tuple(proposal for edit in edits for proposal in propose(verdict.source, edit, setting.edit(edit.edit), view)))
    except EditFailed as error:
        return Proposed(verdict.source, failed=Error(verdict.source, f"its edit failed: {error}"))


def combine(proposals: Sequence[Proposal], view: View) -> Combined:
    """One change for each place, or who is in conflict."""
    by_place: dict[Place, list[Proposal]] = {}
    for proposal in proposals:
        by_place.setdefault(proposal.place, []).append(proposal)
    changes: list[Change] = []
    conflicting, errors = overlaps(proposals), []
    for place in sorted(by_place, key=_order):
        at_place = by_place[place]
        sources = sorted({proposal.source for proposal in at_place})
        try:
            change = settle(at_place, view)
        except EditFailed as error:
            errors += [Error(source, f"its edit failed: {error}", place_text(place)) for source in sources]
            continue
        if change is None:
            conflicting |= set(sources)
        else:
            changes.append(change)
    errors += [Error(source, "its edit is in conflict with another") for source in sorted(conflicting)]
    return Combined(tuple(changes), frozenset(conflicting), tuple(errors))


def _order(place: Place) -> list[tuple[bool, int, str]]:
    return [(isinstance(key, str), key if isinstance(key, int) else 0, str(key)) for key in place]


def rewritten_of(changes: Iterable[Change]) -> Fields:
    """Each path whose value changed, with its new value; ``None`` where it was removed."""
    result: dict[str, object] = {}
    for change in changes:
        if not change.changed:
            continue
        if change.removed:
            result.update((place_text(place), None) for place in change.removed)
        else:
            result[place_text(change.place)] = None if change.value is ABSENT_VALUE else change.value
    return dict(sorted(result.items()))


def _effective(request: Request, changes: Sequence[Change]) -> Request:
    """``request`` with the changes. Items are taken out last, from the end, so that no index moves."""
    made = [change for change in changes if change.changed]
    if not made:
        return request
    items = [change for change in made if change.value is ABSENT_VALUE and isinstance(change.place[-1], int)]
    others = [change for change in made if change not in items]
    roots: dict[str, object] = {"request": request.request, "instance": request.instance}
    for change in [*others, *sorted(items, key=lambda change: _order(change.place), reverse=True)]:
        root = str(change.place[0])
        roots[root] = written(roots[root], change.place[1:], change.value)
    fields, instance = roots["request"], roots["instance"]
    assert isinstance(fields, Mapping)  # INVARIANT: `written` answers a mapping for a mapping
    after = carried(request.request, dict(fields)) if fields is not request.request else fields
    return replaced(request, request=after, instance=instance)


def _emptied(before: Request, after: Request, proposals: Sequence[Proposal], changes: Sequence[Change]) -> frozenset[str]:
    """The sources of the edits that leave an update document with nothing in it."""
    at_places = {change.place for change in changes if change.changed}
    found: set[str] = set()
    for names, roots in ((("updates", "updated"), ("updates",)), (("removed", "removed_instances"), ("removed",))):
        if _says(before.request, names) and not _says(after.request, names):
            found |= {proposal.source for proposal in proposals if proposal.place in at_places and proposal.place[1] in roots}
    return frozenset(found)


def _says(fields: Fields, names: Sequence[str]) -> bool:
    """Whether a document has anything in it; ``updates`` counts by the attributes that it sets."""
    request = Request("update-image-set-metadata", request={name: value for name, value in fields.items() if name != "updated"})
    if "updates" in names:
        return not is_nothing(derived(("updated",), request, request.request))
    return any(not is_nothing(fields.get(name)) for name in names)
