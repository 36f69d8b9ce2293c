"""The C-MOVEs that go through the gateway: each has a number of its own at the upstream until it is over.

    client's C-MOVE ─▶ Moves.open ─▶ Move: number, originator      what the upstream is told
    upstream's association ─▶ Moves.awaited ─▶ Moves that may be   by its address and AE titles
    upstream's C-STORE ─▶ Moves.match ─▶ Move                      by its Move Originator; or it belongs to none
    upstream's final response ─▶ Move.settled ─▶ Move.close        once its instances have been answered

Rule 1: no two outstanding moves have the same number, so what an upstream says of its originator names one at most.
Rule 2: a C-STORE is matched only while its move is outstanding, and only on an association of its upstream.
No sockets, but for the resolver. Thread safe.
"""

from __future__ import annotations

import itertools
import socket
import threading
import time
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

import msgspec

from hirules.dimse.association import Association
from hirules.dimse.options import Destination, Options
from hirules.model.decision import Decision

if TYPE_CHECKING:
    from hirules.dimse.conversation import Outstanding

_NUMBERS = 0xFFFF
"""Message ids of 16 bits; 0 is not used, since peers take it for none."""
_RESOLVED = 60.0
"""Seconds that the addresses of a host name are kept."""


class Origin(msgspec.Struct, frozen=True):
    """The client's C-MOVE: what is restored when its instances leave."""

    ae_title: str
    message_id: int
    decision: Decision | None = None


class Upstream(msgspec.Struct, frozen=True):
    """Who will open an association, and what it will call."""

    ae_title: str
    called: str
    """The AE title under which it knows the gateway."""
    addresses: frozenset[str] = frozenset()
    named: bool = False
    """``called`` tells its associations from those of clients; else its own AE title has to."""

    def opens(self, association: Association) -> bool:
        """Whether ``association`` is one of this upstream's."""
        if canonical_address(association.address) not in self.addresses or not same_title(association.called_ae_title, self.called):
            return False
        return self.named or same_title(association.calling_ae_title, self.ae_title)


class Move:
    """One C-MOVE that goes through. The upstream knows it as ``number`` of ``originator``."""

    def __init__(self, moves: Moves, number: int, originator: str, upstream: Upstream, destination: Destination, origin: Origin) -> None:
        self.number = number
        self.originator = originator
        self.upstream = upstream
        self.destination = destination
        self.origin = origin
        self.request: Outstanding | None = None
        """The client's C-MOVE, once it is on its way."""
        self.instances = 0
        """Stored at the destination."""
        self._moves = moves
        self._changed = threading.Condition()
        self._under_way = 0
        self._answered = 0
        self._closed = False
        self._touched = time.monotonic()

    def __repr__(self) -> str:
        return f"Move({self.number}, to {self.destination.ae_title})"

    @property
    def closed(self) -> bool:
        """Its final response has gone, or its client."""
        return self._closed

    def flows(self, seconds: float) -> bool:
        """Whether an instance is under way, or was within the last ``seconds``: then it is not idle, however silent its upstream is to the client."""
        return self._under_way > 0 or time.monotonic() - self._touched < seconds

    def begin(self) -> bool:
        """An instance of it is about to go on; ``False`` where the move is over, or not on its way, and it must not."""
        with self._changed:
            if self._closed or self.request is None:
                return False
            self._under_way += 1
            self._touched = time.monotonic()
            return True

    def end(self, *, stored: bool) -> None:
        """The instance that ``begin`` announced was answered."""
        with self._changed:
            self._under_way -= 1
            self._touched = time.monotonic()
            self._answered += 1
            self.instances += stored
            self._changed.notify_all()

    def settled(self, expected: int, seconds: float) -> bool:
        """Wait until no instance is under way and ``expected`` were answered, ``seconds`` at most; whether it is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or (not self._under_way and self._answered >= expected), seconds)

    def close(self) -> None:
        """From now on no instance belongs to it."""
        self._moves.forget(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Moves:
    """The outstanding ones of one gateway, whatever their upstream."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outstanding: dict[int, Move] = {}
        # from the top, and no number again soon: a C-STORE that comes late must not find another move under its own
        self._next = itertools.cycle(range(_NUMBERS, 0, -1))

    def __len__(self) -> int:
        return len(self._outstanding)

    def open(self, originator: str, upstream: Upstream, destination: Destination, origin: Origin) -> Move:
        """A new one. Raises ``RuntimeError`` where every number is outstanding."""
        with self._lock:
            for number in itertools.islice(self._next, _NUMBERS):
                if number not in self._outstanding:
                    move = self._outstanding[number] = Move(self, number, originator, upstream, destination, origin)
                    return move
        raise RuntimeError("every message id is outstanding")

    def forget(self, move: Move) -> None:
        """``move`` is over."""
        with self._lock:
            if self._outstanding.get(move.number) is move:
                del self._outstanding[move.number]

    def awaited(self, association: Association) -> tuple[Move, ...]:
        """The moves whose instances ``association`` may bring, the oldest first; none: it is an ordinary one."""
        with self._lock:
            moves = tuple(self._outstanding.values())
        return tuple(move for move in moves if move.upstream.opens(association))

    def match(self, association: Association, originator: object, number: object) -> Move | None:
        """The move that a C-STORE with this Move Originator belongs to, on an association of its upstream."""
        if not isinstance(number, int) or not isinstance(originator, str):
            return None
        with self._lock:
            move = self._outstanding.get(number)
        if move is None or not move.upstream.opens(association):
            return None
        # pynetdicom's archives name themselves instead of the client; the number names one move in any case
        return move if same_title(originator, move.originator) or same_title(originator, move.upstream.ae_title) else None


def same_title(one: str, other: str) -> bool:
    """AE titles are compared without outer spaces and without regard to case."""
    return one.strip(" \0").upper() == other.strip(" \0").upper()


def canonical_address(address: str) -> str:
    """IPv4 in IPv6 as IPv4; what is no address as it is."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return str(mapped or parsed)


class Resolver:
    """The addresses that an upstream may come from: its host's and those of the configuration, asked again every minute."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    def upstream(self, options: Options) -> Upstream:
        """Who will deliver. A host that cannot be resolved has no address: then nothing is taken for its delivery."""
        called = options.move_ae_title or options.ae_title
        addresses = frozenset().union(*map(self._addresses, (options.upstream_host, *options.delivery_addresses)))
        return Upstream(options.upstream_ae_title, called, addresses, named=not same_title(called, options.ae_title))

    def _addresses(self, host: str) -> frozenset[str]:
        asked, found = self._known.get(host, (-_RESOLVED, frozenset()))
        if time.monotonic() - asked < _RESOLVED:
            return found
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return found
        found = frozenset(canonical_address(str(answer[4][0])) for answer in answers)
        self._known[host] = (time.monotonic(), found)
        return found
