"""YAML text as a tree of frozen nodes that know where they stand.

    bytes → text (UTF-8, no hidden characters) → libyaml's events → nodes

Rule 1: scalars stay source text. Nothing is resolved here: types come from paths (LANGUAGE: A policy set).
Rule 2: whatever the bytes are, the outcome is a :class:`Document` with findings, never an exception.
Rule 3: the tree is bounded: size, depth, and what aliases expand to.

The events are those of libyaml 0.2 (PyYAML's binding). ruamel.yaml's C parser is libyaml 0.1, which
rejects `[20:00, 06:00]`, valid in YAML 1.2 and in the language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

import msgspec
from yaml._yaml import CParser
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from hirules.policy.findings import Finding

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 64
MAX_ALIASED = 100_000
"""Nodes that aliases may add to those that are written."""
MAX_HIDDEN = 20
"""Findings about hidden characters in one file."""


class ScalarNode(msgspec.Struct, frozen=True, gc=False):
    """A scalar: its text, where it starts (from 1), its length on that line, and whether it was ``plain``, without quotes."""

    text: str
    line: int
    column: int
    length: int
    plain: bool


class SequenceNode(msgspec.Struct, frozen=True, gc=False):
    """A list."""

    items: tuple[Node, ...]
    line: int
    column: int
    length: int = 1


class MappingNode(msgspec.Struct, frozen=True, gc=False):
    """A mapping: by key text, the key's node and the value's, in the order of the file."""

    entries: Mapping[str, tuple[ScalarNode, Node]]
    line: int
    column: int
    length: int = 1

    def get(self, key: str) -> Node | None:
        """The value under ``key``."""
        entry = self.entries.get(key)
        return None if entry is None else entry[1]


Node = ScalarNode | SequenceNode | MappingNode


class Document(msgspec.Struct, frozen=True):
    """One file. ``root`` is ``None`` where nothing usable was found."""

    file: str
    root: Node | None
    lines: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def parse(file: str, data: bytes) -> Document:
    """``data`` as nodes, with everything that is wrong with it as YAML."""
    if len(data) > MAX_BYTES:
        return Document(file, None, (), (Finding(file, 1, 1, "too-large", f"the file has more than {MAX_BYTES} bytes"),))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _undecodable(file, data, error.start)
    lines = tuple(_LINE_BREAK.split(text) if "\r" in text else text.split("\n"))
    hidden = tuple(islice(_hidden(file, text, lines), MAX_HIDDEN))
    if hidden:
        return Document(file, None, lines, hidden)
    builder = _Builder(file, lines)
    root = builder.build(text)
    return Document(file, root, lines, tuple(builder.findings))


def _undecodable(file: str, data: bytes, at: int) -> Document:
    before = data[:at].decode("utf-8", "replace")
    lines = _LINE_BREAK.split(before)
    found = Finding(file, len(lines), len(lines[-1]) + 1, "encoding", f"byte 0x{data[at]:02X} is not UTF-8", expected="a file in UTF-8", source=lines[-1])
    return Document(file, None, tuple(lines), (found,))


_LINE_BREAK = re.compile(r"\r\n|\r|\n")
# C0 and C1 controls but tab and line breaks; U+2028 and U+2029, which YAML 1.1 takes for line breaks; what reorders or hides text
_HIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]")
_CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])


def _hidden(file: str, text: str, lines: tuple[str, ...]) -> Iterable[Finding]:
    if text.isascii() and len(text.encode().translate(None, _CONTROLS)) == len(text):
        return
    for number, line in enumerate(lines, 1):
        for match in _HIDDEN.finditer(line):
            yield _hidden_finding(file, number, match.start() + 1, match[0], lines)


def _hidden_finding(file: str, line: int, column: int, character: str, lines: tuple[str, ...]) -> Finding:
    return Finding(
        file, line, column, "control-character", f"the character U+{ord(character):04X} hides what the file says",
        expected="visible text", source=lines[line - 1] if line <= len(lines) else "",
    )  # fmt: skip


_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_SYNTAX_HINTS = (
    ("mapping values are not allowed", "quote a value that contains `: `"),
    ("cannot start any token", "indent by spaces, and quote a value that starts with `@`, `%` or a backtick"),
    ("could not find expected ':'", "a key ends in `: `; a list item starts with `- `"),
    ("did not find expected key", "check the indentation, and quote a value that has `: ` or ` #` in it"),
    ("did not find expected '-' indicator", "check the indentation"),
    ("unexpected end of stream", "a quote or a bracket is not closed"),
    ("found unexpected ':'", "quote the value, or put a space behind the `:`"),
)


# libyaml notices these at the next token or at the end of the file; the mistake is where the key, the quote or the bracket began
_NOTICED_LATE = ("could not find expected ':'", "unexpected end of stream")


class _Builder:
    """From events to nodes; one is made for a document and thrown away."""

    def __init__(self, file: str, lines: tuple[str, ...]) -> None:
        self.file = file
        self.lines = lines
        self.findings: list[Finding] = []
        self.nodes = 0
        self.aliased = 0
        self.anchors: dict[str, tuple[Node, int] | None] = {}
        self.get_event: Callable[[], Any]

    def build(self, text: str) -> Node | None:
        """The root node; ``None`` where the text is empty or no YAML at all."""
        try:
            # the binding encodes the text again, and marks count characters all the same
            return self._build(CParser(text))
        except MarkedYAMLError as error:
            self._syntax(error)
        except _Unusable:
            pass  # its finding has been added
        return None

    def _build(self, parser: CParser) -> Node | None:
        root: Node | None = None
        documents = 0
        while True:
            event: Any = parser.get_event()
            kind = type(event)
            if kind is StreamEndEvent:
                return root
            if kind is DocumentStartEvent:
                documents += 1
                self._document_start(event, documents)
            elif kind is ScalarEvent or kind is MappingStartEvent or kind is SequenceStartEvent or kind is AliasEvent:
                root = self._tree(parser, event)

    def _document_start(self, event: Any, count: int) -> None:
        mark = event.start_mark
        if count > 1:
            self._error(mark, "several-documents", "a second document starts here", expected="one document a file")
            raise _Unusable
        if event.version not in (None, (1, 2)):
            self._error(mark, "version", "the file asks for another version of YAML", expected="`%YAML 1.2`, or no directive")

    def _tree(self, parser: CParser, event: Any) -> Node:
        """One node and all below it."""
        self.get_event = parser.get_event
        self.anchors = {}
        return self._node(event, 0)

    def _node(self, event: Any, depth: int) -> Node:
        """The node that begins with ``event``. The recursion is as deep as the document, which is bounded."""
        kind = type(event)
        if kind is ScalarEvent:
            return self._scalar(event)
        if kind is AliasEvent:
            return self._alias(event)
        mark, anchor = event.start_mark, event.anchor
        if depth >= MAX_DEPTH:
            self._error(mark, "too-large", f"nested deeper than {MAX_DEPTH} levels")
            raise _Unusable
        if event.tag is not None:
            self._tag(mark)
        before = self.nodes
        if anchor is not None:
            self.anchors[anchor] = None
        node = self._mapping(mark, depth + 1) if kind is MappingStartEvent else self._sequence(mark, depth + 1)
        if anchor is not None:
            self.anchors[anchor] = (node, self.nodes - before + 1)
        return node

    def _mapping(self, mark: Any, depth: int) -> MappingNode:
        # with `_scalar`, this runs for every value of every policy: it asks for the most frequent first
        get_event, scalar = self.get_event, self._scalar
        entries: dict[str, tuple[ScalarNode, Node]] = {}
        while True:
            event = get_event()
            if type(event) is ScalarEvent:
                key = scalar(event)
                if key.text == "<<":
                    self._not_merged(key)
            elif type(event) is MappingEndEvent:
                break
            else:
                key = self._key(self._node(event, depth))
            event = get_event()
            value = scalar(event) if type(event) is ScalarEvent else self._node(event, depth)
            text = key.text
            if text in entries:
                first = entries[text][0]
                self._at(key, "duplicate-key", f"the key `{text}` stands here twice", f"the first one is in line {first.line}")
            else:
                entries[text] = (key, value)
        self.nodes += 2 * len(entries)
        return MappingNode(entries, mark.line + 1, mark.column + 1)

    def _sequence(self, mark: Any, depth: int) -> SequenceNode:
        get_event, scalar = self.get_event, self._scalar
        items: list[Node] = []
        while True:
            event = get_event()
            if type(event) is ScalarEvent:
                items.append(scalar(event))
            elif type(event) is SequenceEndEvent:
                break
            else:
                items.append(self._node(event, depth))
        self.nodes += len(items)
        return SequenceNode(tuple(items), mark.line + 1, mark.column + 1)

    def _scalar(self, event: Any) -> ScalarNode:
        text: str = event.value
        if not event.style and text not in _NULLS and event.tag is None and event.anchor is None:
            start, end = event.start_mark, event.end_mark
            line = start.line
            if line == end.line:
                column = start.column
                return ScalarNode(text, line + 1, column + 1, end.column - column, True)
        node = self._unusual(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, 1)
        return node

    def _unusual(self, event: Any) -> ScalarNode:
        """A scalar with quotes, a tag, a null, or over several lines."""
        start, end = event.start_mark, event.end_mark
        text: str = event.value
        line, column = start.line, start.column
        if line >= len(self.lines):  # a value that is missing at the end of the file
            line, column = len(self.lines) - 1, len(self.lines[-1])
        style = event.style
        plain = style == "" or style is None
        node = ScalarNode(text, line + 1, column + 1, end.column - column if end.line == line else 1, plain)
        if event.tag is not None:
            self._tag(node)
        elif plain:
            if text in _NULLS:
                self._null(node)
        elif style == '"' and not text.isprintable():
            hidden = _HIDDEN.search(text)
            if hidden is not None:
                self.findings.append(_hidden_finding(self.file, node.line, node.column, hidden[0], self.lines))
        return node

    def _null(self, node: ScalarNode) -> None:
        if node.text:
            self._at(node, "null", f"`{node.text}` is a null", "quote it if the text is meant", expected="a value")
            return
        before = self.lines[node.line - 1][: node.column - 1] if node.line <= len(self.lines) else ""
        # `{a:1}` is the key `a:1` without a value; `{a, b: 1}` has the key `a` without one
        entry = min(before.split("{")[-1], before.split(",")[-1], key=len)
        hint = 'an empty text is `""`'
        if before.count("{") > before.count("}"):
            hint = "put a space behind the `:`" if ":" in entry.rstrip()[:-1] else "quote a value that contains `,` or starts with `?`"
        self._at(node, "null", "a value is missing", hint, expected="a value")

    def _alias(self, event: Any) -> Node:
        mark, name = event.start_mark, event.anchor
        named = self.anchors.get(name)
        if named is None:
            message = f"the alias `{name}` stands inside what it names" if name in self.anchors else f"the alias `{name}` names nothing"
            self._error(mark, "recursive-alias", message, expected="an anchor that ends before the alias")
            raise _Unusable
        node, size = named
        self.aliased += size
        self.nodes += size
        if self.aliased > MAX_ALIASED:
            self._error(mark, "too-large", f"aliases expand to more than {MAX_ALIASED} values")
            raise _Unusable
        return node

    def _key(self, node: Node) -> ScalarNode:
        if not isinstance(node, ScalarNode):
            self._at(node, "key-not-scalar", "a key is a single text", expected="a text")
            return ScalarNode(f"?{node.line}:{node.column}", node.line, node.column, 1, plain=True)
        self._not_merged(node)
        return node

    def _not_merged(self, key: ScalarNode) -> None:
        if key.plain and key.text == "<<":
            self._at(key, "merge-key", "`<<` is not merged: YAML 1.2 has no merge key", "write the entries out, or use an alias for a whole value")

    def _tag(self, place: Any) -> None:
        self._at(place, "tag", "a tag says a type, which the path already does", "leave the tag out; quotes do not change a value's type")

    def _syntax(self, error: MarkedYAMLError) -> None:
        problem = str(error.problem or error.context or "not well-formed")
        hint = next((text for part, text in _SYNTAX_HINTS if part in problem), "")
        context = f" {error.context}" if error.context and error.problem else ""
        mark = error.problem_mark or error.context_mark
        if mark is None:
            self.findings.append(Finding(self.file, 1, 1, "yaml-syntax", problem, hint=hint))
            return
        line, column = min(mark.line, len(self.lines) - 1), mark.column
        if mark.line >= len(self.lines) or any(part in problem for part in _NOTICED_LATE):
            context_mark = error.context_mark or mark
            line, column = min(context_mark.line, len(self.lines) - 1), context_mark.column
        source = self.lines[line]
        self.findings.append(Finding(self.file, line + 1, column + 1, "yaml-syntax", problem + context, hint=hint, source=source))

    def _error(self, mark: Any, code: str, message: str, *, expected: str = "") -> None:
        self._at(mark, code, message, expected=expected)

    def _at(self, place: Any, code: str, message: str, hint: str = "", *, expected: str = "") -> None:
        if isinstance(place, ScalarNode | SequenceNode | MappingNode):
            line, column, length = place.line, place.column, place.length
        else:
            line, column, length = place.line + 1, place.column + 1, 1
        source = self.lines[line - 1] if line <= len(self.lines) else ""
        self.findings.append(Finding(self.file, line, column, code, message, "error", expected, hint, max(1, length), source))


class _Unusable(Exception):
    """The document cannot be read on; the finding says why."""
