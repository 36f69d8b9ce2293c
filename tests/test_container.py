"""The container: packaging/Containerfile is built, and the image runs with nothing to write to but the record's volume.

Only when asked for, since it takes a minute or two and fetches the base image and packages:

    HIRULES_TEST_CONTAINER=1 .venv/bin/python -m pytest tests/test_container.py

A mirror of packages, its authorities, a runtime and the like are podman's own configuration (CONTAINERS_CONF, CONTAINERS_STORAGE_CONF,
BUILDAH_ISOLATION), not this test's.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.peers.clients import Client, matches
from tests.peers.process import HOST, Server, free_port
from tests.test_documentation import ROOT

FILE = (ROOT / "packaging" / "Containerfile").read_text(encoding="utf-8")
BUILD, RUN = (shlex.split(line)[1:] for line in re.findall(r"^#   (podman .*)", FILE, re.MULTILINE))
"""The commands at the head of the file, which are those that are run here."""
PUBLISHED = ("-p", "11112:11112")
HARDENED = ["--read-only-tmpfs=false", "--security-opt", "no-new-privileges"]
PYTHON = "/opt/hirules/bin/python"
POLICY = """\
hirules: 1
policy: contained
rules:
  - {id: known, on: c-find, when: {subject.ae_title: WARD}, allow: {}}
"""


def podman(*arguments: str | Path, seconds: float = 60, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["podman", *map(str, arguments)], capture_output=True, text=True, timeout=seconds, check=False, cwd=ROOT)
    assert not check or done.returncode == 0, f"{done.args}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The image, built from the working tree."""
    if os.environ.get("HIRULES_TEST_CONTAINER") != "1":
        pytest.skip("builds an image, by the network: HIRULES_TEST_CONTAINER=1")
    name = f"localhost/hirules-test-{uuid.uuid4().hex}"
    command = [name if word == "hirules" else word for word in BUILD]
    podman(*command[:1], "--layers=false", *command[1:], seconds=540)
    try:
        yield name
    finally:
        podman("image", "rm", "--force", name)


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"hirules-test-{uuid.uuid4().hex}"
    yield name
    podman("volume", "rm", "--force", name)


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """The folder that is mounted at /etc/hirules, still without a configuration."""
    folder = tmp_path / "hirules"
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "p.yaml").write_text(POLICY, encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Container:
    """A running one."""

    name: str

    def inspected(self) -> Any:
        return json.loads(podman("container", "inspect", self.name).stdout)[0]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return podman("exec", self.name, *command, check=False)

    def wait_until_ready(self, url: str) -> None:
        fetch = f"import urllib.request as u; u.urlopen('{url}/readyz', timeout=5)"
        end = time.monotonic() + 60
        while self.run(PYTHON, "-c", fetch).returncode != 0:
            assert time.monotonic() < end, podman("logs", self.name)
            time.sleep(0.2)


@pytest.fixture
def containers() -> Iterator[list[Container]]:
    """Those that a test started, which are removed."""
    started: list[Container] = []
    yield started
    for each in started:
        podman("rm", "--force", "--time", "0", each.name)


def start(containers: list[Container], image: str, folder: Path, volume: str, options: list[str], without: tuple[str, ...]) -> Container:
    """The command at the head of the file, with these names for its own, and ``options`` more."""
    names = {"./hirules:/etc/hirules:ro,Z": f"{folder}:/etc/hirules:ro,Z", "hirules-log:/var/log/hirules": f"{volume}:/var/log/hirules", "hirules": image}
    assert {*names, *without} <= {*RUN}
    command = [names.get(word, word) for word in RUN if word not in without]
    container = Container(podman(*command[:1], "--pull=never", *options, *command[1:]).stdout.strip())
    containers.append(container)
    return container


def record(image: str, volume: str) -> list[dict[str, Any]]:
    """The record in the volume, after the gateway has ended."""
    mount = ["-v", f"{volume}:/var/log/hirules"]
    text = podman("run", "--rm", "--pull", "never", "--network", "none", *mount, "--entrypoint", "cat", image, "/var/log/hirules/audit.jsonl").stdout
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.timeout(700)
def test_it_runs_in_front_of_an_archive_with_nothing_to_write_to_but_the_record(
    image: str, volume: str, configured: Path, containers: list[Container], dcmqrscp: Server, tmp_path: Path
) -> None:
    port, health = free_port(), free_port()
    (configured / "hirules.yaml").write_text(
        f"policies: policies\naudit: {{file: /var/log/hirules/audit.jsonl}}\nhttp: {HOST}:{health}\n"
        f"dimse: {{listen: GATE@{HOST}:{port}, upstream: '{dcmqrscp.name}', drain_timeout: 11}}\n",
        encoding="utf-8",
    )
    container = start(containers, image, configured, volume, ["--network", "host", *HARDENED], without=PUBLISHED)
    container.wait_until_ready(f"http://{HOST}:{health}")
    for page in ("livez", "readyz"):
        with urllib.request.urlopen(f"http://{HOST}:{health}/{page}", timeout=20) as answer:
            assert (answer.status, answer.read()) == (200, b"ok\n")

    ward = Client("WARD", "GATE", port, tmp_path / "ward")
    assert ward.echo().echoed
    found = ward.find("QueryRetrieveLevel=STUDY", "PatientID", "StudyInstanceUID")
    assert (found.status, len(matches(found)) > 0) == (0, True)
    assert Client("OTHER", "GATE", port, tmp_path / "other").find("QueryRetrieveLevel=STUDY", "PatientID").status == 0x0124

    status = container.run("cat", "/proc/1/status").stdout
    assert re.search(r"^Uid:(\s+10001){4}$", status, re.MULTILINE)
    assert re.search(r"^Gid:(\s+10001){4}$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0+$", status, re.MULTILINE)
    for place in ("/", "/tmp", "/run", "/opt/hirules", "/etc/hirules"):
        assert "Read-only file system" in container.run("touch", f"{place}/written").stderr
    assert container.run("stat", "-c", "%u:%g %a", "/var/log/hirules", "/var/log/hirules/audit.jsonl").stdout.split("\n")[:2] == [
        "10001:10001 700",
        "10001:10001 600",
    ]
    assert container.run("ls", "-A", "/var/log/hirules").stdout.split() == ["audit.jsonl"]

    # a changed set is checked by a process of its own, which has nothing to write to either
    (configured / "policies" / "p.yaml").write_text(POLICY.replace("WARD", "OTHER"), encoding="utf-8")
    end = time.monotonic() + 90
    while ward.find("QueryRetrieveLevel=STUDY", "PatientID").status != 0x0124:
        assert time.monotonic() < end, podman("logs", container.name)
        time.sleep(0.5)

    # SIGTERM: an association that stays has its `drain_timeout`, longer than a runtime waits by itself, and then the gateway ends as it should
    entity = AE("STAYS")
    entity.add_requested_context(Verification)
    held = entity.associate(HOST, port, ae_title="GATE")
    assert held.is_established
    podman("stop", container.name, seconds=120)
    assert container.inspected()["State"]["ExitCode"] == 0, podman("logs", container.name)
    held.join(60)
    assert held.is_aborted

    entries = record(image, volume)
    decisions = [(entry["subject"]["ae_title"], entry["action"], entry["decision"]) for entry in entries if entry["entry"] == "decision"]
    for expected in (("WARD", "c-find", "allow"), ("OTHER", "c-find", "deny"), ("WARD", "c-find", "deny"), ("STAYS", "associate", "allow")):
        assert expected in decisions


@pytest.mark.timeout(700)
def test_it_writes_nothing_else_where_it_could_and_its_health_check_tells(image: str, volume: str, configured: Path, containers: list[Container]) -> None:
    (configured / "files").mkdir()
    (configured / "hirules.yaml").write_text(
        "policies: policies\naudit: {file: /var/log/hirules/audit.jsonl}\nhttp: 127.0.0.1:9090\n"
        "dimse: {listen: GATE@0.0.0.0:11112, upstream: 'embedded:files'}\n",
        encoding="utf-8",
    )
    container = start(containers, image, configured, volume, ["--network", "none"], without=("--read-only", *PUBLISHED))
    container.wait_until_ready("http://127.0.0.1:9090")
    assert container.run("/opt/hirules/bin/echoscu", "-aec", "GATE", "127.0.0.1", "11112").returncode == 0
    assert podman("healthcheck", "run", container.name, check=False).returncode == 0
    podman("stop", container.name, seconds=120)
    inspected = container.inspected()
    assert inspected["State"]["ExitCode"] == 0
    mounted = {mount["Destination"] for mount in inspected["Mounts"]}
    folders = {str(parent) for path in mounted for parent in Path(path).parents}
    changed = {line.split(maxsplit=1)[1] for line in podman("diff", container.name).stdout.splitlines()}
    assert changed <= mounted | folders
    assert [entry["action"] for entry in record(image, volume) if entry["entry"] == "decision"] == ["associate"]
