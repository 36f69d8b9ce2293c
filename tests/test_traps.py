"""The traps: the wrong policy decides wrongly as the page says, `check` says of it what the page says, and the right policy has no finding."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hirules.assemble import check_set
from hirules.cli import main
from hirules.policy.findings import CODES
from hirules.policy.truth import kleene_all, kleene_any, kleene_not
from tests.test_documentation import ROOT, blocks

PAGE = (ROOT / "docs" / "traps.md").read_text(encoding="utf-8")
TRAPS = {title: text for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL) if "```" in text}
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def decided(folder: Path, policy: str, request: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The decision of a policy of the page."""
    folder.mkdir()
    (folder / "p.yaml").write_text(policy, encoding="utf-8")
    (folder.parent / "request.json").write_text(request, encoding="utf-8")
    main(["decide", "--policies", str(folder), str(folder.parent / "request.json")])
    found = json.loads(capsys.readouterr().out)
    return str(found["decision"])


@pytest.mark.parametrize("title", TRAPS)
def test_the_request_shows_it(title: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = TRAPS[title]
    wrong, right = blocks(text, "yaml")
    (request,) = blocks(text, "json")
    (said,) = re.findall(r"^Wrong: (allow|deny)\. Right: (allow|deny)\.$", text, re.MULTILINE)
    assert said[0] != said[1]
    assert decided(tmp_path / "wrong", wrong, request, capsys) == said[0]
    assert decided(tmp_path / "right", right, request, capsys) == said[1]


@pytest.mark.parametrize("title", TRAPS)
def test_check_says_what_the_page_says(title: str, tmp_path: Path) -> None:
    text = TRAPS[title]
    wrong, right = blocks(text, "yaml")
    said = re.findall(r"`check` says `([\w-]+)`", text)
    assert said or "`check` says nothing" in text or "says nothing" in text
    for name, policy, expected in (("wrong", wrong, set(said)), ("right", right, set())):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.yaml").write_text(policy, encoding="utf-8")
        assert {found.code for found in check_set(tmp_path / name, now=NOW)} == expected, name
    assert set(said) <= CODES.keys()


def test_every_trap_is_in_the_table() -> None:
    headings = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in TRAPS}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) == headings
    assert len(TRAPS) >= 12


def test_the_truth_table_is_that_of_the_evaluator() -> None:
    word = {"true": True, "false": False, "unknown": None}
    rows = re.findall(r"^\| (true|false|unknown) \| (true|false|unknown) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 6
    for a, b, negated, both, either in rows:
        assert kleene_not(word[a]) is word[negated]
        assert kleene_all([word[a], word[b]]) is word[both]
        assert kleene_any([word[a], word[b]]) is word[either]
