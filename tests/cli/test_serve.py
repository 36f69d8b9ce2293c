from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from hirules.cli import main
from hirules.cli.demo_clients import Client


@contextmanager
def _serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str, int]]:
    process = subprocess.Popen([sys.executable, "-m", "hirules.cli", "serve", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on GATE@"), process.stderr.read() if process.stderr is not None else ""
        host, _, port = line.strip().rpartition("@")[2].rpartition(":")
        yield process, host, int(port)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_it_listens_says_where_and_stops_on_a_signal(policies: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    audit = tmp_path / "audit.jsonl"
    arguments = ["--policies", str(policies), "--dimse", "GATE@127.0.0.1:0", "--upstream", f"embedded:{tmp_path / 'files'}", "--audit", str(audit)]
    for number in (signal.SIGTERM, signal.SIGINT):
        with _serving(*arguments) as (process, host, port):
            assert Client("WARD_9", "GATE", host, port).find("STUDY", PatientID="P").status == 0x0124
            process.send_signal(number)
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
            assert "Traceback" not in errors
    assert audit.read_text(encoding="utf-8").count('"action":"c-find"') == 2


def test_from_a_configuration(policies: Path, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    config = tmp_path / "c.yaml"
    config.write_text(
        "policies: policies\naudit: {file: audit.jsonl}\ndimse: {listen: GATE@127.0.0.1:0, upstream: 'embedded:files', drain_timeout: 0}\n", encoding="utf-8"
    )
    with _serving("--config", str(config)) as (_, host, port):
        assert Client("WARD_9", "GATE", host, port).find("STUDY", PatientID="P").status == 0x0124
    assert (tmp_path / "audit.jsonl").exists()


def _becomes(client: Client, status: int) -> None:
    """Wait until a C-FIND is answered so."""
    last = time.monotonic() + 90
    while client.find("STUDY", PatientID="P").status != status:
        assert time.monotonic() < last
        time.sleep(0.2)


@pytest.mark.parametrize("watch", [True, False], ids=["watching", "sighup"])
def test_changed_policies_come_into_force(policies: Path, tmp_path: Path, watch: bool) -> None:
    (tmp_path / "files").mkdir()
    audit, file = tmp_path / "audit.jsonl", policies / "p.yaml"
    arguments = ["--policies", str(policies), "--dimse", "GATE@127.0.0.1:0", "--upstream", f"embedded:{tmp_path / 'files'}", "--audit", str(audit)]
    text = file.read_text(encoding="utf-8").replace('["20:00", "06:00"]', '["00:00", "00:01"]')
    with _serving(*arguments, *([] if watch else ["--no-reload"])) as (process, host, port):

        def changed(to: str) -> None:
            file.write_text(to, encoding="utf-8")
            if not watch:
                process.send_signal(signal.SIGHUP)

        client = Client("NEW_WARD", "GATE", host, port)
        assert client.find("STUDY", PatientID="P").status == 0x0124
        changed(text.replace("WARD_1,", "NEW_WARD,"))
        _becomes(client, 0x0000)
        changed("hirules: 1\npolicy: q\nrules: [{id: leaving, on: c-store, when: {instance.PatientID: P}, deny: {}}]\n")
        assert process.stderr is not None
        assert "error[not-enforceable]: the gateway cannot enforce `q/leaving`" in _until(process.stderr, "keeps deciding")
        assert client.find("STUDY", PatientID="P").status == 0x0000
        changed(text)
        _becomes(client, 0x0124)
    digests = [json.loads(line).get("policies") for line in audit.read_text(encoding="utf-8").splitlines() if '"decision":"' in line]
    assert len(set(digests)) == 3
    assert digests[0] != digests[-1]


def _until(stream: IO[str], end: str) -> str:
    """What is read until a line has ``end``."""
    said = ""
    while end not in said:
        line = stream.readline()
        assert line, said
        said += line
    return said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--dimse"),
        (["--dimse", "GATE@127.0.0.1:0"], "--upstream"),
        (["--dimse", "GATE@127.0.0.1:0", "--upstream", "embedded:x"], "--policies"),
        (["--dimse", "GATE", "--upstream", "A@b:1"], "is no `AET@HOST:PORT`"),
        (["--dimse", "GATE@h:1", "--upstream", "A@b"], "is no `AET@HOST:PORT`"),
        (["--http", "nowhere"], "`nowhere` is no `HOST:PORT`"),
    ],
)
def test_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_it_does_not_start_on_what_it_cannot_enforce(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (policies / "q.yaml").write_text(
        "hirules: 1\npolicy: q\nrules:\n  - {id: leaving, on: c-store, when: {instance.PatientID: P}, deny: {}}\n", encoding="utf-8"
    )
    assert main(["serve", "--policies", str(policies), "--dimse", "GATE@127.0.0.1:0", "--upstream", "A@127.0.0.1:1"]) == 1
    said = capsys.readouterr().err
    assert "q.yaml:4:" in said
    assert "error[not-enforceable]: the gateway cannot enforce `q/leaving`" in said


def test_it_does_not_start_where_it_cannot_record(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["serve", "--policies", str(policies), "--dimse", "GATE@127.0.0.1:0", "--upstream", "A@127.0.0.1:1", "--audit", "/nowhere/audit.jsonl"]
    assert main(arguments) == 1
    assert "cannot write the record" in capsys.readouterr().err


def test_a_port_that_is_taken(policies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "files").mkdir()
    common = ["--policies", str(policies), "--upstream", f"embedded:{tmp_path / 'files'}"]
    with _serving(*common, "--dimse", "GATE@127.0.0.1:0") as (_, host, port):
        assert main(["serve", *common, "--dimse", f"GATE@{host}:{port}"]) == 1
    assert "cannot listen: address already in use" in capsys.readouterr().err


def _page(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{address}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_health_metrics_and_a_drain_with_an_association_in_flight(policies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd runs it: it is told when it is ready, and when it stops; what is under way may end."""
    (tmp_path / "files").mkdir()
    config = tmp_path / "c.yaml"
    config.write_text(
        "policies: policies\nhttp: 127.0.0.1:0\ndimse: {listen: GATE@127.0.0.1:0, upstream: 'embedded:files', drain_timeout: 30}\n", encoding="utf-8"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(60)
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with _serving("--config", str(config)) as (process, host, port):
            assert manager.recv(100) == b"READY=1"
            assert process.stdout is not None
            address = process.stdout.readline().strip().removeprefix("health and metrics on ")
            assert _page(address, "/readyz") == (200, "ok\n")
            assert _page(address, "/livez") == (200, "ok\n")
            assert Client("WARD_9", "GATE", host, port).find("STUDY", PatientID="P").status == 0x0124
            entity = AE("WARD_1")
            entity.add_requested_context(Verification)
            association = entity.associate(host, port, ae_title="GATE")
            assert association.is_established
            metrics = _page(address, "/metrics")[1]
            assert 'hirules_decisions_total{action="c-find",effect="deny"} 1.0' in metrics
            assert 'hirules_decisions_total{action="associate",effect="allow"} 2.0' in metrics
            assert "hirules_associations 1.0" in metrics
            assert 'hirules_received_bytes_total{side="client"}' in metrics
            assert "hirules_reload_failed 0.0" in metrics
            assert "WARD" not in metrics
            process.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            end = time.monotonic() + 30
            while _page(address, "/readyz")[0] != 503:
                assert time.monotonic() < end
                time.sleep(0.05)
            assert _page(address, "/livez")[0] == 200
            assert association.send_c_echo().Status == 0  # in flight
            association.release()
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors


def test_an_address_for_http_that_cannot_be(policies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["serve", "--policies", str(policies), "--dimse", "G@127.0.0.1:0", "--upstream", "A@127.0.0.1:1"]
    assert main([*arguments, "--http", "nowhere"]) == 2
    assert "`nowhere` is no `HOST:PORT`" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main([*arguments, "--http", f"127.0.0.1:{taken.getsockname()[1]}"]) == 1
    assert "`http`: cannot listen: address already in use" in capsys.readouterr().err
