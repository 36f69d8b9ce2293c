"""For every action: what fails on the way to a recorded decision refuses, and the record or the log says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import hirules
from hirules import Request, Verdict, hookimpl
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.operators import ArgumentKind, Operator

ACTIONS = sorted(VOCABULARY.actions)
OPEN = f"""
hirules: 1
policy: open
rules:
  - id: everything
    on: [{", ".join(ACTIONS)}]
    allow: {{}}
"""


class Explodes:
    """An operator that raises."""

    @hookimpl
    def hirules_operators(self) -> list[Operator]:
        def explode(*_: object) -> bool:
            raise RuntimeError("PATIENT-1")

        return [Operator("explodes", ArgumentKind.FLAG, None, explode, {"type": "boolean"}, "raises", "subject.ae_title: {explodes: true}", opening_ok=True)]


class Raises:
    """A verdict that raises."""

    @hookimpl
    def hirules_verdict(self, request: Request) -> Verdict:
        raise RuntimeError("PATIENT-1")


def _request(action: str) -> Request:
    return Request(action, subject={"ae_title": "WARD_1"})


def _set(folder: Path, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "open.yaml").write_text(OPEN + more, encoding="utf-8")
    return folder


def _record(path: Path) -> dict[str, object]:
    (line,) = path.read_text(encoding="utf-8").splitlines()
    record: dict[str, object] = json.loads(line)
    return record


@pytest.mark.parametrize("action", ACTIONS)
def test_the_set_alone_allows(tmp_path: Path, action: str) -> None:
    """Without this the others would prove nothing."""
    assert hirules.load(_set(tmp_path / "set"), audit=tmp_path / "audit.jsonl").check(_request(action)).allowed
    assert _record(tmp_path / "audit.jsonl")["by"] == ["open/everything"]


def _with_broken_rule(tmp_path: Path, action: str, effect: str, *, alone: bool = False) -> tuple[hirules.Decision, dict[str, object]]:
    rule = f"  - id: broken\n    on: {action}\n    when: {{subject.ae_title: {{explodes: true}}}}\n    {effect}\n"
    folder = _set(tmp_path / "set", rule)
    if alone:
        (folder / "open.yaml").write_text(f"{OPEN.partition(chr(10) + 'rules:')[0]}\nrules:\n{rule}", encoding="utf-8")
    decision = hirules.load(folder, audit=tmp_path / "audit.jsonl", plugins=[Explodes()]).check(_request(action))
    record = _record(tmp_path / "audit.jsonl")
    assert "RuntimeError" in str(record["errors"])
    assert "PATIENT-1" not in str(record)
    return decision, record


@pytest.mark.parametrize("action", ACTIONS)
def test_a_deny_rule_that_raises(tmp_path: Path, action: str) -> None:
    decision, record = _with_broken_rule(tmp_path, action, "deny: {}")
    assert not decision.allowed
    assert record["by"] == ["open/broken"]


@pytest.mark.parametrize("action", ACTIONS)
def test_an_allow_rule_that_raises(tmp_path: Path, action: str) -> None:
    decision, record = _with_broken_rule(tmp_path, action, "allow: {}", alone=True)
    assert not decision.allowed
    assert record["decision"] == "deny"


@pytest.mark.parametrize(
    ("action", "path"),
    [("c-find", "request.Priority"), ("c-move", "request.MoveDestination"), ("n-get", "request.AttributeIdentifierList"), ("copy-image-set", "request.force")],
)
def test_a_rewrite_rule_that_raises(tmp_path: Path, action: str, path: str) -> None:
    decision, record = _with_broken_rule(tmp_path, action, f"rewrite: [{{remove: {path}}}]")
    assert not decision.allowed
    assert record["by"] == ["open/broken"]


@pytest.mark.parametrize("action", ACTIONS)
def test_an_audit_rule_that_raises_is_in_the_record(tmp_path: Path, action: str) -> None:
    """It matches, as LANGUAGE says of an unknown audit rule: the record says more, and nothing is opened by it."""
    _, record = _with_broken_rule(tmp_path, action, "audit: {note: seen}")
    assert [note["source"] for note in record["notes"]] == ["open/broken"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_plugin_that_raises(tmp_path: Path, action: str) -> None:
    decision = hirules.load(_set(tmp_path / "set"), audit=tmp_path / "audit.jsonl", plugins=[Raises()]).check(_request(action))
    assert not decision.allowed
    assert decision.by == ("plugin:Raises",)
    record = _record(tmp_path / "audit.jsonl")
    assert record["decision"] == "deny"
    assert "raised RuntimeError" in str(record["errors"])
    assert "PATIENT-1" not in str(record)


@pytest.mark.parametrize("action", ACTIONS)
def test_a_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture, action: str) -> None:
    decision = hirules.load(_set(tmp_path / "set"), audit="/dev/full").check(_request(action))
    assert not decision.allowed
    assert "no space left on device" in caplog.text
    assert "could not be recorded" in decision.reason


def _in_a_process_of_its_own(tmp_path: Path, prepare: str, audit: Path) -> tuple[dict[str, bool], str]:
    """What a gate there allows, by action, after ``prepare``; and its log."""
    program = f"""
        import json, os, resource, sys
        import hirules
        actions = {ACTIONS!r}
        gate = hirules.load({str(_set(tmp_path / "set"))!r}, audit={str(audit)!r})
        assert all(gate.check(hirules.Request(action)).allowed for action in actions)
    """
    body = """
        print(json.dumps({action: gate.check(hirules.Request(action)).allowed for action in actions}))
    """
    source = textwrap.dedent(program) + textwrap.dedent(prepare) + textwrap.dedent(body)
    answer = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout), answer.stderr


def test_a_size_limit(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    allowed, log = _in_a_process_of_its_own(
        tmp_path,
        f"""
        size = os.stat({str(audit)!r}).st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))
        """,
        audit,
    )
    assert sorted(allowed) == ACTIONS
    assert not any(allowed.values())
    assert log.count("file too large") >= len(ACTIONS)
    # what did not fit was taken back: every line is whole, and none says that a refused request was allowed
    assert len([json.loads(line) for line in audit.read_text(encoding="utf-8").splitlines()]) == len(ACTIONS)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming an ordinary user takes root; as one, the next test does the same")
def test_no_permission_as_an_ordinary_user(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.geteuid() and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o711)
    audit = tmp_path / "audit.jsonl"
    allowed, log = _in_a_process_of_its_own(
        tmp_path,
        f"""
        os.rename({str(audit)!r}, {str(audit)!r} + ".1")  # rotated: the file is made anew, which this user may not
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        """,
        audit,
    )
    assert sorted(allowed) == ACTIONS
    assert not any(allowed.values())
    assert log.count("permission denied") >= len(ACTIONS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    prepare = f"os.rename({str(folder / 'a.jsonl')!r}, {str(folder / 'a.jsonl.1')!r}); os.chmod({str(folder)!r}, 0o500)\n"
    allowed, log = _in_a_process_of_its_own(tmp_path, prepare, folder / "a.jsonl")
    assert not any(allowed.values())
    assert log.count("permission denied") >= len(ACTIONS)
