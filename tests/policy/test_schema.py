"""The published schemas: they are those that the tables give, and take whatever the compiler takes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hirules.model.vocabulary import VOCABULARY
from hirules.policy import load_set
from hirules.policy.compile_source import core_scalar, plain
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode, parse
from hirules.policy.edits import EDITS
from hirules.policy.operators import OPERATORS
from hirules.policy.schema import policy_schema, policy_set_schema, schemas, text, write

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "language.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_published_schema_is_this_one(name: str) -> None:
    published = ROOT / "schemas" / f"{name}.schema.json"
    assert published.read_text(encoding="utf-8") == text(schemas()[name]), (
        "run `python -c 'from pathlib import Path; from hirules.policy.schema import write; write(Path(\"schemas\"))'`"
    )


def test_the_writer_writes_what_is_published(tmp_path: Path) -> None:
    write(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.schema.json" for name in schemas()}


@pytest.mark.parametrize("name", sorted(schemas()))
def test_a_schema_is_one(name: str) -> None:
    schema = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)
    for reference in re.findall(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(schema)):
        assert reference in schema["$defs"]


@pytest.mark.parametrize("name", sorted(schemas()))
def test_every_field_says_what_it_is(name: str) -> None:
    undocumented = [path for path, field in _fields(schemas()[name]) if not {"description", "$ref", "title"} & field.keys()]
    assert undocumented == [] or name == "policy-test"


def _fields(schema: object, path: str = ""):  # type: ignore[no-untyped-def]
    if isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                for field, body in value.items():
                    # the fragments of operators and edits are their own
                    if "/matcher" not in path and "/edit" not in path:
                        yield f"{path}/{field}", body
            if key not in ("examples", "default", "enum", "const"):
                yield from _fields(value, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, item in enumerate(schema):
            yield from _fields(item, f"{path}/{number}")


def test_the_examples_of_the_language_satisfy_their_schemas() -> None:
    for block in BLOCKS:
        root = parse("x.yaml", block.encode()).root
        assert root is not None
        name = "policy-test" if "hirules-test" in block else "policy"
        jsonschema.Draft202012Validator(schemas()[name]).validate(plain(root))


def test_the_schema_knows_every_action_operator_edit_and_attribute() -> None:
    found = text(policy_schema(VOCABULARY, OPERATORS, EDITS))
    names = [*VOCABULARY.actions, *VOCABULARY.groups, *OPERATORS, *EDITS, *(name for name in VOCABULARY.attributes if "<" not in name)]
    assert [name for name in names if f'"{name}"' not in found] == []


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"hirules": 2, "policy": "p", "rules": []},
        {"hirules": 1, "policy": "P", "rules": [{"id": "r", "on": "c-move", "deny": {}}]},
        {"hirules": 1, "policy": "p", "rules": []},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move"}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "allow": {}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "when": {}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "when": {"nowhere": 1}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "when": {"subject.user": None}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "when": {"subject.user": {"eqals": 1}}}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "rewrite": [{"set": {"request.Priority": 1}, "remove": "x"}]}]},
        {"hirules": 1, "policy": "p", "rules": [{"id": "r", "on": "c-move", "deny": {}, "on_unknown": "skip"}]},
    ],
)
def test_the_schema_refuses_what_is_no_policy(document: object) -> None:
    assert not jsonschema.Draft202012Validator(schemas()["policy"]).is_valid(document)


def test_the_schema_of_a_set_refuses_what_is_none() -> None:
    validator = jsonschema.Draft202012Validator(policy_set_schema())
    assert validator.is_valid({"hirules-set": 1})
    for document in ({}, {"hirules-set": 2}, {"hirules-set": 1, "combining": "x"}, {"hirules-set": 1, "extra": 1}):
        assert not validator.is_valid(document)


@pytest.mark.parametrize(
    ("source", "value"),
    [("1", 1), ("0x10", 16), ("0o17", 15), ("010", 10), ("1.5", 1.5), ("true", True), ("no", "no"), ("20:00", "20:00"), ("1e999", "1e999"), ("-", "-"), ("P1", "P1"), ("5%", "5%")],
)
def test_plain_scalars_are_as_the_core_schema_reads_them(source: str, value: object) -> None:
    assert core_scalar(source) == value
    assert type(core_scalar(source)) is type(value)


# Whatever the compiler accepts, the schema accepts: the loader reports `schema` only where they have drifted apart.

FILES = {"a.csv": b"ae_title,peer\nRES_1,PACS\n", "l.txt": b"x\n"}
RULES = [
    *(f"{{id: r, on: {on}, when: {{{operator.example}}}, deny: {{reason: a, status: {{{on}: 0x0110}}, respond: no-match, offending: request.MessageID}}}}"
      for on in ("c-find", "c-move", "n-get") for operator in OPERATORS.values()),
    *(f"{{id: r, on: {on}, unless: {{subject.user: x}}, on_unknown: deny, rewrite: [{edit.example}]}}"
      for on in ("c-find", "c-move", "n-get", "update-image-set-metadata") for edit in EDITS.values()),
    "{id: r, on: [c-move], title: T, description: D, references: [A], tags: B, severity: low, mode: off, "
    "valid: {from: 2026-01-01T00:00:00Z, until: 2027-01-01T00:00:00Z}, audit: {severity: low, note: N, include: [subject.user], sample: 5%}}",
    "{id: r, on: associate, when: {any: [{not: {subject.user: x}}, {all: [{context.now: {weekday: [mon], tz: UTC}}]}]}, deny: {status: {result: 1, source: 1, reason: 1}}}",
    "{id: r, on: query, when: {subject.user: {in: [a, 1, {path: subject.stated_user}, $names]}}, allow: {}}",
]  # fmt: skip
HEAD = (
    "hirules: 1\npolicy: p\ntitle: T\nowner: O\nreferences: [A]\nlists: {agreements: {file: a.csv, column: ae_title, share: false}, names: [a, 2], rows: [{a: 1}]}\n"
    "exceptions: [{id: e, of: [r], when: {subject.user: y}, reason: R, approved_by: B, expires: 2026-12-31T23:59:59Z, title: T, references: A}]\n"
)
OTHER_TEXTS = st.sampled_from(
    ["1", "'1'", "01", "0x10", "1.5", "1e5", "true", "'true'", "yes", "a", "'a'", "A_1", "a-b", "2026-01-01", "20:00", "5%", "$names", "$$a", "90d", "-3d", "0", "mon",
     "subject.user", "{path: subject.user}", "{today: 0}", "[a]", "[1, true]", "{}", "[]", "c-move", "1.2.840.10008.1.1", "2026-01-01T00:00:00Z", "''", "low", "RES_*"]
)  # fmt: skip


def _texts(node: Node) -> list[ScalarNode]:
    """Every scalar of a document, keys among them."""
    if isinstance(node, ScalarNode):
        return [node]
    if isinstance(node, SequenceNode):
        return [found for item in node.items for found in _texts(item)]
    return [found for key, value in node.entries.values() for found in (key, *_texts(value))]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid policy in which up to three scalars have become something else."""
    source = HEAD + f"rules:\n  - {draw(st.sampled_from(RULES))}\n"
    for _ in range(draw(st.integers(0, 3))):
        root = parse("p.yaml", source.encode()).root
        if not isinstance(root, MappingNode):
            break
        lines = source.split("\n")
        target = draw(st.sampled_from(_texts(root)))
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


# Findings stand where the mistake is.

VALID = BLOCKS[0]
DATA = {"data/agreements.csv": b"ae_title\nRES_1\n", "data/vip.csv": b"patient_id\nP1\n"}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_defect_is_found_where_it_was_made(data: st.DataObject) -> None:
    root = parse("move.yaml", VALID.encode()).root
    assert root is not None
    target = data.draw(st.sampled_from(_texts(root)))
    defect, code = data.draw(st.sampled_from([("~", "null"), ("!!str x", "tag"), ('"\\u202e"', "control-character"), ("*nothing", "recursive-alias"), ("[x]", None)]))
    lines = VALID.split("\n")
    line = lines[target.line - 1]
    lines[target.line - 1] = line[: target.column - 1] + f"{defect} " + line[target.column - 1 + target.length :]
    found = load_set({"move.yaml": "\n".join(lines).encode(), **DATA})
    at = [one.code for one in found.findings if (one.line, one.column) == (target.line, target.column)]
    if code is not None:
        assert code in at
    elif found.set is None:
        assert at or any(one.line == target.line and abs(one.column - target.column) <= 1 for one in found.findings)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_misspelt_key_is_found_where_it_stands(data: st.DataObject) -> None:
    root = parse("move.yaml", VALID.encode()).root
    assert root is not None
    keys = [key for key in _keys(root) if key.text not in ("clinical", "agreements", "vip")]
    target = data.draw(st.sampled_from(keys))
    lines = VALID.split("\n")
    line = lines[target.line - 1]
    lines[target.line - 1] = line[: target.column - 1] + "zz.y" + line[target.column - 1 + target.length :]
    found = load_set({"move.yaml": "\n".join(lines).encode(), **DATA})
    assert found.set is None
    assert (target.line, target.column) in [(one.line, one.column) for one in found.findings]


def _keys(node: Node) -> list[ScalarNode]:
    if isinstance(node, SequenceNode):
        return [found for item in node.items for found in _keys(item)]
    if isinstance(node, MappingNode):
        return [found for key, value in node.entries.values() for found in (key, *_keys(value))]
    return []
