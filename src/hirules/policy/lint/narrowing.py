"""The first allow rule of ``associate``, ``answer`` or ``release`` closes that action for all that no such rule allows.

``closes-action``  the set allows a request, and what it needs or brings is refused, since allow rules of the narrowing action leave it out
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hirules.model.actions import NARROWING
from hirules.model.request import Request
from hirules.policy.ast import Rule
from hirules.policy.lint.subject import Lint, Subject, at
from hirules.policy.lint.terms import Term
from hirules.policy.lint.witness import Found

_BRINGS = {"answer": ("c-find", "search-image-sets"), "release": ("c-get", "c-move", "n-get", "get-image-set-metadata", "get-image-frame")}
_MOST = 20_000


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    if subject.policies.combining != "deny-unless-permit":
        return
    for action in NARROWING:
        closing = [rule for rule in subject.enforced if rule.kind == "allow" and action in rule.on]
        if closing:
            yield from _closed(subject, action, closing)


def _closed(subject: Subject, action: str, closing: Sequence[Rule]) -> Iterator[Lint]:
    doors = [term for rule in closing for term in subject.terms(rule) or [()]]
    if any(not any(one.path.root == "subject" for one in term) for term in doors):
        return  # whoever asks may come through this one
    compared = subject.budget(_MOST, f"allow rules for `{action}` and others")
    for rule in subject.enforced:
        asked = _asked(subject, rule, action)
        if rule.kind != "allow" or asked is None:
            continue
        for term in subject.terms(rule) or ():
            who = tuple(one for one in term if one.path.root == "subject")
            if not compared.take(len(doors)):
                return
            if all(subject.prover.impossible((*door, *who)) is not None for door in doors):
                lint = _lint(subject, action, closing, rule, asked, term)
                if lint is not None:
                    yield lint
                    return


def _asked(subject: Subject, rule: Rule, action: str) -> str | None:
    """An action of the rule that needs, or brings, the narrowing one."""
    actions = subject.policies.vocabulary.actions
    found = [name for name in sorted(rule.on) if (actions[name].service == "dimse" if action == "associate" else name in _BRINGS[action])]
    return next((name for name in found if name not in NARROWING), None)


def _lint(subject: Subject, action: str, closing: Sequence[Rule], rule: Rule, asked: str, term: Term) -> Lint | None:
    found = subject.search.for_term(asked, term)
    if found is None:
        return None
    request = Request("associate", found.request.subject)
    if action != "associate":
        request = Request(action, found.request.subject, {"action": asked}, instance={}, original={})
    example = Found(request, found.now)
    decision = subject.decide([*closing, rule], example)
    if decision.allowed or decision.by:
        return None
    first = closing[0]
    message = f"`{first.id}` is the first to allow `{action}`, which closes it for all others: what `{rule.id}` allows stops there"
    expected = f"an allow for `{action}` wherever one for `{asked}` is, or a deny instead of this allow"
    return subject.lint(first.position, "closes-action", message, expected=expected, hint=f"`{rule.id}` is in {at(rule.position)}", example=example)
