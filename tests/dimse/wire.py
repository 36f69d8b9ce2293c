"""What the tests of the relay speak: messages in bytes, and the outputs of a flow as a transcript that can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from hirules.dimse.association import Association, Context
from hirules.dimse.flow import Flow
from hirules.dimse.message import Command, encode_command, parse_command
from hirules.dimse.options import Options
from hirules.dimse.outputs import Abort, Answer, Completed, Decide, Dropped, Ended, Forward, Message, Refused, Ruling
from hirules.dimse.pdu import message_pdus
from hirules.dimse.relay import Relay
from hirules.dimse.response import response
from hirules.model.decision import Decision
from hirules.model.request import Request

FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"
GRAYSCALE_PRINT_META, PRINTER, FILM_BOX = "1.2.840.10008.5.1.1.9", "1.2.840.10008.5.1.1.16", "1.2.840.10008.5.1.1.2"
COMMITMENT = "1.2.840.10008.1.20.1"
IMPLICIT = "1.2.840.10008.1.2"
ON = {FIND: 1, MOVE: 3, GET: 5, CT: 7, VERIFICATION: 9, GRAYSCALE_PRINT_META: 11, COMMITMENT: 17}
NOT_ACCEPTED, WITHOUT_ROLE = 13, 15
IDENTIFIER = b"\x08\x00\x52\x00\x06\x00\x00\x00STUDY " + b"\x20\x00\x0d\x00\x06\x00\x00\x001.2.3\x00"
DECISION = Decision("allow", Request("c-find", id="1"))

OPTIONS = Options(ae_title="GATE", upstream_ae_title="PACS", upstream_host="127.0.0.1", upstream_port=104)


def association(requestor_max_length: int = 16384, acceptor_max_length: int = 16384) -> Association:
    contexts = {number: Context(number, uid, IMPLICIT, scp_role=uid == CT) for uid, number in ON.items()}
    contexts[NOT_ACCEPTED] = Context(NOT_ACCEPTED, MR)
    contexts[WITHOUT_ROLE] = Context(WITHOUT_ROLE, MR, IMPLICIT)
    return Association(
        "CLIENT", "GATE", contexts, "127.0.0.1", requestor_max_length=requestor_max_length, acceptor_max_length=acceptor_max_length, accepted=True
    )


def relay(options: Options = OPTIONS, **lengths: int) -> Relay:
    return Relay(association(**lengths), options)


def command(field: int, message_id: int = 1, *, data: bool = False, **values: object) -> bytes:
    """A request's command set; the SOP class is the C-FIND one unless named."""
    if not {"AffectedSOPClassUID", "RequestedSOPClassUID"} & values.keys():
        values["AffectedSOPClassUID"] = {0x21: MOVE, 0x10: GET, 0x01: CT, 0x30: VERIFICATION}.get(field, FIND)
    return encode_command({"CommandField": field, "MessageID": message_id, "CommandDataSetType": 1 if data else 0x0101, **values})


def reply(field: int, message_id: int = 1, *, status: int = 0, data: bool = False, **values: object) -> bytes:
    return encode_command(
        {"CommandField": field | 0x8000, "MessageIDBeingRespondedTo": message_id, "CommandDataSetType": 1 if data else 0x0101, "Status": status, **values}
    )


def message(context: int, command_set: bytes, data: bytes | None = None, max_length: int = 16384) -> bytes:
    return message_pdus(context, command_set, data, max_length)


def find(message_id: int = 1, identifier: bytes = IDENTIFIER) -> bytes:
    return message(ON[FIND], command(0x20, message_id, data=True, Priority=0), identifier)


def get(message_id: int = 1) -> bytes:
    return message(ON[GET], command(0x10, message_id, data=True, Priority=0), IDENTIFIER)


def store(message_id: int = 1, data: bytes = b"\0" * 100, context: int = ON[CT], sop_class: str = CT, max_length: int = 16384) -> bytes:
    return message(
        context,
        command(0x01, message_id, data=True, Priority=0, AffectedSOPClassUID=sop_class, AffectedSOPInstanceUID="1.2.3.4"),
        data,
        max_length,
    )


def cancel(message_id: int = 1, context: int = ON[FIND]) -> bytes:
    return message(context, encode_command({"CommandField": 0x0FFF, "MessageIDBeingRespondedTo": message_id, "CommandDataSetType": 0x0101}))


def pdvs(*fragments: tuple[int, int, bytes]) -> bytes:
    """One P-DATA-TF of several PDVs: context, control header, fragment."""
    items = b"".join((len(data) + 2).to_bytes(4, "big") + bytes((context, control)) + data for context, control, data in fragments)
    return b"\x04\x00" + len(items).to_bytes(4, "big") + items


RELEASE_RQ, RELEASE_RP = b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00", b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ABORT = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"


class Event(msgspec.Struct, frozen=True):
    """One line of a transcript."""

    kind: str
    data: bytes = b""
    status: int = 0
    text: str = ""
    outcome: dict[str, object] = {}


Rule = Callable[[Message], Ruling]


def allow(asked: Message) -> Ruling:
    return Ruling(decision=DECISION, command=asked.command.raw, data=asked.data)


def deny(asked: Message) -> Ruling:
    return Ruling(decision=DECISION, answer=response(asked.command, 0x0124, "no"), status=0x0124)


def take(flow: Flow, chunks: bytes | Iterable[bytes], rule: Rule = allow) -> list[Event]:
    """Feed ``chunks`` and write down what comes; neighbouring forwards are one."""
    events: list[Event] = []
    for chunk in [chunks] if isinstance(chunks, bytes) else chunks:
        outputs, answer = flow.feed(chunk), None
        while True:
            try:
                output = outputs.send(answer)
            except StopIteration:
                break
            answer = rule(output.message) if isinstance(output, Decide) else None
            event = _event(output)
            if event.kind == "forward" and events and events[-1].kind == "forward":
                event = Event("forward", events.pop().data + event.data)
            events.append(event)
    return events


def _event(output: object) -> Event:
    match output:
        case Forward(pieces):
            return Event("forward", b"".join(pieces))
        case Answer(pdus):
            return Event("answer", pdus, status=status_of(pdus))
        case Decide(asked):
            return Event("decide", asked.data or b"", status=asked.command.field)
        case Refused(_, status, why):
            return Event("refused", status=status, text=why)
        case Dropped(why):
            return Event("dropped", text=why)
        case Completed(_, outcome):
            return Event("completed", outcome=dict(outcome))
        case Abort(reason, why):
            return Event("abort", status=reason, text=why)
        case Ended(how):
            return Event("ended", text=how)
    raise AssertionError(output)


def commands(pdus: bytes) -> list[Command]:
    """The command sets in ``pdus``, each one PDV in one PDU."""
    found = []
    while pdus:
        length = int.from_bytes(pdus[2:6], "big")
        if pdus[0] == 4 and pdus[11] == 3:
            found.append(parse_command(pdus[12 : 6 + length]))
        pdus = pdus[6 + length :]
    return found


def status_of(pdus: bytes) -> int:
    status = commands(pdus)[0].values["Status"]
    assert isinstance(status, int)
    return status


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


def forwarded(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if event.kind == "forward")


def element(number: int, value: bytes) -> bytes:
    """Of group 0000."""
    return b"\0\0" + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


def command_set(*elements: bytes) -> bytes:
    """With its group length."""
    body = b"".join(elements)
    return element(0, len(body).to_bytes(4, "little")) + body


FIND_PADDED = FIND.encode() + b"\0" * (len(FIND) % 2)
FIND_ELEMENTS = (element(0x02, FIND_PADDED), element(0x100, b"\x20\0"), element(0x110, b"\x01\0"), element(0x700, b"\0\0"), element(0x800, b"\x01\0"))
