from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

import hirules
from hirules import hookimpl
from hirules.assemble import apart
from hirules.assemble.apart import Job, NotChecked, checked, fingerprint, job
from hirules.assemble.language import Language, read_language
from hirules.model.actions import Action
from hirules.settings import Settings


class Added:
    """A plugin of this module: another process finds its class by name."""

    @hookimpl
    def hirules_actions(self) -> list[Action]:
        return [Action("print-film", "added", "", "a film is printed")]


@hookimpl
def hirules_actions() -> list[Action]:
    """This module is a plugin too."""
    return Added().hirules_actions()


POLICY = "hirules: 1\npolicy: p\nrules: [{id: r, on: print-film, when: {subject.ae_title: A}, allow: {}}]\n"
PLAIN = read_language(Settings())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    return tmp_path


def _check(job: Job, language: Language) -> tuple[apart.Outcome, object]:
    with checked(job, language, 60, lambda: None, lambda _: None) as (outcome, take):
        return outcome, take() if outcome.usable and outcome.digest != job.digest else None


def test_a_child_with_the_same_plugins_reads_the_set(folder: Path) -> None:
    language = read_language(Settings(), [Added()])
    outcome, policies = _check(job(folder, Settings(), [Added()], language, enforced=False), language)
    assert outcome.usable
    assert policies == hirules.load(folder, plugins=[Added()]).policies


def test_the_set_that_decides_is_not_handed_over_again(folder: Path) -> None:
    language = read_language(Settings(), [Added()])
    digest = hirules.load(folder, plugins=[Added()]).policies.digest
    outcome, policies = _check(replace(job(folder, Settings(), [Added()], language, enforced=False), digest=digest), language)
    assert outcome.usable
    assert policies is None


def test_another_language_than_that_of_the_start_is_not_taken(folder: Path) -> None:
    with pytest.raises(NotChecked, match="a restart takes it up"):
        _check(job(folder, Settings(), [Added()], PLAIN, enforced=False), PLAIN)
    assert fingerprint(read_language(Settings())) != fingerprint(read_language(Settings(), [Added()]))
    assert fingerprint(read_language(Settings())) == fingerprint(read_language(Settings()))


def test_a_plugin_that_is_not_installed_is_a_finding(folder: Path) -> None:
    outcome, _ = _check(Job(str(folder), ("nowhere",), "", ""), PLAIN)
    assert not outcome.usable
    assert [found.code for found in outcome.findings] == ["plugin"]


def test_what_fails_in_the_child_is_told_without_its_text(folder: Path) -> None:
    with pytest.raises(NotChecked, match="raised UnpicklingError at ") as raised:
        _check(Job(str(folder), (b"secret",), "", ""), PLAIN)
    assert "secret" not in str(raised.value)


def test_no_process_can_be_started(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(NotChecked, match="no process could be started: no such file"):
        _check(Job(str(folder), (), "", ""), PLAIN)


def test_a_plugin_that_no_other_process_can_have(folder: Path) -> None:
    class Local:
        """Pickle does not find it."""

        @hookimpl
        def hirules_actions(self) -> list[Action]:
            return []

    with pytest.raises(ValueError, match="install it, and name it"):
        job(folder, Settings(), [Local()], PLAIN, enforced=False)
    with pytest.raises(ValueError, match="install it, and name it"):
        hirules.load(folder, plugins=[Added(), Local()], reload=True)
    of_main = SimpleNamespace(module="__main__")
    with pytest.raises(ValueError, match="of `__main__`"):
        job(folder, Settings(), [of_main], PLAIN, enforced=False)


def test_a_module_is_a_plugin_by_its_name(folder: Path) -> None:
    module = sys.modules[__name__]
    language = read_language(Settings(), [module])
    outcome, policies = _check(job(folder, Settings(), [module], language, enforced=False), language)
    assert outcome.usable
    assert policies is not None
