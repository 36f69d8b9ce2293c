"""Transcripts of a C-MOVE that goes through, at its client: under one number there, under another at the upstream."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from hirules.dimse.conversation import Outstanding
from hirules.dimse.flow import Flow
from hirules.dimse.ledger import Ledger
from hirules.dimse.legs import End, over
from hirules.dimse.message import encode_command
from hirules.dimse.moves import Move, Moves, Origin, Upstream
from hirules.dimse.options import Destination
from hirules.dimse.outputs import Ended, Forward, Message, Ruling, Settle
from hirules.dimse.relay import Relay
from tests.dimse.wire import (
    ABORT,
    DECISION,
    IDENTIFIER,
    MOVE,
    ON,
    RELEASE_RP,
    RELEASE_RQ,
    cancel,
    command,
    commands,
    find,
    forwarded,
    kinds,
    message,
    relay,
    reply,
    store,
    take,
)


def opened() -> Move:
    return Moves().open("CLIENT", Upstream("PACS", "GATE"), Destination("DEST", "10.0.0.9", 104), Origin("CLIENT", 1, DECISION))


def request(number: int = 1, destination: str = "DEST") -> bytes:
    return message(ON[MOVE], command(0x21, number, data=True, Priority=0, MoveDestination=destination), IDENTIFIER)


def under_way(made: Relay, move: Move, number: int = 1) -> bytes:
    """What the upstream gets of the client's C-MOVE."""

    def through(asked: Message) -> Ruling:
        told = command(0x21, move.number, data=True, Priority=0, MoveDestination="GATE")
        return Ruling(decision=DECISION, command=told, data=asked.data, move=move, told={"delivery": "through"})

    return forwarded(take(made.client, request(number), through))


def answer(move: Move, status: int, **counts: Any) -> bytes:
    return message(ON[MOVE], reply(0x21, move.number, status=status, **counts))


def drive(flow: Flow, data: bytes) -> list[Any]:
    """The outputs themselves, where none asks for a reply."""
    return list(flow.feed(data))


def test_responses_come_back_under_the_client_s_number() -> None:
    made, move = relay(), opened()
    assert move.number != 1
    (asked,) = [each for each in commands(under_way(made, move)) if each.field == 0x21]
    assert asked.values["MessageID"] == move.number
    pending = answer(move, 0xFF00, NumberOfRemainingSuboperations=3)
    (shown,) = commands(forwarded(take(made.upstream, pending)))
    assert (shown.values["MessageIDBeingRespondedTo"], shown.values["NumberOfRemainingSuboperations"]) == (1, 3)


def test_a_cancel_goes_on_under_the_upstream_s_number() -> None:
    made, move = relay(), opened()
    under_way(made, move)
    (sent,) = commands(forwarded(take(made.client, cancel(1, ON[MOVE]))))
    assert sent.values["MessageIDBeingRespondedTo"] == move.number
    assert kinds(take(made.client, cancel(move.number, ON[MOVE]))) == ["dropped"]


def test_the_final_response_waits_for_the_instances_and_is_told_with_the_way_it_took() -> None:
    made, move = relay(), opened()
    under_way(made, move)
    found = drive(made.upstream, answer(move, 0, NumberOfCompletedSuboperations=2, NumberOfWarningSuboperations=1))
    assert [type(output).__name__ for output in found] == ["Settle", "Forward", "Completed"]
    settle, last = found[0], found[-1]
    assert isinstance(settle, Settle)
    assert (settle.move, settle.expected) == (move, 3)
    assert last.outcome["delivery"] == "through"
    assert last.outcome["Status"] == 0


def test_neither_number_is_free_while_it_is_outstanding() -> None:
    made, move = relay(), opened()
    under_way(made, move)
    assert kinds(take(made.client, find(1))) == ["refused", "answer"]
    assert kinds(take(made.client, find(move.number))) == ["refused", "answer"]
    drive(made.upstream, answer(move, 0))
    assert kinds(take(made.client, find(move.number))) == ["decide", "forward"]


def test_a_client_that_goes_takes_its_move_with_it() -> None:
    made, move = relay(), opened()
    under_way(made, move)
    assert [completed.outcome["ended"] for completed in made.unfinished("gone")] == ["gone"]
    assert move.closed


# -- the association of a delivery ends at the gateway ---------------------------------------------


@pytest.mark.parametrize(("pdu", "how"), [(ABORT, "aborted"), (RELEASE_RQ, "released")])
def test_its_end_does_not_pass(pdu: bytes, how: str) -> None:
    flow = End(relay().client.exchange.conversation)
    assert drive(flow, pdu) == [Ended(how)]
    assert flow.ended


def test_a_release_that_nobody_asked_for_is_none() -> None:
    flow = End(relay().client.exchange.conversation)
    assert [type(output).__name__ for output in drive(flow, RELEASE_RP)] == ["Abort"]


def test_a_release_in_the_middle_of_a_message_is_none() -> None:
    flow = End(relay().client.exchange.conversation)
    take(flow, store(data=b"\0" * 4000)[:2000])
    found = drive(flow, store(data=b"\0" * 4000)[2000:-1])
    assert all(isinstance(output, Forward) for output in found)
    assert [type(output).__name__ for output in drive(flow, RELEASE_RQ)][-1] != "Ended"


@pytest.mark.parametrize(("status", "stored"), [(0, True), (0xB000, True), (0xB007, True), (0xA700, False), (0xC000, False), (0x0122, False), (None, False)])
def test_what_counts_as_stored(status: int | None, stored: bool) -> None:
    """PS3.4 §B.2.3: warnings mean stored."""
    move = opened()
    move.request = Outstanding(0x21, 3, DECISION, ledger=Ledger())
    assert move.begin()
    over(Outstanding(0x01, 7, None, status=status, move=move), "1.2.3")
    assert move.instances == stored
    assert move.settled(1, 0)
    assert repr(move.request.ledger).startswith(f"Ledger({int(stored)} delivered")


def test_an_answer_of_another_thread_settles_it() -> None:
    move = opened()
    move.request = Outstanding(0x21, 3, DECISION)
    assert move.begin()
    threading.Timer(0.05, lambda: over(Outstanding(0x01, 7, None, status=0, move=move))).start()
    assert move.settled(1, 20)


def test_a_response_without_a_number_of_a_move_is_left_as_it_is() -> None:
    made = relay()
    take(made.client, find(4))
    raw = encode_command({"CommandField": 0x8020, "MessageIDBeingRespondedTo": 4, "CommandDataSetType": 0x0101, "Status": 0})
    assert forwarded(take(made.upstream, message(1, raw))) == message(1, raw)
