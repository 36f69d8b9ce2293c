"""The layout as a reader sees it, and its laws: it says the same, keeps every comment, and is the layout of itself."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hirules.policy.document import parse
from hirules.policy.findings import PolicyError
from hirules.policy.layout import LayoutError, formatted
from hirules.policy.layout.comments import comments
from hirules.policy.layout.formatted import _said
from tests.laws.generated import policies

ROOT = Path(__file__).parents[3]


CASES = re.findall(r"^=== (.*?)\n(.*?)^--- becomes\n(.*?)(?=^=== |\Z)", (ROOT / "tests/cases/layout.txt").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("before", "after"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_layout(before: str, after: str) -> None:
    assert formatted("p.yaml", before.encode()).decode() == after
    assert formatted("p.yaml", after.encode()).decode() == after


def test_a_null_stays_one() -> None:
    assert formatted("p_test.yaml", b"hirules-test: 1\ntests: [{name: a,   resource: [{PatientID: null}]}]\n").endswith(b"{PatientID: null}]}]\n")


def test_line_ends_of_windows_and_no_end_of_the_last_line() -> None:
    assert formatted("set.yaml", b"hirules-set: 1\r\n# c\r\ntitle: t") == b"hirules-set: 1\n# c\ntitle: t\n"


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2\n", "a: \u202e\n", "- a\n", "", "a: !!str b\n"])
def test_what_is_no_policy_is_told(text: str) -> None:
    with pytest.raises((PolicyError, LayoutError)):
        formatted("p.yaml", text.encode())


def _with_comments(text: str, draw: random.Random) -> str:
    lines = []
    for line in text.splitlines():
        while draw.random() < 0.2:
            lines.append(" " * draw.randrange(9) + draw.choice(["# a comment", "#", "", "# with: colon # and more"]))
        lines.append(line + ("   # beside" if draw.random() < 0.2 else ""))
    return "\n".join(lines) + draw.choice(["", "\n", "\n\n", "\n# end\n"])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(policies(), st.integers(0, 1 << 30), st.sampled_from([None, False, True]), st.sampled_from([2, 4]))
def test_laws(found: Any, seed: int, flow: bool | None, indent: int) -> None:
    draw = random.Random(seed)
    for content in found.values():
        plain = yaml.safe_dump(content, default_flow_style=flow, indent=indent, width=draw.choice([60, 1000]), sort_keys=draw.random() < 0.5)
        text = _with_comments(plain, draw)
        if parse("p", text.encode()).findings:  # a comment inside a text of several lines
            continue
        after = formatted("p.yaml", text.encode())
        assert formatted("p.yaml", after) == after
        assert _said(parse("p", after).root) == _said(parse("p", text.encode()).root)
        kept = [sorted(each.text for each in comments(one) if each.text) for one in (text, after.decode())]
        assert kept[0] == kept[1]
