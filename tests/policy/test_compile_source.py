"""One file while it is compiled: where findings point, and the plain value of nodes."""

from __future__ import annotations

import pytest

from hirules.model.vocabulary import VOCABULARY
from hirules.policy.compile_source import Source, Tables, core_scalar, plain, walk
from hirules.policy.document import MappingNode, parse
from hirules.policy.edits import EDITS
from hirules.policy.operators import OPERATORS
from tests.policy.loading import marked


def source(text: str) -> Source:
    return Source(parse("f.yaml", text.encode()), Tables(VOCABULARY, OPERATORS, EDITS))


def value(found: Source) -> MappingNode:
    assert isinstance(found.document.root, MappingNode)
    return found.document.root


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("a: xx{y\n", "{y"),
        ("a: 'xx{y'\n", "{y'"),
        ('a: "xx{y"\n', '{y"'),
        ('a: "x\\x78{y"\n', '"x\\x78{y"'),
        ("a: 'x''{y'\n", "'x''{y'"),
        ("a: |\n  xx{y\n", "|"),
    ],
)
def test_an_offset_points_into_the_text_where_that_is_exact(text: str, at: str) -> None:
    found = source(text)
    node = value(found).get("a")
    assert node is not None
    found.error(node, "reason", "m", offset=2)
    assert marked(found.findings[0]) == at


def test_what_follows_from_a_finding_of_the_document_is_no_second_one() -> None:
    found = source("a: ~\n")
    node = value(found).get("a")
    assert node is not None
    found.error(node, "choice", "m")
    found.warn(node, "choice", "m")
    assert [one.code for one in found.findings] == ["null"]
    assert found.failed


def test_a_warning_is_no_failure() -> None:
    found = source("a: 1\n")
    found.warn(value(found), "always", "m")
    assert not found.failed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1), ("0x10", 16), ("0o17", 15), ("010", 10), ("-7", -7), ("1.5", 1.5), ("true", True), ("no", "no"), ("20:00", "20:00"),
        ("1e999", "1e999"), ("-", "-"), ("P1", "P1"), ("5%", "5%"), ("~", None), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_plain_scalars_are_as_the_core_schema_reads_them(text: str, expected: object) -> None:
    assert core_scalar(text) == expected
    assert type(core_scalar(text)) is type(expected)


def test_quoted_scalars_are_texts() -> None:
    found = source("a: '1'\nb: [1, {c: \"true\"}]\n")
    assert plain(value(found)) == {"a": "1", "b": [1, {"c": "true"}]}
    assert len(list(walk(value(found)))) == 6


def test_a_misspelt_required_key_is_named() -> None:
    found = source("polcy: x\n")
    found.keys(value(found), "a policy", ("policy",), ("policy",))
    assert [(one.code, one.hint) for one in found.findings] == [("unknown-key", "did you mean `policy`?"), ("missing-key", "`polcy` looks like it")]
