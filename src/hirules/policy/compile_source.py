"""One file while it is compiled: where its findings go, and the shapes that nodes may have."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING

import msgspec

from hirules.model.vocabulary import Vocabulary
from hirules.policy.ast import Position, Silence
from hirules.policy.document import Document, MappingNode, Node, ScalarNode, SequenceNode
from hirules.policy.findings import SILENCEABLE, Finding, Severity, did_you_mean, listed
from hirules.policy.operators import Operator

if TYPE_CHECKING:
    from hirules.model.vocabulary import Attribute
    from hirules.policy.ast import ListOperand, Value
    from hirules.policy.compile_paths import Base, Named
    from hirules.policy.edits import EditKind
    from hirules.policy.lists import LoadedList


class Known(msgspec.Struct, frozen=True):
    """What the texts of a set have been found to mean, so that it is found, and kept, once: rules are much alike.

    INVARIANT: only what has no finding is known; a finding has a place, and each place has its own.
    INVARIANT: where an identity is part of a key, the value holds what has it, so that nothing else gets the same one.
    """

    paths: dict[tuple[str, tuple[str, ...], Base | None], Named] = msgspec.field(default_factory=dict)
    """By text, actions of the rule, and item."""
    texts: set[str] = msgspec.field(default_factory=set)
    """The canonical texts of those paths."""
    actions: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """By one name under ``on``."""
    sets: dict[tuple[str, ...], frozenset[str]] = msgspec.field(default_factory=dict)
    literals: dict[tuple[int, str, bool, bool], tuple[Attribute, Value]] = msgspec.field(default_factory=dict)
    """By attribute, text, and whether it is whole and a member."""
    lists: dict[tuple[int, int, bool], tuple[LoadedList, Attribute, ListOperand]] = msgspec.field(default_factory=dict)
    """By list, attribute, and whether it is whole."""


class Tables(msgspec.Struct, frozen=True):
    """What the language consists of here: the vocabulary, the operators and the edits, those of plugins among them."""

    vocabulary: Vocabulary
    operators: Mapping[str, Operator]
    edits: Mapping[str, EditKind]
    known: Known = msgspec.field(default_factory=Known)


class Source:
    """A document, the tables, its lists, and the findings so far."""

    __slots__ = ("document", "file", "findings", "known", "lists", "located", "tables", "unusable")

    def __init__(self, document: Document, tables: Tables) -> None:
        self.document = document
        self.file = document.file
        self.tables = tables
        self.known = tables.known
        self.findings: list[Finding] = list(document.findings)
        self.located = {(found.line, found.column) for found in document.findings}
        self.lists: dict[str, LoadedList] = {}
        self.unusable: set[str] = set()
        """Lists whose declaration has a finding already."""

    @property
    def failed(self) -> bool:
        """Whether there is an error."""
        return any(found.is_error for found in self.findings)

    def at(self, node: Node) -> Position:
        """The position of a node."""
        return Position(self.file, node.line, node.column)

    def error(self, node: Node, code: str, message: str, *, expected: str = "", hint: str = "", offset: int = 0, length: int | None = None) -> None:
        """An error at ``node``, or ``offset`` characters into its text."""
        self._add("error", node, code, message, expected, hint, offset, length)

    def warn(self, node: Node, code: str, message: str, *, expected: str = "", hint: str = "") -> None:
        """A warning at ``node``."""
        self._add("warning", node, code, message, expected, hint, 0, None)

    def _add(self, severity: Severity, node: Node, code: str, message: str, expected: str, hint: str, offset: int, length: int | None) -> None:
        if (node.line, node.column) in self.located:
            return  # a null or a tag that has been reported: what follows from it is no second mistake
        line = self.document.lines[node.line - 1] if node.line <= len(self.document.lines) else ""
        column = node.column + (_inside(node, offset, line) if offset else 0)
        width = length if length is not None else max(1, node.length - (column - node.column))
        self.findings.append(Finding(self.file, node.line, column, code, message, severity, expected, hint, width, line))

    # Shapes.

    def mapping(self, node: Node, what: str, expected: str = "") -> MappingNode | None:
        """``node`` as a mapping; a finding where it is none."""
        if isinstance(node, MappingNode):
            return node
        self.error(node, "not-a-mapping", f"{what} is {_described(node)}", expected=expected or "a mapping, `key: value`")
        return None

    def sequence(self, node: Node, what: str, expected: str = "") -> tuple[Node, ...] | None:
        """The items of a list; a finding where there is none, or it is empty."""
        if not isinstance(node, SequenceNode):
            self.error(node, "not-a-list", f"{what} is {_described(node)}", expected=expected or "a list, `[…]`")
            return None
        if not node.items:
            self.error(node, "empty", f"{what} is empty", expected=expected or "at least one entry", length=2)
            return None
        return node.items

    def several(self, node: Node, what: str) -> tuple[Node, ...]:
        """One, or a list of at least one."""
        return (node,) if isinstance(node, ScalarNode) else self.sequence(node, what, "one, or a list of them") or ()

    def scalar(self, node: Node, what: str, expected: str = "") -> ScalarNode | None:
        """``node`` as a scalar; a finding where it is none."""
        if isinstance(node, ScalarNode):
            return node
        self.error(node, "not-a-text", f"{what} is {_described(node)}", expected=expected or "a single value")
        return None

    def text(self, mapping: MappingNode, key: str, what: str) -> str:
        """The text under ``key``; empty where there is none."""
        node = mapping.get(key)
        if node is None:
            return ""
        found = self.scalar(node, f"the {key} of {what}", "a text")
        return "" if found is None else found.text

    def texts(self, mapping: MappingNode, key: str, what: str) -> tuple[str, ...]:
        """The list of texts under ``key``; empty where there is none."""
        node = mapping.get(key)
        if node is None:
            return ()
        name = f"`{key}` of {what}"
        return tuple(found.text for item in self.several(node, name) if (found := self.scalar(item, f"an entry of {name}", "a text")) is not None)

    def choice(self, mapping: MappingNode, key: str, choices: Collection[str], default: str) -> str:
        """The text under ``key``, one of ``choices``."""
        node = mapping.get(key)
        if node is None:
            return default
        found = self.scalar(node, f"`{key}`", listed(choices))
        if found is None or found.text in choices:
            return default if found is None else found.text
        self.error(found, "choice", f"`{found.text}` is no value of `{key}`", expected=listed(choices), hint=did_you_mean(found.text, choices))
        return default

    def keys(self, mapping: MappingNode, what: str, known: Collection[str], required: Collection[str] = ()) -> None:
        """Findings for keys that do not exist here, and for those that are missing."""
        entries = mapping.entries
        for text in entries:
            if text not in known:
                key = entries[text][0]
                self.error(key, "unknown-key", f"`{text}` is no key of {what}", expected=listed(known), hint=did_you_mean(text, known))
        for name in required:
            if name not in entries:
                self.error(mapping, "missing-key", f"{what} has no `{name}`", expected=f"the key `{name}`", hint=_misspelt(name, mapping, known))

    def flag(self, mapping: MappingNode, key: str) -> bool:
        """``true`` or ``false`` under ``key``, without quotes; false where there is none."""
        node = mapping.get(key)
        if node is None or is_flag(node):
            return isinstance(node, ScalarNode) and node.text == "true"
        self.error(node, "choice", f"`{key}` is true or false", expected="`true` or `false`")
        return False

    def silences(self, mapping: MappingNode) -> tuple[Silence, ...]:
        """``lint``: codes of findings that are meant so, each with its reason."""
        node = mapping.get("lint")
        entries = None if node is None else self.mapping(node, "`lint`", "`{code: reason}`")
        if entries is None:
            return ()
        if not entries.entries:
            self.error(entries, "empty", "`lint` is empty", expected="`{code: reason}`", length=2)
        found = []
        for code, (key, value) in entries.entries.items():
            if code not in SILENCEABLE:
                self.error(key, "choice", f"`{code}` is no finding that can be silenced", expected=listed(SILENCEABLE), hint=did_you_mean(code, SILENCEABLE))
            reason = self.scalar(value, f"the reason of `{code}`", "a text: why it is meant so")
            if reason is not None and not reason.text.strip():
                self.error(reason, "empty", "the reason is empty", expected="why it is meant so")
            found.append(Silence(code, "" if reason is None else reason.text, self.at(key)))
        return tuple(found)

    def identifier(self, mapping: MappingNode, key: str, what: str) -> str | None:
        """The kebab-case id under ``key``."""
        node = mapping.get(key)
        found = None if node is None else self.scalar(node, f"the id of {what}", "a kebab-case id, `release-agreements`")
        if found is None:
            return None
        if _KEBAB.fullmatch(found.text) is None:
            near = re.sub(r"[^a-z0-9]+", "-", found.text.lower()).strip("-")
            hint = f"did you mean `{near}`?" if near and len(near) <= 100 else ""
            self.error(found, "invalid-id", f"`{found.text}` is no id", expected="lower case words joined by hyphens, `release-agreements`", hint=hint)
            return None
        return found.text


_KEBAB = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def is_flag(node: Node) -> bool:
    """Whether the node is a plain ``true`` or ``false``: what YAML reads as a boolean."""
    return isinstance(node, ScalarNode) and node.plain and node.text in ("true", "false")


def _described(node: Node) -> str:
    if isinstance(node, ScalarNode):
        return f"the text `{node.text}`" if len(node.text) <= 60 else "a text"
    return "a mapping" if isinstance(node, MappingNode) else "a list"


def _misspelt(name: str, mapping: MappingNode, known: Collection[str]) -> str:
    """Says where a required key that is missing seems to be misspelt."""
    strange = [key for key in mapping.entries if key not in known]
    near = [key for key in strange if did_you_mean(key, (name,))]
    return f"`{near[0]}` looks like it" if near else ""


def _inside(node: Node, offset: int, line: str) -> int:
    """How many columns into the source text of ``node`` the character at ``offset`` of its value stands."""
    if not isinstance(node, ScalarNode) or offset > len(node.text):
        return 0
    if node.plain:
        return offset if node.length >= len(node.text) else 0
    # quotes: exact where nothing is escaped, so that the text stands in the line as it is
    start = node.column
    return offset + 1 if line[start : start + len(node.text)] == node.text else 0


def plain(node: Node) -> object:
    """``node`` as YAML 1.2's core schema reads it: what an editor checks against the JSON Schema."""
    if isinstance(node, ScalarNode):
        return core_scalar(node.text) if node.plain and node.text[:1] in _NOT_TEXT else node.text
    if isinstance(node, SequenceNode):
        return list(map(plain, node.items))
    found: dict[str, object] = {}
    for key, (_, value) in node.entries.items():
        if isinstance(value, ScalarNode):  # as above, without the call: most values are scalars
            found[key] = core_scalar(value.text) if value.plain and value.text[:1] in _NOT_TEXT else value.text
        else:
            found[key] = plain(value)
    return found


def core_scalar(text: str) -> object:
    """A plain scalar by the core schema (YAML 1.2.2 §10.3.2)."""
    if text[:1] not in _NOT_TEXT:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        # beyond 64 bits a program that reads numbers loses digits anyway; to the schemas it is a number all the same
        return int(text[:18], 0) if text[:2] in ("0x", "0o") else int(text[:18])
    if _FLOAT.fullmatch(text) is None:
        return text
    number = float(text)
    return number if isfinite(number) else text


_NOT_TEXT = frozenset("0123456789+-.tTfFnN~")
_CONSTANTS: Mapping[str, object] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "~": None, "null": None, "Null": None, "NULL": None, "": None,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def walk(node: Node) -> Iterator[Node]:
    """``node`` and every node below it."""
    yield node
    if isinstance(node, SequenceNode):
        for item in node.items:
            yield from walk(item)
    elif isinstance(node, MappingNode):
        for _, value in node.entries.values():
            yield from walk(value)
