"""Where the time of an instance goes in the gateway: its relay, its decisions and its record, without sockets, under cProfile.

One C-GET brings the same instance again and again, in P-DATA-TF of 16 KiB and reads of 256 KiB; what would be sent is thrown away.
A profiler makes many small functions look dearer than they are; the microseconds without it are told beside.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import msgspec
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import CTImageStorage, StudyRootQueryRetrieveInformationModelGet  # type: ignore[attr-defined]

from benchmarks.relay_site import HEADER, PLAIN, REWRITE
from benchmarks.relay_work import NotMeant
from hirules.assemble.serving import serving
from hirules.dimse.association import Association, Context
from hirules.dimse.identifier import write
from hirules.dimse.message import C_GET_RQ, C_STORE_RQ, NO_DATA_SET, RESPONSE, encode_command
from hirules.dimse.pdu import message_pdus
from hirules.dimse.pump import Lane, Pump
from hirules.dimse.relay import Relay
from hirules.dimse.ruling import Desk
from hirules.dimse.transport import BUFFER_SIZE, Peer
from hirules.model.dataset import dataset_of
from hirules.settings import AuditSettings, DimseSettings, Settings
from tests.peers.clients import after_meta

INSTANCES = 200
TURNS = 5
GET, CT = 1, 3
PDU = 16384
POLICIES: Mapping[str, str] = {"gateway": PLAIN, "header": PLAIN + HEADER, "rewrite": PLAIN + REWRITE}
SHOWN = 14
"""Rows of a table."""


class Cost(msgspec.Struct, frozen=True):
    """One way: µs of an instance without the profiler and with it, and of the functions that take most of it, each with what it calls."""

    way: str
    microseconds: float
    profiled: float
    functions: tuple[tuple[str, float, float], ...]
    """Where, µs an instance with what it calls, and by itself."""


class Nowhere:
    """A peer that takes everything; ``taken`` bytes."""

    def __init__(self) -> None:
        self.taken = 0

    def sendall(self, data: bytes) -> None:
        """All of it."""
        self.taken += len(data)

    def sendmsg(self, pieces: Sequence[bytes]) -> int:
        """All of them."""
        size = sum(map(len, pieces))
        self.taken += size
        return size


def run(file: Path) -> tuple[Cost, ...]:
    """The costs of an instance of ``file`` by each way."""
    data_set, uid = after_meta(file.read_bytes()), str(dcmread(file, stop_before_pixels=True).SOPInstanceUID)
    return tuple(cost(way, policy, data_set, uid) for way, policy in POLICIES.items())


def cost(way: str, policy: str, data_set: bytes, uid: str) -> Cost:
    """What ``policy`` makes the instance ``uid`` cost."""
    with retrieving(policy) as (pumps, client, streams):
        instances = [messages(number, data_set, uid) for number in range(1, INSTANCES * (TURNS + 2) + 1)]
        turns = [instances[at : at + INSTANCES] for at in range(0, len(instances), INSTANCES)]
        relayed(pumps, turns[0], streams)
        times = []
        for turn in turns[1:-1]:
            begin = time.perf_counter()
            relayed(pumps, turn, streams)
            times.append(time.perf_counter() - begin)
        if client.taken < INSTANCES * (TURNS + 1) * (len(data_set) - 4096):
            raise NotMeant("not every instance left")
        profile = cProfile.Profile()
        profile.runcall(relayed, pumps, turns[-1], streams)
    each = 1e6 / INSTANCES
    total, functions = _functions(profile)
    return Cost(way, min(times) * each, total * each, tuple((name, inside * each, own * each) for name, inside, own in functions))


@contextmanager
def retrieving(policy: str) -> Iterator[tuple[tuple[Pump, Pump], Nowhere, memoryview]]:
    """Both directions of an association with an outstanding C-GET, as `hirules serve` makes them, its client, and a buffer to read into."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "policies").mkdir()
        (folder / "policies" / "research.yaml").write_text(policy, encoding="utf-8")
        parts = serving(
            Settings(
                policies=str(folder / "policies"), reload=False, audit=AuditSettings(file=str(folder / "audit.jsonl")),
                dimse=DimseSettings(listen="GATE@127.0.0.1:0", upstream="PACS@127.0.0.1:104"),
            )
        )  # fmt: skip
        try:
            contexts = {
                GET: Context(GET, str(StudyRootQueryRetrieveInformationModelGet), str(ImplicitVRLittleEndian)),
                CT: Context(CT, str(CTImageStorage), str(ExplicitVRLittleEndian), scp_role=True),
            }
            association = Association(
                "BENCH", "GATE", contexts, "10.1.2.3", implementation_class_uid="1.2.3.4", requestor_max_length=PDU, acceptor_max_length=PDU, accepted=True
            )
            relay, desk = Relay(association, parts.options), Desk(parts.gate, parts.options, association)
            client, nowhere = Nowhere(), cast(Peer, Nowhere())
            to_client, to_upstream = Lane(cast(Peer, client)), Lane(nowhere)
            ahead = Pump("client", nowhere, relay.client, to_upstream, to_client, desk)
            back = Pump("upstream", nowhere, relay.upstream, to_client, to_upstream, desk)
            command = {"AffectedSOPClassUID": contexts[GET].abstract_syntax, "CommandField": C_GET_RQ, "MessageID": 1, "Priority": 0, "CommandDataSetType": 1}
            identifier = write(dataset_of({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3.4"}), ImplicitVRLittleEndian)
            ahead.take(memoryview(message_pdus(GET, encode_command(command), identifier, PDU)))
            yield (ahead, back), client, memoryview(bytearray(BUFFER_SIZE))
        finally:
            parts.close()


def messages(number: int, data_set: bytes, uid: str) -> tuple[bytes, bytes]:
    """A C-STORE of ``data_set``, and its response."""
    asked: dict[str, object] = {
        "AffectedSOPClassUID": str(CTImageStorage), "CommandField": C_STORE_RQ, "MessageID": number, "Priority": 0, "CommandDataSetType": 1,
        "AffectedSOPInstanceUID": uid,
    }  # fmt: skip
    answered = {
        "AffectedSOPClassUID": asked["AffectedSOPClassUID"], "CommandField": C_STORE_RQ | RESPONSE, "MessageIDBeingRespondedTo": number,
        "CommandDataSetType": NO_DATA_SET, "Status": 0, "AffectedSOPInstanceUID": asked["AffectedSOPInstanceUID"],
    }  # fmt: skip
    return message_pdus(CT, encode_command(asked), data_set, PDU), message_pdus(CT, encode_command(answered), None, PDU)


def relayed(pumps: tuple[Pump, Pump], instances: Sequence[tuple[bytes, bytes]], buffer: memoryview) -> None:
    """Instances to the client, their responses back."""
    ahead, back = pumps
    for store, answer in instances:
        for at in range(0, len(store), BUFFER_SIZE):
            size = min(BUFFER_SIZE, len(store) - at)
            buffer[:size] = store[at : at + size]
            back.take(buffer[:size])
        ahead.take(memoryview(answer))


def _functions(profile: cProfile.Profile) -> tuple[float, list[tuple[str, float, float]]]:
    """Seconds in all, and those of the dearest functions."""
    stats = pstats.Stats(profile)
    root = str(Path(sys.prefix))
    source = str(Path(__file__).parent.parent / "src")
    found = []
    for (file, _, name), (_, _, own, inside, _) in stats.stats.items():  # type: ignore[attr-defined]
        place = file.removeprefix(source + "/").partition("site-packages/")[2] or file.removeprefix(source + "/")
        if file.startswith((source, root)):
            found.append((f"{place.removesuffix('.py').replace('/', '.')}.{name}", inside, own))
        elif file == "~" and own:
            found.append((name.strip("<>"), inside, own))
    found.sort(key=lambda one: -one[1])
    return stats.total_tt, found[:SHOWN]  # type: ignore[attr-defined]
