"""`expect`: what a test says must be decided. Rules, exceptions and attributes that do not exist are errors: nothing passes by mistake."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from hirules.model.decision import AssociateStatus, Status
from hirules.model.path import PathError, parse_path
from hirules.policy.ast import PolicySet
from hirules.policy.compile_source import Source
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode
from hirules.policy.findings import did_you_mean, listed
from hirules.policy.suite import Entry, Expected
from hirules.policy.suite_parts import is_null, value_of

OUTCOMES = ("allow", "deny", "rewrite", "audit", "conflict", "unknown")
"""Of a rule in shadow."""


class Ids(msgspec.Struct, frozen=True):
    """The names that a test may expect: rules with their kind, exceptions, plugins."""

    rules: Mapping[str, str]
    exceptions: frozenset[str]
    plugins: frozenset[str]


def ids_of(policies: PolicySet, plugins: frozenset[str] = frozenset()) -> Ids:
    """The names in a set; ``plugins`` are the loaded ones, `plugin:name`."""
    rules = {rule.id: rule.kind for policy in policies.policies for rule in policy.rules}
    exceptions = (one.id for policy in policies.policies for one in (*policy.exceptions, *(one for rule in policy.rules for one in rule.exceptions)))
    return Ids(rules, frozenset(exceptions), plugins)


def expected_fields(source: Source, node: MappingNode, action: str, ids: Ids, policies: PolicySet) -> dict[str, object]:
    """The fields of :class:`Expected` that ``node`` states; findings for what is wrong with it."""
    source.keys(node, "`expect`", tuple(_READERS))
    reading = _Reading(source, action, ids, policies)
    return {key: _READERS[key](reading, value) for key, (_, value) in node.entries.items() if key in _READERS}


def expected_of(fields: Mapping[str, object]) -> Expected:
    """What is expected, from the fields of a test and of its row."""
    return Expected(frozenset(fields), **fields)  # type: ignore[arg-type]


class _Reading(msgspec.Struct, frozen=True):
    source: Source
    action: str
    ids: Ids
    policies: PolicySet

    def decision(self, node: Node) -> str:
        if isinstance(node, ScalarNode) and node.text in ("allow", "deny"):
            return node.text
        self.source.error(node, "choice", "`decision` is neither `allow` nor `deny`", expected="`allow` or `deny`")
        return ""

    def by(self, node: Node) -> tuple[str, ...]:
        return tuple(sorted({self._rule(item) for item in self._items(node, "`by`", "ids of rules, `policy/rule`; `[]` where `combining` decides")}))

    def status(self, node: Node) -> Status:
        if is_null(node):
            return None
        if isinstance(node, MappingNode):
            self.source.keys(node, "the status of an association", _REJECTION, _REJECTION)
            numbers = [_integer(node.get(key)) for key in _REJECTION]
            if all(number is not None for number in numbers):
                return AssociateStatus(*numbers)  # type: ignore[arg-type]
            self.source.error(node, "status", "the status of an association is three numbers", expected="`{result: 1, source: 1, reason: 1}`")
            return None
        scalar = self.source.scalar(node, "`status`", "a status, `0xA801` or `AccessDenied`; null where the request is allowed")
        if scalar is None:
            return None
        number = _integer(scalar)
        return scalar.text if number is None else number

    def text(self, node: Node) -> str:
        scalar = self.source.scalar(node, "a reason", "a text")
        return "" if scalar is None else scalar.text

    def flag(self, node: Node) -> bool:
        if isinstance(node, ScalarNode) and node.plain and node.text in ("true", "false"):
            return node.text == "true"
        self.source.error(node, "choice", "`no_match` is true or false", expected="`true` or `false`")
        return False

    def rewritten(self, node: Node) -> Mapping[str, object]:
        mapping = self.source.mapping(node, "`rewritten`", "each path that is changed with its new value; null: removed; `{}`: nothing is")
        found: dict[str, object] = {}
        for key, value in (mapping.entries if mapping is not None else {}).values():
            path = self._path(key)
            if path is not None:
                found[path] = value_of(value)
        return found

    def notes(self, node: Node) -> tuple[Entry, ...]:
        fields = {"source": self._rule, "severity": _text, "note": _text, "include": value_of}
        return self._entries(node, "notes", self._noting, fields)

    def shadow(self, node: Node) -> tuple[Entry, ...]:
        fields = {"rule": self._rule, "effect": _text, "outcome": self._outcome, "edits": value_of}
        return self._entries(node, "shadow", lambda scalar: {"rule": self._rule(scalar)}, fields)

    def exceptions(self, node: Node) -> tuple[Entry, ...]:
        fields = {"exception": self._exception, "rule": self._rule, "reason": _text, "approved_by": _text}
        return self._entries(node, "exceptions", lambda scalar: {"exception": self._exception(scalar)}, fields)

    def errors(self, node: Node) -> tuple[Entry, ...]:
        fields = {"source": self._erring, "path": self._path, "message": _text}
        return self._entries(node, "errors", self._error, fields)

    # Their parts.

    def _items(self, node: Node, what: str, expected: str) -> tuple[Node, ...]:
        if isinstance(node, SequenceNode):
            return node.items
        self.source.error(node, "not-a-list", f"{what} is no list", expected=expected)
        return ()

    def _entries(self, node: Node, name: str, short: Callable[[ScalarNode], Entry], fields: Mapping[str, Callable[..., object]]) -> tuple[Entry, ...]:
        entries: list[Entry] = []
        for item in self._items(node, f"`{name}`", f"a list of names, or of mappings with {listed(fields)}"):
            if isinstance(item, ScalarNode):
                entries.append(short(item))
            elif (mapping := self.source.mapping(item, f"an entry of `{name}`")) is not None:
                self.source.keys(mapping, f"an entry of `{name}`", tuple(fields))
                entries.append({key: fields[key](value) for key, (_, value) in mapping.entries.items() if key in fields})
        return tuple(entries)

    def _rule(self, node: Node) -> str:
        scalar = self.source.scalar(node, "the name of a rule", "`policy/rule`")
        name = "" if scalar is None else scalar.text
        if scalar is not None and name not in self.ids.rules and name not in self.ids.plugins:
            short = [one for one in self.ids.rules if one.endswith("/" + name)]
            hint = f"did you mean `{short[0]}`?" if short else did_you_mean(name, [*self.ids.rules, *self.ids.plugins])
            self.source.error(scalar, "unknown-rule", f"there is no rule `{name}` in the set", expected="the id of a rule, `policy/rule`", hint=hint)
        return name

    def _noting(self, scalar: ScalarNode) -> Entry:
        name = self._rule(scalar)
        if self.ids.rules.get(name, "audit") != "audit":
            self.source.error(scalar, "choice", f"`{name}` is no audit rule and leaves no note", expected="an audit rule")
        return {"source": name}

    def _exception(self, node: Node) -> str:
        scalar = self.source.scalar(node, "the name of an exception", "`policy/exception`")
        name = "" if scalar is None else scalar.text
        if scalar is not None and name not in self.ids.exceptions:
            hint = did_you_mean(name, self.ids.exceptions)
            self.source.error(scalar, "unknown-rule", f"there is no exception `{name}` in the set", expected="`policy/exception`", hint=hint)
        return name

    def _outcome(self, node: Node) -> str:
        if isinstance(node, ScalarNode) and node.text in OUTCOMES:
            return node.text
        self.source.error(node, "choice", "that is no outcome of a rule in shadow", expected=listed(OUTCOMES))
        return ""

    def _erring(self, node: Node) -> str:
        """The rule, the exception, the plugin or the gate that something was unknown to."""
        if isinstance(node, ScalarNode) and (node.text in self.ids.exceptions or node.text == "gate"):
            return node.text
        return self._rule(node)

    def _error(self, scalar: ScalarNode) -> Entry:
        """An attribute, or who met the error: ids have a slash and no root of a path before it."""
        if "/" in scalar.text.partition('"')[0] or scalar.text.startswith("plugin:") or scalar.text == "gate":
            return {"source": self._erring(scalar)}
        return {"path": self._path(scalar)}

    def _path(self, node: Node) -> str | None:
        """The canonical text of a path of the action."""
        scalar = self.source.scalar(node, "an attribute", "a path, `request.MoveDestination`")
        if scalar is None:
            return None
        try:
            path = parse_path(scalar.text)
        except PathError as error:
            self.source.error(scalar, "invalid-path", str(error), expected=error.expected, offset=error.offset)
            return None
        vocabulary = self.policies.vocabulary
        attribute = vocabulary.lookup(path) or vocabulary.family(path)
        if attribute is not None and self.action in attribute.actions:
            return path.text
        known = (attribute.path for attribute in vocabulary.attributes.values() if self.action in attribute.actions and not attribute.path.endswith(">"))
        hint = did_you_mean(path.text, known)
        self.source.error(scalar, "unknown-attribute", f"`{path.text}` is no attribute of `{self.action}`", expected="an attribute of the action", hint=hint)
        return None


_REJECTION = ("result", "source", "reason")


def _integer(node: Node | None) -> int | None:
    try:
        return int(node.text, 0) if isinstance(node, ScalarNode) else None
    except ValueError:
        return None


def _text(node: Node) -> object:
    return node.text if isinstance(node, ScalarNode) else value_of(node)


_READERS: Mapping[str, Callable[[_Reading, Node], object]] = {
    "decision": _Reading.decision,
    "by": _Reading.by,
    "status": _Reading.status,
    "reason": _Reading.text,
    "full_reason": _Reading.text,
    "no_match": _Reading.flag,
    "rewritten": _Reading.rewritten,
    "notes": _Reading.notes,
    "shadow": _Reading.shadow,
    "exceptions": _Reading.exceptions,
    "errors": _Reading.errors,
}
