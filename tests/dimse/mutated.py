"""Mutated PDUs against `hirules serve`: ``python -m tests.dimse.mutated --count 100000 --seed 1``.

Each mutated message is followed by a C-ECHO; what is counted was dealt with: the C-ECHO was answered, or the association was ended. Laws:
the gateway runs on without a mistake in its log; nothing reaches the archive, and nothing comes to a client, that the policy forbids
(``instrumented.py``); nobody waits in vain; a client that behaves is served all the while; threads and files are afterwards what they were.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.dimse.instrumented import DESTINATION, FIND_RQ, GET_RQ, PRINTER, SECRET, STORED, Upstream, command, message
from tests.dimse.mutations import CONTEXTS, FIND, GET, ON, OPEN, SEALED, echo, mutated, mutated_request, query, request
from tests.peers.process import HOST, Server, listening, start

POLICY = f"""\
hirules: 1
policy: mutated
title: What the instrumented archive checks
owner: the tests
lists:
  open: [P1, P2]
rules:
  - {{id: known, on: associate, when: {{subject.ae_title: {{not_in: [FUZZ, GOOD]}}}}, deny: {{}}}}
  - {{id: find, on: c-find, when: {{request.Identifier.PatientID: {{in: $open}}}}, allow: {{}}}}
  - {{id: get, on: c-get, when: {{resource.PatientID: {{in: $open}}}}, allow: {{}}}}
  - {{id: move, on: c-move, when: {{resource.PatientID: {{in: $open}}, request.MoveDestination: {DESTINATION}}}, allow: {{}}}}
  - {{id: store, on: c-store, when: {{request.AffectedSOPClassUID: CTImageStorage, request.AffectedSOPInstanceUID: {STORED}}}, allow: {{}}}}
  - {{id: sub, on: c-store, when: {{request.action: c-get}}, allow: {{}}}}
  - {{id: printer, on: n-get, when: {{request.RequestedSOPInstanceUID: {PRINTER}}}, allow: {{}}}}
  - {{id: sealed-matches, on: answer, when: {{instance.PatientID: {{not_in: $open}}}}, deny: {{respond: no-match}}}}
  - {{id: sealed-instances, on: release, when: {{request.action: c-get, instance.PatientID: {{not_in: $open}}}}, deny: {{respond: no-match}}}}
  - {{id: births, on: release, when: {{request.action: c-get}}, rewrite: [{{remove: instance.PatientBirthDate}}]}}
"""
MISTAKES = re.compile(r"Traceback|an error in the gateway| ERROR ")
BARRIER = 60000
"""The message ids of the C-ECHOs begin here."""
PATIENCE = 25.0
"""Seconds; the gateway's own time-outs are a fifth of it."""
MESSAGES = 40
"""Mutated ones of an association at most."""


@dataclass
class Found:
    """What came of a run."""

    sent: int = 0
    answered: int = 0
    """Mutated messages after which the association went on."""
    ended: int = 0
    requests: int = 0
    """Mutated A-ASSOCIATE-RQs."""
    associations: int = 0
    served: int = 0
    """Rounds of the client that behaves."""
    seconds: float = 0.0
    reached: Counter[str] = field(default_factory=Counter)
    """Requests at the archive."""
    problems: list[str] = field(default_factory=list)


def serve(folder: Path, upstream: Upstream) -> Server:
    """The gateway, with short time-outs."""
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "mutated.yaml").write_text(POLICY, encoding="utf-8")

    def arguments(port: int) -> list[str | Path]:
        settings = {
            "policies": "policies",
            "audit": {"file": "audit.jsonl"},
            "dimse": {
                "listen": f"GATE@{HOST}:{port}", "upstream": f"PACS@{HOST}:{upstream.port}", "lookup_ae_title": "LOOKUP", "lookup_idle": 1,
                "artim_timeout": 2, "idle_timeout": 5, "acceptance_timeout": 5, "send_timeout": 5, "data_set_size": 1 << 20,
            },
        }  # fmt: skip
        (folder / "hirules.yaml").write_text(json.dumps(settings), encoding="utf-8")
        return [Path(sys.executable).parent / "hirules", "serve", "--verbose", "--config", folder / "hirules.yaml"]

    return start("GATE", folder, arguments, listening)


def run(folder: Path, count: int, seed: int, workers: int = 6) -> Found:
    """``count`` mutated messages. The same seed sends the same."""
    upstream = Upstream()
    gateway = serve(folder, upstream)
    try:
        return Run(gateway, upstream, count, seed).run(workers)
    finally:
        gateway.stop()
        upstream.stop()


class Run:
    """One run towards one gateway."""

    def __init__(self, gateway: Server, upstream: Upstream, count: int, seed: int) -> None:
        self._gateway, self._upstream = gateway, upstream
        self._count, self._seed = count, seed
        self._found = Found()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._next = 0
        self._request = request("FUZZ", "GATE")

    def run(self, workers: int) -> Found:
        """See ``Found.problems``."""
        self._round()
        before, began = held(self._gateway), time.monotonic()
        threads = [threading.Thread(target=self._guarded, args=(self._fuzz,)) for _ in range(workers)]
        good = threading.Thread(target=self._guarded, args=(self._behave,))
        for thread in [*threads, good]:
            thread.start()
        for thread in threads:
            thread.join()
        self._stop.set()
        good.join()
        found = self._found
        found.seconds = time.monotonic() - began
        found.reached = self._upstream.reached
        found.problems += self._upstream.violations
        if not self._gateway.running:
            found.problems.append(f"the gateway ended with {self._gateway.process.returncode}")
            return found
        self._round()
        deadline = time.monotonic() + PATIENCE
        while (now := held(self._gateway)) > before and time.monotonic() < deadline:
            time.sleep(0.2)
        if now[0] > before[0] or now[1] > before[1]:
            found.problems.append(f"the gateway holds {now} threads and files, before {before}")
        if code := self._gateway.stop():
            found.problems.append(f"the gateway ended with {code}")
        found.problems += [f"log: {line}" for line in self._gateway.text().splitlines() if MISTAKES.search(line)]
        return found

    def _guarded(self, job: object) -> None:
        try:
            job()  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001 - a run without its clients would prove nothing: told as a problem
            with self._lock:
                self._found.problems.append(f"{type(error).__name__}: {error}")

    # -- the client that spoils -------------------------------------------------------------------

    def _fuzz(self) -> None:
        while True:
            with self._lock:
                if self._found.sent >= self._count or len(self._found.problems) > 50 or not self._gateway.running:
                    return
                number, self._next = self._next, self._next + 1
            self._association(number)

    def _association(self, number: int) -> None:
        dice = random.Random(f"{self._seed}:{number}")
        with Peer(self._gateway.port) as peer:
            first = mutated_request(dice, self._request) if dice.random() < 0.15 else self._request
            peer.send(first)
            if first != self._request:
                self._add(sent=1, requests=1)
                if not consistent([first]):
                    peer.finish()
            answer = peer.pdu()
            if not answer or answer[0] != 2:
                peer.finish()
                peer.rest()
                self._looked_at(peer, number)
                return
            self._add(associations=1)
            for turn in range(MESSAGES):
                going_on = self._message(peer, dice, BARRIER + turn)
                self._add(sent=1, answered=int(going_on), ended=int(not going_on))
                if not going_on:
                    break
            else:
                peer.send(b"\x05\0\0\0\0\x04\0\0\0\0")
            peer.finish()
            peer.rest()
            self._looked_at(peer, number)

    def _message(self, peer: Peer, dice: random.Random, barrier: int) -> bool:
        """Whether the association went on after it."""
        pdus = mutated(dice)
        peer.send(b"".join([*pdus, *echo(barrier)]))
        if not consistent(pdus):
            peer.finish()
        return peer.echoed(barrier)

    def _looked_at(self, peer: Peer, number: int) -> None:
        problems = []
        if SECRET in peer.received:
            problems.append(f"association {number}: the sealed patient's name came")
        if peer.hung:
            problems.append(f"association {number}: nothing came for {PATIENCE} s, and it was not ended")
        if problems:
            with self._lock:
                self._found.problems += problems

    def _add(self, **counts: int) -> None:
        with self._lock:
            for name, count in counts.items():
                setattr(self._found, name, getattr(self._found, name) + count)

    # -- the client that behaves ------------------------------------------------------------------

    def _behave(self) -> None:
        while not self._stop.is_set():
            self._round()
            self._found.served += 1
            self._stop.wait(0.05)

    def _round(self) -> None:
        """It is answered as ever. Raises ``AssertionError``."""
        with Peer(self._gateway.port) as peer:
            peer.send(request("GOOD", "GATE"))
            assert peer.pdu()[:1] == b"\x02", "the client that behaves got no association"
            asked = {"Priority": 0, "CommandDataSetType": 1}
            find, get = (dict[str, Any](AffectedSOPClassUID=uid, **asked) for uid in (FIND, GET))
            peer.send(b"".join(echo(1)))
            assert peer.echoed(1), "its C-ECHO was not answered"
            peer.send(b"".join(message(ON[FIND], command(CommandField=FIND_RQ, MessageID=2, **find), query(patient="P1"))))
            statuses = peer.statuses(FIND_RQ)
            assert statuses == [0xFF00, 0], f"its C-FIND was answered with {statuses}"
            peer.send(b"".join(message(ON[FIND], command(CommandField=FIND_RQ, MessageID=3, **find), query(patient="SEALED"))))
            statuses = peer.statuses(FIND_RQ)
            assert statuses == [0x0124], f"its forbidden C-FIND was answered with {statuses}"
            peer.send(b"".join(message(ON[GET], command(CommandField=GET_RQ, MessageID=4, **get), query(SEALED))))
            statuses = peer.statuses(GET_RQ)
            assert statuses == [0x0124], f"its forbidden C-GET was answered with {statuses}"
            peer.send(b"".join(message(ON[GET], command(CommandField=GET_RQ, MessageID=5, **get), query(OPEN))))
            assert peer.statuses(GET_RQ)[-1:] == [0], "its C-GET did not succeed"
            assert peer.received.count(b"OPEN^NAME") == 3, "its instances did not come"
            assert SECRET not in peer.received, "it got the sealed patient's name"
            peer.send(b"\x05\0\0\0\0\x04\0\0\0\0")
            assert peer.pdu()[:1] == b"\x06", "its release was not answered"


class Peer:
    """A connection of a client. Nothing is raised when the gateway has ended it."""

    def __init__(self, port: int) -> None:
        self.received = b""
        self.hung = False
        self._socket = socket.create_connection((HOST, port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(PATIENCE)
        self._read = 0

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """All of it, if it is taken."""
        try:
            self._socket.sendall(data)
        except (ConnectionError, BrokenPipeError):
            return  # it was ended meanwhile, which reading will tell

    def finish(self) -> None:
        """Nothing more comes."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it was ended already

    def pdu(self) -> bytes:
        """The next one; empty at the end."""
        while True:
            left = self.received[self._read :]
            if len(left) >= 6 and len(left) >= 6 + int.from_bytes(left[2:6], "big"):
                size = 6 + int.from_bytes(left[2:6], "big")
                self._read += size
                return left[:size]
            if not self._more():
                return b""

    def rest(self) -> None:
        """Everything until the end."""
        while self._more():
            pass

    def echoed(self, number: int) -> bool:
        """The C-ECHO ``number`` was answered; sub-operations that come meanwhile are answered. ``False`` at the end."""
        while pdu := self.pdu():
            if pdu[0] != 4:
                continue
            values = fields(pdu)
            if values.get(0x100) == 0x8030 and values.get(0x120) == number:
                return True
            self._stored(pdu, values)
        return False

    def statuses(self, field_: int) -> list[int]:
        """Of the responses, up to the final one."""
        found = []
        while pdu := self.pdu():
            values = fields(pdu)
            if values.get(0x100) == field_ | 0x8000:
                found.append(values[0x900])
                if values[0x900] != 0xFF00:
                    return found
            self._stored(pdu, values)
        return found

    def _stored(self, pdu: bytes, values: dict[int, int]) -> None:
        """Answer a C-STORE."""
        if values.get(0x100) != 1 or 0x110 not in values:
            return
        told = command(AffectedSOPClassUID=CONTEXTS[9], CommandField=0x8001, MessageIDBeingRespondedTo=values[0x110], CommandDataSetType=0x0101, Status=0)
        self.send(b"".join(message(pdu[10], told)))

    def _more(self) -> bool:
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            self.hung = True
            return False
        except ConnectionError:
            return False
        self.received += data
        return bool(data)


def fields(pdu: bytes) -> dict[int, int]:
    """The numbers of 16 bits in a command set of one PDV; empty for a data set."""
    found: dict[int, int] = {}
    if len(pdu) < 12 or not pdu[11] & 1:
        return found
    at = 12
    while at + 8 <= len(pdu):
        _, element, length = struct.unpack_from("<HHL", pdu, at)
        if length == 2:
            found[element] = int.from_bytes(pdu[at + 8 : at + 10], "little")
        at += 8 + length
    return found


def consistent(pdus: list[bytes]) -> bool:
    """Whether these are whole PDUs by the lengths in their headers: else the gateway waits for more, or what follows is part of them."""
    data, at = b"".join(pdus), 0
    while at + 6 <= len(data):
        at += 6 + int.from_bytes(data[at + 2 : at + 6], "big")
    return at == len(data)


def held(gateway: Server) -> tuple[int, int]:
    """Threads and files."""
    process = Path("/proc") / str(gateway.process.pid)
    return len(os.listdir(process / "task")), len(os.listdir(process / "fd"))  # noqa: PTH208 - counted, not walked


def main() -> int:
    """One run; the exit code is 1 where a law does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.dimse.mutated", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where log and record are kept; left out: nowhere")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutated-") as fresh:
        found = run(chosen.folder or Path(fresh), chosen.count, chosen.seed, chosen.workers)
    print(
        f"{found.sent:,} mutated messages ({found.requests:,} of them A-ASSOCIATE-RQs) in {found.associations:,} associations and {found.seconds:.0f} s: "
        f"after {found.answered:,} the association went on, {found.ended:,} ended it; the client that behaves was served {found.served:,} times"
    )
    print("at the archive: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(found.reached.items())))
    for problem in found.problems[:50]:
        print(problem, file=sys.stderr)
    print(f"{len(found.problems)} problems")
    return int(bool(found.problems))


if __name__ == "__main__":
    sys.exit(main())
