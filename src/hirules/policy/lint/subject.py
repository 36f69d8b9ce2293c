"""What is linted: a policy set with the text of its files, the time, and what all lints ask of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.decision import Decision
from hirules.model.request import plain
from hirules.policy.ast import Condition, Not, Policy, PolicySet, Position, Rule, Test
from hirules.policy.document import Document, MappingNode, SequenceNode
from hirules.policy.edits import EditKind
from hirules.policy.evaluate import evaluate
from hirules.policy.findings import Finding
from hirules.policy.lint.proofs import Prover
from hirules.policy.lint.terms import Operators, Term, terms_of
from hirules.policy.lint.witness import Found, Search
from hirules.policy.spelling import spelled
from hirules.policy.trace import Trace


class Lint(msgspec.Struct, frozen=True):
    """A finding, with its example as a request; the finding holds it as text, without what stands in list files."""

    finding: Finding
    example: Found | None = None


class Budget:
    """How many pairs of rules may still be compared; beyond that a finding says so."""

    def __init__(self, most: int, what: str) -> None:
        self.left = self.most = most
        self.what = what

    def take(self, pairs: int = 1) -> bool:
        """Whether so many more may be compared."""
        self.left -= pairs
        return self.left >= 0


class Subject:
    """One policy set, as the lints see it. ``now`` decides what has expired."""

    def __init__(self, policies: PolicySet, documents: Mapping[str, Document], now: datetime, operators: Operators, edits: Mapping[str, EditKind]) -> None:
        self.policies = policies
        self.documents = documents
        self.now = now
        self.operators = operators
        self.edits = edits
        self.zone = ZoneInfo(policies.time_zone)
        self.prover = Prover(operators, self.zone)
        self.search = Search(policies.vocabulary, operators, self.zone, now)
        self._policy_of = {policy.id: policy for policy in policies.policies}
        self._terms: dict[str, list[Term] | None] = {}
        self._impossible: dict[str, bool] = {}
        self.budgets: list[Budget] = []

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Every rule that is not off, in the order of the files."""
        rules = (rule for policy in self.policies.policies for rule in policy.rules if rule.mode != "off")
        return tuple(sorted(rules, key=lambda rule: (rule.position.file, rule.position.line, rule.position.column)))

    @cached_property
    def enforced(self) -> tuple[Rule, ...]:
        """Those in mode ``enforce`` whose time has not passed."""
        return tuple(rule for rule in self.rules if rule.mode == "enforce" and not self.is_over(rule))

    def is_over(self, rule: Rule) -> bool:
        """Whether the rule is no longer valid."""
        return rule.valid.end is not None and rule.valid.end <= self.now

    def terms(self, rule: Rule) -> list[Term] | None:
        """What makes the rule match, without what is impossible; ``None`` where there is too much of it."""
        if rule.id not in self._terms:
            found = terms_of(rule, self.operators)
            possible = None if found is None else [term for term in found if self.prover.impossible(term) is None]
            self._impossible[rule.id] = found is not None and not possible
            self._terms[rule.id] = possible
        return self._terms[rule.id]

    def never(self, rule: Rule) -> bool:
        """Whether its condition is never true."""
        self.terms(rule)
        return self._impossible[rule.id]

    def policy(self, rule: Rule) -> Policy:
        """The policy of a rule."""
        return self._policy_of[rule.id.split("/", 1)[0]]

    def node(self, rule: Rule) -> MappingNode | None:
        """How the rule is written."""
        return self._nodes.get((rule.position.file, rule.position.line, rule.position.column))

    @cached_property
    def _nodes(self) -> dict[tuple[str, int, int], MappingNode]:
        found: dict[tuple[str, int, int], MappingNode] = {}
        for file, document in self.documents.items():
            for item in items_of(document, "rules"):
                found[file, item.line, item.column] = item
        return found

    def budget(self, most: int, what: str) -> Budget:
        """A bound for comparing rules pair by pair."""
        found = Budget(most, what)
        self.budgets.append(found)
        return found

    # Deciding examples.

    def only(self, rules: Iterable[Rule]) -> PolicySet:
        """The set with these rules only."""
        chosen: dict[str, list[Rule]] = {}
        for rule in rules:
            chosen.setdefault(rule.id.split("/", 1)[0], []).append(rule)
        policies = tuple(msgspec.structs.replace(self._policy_of[name], rules=tuple(chosen[name])) for name in sorted(chosen))
        return msgspec.structs.replace(self.policies, policies=policies)

    def decide(self, rules: Sequence[Rule], found: Found, trace: Trace | None = None) -> Decision:
        """What the reference evaluator says with these rules only."""
        return evaluate(self.only(rules), found.request, found.now, trace=trace, operators=self.operators, edits=self.edits)

    def matched(self, rules: Sequence[Rule], found: Found) -> frozenset[str]:
        """Which of the rules match a request, by the reference evaluator."""
        trace = Trace()
        self.decide(rules, found, trace)
        return frozenset(one.rule for one in trace.rules if one.outcome == "matched")

    # Findings.

    def lint(self, at: Position, code: str, message: str, *, expected: str = "", hint: str = "", example: Found | None = None) -> Lint:
        """A warning at a place of the policy set."""
        document = self.documents.get(at.file)
        line = document.lines[at.line - 1] if document is not None and at.line <= len(document.lines) else ""
        word = _WORD.match(line, at.column - 1)
        length = len(word[0]) if word is not None else 1
        text = "" if example is None else self.example_text(example)
        return Lint(Finding(at.file, at.line, at.column, code, message, "warning", expected, hint, length, line, text), example)

    def example_text(self, example: Found) -> str:
        """The request as JSON, as ``hirules decide`` reads it; members of list files are not quoted."""
        request = example.request
        shown: dict[str, object] = {"action": request.action, "subject": request.subject, "request": request.request}
        for name in ("resource", "instance", "original"):
            if getattr(request, name) is not None:
                shown[name] = getattr(request, name)
        context = dict(request.context)
        if example.now != self.now:
            context["now"] = example.now.isoformat()
        if context:
            shown["context"] = context
        return json.dumps(self._masked(plain(shown)), ensure_ascii=False, default=lambda value: str(spelled(value, dicom=False)))

    def _masked(self, value: object) -> object:
        if isinstance(value, dict):
            return {key: self._masked(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._masked(item) for item in value]
        name = self._in_files.get(str(value).strip().upper()) if isinstance(value, str) else None
        return value if name is None else f"a member of ${name}"

    @cached_property
    def _in_files(self) -> dict[str, str]:
        """The texts of list files, which may be about patients, with their lists."""
        found: dict[str, str] = {}
        for policy in self.policies.policies:
            shown = set(self.inline_lists(policy))
            for name, named in policy.lists.items():
                if name not in shown:
                    found.update((text.strip().upper(), name) for text in named.texts)
                    found.update((cell.strip().upper(), name) for row in named.rows for cell in row.values() if cell.strip())
        return found

    def inline_lists(self, policy: Policy) -> list[str]:
        """The lists that are written in the policy itself."""
        entries = self.list_nodes(policy)
        return [name for name, node in entries.entries.items() if isinstance(node[1], SequenceNode)] if entries is not None else []

    def list_nodes(self, policy: Policy) -> MappingNode | None:
        """The ``lists`` of a policy as they are written."""
        document = self.documents.get(policy.file)
        node = document.root.get("lists") if document is not None and isinstance(document.root, MappingNode) else None
        return node if isinstance(node, MappingNode) else None


def items_of(document: Document, key: str) -> list[MappingNode]:
    """The rules or exceptions of a document as they are written."""
    node = document.root.get(key) if isinstance(document.root, MappingNode) else None
    return [item for item in node.items if isinstance(item, MappingNode)] if isinstance(node, SequenceNode) else []


def conditions_of(rule: Rule) -> list[Condition]:
    """``when`` and ``unless``, where they are there."""
    return [condition for condition in (rule.when, rule.unless) if condition is not None]


def each_test(condition: Condition) -> Iterator[Test]:
    """Every test of a condition, but inside ``item``."""
    match condition:
        case Test():
            yield condition
        case Not(inner):
            yield from each_test(inner)
        case _:
            for part in condition.conditions:
                yield from each_test(part)


def at(position: Position) -> str:
    """A place as a hint names it."""
    return f"`{position.file}`, line {position.line}"


_WORD = re.compile(r"[^\s{}\[\],:]+")
