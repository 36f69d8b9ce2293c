"""Orthanc, and of DCMTK dcmqrscp, storescp and dcmprscp, as the tests need them.

archive of Orthanc    `orthanc(folder, {"DEST": port})`, then `fill(server)`
archive of DCMTK      `dcmqrscp(folder, {"DEST": port})`, already filled
receiver of C-MOVE    `storescp(folder, "DEST")`, its files in `folder/received`
printer for N-GET     `dcmprscp(folder)`
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tests.peers.clients import Client
from tests.peers.objects import Instance, archive
from tests.peers.process import HOST, PeerFailed, Server, listening, program, start


def orthanc(folder: Path, destinations: Mapping[str, int], aet: str = "ORTHANC", **settings: object) -> Server:
    """Debian's Orthanc, empty, which moves to ``destinations`` (AE title to port) and serves any client."""
    folder.mkdir(parents=True, exist_ok=True)

    def command(port: int) -> Sequence[str | Path]:
        configuration = {
            "Name": "peer",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "Plugins": [],
            "HttpServerEnabled": False,
            "DicomServerEnabled": True,
            "DicomAet": aet,
            "DicomCheckCalledAet": False,
            "DicomPort": port,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {name: [name, HOST, number] for name, number in destinations.items()},
            "SynchronousCMove": True,
            "OverwriteInstances": False,
            **settings,
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(configuration, indent=2), encoding="utf-8")
        return [program("/usr/sbin/Orthanc"), "--verbose", path]

    return start(aet, folder, command, echoes)


def fill(server: Server, instances: Iterable[Instance] = ()) -> None:
    """Stores the archive's instances (or these) in a peer."""
    paths = [instance.path for instance in instances or archive()]
    done = Client("FILLER", server.aet, server.port, server.folder / "filler").store(*paths)
    statuses = [message.status for message in done.responses("C-STORE RSP")]
    if done.code != 0 or statuses != [0] * len(paths):
        raise PeerFailed(f"storescu stored {statuses.count(0)} of {len(paths)} instances:\n{done.text[-3000:]}")


def dcmqrscp(folder: Path, destinations: Mapping[str, int], aet: str = "DCMQRSCP", instances: Iterable[Instance] = ()) -> Server:
    """DCMTK's archive with the archive's instances (or these), which moves to ``destinations``."""
    storage = folder / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    paths = [str(instance.path) for instance in instances or archive()]
    subprocess.run([program("/usr/bin/dcmqridx"), str(storage), *paths], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    configuration = folder / "dcmqrscp.cfg"

    def command(port: int) -> Sequence[str | Path]:
        hosts = "\n".join(f"{name.lower()} = ({name}, {HOST}, {number})" for name, number in destinations.items())
        configuration.write_text(
            f"MaxPDUSize = 16384\nMaxAssociations = 64\n"
            f"HostTable BEGIN\n{hosts}\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{aet} {storage} RW (200, 1024mb) ANY\nAETable END\n",
            encoding="utf-8",
        )
        return [program("/usr/bin/dcmqrscp"), "--debug", "--config", configuration, str(port)]

    return start(aet, folder, command, echoes)


def storescp(folder: Path, aet: str, *tls: str | Path) -> Server:
    """A receiver; what it receives lies bit by bit in ``folder/received``. ``tls`` are its options for TLS."""
    (folder / "received").mkdir(parents=True, exist_ok=True)

    def command(port: int) -> Sequence[str | Path]:
        return [program("/usr/bin/storescp"), "--debug", "--fork", "--promiscuous", "+xa", "+B", "-aet", aet, "-od", folder / "received", *tls, str(port)]

    return start(aet, folder, command, listening if tls else echoes)


def dcmprscp(folder: Path, aet: str = "IHEFULL") -> Server:
    """A printer that answers N-GET on the well-known Printer instance."""
    configuration = folder / "dcmprscp.cfg"
    for name in ("log", "spool", "database", "lut", "reports"):
        (folder / name).mkdir(parents=True, exist_ok=True)

    def command(port: int) -> Sequence[str | Path]:
        configuration.write_text(
            f"[[GENERAL]]\n[APPLICATION]\nLogDirectory = {folder / 'log'}\nLogFile = general.log\nLogLevel = DEBUG\n"
            f"[PRINT]\nDirectory = {folder / 'spool'}\nDetailedLog = true\n[DATABASE]\nDirectory = {folder / 'database'}\n"
            f"[LUT]\nDirectory = {folder / 'lut'}\n[REPORT]\nDirectory = {folder / 'reports'}\n[NETWORK]\naetitle = DCMPSTATE\n"
            f"[[COMMUNICATION]]\n[{aet}]\nAetitle = {aet}\nDescription = {PRINTER_NAME}\nHostname = {HOST}\nPort = {port}\nType = LOCALPRINTER\n"
            "DisplayFormat=1,1\\2,2\nFilmSizeID = 8INX10IN\nMediumType = PAPER\\CLEAR FILM\nMaxPDU = 32768\nSupportsPresentationLUT = true\n",
            encoding="utf-8",
        )
        return [program("/usr/bin/dcmprscp"), "--debug", "--dump", "--config", configuration, "--printer", aet]

    return start(aet, folder, command, listening)


PRINTER_NAME = "a printer of the tests"


def echoes(server: Server) -> bool:
    """The peer answers a C-ECHO."""
    if not listening(server):
        return False
    entity = AE("READY")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    entity.add_requested_context(Verification)
    association = entity.associate(HOST, server.port, ae_title=server.aet)
    if not association.is_established:
        return False
    status = association.send_c_echo()
    association.release()
    return bool("Status" in status and status.Status == 0)
