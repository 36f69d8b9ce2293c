"""The page on errors: each case of a decision is decided as it says, and its table names the cases."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import hirules
from hirules.cli import main
from tests.test_documentation import ROOT, blocks

PAGE = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
CASES = dict(re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


@pytest.mark.parametrize("title", CASES)
def test_the_case_is_decided_as_the_page_says(title: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policy,), (request,), (shown,) = (blocks(CASES[title], kind) for kind in ("yaml", "json request", "json decision"))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "p.yaml").write_text(policy, encoding="utf-8")
    (tmp_path / "request.json").write_text(request, encoding="utf-8")
    main(["decide", "--policies", str(tmp_path / "set"), str(tmp_path / "request.json")])
    found = json.loads(capsys.readouterr().out)
    expected = json.loads(shown)
    assert {name: found[name] for name in expected} == expected
    assert found["errors"], "something was unknown"


def test_the_table_names_the_cases() -> None:
    headings = [title.lower().replace(" ", "-") for title in CASES]
    assert re.findall(r"^\| \[[^\]]+\]\(#([^)]+)\)", PAGE, re.MULTILINE) == headings


POLICY = "hirules: 1\npolicy: p\nrules:\n  - {id: all, on: c-get, when: {subject.ae_title: WARD_1}, allow: {}}\n"


class Broken:
    """A plugin that raises."""

    @hirules.hookimpl
    def hirules_verdict(self, request: hirules.Request) -> hirules.Verdict | None:
        raise RuntimeError("broken")


@pytest.mark.parametrize(("broken", "by"), [(False, ("p/all",)), (True, ("plugin:Broken",))])
def test_a_plugin_that_raises_refuses(broken: bool, by: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    decision = hirules.load(tmp_path, plugins=[Broken()] if broken else ()).check(hirules.Request("c-get", {"ae_title": "WARD_1"}))
    assert (decision.allowed, decision.by) == (not broken, by)


def test_what_cannot_be_recorded_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    assert not hirules.load(tmp_path, audit="/dev/full").check(hirules.Request("c-get", {"ae_title": "WARD_1"})).allowed


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (POLICY, 0),
        (POLICY.replace("allow", "alow"), 1),
        (POLICY.replace("\nrules:", "\nlists: {l: {file: l.txt}}\nrules:").replace("WARD_1", "{in: $l}"), 0),
    ],
)
def test_check_fails_on_errors_and_not_on_warnings(policy: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(policy, encoding="utf-8")
    (tmp_path / "l.txt").write_text("", encoding="utf-8")
    assert main(["check", str(tmp_path)]) == code


def test_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    assert main(["check", str(tmp_path / "gone")]) == 1
