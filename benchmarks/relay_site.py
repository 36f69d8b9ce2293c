"""What the relay benchmarks run on: generated studies, an archive, and the ways to it.

direct    the archive itself              gateway   `hirules serve` with rules for requests only
haproxy   a TCP relay in C                header    … with `release` rules that read each instance's header
tcp       a TCP relay in Python           rewrite   … with one that changes an element of each instance
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from tests.peers.objects import FOLDER
from tests.peers.process import HOST, Server, free_port, listening, program, start

HAPROXY = "/usr/sbin/haproxy"
MATCHES = 10_000
"""Of the C-FIND."""
TCP_RELAYS = ("haproxy", "tcp")

PLAIN = """\
hirules: 1
policy: research
title: Who may ask
owner: privacy-office
lists: {partners: [PARTNER, BENCH]}
rules:
  - {id: may, on: [c-find, c-get, c-move], when: {subject.ae_title: {in: $partners}}, allow: {}}
  - {id: destinations, on: c-move, when: {request.MoveDestination: STRANGER}, deny: {status: 0xA801, reason: no release agreement}}
"""
HEADER = """\
  - {id: modalities, on: release, when: {instance.Modality: {not_in: [CT, MR]}}, deny: {reason: CT and MR only}}
  - {id: vip, on: release, when: {instance.PatientID: {in: [VIP-1, VIP-2]}}, deny: {reason: not this patient}}
  - {id: recent, on: release, when: {instance.StudyDate: {newer_than: 90d}}, deny: {reason: nothing recent}}
"""
REWRITE = HEADER + "  - {id: births, on: release, rewrite: [{remove: instance.PatientBirthDate}]}\n"


@dataclass(frozen=True, slots=True)
class Study:
    """A generated study of ``count`` instances, ``size`` bytes of pixels each."""

    uid: str
    count: int
    size: int
    files: tuple[Path, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Of a retrieve of it."""
        return "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={self.uid}"


@dataclass
class Site:
    """Everything that runs. ``ways`` and ``finding`` are by the name of the way, to the archive and to the one of many matches."""

    folder: Path
    studies: Mapping[str, Study]
    ways: dict[str, Server] = field(default_factory=dict)
    finding: dict[str, Server] = field(default_factory=dict)
    received: dict[str, Path] = field(default_factory=dict)
    """Where what a C-MOVE brings is written."""
    matches: int = MATCHES


def study(folder: Path, count: int, megabytes: float) -> Study:
    """CT instances made from the wheel's small one, their pixels larger."""
    folder.mkdir(parents=True)
    data_set = dcmread(FOLDER / "CT_small.dcm")
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = generate_uid(), generate_uid()
    data_set.PatientBirthDate = "19700102"
    data_set.StudyDate = "20240131"
    data_set.Columns = 512
    data_set.Rows = int(megabytes * 1024)
    size = 2 * data_set.Rows * data_set.Columns
    data_set.PixelData = os.urandom(1 << 20) * (size >> 20) + bytes(size & 0xFFFFF)
    files = []
    for number in range(count):
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data_set.InstanceNumber = number
        files.append(folder / f"{number}.dcm")
        data_set.save_as(files[-1])
    return Study(str(data_set.StudyInstanceUID), count, size, tuple(files))


@contextmanager
def site(folder: Path, *, quick: bool = False) -> Iterator[Site]:
    """Everything that the workloads need, until the end of the block."""
    part = 10 if quick else 1
    studies = {
        "CT": study(folder / "ct", 200 // part, 0.5),
        "MF": study(folder / "mf", 20 // part, 26),
        "part": study(folder / "part", 20 // part, 0.5),
    }
    made = Site(folder, studies, matches=MATCHES // part)
    with ExitStack() as stack:

        def run(server: Server) -> Server:
            stack.callback(server.stop)
            return server

        through = {name: free_port() for name in ("gateway", "header", "rewrite")}
        receiver = run(storescp(folder / "receiver", "DEST"))
        made.received["DEST"] = folder / "receiver" / "received"
        known = {"DEST": receiver.port, **{f"TO_{name.upper()}": port for name, port in through.items()}}
        archive = run(dcmqrscp(folder / "archive", known, [file for one in studies.values() for file in one.files]))
        made.ways["direct"] = archive
        for name, policy in (("gateway", PLAIN), ("header", PLAIN + HEADER), ("rewrite", PLAIN + REWRITE)):
            made.ways[name] = run(gateway(folder / name, archive, through[name], policy, receiver, f"TO_{name.upper()}"))
        finder = run(
            start(
                "FINDER",
                folder / "finder",
                lambda port: [sys.executable, "-m", "benchmarks.relay_find", str(port), str(made.matches)],
                listening,
                environment={"PYTHONPATH": str(Path(__file__).parent.parent)},
            )
        )
        made.finding = {"direct": finder, "gateway": run(gateway(folder / "find-gateway", finder, free_port(), PLAIN, receiver, "NONE"))}
        for target, ways in ((archive, made.ways), (finder, made.finding)):
            ways["tcp"] = run(tcp(folder / f"tcp-{target.aet}", target))
            if os.access(HAPROXY, os.X_OK):
                ways["haproxy"] = run(haproxy(folder / f"haproxy-{target.aet}", target))
        yield made


def dcmqrscp(folder: Path, destinations: Mapping[str, int], files: Sequence[Path]) -> Server:
    """DCMTK's archive as it is shipped, without a log."""
    storage = folder / "storage"
    storage.mkdir(parents=True)
    subprocess.run([program("/usr/bin/dcmqridx"), str(storage), *map(str, files)], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    configuration = folder / "dcmqrscp.cfg"

    def command(port: int) -> Sequence[str | Path]:
        hosts = "\n".join(f"{name.lower()} = ({name}, {HOST}, {number})" for name, number in destinations.items())
        configuration.write_text(
            f"MaxPDUSize = 16384\nMaxAssociations = 64\nHostTable BEGIN\n{hosts}\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nPACS {storage} RW (200, 1024mb) ANY\nAETable END\n"
        )
        return [program("/usr/bin/dcmqrscp"), "--config", configuration, str(port)]

    return start("PACS", folder, command, listening)


def storescp(folder: Path, aet: str) -> Server:
    """A destination that writes what it receives."""
    (folder / "received").mkdir(parents=True)

    def command(port: int) -> Sequence[str | Path]:
        return [program("/usr/bin/storescp"), "--fork", "--promiscuous", "+xa", "+B", "-aet", aet, "-od", folder / "received", str(port)]

    return start(aet, folder, command, listening)


def gateway(folder: Path, upstream: Server, port: int, policy: str, receiver: Server, title: str) -> Server:
    """``hirules serve``, with a record. MAPPED is DEST under another name; THROUGH is DEST by way of the gateway, which the archive knows as ``title``."""
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "research.yaml").write_text(policy, encoding="utf-8")
    settings = {
        "policies": "policies",
        "audit": {"file": "audit.jsonl"},
        "dimse": {
            "listen": f"GATE@{HOST}:{port}", "upstream": upstream.name, "move_ae_title": title,
            "deliveries": {"MAPPED": {"direct": "DEST"}, "THROUGH": {"through": receiver.name}},
        },
    }  # fmt: skip
    (folder / "hirules.yaml").write_text(json.dumps(settings), encoding="utf-8")
    hirules = Path(sys.executable).parent / "hirules"
    return start("GATE", folder, lambda _: [hirules, "serve", "--config", folder / "hirules.yaml"], listening, port=port)


def tcp(folder: Path, upstream: Server) -> Server:
    """`relay_tcp` in front of ``upstream``."""
    root = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    command: Callable[[int], Sequence[str | Path]] = lambda port: [sys.executable, "-m", "benchmarks.relay_tcp", str(port), str(upstream.port)]  # noqa: E731
    return start(upstream.aet, folder, command, listening, environment=root)


def haproxy(folder: Path, upstream: Server) -> Server:
    """Debian's haproxy in front of ``upstream``, its defaults but for time-outs."""

    def command(port: int) -> Sequence[str | Path]:
        (folder / "haproxy.cfg").write_text(
            "defaults\n mode tcp\n timeout connect 10s\n timeout client 10m\n timeout server 10m\n"
            f"listen relay\n bind {HOST}:{port}\n server upstream {HOST}:{upstream.port}\n"
        )
        return [HAPROXY, "-db", "-f", folder / "haproxy.cfg"]

    return start(upstream.aet, folder, command, listening)


def emptied(folder: Path) -> None:
    """``folder`` without what it held."""
    shutil.rmtree(folder)
    folder.mkdir()
