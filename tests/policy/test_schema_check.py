"""Whatever the compiler accepts, the schema accepts: the loader reports `schema` only where they have drifted apart."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from hirules.policy import load_set
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode, parse
from hirules.policy.edits import EDITS
from hirules.policy.operators import OPERATORS
from tests.policy.loading import marked, only

FILES = {"a.csv": b"ae_title,peer\nRES_1,PACS\n", "l.txt": b"x\n"}
RULES = [
    *(f"{{id: r, on: {on}, when: {{{operator.example}}}, deny: {{reason: a, status: {{{on}: 0x0110}}, respond: no-match, offending: request.MessageID}}}}"
      for on in ("c-find", "c-move", "n-get") for operator in OPERATORS.values()),
    *(f"{{id: r, on: {on}, unless: {{subject.user: x}}, on_unknown: deny, rewrite: [{edit.example}]}}"
      for on in ("c-find", "c-move", "n-get", "update-image-set-metadata") for edit in EDITS.values()),
    "{id: r, on: [c-move], title: T, description: D, references: [A], tags: B, severity: low, mode: off, "
    "valid: {from: 2026-01-01T00:00:00Z, until: 2027-01-01T00:00:00Z}, audit: {severity: low, note: N, include: [subject.user], sample: 5%}}",
    "{id: r, on: associate, when: {any: [{not: {subject.user: x}}, {all: [{context.now: {weekday: [mon], tz: UTC}}]}]}, "
    "deny: {status: {result: 1, source: 1, reason: 1}}}",
    "{id: r, on: query, when: {subject.user: {in: [a, 1, {path: subject.stated_user}, $names]}}, allow: {}}",
]  # fmt: skip
HEAD = (
    "hirules: 1\npolicy: p\ntitle: T\nowner: O\nreferences: [A]\n"
    "lists: {agreements: {file: a.csv, column: ae_title, share: false}, names: [a, 2], rows: [{a: 1}]}\n"
    "exceptions: [{id: e, of: [r], when: {subject.user: y}, reason: R, approved_by: B, expires: 2026-12-31T23:59:59Z, title: T, references: A}]\n"
)
OTHER_TEXTS = st.sampled_from(
    ["1", "'1'", "01", "0x10", "1.5", "1e5", "true", "'true'", "yes", "a", "'a'", "A_1", "a-b", "2026-01-01", "20:00",
     "5%", "$names", "$$a", "90d", "-3d", "0", "mon",
     "subject.user", "{path: subject.user}", "{today: 0}", "[a]", "[1, true]", "{}", "[]", "c-move", "1.2.840.10008.1.1", "2026-01-01T00:00:00Z",
     "''", "low", "RES_*"]
)  # fmt: skip


def texts(node: Node) -> list[ScalarNode]:
    """Every scalar of a document, keys among them."""
    if isinstance(node, ScalarNode):
        return [node]
    if isinstance(node, SequenceNode):
        return [found for item in node.items for found in texts(item)]
    return [found for key, value in node.entries.values() for found in (key, *texts(value))]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid policy in which up to three scalars have become something else."""
    source = HEAD + f"rules:\n  - {draw(st.sampled_from(RULES))}\n"
    for _ in range(draw(st.integers(0, 3))):
        root = parse("p.yaml", source.encode()).root
        if not isinstance(root, MappingNode):
            break
        lines = source.split("\n")
        target = draw(st.sampled_from(texts(root)))
        line = lines[target.line - 1]
        lines[target.line - 1] = line[: target.column - 1] + draw(OTHER_TEXTS) + line[target.column - 1 + target.length :]
        source = "\n".join(lines)
    return source.encode()


@settings(max_examples=400, deadline=None)
@given(mutated())
def test_what_the_compiler_accepts_the_schema_accepts(data: bytes) -> None:
    found = load_set({"p.yaml": data, **FILES})
    assert [one.message for one in found.findings if one.code == "schema"] == []


def test_the_policies_that_are_mutated_load() -> None:
    loaded = [load_set({"p.yaml": f"{HEAD}rules:\n  - {rule}\n".encode(), **FILES}) for rule in RULES]
    assert sum(one.set is not None for one in loaded) >= len(OPERATORS) + len(EDITS) + 1


def test_a_drift_is_reported_where_it_is() -> None:
    narrow = {**OPERATORS, "equals": msgspec.structs.replace(OPERATORS["equals"], schema={"type": "string", "pattern": "^a"})}
    text = b"hirules: 1\npolicy: p\nrules:\n  - {id: r, on: c-move, when: {subject.user: {equals: b}}, deny: {}}\n"
    found = only(load_set({"p.yaml": text}, operators=narrow))
    assert (found.code, marked(found)) == ("schema", "b") or (found.code, found.line) == ("schema", 4)
