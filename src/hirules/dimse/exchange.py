"""The messages of one direction: from fragments to what becomes of each message.

    first fragment of a command set ─▶ IN_COMMAND ─▶ request?  HOLDING ─▶ decide ─▶ forward or answer
                                                  ├▶ C-STORE?  PASSING, decided at its first data fragment; one that a retrieve brings at once
                                                  │            └▶ a rule for `release`? LOOKING ─▶ judge ─▶ PASSING, or SWALLOWING
                                                  ├▶ response? PASSING
                                                  │            └▶ its data set is judged? HOLDING
                                                  └▶ refused?  SWALLOWING, answered when its data set is over

Rule 1: nothing of a request is forwarded before it is decided.
Rule 2: nothing of a data set that a rule is to decide before it leaves is forwarded before that.
Rule 3: a mistake within one message is answered with a failure response. Only where it is not known
        any more which bytes belong to what, or where nothing can be answered, the stream is broken.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hirules.dimse.behind import Behind
from hirules.dimse.conversation import PENDING, Conversation, Mistake, Outstanding, stored, too_large
from hirules.dimse.elements import Malformed
from hirules.dimse.inspection import Inspection
from hirules.dimse.judging import answered, holds, honest, instance, would_leave_undecided
from hirules.dimse.message import C_CANCEL_RQ, C_ECHO_RQ, C_MOVE_RQ, C_STORE_RQ, RESPONSE, Command, CommandError, parse_command
from hirules.dimse.outbox import Asking, Outbox, Outputs
from hirules.dimse.outputs import Completed, Decide, Dropped, Message, Refused, Ruling, Settle
from hirules.dimse.pdu import INVALID_PARAMETER
from hirules.dimse.response import response, without_data_set
from hirules.facts.disclosed import NOTHING
from hirules.model.status import PROCESSING_FAILURE

IDLE: Final = 0
"""Between messages."""
IN_COMMAND: Final = 1
HOLDING: Final = 2
"""A request's data set is collected."""
PASSING: Final = 3
"""A data set is cut through; ``open`` once its command is on its way."""
SWALLOWING: Final = 4
"""Data sets of refused messages; ``_owed`` of them are still to come."""
LOOKING: Final = 5
"""A C-STORE's data set is collected as far as rules need it."""

_INTERLEAVED: Final = Mistake(PROCESSING_FAILURE, "messages are interleaved")
_OTHER_CONTEXT: Final = Mistake(PROCESSING_FAILURE, "command and data set are on different contexts")


class Broken(Exception):
    """The stream is broken: ``reason`` is that of the A-ABORT (PS3.8 §9.3.8)."""

    def __init__(self, why: str, reason: int = INVALID_PARAMETER) -> None:
        super().__init__(why)
        self.reason = reason


class Exchange(Outbox):
    """See the module's own page."""

    def __init__(self, conversation: Conversation) -> None:
        super().__init__(conversation)
        self.state = IDLE
        self._parsed = Command({}, b"")
        self._command = bytearray()
        self._request: Command | None = None
        self._data = bytearray()
        self._held = b""
        self._owed = 0
        self._finished: Outstanding | None = None
        self._response_held: tuple[Command, Outstanding] | None = None
        self._lost = False
        """The data set of a response that is held is above its limit."""
        self._inspection: Inspection | None = None
        self.behind: Behind | None = None
        """Of the instance that is cut through, where its header was decided."""

    def passes(self, fragment: memoryview) -> None:
        """Bytes of a fragment that is cut through."""
        if self.behind is not None:
            try:
                self.behind.take(fragment)
            except Malformed as error:
                # a part of the instance has left: without its end nobody has it
                raise Broken(f"an instance that is on its way: {error}") from None

    def collect(self, fragment: memoryview) -> None:
        """Bytes of a fragment that is not cut through."""
        options = self.conversation.options
        if self.state == IN_COMMAND:
            self._command += fragment
            if len(self._command) > options.command_size:
                raise Broken("a command set above the limit")
        elif self.state == LOOKING:
            assert self._inspection is not None
            self._inspection.collect(fragment)
        elif self.state == HOLDING and self._response_held is not None:
            self._data += fragment
            if self._lost or len(self._data) > options.data_set_size:
                self._data.clear()
                self._lost = True
        elif self.state == HOLDING:
            self._data += fragment
            assert self._request is not None
            if len(self._data) > self.conversation.cap(self._request):
                self._data.clear()
                self._refuse(self._request, too_large(self._request))
                self._swallow(1)

    def begin_fragment(self, context: int, command: bool) -> Outputs:
        """A fragment that does not simply go on with the open data set."""
        if self.state == IDLE:
            if not command:
                raise Broken("a data set without a command")
            self._begin_command(context)
        elif self.state == IN_COMMAND:
            if not command or context != self.context:
                raise Broken("a command set is interrupted")
        elif command:
            # the message before has not got its data set: neither is carried out, both are answered
            if self.state != SWALLOWING:
                self._refuse_unopened(_INTERLEAVED)
            self._begin_command(context)
        elif self.state != SWALLOWING and context != self.context:
            self._refuse_unopened(_OTHER_CONTEXT)
        elif self.state == PASSING and not self.open:
            yield from self._open_data_set()
        yield from self.report(between=self.state == IDLE)

    def _begin_command(self, context: int) -> None:
        if not self.conversation.usable(context):
            # there is no context on which a response could be sent
            raise Broken("a presentation context that was not accepted")
        self.state, self.context = IN_COMMAND, context
        self._command.clear()

    def part_complete(self) -> Outputs:
        """The last fragment of a command set or data set is there."""
        if self.state == IN_COMMAND:
            yield from self._command_complete(bytes(self._command))
        elif self.state == HOLDING:
            self.state = IDLE
            data = bytes(self._data)
            self._data = bytearray()
            if self._response_held is not None:
                yield from self._response_complete(*self._response_held, None if self._lost else data)
            else:
                assert self._request is not None
                yield from self._decide(self._request, data)
        elif self.state == LOOKING:
            yield from self.looked(0, last=True)
        elif self.state == PASSING:
            self.state, self.open, self.behind = IDLE, False, None
            yield from self._finish()
        else:
            self._owed -= 1
            if not self._owed:
                self.state = IDLE
        yield from self.report(between=self.state == IDLE)

    def _command_complete(self, raw: bytes) -> Outputs:
        try:
            # the pending responses to one request are the same bytes again and again
            self._parsed = command = self._parsed if raw == self._parsed.raw else parse_command(raw)
        except CommandError as error:
            parsed = self._not_strict(raw, error)
            if isinstance(parsed, Mistake):
                self._refuse_command(Command(error.values, raw), parsed)
                return
            command = parsed
        if not {"CommandField", "CommandDataSetType"} <= command.values.keys():
            raise Broken("a command set without its field or data set type")
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
                raise Broken(f"a response with {mistake}") from None
        needed = {"CommandField", "CommandDataSetType", "MessageIDBeingRespondedTo" if field == C_CANCEL_RQ else "MessageID"}
        if not needed <= error.values.keys() or needed & error.ambiguous or (isinstance(field, int) and field & RESPONSE):
            raise Broken(f"a command set with {error}")
        return Mistake(error.status, str(error))

    def _request_complete(self, command: Command) -> Outputs:
        if "MessageID" not in command.values:
            raise Broken("a request without a message id")
        mistake = self.conversation.mistake(command, self.context)
        if mistake is not None:
            self._refuse_command(command, mistake)
        elif command.field == C_STORE_RQ:
            self.state, self._request = PASSING, command
            if self.conversation.releasing(command) is not None:
                # while its sender reads the instance from its disk it is decided, and its receiver makes ready for it
                yield from self._open_data_set()
        elif command.has_data_set:
            self.state, self._request = HOLDING, command
            self._data.clear()
        else:
            self.state = IDLE
            yield from self._decide(command, None)

    def _decide(self, command: Command, data: bytes | None) -> Outputs:
        """Forward a whole request, or queue its answer."""
        ruling = Ruling(command=command.raw)
        if command.field != C_ECHO_RQ:
            ruling = yield from self._ask(command, data)
        if ruling.command is None:
            return
        self.conversation.register(command, self.context, ruling.decision)
        if ruling.asked is not None:
            self.conversation.noted(command, ruling)
        # after what its instances are decided by is noted: from now on they may come
        if ruling.move is not None or ruling.told:
            self.conversation.routed(command, ruling.move, ruling.told)
        self.pieces.append(self.framed(ruling.command, ruling.data))

    def _open_data_set(self) -> Outputs:
        """A data set that is cut through is next: decide a C-STORE, then send its command."""
        if self._request is not None:
            command, ruling = self._request, Ruling(command=self._request.raw)
            retrieval = self.conversation.releasing(command)
            needed = NOTHING if retrieval is None else self.conversation.disclosed("release", retrieval)
            if self.conversation.decides(command):
                ruling = yield from self._ask(command, None, judged=needed.applies)
            if ruling.command is None:
                self._swallow(1)
                return
            # where it goes is known by now, and with it whose conversation it is
            retrieval = self.conversation.releasing(command)
            if retrieval is not None and not needed.applies:
                # it may be on its way only since it was ruled on
                needed = self.conversation.disclosed("release", retrieval)
            if retrieval is not None and needed.applies:
                syntax = self.conversation.contexts[self.context].transfer_syntax or ""
                self._inspection = Inspection(command, ruling, retrieval, syntax, needed.whole, self.conversation.options.data_set_size)
                self.state = LOOKING
                return
            self.conversation.register(command, self.context, ruling.decision)
            self._held = self.framed(ruling.command)
            self._request = None
        self.pieces.append(self._held)
        self.open = True

    @property
    def looks(self) -> bool:
        """What a rule needs of the data set has come."""
        return self.state == LOOKING and self._inspection is not None and self._inspection.over

    def looked(self, left: int, *, last: bool) -> Outputs:
        """Judge the instance; ``left`` bytes of its fragment are still to come, and it is the ``last`` one."""
        inspection, self._inspection = self._inspection, None
        assert inspection is not None
        complete = last and not left
        self._request = None
        if (yield from instance(self, inspection, left, last=last)):
            self.state, self.open, self.behind = (IDLE, False, None) if complete else (PASSING, True, inspection.behind)
        else:
            self._swallow(0 if complete else 1)

    def _ask(self, command: Command, data: bytes | None, *, judged: bool = False) -> Asking[Ruling]:
        yield from self.flush()
        message = self._message(command, data)
        ruling = yield Decide(msgspec.structs.replace(message, judged=True) if judged else message)
        if not isinstance(ruling, Ruling):
            raise TypeError("Decide takes a Ruling")
        if ruling.command is None:
            completed = None if ruling.decision is None else Completed(ruling.decision, ruling.outcome)
            assert ruling.answer is not None
            self.answer(ruling.answer, completed)
        return ruling

    def _message(self, command: Command, data: bytes | None) -> Message:
        conversation = self.conversation
        return Message(
            command, conversation.contexts[self.context], data, conversation.from_upstream, conversation.retrieving(command), conversation.retrieve(command)
        )

    def _response(self, command: Command) -> Outputs:
        if not isinstance(command.values.get("Status"), int):
            raise Broken("a response without a status")
        command = self.conversation.restored(command)
        request = self.conversation.answered(command, self.context)
        if isinstance(request, str):
            yield from self._drop(command, request)
            return
        if request.move is not None and request.field == C_MOVE_RQ and command.values["Status"] not in PENDING:
            yield from self.flush()
            yield Settle(request.move, stored(command), self.conversation.options.settle_timeout)
        if command.has_data_set and holds(self.conversation, command, request):
            self.state, self._request, self._response_held, self._lost = HOLDING, None, (command, request), False
            self._data.clear()
            return
        if request.ledger is not None and request.ledger.touched:
            if command.values["Status"] not in PENDING:
                yield from self._response_complete(command, request, None)
                return
            command = request.ledger.pending(command)
        if command.has_data_set and would_leave_undecided(self.conversation, request):
            # it goes on without what some clients would take for a match
            yield from self.flush()
            yield Dropped("the data set of a response that has none")
            if self.conversation.settle(command, request):
                self._finished = request
            self.pieces.append(self.framed(without_data_set(command).raw))
            yield from self._finish()
            self._swallow(1)
            return
        if self.conversation.settle(command, request):
            self._finished = request
        if command.has_data_set:
            self.state, self._request, self._held = PASSING, None, self.framed(command.raw)
            return
        self.state = IDLE
        if command.values["Status"] in PENDING and request.ledger is not None and not request.ledger.news(command):
            return  # one for each hidden instance would count them
        self.pieces.append(self.framed(command.raw))
        yield from self._finish()

    def _response_complete(self, command: Command, request: Outstanding, data: bytes | None) -> Outputs:
        """A response that is changed, or decided before it leaves, with its data set: ``None`` where it has none, or is above its limit."""
        self.state, self._response_held = IDLE, None
        if request.ledger is not None:
            final = honest(self, command, request, data)
        else:
            final = yield from answered(self, command, request, data)
        if final:
            self._finished = request
        yield from self._finish()

    def _cancel(self, command: Command) -> Outputs:
        why = self.conversation.not_cancellable(command, self.context)
        if why is not None:
            yield from self._drop(command, why)
            return
        self.state = IDLE
        self.pieces.append(self.framed(self.conversation.cancelling(command)))

    def _finish(self) -> Outputs:
        """The final response has gone through."""
        finished, self._finished = self._finished, None
        if finished is not None and finished.decisions:
            yield from self.flush()
            for decision in finished.decisions:
                yield Completed(decision, finished.outcome())

    # -- refusals ---------------------------------------------------------------------------------

    def _refuse_command(self, command: Command, mistake: Mistake) -> None:
        """Answer a request as far as one can, drop what has no response; its data set is swallowed."""
        if command.field & RESPONSE or command.field == C_CANCEL_RQ:
            self.notice(Dropped(mistake.why))
        elif "MessageID" not in command.values:
            raise Broken("a request without a message id")
        else:
            self._refuse(command, mistake)
        self._swallow(self._owed + command.has_data_set)

    def _refuse_unopened(self, mistake: Mistake) -> None:
        """The message whose data set was expected is not carried out."""
        if self.open or self._request is None:
            raise Broken(mistake.why)
        self._refuse(self._request, mistake)
        self._request = self._inspection = None
        self._data.clear()
        self._swallow(1)

    def _refuse(self, command: Command, mistake: Mistake) -> None:
        self.notice(Refused(self._message(command, None), mistake.status, mistake.why))
        self.answer(response(command, mistake.status, mistake.why))

    def _drop(self, command: Command, why: str) -> Outputs:
        yield from self.flush()
        yield Dropped(why)
        self._swallow(int(command.has_data_set))

    def _swallow(self, owed: int) -> None:
        self._owed = owed
        self.state = SWALLOWING if owed else IDLE
