"""The page on testing policies: its example is tested as it stands there, and its tables are those of the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hirules.assemble.suites import read_tests
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.schema_tests import policy_test_schema
from tests.policy.test_suite_parts import RECORD, STUDY
from tests.test_documentation import HIRULES, ROOT, blocks

PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
POLICY, TESTS, CAPTURED = blocks(PAGE, "yaml")
COVERAGE, FAILURE = blocks(PAGE, "text")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader has who copied the example."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "moves.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "policies" / "moves_test.yaml").write_text(TESTS, encoding="utf-8")
    return tmp_path


def shell(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Runs a command of the page as it stands there."""
    path = f"{HIRULES.parent}:/usr/bin:/bin"
    return subprocess.run(["sh", "-c", command], cwd=folder, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=60)


def test_every_command_of_the_page_runs(folder: Path) -> None:
    commands = [line for block in blocks(PAGE, "sh") for line in block.splitlines()]
    assert len(commands) == 7
    for command in commands:
        done = shell(folder, command)
        assert done.returncode == 0, command + done.stdout + done.stderr
    assert (folder / "results.xml").is_file()


def test_the_coverage_is_what_the_page_shows(folder: Path) -> None:
    assert shell(folder, "hirules test policies --coverage").stdout == COVERAGE


def test_the_failure_is_what_the_page_shows(folder: Path) -> None:
    tests = folder / "policies" / "moves_test.yaml"
    tests.write_text(TESTS.replace("NOWHERE}}", "PACS_DR}}"), encoding="utf-8")
    done = shell(folder, "hirules test policies")
    assert done.returncode == 1
    assert done.stdout.startswith(FAILURE)


def test_the_captured_request_is_refused(folder: Path) -> None:
    (folder / "policies" / "moves_test.yaml").write_text(CAPTURED, encoding="utf-8")
    record = json.loads(RECORD)
    record["request"]["MoveDestination"] = "NOWHERE"
    (folder / "policies" / "incident.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "policies" / "study.json").write_bytes(STUDY)
    tested = read_tests(folder / "policies")
    assert not tested.findings
    assert tested.runner(coverage=False).run(tested.suites[0].cases[0]).passed


def test_the_tables_of_the_page_are_those_of_the_schema() -> None:
    definitions = policy_test_schema(VOCABULARY)["$defs"]
    tests, expectations = (set(re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)) for table in PAGE.split("## What a test says")[1].split("\n\n")[1:4:2])
    assert {name for cell in tests for name in re.findall(r"`(\w+)`", cell)} == set(definitions["test"]["properties"])
    assert {name for cell in expectations for name in re.findall(r"`(\w+)`", cell)} == set(definitions["expect"]["properties"])


def test_the_program_of_the_page_passes(folder: Path) -> None:
    (program,) = blocks(PAGE, "python")
    (folder / "test_moves.py").write_text(program, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(folder), "test_moves.py"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
