"""Which move a C-STORE belongs to: by the association that it comes on, and by what it says of its originator."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest

from hirules.dimse.association import Association
from hirules.dimse.conversation import Outstanding
from hirules.dimse.moves import Move, Moves, Origin, Resolver, Upstream, canonical_address, same_title
from hirules.dimse.options import Destination
from tests.dimse.wire import OPTIONS

PACS = Upstream("PACS", "GATE", frozenset({"10.0.0.5"}))
DEST = Destination("DEST", "10.0.0.9", 104)


def opened(moves: Moves, originator: str = "CLIENT", upstream: Upstream = PACS) -> Move:
    move = moves.open(originator, upstream, DEST, Origin(originator, 1))
    move.request = Outstanding(0x21, 3, None)
    return move


def association(calling: str = "PACS", called: str = "GATE", address: str = "10.0.0.5") -> Association:
    return Association(calling, called, {}, address)


def test_each_has_a_number_of_its_own_and_none_comes_again_soon() -> None:
    moves = Moves()
    first = [opened(moves) for _ in range(100)]
    numbers = {move.number for move in first}
    assert len(numbers) == 100
    for move in first:
        move.close()
    assert len(moves) == 0
    assert numbers.isdisjoint({opened(moves).number for _ in range(100)})


def test_a_number_that_is_outstanding_is_not_given_again() -> None:
    moves = Moves()
    kept = opened(moves)
    for _ in range(0xFFFE):
        opened(moves)
    with pytest.raises(RuntimeError, match="outstanding"):
        opened(moves)
    kept.close()
    assert opened(moves).number == kept.number


@pytest.mark.parametrize(
    ("originator", "offset", "matches"),
    [("CLIENT", 0, True), (" client ", 0, True), ("PACS", 0, True), ("OTHER", 0, False), ("CLIENT", 1, False), (None, 0, False)],
)
def test_a_c_store_is_matched_by_its_originator_and_number(originator: object, offset: int, matches: bool) -> None:
    moves = Moves()
    move = opened(moves)
    assert moves.match(association(), originator, move.number + offset) is (move if matches else None)
    assert moves.match(association(), originator, None) is None


@pytest.mark.parametrize("stranger", [association(address="10.0.0.6"), association(calling="CLIENT"), association(called="OTHER"), association(address="")])
def test_an_association_of_anybody_else_brings_nothing(stranger: Association) -> None:
    moves = Moves()
    move = opened(moves)
    assert moves.awaited(association()) == (move,)
    assert moves.awaited(stranger) == ()
    assert moves.match(stranger, "CLIENT", move.number) is None


def test_a_title_of_its_own_tells_the_upstream_from_clients() -> None:
    """Then it may associate under any title; many archives have one for each purpose."""
    moves = Moves()
    move = opened(moves, upstream=msgspec.structs.replace(PACS, called="GATE_MOVE", named=True))
    assert moves.awaited(association(calling="PACS_SCU", called="GATE_MOVE")) == (move,)
    assert moves.awaited(association(calling="PACS")) == ()


def test_one_that_is_not_on_its_way_brings_nothing() -> None:
    assert not Moves().open("CLIENT", PACS, DEST, Origin("CLIENT", 1)).begin()


def test_what_is_closed_brings_nothing_any_more() -> None:
    moves = Moves()
    move = opened(moves)
    assert move.begin()
    move.close()
    assert move.closed
    assert not move.begin()
    assert (moves.awaited(association()), moves.match(association(), "CLIENT", move.number)) == ((), None)
    move.end(stored=True)
    assert move.instances == 1


def test_a_move_is_settled_once_its_instances_are_answered() -> None:
    move = opened(Moves())
    assert move.settled(0, 0)
    assert move.begin()
    assert not move.settled(0, 0.01)
    threading.Timer(0.05, lambda: move.end(stored=True)).start()
    assert move.settled(1, 20)
    assert not move.settled(2, 0.01)


def test_a_move_flows_while_an_instance_is_under_way_and_for_a_while_after() -> None:
    move = opened(Moves())
    assert move.flows(60)
    assert not move.flows(0)
    assert move.begin()
    assert move.flows(0)
    move.end(stored=True)
    assert not move.flows(0)
    assert move.flows(60)


def test_nobody_waits_for_a_closed_one() -> None:
    move = opened(Moves())
    move.begin()
    threading.Timer(0.05, move.close).start()
    began = time.monotonic()
    assert move.settled(0, 60)
    assert time.monotonic() - began < 30


def test_the_upstream_may_come_from_its_host_and_from_those_of_the_configuration() -> None:
    options = msgspec.structs.replace(OPTIONS, upstream_host="127.0.0.1", delivery_addresses=("10.1.1.1", "no-such-host.invalid"))
    upstream = Resolver().upstream(options)
    assert upstream.addresses == {"127.0.0.1", "10.1.1.1"}
    assert (upstream.ae_title, upstream.called, upstream.named) == ("PACS", "GATE", False)
    assert Resolver().upstream(msgspec.structs.replace(options, move_ae_title="GATE_MOVE")).named


def test_addresses_and_titles_have_one_form() -> None:
    assert [canonical_address(text) for text in ("::ffff:10.0.0.5", "10.0.0.5", "fe80::1%eth0", "host")] == ["10.0.0.5", "10.0.0.5", "fe80::1", "host"]
    assert same_title(" gate\0", "GATE")
    assert not same_title("GATE", "GATES")
