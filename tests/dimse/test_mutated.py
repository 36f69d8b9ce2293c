"""The laws of ``mutated.py`` on its first thousands; and that it would notice."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dimse import mutated, mutations
from tests.dimse.instrumented import CT, FIND_RQ, GET_RQ, MOVE_RQ, N_GET_RQ, SECRET, STORE_RQ, Upstream, command, flat, message
from tests.dimse.mutated import Peer, consistent, run
from tests.dimse.mutations import CONTEXTS, FIND, GET, MOVE, ON, OPEN, PRINTER_CLASS, SEALED, echo, query, request


def test_mutated_messages_open_no_door_and_stop_nobody(tmp_path: Path) -> None:
    found = run(tmp_path, count=3000, seed=4)
    assert found.problems == []
    assert found.sent >= 3000
    assert min(found.answered, found.ended, found.requests, found.served) > 0
    assert {"C-ECHO", "C-FIND", "C-GET", "C-STORE", "N-GET"} <= found.reached.keys()


def test_the_same_seed_sends_the_same() -> None:
    one, other = ([mutations.mutated(dice) for _ in range(200)] for dice in (random.Random(7), random.Random(7)))
    assert one == other
    assert len({b"".join(pdus) for pdus in one}) > 190


def test_most_keep_the_framing() -> None:
    dice = random.Random(1)
    whole = sum(consistent(mutations.mutated(dice)) for _ in range(500))
    assert 300 < whole < 500


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.stop()


ASKED = {"MessageID": 1, "Priority": 0, "CommandDataSetType": 1}
TWICE = query(OPEN) + flat((0x20, 0x0D, SEALED))


@pytest.mark.parametrize(
    ("context", "command_set", "data", "says"),
    [
        (FIND, command(AffectedSOPClassUID=FIND, CommandField=FIND_RQ, **ASKED), query(patient="SEALED"), "a C-FIND for the patient"),
        (FIND, command(AffectedSOPClassUID=FIND, CommandField=FIND_RQ, **ASKED), query(), "a C-FIND for the patient"),
        (GET, command(AffectedSOPClassUID=GET, CommandField=GET_RQ, **ASKED), query(SEALED), "names the sealed patient"),
        (GET, command(AffectedSOPClassUID=GET, CommandField=GET_RQ, **ASKED), query(f"{OPEN}\\1.2.3"), "for the studies"),
        (GET, command(AffectedSOPClassUID=GET, CommandField=GET_RQ, **ASKED), TWICE, "twice or in disorder"),
        (MOVE, command(AffectedSOPClassUID=MOVE, CommandField=MOVE_RQ, MoveDestination="ELSEWHERE", **ASKED), query(OPEN), "a C-MOVE to `ELSEWHERE`"),
        (CT, command(AffectedSOPClassUID=CT, CommandField=STORE_RQ, AffectedSOPInstanceUID="1.2.3", **ASKED), query(OPEN), "a C-STORE of `1.2.3`"),
        (
            CONTEXTS[11],
            command(RequestedSOPClassUID=PRINTER_CLASS, CommandField=N_GET_RQ, RequestedSOPInstanceUID="1.2.3", MessageID=1, CommandDataSetType=0x0101),
            None,
            "an N-GET of `1.2.3`",
        ),
        (CT, command(AffectedSOPClassUID=CT, CommandField=0x150, MessageID=1, CommandDataSetType=0x0101), None, "no rule allows"),
    ],
)
def test_the_archive_notices_an_open_door(upstream: Upstream, context: str, command_set: bytes, data: bytes | None, says: str) -> None:
    """Asked without a gateway in front."""
    with Peer(upstream.port) as peer:
        peer.send(request("FUZZ", "PACS"))
        assert peer.pdu()[:1] == b"\x02"
        peer.send(b"".join([*message(ON[context], command_set, data), *echo(9)]))
        peer.echoed(9)
    assert any(says in violation for violation in upstream.violations), upstream.violations


def test_the_archive_notices_whom_no_rule_lets_in(upstream: Upstream) -> None:
    with Peer(upstream.port) as peer:
        peer.send(request("STRANGER", "PACS"))
        assert peer.pdu()[:1] == b"\x02"
    assert upstream.violations == ["STRANGER: an association of `STRANGER`"]


def test_the_sealed_name_is_noticed_where_the_gateway_has_no_rules_for_what_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [line for line in mutated.POLICY.splitlines() if "on: answer" not in line and "on: release" not in line]
    monkeypatch.setattr(mutated, "POLICY", "\n".join(rules) + "\n")
    upstream = Upstream()
    gateway = mutated.serve(tmp_path, upstream)
    try:
        with Peer(gateway.port) as peer:
            peer.send(request("FUZZ", "GATE"))
            assert peer.pdu()[:1] == b"\x02"
            peer.send(b"".join(message(ON[FIND], command(AffectedSOPClassUID=FIND, CommandField=FIND_RQ, **ASKED), query(patient="P1"))))
            assert peer.statuses(FIND_RQ) == [0xFF00, 0xFF00, 0]
            assert SECRET in peer.received
    finally:
        gateway.stop()
        upstream.stop()
