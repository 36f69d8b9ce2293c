"""`hirules test`: which tests run, and what the exit code says."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest

from hirules.cli import main
from tests.cli.suites import FAILING, TESTS, write


def test_a_set_whose_tests_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "policies")
    assert main(["test", str(folder)]) == 0
    assert capsys.readouterr().out == f"{folder}: 6 passed\n"
    assert gc.isenabled()


def test_the_folder_in_which_it_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(write(tmp_path / "policies"))
    assert main(["test", "-v"]) == 0
    out = capsys.readouterr().out
    assert "ok   p_test.yaml:10: a ward moves to the PACS [1]\n" in out
    assert out.endswith(".: 6 passed\n")


def test_a_test_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "policies", bad=FAILING)
    assert main(["test", str(folder)]) == 1
    out = capsys.readouterr().out
    assert f"FAIL {folder}/bad_test.yaml:4:11: 100%, <&> or: none" in out
    assert out.endswith(f"{folder}: 6 passed, 1 failed\n")


def test_a_mistake_in_a_file_of_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "policies", bad=FAILING.replace("on: c-move", "on: cmove"))
    assert main(["test", str(folder)]) == 1
    out = capsys.readouterr().out
    assert f"{folder}/bad_test.yaml:5:9: error[unknown-action]: `cmove` is no action" in out
    assert out.endswith(f"{folder}: 6 passed, 1 error in the files\n")


def test_a_set_with_an_error_is_not_tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "policies")
    (folder / "q.yaml").write_text("hirules: 1\npolicy: q\n", encoding="utf-8")
    assert main(["test", str(folder), "--fail-under", "0"]) == 1
    out = capsys.readouterr().out
    assert f"{folder}/q.yaml:1:1: error[missing-key]" in out
    assert out.endswith(f"{folder}: 0 passed, 1 error in the files\n")


def test_a_set_without_tests_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "policies")
    (folder / "p_test.yaml").unlink()
    assert main(["test", str(folder)]) == 1
    assert "error[no-test]: the set has no test" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["p_test.yaml", "policies/p_test.yaml"])
def test_one_file_of_tests(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "policies", bad=FAILING)
    monkeypatch.chdir(folder if "/" not in name else tmp_path)
    assert main(["test", name]) == 0
    assert capsys.readouterr().out.endswith(": 6 passed\n")


def test_a_folder_of_tests_inside_a_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "policies", bad=FAILING)
    (folder / "tests").mkdir()
    (folder / "p_test.yaml").rename(folder / "tests" / "p_test.yaml")
    assert main(["test", str(folder / "tests")]) == 0
    assert capsys.readouterr().out == f"{folder}: 6 passed\n"


def test_a_folder_inside_a_set_without_tests_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "policies")
    (folder / "data").mkdir()
    assert main(["test", str(folder / "data")]) == 1
    assert "error[no-test]: there is no test" in capsys.readouterr().out


def test_a_folder_of_sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("one", "two"):
        (write(tmp_path / name) / "set.yaml").write_text("hirules-set: 1\n", encoding="utf-8")
    assert main(["test", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/one: 6 passed\n{tmp_path}/two: 6 passed\n"


def test_a_set_that_is_named_twice_is_tested_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "policies", bad=FAILING)
    assert main(["test", str(folder / "p_test.yaml"), str(folder), str(folder / "p_test.yaml")]) == 1
    assert capsys.readouterr().out.endswith(f"{folder}: 6 passed, 1 failed\n")


@pytest.mark.parametrize(("pattern", "passed"), [("[by night]", 1), ("*[by*", 2), ("queries*", 3), ("a ward moves to the PACS [2]", 1)])
def test_only_some_tests(pattern: str, passed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if pattern == "*[by*":
        pattern = "* [[]by *"  # brackets mean a set of characters in a pattern
    folder = write(tmp_path / "policies")
    assert main(["test", str(folder), "--only", pattern]) == 0
    assert capsys.readouterr().out == f"{folder}: {passed} passed\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "nothing like it"], "no test has a name like `nothing like it`"),
        (["--only", "night", "--fail-under", "50"], "`--fail-under` is about all tests of a set"),
        (["none"], "there is no `none`"),
        (["--junit", "none/x.xml"], "`none/x.xml` cannot be written: no such file or directory"),
    ],
)
def test_a_wrong_command_line(arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(write(tmp_path / "policies"))
    assert main(["test", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"hirules test: {message}")


@pytest.mark.parametrize("number", ["101", "-1", "many"])
def test_a_percentage_is_one(number: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["test", str(tmp_path), f"--fail-under={number}"])
    assert raised.value.code == 2


@pytest.mark.parametrize(("number", "code"), [("100", 3), ("99", 3), ("90", 0), ("0", 0)])
def test_the_coverage_may_be_too_low(number: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the query of others, `wards` matches every one: 21 of 22 points."""
    text = TESTS.replace("      - {name: of others, subject: {ae_title: X}, expect: {decision: deny, by: []}}\n", "")
    folder = write(tmp_path / "policies", text)
    assert main(["test", str(folder), "--fail-under", number]) == code
    assert capsys.readouterr().out.endswith(f"coverage 90 % (18 of 20){f', below {number} %' if code else ''}\n")


def test_a_test_that_fails_says_more_than_the_coverage(tmp_path: Path) -> None:
    assert main(["test", str(write(tmp_path / "policies", bad=FAILING)), "--fail-under", "100"]) == 1


def test_full_coverage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(write(tmp_path / "policies")), "--fail-under", "100"]) == 0
    assert "not covered" not in capsys.readouterr().out


def test_junit_is_written_beside_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.xml"
    assert main(["test", str(write(tmp_path / "policies")), "--junit", str(file), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"] == 6
    assert file.read_text(encoding="utf-8").count("<testcase ") == 6


def test_plugins_take_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(write(tmp_path / "policies")), "--plugin", "nobody"]) == 1
    assert "error[plugin]: plugin `nobody` is not installed" in capsys.readouterr().out


def test_a_set_of_a_thousand_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each rule has its test; together they see all of it."""
    rules = "".join(f"  - {{id: r{number}, on: c-find, when: {{subject.ae_title: A{number}}}, allow: {{}}}}\n" for number in range(1000))
    rows = "".join(f"      - {{subject: {{ae_title: A{number}}}, expect: {{decision: allow, by: [p/r{number}]}}}}\n" for number in range(1000))
    (tmp_path / "p.yaml").write_text(f"hirules: 1\npolicy: p\nrules:\n{rules}", encoding="utf-8")
    (tmp_path / "p_test.yaml").write_text(f"hirules-test: 1\ntests:\n  - name: t\n    on: c-find\n    cases:\n{rows}", encoding="utf-8")
    assert main(["test", str(tmp_path), "--fail-under", "100"]) == 0
    assert capsys.readouterr().out.endswith("1000 passed, coverage 100 % (4000 of 4000)\n")
