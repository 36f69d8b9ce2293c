"""The messages of one direction: from fragments to what becomes of each message.

    first fragment of a command set ─▶ IN_COMMAND ─▶ request?  HOLDING ─▶ decide ─▶ forward or answer
                                                  ├▶ C-STORE?  PASSING, decided at its first data fragment
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

from collections.abc import Generator
from typing import Final

import msgspec

from hirules.dimse.conversation import PENDING, Conversation, Mistake, Outstanding, stored, too_large
from hirules.dimse.inspection import Inspection
from hirules.dimse.message import C_CANCEL_RQ, C_ECHO_RQ, C_FIND_RQ, C_MOVE_RQ, C_STORE_RQ, N_GET_RQ, RESPONSE, Command, CommandError, parse_command
from hirules.dimse.outputs import Answer, Buffer, Completed, Decide, Dropped, Forward, Judge, Judged, Message, Output, Refused, Ruling, Settle
from hirules.dimse.pdu import HEADERS, INVALID_PARAMETER, LAST, P_DATA_TF, fragment_pdus, message_pdus
from hirules.dimse.response import refused_response, response, without_data_set
from hirules.facts.disclosed import NOTHING
from hirules.model.status import NOT_AUTHORIZED, PROCESSING_FAILURE

Outputs = Generator[Output, Ruling | Judged | None, None]

IDLE: Final = 0
"""Between messages."""
IN_COMMAND: Final = 1
HOLDING: Final = 2
"""A request's data set is collected."""
PASSING: Final = 3
"""A data set is cut through; ``open`` once its first fragment was seen to belong to the command."""
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


class Exchange:
    """See the module's own page. ``pieces`` wait to be forwarded, in their order with every output."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.state = IDLE
        self.context = 0
        self.open = False
        self.pieces: list[Buffer] = []
        # the message
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
        # what waits to be told
        self._notices: list[Refused | Dropped] = []
        self._answers: list[tuple[bytes, Completed | None]] = []

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
        yield from self._report()

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
                yield from self._response_complete(*self._response_held, data)
            else:
                assert self._request is not None
                yield from self._decide(self._request, data)
        elif self.state == LOOKING:
            yield from self.looked(0, last=True)
        elif self.state == PASSING:
            self.state, self.open = IDLE, False
            yield from self._finish()
        else:
            self._owed -= 1
            if not self._owed:
                self.state = IDLE
        yield from self._report()

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
        self.pieces.append(message_pdus(self.context, ruling.command, ruling.data, self.conversation.max_length))

    def _open_data_set(self) -> Outputs:
        """The first fragment of a data set that is cut through: decide a C-STORE, then send its command."""
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
            self._held = self._framed(ruling.command)
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
        command, ruling, retrieval = inspection.command, inspection.ruling, inspection.retrieval
        conversation, complete = self.conversation, last and not left
        assert retrieval.decision is not None
        assert retrieval.asked is not None
        assert ruling.command is not None
        self._request = None
        inspection.finish()
        judged = yield from self._judge(
            Judge(
                "release", retrieval.decision, retrieval.asked, command, conversation.contexts[self.context], inspection.header, inspection.scan,
                header=not inspection.is_all, mistake="the data set is malformed or above the limit" if inspection.failed else "",
            )
        )  # fmt: skip
        if judged.data is None:
            yield from self._withhold(inspection, judged, complete)
            return
        conversation.register(command, self.context, ruling.decision)
        conversation.released(command, judged.decision)
        self.state, self.open = (IDLE, False) if complete else (PASSING, True)
        data = judged.data + inspection.rest
        odd = data[len(data) & ~1 :] if left else b""
        self.pieces.append(self._framed(ruling.command))
        self.pieces.append(fragment_pdus(self.context, data[: len(data) - len(odd)], conversation.max_length, last=complete))
        if left:
            size = left + len(odd)
            # the rest of the fragment is cut through as it comes
            self.pieces.append(HEADERS.pack(P_DATA_TF, size + 6, size + 2, self.context, LAST if last else 0) + odd)

    def _withhold(self, inspection: Inspection, judged: Judged, complete: bool) -> Outputs:
        """The instance does not leave; whoever sends it is told that it did, so that it goes on."""
        self.conversation.withhold(inspection.retrieval, inspection.command, hidden=judged.hidden)
        decided = inspection.ruling.decision
        completed = None if decided is None else Completed(decided, {"Status": 0, "ended": "withheld"})
        self._answers.append((self._answer(response(inspection.command, 0)), completed))
        if judged.decision is not None:
            yield Completed(judged.decision, {"ended": "withheld", "of": inspection.retrieval.decision.id if inspection.retrieval.decision else ""})
        self._swallow(0 if complete else 1)

    def _judge(self, judge: Judge) -> Generator[Output, Ruling | Judged | None, Judged]:
        yield from self.flush()
        judged = yield judge
        if not isinstance(judged, Judged):
            raise TypeError("Judge takes a Judged")
        return judged

    def _ask(self, command: Command, data: bytes | None, *, judged: bool = False) -> Generator[Output, Ruling | Judged | None, Ruling]:
        yield from self.flush()
        message = self._message(command, data)
        ruling = yield Decide(msgspec.structs.replace(message, judged=True) if judged else message)
        if not isinstance(ruling, Ruling):
            raise TypeError("Decide takes a Ruling")
        if ruling.command is None:
            outcome = {"Status": ruling.status, **({"ended": ruling.why} if ruling.why else {})}
            completed = None if ruling.decision is None else Completed(ruling.decision, outcome)
            assert ruling.answer is not None
            self._answers.append((self._answer(ruling.answer), completed))
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
        if command.has_data_set and self._holds(command, request):
            self.state, self._request, self._response_held, self._lost = HOLDING, None, (command, request), False
            self._data.clear()
            return
        if request.ledger is not None and request.ledger.touched:
            if command.values["Status"] not in PENDING:
                yield from self._honest(command, request, None)
                return
            command = request.ledger.pending(command)
        if command.has_data_set and self._is_not_decided(request):
            # it goes on without what some clients would take for a match
            yield from self.flush()
            yield Dropped("the data set of a response that has none")
            if self.conversation.settle(command, request):
                self._finished = request
            self.pieces.append(self._framed(without_data_set(command).raw))
            yield from self._finish()
            self._swallow(1)
            return
        if self.conversation.settle(command, request):
            self._finished = request
        if command.has_data_set:
            self.state, self._request, self._held = PASSING, None, self._framed(command.raw)
            return
        self.state = IDLE
        self.pieces.append(self._framed(command.raw))
        yield from self._finish()

    def _holds(self, command: Command, request: Outstanding) -> bool:
        """Whether the data set of a response is changed, or decided before it leaves."""
        if request.ledger is not None:
            decided = request.ledger.touched or self.conversation.disclosed("release", request).applies
            return decided and command.values["Status"] not in PENDING
        if request.field == C_FIND_RQ and command.values["Status"] in PENDING:
            return bool(request.added) or self.conversation.disclosed("answer", request).applies
        return request.field == N_GET_RQ and (bool(request.added) or self.conversation.disclosed("release", request).applies)

    def _is_not_decided(self, request: Outstanding) -> bool:
        """A final response to a C-FIND, and a pending one to a retrieve, has no data set (PS3.7 §9.1.2.1, §9.1.3.1): one that comes would leave undecided."""
        if request.ledger is not None:
            return self.conversation.disclosed("release", request).applies
        return request.field == C_FIND_RQ and (bool(request.added) or self.conversation.disclosed("answer", request).applies)

    def _response_complete(self, command: Command, request: Outstanding, data: bytes) -> Outputs:
        """A response whose data set was held."""
        self._response_held = None
        if request.ledger is not None:
            yield from self._honest(command, request, None if self._lost else data)
            return
        judged = Judged()
        if self._lost:
            yield from self.flush()
            yield Dropped("the data set of a response is above the limit")
        else:
            assert request.decision is not None
            assert request.asked is not None
            action, context = "answer" if request.field == C_FIND_RQ else "release", self.conversation.contexts[self.context]
            judged = yield from self._judge(Judge(action, request.decision, request.asked, command, context, data, added=request.added))
        if judged.data is None and request.field == C_FIND_RQ:
            request.withheld += 1
        else:
            command = command if judged.data is not None else refused_response(command, judged.status or NOT_AUTHORIZED)
            if self.conversation.settle(command, request):
                self._finished = request
            self.pieces.append(message_pdus(self.context, command.raw, judged.data, self.conversation.max_length))
        if judged.decision is not None:
            yield from self.flush()
            yield Completed(
                judged.decision, {"ended": "left" if judged.data is not None else "withheld", "of": request.decision.id if request.decision else ""}
            )
        yield from self._finish()

    def _honest(self, command: Command, request: Outstanding, data: bytes | None) -> Outputs:
        """The final response to a retrieve of which instances were withheld."""
        ledger = request.ledger
        assert ledger is not None
        identifier = ledger.identifier(data, self.conversation.contexts[self.context].transfer_syntax or "")
        command = ledger.final(command)
        if identifier is None and command.has_data_set:
            command = without_data_set(command)
        if self.conversation.settle(command, request):
            self._finished = request
        self.state = IDLE
        self.pieces.append(message_pdus(self.context, command.raw, identifier, self.conversation.max_length))
        yield from self._finish()

    def _cancel(self, command: Command) -> Outputs:
        why = self.conversation.not_cancellable(command, self.context)
        if why is not None:
            yield from self._drop(command, why)
            return
        self.state = IDLE
        self.pieces.append(self._framed(self.conversation.cancelling(command)))

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
            self._notices.append(Dropped(mistake.why))
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
        self._notices.append(Refused(self._message(command, None), mistake.status, mistake.why))
        self._answers.append((self._answer(response(command, mistake.status, mistake.why)), None))

    def _drop(self, command: Command, why: str) -> Outputs:
        yield from self.flush()
        yield Dropped(why)
        self._swallow(int(command.has_data_set))

    def _swallow(self, owed: int) -> None:
        self._owed = owed
        self.state = SWALLOWING if owed else IDLE

    # -- telling ----------------------------------------------------------------------------------

    def _framed(self, command: bytes) -> bytes:
        return message_pdus(self.context, command, None, self.conversation.max_length)

    def _answer(self, command: bytes) -> bytes:
        return message_pdus(self.context, command, None, self.conversation.sender_max_length)

    def _report(self) -> Outputs:
        """What was refused, and the answers once the sender has finished its messages."""
        if not self._notices and not self._answers:
            return
        yield from self.flush()
        notices, self._notices = self._notices, []
        yield from notices
        if self.state == IDLE:
            answers, self._answers = self._answers, []
            for pdus, completed in answers:
                yield Answer(pdus)
                if completed is not None:
                    yield completed

    def flush(self) -> Outputs:
        """Forward what waits for it."""
        if self.pieces:
            pieces, self.pieces = self.pieces, []
            yield Forward(pieces, complete=not self.open)
