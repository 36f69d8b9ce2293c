"""What is timed: one run of DCMTK's clients from their start to their end, and proof that it did what was meant."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks.relay_site import MATCHES, TCP_RELAYS, Site, Study, emptied
from tests.peers.process import HOST, Server, program

CONCURRENT = 50
SECONDS = 300.0
"""A client that takes longer has failed."""
_ENVIRONMENT = os.environ | {"TCP_NODELAY": "1"}

Timed = Callable[[Site, str], float]
"""Seconds of one run by a way."""


class NotMeant(Exception):
    """What was timed is not what was meant."""


class Work(msgspec.Struct, frozen=True):
    """``what`` is timed by ``ways``, the first of which is the direct one. ``asked``: at most so many times direct, by way.

    ``of_tcp``  also asked of `gateway`: at most so many times the better TCP relay
    """

    what: str
    timed: Timed
    ways: tuple[str, ...]
    asked: dict[str, float] = {}
    of_tcp: float | None = None


def works() -> list[Work]:
    """All of them, in the order in which a round takes them."""
    relays = ("direct", *TCP_RELAYS, "gateway")
    return [
        Work("C-GET, 200 of 512 KiB, to disk", lambda site, way: get(site, way, "CT", disk=True), relays, {"gateway": 1.2}),
        Work(
            "C-GET, 200 of 512 KiB, discarded", lambda site, way: get(site, way, "CT"), (*relays, "header", "rewrite"), {"header": 1.5}, 1.15,
        ),
        Work("C-GET, 20 of 26 MB, to disk", lambda site, way: get(site, way, "MF", disk=True), relays, {"gateway": 1.2}),
        Work("C-GET, 20 of 26 MB, discarded", lambda site, way: get(site, way, "MF"), (*relays, "header", "rewrite"), {"header": 1.5}, 1.15),
        Work("C-MOVE, 200 of 512 KiB", lambda site, way: move(site, way, "CT"), ("direct", "mapped", "through"), {"mapped": 1.1, "through": 1.1}),
        Work("C-MOVE, 20 of 26 MB", lambda site, way: move(site, way, "MF"), ("direct", "mapped", "through"), {"mapped": 1.1, "through": 1.1}),
        Work(f"C-FIND, {MATCHES:,} matches", find, relays, {"gateway": 1.15}),
        Work(f"{CONCURRENT} C-GETs at once, 20 of 512 KiB each", concurrent, relays, {"gateway": 1.35}),
    ]  # fmt: skip


def get(site: Site, way: str, name: str, *, disk: bool = False) -> float:
    """A C-GET, written bit by bit or discarded."""
    study = site.studies[name]
    with tempfile.TemporaryDirectory(dir=site.folder) as folder:
        seconds = _clients([_getscu(site.ways[way], study, Path(folder) if disk else None)], Path(folder), *_complete(study))
        if disk:
            sizes = [file.stat().st_size for file in Path(folder).iterdir() if file.suffix != ".txt"]
            _assert(len(sizes) == study.count and all(size > study.size for size in sizes), f"{len(sizes)} files of {study.count}")
        return seconds


def concurrent(site: Site, way: str) -> float:
    """So many C-GETs at once, discarded; all of them come to their end."""
    study = site.studies["part"]
    with tempfile.TemporaryDirectory(dir=site.folder) as folder:
        return _clients([_getscu(site.ways[way], study, None)] * CONCURRENT, Path(folder), *_complete(study))


def move(site: Site, way: str, name: str) -> float:
    """A C-MOVE to a destination that writes: direct, direct under another name by the gateway, or through it."""
    study, folder = site.studies[name], site.received["DEST"]
    server = site.ways["direct" if way == "direct" else "gateway"]
    destination = {"direct": "DEST", "mapped": "MAPPED", "through": "THROUGH"}[way]
    keys = [part for key in study.keys for part in ("-k", key)]
    command = [program("/usr/bin/movescu"), "-S", "-aet", "BENCH", "-aec", server.aet, "-aem", destination, *keys, HOST, str(server.port)]
    seconds = _clients([command], site.folder)
    sizes = [file.stat().st_size for file in folder.iterdir()]
    emptied(folder)
    _assert(len(sizes) == study.count and all(size > study.size for size in sizes), f"{len(sizes)} files of {study.count}")
    return seconds


def find(site: Site, way: str) -> float:
    """A C-FIND, its matches printed as findscu does it."""
    server = site.finding[way]
    keys = [part for key in ("QueryRetrieveLevel=IMAGE", "StudyInstanceUID=1.2.3.4.5", "PatientID", "PatientName", "SOPInstanceUID") for part in ("-k", key)]
    command = [program("/usr/bin/findscu"), "-S", "-v", "-aet", "BENCH", "-aec", server.aet, *keys, HOST, str(server.port)]
    output = site.folder / "found.txt"
    begin = time.perf_counter()
    with output.open("wb") as file:
        code = _ended(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=_ENVIRONMENT))
    seconds = time.perf_counter() - begin
    found = output.read_bytes().count(b"Find Response:")
    _assert(code == 0 and found == site.matches, f"{found} matches, exit {code}")
    return seconds


def _getscu(server: Server, study: Study, folder: Path | None) -> list[str]:
    to = ["--ignore"] if folder is None else ["+B", "-od", str(folder)]
    keys = [part for key in study.keys for part in ("-k", key)]
    # `-v` says the counts of the final response
    return [program("/usr/bin/getscu"), "-S", "-v", "-aet", "BENCH", "-aec", server.aet, *to, *keys, HOST, str(server.port)]


def _complete(study: Study) -> tuple[str, str]:
    return "Received C-GET Response (Success)", f"Completed Suboperations : {study.count}\n"


def _clients(commands: Sequence[Sequence[str]], folder: Path, *said: str) -> float:
    """Seconds until all have ended, each with 0 and with what it must have said."""
    outputs = [(folder / f"client-{number}.txt").open("w+b") for number in range(len(commands))]
    begin = time.perf_counter()
    running = [
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=_ENVIRONMENT)
        for command, output in zip(commands, outputs, strict=True)
    ]
    codes = [_ended(process) for process in running]
    seconds = time.perf_counter() - begin
    for command, code, output in zip(commands, codes, outputs, strict=True):
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
        output.close()
        _assert(code == 0 and all(part in text for part in said), f"{command[0]} ended with {code}:\n{text[-600:]}")
    return seconds


def _ended(process: subprocess.Popen[bytes]) -> int:
    """Its exit code, as soon as it has one: `wait` with a time-out looks only every 50 ms, which would round what is measured."""
    patience = threading.Timer(SECONDS, process.kill)
    patience.start()
    try:
        return process.wait()
    finally:
        patience.cancel()


def _assert(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotMeant(otherwise)
