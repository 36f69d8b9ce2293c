"""What one direction has to say, in its order: forwards, what was refused, and answers once the sender has finished its messages."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TypeVar

from hirules.dimse.conversation import Conversation
from hirules.dimse.outputs import Answer, Buffer, Completed, Dropped, Forward, Judged, Output, Refused, Ruling
from hirules.dimse.pdu import message_pdus

Value = TypeVar("Value")
Asking = Generator[Output, Ruling | Judged | None, Value]
"""Outputs on the way to a value: `Decide` is replied to with a ruling, `Judge` with what was judged."""
Outputs = Asking[None]


class Outbox:
    """``pieces`` wait to be forwarded, before anything else is said; ``open`` while the data set of a message is cut through."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.context = 0
        """The presentation context of the message."""
        self.open = False
        self.pieces: list[Buffer] = []
        self._notices: list[Refused | Dropped] = []
        self._answers: list[tuple[bytes, Completed | None]] = []

    def framed(self, command: bytes, data: bytes | None = None) -> bytes:
        """The PDUs of a message for the other side."""
        return message_pdus(self.context, command, data, self.conversation.max_length)

    def answer(self, command: bytes, completed: Completed | None = None) -> None:
        """Queue a response to the sender; its decision is ``completed`` with it."""
        self._answers.append((message_pdus(self.context, command, None, self.conversation.sender_max_length), completed))

    def notice(self, notice: Refused | Dropped) -> None:
        """Queue what the log is told."""
        self._notices.append(notice)

    def flush(self) -> Outputs:
        """Forward what waits for it."""
        if self.pieces:
            pieces, self.pieces = self.pieces, []
            yield Forward(pieces, complete=not self.open)

    def report(self, *, between: bool) -> Outputs:
        """What was refused, and the answers if the sender is ``between`` its messages."""
        if not self._notices and not self._answers:
            return
        yield from self.flush()
        notices, self._notices = self._notices, []
        yield from notices
        while between and self._answers:
            pdus, completed = self._answers[0]
            # where this is the end, since the sender is gone, it is still there for `unanswered`
            yield Answer(pdus)
            del self._answers[0]
            if completed is not None:
                yield completed

    def unanswered(self, ended: str) -> Iterator[Completed]:
        """What was decided, and could not be answered before the association ended; each of them once."""
        answers, self._answers = self._answers, []
        for _, completed in answers:
            if completed is not None:
                yield Completed(completed.decision, {**completed.outcome, "ended": ended})
