"""docs/lint.md: every finding has a section whose first policy has it, and whose second one has no finding."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hirules.policy.findings import CODES, SILENCEABLE
from tests.policy.lint.test_golden import found

PAGE = (Path(__file__).parents[3] / "docs" / "lint.md").read_text(encoding="utf-8")
SECTIONS = {match[1]: match[2] for match in re.finditer(r"^### `([a-z-]+)`\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)}
FILES = {"data/vip.csv": "patient_id\n"}


def policies(text: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_every_finding_has_its_section() -> None:
    assert set(SECTIONS) == SILENCEABLE | {"unused-silence"}
    assert set(CODES) >= set(SECTIONS)


@pytest.mark.parametrize("code", sorted(SILENCEABLE - {"not-compared"}))
def test_the_first_policy_has_the_finding_and_the_second_has_none(code: str) -> None:
    wrong, right = policies(SECTIONS[code])
    assert [one.code for one in found(wrong, FILES if "file:" in wrong else None)] == [code]
    assert found(right) == ()


def test_the_silence_of_the_page_silences() -> None:
    (silenced,) = policies(PAGE.split("## Silencing a finding")[1].split("\n## ")[0])
    assert found(silenced) == ()
    assert [one.code for one in found(re.sub(r"    lint:.*\n", "", silenced))] == ["always"]
