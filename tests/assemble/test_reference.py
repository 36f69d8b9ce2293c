"""The reference pages are those that the tables give, and name everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from hirules.assemble.language import read_language
from hirules.assemble.reference import main, pages
from hirules.model.status import STATUSES
from hirules.policy.findings import CODES
from hirules.settings import Settings
from tests.test_documentation import ROOT

LANGUAGE = read_language(Settings())
PAGES = pages(LANGUAGE)
FOLDER = ROOT / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_page_is_this_one(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name], "run `make reference`"


def test_there_is_no_other_page() -> None:
    assert {path.name for path in FOLDER.iterdir()} == PAGES.keys()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("actions.md", [*LANGUAGE.vocabulary.actions, *LANGUAGE.vocabulary.groups]),
        ("attributes.md", list(LANGUAGE.vocabulary.attributes)),
        ("operators.md", list(LANGUAGE.operators)),
        ("edits.md", list(LANGUAGE.edits)),
        ("statuses.md", [action for action in STATUSES if action in LANGUAGE.vocabulary.actions]),
        ("findings.md", list(CODES)),
        ("keys.md", ["hirules", "approved_by", "combining", "cases", "resource_after", "on_unknown", "sample", "respond"]),
    ],
)
def test_a_page_names_everything_of_its_kind(name: str, expected: list[str]) -> None:
    assert [one for one in expected if f"`{one}`" not in PAGES[name]] == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_rows_of_a_table_have_as_many_cells_as_its_head(name: str) -> None:
    for table in PAGES[name].split("\n\n"):
        widths = {line.replace("\\|", "").count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(widths) <= 1, table


def test_a_service_whose_actions_all_have_an_attribute_is_named_once() -> None:
    rows = {row.split("`")[1]: row for row in PAGES["attributes.md"].splitlines() if row.startswith("| `")}
    assert rows["subject.user"].endswith("| all |")
    assert "all of HealthImaging" in rows["request.datastoreId"]
    assert "`c-get`" in rows["request.Identifier.<Keyword>"]


def test_the_pages_are_written(tmp_path: Path) -> None:
    main(tmp_path / "new")
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()} == PAGES
