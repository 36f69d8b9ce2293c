"""One direction of an association: bytes in, :mod:`outputs <hirules.dimse.outputs>` out. No socket, no clock.

    bytes ─▶ PDUs ─▶ PDVs ─┬─ command set ─▶ conversation: what may become of this message?
                           └─ data set ─┬─ hold, decide, send on     C-FIND, C-GET, C-MOVE, N services
                                        ├─ cut through               C-STORE, responses
                                        └─ swallow                   what was refused

Rule 1: nothing of a request is forwarded before it is decided.
Rule 2: everything forwarded is one PDV in one PDU; a PDU that came so goes on as the bytes it came in.
Rule 3: a mistake within one message is answered with a failure response. Only where it is not known
        any more which bytes belong to what, or where nothing can be answered, the stream is broken.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Final

from hirules.dimse.conversation import Conversation, Mistake, Outstanding, too_large
from hirules.dimse.message import C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, RESPONSE, Command, CommandError, parse_command
from hirules.dimse.outputs import Abort, Answer, Buffer, Completed, Decide, Dropped, Ended, Forward, Message, Output, Refused, Ruling
from hirules.dimse.pdu import (
    A_ABORT,
    A_RELEASE_RP,
    A_RELEASE_RQ,
    COMMAND,
    HEADER,
    HEADERS,
    INVALID_PARAMETER,
    LAST,
    P_DATA_TF,
    PDV_HEADER,
    UNEXPECTED_PDU,
    UNRECOGNIZED_PDU,
    message_pdus,
)
from hirules.dimse.response import response
from hirules.model.status import PROCESSING_FAILURE

Outputs = Generator[Output, Ruling | None, None]

IDLE: Final = 0
"""Between messages."""
IN_COMMAND: Final = 1
HOLDING: Final = 2
"""A request's data set is collected."""
PASSING: Final = 3
"""A data set is cut through; ``_open`` once its first fragment was seen to belong to the command."""
SWALLOWING: Final = 4
"""Data sets of refused messages; ``_owed`` of them are still to come."""

_INTERLEAVED: Final = Mistake(PROCESSING_FAILURE, "messages are interleaved")
_OTHER_CONTEXT: Final = Mistake(PROCESSING_FAILURE, "command and data set are on different contexts")


class _Broken(Exception):
    """The stream is broken."""

    def __init__(self, why: str, reason: int = INVALID_PARAMETER) -> None:
        super().__init__(why)
        self.reason = reason


class Flow:
    """See the module's own page. ``ended`` once nothing more is to be read."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.ended = False
        self.release_requested = False
        self._state = IDLE
        self._carry = b""
        # the PDU and PDV that the next byte belongs to
        self._pdu_left = 0
        self._pdv_left = 0
        self._in_pdv = False
        self._last = False
        # the message
        self._context = 0
        self._command = bytearray()
        self._request: Command | None = None
        self._data = bytearray()
        self._held = b""
        self._open = False
        self._owed = 0
        self._finished: Outstanding | None = None
        # what waits to be told
        self._pieces: list[Buffer] = []
        self._notices: list[Refused | Dropped] = []
        self._answers: list[tuple[bytes, Completed | None]] = []

    @property
    def partial(self) -> bool:
        """The sender has begun something that it has not finished."""
        return self._state != IDLE or self._in_pdv or bool(self._carry)

    @property
    def cut(self) -> bool:
        """What was forwarded ends in the middle of a PDU: the other side can only be closed (PS3.8 §9.3)."""
        return self._open and self._in_pdv and self._pdv_left > 0

    def feed(self, data: bytes | bytearray | memoryview) -> Outputs:
        """The outputs for ``data``, which must stay as it is until they are all done."""
        if self.ended:
            return
        try:
            yield from self._feed(data)
        except _Broken as broken:
            self.ended = True
            yield from self._flush()
            yield Abort(broken.reason, str(broken))

    def _feed(self, data: bytes | bytearray | memoryview) -> Outputs:
        view = memoryview(self._carry + data if self._carry else data)
        self._carry = b""
        position = begin = 0
        end = len(view)
        start = -1  # of what goes on as it is
        try:
            while True:
                if self._in_pdv:
                    stop = position + min(self._pdv_left, end - position)
                    if self._state == PASSING:
                        start = position if start < 0 else start
                    else:
                        self._collect(view[position:stop])
                    self._pdv_left -= stop - position
                    position = stop
                    if self._pdv_left:
                        break
                    self._in_pdv = False
                    if self._last:
                        start = self._cut_off(view, start, position)
                        yield from self._part_complete()
                    continue
                if self._open and not self._pdu_left:
                    before = position
                    position = self._skim(view, position, end)
                    start = before if start < 0 and position > before else start
                    if position == end:
                        break
                begin = position
                if not self._pdu_left:
                    if end - position < 6:
                        break
                    kind, length = HEADER.unpack_from(view, position)
                    if kind != P_DATA_TF:
                        if end - position < self._control_size(kind, length):
                            break
                        start = self._cut_off(view, start, position)
                        position += 10
                        yield from self._control(kind, bytes(view[begin:position]))
                        if self.ended:
                            return
                        continue
                    if not 6 <= length <= self.conversation.options.pdu_length:
                        raise _Broken("a P-DATA-TF of a wrong length")
                    if end - position < 12:
                        break
                    position += 6
                    self._pdu_left = length
                elif end - position < 6:
                    break
                item, context, control = PDV_HEADER.unpack_from(view, position)
                if item < 2 or item + 4 > self._pdu_left or 0 < self._pdu_left - item - 4 < 6 or control > 3:
                    raise _Broken("a PDV of a wrong length or control header")
                single = position > begin and item + 4 == self._pdu_left
                position += 6
                if not (self._open and context == self._context and not control & COMMAND):
                    start = self._cut_off(view, start, begin)
                    yield from self._begin_fragment(context, bool(control & COMMAND))
                self._pdu_left -= item + 4
                self._pdv_left = item - 2
                self._last = bool(control & LAST)
                self._in_pdv = True
                if self._state == PASSING:
                    if single:
                        start = begin if start < 0 else start
                    else:
                        start = self._cut_off(view, start, begin)
                        self._pieces.append(HEADERS.pack(P_DATA_TF, item + 4, item, context, control))
        except _Broken:
            self._cut_off(view, start, begin)
            raise
        self._cut_off(view, start, position)
        self._carry = bytes(view[position:])
        yield from self._flush()

    def _skim(self, view: memoryview, position: int, end: int) -> int:
        """Past the PDUs of the open message that are one fragment each and not the last; this is where the bytes go."""
        context, cap = self._context, self.conversation.options.pdu_length
        unpack = HEADERS.unpack_from
        while end - position >= 12:
            kind, length, item, number, control = unpack(view, position)
            if kind != P_DATA_TF or control or number != context or item + 4 != length or not 6 <= length <= cap:
                break
            position += 6 + length
            if position > end:
                self._pdv_left, self._in_pdv, self._last = position - end, True, False
                return end
        return position

    def _cut_off(self, view: memoryview, start: int, stop: int) -> int:
        """Queue what goes on as it is; the next such begins anew."""
        if 0 <= start < stop:
            self._pieces.append(view[start:stop])
        return -1

    def _collect(self, fragment: memoryview) -> None:
        options = self.conversation.options
        if self._state == IN_COMMAND:
            self._command += fragment
            if len(self._command) > options.command_size:
                raise _Broken("a command set above the limit")
        elif self._state == HOLDING:
            self._data += fragment
            assert self._request is not None
            if len(self._data) > self.conversation.cap(self._request):
                self._data.clear()
                self._refuse(self._request, too_large(self._request))
                self._swallow(1)

    # -- messages ---------------------------------------------------------------------------------

    def _begin_fragment(self, context: int, command: bool) -> Outputs:
        """A fragment that does not simply go on with the open data set."""
        if self._state == IDLE:
            if not command:
                raise _Broken("a data set without a command")
            self._begin_command(context)
        elif self._state == IN_COMMAND:
            if not command or context != self._context:
                raise _Broken("a command set is interrupted")
        elif command:
            # the message before has not got its data set: neither is carried out, both are answered
            if self._state != SWALLOWING:
                self._refuse_unopened(_INTERLEAVED)
            self._begin_command(context)
        elif self._state != SWALLOWING and context != self._context:
            self._refuse_unopened(_OTHER_CONTEXT)
        elif self._state == PASSING and not self._open:
            yield from self._open_data_set()
        yield from self._report()

    def _begin_command(self, context: int) -> None:
        if not self.conversation.usable(context):
            # there is no context on which a response could be sent
            raise _Broken("a presentation context that was not accepted")
        self._state, self._context = IN_COMMAND, context
        self._command.clear()

    def _part_complete(self) -> Outputs:
        """The last fragment of a command set or data set is there."""
        if self._state == IN_COMMAND:
            yield from self._command_complete(bytes(self._command))
        elif self._state == HOLDING:
            assert self._request is not None
            self._state = IDLE
            data = bytes(self._data)
            self._data = bytearray()
            yield from self._decide(self._request, data)
        elif self._state == PASSING:
            self._state, self._open = IDLE, False
            yield from self._finish()
        else:
            self._owed -= 1
            if not self._owed:
                self._state = IDLE
        yield from self._report()

    def _command_complete(self, raw: bytes) -> Outputs:
        try:
            command = parse_command(raw)
        except CommandError as error:
            parsed = self._not_strict(raw, error)
            if isinstance(parsed, Mistake):
                self._refuse_command(Command(error.values, raw), parsed)
                return
            command = parsed
        if not {"CommandField", "CommandDataSetType"} <= command.values.keys():
            raise _Broken("a command set without its field or data set type")
        if self._owed:
            self._refuse_command(command, _INTERLEAVED)
        elif command.field & RESPONSE:
            yield from self._response(command)
        elif command.field == C_CANCEL_RQ:
            yield from self._cancel(command)
        else:
            yield from self._request_complete(command)

    def _not_strict(self, raw: bytes, error: CommandError) -> Command | Mistake:
        """A response of the upstream that only has more than PS3.7 lists, or why the request is refused."""
        field = error.values.get("CommandField")
        if isinstance(field, int) and field & RESPONSE and self.conversation.from_upstream:
            try:
                return parse_command(raw, lenient=True)
            except CommandError as mistake:
                raise _Broken(f"a response with {mistake}") from None
        needed = {"CommandField", "CommandDataSetType", "MessageIDBeingRespondedTo" if field == C_CANCEL_RQ else "MessageID"}
        if not needed <= error.values.keys() or needed & error.ambiguous or (isinstance(field, int) and field & RESPONSE):
            raise _Broken(f"a command set with {error}")
        return Mistake(error.status, str(error))

    def _request_complete(self, command: Command) -> Outputs:
        if "MessageID" not in command.values:
            raise _Broken("a request without a message id")
        mistake = self.conversation.mistake(command, self._context)
        if mistake is not None:
            self._refuse_command(command, mistake)
        elif command.field == C_STORE_RQ:
            self._state, self._request = PASSING, command
        elif command.has_data_set:
            self._state, self._request = HOLDING, command
            self._data.clear()
        else:
            self._state = IDLE
            yield from self._decide(command, None)

    def _decide(self, command: Command, data: bytes | None) -> Outputs:
        """Forward a whole request, or queue its answer."""
        ruling = Ruling(command=command.raw)
        if command.field != C_ECHO_RQ:
            ruling = yield from self._ask(command, data)
        if ruling.command is None:
            return
        self.conversation.register(command, self._context, ruling.decision)
        self._pieces.append(message_pdus(self._context, ruling.command, ruling.data, self.conversation.max_length))

    def _open_data_set(self) -> Outputs:
        """The first fragment of a data set that is cut through: decide a C-STORE, then send its command."""
        if self._request is not None:
            command, ruling = self._request, Ruling(command=self._request.raw)
            if self.conversation.decides(command):
                ruling = yield from self._ask(command, None)
            if ruling.command is None:
                self._swallow(1)
                return
            self.conversation.register(command, self._context, ruling.decision)
            self._held = self._framed(ruling.command)
            self._request = None
        self._pieces.append(self._held)
        self._open = True

    def _ask(self, command: Command, data: bytes | None) -> Generator[Output, Ruling | None, Ruling]:
        yield from self._flush()
        message = Message(command, self.conversation.contexts[self._context], data, self.conversation.from_upstream)
        ruling = yield Decide(message)
        if ruling is None:
            raise TypeError("Decide takes a Ruling")
        if ruling.command is None:
            completed = None if ruling.decision is None else Completed(ruling.decision, {"Status": ruling.status})
            assert ruling.answer is not None
            self._answers.append((self._answer(ruling.answer), completed))
        return ruling

    def _response(self, command: Command) -> Outputs:
        if not isinstance(command.values.get("Status"), int):
            raise _Broken("a response without a status")
        request = self.conversation.answered(command, self._context)
        if isinstance(request, str):
            yield from self._drop(command, request)
            return
        if self.conversation.settle(command, request):
            self._finished = request
        if command.has_data_set:
            self._state, self._request, self._held = PASSING, None, self._framed(command.raw)
            return
        self._state = IDLE
        self._pieces.append(self._framed(command.raw))
        yield from self._finish()

    def _cancel(self, command: Command) -> Outputs:
        why = self.conversation.not_cancellable(command, self._context)
        if why is not None:
            yield from self._drop(command, why)
            return
        self._state = IDLE
        self._pieces.append(self._framed(command.raw))

    def _finish(self) -> Outputs:
        """The final response has gone through."""
        finished, self._finished = self._finished, None
        if finished is not None and finished.decision is not None:
            yield from self._flush()
            yield Completed(finished.decision, finished.outcome())

    # -- refusals ---------------------------------------------------------------------------------

    def _refuse_command(self, command: Command, mistake: Mistake) -> None:
        """Answer a request as far as one can, drop what has no response; its data set is swallowed."""
        if command.field & RESPONSE or command.field == C_CANCEL_RQ:
            self._notices.append(Dropped(mistake.why))
        elif "MessageID" not in command.values:
            raise _Broken("a request without a message id")
        else:
            self._refuse(command, mistake)
        self._swallow(self._owed + command.has_data_set)

    def _refuse_unopened(self, mistake: Mistake) -> None:
        """The message whose data set was expected is not carried out."""
        if self._open or self._request is None:
            raise _Broken(mistake.why)
        self._refuse(self._request, mistake)
        self._request = None
        self._data.clear()
        self._swallow(1)

    def _refuse(self, command: Command, mistake: Mistake) -> None:
        message = Message(command, self.conversation.contexts[self._context], None, self.conversation.from_upstream)
        self._notices.append(Refused(message, mistake.status, mistake.why))
        self._answers.append((self._answer(response(command, mistake.status, mistake.why)), None))

    def _drop(self, command: Command, why: str) -> Outputs:
        yield from self._flush()
        yield Dropped(why)
        self._swallow(int(command.has_data_set))

    def _swallow(self, owed: int) -> None:
        self._owed = owed
        self._state = SWALLOWING if owed else IDLE

    # -- telling ----------------------------------------------------------------------------------

    def _framed(self, command: bytes) -> bytes:
        return message_pdus(self._context, command, None, self.conversation.max_length)

    def _answer(self, command: bytes) -> bytes:
        return message_pdus(self._context, command, None, self.conversation.sender_max_length)

    def _report(self) -> Outputs:
        """What was refused, and the answers once the sender has finished its messages."""
        if not self._notices and not self._answers:
            return
        yield from self._flush()
        notices, self._notices = self._notices, []
        yield from notices
        if self._state == IDLE:
            answers, self._answers = self._answers, []
            for pdus, completed in answers:
                yield Answer(pdus)
                if completed is not None:
                    yield completed

    def _flush(self) -> Outputs:
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            yield Forward(pieces, complete=not self._open)

    # -- the association --------------------------------------------------------------------------

    def _control_size(self, kind: int, length: int) -> int:
        if kind not in (A_RELEASE_RQ, A_RELEASE_RP, A_ABORT):
            raise _Broken("an unexpected PDU", UNEXPECTED_PDU if kind in (1, 2, 3) else UNRECOGNIZED_PDU)
        if length != 4:
            raise _Broken("a PDU of a wrong length")
        return 10

    def _control(self, kind: int, pdu: bytes) -> Outputs:
        """Release and abort (PS3.8 §7.2, §7.3): they pass."""
        other = self.conversation.other_flow
        if kind == A_ABORT:
            self.ended = True
            yield Forward([*self._pieces, pdu], complete=True)
            yield Ended("aborted")
            return
        if self._state != IDLE or (kind == A_RELEASE_RP and not other.release_requested):
            raise _Broken("a release at the wrong time", UNEXPECTED_PDU)
        # before it is sent: the reply may be here at once, in the other direction's thread
        if kind == A_RELEASE_RQ:
            self.release_requested = True
        else:
            other.release_requested = False
        self._pieces.append(pdu)
        yield from self._flush()
        # a release collision has two requests and two replies (PS3.8 §7.2.2.7)
        if kind == A_RELEASE_RP and not self.release_requested:
            self.ended = True
            yield Ended("released")
