"""What becomes of a permitted C-MOVE, by where it goes.

MoveDestination ─▶ the gateway itself?           refused, 0xA801
                ├▶ direct, not to be decided     the upstream sends, under the title by which it knows the destination
                ├▶ direct, a rule would decide   refused, 0x0124: its instances would leave undecided
                └▶ through                       the upstream sends to the gateway: `hirules.dimse.delivery`
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import msgspec

from hirules.dimse.association import Association
from hirules.dimse.message import Command, encode_command, parse_command
from hirules.dimse.moves import Move, Moves, Origin, Resolver, same_title
from hirules.dimse.negotiation import canonical_ae_title
from hirules.dimse.options import Destination, Options
from hirules.model.decision import Decision
from hirules.model.status import NOT_AUTHORIZED, UNABLE_TO_PROCESS

MOVE_DESTINATION_UNKNOWN = 0xA801
TO_ITSELF = "the gateway itself is no move destination"
NOT_DECIDED = "instances could not be decided: the destination is direct"
NO_NUMBER = "too many C-MOVEs are outstanding"


class Routed(msgspec.Struct, frozen=True):
    """The C-MOVE as the upstream gets it, and what the record says of its way."""

    command: bytes
    move: Move | None = None
    told: Mapping[str, object] = {}


class NotRouted(msgspec.Struct, frozen=True):
    """Why it is not carried out."""

    status: int
    why: str


class Destinations:
    """The ways of one gateway. Thread safe."""

    def __init__(self, options: Options, moves: Moves) -> None:
        self.moves = moves
        self._options = options
        self._resolver = Resolver()

    def route(self, command: Command, decision: Decision, association: Association, options: Options | None = None) -> Routed | NotRouted:
        """The way of a permitted C-MOVE. A ``Routed.move`` is outstanding from now on, until it is closed.

        ``options`` are those of its upstream where there are several.
        """
        options = options or self._options
        asked = str(command.values["MoveDestination"])
        listed = options.deliveries.get(asked.strip(" \0").upper())
        if any(same_title(asked, title) for title in _ours(options)):
            return NotRouted(MOVE_DESTINATION_UNKNOWN, TO_ITSELF)
        if listed is not None and listed.through:
            return self._through(command, decision, association, listed, options)
        decides = options.decide_deliveries
        if decides if isinstance(decides, bool) else decides(decision.policies):
            return NotRouted(NOT_AUTHORIZED, NOT_DECIDED)
        if listed is None or listed.ae_title == asked:
            return Routed(command.raw)
        return Routed(_changed(command, MoveDestination=listed.ae_title), told={"delivery": "direct", "destination": listed.ae_title})

    def _through(self, command: Command, decision: Decision, association: Association, destination: Destination, options: Options) -> Routed | NotRouted:
        originator = options.calling_ae_title or canonical_ae_title(association.calling_ae_title, options)
        origin = Origin(canonical_ae_title(association.calling_ae_title, options), command.number, decision)
        upstream = self._resolver.upstream(options)
        try:
            move = self.moves.open(originator, upstream, destination, origin)
        except RuntimeError:
            return NotRouted(UNABLE_TO_PROCESS, NO_NUMBER)
        told = {"delivery": "through", "destination": destination.ae_title}
        return Routed(_changed(command, MessageID=move.number, MoveDestination=upstream.called), move, told)


def _ours(options: Options) -> tuple[str, ...]:
    titles = (options.ae_title, *(title for upstream in options.upstreams for title in upstream.called))
    return titles if options.move_ae_title is None else (*titles, options.move_ae_title)


def _changed(command: Command, **values: object) -> bytes:
    """The command set with these values. Raises ``ValueError`` where one cannot be encoded."""
    try:
        return parse_command(encode_command({**command.values, **values})).raw
    except (struct.error, UnicodeError):
        raise ValueError("the move destination cannot be encoded") from None
