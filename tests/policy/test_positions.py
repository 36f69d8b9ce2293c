"""Findings stand where the mistake is: defects are put at random places of the language's own example."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from hirules.policy import load_set
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode, parse
from tests.policy.test_schema_check import texts

BLOCKS = re.findall(r"```yaml\n(.*?)```", (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8"), re.DOTALL)
VALID = BLOCKS[0]
DATA = {"data/agreements.csv": b"ae_title\nRES_1\n", "data/vip.csv": b"patient_id\nP1\n"}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_defect_is_found_where_it_was_made(data: st.DataObject) -> None:
    root = parse("move.yaml", VALID.encode()).root
    assert root is not None
    target = data.draw(st.sampled_from(texts(root)))
    defect, code = data.draw(
        st.sampled_from([("~", "null"), ("!!str x", "tag"), ('"\\u202e"', "control-character"), ("*nothing", "recursive-alias"), ("[x]", None)])
    )
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
