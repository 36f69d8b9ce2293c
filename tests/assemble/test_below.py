"""Which sets a path stands for, and to which set a file belongs."""

from __future__ import annotations

from pathlib import Path

import pytest

from hirules.assemble.below import set_of, sets_below
from tests.assemble.test_suites import POLICY, TEST, write


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"set_yaml": "hirules-set: 1\n", "p_yaml": POLICY}, "."),
        ({"p_yaml": POLICY}, "."),
        ({"a__set_yaml": "hirules-set: 1\n", "a__p_yaml": POLICY}, "a"),
        ({"p_yaml": "services: {}\n", "a__set_yaml": "hirules-set: 1\n", "a__b__set_yaml": "hirules-set: 1\n"}, "a"),
    ],
)
def test_the_sets_below_a_folder(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    assert sets_below(write(tmp_path, **files)) == (tmp_path / expected,)


def test_a_folder_of_several_sets(tmp_path: Path) -> None:
    write(tmp_path, a__set_yaml="hirules-set: 1\n", b__set_yaml="hirules-set: 1\n")
    assert sets_below(tmp_path) == (tmp_path / "a", tmp_path / "b")


def test_a_folder_without_policies_is_no_set(tmp_path: Path) -> None:
    assert sets_below(write(tmp_path, t__x_test_yaml=TEST)) == ()


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"p_yaml": POLICY, "t__x_test_yaml": TEST}, "."),
        ({"set_yaml": "hirules-set: 1\n", "t__q_yaml": POLICY, "t__x_test_yaml": TEST}, "."),
        ({"p_yaml": POLICY, "t__q_yaml": POLICY, "t__x_test_yaml": TEST}, "t"),
        ({"docker-compose_yaml": "services: {}\n", "t__x_test_yaml": TEST}, "t"),
    ],
)
def test_the_set_of_a_file_of_tests(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    write(tmp_path, **files)
    assert set_of(tmp_path / "t" / "x_test.yaml") == tmp_path / expected
