"""PDU framing and the relay's core: two directions, fed with mutated streams.

The input is a script. Its first byte chooses options; then come steps of a mode byte, a length byte (in units of the mode) and a payload:
raw bytes, one framed PDV, a command set whose group length is right, or a message of a table. Whatever the script says,

- no exception but an output comes out, and nothing after the end of the association;
- what is forwarded parses as PDUs of one PDV each, and only the last may be cut;
- a request is forwarded only where the ruling said so, as the ruling said it; a response only to a request that was forwarded and has no final response;
- each refusal and each denial is answered once, to the side that asked;
- the transcript is the same however the stream is cut into chunks.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from hirules.dimse.flow import Flow
from hirules.dimse.message import C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, RESPONSE, Command, CommandError, encode_command, parse_command
from hirules.dimse.outputs import Answer, Decide, Forward, Message, Output, Refused, Ruling
from hirules.dimse.pdu import P_DATA_TF, data_pdu
from hirules.dimse.relay import Relay
from hirules.dimse.response import response
from tests.dimse.wire import (
    ABORT,
    COMMITMENT,
    CT,
    DECISION,
    FIND,
    GET,
    GRAYSCALE_PRINT_META,
    IDENTIFIER,
    MOVE,
    ON,
    OPTIONS,
    PRINTER,
    RELEASE_RP,
    RELEASE_RQ,
    VERIFICATION,
    association,
    cancel,
    command,
    find,
    get,
    message,
    reply,
    store,
)

STEPS = 48
SMALL = msgspec.structs.replace(OPTIONS, command_size=512, identifier_size=256, data_set_size=512, pdu_length=4096)
FRAMED, NUMBERED, KNOWN = 1, 2, 3
"""Modes of a step, in its bits 1 and 2; 0 is raw. Bit 0: the upstream sends it. Bits 3 and 4: how a decision it leads to is ruled."""
RULINGS = ("allow", "deny", "rewrite", "allow")


_TEMPLATES: tuple[Callable[[int, bytes], bytes], ...] = (
    lambda number, _: find(number),
    lambda number, _: get(number),
    lambda number, data: store(number, data),
    lambda number, _: cancel(number),
    lambda number, _: message(ON[VERIFICATION], command(0x30, number)),
    lambda number, data: message(ON[MOVE], command(0x21, number, data=True, Priority=0, MoveDestination="DEST"), data),
    lambda number, data: message(ON[FIND], reply(0x20, number, status=0xFF00, data=True), data),
    lambda number, _: message(ON[FIND], reply(0x20, number)),
    lambda number, _: message(ON[GET], reply(0x10, number, status=0xFF00, NumberOfRemainingSuboperations=1)),
    lambda number, _: message(ON[GET], reply(0x10, number, NumberOfCompletedSuboperations=1)),
    lambda number, _: message(ON[CT], reply(0x01, number)),
    lambda number, _: message(ON[MOVE], reply(0x21, number, status=0xA801)),
    lambda number, data: message(
        ON[COMMITMENT], command(0x100, number, data=True, AffectedSOPClassUID=COMMITMENT, AffectedSOPInstanceUID="1.2", EventTypeID=1), data
    ),
    lambda number, _: message(ON[GRAYSCALE_PRINT_META], command(0x110, number, RequestedSOPClassUID=PRINTER, RequestedSOPInstanceUID="1.2.3")),
    lambda *_: RELEASE_RQ,
    lambda *_: RELEASE_RP,
    lambda *_: ABORT,
)
"""Messages that go well together, by message id and data."""


@lru_cache(maxsize=4096)
def known(template: int, number: int, data: bytes) -> bytes:
    """A message of the table."""
    return _TEMPLATES[template](number, data)


@dataclass
class Step:
    upstream: bool
    ruling: str
    data: bytes


def steps_of(data: bytes) -> Iterator[Step]:
    """The steps of a script; never more than ``STEPS``."""
    at = 1
    for _ in range(STEPS):
        if at + 2 > len(data):
            return
        mode, length = data[at], data[at + 1]
        payload = data[at + 2 : at + 2 + length]
        at += 2 + len(payload)
        kind = mode >> 1 & 3
        if kind == FRAMED:
            payload = data_pdu(payload[0], payload[1], payload[2:]) if len(payload) >= 2 else b""
        elif kind == NUMBERED:
            body = payload[2:]
            payload = data_pdu(payload[0], payload[1], b"\0\0\0\0\4\0\0\0" + len(body).to_bytes(4, "little") + body) if len(payload) >= 2 else b""
        elif kind == KNOWN and len(payload) >= 2:
            payload = known(payload[0] % len(_TEMPLATES), payload[1] & 7, payload[2:] or IDENTIFIER)
        yield Step(bool(mode & 1), RULINGS[mode >> 3 & 3], payload)


def ruling_of(kind: str, asked: Message) -> Ruling:
    """What the driver says; a rewrite changes the priority."""
    if kind == "deny":
        return Ruling(decision=DECISION, answer=response(asked.command, 0x0124, "no"), status=0x0124)
    if kind == "rewrite":
        return Ruling(decision=DECISION, command=encode_command({**asked.command.values, "Priority": 2}), data=asked.data)
    return Ruling(decision=DECISION, command=asked.command.raw, data=asked.data)


@dataclass
class Side:
    """What one sender's stream led to: its transcript, and the rulings that allowed something."""

    lines: list[tuple[Any, ...]] = field(default_factory=list)
    allowed: list[Ruling] = field(default_factory=list)
    settled: bool = False
    """Between two messages at the end, so that nothing is left to be answered."""


def run(data: bytes, cut: int) -> tuple[Side, Side]:
    """Play a script, each step in chunks of a size drawn by the seed ``cut``, whole where it is 0; what each direction gave."""
    chosen = data[0] if data else 0
    options = msgspec.structs.replace(SMALL if chosen & 1 else OPTIONS, decide_suboperations=not chosen & 2)
    relay = Relay(association((0, 128, 16384, 64)[chosen >> 2 & 3], (16384, 0, 90, 12)[chosen >> 4 & 3]), options)
    sides = Side(), Side()
    dice = random.Random(cut)
    for step in steps_of(data):
        side, flow = sides[step.upstream], relay.upstream if step.upstream else relay.client

        def rule(asked: Message, side: Side = side, step: Step = step) -> Ruling:
            ruling = ruling_of(step.ruling, asked)
            if ruling.command is not None:
                side.allowed.append(ruling)
            assert asked.from_upstream == step.upstream
            return ruling

        for output in outputs(flow, chunks(step.data, dice, cut), rule):
            note(side, output)
        if flow.ended:
            assert list(flow.feed(step.data)) == []
            # the session ends both directions with one of them
            break
    for side, flow in zip(sides, (relay.client, relay.upstream), strict=True):
        side.settled = not flow.ended and not flow.partial
    list(relay.unfinished("gone"))
    return sides


def outputs(flow: Flow, stream: Iterator[bytes], rule: Callable[[Message], Ruling]) -> Iterator[Output]:
    """What the flow says to each chunk, with a ruling on every question."""
    for chunk in stream:
        told, answer = flow.feed(chunk), None
        while True:
            try:
                output = told.send(answer)
            except StopIteration:
                break
            answer = rule(output.message) if isinstance(output, Decide) else None
            yield output


def note(side: Side, output: Output) -> None:
    """Write an output down; neighbouring forwards are one, since only their bytes matter."""
    match output:
        case Forward(pieces):
            data = b"".join(pieces)
            if side.lines and side.lines[-1][0] == "forward":
                data = side.lines.pop()[1] + data
            side.lines.append(("forward", data))
        case Answer(pdus):
            side.lines.append(("answer", pdus))
        case Decide(asked):
            side.lines.append(("decide", asked.command.raw, asked.data))
        case Refused(asked, status, why):
            side.lines.append(("refused", asked.command.raw, status, why))
        case _:
            side.lines.append((type(output).__name__.lower(), output))


def chunks(data: bytes, dice: random.Random, cut: int) -> Iterator[bytes]:
    """``data`` in pieces, each a buffer of its own that is gone when the next one comes."""
    at = 0
    while at < len(data):
        size = len(data) if not cut else dice.choice((1, 1, 2, 5, 6, 7, 12, 64, 300))
        yield data[at : at + size]
        at += size


def pdus_of(stream: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Type, context, control and fragment of each PDU; a cut one ends it."""
    while len(stream) >= 6:
        kind, length = stream[0], int.from_bytes(stream[2:6], "big")
        body = stream[6 : 6 + length]
        stream = stream[6 + length :]
        if kind != P_DATA_TF:
            assert kind in (5, 6, 7), "a PDU that nobody may forward"
            yield kind, 0, 0, body
            continue
        if len(body) >= 4:
            assert int.from_bytes(body[:4], "big") + 4 == length, "a P-DATA-TF of several PDVs"
        if len(body) >= 6:
            yield kind, body[4], body[5], body[6:]


def messages_of(stream: bytes) -> list[tuple[int, Command, bytes]]:
    """Context, command and data of each message, by a reader that knows nothing of the relay; a cut one has the data that is there."""
    found: list[tuple[int, Command, bytes]] = []
    head, data, waiting = b"", b"", False
    for kind, context, control, fragment in pdus_of(stream):
        if kind != P_DATA_TF:
            assert not head, "a release inside a command set"
            continue
        if control & 1:
            assert not waiting, "a command set where a data set is due"
            head += fragment
            if not control & 2:
                continue
            parsed = parse_command(head, lenient=True)
            head, data, waiting = b"", b"", parsed.has_data_set
            found.append((context, parsed, b""))
        else:
            assert waiting and context == found[-1][0], "a data set without its command"
            data += fragment
            found[-1] = context, found[-1][1], data
            waiting = not control & 2
    return found


def check(sides: tuple[Side, Side], *, decides: bool) -> None:
    """The laws on what was forwarded and answered; ``decides``: the C-STOREs of a C-GET are decided too."""
    # the order between both directions is not in the transcripts, so what could have been outstanding at any time counts
    streams = [messages_of(b"".join(line[1] for line in side.lines if line[0] == "forward")) for side in sides]
    for side, stream, other in zip(sides, streams, reversed(streams), strict=True):
        allowed = iter(side.allowed)
        for context, sent, data in stream:
            if sent.field & RESPONSE:
                number = sent.values["MessageIDBeingRespondedTo"]
                asked = [(context, request.field) for context, request, _ in other if request.values.get("MessageID") == number]
                assert (context, sent.field & ~RESPONSE) in asked, "a response without its request"
            elif sent.field == C_CANCEL_RQ:
                number = sent.values["MessageIDBeingRespondedTo"]
                assert any(request.values.get("MessageID") == number for _, request, _ in stream), "a C-CANCEL without its request"
            elif sent.field != C_ECHO_RQ and (decides or sent.field != C_STORE_RQ or side is sides[0]):
                ruled = next(allowed, None)
                assert ruled is not None, "a request that nobody ruled on"
                assert sent.raw == ruled.command, "another request than the ruling's"
                if ruled.data is not None and sent.has_data_set:
                    assert ruled.data.startswith(data), "another data set than the ruling's"
        kinds = [line[0] for line in side.lines]
        denied = kinds.count("decide") - len(side.allowed)
        owed, answers = denied + kinds.count("refused"), kinds.count("answer")
        assert answers <= owed, "an answer to nothing"
        assert answers == owed or not side.settled, "a request without its answer"
        for line in side.lines:
            if line[0] == "answer":
                for _, answer, _ in messages_of(line[1]):
                    assert answer.field & RESPONSE, "an answer that is no response"


def one(data: bytes) -> None:
    """Play one script whole and in pieces, and hold the laws against it."""
    whole = run(data, 0)
    try:
        check(whole, decides=not data[:1] or not data[0] & 2)
    except CommandError as error:
        raise AssertionError(f"what was forwarded has {error}") from error
    assert run(data, zlib.crc32(data) or 1) == whole, "the transcript depends on where the stream was cut"
