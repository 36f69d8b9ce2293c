"""The guard protects an application that knows nothing of it: pynetdicom's own ``qrscp``, asked by DCMTK's clients.

Slow for a test of this folder (some 15 seconds): real programs, which wait on each other's sockets.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.dimse.guarded import HEAD
from tests.dimse.peers import until
from tests.peers.clients import Client, Run, matches, received
from tests.peers.objects import OTHER_PATIENT, PATIENT, archive, study_of
from tests.peers.process import HOST, Server, start
from tests.peers.servers import echoes, fill

NOT_AUTHORIZED = 0x0124
IMAGES, OTHERS = study_of(), study_of(OTHER_PATIENT, "CR")
STUDY = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={IMAGES[0].study}")
FORBIDDEN = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={OTHERS[0].study}")
RULES = f"""
  - {{id: all, on: [c-find, c-get, c-move, c-store], when: {{subject.ae_title: {{in: [CLIENT, FILLER, NARROW]}}}}, allow: {{}}}}
  - id: study
    on: [c-get, c-move]
    when: {{request.Identifier.StudyInstanceUID: {{contains: "{OTHERS[0].study}"}}}}
    deny: {{reason: this study is not released}}
  - {{id: names, on: c-find, when: {{request.Identifier.PatientName: {{exists: true}}}}, deny: {{status: 0xA700, reason: not by name}}}}
  - id: old
    on: c-move
    when: {{request.MoveDestination: OLD}}
    rewrite: [{{set: {{request.MoveDestination: SAFE}}}}]
  - {{id: dates, on: c-find, when: {{subject.ae_title: CLIENT}}, rewrite: [{{remove: request.Identifier.StudyDate}}]}}
  - id: withheld
    on: release
    when: {{request.action: {{in: [c-get, c-move]}}, instance.SOPInstanceUID: "{IMAGES[0].uid}", subject.ae_title: NARROW}}
    deny: {{}}
  - {{id: mine, on: answer, when: {{instance.PatientID: "{PATIENT}", subject.ae_title: NARROW}}, deny: {{}}}}
  - {{id: outsider, on: associate, when: {{subject.ae_title: OUTSIDER}}, deny: {{reason: not known here}}}}
"""


@pytest.fixture(scope="module")
def qrscp(tmp_path_factory: pytest.TempPathFactory, receiver: Server, second_receiver: Server) -> Iterator[Server]:
    """The guarded application, filled; it moves to ``DEST`` and ``SAFE``."""
    folder = tmp_path_factory.mktemp("qrscp")
    (folder / "policies").mkdir()
    (folder / "policies" / "p.yaml").write_text(HEAD + RULES, encoding="utf-8")
    configuration = folder / "qrscp.ini"

    def command(port: int) -> list[str | Path]:
        destinations = "".join(f"[{peer.aet}]\naddress: {HOST}\nport: {peer.port}\n" for peer in (receiver, second_receiver))
        configuration.write_text(
            f"[DEFAULT]\nae_title: QRSCP\nport: {port}\nmax_pdu: 16382\nacse_timeout: 60\ndimse_timeout: 60\nnetwork_timeout: 60\n"
            f"bind_address: {HOST}\ninstance_location: {folder / 'instances'}\ndatabase_location: {folder / 'instances.sqlite'}\n{destinations}",
            encoding="utf-8",
        )
        program = Path(__file__).with_name("guarded_qrscp.py")
        return [sys.executable, program, folder / "policies", folder / "audit.jsonl", "--verbose", "--config", configuration]

    server = start("QRSCP", folder, command, echoes)
    try:
        fill(server)
        yield server
    finally:
        server.stop()


@pytest.fixture
def client(qrscp: Server, tmp_path: Path) -> Client:
    return Client("CLIENT", qrscp.aet, qrscp.port, tmp_path / "client")


def clean(run: Run) -> bool:
    """The client released its association, and complained of nothing but the status that it was given."""
    complaints = [line for line in run.text.splitlines() if line.startswith(("W: ", "E: ", "F: ")) and "status" not in line.lower()]
    return "Releasing Association" in run.text and "Abort" not in run.text and complaints == []


def outcomes(server: Server, action: str) -> list[dict[str, Any]]:
    """The outcomes of all requests of that kind, in the order of their decisions."""
    lines = [json.loads(line) for line in (server.folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    ids = [line["id"] for line in lines if line.get("action") == action]
    ended = {line["id"]: line["outcome"] for line in lines if line["entry"] == "outcome"}
    assert until(lambda: set(ids) <= set(ended)) or ids
    return [ended[number] for number in ids if number in ended]


def connections(peer: Server) -> int:
    return peer.text().count("Association Received")


def test_what_is_allowed_works_as_without_the_guard(client: Client, qrscp: Server, receiver: Server) -> None:
    found = client.find(*STUDY, "PatientID")
    assert (found.status, clean(found)) == (0, True)
    assert {match.PatientID for match in matches(found)} == {PATIENT}
    got = client.get(*STUDY)
    assert (got.status, clean(got)) == (0, True)
    assert set(got.files) == {image.uid for image in IMAGES}
    moved = client.move("DEST", *STUDY)
    assert (moved.status, clean(moved)) == (0, True)
    assert set(received(receiver.folder / "received")) >= {image.uid for image in IMAGES}
    assert outcomes(qrscp, "c-get")[-1]["instances"] == len(IMAGES)
    assert outcomes(qrscp, "c-move")[-1]["NumberOfCompletedSuboperations"] == len(IMAGES)


@pytest.mark.parametrize("model", ["--study", "--patient"])
def test_getscu_takes_a_refusal(model: str, client: Client) -> None:
    keys = FORBIDDEN if model == "--study" else (*FORBIDDEN, f"PatientID={OTHER_PATIENT}")
    refused = client.get(*keys, model=model)
    assert (refused.status, clean(refused)) == (NOT_AUTHORIZED, True)
    assert len(refused.responses("C-GET RSP")) == 1
    assert refused.files == {}


def test_getscu_takes_the_refusal_of_an_identifier_that_reaches_everything(client: Client) -> None:
    refused = client.get("QueryRetrieveLevel=STUDY", "StudyInstanceUID")
    assert (refused.status, clean(refused), refused.files) == (0xA900, True, {})


def test_findscu_takes_a_refusal(client: Client) -> None:
    refused = client.find("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientName=*")
    assert (refused.status, refused.comment.strip()) == (0xA700, "not by name")
    assert clean(refused)
    assert len(refused.responses("C-FIND RSP")) == 1
    assert matches(refused) == []


def test_movescu_takes_a_refusal_and_the_destination_hears_nothing(client: Client, receiver: Server) -> None:
    before = connections(receiver)
    assert client.move("DEST", *STUDY).status == 0
    heard = connections(receiver) - before
    refused = client.move("DEST", *FORBIDDEN)
    assert (refused.status, refused.comment) == (NOT_AUTHORIZED, "this study is not released")
    assert clean(refused)
    assert len(refused.responses("C-MOVE RSP")) == 1
    # storescp would have had the time to tell of it
    assert client.move("DEST", *STUDY).status == 0
    assert heard > 0
    assert connections(receiver) == before + 2 * heard
    assert not {image.uid for image in OTHERS} & set(received(receiver.folder / "received"))


def test_a_move_to_another_destination_than_the_client_said(client: Client, second_receiver: Server) -> None:
    moved = client.move("OLD", *STUDY)
    assert (moved.status, clean(moved)) == (0, True)
    assert set(received(second_receiver.folder / "received")) == {image.uid for image in IMAGES}


def test_what_may_not_leave_stays_while_the_rest_arrives(qrscp: Server, receiver: Server, tmp_path: Path) -> None:
    narrow = Client("NARROW", qrscp.aet, qrscp.port, tmp_path)
    others = {image.uid for image in IMAGES[1:]}
    assert others
    got = narrow.get(*STUDY)
    assert (got.status, set(got.files)) == (0xB000, others)
    # getscu 3.6.7 never reads the list of failed instances of a final response, whoever sends it, and then cannot release: that abort is its own
    for image in (receiver.folder / "received").iterdir():
        image.unlink()
    moved = narrow.move("DEST", *STUDY)
    assert (moved.status, set(received(receiver.folder / "received"))) == (0xB000, others)
    assert "Abort" not in moved.text
    # a query that does not ask for the patient is answered without that patient's studies
    found = narrow.find("QueryRetrieveLevel=STUDY", "StudyInstanceUID")
    assert (found.status, clean(found)) == (0, True)
    assert OTHERS[0].study in {match.StudyInstanceUID for match in matches(found)}
    assert not {image.study for image in archive() if image.patient == PATIENT} & {match.StudyInstanceUID for match in matches(found)}


def test_a_key_that_is_taken_out_of_a_query_comes_back_from_nowhere(client: Client, qrscp: Server, tmp_path: Path) -> None:
    hidden, shown = client.find(*STUDY, "StudyDate"), Client("FILLER", qrscp.aet, qrscp.port, tmp_path / "filler").find(*STUDY, "StudyDate")
    assert {"StudyDate" in match for match in matches(hidden)} == {False}
    assert {"StudyDate" in match for match in matches(shown)} == {True}


def test_an_association_that_is_denied(qrscp: Server, tmp_path: Path) -> None:
    assert Client("OUTSIDER", qrscp.aet, qrscp.port, tmp_path).echo().rejected


def test_a_stranger_may_do_nothing_and_is_told_so(qrscp: Server, tmp_path: Path) -> None:
    stranger = Client("STRANGER", qrscp.aet, qrscp.port, tmp_path)
    assert stranger.store(IMAGES[0].path).status == NOT_AUTHORIZED
    for refused in (stranger.find(*STUDY), stranger.get(*STUDY), stranger.move("DEST", *STUDY)):
        assert (refused.status, clean(refused)) == (NOT_AUTHORIZED, True)


def test_several_clients_at_once_get_what_each_may(qrscp: Server, tmp_path: Path) -> None:
    def ask(number: int) -> tuple[int, set[str]]:
        run = Client("CLIENT" if number % 2 else "STRANGER", qrscp.aet, qrscp.port, tmp_path / str(number)).get(*STUDY)
        return run.status, set(run.files)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert answers == [(NOT_AUTHORIZED, set()), (0, {image.uid for image in IMAGES})] * 2


def test_the_application_logged_no_patient(qrscp: Server) -> None:
    assert PATIENT not in qrscp.text()
    assert "Traceback" not in qrscp.text()
