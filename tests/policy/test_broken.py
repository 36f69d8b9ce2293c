"""A folder of mistakes, and everything that is said about it (tests/cases/broken.txt)."""

from __future__ import annotations

from pathlib import Path

from hirules.policy import load_set
from hirules.policy.findings import CODES, render

CASES = Path(__file__).parents[1] / "cases"
GOLDEN = CASES / "broken.txt"


def files() -> dict[str, bytes]:
    folder = CASES / "broken"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_mistake_is_found_at_once_with_its_place_and_a_hint() -> None:
    found = load_set(files())
    assert found.set is None
    assert render(found.findings) + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_the_folder_holds_many_kinds_of_mistakes() -> None:
    found = load_set(files()).findings
    kinds = {one.code for one in found}
    assert kinds <= set(CODES)
    assert len(kinds) >= 45
    assert all(one.expected or one.hint for one in found if one.code != "list-file")
    assert len({(one.file, one.line, one.column, one.message) for one in found}) == len(found)
