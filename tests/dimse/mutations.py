"""Valid conversations, and seeded ways to spoil them: bytes, lengths, elements, order. No I/O.

``mutated(dice)`` is one message that is wrong somewhere; most keep the framing, so that the association goes on to the next one.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification

from tests.dimse.instrumented import (
    CANCEL_RQ,
    CT,
    DESTINATION,
    ECHO_RQ,
    FIND_RQ,
    GET_RQ,
    IMPLICIT,
    MOVE_RQ,
    N_GET_RQ,
    PRINTER,
    STORE_RQ,
    STORED,
    command,
    flat,
    message,
)
from tests.e2e.wire import COMMAND, LAST, p_data, pdvs

FIND, GET, MOVE = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 3, 2))
VERIFICATION, PRINTING, PRINTER_CLASS = "1.2.840.10008.1.1", "1.2.840.10008.5.1.1.9", "1.2.840.10008.5.1.1.16"
CONTEXTS = {1: VERIFICATION, 3: FIND, 5: GET, 7: MOVE, 9: CT, 11: PRINTING}
ON = {uid: number for number, uid in CONTEXTS.items()}
Parts = tuple[int, bytes, bytes | None]
"""Context, command set, data set."""


def request(calling: str, called: str) -> bytes:
    """The A-ASSOCIATE-RQ for ``CONTEXTS``."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    contexts = []
    for number, uid in CONTEXTS.items():
        context = build_context(uid, [ImplicitVRLittleEndian, ExplicitVRLittleEndian] if uid == CT else [IMPLICIT])
        context.context_id = number
        contexts.append(context)
    primitive.presentation_context_definition_list = contexts
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received, implementation.implementation_class_uid = 16384, UID("1.2.3.4")
    primitive.user_information = [length, implementation, build_role(CT, scu_role=True, scp_role=True)]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def query(study: str = "", patient: str = "", level: str = "STUDY") -> bytes:
    """An identifier."""
    return flat((0x08, 0x52, level), *([(0x10, 0x20, patient)] if patient else []), (0x20, 0x0D, study))


def echo(number: int) -> list[bytes]:
    """A C-ECHO that nobody spoils: what came before it has been dealt with when it is answered."""
    return message(ON[VERIFICATION], command(AffectedSOPClassUID=VERIFICATION, CommandField=ECHO_RQ, MessageID=number, CommandDataSetType=0x0101))


OPEN, OTHER, SEALED = "1.2.826.0.1.55.1", "1.2.826.0.1.55.2", "1.2.826.0.1.55.3"


def valid(dice: random.Random) -> Parts:
    """A request that is allowed, or one that is denied."""
    number = dice.randrange(1, 1000)
    study, patient = dice.choice(((OPEN, "P1"), (OTHER, "P2"), (SEALED, "SEALED")))
    asked = {"MessageID": number, "Priority": 0, "CommandDataSetType": 1}
    match dice.randrange(8):
        case 0 | 1:
            return ON[FIND], command(AffectedSOPClassUID=FIND, CommandField=FIND_RQ, **asked), query(patient=patient)
        case 2 | 3:
            studies = dice.choice((study, study, f"{OPEN}\\{OTHER}", f"{OPEN}\\{SEALED}"))
            return ON[GET], command(AffectedSOPClassUID=GET, CommandField=GET_RQ, **asked), query(studies)
        case 4:
            to = dice.choice((DESTINATION, DESTINATION, "ELSEWHERE"))
            return ON[MOVE], command(AffectedSOPClassUID=MOVE, CommandField=MOVE_RQ, MoveDestination=to, **asked), query(study)
        case 5:
            uid = dice.choice((STORED, "1.2.826.0.1.55.9.2"))
            data = flat((0x08, 0x16, CT), (0x08, 0x18, uid), (0x10, 0x20, patient))
            return ON[CT], command(AffectedSOPClassUID=CT, CommandField=STORE_RQ, AffectedSOPInstanceUID=uid, **asked), data
        case 6:
            what = {"RequestedSOPClassUID": PRINTER_CLASS, "RequestedSOPInstanceUID": dice.choice((PRINTER, "1.2.3"))}
            return ON[PRINTING], command(CommandField=N_GET_RQ, MessageID=number, CommandDataSetType=0x0101, **what), None
        case _:
            return ON[GET], command(CommandField=CANCEL_RQ, MessageIDBeingRespondedTo=number, CommandDataSetType=0x0101), None


# -- what is done to bytes ------------------------------------------------------------------------


def flipped(dice: random.Random, data: bytes) -> bytes:
    """One to eight bits."""
    found = bytearray(data)
    for _ in range(dice.choice((1, 1, 2, 8))):
        if found:
            found[dice.randrange(len(found))] ^= 1 << dice.randrange(8)
    return bytes(found)


def cut(dice: random.Random, data: bytes) -> bytes:
    """Without its end, or without a piece."""
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.choice((b"", data[at + dice.choice((1, 2, 8, 16)) :]))


def doubled(dice: random.Random, data: bytes) -> bytes:
    """A piece twice."""
    at, size = dice.randrange(len(data) + 1), dice.choice((1, 2, 8, 26, 64))
    return data[: at + size] + data[at:]


def inserted(dice: random.Random, data: bytes) -> bytes:
    """Bytes from nowhere."""
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.randbytes(dice.choice((1, 2, 8, 64))) + data[at:]


def element_changed(dice: random.Random, data: bytes) -> bytes:
    """Of a data set in Implicit VR: another length, tag or value, the element twice, or away, or in another place."""
    found, at = [], 0
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        found.append(data[at : at + 8 + length])
        at += 8 + length
    if not found:
        return flipped(dice, data)
    index = dice.randrange(len(found))
    element = found[index]
    match dice.randrange(7):
        case 0:
            length = dice.choice((0, 1, 0xFFFFFFFF, 0x7FFFFFFF, max(0, len(element) - 9), len(element) - 6, dice.randrange(1 << 16)))
            found[index] = element[:4] + struct.pack("<L", length) + element[8:]
        case 1:
            found[index] = struct.pack("<HH", dice.choice((0, 8, 0x10, 0x20, 0xFFFE)), dice.randrange(1 << 16)) + element[4:]
        case 2:
            value = dice.randbytes(dice.choice((0, 2, 4, 64, 70)))
            found[index] = element[:4] + struct.pack("<L", len(value)) + value
        case 3:
            found.insert(index, element)
        case 4:
            del found[index]
        case 5:
            found.append(found.pop(index))
        case _:
            value = dice.choice(
                (SEALED, "SEALED", "P1\\SEALED", f"{OPEN}\\{SEALED}", "*", "P1 ", "p1", "P1\0", "STUDY", "PATIENT", "IMAGE", "DEST", "dest ")
            ).encode()
            found[index] = element[:4] + struct.pack("<L", len(value)) + value
    return b"".join(found)


Spoil = Callable[[random.Random, bytes], bytes]
BYTES: tuple[Spoil, ...] = (flipped, flipped, cut, doubled, inserted, element_changed, element_changed, element_changed)


def spoilt(dice: random.Random, data: bytes, times: tuple[int, ...] = (1, 1, 2, 3)) -> bytes:
    """By one of the above, or several."""
    for _ in range(dice.choice(times)):
        data = dice.choice(BYTES)(dice, data)
    return data


# -- what is done to messages ---------------------------------------------------------------------


def mutated(dice: random.Random) -> list[bytes]:
    """The PDUs of one message that is wrong somewhere."""
    context, command_set, data = valid(dice)
    match dice.randrange(12):
        case 0 | 1 | 2:
            return whole(message(context, spoilt(dice, command_set), data))
        case 3 | 4 | 5:
            return whole(message(context, command_set, spoilt(dice, data if data is not None else query(OPEN))))
        case 6:
            return whole(message(context, spoilt(dice, command_set), spoilt(dice, data) if data else None))
        case 7:
            return whole(message(dice.choice((0, 1, 2, 3, 5, 7, 9, 11, 13, 255)), command_set, data))
        case 8:
            return fragments(dice, context, command_set, data)
        case 9:
            return order(dice, message(context, command_set, data))
        case 10:
            pdus = whole(message(context, command_set, data))
            index = dice.randrange(len(pdus))
            pdus[index] = lengths(dice, pdus[index])
            return pdus
        case _:
            pdus = whole(message(context, command_set, data))
            index = dice.randrange(len(pdus))
            pdus[index] = dice.choice((flipped, cut, inserted, doubled))(dice, pdus[index])
            return pdus


def whole(pdus: list[bytes]) -> list[bytes]:
    """Without what has become empty."""
    return [pdu for pdu in pdus if pdu]


def fragments(dice: random.Random, context: int, command_set: bytes, data: bytes | None) -> list[bytes]:
    """In pieces, spoilt or not, in one PDU or several, at times with a wrong control header."""
    values = pieces(dice, context, spoilt(dice, command_set, (0, 1)), COMMAND)
    if data is not None:
        values += pieces(dice, context, spoilt(dice, data, (0, 1)), 0)
    if dice.random() < 0.3 and values:
        index = dice.randrange(len(values))
        values[index] = values[index][:5] + bytes([dice.randrange(256)]) + values[index][6:]
    return [p_data(values)] if dice.random() < 0.5 else [p_data([value]) for value in values]


def pieces(dice: random.Random, context: int, part: bytes, kind: int) -> list[bytes]:
    """One to four PDVs; nothing has one, too."""
    return pdvs(context, part, kind, dice.randint(1, 4)) if part else [struct.pack(">LBB", 2, context, kind | LAST)]


def order(dice: random.Random, pdus: list[bytes]) -> list[bytes]:
    """Dropped, doubled, the other way round, or with those of another message between them."""
    match dice.randrange(5):
        case 0:
            return pdus[1:] or pdus * 2
        case 1:
            return [each for pdu in pdus for each in (pdu, pdu)]
        case 2:
            return pdus[::-1]
        case 3:
            other = message(*valid(dice))
            return [pdu for pair in zip(pdus, other, strict=False) for pdu in pair] + other[len(pdus) :]
        case _:
            control = dice.choice((b"\x05\0\0\0\0\x04\0\0\0\0", b"\x06\0\0\0\0\x04\0\0\0\0", b"\x07\0\0\0\0\x04\0\0\0\0", b"\x02\0\0\0\0\0", b"\x09\0\0\0\0\0"))
            return [pdus[0], control, *pdus[1:]]


def lengths(dice: random.Random, pdu: bytes) -> bytes:
    """Another length of the PDU or of its first PDV."""
    length = dice.choice((0, 1, 2, 5, 6, len(pdu) - 7, len(pdu) - 5, len(pdu), 0x7FFFFFFF, 0xFFFFFFFF, dice.randrange(1 << 20)))
    at = dice.choice((2, 6))
    return pdu[:at] + struct.pack(">L", length & 0xFFFFFFFF) + pdu[at + 4 :]


def mutated_request(dice: random.Random, pdu: bytes) -> bytes:
    """An A-ASSOCIATE-RQ that is wrong somewhere; its length is made right, or not."""
    body = dice.choice((flipped, flipped, cut, inserted, doubled))(dice, pdu[6:])
    match dice.randrange(4):
        case 0:
            return lengths(dice, pdu[:6] + body)
        case 1:
            return flipped(dice, pdu)
        case _:
            return b"\x01\x00" + struct.pack(">L", len(body)) + body
