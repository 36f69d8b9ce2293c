"""Real files, real threads, a real process for each check."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import hirules
from hirules import Attribute, Verdict, hookimpl
from hirules.assemble.apart import job
from hirules.assemble.changes import state
from hirules.assemble.gates import build
from hirules.assemble.language import read_language
from hirules.assemble.reload import Reloader
from hirules.gate import Gate, ReloadStatus
from hirules.model.decision import Decision
from hirules.model.reading import Reading
from hirules.model.scalars import Type
from hirules.policy.ast import Flag
from hirules.policy.operators import ArgumentKind, Operator
from hirules.policy.truth import Scope, Truth
from hirules.settings import Settings

POLICY = """hirules: 1
policy: p
lists: {clinical: {file: data/clinical.txt}}
rules:
  - {id: clinical, on: c-find, when: {subject.ae_title: {in: $clinical}}, allow: {}}
  - {id: ward, on: c-find, when: {subject.ae_title: WARD}, allow: {}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "policies"
    (made / "data").mkdir(parents=True)
    (made / "p.yaml").write_text(POLICY, encoding="utf-8")
    (made / "data" / "clinical.txt").write_text("PACS_1\n", encoding="utf-8")
    return made


@contextmanager
def reloading(folder: Path, *plugins: object, audit: Path | None = None, enforced: bool = False, watch: bool = True, seconds: float = 60) -> Iterator[Gate]:
    """A gate that looks often, and waits for quiet only shortly."""
    seen = state(folder)
    gate = build(folder, Settings(), audit=audit, plugins=plugins)
    language = read_language(Settings(), plugins)
    work = job(folder, Settings(), plugins, language, enforced=enforced)
    gate.reloader = Reloader(gate, language, work, seen, watch=watch, interval=0.05, settle=0.1, deadline=seconds).start()
    try:
        yield gate
    finally:
        gate.close()


def status_of(gate: Gate) -> ReloadStatus:
    assert gate.reloader is not None
    return gate.reloader.status


def until(gate: Gate, true: Callable[[ReloadStatus], object], seconds: float = 90) -> ReloadStatus:
    """Wait until it stands so."""
    last = time.monotonic() + seconds
    while not true(status_of(gate)):
        assert time.monotonic() < last, status_of(gate)
        time.sleep(0.02)
    return status_of(gate)


def find(gate: Gate, ae_title: str) -> Decision:
    return gate.check(hirules.Request("c-find", subject={"ae_title": ae_title}))


def test_edits_of_rules_and_lists_come_into_force_and_each_record_names_its_set(folder: Path, tmp_path: Path) -> None:
    with reloading(folder, audit=tmp_path / "audit.jsonl") as gate:
        first = gate.policies.digest
        assert not find(gate, "OTHER").allowed
        (folder / "p.yaml").write_text(POLICY.replace("WARD", "OTHER"), encoding="utf-8")
        status = until(gate, lambda status: status.digest != first)
        assert status.swapped is not None
        assert status.error is None
        assert find(gate, "OTHER").allowed
        assert not find(gate, "WARD").allowed
        assert find(gate, "PACS_1").allowed
        second = gate.policies.digest
        (folder / "data" / "clinical.txt").write_text("PACS_2\n", encoding="utf-8")
        until(gate, lambda status: status.digest not in (first, second))
        assert [find(gate, title).allowed for title in ("PACS_1", "PACS_2")] == [False, True]
        third = gate.policies.digest
    records = [json.loads(line)["policies"] for line in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    assert records == [first, second, second, second, third, third]


def test_a_broken_set_is_told_and_the_last_good_one_decides(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with reloading(folder) as gate, caplog.at_level(logging.ERROR, logger="hirules.assemble.reload"):
        good = gate.policies.digest
        (folder / "p.yaml").write_text(POLICY.replace("allow", "alow").replace("c-find", "c-fnd"), encoding="utf-8")
        status = until(gate, lambda status: status.error is not None)
        assert status.digest == good
        assert status.swapped is None
        assert status.error is not None
        assert "p.yaml:5:" in status.error
        assert {found.code for found in status.findings} >= {"unknown-action", "unknown-key"}
        for found in status.findings:
            assert f"p.yaml:{found.line}:{found.column}: error[{found.code}]" in caplog.text
        assert f"{good} keeps deciding" in caplog.text
        assert find(gate, "WARD").allowed
        (folder / "p.yaml").write_text(POLICY, encoding="utf-8")
        assert until(gate, lambda status: status.error is None).digest == good
        (folder / "data" / "clinical.txt").unlink()
        assert "data/clinical.txt" in (until(gate, lambda status: status.error is not None).error or "")
        assert find(gate, "PACS_1").allowed


def test_by_rename_and_by_a_folder_that_comes_back(folder: Path) -> None:
    with reloading(folder) as gate:
        (folder / "p.yaml.new").write_text(POLICY.replace("WARD", "RENAMED"), encoding="utf-8")
        (folder / "p.yaml.new").replace(folder / "p.yaml")
        until(gate, lambda status: status.swapped is not None)
        assert find(gate, "RENAMED").allowed
        digest = gate.policies.digest
        shutil.copytree(folder, folder.with_name("next"))
        shutil.rmtree(folder)
        assert "is no folder" in (until(gate, lambda status: status.error is not None).error or "")
        assert find(gate, "RENAMED").allowed
        (folder.with_name("next") / "q.yaml").write_text("hirules: 1\npolicy: q\nrules: [{id: r, on: c-find, when: {subject.ae_title: NEXT}, allow: {}}]\n")
        folder.with_name("next").rename(folder)
        until(gate, lambda status: status.digest != digest)
        assert find(gate, "NEXT").allowed


def test_a_mounted_config_map(tmp_path: Path) -> None:
    for version, title in (("1", "WARD"), ("2", "NEXT")):
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "p.yaml").write_text(
            f"hirules: 1\npolicy: p\nrules: [{{id: r, on: c-find, when: {{subject.ae_title: {title}}}, allow: {{}}}}]\n", encoding="utf-8"
        )
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "p.yaml").symlink_to("..data/p.yaml")
    with reloading(tmp_path) as gate:
        assert find(gate, "WARD").allowed
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").replace(tmp_path / "..data")
        until(gate, lambda status: status.swapped is not None)
        assert find(gate, "NEXT").allowed


def test_only_when_asked(folder: Path) -> None:
    with reloading(folder, watch=False) as gate:
        assert gate.reloader is not None
        (folder / "p.yaml").write_text(POLICY.replace("WARD", "OTHER"), encoding="utf-8")
        time.sleep(0.5)
        assert status_of(gate).checks == 0
        gate.reloader.check()
        until(gate, lambda status: status.swapped is not None)
        assert find(gate, "OTHER").allowed
        gate.reloader.check()
        until(gate, lambda status: status.checks == 2)


def test_what_a_gateway_cannot_enforce_is_a_broken_set(folder: Path) -> None:
    with reloading(folder, enforced=True) as gate:
        (folder / "q.yaml").write_text("hirules: 1\npolicy: q\nrules: [{id: r, on: n-create, when: {resource.PatientID: P}, deny: {}}]\n", encoding="utf-8")
        assert "cannot enforce `q/r`" in (until(gate, lambda status: status.error is not None).error or "")
        assert [found.code for found in status_of(gate).findings if found.is_error] == ["not-enforceable"]


class Waiting:
    """A plugin that has no verdict before it is told."""

    begun, told = threading.Event(), threading.Event()

    @hookimpl
    def hirules_verdict(self, request: hirules.Request) -> Verdict | None:
        if request.subject.get("ae_title") == "WAITS":
            self.begun.set()
            self.told.wait(120)
        return None


def test_a_decision_that_is_under_way_keeps_its_edition_and_the_edition_is_taken_apart_after_it(folder: Path) -> None:
    (folder / "p.yaml").write_text(POLICY.replace("WARD", "WAITS"), encoding="utf-8")
    decisions: list[Decision] = []
    with reloading(folder, Waiting()) as gate:
        first, index = gate.policies.digest, weakref.ref(gate._edition.index)
        thread = threading.Thread(target=lambda: decisions.append(find(gate, "WAITS")))
        thread.start()
        assert Waiting.begun.wait(60)
        (folder / "p.yaml").write_text(POLICY, encoding="utf-8")
        until(gate, lambda status: status.swapped is not None)
        assert not find(gate, "OTHER").allowed
        time.sleep(0.3)
        assert index() is not None
        Waiting.told.set()
        thread.join(60)
        assert decisions[0].allowed
        assert decisions[0].policies == first
        gc.disable()  # its cycles are undone, not left to the collector
        try:
            last = time.monotonic() + 60
            while index() is not None:
                assert time.monotonic() < last
                time.sleep(0.02)
        finally:
            gc.enable()
        assert not find(gate, "WAITS").allowed


class Spelled:
    """A plugin with an attribute and an operator of its own."""

    @hookimpl
    def hirules_attributes(self) -> list[Attribute]:
        return [Attribute("context.nonsense", Type.STRING, frozenset({"c-find"}), "nothing")]

    @hookimpl
    def hirules_operators(self) -> list[Operator]:
        return [Operator("palindrome", ArgumentKind.FLAG, None, _palindrome, {"type": "boolean"}, "reads the same backwards", "palindrome: true")]


def _palindrome(reading: Reading, argument: Any, scope: Scope) -> Truth:
    assert isinstance(argument, Flag)
    return any(str(value) == str(value)[::-1] for value in reading.values) is argument.value


def test_what_plugins_add_survives_a_reload(folder: Path) -> None:
    (folder / "q.yaml").write_text(
        "hirules: 1\npolicy: q\nrules: [{id: r, on: c-find, when: {subject.ae_title: {palindrome: true}}, allow: {}}]\n", encoding="utf-8"
    )
    with reloading(folder, Spelled()) as gate:
        attribute = gate.policies.vocabulary.attributes["context.nonsense"]
        (folder / "p.yaml").write_text(POLICY.replace("WARD", "OTHER"), encoding="utf-8")
        until(gate, lambda status: status.swapped is not None)
        assert [find(gate, title).allowed for title in ("OTHER", "WARD", "ANNA")] == [True, False, True]
        assert gate.policies.vocabulary.attributes["context.nonsense"] == attribute


class Misbehaving:
    """A plugin that does in the process that checks what its file says."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @hookimpl
    def hirules_attributes(self) -> list[Attribute]:
        what = self.file.read_text(encoding="utf-8")
        if what == "exit":
            os._exit(7)
        if what == "kill":
            os.kill(os.getpid(), 9)
        if what == "hang":
            self.file.with_suffix(".pid").write_text(str(os.getpid()), encoding="utf-8")
            time.sleep(600)
        if what == "memory":
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, (1, 1))
            bytearray(1 << 30)
        if what == "raise":
            raise ValueError("what")
        print("what a plugin prints is no answer")  # noqa: T201
        return []


@pytest.mark.parametrize(
    ("what", "said"),
    [("exit", "exit code 7"), ("kill", "SIGKILL"), ("hang", "took more than"), ("memory", ""), ("raise", "raised in `hirules_attributes`: ValueError")],
)
def test_whatever_becomes_of_the_process_that_checks_the_old_set_decides(folder: Path, tmp_path: Path, what: str, said: str) -> None:
    file = tmp_path / "what"
    file.write_text("", encoding="utf-8")
    with reloading(folder, Misbehaving(file), seconds=2.5 if what == "hang" else 60) as gate:
        file.write_text(what, encoding="utf-8")
        (folder / "p.yaml").write_text(POLICY.replace("WARD", "OTHER"), encoding="utf-8")
        error = until(gate, lambda status: status.error is not None).error
        assert error is not None
        assert said in error
        assert [find(gate, title).allowed for title in ("WARD", "OTHER")] == [True, False]
        if what != "hang":  # with its deadline, the next check might not be in time on a slow machine
            file.write_text("", encoding="utf-8")
            (folder / "p.yaml").write_text(POLICY.replace("WARD", "THIRD"), encoding="utf-8")
            until(gate, lambda status: status.swapped is not None)
            assert find(gate, "THIRD").allowed
            assert status_of(gate).error is None


def test_closing_ends_the_thread_and_the_process(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "what"
    file.write_text("", encoding="utf-8")
    with reloading(folder, Misbehaving(file)) as gate:
        file.write_text("hang", encoding="utf-8")
        (folder / "p.yaml").write_text(POLICY + "# changed\n", encoding="utf-8")
        last = time.monotonic() + 60
        while not file.with_suffix(".pid").exists() or not file.with_suffix(".pid").read_text(encoding="utf-8"):
            assert time.monotonic() < last
            time.sleep(0.02)
        child = int(file.with_suffix(".pid").read_text(encoding="utf-8"))
        gate.close()
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)
        assert "hirules-reload" not in [thread.name for thread in threading.enumerate()]


def test_embedders_opt_in(folder: Path) -> None:
    gate = hirules.load(folder)
    assert gate.reloader is None
    gate.close()
    gate = hirules.load(folder, reload=True)
    (folder / "p.yaml").write_text(POLICY.replace("WARD", "OTHER"), encoding="utf-8")
    until(gate, lambda status: status.swapped is not None)
    assert find(gate, "OTHER").allowed
    gate.close()


class Left:
    """Garbage that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_left_before_a_reload_is_not_frozen_for_good(folder: Path) -> None:
    with reloading(folder) as gate:
        first = gate.policies.digest
        try:
            gc.freeze()
            gc.disable()
            left = weakref.ref(Left())
            assert left() is not None
            (folder / "p.yaml").write_text(POLICY.replace("WARD", "OTHER"), encoding="utf-8")
            until(gate, lambda status: status.digest != first)
            assert left() is None
        finally:
            gc.enable()
            gc.unfreeze()


@pytest.mark.parametrize("frozen", [True, False])
def test_a_process_that_froze_its_start_has_the_new_set_frozen_too(folder: Path, frozen: bool) -> None:
    with reloading(folder) as gate:
        first = gate.policies.digest
        try:
            if frozen:
                gc.freeze()
            before = gc.get_freeze_count()
            (folder / "p.yaml").write_text(POLICY.replace("WARD", "OTHER"), encoding="utf-8")
            until(gate, lambda status: status.digest != first)
            assert find(gate, "OTHER").allowed
            assert (gc.get_freeze_count() > before) is frozen
        finally:
            gc.unfreeze()
