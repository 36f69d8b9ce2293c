"""What the gateway costs: DCMTK's clients towards an archive, through ``hirules serve`` and without it, in turns.

python -m benchmarks.relay [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import generate_uid

from tests.e2e.gateway import serve
from tests.peers import servers
from tests.peers.clients import Client, Run
from tests.peers.objects import FOLDER, Instance, read
from tests.peers.process import Server

INSTANCES = 200
SIZE = 512
"""Of the instances: rows and columns of 16 bits, so 512 KiB each."""


def instances(folder: Path) -> list[Instance]:
    """One CT study of 512 KiB instances, made from the wheel's small one."""
    folder.mkdir()
    data_set = dcmread(FOLDER / "CT_small.dcm")
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID = generate_uid(), generate_uid()
    data_set.Rows = data_set.Columns = SIZE
    data_set.PixelData = bytes(2 * SIZE * SIZE)
    made = []
    for number in range(INSTANCES):
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data_set.InstanceNumber = number
        data_set.save_as(folder / f"{number}.dcm")
        made.append(read(folder / f"{number}.dcm"))
    return made


def workloads(study: list[Instance]) -> Mapping[str, Callable[[Client], Run]]:
    """What is timed, each a run of one client from its start to its end."""
    keys = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study[0].study}")
    images = ("QueryRetrieveLevel=IMAGE", keys[1], f"SeriesInstanceUID={study[0].series}", "SOPInstanceUID")
    return {
        "C-ECHO": lambda client: client.echo(),
        f"C-FIND, {INSTANCES} matches": lambda client: client.find(*images),
        f"C-GET, {INSTANCES} of 512 KiB": lambda client: client.get(*keys, options=["--ignore"]),
        f"C-MOVE, {INSTANCES} of 512 KiB": lambda client: client.move("DEST", *keys),
        "C-MOVE, refused": lambda client: client.move("STRANGER", *keys),
    }


@contextmanager
def stopped(server: Server) -> Iterator[Server]:
    """The server, until the end of the block."""
    try:
        yield server
    finally:
        server.stop()


def answered(what: str, done: Run) -> None:
    """What was timed is what was meant."""
    if what == "C-ECHO":
        assert done.echoed
    elif "refused" in what:
        assert done.status in (0xA801, 0xC000)
    else:
        assert done.status == 0, done.text[-2000:]
        assert len(done.messages) > INSTANCES or "C-MOVE" in what


def main(rounds: int = 5) -> None:
    """Prints a table: medians through the gateway and without it, and their ratio."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        study = instances(folder / "files")
        receiver = stack.enter_context(stopped(servers.storescp(folder / "receiver", "DEST")))
        for archive in (servers.dcmqrscp, servers.orthanc):
            root = folder / archive.__name__
            if archive is servers.dcmqrscp:
                upstream = stack.enter_context(stopped(servers.dcmqrscp(root, {"DEST": receiver.port}, instances=study)))
            else:
                upstream = stack.enter_context(stopped(servers.orthanc(root, {"DEST": receiver.port})))
                servers.fill(upstream, study)
            gateway = stack.enter_context(stopped(serve(root / "gateway", upstream)))
            ways = {name: Client("CLIENT", peer.aet, peer.port, root / f"{name}-client") for name, peer in (("direct", upstream), ("gateway", gateway))}
            print(f"\n{upstream.aet}, {rounds} rounds, medians in ms\n{'':32}{'direct':>10}{'gateway':>10}{'ratio':>8}")
            for what, work in workloads(study).items():
                times: dict[str, list[float]] = {name: [] for name in ways}
                for _ in range(rounds):
                    for way, client in ways.items():
                        begin = time.perf_counter()
                        done = work(client)
                        times[way].append(1000 * (time.perf_counter() - begin))
                        answered(what, done)
                direct, through = (statistics.median(times[name]) for name in ("direct", "gateway"))
                print(f"{what:32}{direct:10.1f}{through:10.1f}{through / direct:8.2f}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
