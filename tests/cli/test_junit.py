"""JUnit XML: what the Jenkins plugin accepts, with every test and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest
import xmlschema

from hirules.cli import main
from hirules.cli.junit import junit
from hirules.cli.test_reports import Ran, Report
from hirules.model.decision import Decision
from hirules.policy.suite_run import Result
from tests.cli.suites import FAILING, write
from tests.policy.suites import case

SCHEMA = xmlschema.XMLSchema(Path(__file__).parent / "junit.xsd")


def written(folder: Path, *arguments: str) -> Element:
    """What the command writes, valid."""
    file = folder / "results.xml"
    main(["test", str(folder), "--junit", str(file), *arguments])
    SCHEMA.validate(file)
    return fromstring(file.read_bytes())


def test_tests_that_pass_and_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = written(write(tmp_path, bad=FAILING))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "1", "0")
    bad, good = root
    assert (bad.get("file"), bad.get("tests"), bad.get("failures")) == (f"{tmp_path}/bad_test.yaml", "1", "1")
    assert (good.get("tests"), good.get("failures")) == ("6", "0")
    (test,) = bad
    assert (test.get("name"), test.get("classname")) == ("100%, <&> or: none", f"{tmp_path}/bad_test.yaml")
    failure = test.find("failure")
    assert failure is not None
    assert failure.get("message") == "not as expected: decision, rewritten"
    lines = (failure.text or "").splitlines()
    assert lines[0] == f"{tmp_path}/bad_test.yaml:4:11"
    assert lines[2].split() == ["decision", "deny", "allow"]
    assert test.findtext("system-out") == f"{tmp_path}/bad_test.yaml:4:11"
    assert good[0].findtext("system-out") == f"{tmp_path}/p_test.yaml:10:9"
    assert capsys.readouterr().out


def test_mistakes_in_files_are_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = written(write(tmp_path, bad=FAILING.replace("c-move", "c-mve")))
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("7", "0", "1")
    (test,) = root[0]
    assert test.get("name") == "unknown-action: `c-mve` is no action"
    error = test.find("error")
    assert error is not None
    assert error.get("type") == "unknown-action"
    assert "did you mean `c-move`?" in (error.text or "")
    assert test.findtext("system-out") == f"{tmp_path}/bad_test.yaml:5:9"
    assert capsys.readouterr().out


def test_a_set_that_cannot_be_used_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path)
    (folder / "p.yaml").write_text("hirules: 2\npolicy: p\nrules: []\n", encoding="utf-8")
    root = written(folder)
    assert root.get("tests") == root.get("errors") != "0"
    assert capsys.readouterr().out


def test_a_fault_of_hirules_is_an_error_and_no_failure() -> None:
    one = case("on: c-find\nexpect: {decision: deny}")
    result = Result(one, Decision("deny", one.request), internal="the evaluators \x00 differ \ud800")
    data = junit([Report(Path("x"), (), (Ran("x_test.yaml", result, 1234.5),))])
    SCHEMA.validate(data.decode())
    (suite,) = fromstring(data)
    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")
    error = suite[0].find("error")
    assert error is not None
    assert error.get("message") == "the evaluators \N{REPLACEMENT CHARACTER} differ \N{REPLACEMENT CHARACTER}"
