"""Reading a file of tests: every mistake is a finding with its place, and a file with one runs no test.

bytes → document → fixtures, tests, rows → Cases
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from hirules.model.actions import GROUPS
from hirules.model.request import Request
from hirules.policy.ast import PolicySet, Position
from hirules.policy.clock import reading_clock
from hirules.policy.compile_source import Source, Tables
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode, parse
from hirules.policy.edits import EDITS
from hirules.policy.findings import Finding, did_you_mean, listed, ordered
from hirules.policy.operators import OPERATORS, Operator
from hirules.policy.schema_check import against_test_schema
from hirules.policy.suite import Case, Suite
from hirules.policy.suite_expect import expected_fields, expected_of, ids_of
from hirules.policy.suite_parts import PART_KEYS, Files, Names, Part, merged, moment, part_of, request_of

UNREAD = datetime(2000, 1, 1, tzinfo=UTC)
"""The time of a request whose action no rule with a clock covers, where the test gives none: nothing reads it."""

_FILE_KEYS = ("fixtures", "hirules-test", "now", "tests")
_TEST_KEYS = (*PART_KEYS, "cases", "expect", "given", "name", "now", "on")
_CASE_KEYS = (*PART_KEYS, "expect", "given", "name", "now", "on")
Paths = Callable[[Request], Sequence[str]]


class Reader:
    """Reads files of tests against one policy set.

    ``strange``    the paths of a request that its action does not have
    ``ambiguous``  the paths of a request that can be read in two ways
    ``plugins``    the loaded ones that may be among the determining rules, `plugin:name`
    """

    def __init__(
        self,
        policies: PolicySet,
        files: Files,
        strange: Paths,
        ambiguous: Paths,
        *,
        operators: Mapping[str, Operator] = OPERATORS,
        plugins: Iterable[str] = (),
    ) -> None:
        self.policies = policies
        self.files = files
        self.ids = ids_of(policies, frozenset(plugins))
        self.strange = strange
        self.ambiguous = ambiguous
        self.clocks = reading_clock(policies)
        self.tables = Tables(policies.vocabulary, operators, EDITS)

    def read(self, file: str, data: bytes) -> tuple[Suite | None, tuple[Finding, ...]]:
        """The tests in ``data``, ``None`` where there is an error, and what was found."""
        document = parse(file, data)
        # here a null is a value: what is absent, or was removed
        document = msgspec.structs.replace(document, findings=tuple(found for found in document.findings if found.code != "null"))
        source = Source(document, self.tables)
        cases = [] if source.failed else _FileReading(self, source).cases()
        if not source.failed:
            against_test_schema(source)
        return None if source.failed else Suite(file, tuple(cases)), ordered(source.findings)


class _Outer(msgspec.Struct, frozen=True):
    """What a row inherits from its test."""

    name: str = ""
    on: str = ""
    parts: tuple[Part, ...] = ()
    now: datetime | None = None
    expect: tuple[MappingNode, ...] = ()


class _FileReading:
    """One file, while it is read."""

    def __init__(self, reader: Reader, source: Source) -> None:
        self._reader = reader
        self._source = source
        self._fixtures: dict[str, Part] = {}
        self._unusable: set[str] = set()
        """Fixtures that have a finding already."""
        self._names = Names(reader.policies.vocabulary, reader.strange)
        self._taken: dict[str, int] = {}
        self._now: datetime | None = None
        self._expectations: dict[tuple[int, str], dict[str, object]] = {}

    def cases(self) -> list[Case]:
        """Every test of the file; findings for what is wrong."""
        source, node = self._source, self._source.document.root
        if node is None:
            source.findings.append(Finding(source.file, 1, 1, "no-test", "the file holds no test", expected="`hirules-test: 1` and `tests`"))
            return []
        root = source.mapping(node, "the file", "`hirules-test: 1` and `tests`")
        if root is None:
            return []
        source.keys(root, "a file of tests", _FILE_KEYS, ("hirules-test", "tests"))
        version = root.get("hirules-test")
        if version is not None and not (isinstance(version, ScalarNode) and version.text == "1" and version.plain):
            source.error(version, "version", "this version of the language is not known", expected="`hirules-test: 1`")
        if (now := root.get("now")) is not None:
            self._now = moment(source, now)
        self._read_fixtures(root.get("fixtures"))
        return [case for test in self._tests(root.get("tests")) for case in self._test(test)]

    def _read_fixtures(self, node: Node | None) -> None:
        mapping = None if node is None else self._source.mapping(node, "`fixtures`", "parts of requests by name")
        for key, (_, value) in (mapping.entries if mapping is not None else {}).items():
            part = self._part(value, f"the fixture `{key}`")
            if part is None:
                self._unusable.add(key)
            else:
                self._fixtures[key] = part

    def _part(self, node: Node, what: str) -> Part | None:
        mapping = self._source.mapping(node, what, f"a mapping with {listed(PART_KEYS)}, or `{{file: record.json}}`")
        if mapping is None:
            return None
        if not mapping.entries:
            self._source.error(mapping, "empty", f"{what} is empty", expected=listed(PART_KEYS), length=2)
        if "file" not in mapping.entries:
            self._source.keys(mapping, what, PART_KEYS)
        return part_of(self._source, mapping, self._reader.files, PART_KEYS)

    def _tests(self, node: Node | None) -> list[MappingNode]:
        if node is None:
            return []
        if isinstance(node, SequenceNode) and not node.items:
            self._source.error(node, "no-test", "the file holds no test", expected="at least one test", length=2)
            return []
        items = self._source.sequence(node, "`tests`", "a list of tests") or ()
        return [mapping for item in items if (mapping := self._source.mapping(item, "a test")) is not None]

    def _test(self, node: MappingNode) -> list[Case]:
        self._source.keys(node, "a test", _TEST_KEYS, ("name",))
        outer = self._inherited(node, _Outer(), self._name(node))
        rows = node.get("cases")
        if rows is None:
            return self._case(node, outer)
        items = self._source.sequence(rows, "`cases`", "a list of rows, each a test") or ()
        cases: list[Case] = []
        for number, item in enumerate(items, 1):
            row = self._source.mapping(item, "a row of `cases`")
            if row is not None:
                self._source.keys(row, "a row of `cases`", _CASE_KEYS)
                own = self._name(row) if "name" in row.entries else str(number)
                cases += self._case(row, self._inherited(row, outer, f"{outer.name} [{own}]"))
        return cases

    def _name(self, node: MappingNode) -> str:
        name = node.get("name")
        scalar = None if name is None else self._source.scalar(name, "the name of a test", "what is tested, in words")
        if scalar is not None and not scalar.text.strip():
            self._source.error(scalar, "empty", "the name of a test is empty", expected="what is tested, in words")
        return "" if scalar is None else " ".join(scalar.text.split())

    def _inherited(self, node: MappingNode, outer: _Outer, name: str) -> _Outer:
        """What ``node``, a test or a row, adds to ``outer``."""
        own_keys = {key: node.entries[key] for key in PART_KEYS if key in node.entries}
        own = part_of(self._source, msgspec.structs.replace(node, entries=own_keys), self._reader.files, PART_KEYS)
        now, expect = node.get("now"), node.get("expect")
        expected = None if expect is None else self._source.mapping(expect, "`expect`", "what must be decided, `{decision: deny}`")
        return _Outer(
            name,
            self._action(node) or outer.on,
            (*outer.parts, *self._given(node.get("given")), *([own] if own.values else [])),
            outer.now if now is None else moment(self._source, now),
            outer.expect if expected is None else (*outer.expect, expected),
        )

    def _action(self, node: MappingNode) -> str:
        on = node.get("on")
        scalar = None if on is None else self._source.scalar(on, "`on`", "the action of the request")
        if scalar is None or scalar.text in self._reader.policies.vocabulary.actions:
            return "" if scalar is None else scalar.text
        actions = self._reader.policies.vocabulary.actions
        hint = "a group stands for several actions, a request has one" if scalar.text in GROUPS else did_you_mean(scalar.text, actions)
        self._source.error(scalar, "unknown-action", f"`{scalar.text}` is no action", expected=listed(actions), hint=hint)
        return "?"

    def _given(self, node: Node | None) -> list[Part]:
        items = node.items if isinstance(node, SequenceNode) else () if node is None else (node,)
        parts: list[Part] = []
        for item in items:
            if not isinstance(item, ScalarNode):
                part = self._part(item, "a part of `given`")
            elif (part := self._fixtures.get(item.text)) is None and item.text not in self._unusable:
                hint = did_you_mean(item.text, self._fixtures)
                expected = listed(self._fixtures) if self._fixtures else "a name under `fixtures`"
                self._source.error(item, "unknown-fixture", f"there is no fixture `{item.text}`", expected=expected, hint=hint)
            if part is not None:
                parts.append(part)
        return parts

    def _case(self, node: MappingNode, given: _Outer) -> list[Case]:
        """The test that ``node`` is with what it inherits; none after a finding."""
        before = len(self._source.findings)
        self._require(node, given)
        if given.on in ("", "?"):
            return []
        for part in given.parts:
            if part.action and part.action != given.on:
                self._source.error(part.node, "choice", f"the record is of `{part.action}`, and the test of `{given.on}`", expected=f"`on: {part.action}`")
            else:
                self._names.check(self._source, part, given.on)
        fields: dict[str, object] = {}
        for expect in given.expect:
            fields.update(self._expected(expect, given.on))
        request = request_of(given.on, merged(given.parts))
        now = self._moment(node, given, request)
        if len(self._source.findings) > before or now is None:
            return []
        if paths := self._reader.ambiguous(request):
            self._source.error(node, "two-readings", f"`{paths[0]}` can be read in two ways, and the request is refused before any rule")
            return []
        name_node = node.entries["name"][1] if "name" in node.entries else node
        position = Position(self._source.file, name_node.line, name_node.column)
        context = {**request.context, "now": now}
        return [Case(given.name, position, msgspec.structs.replace(request, context=context), now, expected_of(fields))]

    def _require(self, node: MappingNode, given: _Outer) -> None:
        """Findings for what a test must have, from its row or its test."""
        if not given.on:
            self._source.error(node, "missing-key", "the test has no `on`", expected="the action of the request, `on: c-move`")
        if not any("decision" in expect.entries for expect in given.expect):
            self._source.error(node, "missing-key", "the test expects no decision", expected="`expect: {decision: allow}` or `deny`")
        first = self._taken.setdefault(given.name, node.line)
        if first != node.line and given.name:
            self._source.error(
                node, "duplicate-test", f"a test `{given.name}` exists already", expected="another name", hint=f"the first one is on line {first}"
            )

    def _expected(self, node: MappingNode, action: str) -> dict[str, object]:
        key = (id(node), action)
        if key not in self._expectations:
            self._expectations[key] = expected_fields(self._source, node, action, self._reader.ids, self._reader.policies)
        return self._expectations[key]

    def _moment(self, node: MappingNode, given: _Outer, request: Request) -> datetime | None:
        """The time of the request: that of the test, of a captured record, of the file."""
        told = request.context.get("now")
        now = given.now if given.now is not None else told if isinstance(told, datetime) else self._now
        if now is None and (rule := self._reader.clocks.get(given.on)) is not None:
            message = f"the test gives no time, and `{rule}` depends on it"
            self._source.error(node, "missing-key", message, expected="`now: 2026-03-02T10:00:00+01:00`, of the test or of the file")
            return None
        return now if now is not None else UNREAD


__all__ = ["UNREAD", "Reader"]
