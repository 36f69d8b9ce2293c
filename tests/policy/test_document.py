"""Hostile and careless YAML: always findings with a position, never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hirules.policy.compile_source import plain
from hirules.policy.document import MAX_ALIASED, MAX_DEPTH, MappingNode, ScalarNode, SequenceNode, parse


def where(text: str | bytes) -> list[tuple[str, int, int]]:
    data = text if isinstance(text, bytes) else text.encode()
    return [(found.code, found.line, found.column) for found in parse("f.yaml", data).findings]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("a: [1\nb: 2\n", "yaml-syntax", 2, 2),
        ("a: b: c\n", "yaml-syntax", 1, 5),
        ("a: 'x\n", "yaml-syntax", 1, 4),
        ("a: 1\n\tb: 2\n", "yaml-syntax", 2, 1),
        ("a: @x\n", "yaml-syntax", 1, 4),
        ("%FOO bar\n---\na: 1\n", "yaml-syntax", 1, 5),
        ("a: 1\nb: 2\na: 3\n", "duplicate-key", 3, 1),
        ("{a: 1, 'a': 2}\n", "duplicate-key", 1, 8),
        ("a:\n", "null", 1, 3),
        ("a: ~\n", "null", 1, 4),
        ("a: [x, Null]\n", "null", 1, 8),
        ("~: 1\n", "null", 1, 1),
        ("{a:1}\n", "null", 1, 5),
        ("<<: {a: 1}\n", "merge-key", 1, 1),
        ("a: !!str 1\n", "tag", 1, 4),
        ("a: !own {b: 1}\n", "tag", 1, 4),
        ("a: ! x\n", "tag", 1, 4),
        ("a: 1\n---\nb: 2\n", "several-documents", 2, 1),
        ("%YAML 1.1\n---\na: 1\n", "version", 1, 1),
        ("a: &x [*x]\n", "recursive-alias", 1, 8),
        ("a: *nothing\n", "recursive-alias", 1, 4),
        ("? [a, b]\n: 1\n", "key-not-scalar", 1, 3),
        ("? {a: b}\n: 1\n", "key-not-scalar", 1, 3),
        ("a: x\x00y\n", "control-character", 1, 5),
        ("a: x\x1b[31m\n", "control-character", 1, 5),
        ("a: 1\nb: \u202ex\n", "control-character", 2, 4),
        ("a: 1\u2028b: 2\n", "control-character", 1, 5),
        ("a: 1\x85b: 2\n", "control-character", 1, 5),
        ("a: x\u200by\n", "control-character", 1, 5),
        ('a: "\\u202e"\n', "control-character", 1, 4),
        ('a: "\\x00"\n', "control-character", 1, 4),
        (b"a: 1\nb: \xff\n", "encoding", 2, 4),
        (b"a: \xed\xa0\x80\n", "encoding", 1, 4),
        ("a: 1\n".encode("utf-16"), "encoding", 1, 1),
    ],
)
def test_what_yaml_must_not_hold_is_found_in_its_place(text: str | bytes, code: str, line: int, column: int) -> None:
    assert where(text) == [(code, line, column)]


def test_nesting_has_an_end() -> None:
    assert where("[" * 2000) == [("too-large", 1, MAX_DEPTH + 1)]
    assert where("a: " + "{a: " * 2000)[0][0] == "too-large"
    assert where("a:\n" + "".join("  " * depth + "- \n" for depth in range(1, 3)))[0][0] == "null"


def test_an_alias_bomb_does_not_go_off() -> None:
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 12)]
    document = parse("f.yaml", ("l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(levels)).encode())
    (found,) = document.findings
    assert (found.code, document.root) == ("too-large", None)
    assert str(MAX_ALIASED) in found.message


def test_aliases_that_stay_small_are_the_value_they_name() -> None:
    document = parse("f.yaml", b"a: &x [1, {b: c}]\nb: *x\n*y : 1\n".replace(b"*y : 1\n", b""))
    assert not document.findings
    assert document.root is not None
    assert plain(document.root) == {"a": [1, {"b": "c"}], "b": [1, {"b": "c"}]}


def test_a_large_file_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hirules.policy.document.MAX_BYTES", 100)
    assert where("a: " + "x" * 98) == [("too-large", 1, 1)]
    assert where("a: " + "x" * 90) == []


def test_scalars_stay_source_text_and_know_their_place() -> None:
    document = parse("f.yaml", "\ufeffa: 00123\nä: 'it''s'\nc: [20:00, no, 1.20]\nd: |\n  text\n".encode())
    root = document.root
    assert isinstance(root, MappingNode)
    assert not document.findings
    assert root.get("a") == ScalarNode("00123", 1, 4, 5, plain=True)
    assert root.get("ä") == ScalarNode("it's", 2, 4, 7, plain=False)
    times = root.get("c")
    assert isinstance(times, SequenceNode)
    assert [item.text for item in times.items if isinstance(item, ScalarNode)] == ["20:00", "no", "1.20"]
    assert root.get("d") == ScalarNode("text\n", 4, 4, 1, plain=False)


def test_several_mistakes_are_found_at_once() -> None:
    assert where("a: ~\nb: !x 1\na: 2\nc: [a: ]\n") == [("null", 1, 4), ("tag", 2, 4), ("duplicate-key", 3, 1), ("null", 4, 8)]


def test_line_breaks_of_every_kind_count_once() -> None:
    assert where("a: 1\r\nb: 2\rc: ~\r\n") == [("null", 3, 4)]


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    document = parse("f.yaml", data)
    assert document.root is None or isinstance(document.root, ScalarNode | SequenceNode | MappingNode)
    for found in document.findings:
        assert found.line >= 1
        assert found.column >= 1
        str(found)


YAML_PIECES = st.sampled_from(
    ["a", "b", ": ", "- ", "[", "]", "{", "}", ", ", "\n", "\n  ", "&x ", "*x", "!!str ", "'", '"', "~", "<<", "---\n", "|", "#", "? ", "%", "\t"]
)


@given(st.lists(YAML_PIECES, max_size=40).map("".join))
def test_no_text_of_yaml_characters_raises(text: str) -> None:
    document = parse("f.yaml", text.encode())
    lines = max(1, len(document.lines))
    for found in document.findings:
        assert 1 <= found.line <= lines
        assert found.column >= 1
        str(found)
