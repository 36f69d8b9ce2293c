"""Findings: what is wrong with a policy set, where, and what was expected instead.

    file:line:column: error[code]: message
        12 |     reson: no agreement
           |     ^^^^^
        expected: one of `offending`, `reason`, `respond`, `status`
        did you mean `reason`?

Findings come all at once, sorted by file, line and column. Codes are stable: scripts may rely on them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

import msgspec

CODES: dict[str, str] = {
    "encoding": "a file is not UTF-8",
    "control-character": "a control or bidirectional character hides what a reader of the file would see",
    "too-large": "a file, its nesting or what its aliases expand to exceeds the limit",
    "yaml-syntax": "the file is not well-formed YAML 1.2",
    "several-documents": "a file holds one document",
    "empty-file": "a policy file without content",
    "null": "a value is missing: policies have no null",
    "duplicate-key": "a mapping has a key twice",
    "merge-key": "`<<` is no part of YAML 1.2",
    "tag": "tags (`!!x`) are not used: the type of a value comes from its path",
    "key-not-scalar": "the key of a mapping is itself a mapping or a list",
    "recursive-alias": "an alias stands inside what it names, or names nothing",
    "file-extension": "policy files end in `.yaml`",
    "no-policy": "the set has no policy",
    "version": "this version of the language is not known",
    "not-a-mapping": "a mapping stands here",
    "not-a-list": "a list stands here",
    "not-a-text": "a single value stands here",
    "unknown-key": "a key that does not exist here",
    "missing-key": "a required key is missing",
    "empty": "an empty condition or list would match always or never",
    "invalid-id": "an id is lower case words joined by hyphens",
    "duplicate-id": "an id is used twice",
    "effect": "a rule has exactly one of `allow`, `deny`, `rewrite`, `audit`",
    "unknown-action": "an action or group that does not exist",
    "invalid-path": "a path is not well-formed",
    "unknown-attribute": "no attribute has this path",
    "attribute-of-action": "an action of `on` does not have this attribute",
    "unknown-operator": "an operator that does not exist",
    "operator-type": "the operator never fits the type of the path",
    "operator-place": "the operator does not work on this path",
    "opening-position": "a multi-valued path would open more than it says: one value that fits is enough",
    "literal": "a value that the type of its path cannot have",
    "argument": "the argument of an operator or an edit has the wrong form",
    "pattern-in-list": "lists are exact: a wildcard or a network in one would match nothing",
    "operand-type": "two attributes whose types can never be equal",
    "regex": "a pattern that RE2 does not accept",
    "time-zone": "a time zone that does not exist",
    "duration": "a duration that cannot be read, or does not fit the path",
    "unknown-list": "a list that does not exist",
    "invalid-list": "a list is not declared well",
    "list-file": "the file of a list cannot be used",
    "duplicate-list": "two policies share a list of the same name",
    "empty-list": "a list file without a value",
    "not-a-table": "the list has no columns",
    "status": "a status that the action cannot be refused with",
    "respond": "`no-match` is not possible for an action of `on`",
    "reason": "a reason text is not well-formed",
    "not-writable": "a rewrite may not touch this",
    "unknown-edit": "an edit that does not exist",
    "edit-type": "the edit never fits the type of the path",
    "not-harmless": "`on_unknown: skip` needs edits that are harmless when left out",
    "choice": "a value outside a closed list",
    "timestamp": "a full date and time with offset stands here",
    "exception": "an exception names deny, rewrite or audit rules of its own policy",
    "unknown-requirement": "a requirement that cannot be read",
    "name-taken": "a name that exists already",
    "schema": "the file does not satisfy the published JSON Schema",
    "always": "a rule that opens or changes matches every request",
    "absent-matches": "a negated condition that opens also holds where the attribute is absent",
    "client-claim": "what opens a retrieve rests on what the client says",
    "row-elsewhere": "the path above `row_of` takes no part in it",
    "unreadable": "a file or folder cannot be read",
    "outside-folder": "a link leads out of the folder of the set",
    "plugin": "a plugin cannot be loaded, or adds a name that exists",
    "requirement": "a requirement of the set that is not loaded in that version",
    "audit": "the record cannot be written",
    "access": "a file of TLS or of users cannot be used, or a part of hirules is not installed",
    "no-test": "a file of tests without a test",
    "duplicate-test": "two tests of one file have the same name",
    "unknown-fixture": "a fixture that the file does not have",
    "unknown-rule": "a rule or an exception that the set does not have",
    "test-file": "the file of a test cannot be used",
    "two-readings": "a request that can be read in two ways, which is refused before any rule",
    "not-enforceable": "a rule that the gateway of this version cannot enforce",
    "never-matches": "a rule or an exception whose conditions exclude each other",
    "duplicate": "a rule that says what another one says already",
    "shadowed": "a rule that changes nothing, since another one matches wherever it does",
    "allow-denied": "an allow of which a deny denies everything",
    "rewrite-conflict": "two edits that meet at one place for one request, which is refused then",
    "rewrite-past-deny": "a rewrite that changes what a deny looks for, before the deny looks",
    "deny-reads-rewritten": "a deny that reads what a rewrite wrote, and not what was asked",
    "several-under-not": "a `not` with several keys, which holds as soon as one of them does not",
    "not-any": "a deny that holds only where none of several values fits",
    "walks-round": "a deny on a value of the identifier that a wildcard or another key reaches as well",
    "glob-without-wildcard": "a pattern without `*` and `?`",
    "unused-list": "a list that no rule uses",
    "expired": "an exception or a rule whose time has passed",
    "expires-soon": "an exception that ends soon",
    "not-indexed": "a rule that no index serves, and that could be written otherwise",
    "closes-action": "an allow rule that closes `associate`, `answer` or `release` for what other rules allow",
    "look-alike": "a word with letters that look like others",
    "not-compared": "a set with too many rules to compare all of them with each other",
    "unused-silence": "a silence of a finding that there is not",
}
"""Every code with one sentence on what it is about."""

SILENCEABLE = frozenset(
    {
        "always", "absent-matches", "client-claim", "row-elsewhere", "empty-list", "never-matches", "duplicate", "shadowed", "allow-denied",
        "rewrite-conflict", "rewrite-past-deny", "deny-reads-rewritten", "several-under-not", "not-any", "walks-round", "glob-without-wildcard",
        "unused-list", "expired", "expires-soon", "not-indexed", "closes-action", "look-alike", "not-compared",
    }
)  # fmt: skip
"""Warnings that a policy may silence with a reason, under `lint`."""

Severity = Literal["error", "warning"]
_WIDTH = 140


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong. ``line`` and ``column`` count from 1; ``source`` is the line of the file.

    ``example`` is a request, as JSON, that shows it.
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    severity: Severity = "error"
    expected: str = ""
    hint: str = ""
    length: int = 1
    source: str = ""
    example: str = ""

    @property
    def is_error(self) -> bool:
        """Whether it keeps the set from loading."""
        return self.severity == "error"

    def as_json(self) -> dict[str, object]:
        """The finding for programs."""
        return {
            "file": self.file, "line": self.line, "column": self.column, "length": self.length, "severity": self.severity,
            "code": self.code, "message": self.message, "expected": self.expected or None, "hint": self.hint or None,
            "example": json.loads(self.example) if self.example else None,
        }  # fmt: skip

    def __str__(self) -> str:
        return render_one(self)


class PolicyError(Exception):
    """A policy set that cannot be used; ``findings`` holds everything that was found."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = ordered(findings)
        super().__init__(render(self.findings))


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sorted by file, line and column."""
    return tuple(sorted(findings, key=lambda found: (found.file, found.line, found.column, found.severity, found.code, found.message)))


def render(findings: Iterable[Finding]) -> str:
    """The text for people: every finding with its line and a caret."""
    return "\n".join(render_one(found) for found in findings)


def render_one(found: Finding) -> str:
    """One finding as text, without control characters whatever the file holds."""
    lines = [f"{found.file}:{found.line}:{found.column}: {found.severity}[{found.code}]: {found.message}"]
    if found.source.strip():
        shown, column = _excerpt(found.source, found.column - 1)
        number = str(found.line)
        pad = "".join("\t" if character == "\t" else " " for character in shown[:column])
        lines.append(f"  {number} | {shown}")
        lines.append(f"  {' ' * len(number)} | {pad}{'^' * max(1, min(found.length, len(shown) - column))}")
    if found.expected:
        lines.append(f"  expected: {found.expected}")
    if found.hint:
        lines.append(f"  {found.hint}")
    if found.example:
        lines += _shown(found.example)
    return "\n".join(printable(line) for line in lines)


def _shown(example: str) -> list[str]:
    """A request in one line, where it fits."""
    if len(example) <= _WIDTH:
        return [f"  example: {example}"]
    return ["  example:", *(f"    {line}" for line in json.dumps(json.loads(example), indent=2, ensure_ascii=False).splitlines())]


def _excerpt(source: str, column: int) -> tuple[str, int]:
    """At most ``_WIDTH`` characters of the line around ``column``, and where the column is in them."""
    if len(source) <= _WIDTH:
        return source, min(column, len(source))
    start = max(0, column - _WIDTH // 2)
    before = "…" if start else ""
    after = "…" if start + _WIDTH < len(source) else ""
    return before + source[start : start + _WIDTH] + after, column - start + len(before)


def printable(text: str) -> str:
    """``text`` with every character that a terminal would act on replaced, tabs kept."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() or character == "\t" else "\N{REPLACEMENT CHARACTER}" for character in text)


def listed(names: Iterable[str]) -> str:
    """``one of `a`, `b```, at most twelve of them."""
    quoted = [f"`{name}`" for name in sorted(names)]
    more = f", … ({len(quoted) - 12} more)" if len(quoted) > 12 else ""
    return ("one of " if len(quoted) > 1 else "") + ", ".join(quoted[:12]) + more


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """A hint at the nearest of ``candidates``; empty where none is near."""
    if len(word) > 100:  # no name is that long, and comparing is quadratic
        return ""
    by_folded = {candidate.casefold().replace("_", "-"): candidate for candidate in sorted(candidates, reverse=True)}
    near = get_close_matches(word.casefold().replace("_", "-"), by_folded, n=1, cutoff=0.7)
    return f"did you mean `{by_folded[near[0]]}`?" if near and by_folded[near[0]] != word else ""
