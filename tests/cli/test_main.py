"""The command line as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hirules.cli import COMMANDS as NAMES
from hirules.cli import PLANNED, main, parser
from tests.cli.conftest import POLICY


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main([name, "--help"])
    assert raised.value.code == 0
    assert f"usage: hirules {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", PLANNED)
def test_what_is_planned_says_so(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert name not in NAMES
    with pytest.raises(SystemExit) as raised:
        main([name])
    assert raised.value.code == 2
    assert f"`{name}` is not available in this version" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["--nothing"]])
def test_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--version"])
    assert capsys.readouterr().out.startswith("hirules ")


def test_an_internal_error_shows_no_traceback_and_no_value(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(name: str, settings: object = None) -> None:
        raise RuntimeError("PATIENT-1")

    monkeypatch.setattr("hirules.cli.schema.schema", fail)
    assert main(["schema", "policy"]) == 70
    shown = capsys.readouterr().err
    assert "internal error (RuntimeError)" in shown
    assert "PATIENT-1" not in shown
    assert "Traceback" not in shown


def test_a_configuration_with_mistakes(policies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.yaml").write_text("plugin: [x]\n", encoding="utf-8")
    assert main(["check", str(policies), "--config", str(tmp_path / "c.yaml")]) == 1
    assert "c.yaml:1:1: error[unknown-key]" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    program = [sys.executable, "-m", "hirules.cli", "schema", "policy"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()
