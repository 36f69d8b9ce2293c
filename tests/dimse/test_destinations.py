"""What becomes of a permitted C-MOVE, by where it goes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hirules.dimse.destinations import NOT_DECIDED, TO_ITSELF, Destinations, NotRouted, Routed
from hirules.dimse.message import parse_command
from hirules.dimse.moves import Moves
from hirules.dimse.options import Destination
from tests.dimse.wire import DECISION, OPTIONS, association, command


def route(destination: str, moves: Moves | None = None, **options: Any) -> Routed | NotRouted:
    changed = msgspec.structs.replace(OPTIONS, **options)
    parsed = parse_command(command(0x21, 5, data=True, Priority=0, MoveDestination=destination))
    return Destinations(changed, moves if moves is not None else Moves()).route(parsed, DECISION, association())


LISTED = {"OLD": Destination("NEW"), "STATION": Destination("WS1", "10.0.0.9", 104)}


def test_one_that_is_not_listed_is_direct_in_its_own_bytes() -> None:
    way = route("DEST", deliveries=LISTED)
    assert isinstance(way, Routed)
    assert way.command == command(0x21, 5, data=True, Priority=0, MoveDestination="DEST")
    assert (way.move, way.told) == (None, {})


@pytest.mark.parametrize("asked", ["OLD", " old "])
def test_a_mapped_one_is_direct_under_its_other_title(asked: str) -> None:
    way = route(asked, deliveries=LISTED)
    assert isinstance(way, Routed)
    assert parse_command(way.command).values["MoveDestination"] == "NEW"
    assert parse_command(way.command).values["MessageID"] == 5
    assert way.told == {"delivery": "direct", "destination": "NEW"}


def test_one_that_goes_through_names_the_gateway_and_has_a_number_of_its_own() -> None:
    moves = Moves()
    way = route("STATION", moves, deliveries=LISTED, move_ae_title="GATE_MOVE")
    assert isinstance(way, Routed)
    assert way.move is not None
    sent = parse_command(way.command).values
    assert (sent["MoveDestination"], sent["MessageID"]) == ("GATE_MOVE", way.move.number)
    assert (way.move.destination, way.move.originator) == (LISTED["STATION"], "CLIENT")
    assert (way.move.origin.ae_title, way.move.origin.message_id) == ("CLIENT", 5)
    assert way.told == {"delivery": "through", "destination": "WS1"}
    assert len(moves) == 1


def test_the_originator_is_who_the_upstream_sees() -> None:
    way = route("STATION", deliveries=LISTED, calling_ae_title="HIRULES")
    assert isinstance(way, Routed)
    assert way.move is not None
    assert (way.move.originator, way.move.origin.ae_title) == ("HIRULES", "CLIENT")


@pytest.mark.parametrize("asked", ["GATE", " gate ", "GATE_MOVE"])
def test_the_gateway_itself_is_no_destination(asked: str) -> None:
    assert route(asked, move_ae_title="GATE_MOVE", deliveries={"GATE": Destination("GATE", "10.0.0.9", 104)}) == NotRouted(0xA801, TO_ITSELF)


@pytest.mark.parametrize("decides", [True, lambda _: True])
def test_a_direct_one_whose_instances_a_rule_would_decide_is_refused(decides: Any) -> None:
    for asked in ("DEST", "OLD"):
        assert route(asked, deliveries=LISTED, decide_deliveries=decides) == NotRouted(0x0124, NOT_DECIDED)
    assert isinstance(route("STATION", deliveries=LISTED, decide_deliveries=decides), Routed)


def test_comments_fit_an_error_comment() -> None:
    assert all(len(text) <= 64 for text in (TO_ITSELF, NOT_DECIDED))
