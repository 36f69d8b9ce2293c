"""Which folder is tested, and what keeps its tests from running."""

from __future__ import annotations

from pathlib import Path

from hirules.assemble.suites import read_tests
from hirules.hooks import hookimpl
from hirules.model.actions import Action
from hirules.model.request import Request
from hirules.policy.verdict import Verdict
from hirules.settings import Settings

POLICY = "hirules: 1\npolicy: p\nrules:\n  - {id: r, on: c-find, when: {subject.ae_title: A}, allow: {}}\n"
TEST = "hirules-test: 1\ntests:\n  - {name: t, on: c-find, subject: {ae_title: A}, expect: {decision: allow}}\n"


def write(folder: Path, **files: str) -> Path:
    """`a__b_yaml` is `a/b.yaml`."""
    for name, text in files.items():
        path = folder / (name.replace("__", "/").removesuffix("_yaml") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def test_a_set_with_its_tests(tmp_path: Path) -> None:
    tested = read_tests(write(tmp_path, p_yaml=POLICY, p_test_yaml=TEST, more__q_test_yaml=TEST))
    assert [suite.file for suite in tested.suites] == ["more/q_test.yaml", "p_test.yaml"]
    assert not tested.findings
    assert tested.runner(coverage=False).run(tested.suites[0].cases[0]).passed


def test_only_the_files_that_are_wanted(tmp_path: Path) -> None:
    write(tmp_path, p_yaml=POLICY, p_test_yaml=TEST, q_test_yaml="hirules-test: 2")
    tested = read_tests(tmp_path, only={"p_test.yaml"})
    assert [suite.file for suite in tested.suites] == ["p_test.yaml"]
    assert not tested.findings
    assert [found.file for found in read_tests(tmp_path).findings if found.is_error] == ["q_test.yaml"] * 2


def test_a_set_with_an_error_runs_no_test(tmp_path: Path) -> None:
    tested = read_tests(write(tmp_path, p_yaml=POLICY.replace("allow: {}", "alow: {}"), p_test_yaml=TEST))
    assert tested.policies is None
    assert any(found.is_error and found.file == "p.yaml" for found in tested.findings)


def test_a_set_without_tests(tmp_path: Path) -> None:
    assert [found.code for found in read_tests(write(tmp_path, p_yaml=POLICY)).findings] == ["no-test"]


def test_what_is_no_folder(tmp_path: Path) -> None:
    assert [found.code for found in read_tests(tmp_path / "none").findings] == ["unreadable"]


def test_a_plugin_that_is_not_there(tmp_path: Path) -> None:
    tested = read_tests(write(tmp_path, p_yaml=POLICY), settings=Settings(plugins=("nobody",)))
    assert (tested.policies, [found.code for found in tested.findings]) == (None, ["plugin"])


def test_what_a_set_requires(tmp_path: Path) -> None:
    tested = read_tests(write(tmp_path, p_yaml=POLICY, p_test_yaml=TEST, set_yaml="hirules-set: 1\nrequires: [nobody]\n"))
    assert (tested.policies, [found.code for found in tested.findings]) == (None, ["requirement"])


class Curfew:
    """A plugin with a verdict, an operator and an action."""

    @hookimpl
    def hirules_verdict(self, request: Request) -> Verdict | None:
        return Verdict(effect="deny", reason="closed") if request.context["now"].hour >= 20 else None  # type: ignore[attr-defined]

    @hookimpl
    def hirules_actions(self) -> list[Action]:
        return [Action("print", "added", "", "a film is about to be printed")]


def test_what_plugins_add(tmp_path: Path) -> None:
    tests = """hirules-test: 1
now: 2026-03-02T10:00:00+01:00
tests:
  - {name: day, on: print, subject: {ae_title: A}, expect: {decision: allow}}
  - {name: night, on: print, subject: {ae_title: A}, now: 2026-03-02T22:00:00+01:00, expect: {decision: deny, by: ["plugin:Curfew"], reason: closed}}
"""
    tested = read_tests(write(tmp_path, p_yaml=POLICY.replace("c-find", "print"), p_test_yaml=tests), plugins=[Curfew()])
    assert not tested.findings
    runner = tested.runner(coverage=True)
    assert [runner.run(case).differences for case in tested.suites[0].cases] == [(), ()]
