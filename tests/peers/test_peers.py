"""Each peer does by itself what the tests rely on: what fails here is no fault of the gateway."""

from __future__ import annotations

from pathlib import Path

import pytest
from pynetdicom import AE
from pynetdicom.sop_class import BasicGrayscalePrintManagementMeta, Printer, PrinterInstance  # type: ignore[attr-defined]

from tests.peers import servers
from tests.peers.clients import Client, after_meta, matches, received
from tests.peers.objects import LARGE, OTHER_PATIENT, PATIENT, archive, read, study_of
from tests.peers.process import HOST, PeerFailed, Server, listening, program, start


@pytest.fixture(params=["orthanc", "dcmqrscp"])
def pacs(request: pytest.FixtureRequest) -> Server:
    """Each archive in turn."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Server)
    return server


@pytest.fixture
def client(pacs: Server, tmp_path: Path) -> Client:
    """DCMTK's clients towards the archive."""
    return Client("CLIENT", pacs.aet, pacs.port, tmp_path / "client")


def test_c_echo(client: Client) -> None:
    done = client.echo()
    assert done.code == 0
    assert done.echoed


def test_c_find(client: Client) -> None:
    done = client.find("QueryRetrieveLevel=STUDY", "StudyInstanceUID", f"PatientID={PATIENT}")
    assert done.status == 0
    assert {match.StudyInstanceUID for match in matches(done)} == {instance.study for instance in archive() if instance.patient == PATIENT}
    assert [message.status for message in done.responses("C-FIND RSP")] == [0xFF00] * len(matches(done)) + [0]


def test_c_get(client: Client) -> None:
    study = study_of()
    done = client.get("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study[0].study}")
    assert done.status == 0
    assert set(done.files) == {instance.uid for instance in study}


def test_c_move(client: Client, receiver: Server) -> None:
    study = study_of(OTHER_PATIENT)
    done = client.move("DEST", "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study[0].study}")
    assert (done.code, done.status) == (0, 0)
    assert {instance.uid for instance in study} <= set(received(receiver.folder / "received"))


def test_a_c_move_to_a_stranger_is_refused_by_the_archive(client: Client) -> None:
    done = client.move("STRANGER", "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study_of()[0].study}")
    assert done.code == 69
    assert done.status in (0xA801, 0xC000)


def test_c_store(client: Client) -> None:
    done = client.store(LARGE)
    assert (done.code, done.responses("C-STORE RSP")[0].status) == (0, 0)
    kept = client.get("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={read(LARGE).study}").files
    assert set(kept) == {read(LARGE).uid}


def test_n_get(dcmprscp: Server) -> None:
    entity = AE("CLIENT")
    entity.add_requested_context(BasicGrayscalePrintManagementMeta)
    association = entity.associate(HOST, dcmprscp.port, ae_title=dcmprscp.aet)
    assert association.is_established
    status, attributes = association.send_n_get([], Printer, PrinterInstance, meta_uid=BasicGrayscalePrintManagementMeta)
    association.release()
    assert status.Status == 0
    assert attributes is not None
    assert attributes.PrinterStatus == "NORMAL"
    assert dcmprscp.text().count("N-GET RQ") == 1


def test_the_archives_hold_what_was_promised() -> None:
    assert len({instance.uid for instance in archive()}) == len(archive()) > 30
    assert len(study_of()) > 1
    assert after_meta(LARGE.read_bytes())[:4] == b"\x08\x00\x05\x00"


def test_a_peer_that_is_not_installed_says_how_to_install_it() -> None:
    with pytest.raises(PeerFailed, match="make peers"):
        program("/usr/bin/no-such-peer")


def test_a_peer_that_ends_at_once_is_a_failure_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(PeerFailed, match="no such luck"):
        start("NOBODY", tmp_path, lambda port: ["/bin/sh", "-c", "echo no such luck; exit 3"], lambda server: False)


def test_a_stopped_peer_leaves_nothing_behind(tmp_path: Path) -> None:
    server = servers.storescp(tmp_path, "GONE")
    assert server.running
    server.stop()
    assert [server.running, listening(server)] == [False, False]
