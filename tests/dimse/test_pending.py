"""A client that waits for a silent upstream is told that its retrieve is pending; nobody else is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from hirules.dimse.conversation import Conversation, Outstanding
from hirules.dimse.message import parse_command
from hirules.dimse.pending import Pulse, pending
from hirules.dimse.pump import Lane
from tests.dimse.peers import until
from tests.dimse.wire import GET, ON, OPTIONS, association, command, commands


class Side:
    """A client, and what the gateway knows of it."""

    def __init__(self) -> None:
        ours, self.client = socket.socketpair()
        self.lane = Lane(ours)
        self.asked, other = (Conversation(association(), OPTIONS, from_upstream=side) for side in (False, True))
        self.asked.other, other.other = other, self.asked
        self.client.settimeout(20)

    def register(self, field: int = 0x10, number: int = 5) -> Outstanding:
        self.asked.register(parse_command(command(field, number, data=True, Priority=0)), ON[GET], None)
        return self.asked.sent[number]

    def received(self) -> bytes:
        self.client.settimeout(0.3)
        try:
            return self.client.recv(65536)
        except TimeoutError:
            return b""


@pytest.fixture
def side() -> Iterator[Side]:
    made = Side()
    yield made
    made.lane.peer.close()
    made.client.close()


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    made = Pulse(0.05)
    yield made
    made.close()
    assert until(lambda: not any(thread.name == "dimse-pending" for thread in threading.enumerate()))


def test_a_silent_retrieve_is_pending_again_and_again_with_the_last_counts(side: Side, pulse: Pulse) -> None:
    side.register().progress = {"NumberOfRemainingSuboperations": 3, "NumberOfCompletedSuboperations": 2}
    pulse.watch(side.asked, side.lane)
    got = b""
    while len(commands(got)) < 3:
        got += side.client.recv(65536)
    for each in commands(got):
        assert each.values["Status"] == 0xFF00
        assert each.values["CommandField"] == 0x8010
        assert each.values["MessageIDBeingRespondedTo"] == 5
        assert (each.values["NumberOfRemainingSuboperations"], each.values["NumberOfCompletedSuboperations"]) == (3, 2)
        assert not each.has_data_set


def test_nothing_is_sent_after_the_final_response(side: Side, pulse: Pulse) -> None:
    side.register()
    side.asked.sent.pop(5)
    pulse.watch(side.asked, side.lane)
    assert side.received() == b""


def test_nothing_is_sent_into_a_message(side: Side, pulse: Pulse) -> None:
    side.register()
    with side.lane.lock:
        pulse.watch(side.asked, side.lane)
        assert side.received() == b""
    assert side.client.recv(65536)


def test_a_query_is_no_retrieve(side: Side, pulse: Pulse) -> None:
    side.register(field=0x20)
    pulse.watch(side.asked, side.lane)
    assert side.received() == b""


def test_what_was_sent_a_moment_ago_is_enough(side: Side) -> None:
    pulse = Pulse(30.0)
    side.register()
    pulse.watch(side.asked, side.lane)
    assert side.received() == b""
    pulse.close()


def test_what_is_forgotten_is_not_told(side: Side, pulse: Pulse) -> None:
    side.register()
    pulse.watch(side.asked, side.lane)
    assert side.client.recv(65536)
    pulse.forget(side.asked)
    time.sleep(0.1)
    side.received()
    assert side.received() == b""


def test_a_client_that_does_not_read_holds_up_nobody(side: Side, pulse: Pulse) -> None:
    side.lane.peer.setblocking(False)
    try:
        while True:
            side.lane.peer.send(bytes(65536), 0)
    except BlockingIOError:
        side.lane.peer.setblocking(True)
    side.register()
    pulse.watch(side.asked, side.lane)
    other = Side()
    other.register()
    pulse.watch(other.asked, other.lane)
    assert other.client.recv(65536)
    other.lane.peer.close()
    other.client.close()


def test_a_pending_response_is_well_formed() -> None:
    made = parse_command(pending(9, Outstanding(0x21, 3, None)))
    assert (made.field, made.values["Status"], made.values["MessageIDBeingRespondedTo"]) == (0x8021, 0xFF00, 9)
