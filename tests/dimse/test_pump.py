from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping

import pytest

from hirules.dimse.pump import Lane, Pump
from hirules.dimse.ruling import Desk
from hirules.model.decision import Decision
from hirules.model.request import Request
from tests.dimse.wire import ABORT, OPTIONS, RELEASE_RQ, association, find, relay, status_of, store


class Gate:
    def __init__(self, allowed: bool) -> None:
        self.allowed = allowed
        self.outcomes: list[Mapping[str, object]] = []

    def check(self, request: Request) -> Decision:
        return Decision("allow" if self.allowed else "deny", request, status=None if self.allowed else 0x0124)

    def complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        self.outcomes.append(outcome)


class Ends:
    """The pump from the client, and the peers' ends of both lanes."""

    def __init__(self, allowed: bool, stack: list[socket.socket]) -> None:
        (ours, self.upstream), (other, self.client) = socket.socketpair(), socket.socketpair()
        stack.extend((ours, other, self.upstream, self.client))
        for peer in stack:
            peer.settimeout(20)
        self.gate = Gate(allowed)
        made = relay()
        self.pump = Pump("client", other, made.client, Lane(ours), Lane(other), Desk(self.gate, OPTIONS, association()))


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    opened: list[socket.socket] = []
    yield opened
    for peer in opened:
        peer.close()


def test_what_is_permitted_goes_out_and_what_is_not_is_answered(sockets: list[socket.socket]) -> None:
    ends = Ends(True, sockets)
    ends.pump.take(memoryview(find()))
    assert ends.upstream.recv(1000) == find()
    refusing = Ends(False, sockets)
    refusing.pump.take(memoryview(find()))
    assert status_of(refusing.client.recv(1000)) == 0x0124
    assert refusing.gate.outcomes == [{"Status": 0x0124}]


def test_the_lane_is_held_until_the_message_is_complete(sockets: list[socket.socket]) -> None:
    ends, sent = Ends(True, sockets), store(data=b"x" * 1000)
    ends.pump.take(memoryview(sent[:-10]))
    assert ends.pump.holds
    assert not ends.pump.out.lock.acquire(blocking=False)
    ends.pump.take(memoryview(sent[-10:]))
    assert ends.pump.out.lock.acquire(blocking=False)
    assert ends.upstream.recv(5000) == sent


def test_an_answer_waits_for_the_message_on_its_lane(sockets: list[socket.socket]) -> None:
    ends = Ends(False, sockets)
    with ends.pump.back.lock:
        working = threading.Thread(target=ends.pump.take, args=(memoryview(find()),), daemon=True)
        working.start()
        ends.client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ends.client.recv(1000)
    working.join(20)
    ends.client.settimeout(20)
    assert status_of(ends.client.recv(1000)) == 0x0124


def test_how_it_ended_is_told(sockets: list[socket.socket]) -> None:
    ends = Ends(True, sockets)
    ends.pump.take(memoryview(RELEASE_RQ))
    assert not ends.pump.ended
    ends.pump.take(memoryview(b"junk!!"))
    assert ends.pump.ended.startswith("broken")
    assert ends.pump.abort[0] == 7


def test_a_lane_ends_once(sockets: list[socket.socket]) -> None:
    ends = Ends(True, sockets)
    ends.pump.out.finish(ABORT)
    ends.pump.out.finish(ABORT)
    assert ends.upstream.recv(1000) == ABORT
    assert ends.upstream.recv(1000) == b""
    ends.client.close()
    ends.pump.back.finish(ABORT)
