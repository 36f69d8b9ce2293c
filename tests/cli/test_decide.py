from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from hirules.cli import main

MOVE = {"action": "c-move", "subject": {"ae_title": "WARD_1"}, "request": {"MoveDestination": "NOWHERE"}}
FIND = {"action": "c-find", "subject": {"ae_title": "WARD_1"}, "context": {"now": "2026-03-02T10:00:00Z"}}


def _stdin(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))


def test_deny(policies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _stdin(monkeypatch, json.dumps(MOVE))
    assert main(["decide", "--policies", str(policies)]) == 3
    answer = json.loads(capsys.readouterr().out)
    assert (answer["decision"], answer["by"], answer["status"]) == ("deny", ["p/agreed"], 0xA801)
    assert answer["reason"] == "`NOWHERE` has no release agreement"
    assert answer["policies"].startswith("sha256:")


def test_allow_and_rewrite_from_a_file(policies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "request.yaml"
    file.write_text("action: c-move\nsubject: {ae_title: ward_1}\nrequest: {MoveDestination: OLD_PACS}\n", encoding="utf-8")
    assert main(["decide", "--policies", str(policies), str(file)]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["rewritten"] == {"request.MoveDestination": "PACS_MAIN"}
    assert answer["effective"]["request"] == {"MoveDestination": "PACS_MAIN"}


def test_the_time_is_the_requests(policies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for now, code in (("2026-03-02T10:00:00Z", 0), ("2026-03-02T23:00:00Z", 3)):
        _stdin(monkeypatch, json.dumps({**FIND, "context": {"now": now}}))
        assert main(["decide", "--policies", str(policies), "-"]) == code
        assert json.loads(capsys.readouterr().out)["effective"]["context"] == {"now": now.replace("Z", "+00:00")}


def test_deciding_is_pure(policies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    outputs = set()
    for _ in range(2):
        _stdin(monkeypatch, json.dumps(FIND))
        main(["decide", "--policies", str(policies)])
        outputs.add(capsys.readouterr().out)
    assert len(outputs) == 1


@pytest.mark.parametrize("text", ["", "{", '{"action": "c-move", "request": {"MoveDestinaton": "X"}}', "just text"])
def test_invalid_input(policies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str) -> None:
    _stdin(monkeypatch, text)
    assert main(["decide", "--policies", str(policies)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("hirules: ")
    assert "Traceback" not in shown.err


def test_a_file_that_is_not_there(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decide", "--policies", str(policies), "/nowhere.json"]) == 1
    assert main(["decide", "--policies", str(policies), "/nowhere.json", "--lines"]) == 1
    assert "cannot read the request: no such file or directory" in capsys.readouterr().err


def test_policies_with_mistakes(policies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text("hirules: 1\n", encoding="utf-8")
    _stdin(monkeypatch, json.dumps(MOVE))
    assert main(["decide", "--policies", str(policies)]) == 1
    assert "q.yaml:1:1: error" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["decide"], ["decide", "--policies"], ["decide", "--nothing"]])
def test_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2


def test_lines_are_answered_one_by_one(policies: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    _stdin(monkeypatch, "\n".join([json.dumps(FIND), "", json.dumps(MOVE), "{", "action: c-find", json.dumps({"action": "c-fin"})]) + "\n")
    assert main(["decide", "--policies", str(policies), "--lines"]) == 1
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer.get("decision", "error") for answer in answers] == ["allow", "deny", "error", "error", "error"]
    assert list(answers[2]) == ["error"]
    assert "did you mean `c-find`?" in answers[4]["error"]


def test_the_code_of_lines(policies: Path, tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text(json.dumps(FIND) + "\n", encoding="utf-8")
    assert main(["decide", "--policies", str(policies), "--lines", str(file)]) == 0
    file.write_text(json.dumps(FIND) + "\n" + json.dumps(MOVE) + "\n", encoding="utf-8")
    assert main(["decide", "--policies", str(policies), "--lines", str(file)]) == 3
