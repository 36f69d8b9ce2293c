"""A decision and its reasons in sentences, for people.

What decided comes first, then what would have with one thing different, then what rules looked at, then every other rule in question.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from hirules.model.decision import Decision
from hirules.model.path import parse_path
from hirules.model.request import Request
from hirules.policy.ast import PolicySet, Rule
from hirules.policy.entities import WITHOUT_RESOURCE
from hirules.policy.near import near_misses
from hirules.policy.read import View, read
from hirules.policy.spelling import quoted
from hirules.policy.trace import RuleTrace, TestTrace, Trace

_TRUTH = {True: "holds", False: "does not hold", None: "is unknown"}
_NOT_IN_QUESTION = "not considered"


class Told:
    """What is told of one decision. ``values``: patient data are shown; ``everything``: the rules that were not in question too."""

    def __init__(self, request: Request, decision: Decision, trace: Trace, policies: PolicySet, *, values: bool, everything: bool) -> None:
        self._request, self._decision, self._trace, self._policies = request, decision, trace, policies
        self._values, self._everything = values, everything
        self._rules: Mapping[str, Rule] = {rule.id: rule for rule in policies.rules}

    def lines(self) -> Iterator[str]:
        """All of it."""
        yield from self._outcome()
        asked = [entry for entry in self._trace.rules if entry.outcome != _NOT_IN_QUESTION]
        deciding = [entry for entry in asked if (entry.of or entry.rule) in self._decision.by or entry.outcome in ("unknown", "suspended") or entry.of]
        near = [(entry, found) for entry in asked if entry not in deciding and (found := self._near(entry))]
        others = [entry for entry in asked if entry not in deciding and all(entry is not each for each, _ in near)]
        yield from self._section("What decided", deciding)
        if near:
            yield "\nNear misses, one condition away:"
            for entry, found in near:
                yield f"  {self._head(entry)} would match{self._entity(entry)}, had it not been for{self._place(entry)}"
                yield from (self._test(test) for test in found)
        yield from self._facts(asked)
        yield from self._section("The other rules in question", others)
        yield from self._rest([entry for entry in self._trace.rules if entry.outcome == _NOT_IN_QUESTION])

    def _outcome(self) -> Iterator[str]:
        decision = self._decision
        yield _verdict(decision)
        if reason := decision.full_reason if self._values else decision.reason:
            yield f"Reason: {reason}"
        for path, value in sorted(decision.rewritten.items()):
            yield f"Rewritten: {path}, {self._before(path)}, {'is removed' if value is None else f'becomes {self._shown(path, value)}'}"
        for use in decision.exceptions:
            yield f"Exception {use.exception} suspends {use.rule}: {use.reason}" + (f" (approved by {use.approved_by})" if use.approved_by else "")
        for note in decision.notes:
            yield f"Note of {note.source} ({note.severity}): {note.note}"
        for result in decision.shadow:
            yield f"In shadow: {result.rule} would have said {result.outcome}"
        for error in decision.errors:
            yield f"Unknown: {error.source}: {error.message}" + (f" ({error.path})" if error.path else "")

    def _before(self, path: str) -> str:
        parsed = parse_path(path)
        attribute = self._policies.vocabulary.lookup(parsed)
        if attribute is None:
            return "which had a value"
        seen = read(parsed, attribute, View(self._request, self._request, WITHOUT_RESOURCE, self._time(), ZoneInfo(self._policies.time_zone)))
        if not seen.present and seen.unknown is None:
            return "which was absent"
        return "which was unknown" if seen.unknown is not None else f"which was {self._shown(path, quoted(seen))}"

    def _time(self) -> datetime:
        now = self._decision.effective.context["now"]
        assert isinstance(now, datetime)  # the gate puts it there
        return now

    def _shown(self, path: str, value: object) -> str:
        attribute = self._policies.vocabulary.lookup(parse_path(path))
        hidden = not self._values and (attribute is None or attribute.patient_data)
        return "a value that is not shown" if hidden else spelled(value)

    def _section(self, title: str, entries: Iterable[RuleTrace]) -> Iterator[str]:
        shown = list(entries)
        if shown:
            yield f"\n{title}:"
        for entry in shown:
            yield f"  {self._head(entry)} {entry.outcome}{self._entity(entry)}{_why(entry)}{self._place(entry)}"
            yield from (self._test(test) for test in entry.tests)

    def _entity(self, entry: RuleTrace) -> str:
        return f" for entity {entry.entity + 1}" if entry.entity is not None and self._several else ""

    @property
    def _several(self) -> bool:
        return any(entry.entity for entry in self._trace.rules)

    def _head(self, entry: RuleTrace) -> str:
        rule = self._rules.get(entry.of or entry.rule)
        kind = f"exception for {entry.of}" if entry.of else rule.kind if rule is not None else "rule"
        mode = f", in {entry.mode}" if entry.mode != "enforce" else ""
        title = f" “{rule.title}”" if rule is not None and rule.title and not entry.of else ""
        return f"{entry.rule} ({kind}{mode}){title}"

    def _place(self, entry: RuleTrace) -> str:
        rule = self._rules.get(entry.rule)
        return "" if rule is None or entry.of else f"  [{rule.position}]"

    def _test(self, test: TestTrace) -> str:
        return f"      {test.part} {test.path} {', '.join(test.operators)} {_TRUTH[test.truth]}; it saw {seen(test, self._values)}  [{test.position}]"

    def _near(self, entry: RuleTrace) -> tuple[TestTrace, ...]:
        rule = self._rules.get(entry.rule)
        return near_misses(rule, entry.tests) if rule is not None and entry.outcome == "not matched" and not entry.of else ()

    def _facts(self, asked: Iterable[RuleTrace]) -> Iterator[str]:
        """What would have been looked up: the facts that rules read, and whether the request came with them."""
        found: dict[str, set[str]] = {}
        for entry in asked:
            for test in entry.tests:
                if test.path.startswith("resource."):
                    found.setdefault(test.path, set()).add("unknown" if test.seen.unknown is not None else "known")
        if found:
            entities = self._request.resource
            given = "the request does not say what it reaches" if entities is None else f"the request says that it reaches {_entities(entities)}"
            yield f"\nLooked up, where it is served ({given}):"
        for path, states in sorted(found.items()):
            yield f"  {path}: {' and '.join(sorted(states))}"

    def _rest(self, entries: list[RuleTrace]) -> Iterator[str]:
        if not entries:
            return
        if self._everything:
            yield "\nNot in question:"
            yield from (f"  {self._head(entry)}{_why(entry)}{self._place(entry)}" for entry in entries)
            return
        counts = Counter(entry.why for entry in entries)
        told = ", ".join(f"{count} since {why}" for why, count in sorted(counts.items()))
        yield f"\nNot in question: {len(entries)} rule{'' if len(entries) == 1 else 's'} ({told}); `--all` names them"


def _verdict(decision: Decision) -> str:
    said = "The request is allowed" if decision.allowed else "The request is denied"
    if decision.by:
        return f"{said}, because of {', '.join(decision.by)}."
    if decision.errors and not decision.allowed:
        return f"{said}: it could not be decided."
    return f"{said}: no rule decided, so the set's `combining` did."


def _entities(entities: object) -> str:
    count = len(entities) if isinstance(entities, list | tuple) else 0
    return "nothing" if not count else f"{count} entit{'y' if count == 1 else 'ies'}"


def _why(entry: RuleTrace) -> str:
    return f": {entry.why}" if entry.why else ""


def seen(test: TestTrace, values: bool, spell: Callable[[object], str] | None = None) -> str:
    """What a test saw, patient data only where ``values``; each by ``spell``, else by :func:`spelled`."""
    reading = test.seen
    if reading.unknown is not None and not reading.values:
        return f"nothing that is known: {reading.unknown}"
    if reading.everything:
        return "everything (the attribute is absent)"
    if not reading.values:
        return "a zero-length value" if reading.present else "no value"
    if test.patient_data and not values:
        return "1 value" if len(reading.values) == 1 else f"{len(reading.values)} values"
    return ", ".join(map(spell or spelled, reading.values))


def spelled(value: object) -> str:
    """One value in a sentence."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return f"`{value}`" if not isinstance(value, list | tuple) else ", ".join(f"`{item}`" for item in value)
