"""No false alarm: the policies that are shipped, and those of the pages that readers start from, have no finding at all."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest

from hirules.policy.lint import lint
from hirules.policy.load import load_set

ROOT = Path(__file__).parents[3]
NOW = datetime.fromisoformat("2026-11-21T00:00:00Z")
FOLDERS = [ROOT / "src" / "hirules" / "cli" / "demo_policies", ROOT / "src" / "hirules" / "cli" / "starter"]
FOLDERS += sorted({path.parent for path in (ROOT / "rules").rglob("*.yaml") if not path.name.endswith("_test.yaml")})
LISTS = {"data/agreements.csv": b"ae_title\nPACS_MAIN\n", "data/vip.csv": b"patient_id\nP1\n"}


def said(files: dict[str, bytes]) -> list[str]:
    loaded = load_set(files)
    assert loaded.set is not None, "\n".join(map(str, loaded.findings))
    return [str(one) for one in lint(loaded.set, files, NOW, found=loaded.findings)]


@pytest.mark.parametrize("folder", FOLDERS, ids=[str(folder.relative_to(ROOT)) for folder in FOLDERS])
def test_the_policies_that_are_shipped_have_no_finding(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert said(files) == []


@pytest.mark.parametrize("page", ["README.md", "docs/language.md"])
def test_the_policies_of_the_pages_have_no_finding(page: str) -> None:
    blocks = re.findall(r"^```yaml\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    policies = [block for block in blocks if "hirules: 1" in block]
    assert policies
    for policy in policies:
        assert said({"p.yaml": policy.encode(), **LISTS}) == []
