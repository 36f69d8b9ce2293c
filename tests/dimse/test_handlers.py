"""The guard of other people's handlers: what they see, what the peer is answered, and what the record says of it."""

from __future__ import annotations

import gc
import logging
import random
import ssl
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, _config, build_role, evt

import hirules.dimse
from hirules.dimse import pynetdicom_seam
from hirules.dimse.guarded import NotDecided
from hirules.dimse.handlers import guard
from tests.dimse import associations as pdus
from tests.dimse.associations import identity
from tests.dimse.guarded import CT, FILM, FIND, GET, MOVE, MPPS, PRINTER, PRINTER_UID, Program, Recorded, client, serving, study
from tests.dimse.peers import connect, ct, receive, until
from tests.dimse.wire import command as command_of
from tests.dimse.wire import commands, message, pdvs

NOT_AUTHORIZED = 0x0124
DENIED = """
  - id: denied
    on: [c-find, c-get, c-move, c-store, n-get, n-set, n-create, n-action, n-delete, n-event-report]
    when: {subject.called_ae_title: PROGRAM, request.MessageID: 13}
    deny: {reason: "this is not for you, whoever you are and whatever you want it for: it is the law"}
"""


@contextmanager
def guarded(record: Recorded, program: Program | None = None, **choices: Any) -> Iterator[tuple[int, Program]]:
    program = program or Program()
    with serving(guard(program.handlers(), record.gate, **choices)) as port:
        yield port, program


def changes(**values: object) -> Dataset:
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


SERVICES: dict[str, Callable[[Any, int], list[Any]]] = {
    "c-find": lambda association, number: list(association.send_c_find(study(), FIND, msg_id=number)),
    "c-get": lambda association, number: list(association.send_c_get(study(), GET, msg_id=number)),
    "c-move": lambda association, number: list(association.send_c_move(study(), "DEST", MOVE, msg_id=number)),
    "c-store": lambda association, number: [(association.send_c_store(ct(9), msg_id=number), None)],
    "n-get": lambda association, number: [association.send_n_get([0x21100010, 0x21100030], PRINTER, PRINTER_UID, msg_id=number)],
    "n-set": lambda association, number: [association.send_n_set(changes(FilmSessionLabel="x"), FILM, "1.2.3", msg_id=number)],
    "n-create": lambda association, number: [association.send_n_create(changes(PatientID="P1"), MPPS, "1.2.3", msg_id=number)],
    "n-action": lambda association, number: [association.send_n_action(changes(TransactionUID="1.2"), 1, FILM, "1.2.3", msg_id=number)],
    "n-delete": lambda association, number: [(association.send_n_delete(FILM, "1.2.3", msg_id=number), None)],
    "n-event-report": lambda association, number: [association.send_n_event_report(changes(PrinterName="x"), 1, PRINTER, PRINTER_UID, msg_id=number)],
}
MATCHES = {"c-find": 4, "c-get": 4, "c-move": 4}


@pytest.fixture
def destination() -> Iterator[tuple[int, list[str]]]:
    """The port of a move destination, and what reached it."""
    reached: list[str] = []

    def store(event: Any) -> int:
        reached.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    with serving([(evt.EVT_CONN_OPEN, lambda _: reached.append("connection")), (evt.EVT_C_STORE, store)], "DEST") as port:
        yield port, reached


# -- decided before the handlers ------------------------------------------------------------------


@pytest.mark.parametrize("action", SERVICES)
def test_what_is_allowed_is_carried_out_and_completed(action: str, tmp_path: Path, destination: tuple[int, list[str]]) -> None:
    record = Recorded(tmp_path)
    with guarded(record, Program(destination[0])) as (port, program), client(port, handlers=[(evt.EVT_C_STORE, lambda _: 0)]) as association:
        answers = SERVICES[action](association, 1)
        assert [int(status.Status) for status, _ in answers] == [0xFF00] * (MATCHES.get(action, 1) - 1) + [0]
        assert program.actions() == [action]
        outcome = record.outcome(action)
        assert outcome.pop("Status") == 0
        counts = {"NumberOfCompletedSuboperations": 3, "NumberOfFailedSuboperations": 0, "NumberOfWarningSuboperations": 0}
        assert outcome == {"c-find": {"matches": 3}, "c-get": {**counts, "instances": 3}, "c-move": counts}.get(action, {})
    (decided,) = record.decisions(action)
    assert decided["decision"] == "allow"
    assert decided["subject"]["ae_title"] == "CLIENT"
    assert decided["subject"]["called_ae_title"] == "PROGRAM"
    assert decided["subject"]["address"] == "127.0.0.1"
    assert decided["subject"]["implementation_class_uid"]


@pytest.mark.parametrize("action", SERVICES)
def test_what_is_denied_reaches_no_handler_and_leaves_the_association_as_it_was(action: str, tmp_path: Path, destination: tuple[int, list[str]]) -> None:
    record = Recorded(tmp_path, DENIED)
    received: list[Any] = []
    listen = (evt.EVT_DIMSE_RECV, lambda event: received.append(event.message.command_set))
    with guarded(record, Program(destination[0])) as (port, program), client(port, handlers=[listen]) as association:
        answers = SERVICES[action](association, 13)
        assert [int(status.Status) for status, _ in answers] == [NOT_AUTHORIZED]
        assert association.send_c_echo().Status == 0
        assert program.actions() == []
    final, _ = received
    # PS3.4 §C.4.2.1.6, PS3.5 §6.2: no Identifier, and an Error Comment is an LO
    assert final.CommandDataSetType == 0x0101
    assert final.ErrorComment == "this is not for you, whoever you are and whatever you want it fo"
    assert record.outcome(action) == {"Status": NOT_AUTHORIZED}
    assert record.decisions(action)[0]["by"] == ["p/denied"]
    assert destination[1] == []


def test_a_refused_move_never_connects_to_its_destination_and_an_allowed_one_does(tmp_path: Path, destination: tuple[int, list[str]]) -> None:
    record = Recorded(tmp_path, DENIED)
    with guarded(record, Program(destination[0])) as (port, _), client(port) as association:
        SERVICES["c-move"](association, 13)
        assert destination[1] == []
        SERVICES["c-move"](association, 1)
        assert destination[1] == ["connection", "1.2.3.1", "1.2.3.2", "1.2.3.3"]


def test_a_service_without_a_handler_is_decided_and_then_answered_by_pynetdicom(tmp_path: Path) -> None:
    record = Recorded(tmp_path, DENIED)
    with serving(guard([], record.gate)) as port, client(port) as association:
        assert association.send_c_echo().Status == 0
        assert SERVICES["n-get"](association, 1)[0][0].Status == 0x0110
        assert SERVICES["n-get"](association, 13)[0][0].Status == NOT_AUTHORIZED
        assert SERVICES["c-store"](association, 1)[0][0].Status == 0xC211
    assert [line["decision"] for line in record.decisions("n-get")] == ["allow", "deny"]


def test_a_handler_gets_its_own_arguments_and_other_events_pass_as_they_are(tmp_path: Path) -> None:
    heard = []
    handlers: list[Any] = [
        (evt.EVT_C_ECHO, lambda _event, status: status, [0x0122]),
        (evt.EVT_C_STORE, lambda _event, status: status, [0xB000]),
        (evt.EVT_ESTABLISHED, lambda _: heard.append("established")),
    ]
    record = Recorded(tmp_path)
    with serving(guard(handlers, record.gate)) as port, client(port) as association:
        assert association.send_c_echo().Status == 0x0122
        assert association.send_c_store(ct(1)).Status == 0xB000
    assert heard == ["established"]
    assert record.outcome("c-store") == {"Status": 0xB000}


def test_a_request_without_a_final_response_is_completed_as_such(tmp_path: Path) -> None:
    def abort(event: Any) -> int:
        event.assoc.abort()
        return 0

    record = Recorded(tmp_path)
    with serving(guard([(evt.EVT_N_DELETE, abort)], record.gate)) as port, client(port) as association:
        SERVICES["n-delete"](association, 1)
    assert record.outcome("n-delete") == {"Status": None, "ended": "without a final response"}


# -- rewrites -------------------------------------------------------------------------------------


def test_a_handler_sees_the_rewritten_request(tmp_path: Path, destination: tuple[int, list[str]]) -> None:
    rules = """
  - {id: old, on: c-move, when: {request.MoveDestination: OLD}, rewrite: [{set: {request.MoveDestination: DEST}}]}
  - {id: hidden, on: c-find, rewrite: [{remove: request.Identifier.PatientBirthDate}, {set: {request.Identifier.Modality: CT}}]}
"""
    record = Recorded(tmp_path, rules)
    with guarded(record, Program(destination[0])) as (port, program), client(port) as association:
        # AE titles are canonical: the title is decided, and handed on, in upper case
        list(association.send_c_move(study(), "old", MOVE))
        asked = study()
        asked.PatientBirthDate, asked.Modality, asked.PatientName = "", "", "Döe^Jane"
        asked.SpecificCharacterSet = "ISO_IR 100"
        list(association.send_c_find(asked, FIND))
    (_, (title, moved)), (_, found) = program.seen
    assert (title, moved) == ("DEST", study())
    assert destination[1][0] == "connection"
    assert (found.Modality, found.PatientName, "PatientBirthDate" in found) == ("CT", "Döe^Jane", False)
    assert record.decisions("c-move")[0]["rewritten"] == ["request.MoveDestination"]


def test_the_case_of_an_ae_title_may_be_kept(tmp_path: Path) -> None:
    with guarded(Recorded(tmp_path), preserve_ae_title_case=True) as (port, program), client(port) as association:
        list(association.send_c_move(study(), "Dest", MOVE))
    assert program.seen[0][1][0] == "Dest"


def test_the_attributes_of_an_n_get_may_be_fewer(tmp_path: Path) -> None:
    rule = "\n  - {id: few, on: n-get, when: {subject.ae_title: CLIENT}, rewrite: [{keep_only: {request.AttributeIdentifierList: [PrinterStatus]}}]}\n"
    with guarded(Recorded(tmp_path, rule)) as (port, program), client(port) as association:
        SERVICES["n-get"](association, 1)
        association.send_n_get([0x21100010], PRINTER, PRINTER_UID)
    assert program.seen == [("n-get", [0x21100010]), ("n-get", [0x21100010])]


# -- what is read strictly ------------------------------------------------------------------------


def test_a_retrieve_without_its_unique_key_is_refused(tmp_path: Path) -> None:
    record = Recorded(tmp_path)
    with guarded(record) as (port, program), client(port) as association:
        for bad in (study(""), changes(QueryRetrieveLevel="STUDY")):
            (answer,) = association.send_c_get(bad, GET)
            assert answer[0].Status == 0xA900
    assert program.seen == []
    assert [line["decision"] for line in record.decisions("c-get")] == ["deny"] * 2


def test_keys_that_a_retrieve_does_not_have_are_taken_out_or_refused(tmp_path: Path) -> None:
    asked = study()
    asked.PatientID = "P2"
    with guarded(Recorded(tmp_path)) as (port, program), client(port) as association:
        list(association.send_c_get(asked, GET))
    assert program.seen == [("c-get", study())]
    with guarded(Recorded(tmp_path), strict_identifier=True) as (port, program), client(port) as association:
        assert [status.Status for status, _ in association.send_c_get(asked, GET)] == [0xA900]
    assert program.seen == []


@contextmanager
def raw(record: Recorded) -> Iterator[tuple[Any, Program]]:
    """A plain socket with an association: contexts 1 C-FIND, 3 C-GET, 5 CT storage."""
    with guarded(record) as (port, program), connect(port) as peer:
        peer.sendall(pdus.request(called="PROGRAM"))
        assert receive(peer)[0] == 2
        yield peer, program


IDENTIFIER = b"\x08\x00\x52\x00\x06\x00\x00\x00STUDY \x20\x00\x0d\x00\x04\x00\x00\x001.2\x00"
TWICE = IDENTIFIER + b"\x20\x00\x0d\x00\x04\x00\x00\x001.3\x00"
ON_FIND, ON_CT = 1, 5


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (message(ON_FIND, command_of(0x20, data=True, Priority=0), TWICE), 0xA900),
        (message(ON_FIND, command_of(0x20, data=True, Priority=0), IDENTIFIER + b"\0"), 0xA900),
        # the SOP class of another context, of another service, of no context
        (message(ON_CT, command_of(0x20, data=True, Priority=0), IDENTIFIER), 0x0122),
        (message(ON_CT, command_of(0x110, RequestedSOPClassUID=CT, RequestedSOPInstanceUID="1.2")), 0xC211),
        # of an element twice pydicom takes the last
        (message(ON_FIND, command_of(0x20, data=True, Priority=0) + b"\0\0\x10\x01\x02\0\0\0\x05\0", IDENTIFIER), None),
        (message(ON_FIND, command_of(0x20, data=True, Priority=0) + b"\0\0\0\x07\x02\0\0\0\x01\0", IDENTIFIER), 0x0110),
    ],
)
def test_what_can_be_read_in_two_ways_is_answered_and_never_carried_out(request_bytes: bytes, status: int | None, tmp_path: Path) -> None:
    record = Recorded(tmp_path)
    with raw(record) as (peer, program):
        peer.sendall(request_bytes)
        answer = receive(peer)
        # where no answer can be given the association is aborted
        assert (commands(answer)[0].values["Status"] if answer[0] == 4 else None) == status
        assert until(lambda: len(record.lines()) >= 4 or status is None)
    assert program.seen == []


def test_a_response_that_looks_like_a_request_is_never_carried_out(tmp_path: Path) -> None:
    record = Recorded(tmp_path)
    with raw(record) as (peer, program):
        # pynetdicom goes by what the primitive has, not by the Command Field
        peer.sendall(message(ON_FIND, command_of(0x8020, data=True, Priority=0), IDENTIFIER))
        peer.sendall(message(ON_FIND, command_of(0x20, 2, data=True, Priority=0), IDENTIFIER))
        assert commands(receive(peer))[0].values["MessageIDBeingRespondedTo"] == 2
    assert program.actions() == ["c-find"]
    assert len(record.decisions("c-find")) == 1


def test_a_command_in_pieces_is_read_whole(tmp_path: Path) -> None:
    whole = command_of(0x20, data=True, Priority=0)
    with raw(Recorded(tmp_path)) as (peer, program):
        peer.sendall(pdvs((ON_FIND, 1, whole[:10])) + pdvs((ON_FIND, 3, whole[10:]), (ON_FIND, 0, IDENTIFIER[:8])) + pdvs((ON_FIND, 2, IDENTIFIER[8:])))
        assert commands(receive(peer))[0].values["Status"] == 0xFF00
    assert program.actions() == ["c-find"]


def test_an_identifier_above_the_limit_is_refused(tmp_path: Path) -> None:
    asked = study()
    asked.TextValue = "x" * 1_100_000
    with guarded(Recorded(tmp_path)) as (port, program), client(port) as association:
        assert [status.Status for status, _ in association.send_c_find(asked, FIND)] == [0xA700]
        assert [status.Status for status, _ in association.send_c_get(asked, GET)] == [0xA702]
    assert program.seen == []


@pytest.mark.filterwarnings("ignore")  # pydicom's, of the mutated values
def test_a_mutated_request_is_decided_as_what_the_program_sees_or_not_carried_out(tmp_path: Path) -> None:
    """A fixed seed, some bytes of command and identifier changed; afterwards the program serves as before."""
    dice = random.Random(20261121)
    record, asked = Recorded(tmp_path), []

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked.append((event.request.MessageID, event.request.Priority, event.identifier.get("StudyInstanceUID")))
        yield 0, None

    with serving(guard([(evt.EVT_C_FIND, find)], record.gate)) as port:
        for _ in range(100):
            parts = [bytearray(command_of(0x20, data=True, Priority=0)), bytearray(IDENTIFIER)]
            for _ in range(dice.randint(1, 3)):
                changed = dice.choice(parts)
                changed[dice.randrange(len(changed))] = dice.randrange(256)
            with connect(port) as peer:
                peer.sendall(pdus.request(called="PROGRAM"))
                assert receive(peer)[0] == 2
                peer.sendall(message(ON_FIND, bytes(parts[0]), bytes(parts[1])))
                assert receive(peer)[:1] in (b"\x04", b"\x07", b"")  # answered or aborted, and never left waiting
        with client(port) as association:
            assert [status.Status for status, _ in association.send_c_find(study(), FIND)] == [0]
    allowed = [line["request"] for line in record.decisions("c-find") if line["decision"] == "allow"]
    assert [(line["MessageID"], line["Priority"]) for line in allowed] == [(number, priority) for number, priority, _ in asked]
    assert 1 < len(asked) < 100


def test_a_query_can_be_cancelled(tmp_path: Path) -> None:
    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        while not event.is_cancelled:
            yield 0xFF00, study()
            time.sleep(0.005)
        yield 0xFE00, None

    record = Recorded(tmp_path)
    with serving(guard([(evt.EVT_C_FIND, find)], record.gate)) as port, client(port) as association:
        statuses = []
        for status, _ in association.send_c_find(study(), FIND, msg_id=5):
            statuses.append(int(status.Status))
            if len(statuses) == 3:
                association.send_c_cancel(5, query_model=FIND)
    assert statuses[-1] == 0xFE00
    assert record.outcome("c-find")["Status"] == 0xFE00


# -- facts ----------------------------------------------------------------------------------------

VIP = "\n  - {id: vip, on: [c-get, c-move], when: {resource.PatientID: VIP}, deny: {reason: a protected patient}}\n"


@pytest.mark.parametrize(("found", "status"), [([{"PatientID": "P1"}], 0), ([{"PatientID": "VIP"}], NOT_AUTHORIZED), ([], 0)])
def test_a_look_up_tells_what_a_retrieve_reaches(found: list[dict[str, object]], status: int, tmp_path: Path) -> None:
    asked: list[Any] = []

    def lookup(association: Any) -> Any:
        def look(request: hirules.Request, needed: frozenset[str]) -> list[dict[str, object]]:
            asked.append((association.requestor.ae_title, request.action, needed))
            return found

        return look

    with guarded(Recorded(tmp_path, VIP), lookup=lookup) as (port, program), client(port, handlers=[(evt.EVT_C_STORE, lambda _: 0)]) as association:
        *_, (final, _) = association.send_c_get(study(), GET)
    assert final.Status == status
    assert asked == [("CLIENT", "c-get", frozenset({"PatientID"}))]
    # what is known to reach nothing is answered without the program
    assert program.actions() == (["c-get"] if found == [{"PatientID": "P1"}] else [])


def test_without_a_look_up_a_rule_about_the_resource_refuses(tmp_path: Path) -> None:
    record = Recorded(tmp_path, VIP)
    with guarded(record) as (port, program), client(port) as association:
        assert [status.Status for status, _ in association.send_c_move(study(), "DEST", MOVE)] == [NOT_AUTHORIZED]
    assert program.seen == []
    assert record.decisions("c-move")[0]["errors"]


def test_a_look_up_that_cannot_be_made_leaves_no_association(tmp_path: Path) -> None:
    def broken(_: Any) -> Any:
        raise OSError

    with guarded(Recorded(tmp_path), lookup=broken) as (port, _), client(port) as association:
        assert association.is_rejected


def test_what_shall_not_be_known_does_not_exist(tmp_path: Path) -> None:
    rule = "\n  - {id: hidden, on: [c-find, c-get, n-get], when: {request.MessageID: 13}, deny: {respond: no-match}}\n"
    with guarded(Recorded(tmp_path, rule)) as (port, program), client(port) as association:
        assert [SERVICES[action](association, 13)[-1][0].Status for action in ("c-find", "c-get", "n-get")] == [0, 0, 0x0112]
    assert program.seen == []


# -- who asks -------------------------------------------------------------------------------------

OUTSIDER = "\n  - {id: outsider, on: associate, when: {subject.ae_title: OUTSIDER}, deny: {status: {result: 2, source: 3, reason: 2}}}\n"


def test_an_association_is_decided_before_it_is_accepted(tmp_path: Path) -> None:
    record = Recorded(tmp_path, OUTSIDER)
    heard: list[str] = []
    notes = [(event, lambda event: heard.append(event.event.name)) for event in (evt.EVT_ACCEPTED, evt.EVT_REJECTED, evt.EVT_ESTABLISHED)]
    with serving(guard(notes, record.gate)) as port:
        with client(port, "OUTSIDER") as association:
            assert association.is_rejected
            rejected = association.acceptor.primitive
            assert (rejected.result, rejected.result_source, rejected.diagnostic) == (2, 3, 2)
        assert until(lambda: heard == ["EVT_REJECTED"])
        with client(port) as association:
            assert association.is_established
    assert [line["decision"] for line in record.decisions("associate")] == ["deny", "allow"]
    assert heard == ["EVT_REJECTED", "EVT_ACCEPTED", "EVT_ESTABLISHED"]


def test_an_association_that_can_be_read_in_two_ways_is_rejected(tmp_path: Path) -> None:
    with guarded(Recorded(tmp_path)) as (port, _), connect(port) as peer:
        request = pdus.request(identity(1, b"ada"), identity(1, b"eve"), called="PROGRAM")
        peer.sendall(request)
        assert receive(peer)[:10] == b"\x03\0\0\0\0\x04\0\x01\x02\x01"


USERS = """
  - {id: ada, on: [n-get], when: {subject.user: ada}, allow: {}}
  - {id: said, on: [c-find], when: {subject.stated_user: ada}, allow: {}}
  - {id: named, on: [associate], when: {subject.user: mallory}, deny: {reason: known here}}
"""


@pytest.mark.parametrize(
    ("verifies", "user", "finds", "reads"),
    [(None, b"ada", 0, NOT_AUTHORIZED), (True, b"ada", NOT_AUTHORIZED, 0), (True, b"eve", NOT_AUTHORIZED, NOT_AUTHORIZED)],
)
def test_a_user_is_one_when_the_program_has_verified_it(verifies: bool | None, user: bytes, finds: int, reads: int, tmp_path: Path) -> None:
    program = Program()
    checks = [] if verifies is None else [(evt.EVT_USER_ID, lambda _: (verifies, None))]
    record = Recorded(tmp_path, USERS, clinical=False)
    with serving(guard([*program.handlers(), *checks], record.gate)) as port, client(port, ext_neg=[identity(2, user, b"secret")]) as association:
        assert SERVICES["c-find"](association, 1)[-1][0].Status == finds
        assert SERVICES["n-get"](association, 1)[-1][0].Status == reads
    assert b"secret" not in (tmp_path / "audit.jsonl").read_bytes()


def test_a_verified_user_may_be_kept_out(tmp_path: Path) -> None:
    handlers = [(evt.EVT_USER_ID, lambda _: (True, None))]
    with serving(guard(handlers, Recorded(tmp_path, USERS).gate)) as port:
        for user in (b"mallory", b"\xff"):  # of the second nobody knows who it is
            with client(port, ext_neg=[identity(1, user)]) as association:
                assert association.is_rejected
        with client(port, ext_neg=[identity(1, b"ada")]) as association:
            assert association.is_established


def test_a_client_certificate_is_part_of_who_asks(tmp_path: Path) -> None:
    """Made by openssl: the server's own, which the client proves to have too."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=workstation",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    contexts = [ssl.SSLContext(protocol) for protocol in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)]
    for context in contexts:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(certificate)
    rule = "\n  - {id: known, on: c-find, when: {subject.tls.cn: workstation, context.transport: dimse+tls}, allow: {}}\n"
    handlers = guard(Program().handlers(), Recorded(tmp_path, rule, clinical=False).gate)
    with serving(handlers, ssl_context=contexts[0]) as port, client(port, tls_args=(contexts[1], "localhost")) as association:
        assert SERVICES["c-find"](association, 1)[-1][0].Status == 0
    with serving(handlers) as port, client(port) as association:
        assert SERVICES["c-find"](association, 1)[-1][0].Status == NOT_AUTHORIZED


def test_the_program_says_what_else_it_knows_of_the_peer(tmp_path: Path) -> None:
    rule = "\n  - {id: doctors, on: c-find, when: {subject.roles: {contains: doctor}}, allow: {}}\n"
    roles = {"CLIENT": ["doctor"], "OTHER": ["porter"]}
    record = Recorded(tmp_path, rule, clinical=False)
    with guarded(record, subject=lambda association: {"roles": roles[association.requestor.ae_title]}) as (port, _):
        for title, status in (("CLIENT", 0), ("OTHER", NOT_AUTHORIZED)):
            with client(port, title) as association:
                assert SERVICES["c-find"](association, 1)[-1][0].Status == status
        with client(port, "STRANGER") as association:  # of whom it can say nothing: it raises
            assert association.is_rejected


def test_two_associations_at_once_are_two_callers(tmp_path: Path) -> None:
    """The first waits in its handler while the second asks, with the same message id."""
    inside, go = threading.Event(), threading.Event()
    seen: list[str] = []

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        seen.append(event.assoc.requestor.ae_title)
        if event.assoc.requestor.ae_title == "CLIENT":
            inside.set()
            assert go.wait(30)
        yield 0xFF00, study()

    statuses: dict[str, list[int]] = {}

    def ask(title: str) -> None:
        with client(port, title) as association:
            statuses[title] = [int(status.Status) for status, _ in association.send_c_find(study(), FIND)]

    record = Recorded(tmp_path)
    with serving(guard([(evt.EVT_C_FIND, find)], record.gate)) as port:
        first = threading.Thread(target=ask, args=("CLIENT",))
        first.start()
        assert inside.wait(30)
        ask("STRANGER")
        ask("ARCHIVE")
        assert statuses == {"STRANGER": [NOT_AUTHORIZED], "ARCHIVE": [0xFF00, 0]}
        go.set()
        first.join(30)
    assert statuses["CLIENT"] == [0xFF00, 0]
    assert seen == ["CLIENT", "ARCHIVE"]
    assert [(line["subject"]["ae_title"], line["decision"]) for line in record.decisions("c-find")] == [
        ("CLIENT", "allow"),
        ("STRANGER", "deny"),
        ("ARCHIVE", "allow"),
    ]


def test_the_guard_goes_with_its_association(tmp_path: Path) -> None:
    made: list[weakref.ref[Any]] = []
    handlers = [(evt.EVT_ESTABLISHED, lambda event: made.append(weakref.ref(pynetdicom_seam.watch_of(event.assoc))))]
    with serving(guard(handlers, Recorded(tmp_path).gate)) as port:
        with client(port) as association:
            assert association.send_c_echo().Status == 0

        def gone() -> bool:
            gc.collect()
            return made[0]() is None

        assert until(gone)


# -- the other side -------------------------------------------------------------------------------


def test_what_an_archive_stores_for_a_c_get_of_the_program_is_decided(tmp_path: Path) -> None:
    rule = "\n  - {id: one, on: c-store, when: {request.AffectedSOPInstanceUID: 1.2.3.2, request.action: c-get}, deny: {reason: not this one}}\n"
    record = Recorded(tmp_path, rule)
    archive, stored = Program(), []

    def store(event: Any) -> int:
        stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    with serving(archive.handlers()) as port, client(port, handlers=guard([(evt.EVT_C_STORE, store)], record.gate)) as association:
        *_, (final, _) = association.send_c_get(study(), GET)
    assert (final.Status, final.NumberOfFailedSuboperations) == (0xB000, 1)
    assert stored == ["1.2.3.1", "1.2.3.3"]
    decided = record.decisions("c-store")
    assert [line["decision"] for line in decided] == ["allow", "deny", "allow"]
    assert {line["subject"]["ae_title"] for line in decided} == {"PROGRAM"}


def test_what_a_peer_asks_of_a_program_that_called_it_is_decided(tmp_path: Path) -> None:
    """An N-EVENT-REPORT may come; anything else needs the role for it."""
    record = Recorded(tmp_path)
    program, answers = Program(), {}
    reported, done = threading.Event(), threading.Event()

    def ask_back(event: Any) -> int:
        def ask() -> None:
            for action in ("n-event-report", "c-store"):
                answers[action] = SERVICES[action](event.assoc, 1)[-1][0].get("Status")
            done.set()

        if not reported.is_set():
            reported.set()
            threading.Thread(target=ask).start()
        return 0

    with serving([(evt.EVT_C_STORE, ask_back)]) as port, client(port, handlers=guard(program.handlers(), record.gate)) as association:
        assert association.send_c_store(ct(1)).Status == 0
        assert done.wait(60)
    assert answers == {"n-event-report": 0, "c-store": NOT_AUTHORIZED}
    assert program.actions() == ["n-event-report"]
    assert record.decisions("n-event-report")[0]["subject"]["ae_title"] == "PROGRAM"


# -- starting -------------------------------------------------------------------------------------


def test_handlers_are_guarded_once(tmp_path: Path) -> None:
    gate = Recorded(tmp_path).gate
    with pytest.raises(ValueError, match="guarded already"):
        guard(guard([], gate), gate)


def test_a_guarded_handler_without_the_seam_does_nothing(tmp_path: Path) -> None:
    """As when somebody binds it to an association that the guard never saw."""
    program = Program()
    handlers = guard(program.handlers(), Recorded(tmp_path).gate)
    with serving(handlers[1:]) as port, client(port) as association:
        for action, status in {"c-find": 0xC311, "c-get": 0xC411, "c-move": 0xC511, "c-store": 0xC211, "n-get": 0x0110}.items():
            assert SERVICES[action](association, 1)[-1][0].Status == status
    assert program.seen == []
    event = type("Event", (), {"request": object()})()
    with pytest.raises(NotDecided):
        handlers[2][1](event)


def test_no_identifier_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "LOG_REQUEST_IDENTIFIERS", True)
    monkeypatch.setattr(_config, "LOG_RESPONSE_IDENTIFIERS", True)
    caplog.set_level(logging.DEBUG)
    asked = study()
    asked.PatientName = "Unmistakable^Name"
    with guarded(Recorded(tmp_path)) as (port, _), client(port) as association:
        list(association.send_c_find(asked, FIND))
        list(association.send_c_get(study(""), GET))
    assert "Unmistakable" not in caplog.text


def test_the_package_offers_it() -> None:
    assert hirules.dimse.guard is guard
    with pytest.raises(AttributeError):
        _ = hirules.dimse.nothing


def test_a_client_of_another_program_is_none_of_the_guards_business(tmp_path: Path) -> None:
    """Only associations made with the guarded list are guarded."""
    program = Program()
    guard(program.handlers(), Recorded(tmp_path, OUTSIDER).gate)
    entity = AE("OUTSIDER")
    entity.add_requested_context(FIND)
    with serving(program.handlers()) as port:
        association = entity.associate("127.0.0.1", port, ext_neg=[build_role(FIND, scu_role=True)])
        assert association.is_established
        association.release()
