"""The client is killed, half-open or does not read; so is the destination of a C-MOVE that goes through. Cancels, at once and late."""

from __future__ import annotations

import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_CANCEL_RQ, C_MOVE_RQ
from pynetdicom.dimse_primitives import C_CANCEL, C_MOVE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove  # type: ignore[attr-defined]

from tests.dimse.instrumented import acceptance, message
from tests.dimse.instrumented import command as encode
from tests.dimse.mutations import request as proposal
from tests.e2e.wire import COMMAND, GET, P_DATA_TF, Connection, associate_rq, associated, get, p_data, pdvs, release_rq
from tests.faults.site import ALLOWED, LARGE_STUDY, STUDY, Retrieve, Site, keys, records, until
from tests.peers.process import HOST

WAYS = pytest.mark.parametrize("way", ["get", "through"])
TCP_REPAIR = 19
"""linux/tcp.h: a socket that is closed in this mode says nothing to its peer."""


def slow(_: object) -> int:
    """A destination that takes its time."""
    time.sleep(0.05)
    return 0


def outcome(site: Site, title: str, action: str) -> dict[str, object]:
    """Of the one request of this kind under this title."""
    lines = records(site.audit)
    asked = {line["id"] for line in lines if line["entry"] == "decision" and line["action"] == action and line["subject"]["ae_title"] == title}
    found = [line["outcome"] for line in lines if line["entry"] == "outcome" and line["id"] in asked]
    return dict(found[0]) if found else {}


@WAYS
def test_it_is_killed(site: Site, way: str, tmp_path: Path) -> None:
    """getscu and movescu, with SIGKILL."""
    with site.watched():
        title = site.title()
        arrived = Retrieve(title)
        site.destination.retrieves[title] = arrived
        site.destination.behave = slow
        program = ["/usr/bin/getscu", "-B"] if way == "get" else ["/usr/bin/movescu", "--move", "DEST"]
        asked = ["-S", "-aet", title, "-aec", "GATE", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}", HOST, str(site.port)]
        process = subprocess.Popen([*program, *asked], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if way == "get":
            until(lambda: list(tmp_path.iterdir()) or process.poll() is not None, "an instance", step=0.0005)
        else:
            arrived.has(2)
        process.kill()
        process.wait(20)
        until(lambda: outcome(site, title, "c-get" if way == "get" else "c-move"), "the outcome")
        if way == "through":
            assert set(arrived.received) < ALLOWED
        site.works(way)


def asking(site: Site, study: str = STUDY, buffer: int = 0) -> tuple[Connection, str]:
    """A client on the wire whose C-GET is on its way."""
    title = site.title()
    if buffer:
        connection = Connection.__new__(Connection)
        connection.socket = socket.socket()
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.socket.settimeout(60)
        connection.socket.connect((HOST, site.port))
        connection.send(associate_rq(title, "GATE"))
        assert connection.pdu()[0] == 2
    else:
        connection = associated(site.port, title, "GATE")
    command, data = get(keys(study))
    connection.send(p_data(pdvs(GET, command, COMMAND, 1)) + p_data(pdvs(GET, data, 0, 1)))
    return connection, title


def vanish(connection: Connection) -> None:
    """The machine of the client is gone: no FIN, no RST.

    Where the system does not let a socket vanish it stays and is silent, which the gateway cannot tell from it.
    """
    try:
        connection.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except PermissionError:
        return
    connection.socket.close()


def test_it_is_half_open(site: Site) -> None:
    """It was to answer an instance, and is gone without a word."""
    with site.watched():
        connection, title = asking(site)
        assert connection.pdu()[0] == P_DATA_TF
        vanish(connection)
        until(lambda: outcome(site, title, "c-get"), "the outcome")
        assert outcome(site, title, "c-get")["Status"] is None
        site.works("get")
    connection.socket.close()


def test_it_is_half_open_and_asks_nothing(site: Site) -> None:
    with site.watched():
        associations = [associated(site.port, site.title(), "GATE") for _ in range(5)]
        for connection in associations:
            vanish(connection)
        until(lambda: site.held()[2] <= 1, "end of the associations")
    for connection in associations:
        connection.socket.close()


def test_it_does_not_read(site: Site) -> None:
    """A large instance fills what the kernel takes; then the send time-out ends it, and the archive is not kept waiting."""
    with site.watched():
        connection, title = asking(site, LARGE_STUDY, buffer=4096)
        until(lambda: outcome(site, title, "c-get"), "the outcome")
        assert outcome(site, title, "c-get")["Status"] is None
        assert outcome(site, title, "c-get")["instances"] == 0
        site.works("get")
    connection.die()


class Receiver:
    """A destination on the wire: takes the association as storescp would, and does not read what comes."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listener.bind((HOST, 0))
        self._listener.listen()
        self.port = int(self._listener.getsockname()[1])
        self._peers: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        peer, _ = self._listener.accept()
        self._peers.append(peer)
        header = peer.recv(6, socket.MSG_WAITALL)
        request = header + peer.recv(int.from_bytes(header[2:], "big"), socket.MSG_WAITALL)
        peer.sendall(acceptance(request)[0])

    def close(self) -> None:
        for each in [self._listener, *self._peers]:
            each.close()


def test_the_destination_does_not_read(tmp_path: Path) -> None:
    """The C-MOVE ends with a failure, and the archive takes the next one."""
    receiver = Receiver()
    site = Site(tmp_path, idle_timeout=15, deliveries={"DEST": {"through": f"DEST@{HOST}:{receiver.port}"}})
    try:
        with site.watched():
            retrieve = site.through(LARGE_STUDY)
            assert retrieve.ends() not in (0, None)
            assert not outcome(site, retrieve.title, "c-move").get("instances")
            retrieve.association.release()
    finally:
        site.stop()
        receiver.close()


def failing(after: int, how: str) -> Callable[[Retrieve], int]:
    def behave(retrieve: Retrieve) -> int:
        if len(retrieve.received) < after:
            return 0
        if how == "still":
            time.sleep(8)
        return 0xA700

    return behave


@pytest.mark.parametrize("how", ["refuses", "still"])
def test_the_destination(site: Site, how: str) -> None:
    """It refuses each instance after the second, or stands still until its time-out: what it took is counted, the rest failed."""
    with site.watched():
        retrieve = site.through(each=failing(2, how))
        status = retrieve.ends(60)
        assert status not in ((0, None) if how == "refuses" else (0,))
        until(lambda: outcome(site, retrieve.title, "c-move"), "the outcome")
        assert len(retrieve.received) == 2
        assert outcome(site, retrieve.title, "c-move")["instances"] == 2
        if retrieve.association.is_established:
            retrieve.association.release()
        site.works("through")


# -- cancels --------------------------------------------------------------------------------------


def moving() -> tuple[bytes, bytes]:
    """Command and identifier of a C-MOVE to DEST."""
    _, data = get(keys(STUDY))
    request = C_MOVE()
    request.MessageID, request.Priority, request.MoveDestination = 7, 2, "DEST"
    request.AffectedSOPClassUID = StudyRootQueryRetrieveInformationModelMove
    request.Identifier = BytesIO(data)
    made = C_MOVE_RQ()
    made.primitive_to_message(request)
    return encoded(made), data


def encoded(made: C_MOVE_RQ | C_CANCEL_RQ) -> bytes:
    values = [value for primitive in made.encode_msg(1, 16382) for _, value in primitive.presentation_data_value_list]
    return b"".join(value[1:] for value in values if value[0] & COMMAND)


def cancelling() -> bytes:
    """The command set of a C-CANCEL for it."""
    request = C_CANCEL()
    request.MessageIDBeingRespondedTo = 7
    made = C_CANCEL_RQ()
    made.primitive_to_message(request)
    return encoded(made)


@WAYS
@pytest.mark.parametrize("when", ["at once", "late", "of nothing"])
def test_a_c_cancel(site: Site, way: str, when: str) -> None:
    """In the same segment as its request; after the final response; without a request. The association goes on in any case."""
    with site.watched():
        site.destination.behave = slow
        title = site.title()
        connection = Wire(site.port, title)
        request, cancel = connection.request(way), connection.cancel(way)
        if when == "at once":
            connection.send(request + cancel)
            assert connection.final(way) in (0xFE00, 0xB000)
        elif when == "late":
            connection.send(request)
            assert connection.final(way) == 0xB000
            connection.send(cancel)
        else:
            connection.send(cancel)
        connection.send(connection.request(way))
        assert connection.final(way) == 0xB000
        connection.send(release_rq())
        assert connection.pdu()[0] == 6
        connection.close()


class Wire(Connection):
    """A client on the wire that may get and move."""

    MOVE, CT = 7, 5

    def __init__(self, port: int, title: str) -> None:
        super().__init__(port)
        self.send(proposal(title, "GATE"))
        assert self.pdu()[0] == 2

    def request(self, way: str) -> bytes:
        context, (command, data) = (5, get(keys(STUDY))) if way == "get" else (7, moving())
        return p_data(pdvs(context, command, COMMAND, 1)) + p_data(pdvs(context, data, 0, 1))

    def cancel(self, way: str) -> bytes:
        return p_data(pdvs(5 if way == "get" else 7, cancelling(), COMMAND, 1))

    def final(self, way: str) -> int:
        """The final status; instances are answered."""
        wanted, pending = 0x8010 if way == "get" else 0x8021, (0xFF00, 0xFF01)
        while True:
            kind, body = self.pdu()
            assert kind == P_DATA_TF, f"a PDU of type {kind}"
            values = numbers(body)
            if values.get(0x100) == 1:
                told = encode(AffectedSOPClassUID=CT_CLASS, CommandField=0x8001, MessageIDBeingRespondedTo=values[0x110], CommandDataSetType=0x0101, Status=0)
                self.send(b"".join(message(body[4], told)))
            if values.get(0x100) == wanted and values[0x800] != 0x0101:
                self.pdu()  # the list of what failed
            if values.get(0x100) == wanted and values[0x900] not in pending:
                return values[0x900]


CT_CLASS = str(UID("1.2.840.10008.5.1.4.1.1.2"))


def numbers(body: bytes) -> dict[int, int]:
    """The numbers in a command set of one PDV."""
    found: dict[int, int] = {}
    at = 6
    while body[5] & COMMAND and at + 8 <= len(body):
        _, element, length = struct.unpack_from("<HHL", body, at)
        if length == 2:
            found[element] = int.from_bytes(body[at + 8 : at + 10], "little")
        at += 8 + length
    return found
