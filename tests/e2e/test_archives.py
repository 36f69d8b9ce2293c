"""DCMTK's clients work through the gateway as they do without it; what a rule refuses never reaches the archive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.gateway import records
from tests.peers.clients import Client, Run, matches, received
from tests.peers.objects import FOLDER, LARGE, OTHER_PATIENT, PATIENT, archive, read, study_of
from tests.peers.process import Server

Requests = Callable[[str], int]
STUDY = study_of()
"""What the tests retrieve: a CT study of a patient who is not sealed."""
OTHER_STUDY = study_of(OTHER_PATIENT)


def study(uid: str) -> tuple[str, str]:
    """The keys of a retrieve of one study."""
    return "QueryRetrieveLevel=STUDY", f"StudyInstanceUID={uid}"


@pytest.mark.usefixtures("pacs")
def test_echoscu(client: Client) -> None:
    done = client.echo()
    assert (done.code, done.echoed) == (0, True)


def test_findscu_finds_what_it_finds_without_the_gateway(client: Client, direct: Client) -> None:
    keys = ("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "StudyDate", "PatientName", f"PatientID={PATIENT}")
    through, without = client.find(*keys), direct.find(*keys)
    assert through.status == 0
    assert len(matches(without)) > 1
    assert matches(through) == matches(without)


def test_getscu_receives_the_same_bytes(client: Client, direct: Client) -> None:
    through, without = client.get(*study(STUDY[0].study)), direct.get(*study(STUDY[0].study))
    assert through.status == 0
    assert set(without.files) == {instance.uid for instance in STUDY}
    assert through.files == without.files


def test_getscu_of_a_series_and_of_an_instance(client: Client, direct: Client) -> None:
    instance = STUDY[-1]
    series = ("QueryRetrieveLevel=SERIES", f"StudyInstanceUID={instance.study}", f"SeriesInstanceUID={instance.series}")
    image = ("QueryRetrieveLevel=IMAGE", *series[1:], f"SOPInstanceUID={instance.uid}")
    for keys in (series, image):
        through, without = client.get(*keys), direct.get(*keys)
        assert through.status == 0
        assert instance.uid in without.files
        assert through.files == without.files


def test_movescu_delivers_the_same_bytes(client: Client, direct: Client, receiver: Server) -> None:
    without = moved(receiver, lambda: direct.move("DEST", *study(STUDY[0].study)))
    through = moved(receiver, lambda: client.move("DEST", *study(STUDY[0].study)))
    assert set(without) == {instance.uid for instance in STUDY}
    assert through == without


def test_storescu_stores(client: Client, direct: Client) -> None:
    instances = [read(LARGE), read(FOLDER / "rtdose_1frame.dcm")]
    done = client.store(*[instance.path for instance in instances])
    assert [message.status for message in done.responses("C-STORE RSP")] == [0, 0]
    for instance in instances:
        assert set(direct.get(*study(instance.study)).files) == {instance.uid}


def test_pending_responses_of_a_move_come_through(client: Client, receiver: Server) -> None:
    done = client.move("DEST", *study(STUDY[0].study))
    statuses = [message.status for message in done.responses("C-MOVE RSP")]
    assert statuses[-1] == 0
    assert statuses.count(0xFF00) > 1


def test_the_archive_s_own_failure_comes_through(client: Client, direct: Client) -> None:
    """The policy allows the destination ABSENT, which the archive does not know."""
    through, without = client.move("ABSENT", *study(STUDY[0].study)), direct.move("ABSENT", *study(STUDY[0].study))
    assert without.status in (0xA801, 0xC000)
    assert (through.code, through.status, through.comment) == (without.code, without.status, without.comment)


def test_a_refused_find_has_the_status_of_the_rule(client: Client, reached: Requests) -> None:
    refused("C-FIND", lambda: client.find("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientID=SEALED"), 0xA700, reached)
    assert client.find("QueryRetrieveLevel=STUDY", "StudyInstanceUID", f"PatientID={PATIENT}").status == 0


def test_a_refused_move_has_the_status_of_the_rule(client: Client, reached: Requests) -> None:
    done = refused("C-MOVE", lambda: client.move("STRANGER", *study(STUDY[0].study)), 0xA801, reached)
    assert done.code == 69
    assert done.comment == "`STRANGER` has no release agreement"


def test_a_refused_get_has_the_status_of_the_rule(client: Client, reached: Requests) -> None:
    done = refused("C-GET", lambda: client.get(*study(OTHER_STUDY[0].study)), 0xA702, reached)
    assert done.files == {}


def test_a_refused_store_has_the_default_status(client: Client, reached: Requests) -> None:
    done = refused("C-STORE", lambda: client.store(FOLDER / "examples_palette.dcm"), 0x0124, reached)
    assert done.code != 0


def test_who_no_rule_allows_is_refused(client: Client, reached: Requests) -> None:
    nobody = replace(client, aet="NOBODY")
    refused("C-FIND", lambda: nobody.find("QueryRetrieveLevel=STUDY", "StudyInstanceUID"), 0x0124, reached)
    refused("C-GET", lambda: nobody.get(*study(STUDY[0].study)), 0x0124, reached)
    refused("C-MOVE", lambda: nobody.move("DEST", *study(STUDY[0].study)), 0x0124, reached)


def test_a_retrieve_of_everything_is_refused(client: Client, reached: Requests) -> None:
    """An empty or missing Study UID in a C-GET would return every instance of dcmqrscp (PS3.4 §C.4.3.1.3.1)."""
    for keys in (("QueryRetrieveLevel=STUDY", "StudyInstanceUID"), ("QueryRetrieveLevel=STUDY",), ("QueryRetrieveLevel=STUDY", "StudyInstanceUID=*")):
        done = refused("C-GET", lambda keys=keys: client.get(*keys), 0xA900, reached)  # type: ignore[misc]
        assert done.files == {}


def test_a_refused_association_is_rejected(client: Client, pacs: Server) -> None:
    outsider = replace(client, aet="OUTSIDER")
    assert outsider.echo().rejected
    assert "OUTSIDER" not in pacs.text()


def test_a_rewritten_destination_receives(client: Client, pacs: Server, second_receiver: Server) -> None:
    done: list[Run] = []
    files = moved(second_receiver, lambda: done.append(client.move("OLD", *study(STUDY[0].study))))
    assert done[0].status == 0
    assert set(files) == {instance.uid for instance in STUDY}
    assert '"OLD"' not in pacs.text()


def test_a_rewritten_query_finds_what_the_rule_says(client: Client) -> None:
    found = replace(client, aet="WATCHED").find("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientID=*")
    assert found.status == 0
    assert {str(match.StudyInstanceUID) for match in matches(found)} == {instance.study for instance in archive() if instance.patient == OTHER_PATIENT}


def test_the_record_names_the_rules_and_no_patient(client: Client, gateway: Server) -> None:
    client.move("STRANGER", *study(STUDY[0].study))
    client.get(*study(STUDY[0].study))
    text = (gateway.folder / "audit.jsonl").read_text(encoding="utf-8")
    rules = {rule for record in records(gateway) for rule in by(record)}
    assert {"end-to-end/destinations", "end-to-end/clinical"} <= rules
    assert PATIENT not in text
    assert PATIENT not in gateway.text()


def by(record: dict[str, object]) -> list[str]:
    """The determining rules of a record, wherever it keeps them."""
    found = record.get("by", [])
    assert isinstance(found, list)
    return found


def refused(kind: str, request: Callable[[], Run], status: int, reached: Requests) -> Run:
    """The client sees ``status``, the archive nothing."""
    before = reached(kind)
    done = request()
    assert done.status == status, done.text
    assert [message.fields["Data Set"] for message in done.messages if message.incoming and message.kind.endswith("RSP")] == ["none"]
    assert not done.rejected
    assert "Abort" not in done.text
    assert reached(kind) == before
    return done


def moved(receiver: Server, move: Callable[[], object]) -> dict[str, bytes]:
    """What arrives at the receiver by one C-MOVE."""
    folder: Path = receiver.folder / "received"
    for path in folder.iterdir():
        path.unlink()
    move()
    return received(folder)
