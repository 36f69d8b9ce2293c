"""A deny on a value of the identifier, which a wildcard or another key reaches as well.

``walks-round``  the deny names a value of a key; a client that leaves the key out, or writes a wildcard, gets the same data
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hirules.model.path import Name
from hirules.model.request import Request
from hirules.model.scalars import Type
from hirules.policy.ast import Rule
from hirules.policy.derive import NO_KEYS
from hirules.policy.index import Index
from hirules.policy.lint.served import is_served
from hirules.policy.lint.subject import Lint, Subject
from hirules.policy.lint.terms import Literal, Term
from hirules.policy.lint.witness import Found

_QUERIES = ("c-find", "c-get", "c-move")
_NAMING = frozenset({"equals", "in", "contains", "contains_any", "glob", "regex", "starts_with", "ends_with"})
_WILDCARDS = frozenset({Type.TEXT, Type.LONG_TEXT, Type.PERSON_NAME, Type.AE_TITLE})
"""Types whose keys may hold `*` and `?` (PS3.4 §C.2.2.2.4)."""
_FEW = 8
MOST_LOOKED_AT = 20_000
"""Rules that decisions may look at, all together."""
_ANOTHER = "1.2.826.0.1.3680043.9.1"


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    walks = _Walks(subject)
    for rule in subject.enforced:
        if rule.kind == "deny" and not rule.on.isdisjoint(_QUERIES) and walks.budget.left >= 0:
            yield from walks.round(rule)


class _Walks:
    """What else a client may ask; decided with all rules of the set."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._index: Index | None = None
        allows = [rule for rule in subject.enforced if rule.kind == "allow"]
        # a decision looks at the rules that no index serves one by one
        self.budget = subject.budget(MOST_LOOKED_AT, "denies that read the identifier and others")
        self.costs = {action: 1 + sum(action in rule.on and not is_served(rule) for rule in subject.enforced) for action in _QUERIES}
        self.allows = {action: [rule for rule in allows if action in rule.on] for action in _QUERIES}

    @property
    def index(self) -> Index:
        """All rules that are in force; made when the first one needs it."""
        if self._index is None:
            self._index = Index(self.subject.only(self.subject.enforced), operators=self.subject.operators, edits=self.subject.edits)
        return self._index

    def round(self, rule: Rule) -> Iterator[Lint]:
        """A finding for each key that the deny names a value of, and that is walked round."""
        seen: set[str] = set()
        for term in self.subject.terms(rule) or ():
            for one in term:
                if one.name not in seen and _names_key(one):
                    seen.add(one.name)
                    found = self._past(rule, term, one)
                    if found is not None:
                        yield self._lint(rule, one, found)

    def _lint(self, rule: Rule, one: Literal, found: Found) -> Lint:
        other = f"`resource.{_keyword(one)}`" if not rule.on.isdisjoint(("c-get", "c-move")) else f"`instance.{_keyword(one)}` in a rule for `answer`"
        message = f"`{rule.id}` is walked round: a client that writes a wildcard to `{one.name}`, or leaves it out, reaches the same"
        return self.subject.lint(one.key, "walks-round", message, expected=f"a deny on {other}", hint=_HINT, example=found)

    def _past(self, rule: Rule, term: Term, one: Literal) -> Found | None:
        """A request that reaches what the deny is about, and goes ahead."""
        for action in sorted(rule.on.intersection(_QUERIES)):
            denied = self.subject.search.for_term(action, term)
            value = None if denied is None else _value(denied.request, one)
            if denied is None or value is None or self.subject.decide([rule], denied).allowed:
                continue
            rest = tuple(other for other in term if other.name != one.name)
            for base in self._bases(action, rest):
                for request in _walks(base.request, one, value):
                    found = Found(request, base.now)
                    if rule.id not in self.subject.decide([rule], found).by and self._goes_ahead(request, base, one, value):
                        return found
        return None

    def _bases(self, action: str, rest: Term) -> Iterator[Found]:
        """Requests that satisfy everything else of the deny, and an allow, where the set has one."""
        allows = self.allows[action]
        for terms in [(self.subject.terms(rule) or ())[:2] for rule in allows[:_FEW]] if allows else [((),)]:
            for term in terms:
                found = self.subject.search.for_term(action, (*rest, *term))
                if found is not None:
                    yield found

    def _goes_ahead(self, request: Request, base: Found, one: Literal, value: object) -> bool:
        """Whether the set lets the request and what it brings pass."""
        if not self.budget.take(self.costs[request.action]):
            return False
        decision = self.index.decide(request, base.now)
        if decision.by and not decision.allowed:
            return False
        if not decision.allowed and self.allows[request.action]:
            return False
        leaves = "answer" if request.action == "c-find" else "release"
        left = Request(leaves, request.subject, {**request.request, "action": request.action}, instance={_keyword(one): value}, original=request.request)
        after = self.index.decide(left, base.now)
        return after.allowed or not after.by


_HINT = "an identifier is what the client says; what it reaches is known only after the look-up"


def _names_key(one: Literal) -> bool:
    path = one.path
    elements = path.elements
    if path.root != "request" or path.names[:1] != ("Identifier",) or len(elements) != 1 or not isinstance(elements[0], Name):
        return False
    return one.sign and one.check.operator in _NAMING and elements[0].name not in NO_KEYS


def _keyword(one: Literal) -> str:
    element = one.path.elements[0]
    assert isinstance(element, Name)
    return element.name


def _value(request: Request, one: Literal) -> object:
    identifier = request.request.get("Identifier")
    found = identifier.get(_keyword(one)) if isinstance(identifier, Mapping) else None
    return found[0] if isinstance(found, Sequence) and not isinstance(found, str) and found else found


def _walks(request: Request, one: Literal, value: object) -> Iterator[Request]:
    """The request with a wildcard, and without the key; what it reaches is what the deny is about."""
    keyword = _keyword(one)
    identifier = request.request.get("Identifier")
    others = {name: given for name, given in identifier.items() if name != keyword} if isinstance(identifier, Mapping) else {}
    if one.attribute.type in _WILDCARDS:
        yield _reaching(request, {**others, keyword: f"{str(value)[:1]}*"}, keyword, value)
    another = {"PatientID": "OTHER"} if keyword == "StudyInstanceUID" else {"StudyInstanceUID": _ANOTHER}
    yield _reaching(request, {**another, **others}, keyword, value)


def _reaching(request: Request, identifier: Mapping[str, object], keyword: str, value: object) -> Request:
    entity = dict(request.resource[0]) if request.resource else {}
    resource = None if request.action == "c-find" else [{keyword: value, **entity}]
    return msgspec.structs.replace(request, request={**request.request, "Identifier": identifier}, resource=resource)
