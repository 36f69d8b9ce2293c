"""The fixture ``hirules_gate``, as the tests of another project have it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.policy.suites import POLICY

PROGRAM = """
from datetime import datetime, UTC

import pytest

import hirules

AT_NIGHT = "2026-03-02T22:00:00+01:00"


class Closing:
    @hirules.hookimpl
    def hirules_verdict(self, request):
        if request.context["now"].hour >= 20:
            return hirules.Verdict(effect="deny", reason="closed")


def find(**context):
    return hirules.Request("c-find", {"ae_title": "PACS_DR"}, context=context)


def test_a_gate(hirules_gate):
    gate = hirules_gate("policies")
    assert gate.check(find()).by == ("p/clinical",)


def test_its_clock(hirules_gate):
    gate = hirules_gate("policies", plugins=[Closing()], now=AT_NIGHT)
    assert not gate.check(find()).allowed
    assert gate.check(find(now="2026-03-02T12:00:00+01:00")).allowed
    assert gate.check(find()).reason == "closed"


def test_several_gates(hirules_gate):
    assert hirules_gate("policies") is not hirules_gate("policies", now=datetime(2026, 1, 1, tzinfo=UTC))


def test_mistakes(hirules_gate):
    with pytest.raises(hirules.PolicyError):
        hirules_gate("nowhere")
    with pytest.raises(ValueError, match="`now` has no offset"):
        hirules_gate("policies", now="2026-03-02T10:00:00")
"""


def test_the_fixture_in_a_project_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "test_policies.py").write_text(PROGRAM, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_nothing_of_hirules_is_imported_until_it_is_asked_for() -> None:
    """Every pytest of the environment loads the plugin."""
    program = "import sys, hirules.pytest_plugin; print([name for name in sys.modules if name.startswith('hirules')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "['hirules', 'hirules.pytest_plugin']"
