"""What is too quick for a client's process: latencies on one connection, and associations that only wait."""

from __future__ import annotations

import os
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification
from pynetdicom.presentation import StoragePresentationContexts, build_context
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove, Verification  # type: ignore[attr-defined]

from benchmarks.relay_find import received
from benchmarks.relay_site import Site
from hirules.dimse.identifier import write
from hirules.dimse.message import C_ECHO_RQ, C_MOVE_RQ, NO_DATA_SET, encode_command, parse_command
from hirules.dimse.pdu import A_ASSOCIATE_AC, COMMAND, LAST, P_DATA_TF, data_pdu, release_request_pdu
from hirules.model.dataset import dataset_of
from tests.peers.process import HOST, Server

TIMES = 200
ECHO, MOVE = 1, 3
IDLE = 50
SECONDS = 5.0
"""That they wait."""
_TICK = os.sysconf("SC_CLK_TCK")


def request(called: str, calling: str = "BENCH", contexts: int = 121) -> bytes:
    """An A-ASSOCIATE-RQ with as many contexts as a viewer's."""
    asked = A_ASSOCIATE()
    asked.application_context_name = UID("1.2.840.10008.3.1.1.1")
    asked.calling_ae_title, asked.called_ae_title = calling, called
    offered = [build_context(Verification, ImplicitVRLittleEndian), build_context(StudyRootQueryRetrieveInformationModelMove, ImplicitVRLittleEndian)]
    offered += [build_context(str(one.abstract_syntax)) for one in StoragePresentationContexts[: contexts - 2]]
    for number, context in enumerate(offered):
        context.context_id = 2 * number + 1
    asked.presentation_context_definition_list = offered
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 16384, UID("1.2.826.0.1.3680043.9.3811.3.0.4")
    asked.user_information = [length, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(asked)
    return pdu.encode()


@contextmanager
def associated(server: Server, asked: bytes) -> Iterator[socket.socket]:
    """An association, released at the end of the block."""
    with socket.create_connection((HOST, server.port), timeout=60) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.sendall(asked)
        kind, _ = received(peer)
        if kind != A_ASSOCIATE_AC:
            raise ConnectionError(f"a PDU of type {kind} instead of A-ASSOCIATE-AC")
        yield peer
        peer.sendall(release_request_pdu())
        received(peer)


def status(peer: socket.socket) -> int:
    """The status of the next response."""
    kind, pdu = received(peer)
    if kind != P_DATA_TF:
        raise ConnectionError(f"a PDU of type {kind} instead of a response")
    return int(str(parse_command(pdu[12:], lenient=True).values["Status"]))


def echoes(server: Server) -> list[float]:
    """Seconds of C-ECHOs on one association."""
    ping = {"AffectedSOPClassUID": str(Verification), "CommandField": C_ECHO_RQ, "CommandDataSetType": NO_DATA_SET}
    return _asked(server, lambda number: data_pdu(ECHO, COMMAND | LAST, encode_command({**ping, "MessageID": number})), 0)


def refusals(server: Server, study: str) -> list[float]:
    """Seconds of C-MOVEs of ``study`` to a destination that the gateway, or the archive itself, refuses."""
    move = {
        "AffectedSOPClassUID": str(StudyRootQueryRetrieveInformationModelMove), "CommandField": C_MOVE_RQ, "CommandDataSetType": 1, "Priority": 0,
        "MoveDestination": "STRANGER",
    }  # fmt: skip
    identifier = data_pdu(MOVE, LAST, write(dataset_of({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}), ImplicitVRLittleEndian))
    return _asked(server, lambda number: data_pdu(MOVE, COMMAND | LAST, encode_command({**move, "MessageID": number})) + identifier, 0xA801)


def _asked(server: Server, made: Callable[[int], bytes], expected: int) -> list[float]:
    times = []
    with associated(server, request(server.aet)) as peer:
        for number in range(1, TIMES + 1):
            message = made(number)
            begin = time.perf_counter()
            peer.sendall(message)
            answer = status(peer)
            times.append(time.perf_counter() - begin)
            if answer != expected:
                raise ConnectionError(f"status {answer:#06x}")
    return times


def associations(server: Server) -> list[float]:
    """Seconds from the connection to the A-ASSOCIATE-AC of associations with 121 contexts."""
    asked, times = request(server.aet), []
    for _ in range(TIMES // 4):
        begin = time.perf_counter()
        with associated(server, asked):
            times.append(time.perf_counter() - begin)
    return times


def latencies(site: Site, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds, medians over interleaved rounds: of what, by way."""
    kinds: Mapping[str, tuple[Callable[[Server], list[float]], tuple[str, ...]]] = {
        "C-ECHO": (echoes, ("direct", "haproxy", "tcp", "gateway")),
        "C-MOVE that is refused": (lambda server: refusals(server, site.studies["part"].uid), ("direct", "gateway")),
        "association of 121 contexts": (associations, ("direct", "haproxy", "tcp", "gateway")),
    }
    found: dict[str, dict[str, float]] = {}
    for what, (measured, ways) in kinds.items():
        there = [way for way in ways if way in site.ways]
        times: dict[str, list[float]] = {way: [] for way in there}
        for _ in range(rounds):
            for way in there:
                times[way] += measured(site.ways[way])
        found[what] = {way: 1000 * statistics.median(times[way]) for way in there}
    return found


def idle(server: Server, seconds: float = SECONDS) -> float:
    """The share of a core that the process of ``server`` uses while associations only wait."""
    asked = request(server.aet)
    peers = []
    try:
        for _ in range(IDLE):
            peer = socket.create_connection((HOST, server.port), timeout=60)
            peers.append(peer)
            peer.sendall(asked)
            if received(peer)[0] != A_ASSOCIATE_AC:
                raise ConnectionError("an association was not accepted")
        time.sleep(1)
        before, begin = _cpu(server), time.perf_counter()
        time.sleep(seconds)
        return (_cpu(server) - before) / (time.perf_counter() - begin)
    finally:
        for peer in peers:
            peer.close()


def _cpu(server: Server) -> float:
    """Seconds of all threads of its process, user and system."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def memory(server: Server) -> tuple[float, float]:
    """Resident megabytes of its process: now, and the most since :func:`forget_peak`."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    values = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if name in ("VmRSS", "VmHWM")}
    return values["VmRSS"] / 1024, values["VmHWM"] / 1024


def forget_peak(server: Server) -> None:
    """From now on the peak is counted anew (`proc(5)`, clear_refs)."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
