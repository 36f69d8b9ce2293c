"""Legal PDUs that no library sends, PDUs cut anywhere, and clients that die leave the gateway and the archive running."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from tests.e2e.wire import COMMAND, CT, FIND, GET, P_DATA_TF, Connection, associate_rq, associated, commands, find, get, p_data, pdvs, release_rq, store
from tests.peers.clients import Client, after_meta, matches
from tests.peers.objects import FOLDER, PATIENT, archive, study_of
from tests.peers.process import Server

C_FIND_RSP, C_GET_RSP, C_STORE_RQ = 0x8020, 0x8010, 0x0001


def query() -> Dataset:
    """A C-FIND for the studies of a patient."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.PatientID, identifier.StudyInstanceUID = "STUDY", PATIENT, ""
    return identifier


def retrieve() -> Dataset:
    """A C-GET of a CT study."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel, identifier.StudyInstanceUID = "STUDY", study_of()[0].study
    return identifier


@pytest.mark.parametrize(("command_pieces", "data_pieces"), [(1, 1), (1, 3), (3, 1), (3, 4)])
def test_a_pdu_of_several_command_and_data_pdvs(gateway: Server, pacs: Server, client: Client, command_pieces: int, data_pieces: int) -> None:
    """All of a message in one PDU is legal (PS3.8 §9.3.5.1), and crashes Debian's Orthanc where it is passed on so."""
    command, data = find(query())
    connection = associated(gateway.port, "CLIENT", gateway.aet)
    connection.send(p_data([*pdvs(FIND, command, COMMAND, command_pieces), *pdvs(FIND, data, 0, data_pieces)]))
    studies = {instance.study for instance in archive() if instance.patient == PATIENT}
    assert statuses(connection, C_FIND_RSP) == [0xFF00] * len(studies) + [0]
    connection.send(release_rq())
    connection.close()
    still_there(gateway, pacs, client)


def test_every_byte_of_a_request_in_a_write_of_its_own(gateway: Server, pacs: Server, client: Client) -> None:
    command, data = find(query())
    connection = associated(gateway.port, "CLIENT", gateway.aet)
    for byte in p_data(pdvs(FIND, command, COMMAND, 1)) + p_data(pdvs(FIND, data, 0, 1)):
        connection.send(bytes([byte]))
    assert statuses(connection, C_FIND_RSP)[-1] == 0
    connection.close()
    still_there(gateway, pacs, client)


def test_an_association_request_cut_anywhere(gateway: Server, pacs: Server, client: Client) -> None:
    request = associate_rq("CLIENT", gateway.aet)
    for end in [*range(0, 80, 7), *range(80, len(request), 31), len(request) - 1]:
        connection = Connection(gateway.port)
        connection.send(request[:end])
        connection.close()
    still_there(gateway, pacs, client)


@pytest.mark.parametrize("dies", [False, True], ids=["closes", "dies"])
def test_a_request_cut_anywhere(gateway: Server, pacs: Server, client: Client, dies: bool) -> None:
    """The ends lie in PDU headers, PDV headers, the command and the identifier."""
    command, data = find(query())
    request = p_data(pdvs(FIND, command, COMMAND, 1)) + p_data(pdvs(FIND, data, 0, 2))
    for end in [*range(16), *range(16, len(request), 13), len(request) - 1, len(request)]:
        connection = associated(gateway.port, "CLIENT", gateway.aet)
        connection.send(request[:end])
        if dies:
            connection.die()
        else:
            connection.close()
    still_there(gateway, pacs, client)


@pytest.mark.parametrize("dies", [False, True], ids=["closes", "dies"])
def test_an_image_cut_anywhere(gateway: Server, pacs: Server, client: Client, dies: bool) -> None:
    """The image never arrives whole, so the archive must not have it; the gateway passes data on before it is complete."""
    uid = generate_uid()
    command, data = store(uid, after_meta((FOLDER / "CT_small.dcm").read_bytes()))
    message = p_data(pdvs(CT, command, COMMAND, 1)) + p_data(pdvs(CT, data, 0, 3)[:1])
    for end in [len(message) - 9000, len(message) - 1, len(message)]:
        connection = associated(gateway.port, "CLIENT", gateway.aet)
        connection.send(message[:end])
        if dies:
            connection.die()
        else:
            connection.close()
    still_there(gateway, pacs, client)
    assert matches(client.find("QueryRetrieveLevel=IMAGE", "StudyInstanceUID", "SeriesInstanceUID", f"SOPInstanceUID={uid}")) == []


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_client_that_dies_in_the_middle_of_a_retrieve(gateway: Server, pacs: Server, client: Client, after: int) -> None:
    """It dies after so many PDUs of the answer, with the rest unread and its own C-STORE responses never sent."""
    command, data = get(retrieve())
    for _ in range(3):
        connection = associated(gateway.port, "CLIENT", gateway.aet)
        connection.send(p_data(pdvs(GET, command, COMMAND, 1)) + p_data(pdvs(GET, data, 0, 1)))
        for _ in range(after):
            kind, _ = connection.pdu()
            assert kind == P_DATA_TF
        connection.die()
    still_there(gateway, pacs, client)


@pytest.mark.parametrize(
    "garbage",
    [b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\xff" * 64, b"\x01\x00\xff\xff\xff\xff", b"\x04\x00\x00\x00\x00\x02\x00\x00"],
    ids=["http", "zeros", "ones", "endless association", "foreign context"],
)
def test_what_is_no_dicom(gateway: Server, pacs: Server, client: Client, garbage: bytes) -> None:
    connection = Connection(gateway.port)
    connection.send(garbage)
    connection.close()
    connection = associated(gateway.port, "CLIENT", gateway.aet)
    connection.send(garbage)
    connection.close()
    still_there(gateway, pacs, client)


def statuses(connection: Connection, field: int) -> Sequence[int]:
    """The statuses of the responses with this command field, up to the final one."""
    found = []
    for command, status in commands(connection):
        if command == field:
            found.append(status)
            if status not in (0xFF00, 0xFF01):
                break
    return found


def still_there(gateway: Server, pacs: Server, client: Client) -> None:
    """Both programs run, and serve the next client."""
    assert client.echo().echoed
    done = client.get("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={study_of()[0].study}")
    assert done.status == 0
    assert len(done.files) == len(study_of())
    assert [gateway.running, pacs.running] == [True, True]
    assert "Traceback" not in gateway.text()
