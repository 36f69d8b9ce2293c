"""What becomes of a data set that is decided before it leaves: it goes on as it was judged, or stays and both sides are told so.

a C-STORE that a retrieve brings ─▶ instance ─▶ judged ─▶ forwarded, or answered Success and entered into the retrieve's ledger
a C-FIND match, an N-GET answer  ─▶ answered ─▶ judged ─▶ forwarded, or left out, or refused
the final response of a retrieve ─▶ honest   ─▶ with the counts of what was delivered
"""

from __future__ import annotations

from typing import Final

from hirules.dimse.conversation import PENDING, Conversation, Outstanding
from hirules.dimse.inspection import Inspection
from hirules.dimse.message import C_ECHO_RQ, C_FIND_RQ, C_STORE_RQ, N_DELETE_RQ, N_GET_RQ, Command
from hirules.dimse.outbox import Asking, Outbox, Outputs
from hirules.dimse.outputs import Completed, Dropped, Judge, Judged
from hirules.dimse.pdu import HEADERS, LAST, P_DATA_TF, fragment_pdus
from hirules.dimse.response import refused_response, response, without_data_set
from hirules.model.status import NOT_AUTHORIZED

_WITHOUT: Final = frozenset({C_ECHO_RQ, C_STORE_RQ, N_DELETE_RQ})
"""PS3.7 §9.3.1.2, §9.3.5.2, §10.3.6.2: their responses have no data set."""


def judged(out: Outbox, judge: Judge) -> Asking[Judged]:
    """What the driver says of it, once all before it is forwarded."""
    yield from out.flush()
    found = yield judge
    if not isinstance(found, Judged):
        raise TypeError("Judge takes a Judged")
    return found


def instance(out: Outbox, inspection: Inspection, left: int, *, last: bool) -> Asking[bool]:
    """Whether the instance leaves; then its beginning waits to be forwarded.

    ``left`` bytes of the fragment that came are still to come, and it is the ``last`` one.
    """
    command, ruling, retrieval = inspection.command, inspection.ruling, inspection.retrieval
    conversation, complete = out.conversation, last and not left
    assert retrieval.decision is not None
    assert retrieval.asked is not None
    assert ruling.command is not None
    inspection.finish()
    found = yield from judged(
        out,
        Judge(
            "release", retrieval.decision, retrieval.asked, command, conversation.contexts[out.context], inspection.header, inspection.scan,
            header=not inspection.is_all, mistake="the data set is malformed or above the limit" if inspection.failed else "",
        ),
    )  # fmt: skip
    if found.data is None:
        yield from _withheld(out, inspection, found)
        return False
    conversation.register(command, out.context, ruling.decision)
    conversation.released(command, found.decision)
    data = found.data + inspection.rest
    odd = data[len(data) & ~1 :] if left else b""
    out.pieces.append(out.framed(ruling.command))
    out.pieces.append(fragment_pdus(out.context, data[: len(data) - len(odd)], conversation.max_length, last=complete))
    if left:
        size = left + len(odd)
        # the rest of the fragment is cut through as it comes
        out.pieces.append(HEADERS.pack(P_DATA_TF, size + 6, size + 2, out.context, LAST if last else 0) + odd)
    return True


def discreet(conversation: Conversation) -> None:
    """A retrieve became outstanding: where a rule in force could hide some of its instances, no response may tell how many there are."""
    for request in list(conversation.sent.values()):
        if request.ledger is not None and request.decision is not None and conversation.options.disclosed is not None:
            request.ledger.discreet |= conversation.options.disclosed("release", request.decision.effective.action).hides


def _withheld(out: Outbox, inspection: Inspection, found: Judged) -> Outputs:
    """The instance does not leave; whoever sends it is told that it did, so that it goes on."""
    out.conversation.withhold(inspection.retrieval, inspection.command, hidden=found.hidden)
    decided = inspection.ruling.decision
    out.answer(response(inspection.command, 0), None if decided is None else Completed(decided, {"Status": 0, "ended": "withheld"}))
    if found.decision is not None:
        yield Completed(found.decision, {"ended": "withheld", "of": _id(inspection.retrieval)})


def holds(conversation: Conversation, command: Command, request: Outstanding) -> bool:
    """Whether the data set of the response ``command`` is changed, or decided before it leaves."""
    if request.ledger is not None:
        decided = request.ledger.touched or conversation.disclosed("release", request).applies
        return decided and command.values["Status"] not in PENDING
    if request.field == C_FIND_RQ and command.values["Status"] in PENDING:
        return bool(request.added) or conversation.disclosed("answer", request).applies
    return request.field == N_GET_RQ and (bool(request.added) or conversation.disclosed("release", request).applies)


def would_leave_undecided(conversation: Conversation, request: Outstanding) -> bool:
    """Whether a data set that is not held must not pass.

    A final response to a C-FIND, and a pending one to a retrieve, has none (PS3.7 §9.1.2.1, §9.1.3.1), so that no rule would look at one that comes;
    nor has any to the services of ``_WITHOUT``.
    """
    if request.field in _WITHOUT:
        return True
    if request.ledger is not None:
        return conversation.disclosed("release", request).applies
    return request.field == C_FIND_RQ and (bool(request.added) or conversation.disclosed("answer", request).applies)


def answered(out: Outbox, command: Command, request: Outstanding, data: bytes | None) -> Asking[bool]:
    """Whether the response to a query or an N-GET is a final one. ``data`` is its data set; ``None``: it was above its limit."""
    final, found = False, Judged()
    if data is None:
        yield from out.flush()
        yield Dropped("the data set of a response is above the limit")
    else:
        assert request.decision is not None
        assert request.asked is not None
        action = "answer" if request.field == C_FIND_RQ else "release"
        context = out.conversation.contexts[out.context]
        found = yield from judged(out, Judge(action, request.decision, request.asked, command, context, data, added=request.added))
    if found.data is None and request.field == C_FIND_RQ:
        request.withheld += 1
    else:
        command = command if found.data is not None else refused_response(command, found.status or NOT_AUTHORIZED)
        final = out.conversation.settle(command, request)
        out.pieces.append(out.framed(command.raw, found.data))
    if found.decision is not None:
        yield from out.flush()
        yield Completed(found.decision, {"ended": "left" if found.data is not None else "withheld", "of": _id(request)})
    return final


def honest(out: Outbox, command: Command, request: Outstanding, data: bytes | None) -> bool:
    """The final response to a retrieve of which instances were withheld; whether it settles the retrieve."""
    ledger = request.ledger
    assert ledger is not None
    identifier = ledger.identifier(data, out.conversation.contexts[out.context].transfer_syntax or "")
    command = ledger.final(command)
    if identifier is None and command.has_data_set:
        command = without_data_set(command)
    final = out.conversation.settle(command, request)
    out.pieces.append(out.framed(command.raw, identifier))
    return final


def _id(request: Outstanding) -> str:
    return request.decision.id if request.decision else ""
