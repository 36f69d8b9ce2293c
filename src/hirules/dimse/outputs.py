"""What the relay tells its driver to do: values, in the order in which they must be done."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hirules.dimse.association import Context
from hirules.dimse.elements import Scan
from hirules.dimse.message import Command
from hirules.dimse.moves import Move
from hirules.model.decision import Decision
from hirules.model.request import Request

Buffer = bytes | memoryview


class Message(msgspec.Struct, frozen=True):
    """A request that is held: ``data`` is its data set, ``None`` where it has none or a C-STORE's is cut through."""

    command: Command
    context: Context
    data: bytes | None
    from_upstream: bool
    retrieving: bool = False
    """A sub-operation of a permitted C-GET: a C-STORE of the upstream."""
    retrieve: Decision | None = None
    """The decision on that C-GET."""
    judged: bool = False
    """Its data set will be decided, too."""

    def __repr__(self) -> str:
        return f"Message({self.command!r}, context={self.context.id})"


class Ruling(msgspec.Struct, frozen=True):
    """The driver's reply to :class:`Decide`: forward ``command`` and ``data``, or give ``answer`` to the sender."""

    decision: Decision | None = None
    command: bytes | None = None
    data: bytes | None = None
    answer: bytes | None = None
    status: int = 0
    """Of the answer."""
    why: str = ""
    """An allowed request is not carried out."""
    move: Move | None = None
    """The C-MOVE goes through under this one's number."""
    told: Mapping[str, object] = {}
    """What the outcome says beside status and counts."""
    asked: Request | None = None
    """The request as it came: for what it brings."""
    added: frozenset[int] = frozenset()
    """Top-level tags that only rules asked for: taken out of what leaves."""

    @property
    def outcome(self) -> dict[str, object]:
        """What the record says of the answer."""
        return {"Status": self.status, "ended": self.why} if self.why else {"Status": self.status}

    def __repr__(self) -> str:
        return f"Ruling({'forward' if self.command is not None else f'answer 0x{self.status:04X}'})"


class Forward(msgspec.Struct, frozen=True):
    """These bytes go to the other side. Views are of the fed buffer: they must be sent before the next output.

    Unless ``complete``, a message is now open on that side, and nothing else may be sent there.
    """

    pieces: list[Buffer]
    complete: bool

    def __repr__(self) -> str:
        return f"Forward({sum(map(len, self.pieces))} bytes, complete={self.complete})"


class Answer(msgspec.Struct, frozen=True):
    """These PDUs, whole messages, go back to the sender, between messages from the other side."""

    pdus: bytes

    def __repr__(self) -> str:
        return f"Answer({len(self.pdus)} bytes)"


class Decide(msgspec.Struct, frozen=True):
    """The driver replies with a :class:`Ruling`."""

    message: Message


class Judge(msgspec.Struct, frozen=True):
    """A data set is about to leave; the driver replies with :class:`Judged`.

    ``action``   `release` or `answer`
    ``decision`` ``asked``, ``added``: of the request that brings it, as in its :class:`Ruling`
    ``header``   ``data`` is what lies before the pixels, found by ``scan``; else it is all of it
    """

    action: str
    decision: Decision
    asked: Request
    command: Command
    context: Context
    data: bytes
    scan: Scan | None = None
    header: bool = False
    added: frozenset[int] = frozenset()
    mistake: str = ""
    """Why nothing of it may leave, whatever rules say."""

    def __repr__(self) -> str:
        return f"Judge({self.action}, {len(self.data)} bytes)"


class Judged(msgspec.Struct, frozen=True):
    """``data`` leaves; ``None``: nothing does, and ``hidden`` says that it is not even counted."""

    decision: Decision | None = None
    data: bytes | None = None
    hidden: bool = False
    status: int = 0
    """Of an N-GET that is not answered."""

    def __repr__(self) -> str:
        return f"Judged({'leaves' if self.data is not None else 'withheld'})"


class Refused(msgspec.Struct, frozen=True):
    """A request was refused by the protocol's rules, before any policy; an :class:`Answer` follows."""

    message: Message
    status: int
    why: str


class Dropped(msgspec.Struct, frozen=True):
    """A message that has no response was not passed on."""

    why: str


class Completed(msgspec.Struct, frozen=True):
    """The request of ``decision`` came to its end."""

    decision: Decision
    outcome: Mapping[str, object]


class Settle(msgspec.Struct, frozen=True):
    """The final response to ``move`` follows: wait until its instances were answered, ``seconds`` at most, and close it."""

    move: Move
    expected: int
    """Instances that the upstream says were stored."""
    seconds: float


class Abort(msgspec.Struct, frozen=True):
    """The stream is broken: A-ABORT to both sides with this provider reason (PS3.8 §9.3.8)."""

    reason: int
    why: str


class Ended(msgspec.Struct, frozen=True):
    """The association is over and both sides know it: ``how`` is ``released`` or ``aborted``."""

    how: str


Output = Forward | Answer | Decide | Judge | Refused | Dropped | Completed | Settle | Abort | Ended
