"""The disk under the record is full, or the gateway is killed: what left is in the record, and what cannot be recorded does not leave."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.site import ALLOWED, STUDY, Site, hashed, keys, records, slowly, until
from tests.peers import servers

WAYS = pytest.mark.parametrize("way", ["get", "through"])
ROOM = 4096
"""Bytes that the disk still takes: a few lines."""


class Limit:
    """A limit on the size of its files for the gateway, which needs no rights: a write beyond it fails as one on a full disk does."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def fill(self) -> None:
        """Only ``ROOM`` is left."""
        self._set(self._site.audit.stat().st_size + ROOM)

    def empty(self) -> None:
        """There is room again."""
        self._set(resource.RLIM_INFINITY)

    def _set(self, size: int) -> None:
        _, hard = resource.prlimit(self._site.gateway.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self._site.gateway.process.pid, resource.RLIMIT_FSIZE, (size, hard))


class Disk:
    """A small file system of its own under the record."""

    def __init__(self, site: Site) -> None:
        self._ballast = site.audit.parent / "ballast"

    def fill(self) -> None:
        """Only ``ROOM`` is left."""
        status = os.statvfs(self._ballast.parent)
        with self._ballast.open("wb") as ballast:
            ballast.write(bytes(max(0, status.f_bavail * status.f_frsize - ROOM)))

    def empty(self) -> None:
        """There is room again."""
        self._ballast.unlink()


@pytest.fixture(scope="module")
def mounted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A tmpfs of 1 MiB; ``None`` where nothing may be mounted."""
    folder = tmp_path_factory.mktemp("record")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], check=False, capture_output=True)
    if done.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def on_disk(mounted: Path | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Limit | Disk]]:
    """A site whose record is on a small disk; without the right to mount one, the limit takes its place."""
    site = Site(tmp_path_factory.mktemp("full"), audit=mounted / "audit.jsonl" if mounted else None)
    try:
        for way in ("get", "through"):
            site.works(way)
        yield site, Disk(site) if mounted else Limit(site)
    finally:
        assert site.stop() == 0


@WAYS
def test_the_disk_is_full(on_disk: tuple[Site, Limit | Disk], way: str) -> None:
    _full(*on_disk, way)


@WAYS
def test_the_record_has_reached_the_limit_of_its_size(site: Site, way: str) -> None:
    _full(site, Limit(site), way)


def _full(site: Site, disk: Limit | Disk, way: str) -> None:
    with site.watched(served=False):
        retrieve = site.retrieve(way, slowly(0.05))
        retrieve.has(2)
        disk.fill()
        try:
            assert retrieve.ends() != 0
            assert set(retrieve.received) < ALLOWED
            told = {line["instance"] for line in records(site.audit) if line["entry"] == "instance"}
            assert {hashed(uid) for uid in retrieve.received} <= told
            refused = site.associated("LATER")
            assert not refused.is_established
        finally:
            disk.empty()
        if retrieve.association.is_established:
            retrieve.association.release()
        site.works(way)
        assert "is refused" in site.gateway.text()
        assert retrieve.births == 0
        # outcomes that came while the disk was full are lost, as the log says; of what left nothing is
        site.forgiven |= set(site.unfinished())


@pytest.mark.parametrize(("way", "archive"), [("get", servers.orthanc), ("through", servers.dcmqrscp)], ids=["get from Orthanc", "through from dcmqrscp"])
def test_the_gateway_is_killed(tmp_path: Path, archive: Callable[..., object], way: str) -> None:
    """With SIGKILL in mid-retrieve: what the client, or the destination, received is in the record, of which only the last line may be cut."""
    site = Site(tmp_path, archive)  # type: ignore[arg-type]
    try:
        retrieve = site.retrieve(way, slowly(0.02))
        retrieve.has(5)
        site.gateway.process.kill()
        site.gateway.process.wait(20)
        assert retrieve.ends() != 0
        lines = site.audit.read_bytes().split(b"\n")
        whole = [json.loads(line) for line in lines[:-1]]
        decided = {line["id"] for line in whole if line["entry"] == "decision" and line["subject"].get("ae_title") == retrieve.title}
        told = {line["instance"] for line in whole if line["entry"] == "instance" and line["id"] in decided}
        assert {hashed(uid) for uid in retrieve.received} <= told
        assert set(retrieve.received) < ALLOWED
        assert keys(STUDY).StudyInstanceUID.encode() not in site.audit.read_bytes()
    finally:
        site.stop()
    until(lambda: not site.gateway.running, "end")
