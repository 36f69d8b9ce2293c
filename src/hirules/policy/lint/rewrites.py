"""Rewrite rules against each other, and against the denies that see what they wrote.

``rewrite-conflict``     two edits that meet at one place for one request: a conflict refuses it
``rewrite-past-deny``    a deny names a value, and a rewrite changes it before the deny looks
``deny-reads-rewritten`` a deny names a value that a rewrite has written for the same request: it is not the one that the client sent
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec

from hirules.model.path import Name, Path
from hirules.model.request import Request
from hirules.policy.ast import All as Every
from hirules.policy.ast import Check, Condition, Edit, Flag, Not, Position, Rewrite, Rule, Test
from hirules.policy.entities import UNKNOWN_ENTITY
from hirules.policy.lint.meeting import Meeting, named
from hirules.policy.lint.subject import Lint, Subject, at, conditions_of
from hirules.policy.lint.terms import Literal, Term
from hirules.policy.lint.witness import Found
from hirules.policy.read import View, read

MOST_PAIRS = 20_000
"""Pairs of rules that are compared."""
MOST_LOOKED_FOR = 1_500
"""Pairs for which an example is looked for."""
_ALL_MEET = frozenset({"add", "drop", "keep_only"})
"""Of one kind they unite or intersect, and never conflict at one place."""
NAMING = frozenset({"equals", "in", "contains", "contains_any", "contains_all", "glob", "regex", "starts_with", "ends_with", "cidr"})
_FOLLOWING = {"keys": "Identifier", "updated": "updates", "kind": "updates"}
_NO_CONFLICT = "its edit is in conflict with another"


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    rewriting = [rule for rule in subject.enforced if rule.kind == "rewrite" and subject.terms(rule)]
    if rewriting:
        yield from _conflicts(subject, rewriting)
        yield from _denies(subject, rewriting)


def _edits(rule: Rule) -> tuple[Edit, ...]:
    return rule.effect.edits if isinstance(rule.effect, Rewrite) else ()


# Conflicts.


def _conflicts(subject: Subject, rules: Sequence[Rule]) -> Iterator[Lint]:
    by_head: defaultdict[tuple[object, ...], list[tuple[Rule, Edit]]] = defaultdict(list)
    for rule in rules:
        for edit in _edits(rule):
            by_head[edit.path.root, edit.path.steps[:1]].append((rule, edit))
    pairs, looked = subject.budget(MOST_PAIRS, "rewrite rules"), subject.budget(MOST_LOOKED_FOR, "rewrite rules")
    for together in by_head.values():
        meeting = Meeting(subject, (rule for rule, _ in together))
        for number, (rule, edit) in enumerate(together):
            for at_number in meeting.of(named(subject, rule)):
                earlier, other = together[at_number]
                if at_number >= number or not _may_conflict(edit, other) or not rule.on & earlier.on:
                    continue
                if not pairs.take():
                    return
                if _apart(subject, rule, earlier):
                    continue
                if not looked.take():
                    return
                lint = _conflict(subject, (rule, edit), (earlier, other))
                if lint is not None:
                    yield lint
                    break


def _may_conflict(edit: Edit, other: Edit) -> bool:
    if edit.path == other.path:
        return not (edit.edit == other.edit and (edit.edit in _ALL_MEET or repr(edit.argument) == repr(other.argument)))
    return _overlap(edit.path, other.path)


def _overlap(path: Path, other: Path) -> bool:
    """Whether one leads to what lies in the other; ``[*]`` and ``**`` may lead anywhere below."""
    if path.root != other.root:
        return False
    plain = all(isinstance(step, Name) for step in (*path.steps, *other.steps))
    least = min(len(path.steps), len(other.steps))
    return path.steps[:least] == other.steps[:least] or not plain


def _apart(subject: Subject, rule: Rule, other: Rule) -> bool:
    """Whether it is seen at once that no request is both's: they name different values of one attribute."""
    found, others = subject.terms(rule), subject.terms(other)
    if not found or not others or len(found) > 1 or len(others) > 1:
        return False
    return subject.prover.impossible((*found[0], *others[0])) is not None


def _conflict(subject: Subject, one: tuple[Rule, Edit], earlier: tuple[Rule, Edit]) -> Lint | None:
    (rule, edit), (first, other) = one, earlier
    rules = [rule] if rule is first else [first, rule]
    for example in _requests(subject, rules, edit):
        decision = subject.decide(rules, example)
        sources = {error.source for error in decision.errors if error.message == _NO_CONFLICT}
        if not decision.allowed and sources == {each.id for each in rules}:
            who = f"`{rule.id}` and `{first.id}`" if rule is not first else f"two edits of `{rule.id}`"
            message = f"{who} change `{edit.path}` differently for the same request, and a conflict refuses it"
            hint = f"the other edit is in {at(other.position)}"
            return subject.lint(edit.position, "rewrite-conflict", message, expected="conditions that exclude each other", hint=hint, example=example)
    return None


def _requests(subject: Subject, rules: Sequence[Rule], edit: Edit) -> Iterator[Found]:
    """Requests that all the rules match; with and without a value at the place of the edit."""
    action = min(frozenset.intersection(*(rule.on for rule in rules)))
    for extra in (None, True, False):
        for term in _terms_together(subject, rules):
            more: Term = ()
            if extra is not None and edit.attribute is not None and edit.path.steps and not _is_data_set(edit):
                more = (Literal(edit.path, edit.attribute, Check("exists", Flag(extra), edit.position), True, edit.position),)
            elif extra is not None:
                continue
            found = subject.search.for_term(action, (*term, *more))
            if found is not None:
                yield found


def _is_data_set(edit: Edit) -> bool:
    return edit.edit == "keep_only" and not edit.path.elements


def _terms_together(subject: Subject, rules: Sequence[Rule]) -> Iterator[Term]:
    found: list[Term] = [()]
    for rule in rules:
        found = [one + term for one in found for term in (subject.terms(rule) or ())[:4]]
    yield from found[:8]


# Denies that see what was written.


def _denies(subject: Subject, rewriting: Sequence[Rule]) -> Iterator[Lint]:
    by_head: defaultdict[str, list[tuple[Rule, Edit]]] = defaultdict(list)
    for rule in rewriting:
        for edit in _edits(rule):
            by_head[_head(edit.path)].append((rule, edit))
    meetings = {head: Meeting(subject, (rule for rule, _ in together)) for head, together in by_head.items()}
    pairs = subject.budget(MOST_PAIRS, "rewrite rules and denies")
    looked = subject.budget(MOST_LOOKED_FOR, "rewrite rules and denies")
    said: set[Position] = set()
    for deny in subject.enforced:
        if deny.kind != "deny" or not subject.terms(deny):
            continue
        for test in _named(deny):
            head = _head(test.path)
            for number in meetings[head].of(named(subject, deny)) if head in meetings else ():
                rule, edit = by_head[head][number]
                if edit.position in said or not rule.on & deny.on or not _touches(edit.path, test.path):
                    continue
                if not pairs.take():
                    return
                if _apart(subject, rule, deny):
                    continue
                if not looked.take():
                    return
                lint = _seen(subject, deny, test, rule, edit)
                if lint is None:
                    continue
                yield lint
                if lint.finding.code == "deny-reads-rewritten":
                    break
                said.add(edit.position)


def _head(path: Path) -> str:
    first = path.steps[0] if path.steps else None
    name = first.name if isinstance(first, Name) else ""
    return f"{path.root}.{_FOLLOWING.get(name, name)}" if path.root == "request" else path.root


def _touches(edited: Path, read: Path) -> bool:
    first = read.steps[0] if read.steps else None
    if read.root == "request" and isinstance(first, Name) and first.name in _FOLLOWING and len(read.steps) == 1:
        return edited.steps[:1] == (Name(_FOLLOWING[first.name]),) or edited == read
    return _overlap(edited, read)


def _named(rule: Rule) -> list[Test]:
    """The tests by which the rule names values of what the request says now; one that looks at ``original`` too means both."""
    tests = [test for condition in conditions_of(rule)[:1] if rule.when is not None for test in _positive(condition)]
    originals = {msgspec.structs.replace(test.path, original=False) for test in tests if test.path.original}
    return [test for test in tests if not test.path.original and test.path not in originals and test.path.root in ("request", "instance")]


def _positive(condition: Condition) -> Iterator[Test]:
    match condition:
        case Test(checks=checks):
            if any(check.operator in NAMING or (check.operator == "exists" and check.argument == Flag(True)) for check in checks):
                yield condition
        case Every(parts):
            for part in parts:
                yield from _positive(part)
        case Not():
            return
        case _:
            for part in condition.conditions:
                yield from _positive(part)


def _seen(subject: Subject, deny: Rule, test: Test, rule: Rule, edit: Edit) -> Lint | None:
    """What the deny makes of a request that both match as it came."""
    for example in _requests(subject, [rule, deny], edit):
        as_it_came = subject.decide([deny], example)
        if deny.id not in as_it_came.by:
            continue
        decision = subject.decide([rule, deny], example)
        if not decision.rewritten or not _changed(subject, test, example, decision.effective):
            continue
        if deny.id not in decision.by:
            message = f"`{rule.id}` lets a request past `{deny.id}`: it changes `{edit.path}` before the deny looks"
            expected = f"`original.{test.path}` in the deny, or an `unless` here"
            hint = f"`{deny.id}` is in {at(deny.position)}"
            return subject.lint(edit.position, "rewrite-past-deny", message, expected=expected, hint=hint, example=example)
        message = f"`{deny.id}` reads `{test.path}`, which `{rule.id}` has written for the same request"
        hint = f"`{rule.id}` is in {at(rule.position)}"
        return subject.lint(
            test.position, "deny-reads-rewritten", message, expected=f"`original.{test.path}` if it is about what was asked", hint=hint, example=example
        )
    return None


def _changed(subject: Subject, test: Test, example: Found, effective: Request) -> bool:
    """Whether the rewrite changed what the test reads."""
    before, after = (
        read(test.path, test.attribute, View(request, example.request, UNKNOWN_ENTITY, example.now, subject.zone)) for request in (example.request, effective)
    )
    return before != after
