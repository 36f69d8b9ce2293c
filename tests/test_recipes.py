"""The recipes: each is fine, laid out, and tested throughout; the page shows them as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hirules.cli import main
from tests.test_documentation import ROOT, blocks

FOLDER = ROOT / "docs" / "recipes"
RECIPES = sorted(path for path in FOLDER.iterdir() if path.is_dir())
PAGE = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
NOW = "2026-11-21T12:00:00Z"


def policy(recipe: Path) -> str:
    """The policy of a recipe, without the line for editors."""
    return (recipe / f"{recipe.name}.yaml").read_text(encoding="utf-8").partition("\n")[2]


def test_no_recipe_has_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--now", NOW, str(FOLDER)]) == 0
    assert capsys.readouterr().out.strip() == "no findings"


def test_every_recipe_passes_its_tests_and_they_see_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "--fail-under", "100", str(FOLDER)]) == 0
    assert capsys.readouterr().out.count("coverage 100 %") >= len(RECIPES)


def test_every_recipe_is_laid_out() -> None:
    assert main(["fmt", "--check", str(FOLDER)]) == 0


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_the_page_shows_the_recipe_as_it_is(recipe: Path) -> None:
    assert policy(recipe) in blocks(PAGE, "yaml")
    assert f"(recipes/{recipe.name}/{recipe.name}.yaml)" in PAGE


def test_the_page_shows_nothing_else() -> None:
    assert len(blocks(PAGE, "yaml")) == len(RECIPES) == 29
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    assert len(sections) == len(RECIPES)
    assert all("**Trap:**" in section and "Use it" in section for section in sections)


def test_the_contents_of_the_page_are_its_headings() -> None:
    linked = re.findall(r"\]\(#([^)]+)\)", PAGE)
    headings = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^### (.*)$", PAGE, re.MULTILINE)]
    assert linked == headings
