"""Command sets and data sets of DIMSE requests.

The input: a byte that chooses transfer syntax, kind of data set and options, a byte that is the length of the command set, the command set
(its group length is made right if the choice says so), the data set.

- Only ``CommandError`` and ``IdentifierError`` come out, and no message of theirs quotes more than names.
- The readers of what is plain, and what they remember, give what the readers of everything give.
- What is accepted and encoded again reads as the same; the lenient reader agrees with the strict one; pydicom reads the same command.
- ``request_of`` answers every command; carried out unchanged a request is the very bytes that came, or what they mean.
- A rewrite is carried out so that it reads back, or is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from typing import Any

import msgspec
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode

from hirules.dimse import message
from hirules.dimse.association import Association, Context
from hirules.dimse.identifier import IdentifierError, read, write
from hirules.dimse.message import ELEMENTS, Command, CommandError, encode_command, parse_command
from hirules.dimse.options import Options
from hirules.dimse.translate import Refusal, forward, request_of, same
from hirules.model.dataset import DatasetView
from hirules.model.decision import Decision
from hirules.model.request import Request, replaced
from tests.dimse.test_flat import answered

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
KEYS, FROM_UPSTREAM, STRICT, NUMBERED = 4, 8, 16, 32
"""Bits of the choice, above the two of the transfer syntax."""
OPTIONS = Options(ae_title="GATE", upstream_ae_title="pacs", upstream_host="10.0.0.9", upstream_port=104)
READ_PLAINLY = [(action, f"1.2.840.10008.5.1.4.1.2.{model}.{service}") for model in (1, 2) for service, action in ((1, "c-find"), (2, "c-move"), (3, "c-get"))]
ASSOCIATION = Association("res_1 ", "Gate", {}, "10.1.2.3", implementation_class_uid="1.2.9")


def parts_of(data: bytes) -> tuple[int, bytes, bytes]:
    """The choice, the command set and the data set of an input."""
    chosen, length = data[0], data[1]
    command, identifier = data[2 : 2 + length], data[2 + length :]
    if chosen & NUMBERED:
        command = b"\0\0\0\0\4\0\0\0" + len(command).to_bytes(4, "little") + command
    return chosen, command, identifier


def one(data: bytes) -> None:
    """Read, encode again, translate and rewrite one message."""
    if len(data) < 2:
        return
    chosen, raw, identifier = parts_of(data)
    command = command_of(raw)
    syntax = SYNTAXES[chosen & 3]
    answered(identifier, syntax, READ_PLAINLY)
    check_data_set(identifier, syntax, keys=bool(chosen & KEYS))
    if command is not None:
        options = msgspec.structs.replace(OPTIONS, strict_identifier=bool(chosen & STRICT), preserve_ae_title_case=bool(chosen & STRICT))
        sop_class = str(command.values.get("AffectedSOPClassUID") or command.values.get("RequestedSOPClassUID") or "1.2")
        context = Context(1, sop_class, syntax)
        check_request(command, identifier if command.has_data_set else None, context, options, from_upstream=bool(chosen & FROM_UPSTREAM))


def command_of(raw: bytes) -> Command | None:
    """The command set, read in every way."""
    try:
        lenient = parse_command(raw, lenient=True)
    except CommandError as error:
        assert str(error) and set(error.ambiguous) <= set(error.values)
        lenient = None
    for at in {zlib.crc32(raw) % (len(raw) + 1), raw[16] + 38 if len(raw) > 16 else 0}:
        with suppress(CommandError):
            # what was read of this one may be remembered, and the other differs in two bytes
            parse_command(raw[:at] + b"\7\0" + raw[at + 2 :])
    try:
        command = parse_command(raw)
    except CommandError as error:
        assert str(error) and isinstance(error.status, int)
        assert carefully(raw) is None, "a command set is refused that the careful reader takes"
        return None
    assert carefully(raw) == command.values, "the careful reader reads another command"
    assert lenient is not None and lenient.values == command.values, "the lenient reader reads another command"
    again = parse_command(encode_command(command.values))
    assert meant(again) == meant(command), "a command changes when it is encoded"
    theirs = decode(BytesIO(raw), True, True)
    named = {ELEMENTS[int(element.tag)][0]: element.value for element in theirs}
    assert named.keys() == command.values.keys(), "pydicom reads other elements"
    for name, value in command.values.items():
        if isinstance(value, int):
            assert named[name] == value, f"pydicom reads another {name}"
    return command


def carefully(raw: bytes) -> Mapping[str, object] | None:
    """What the reader says that looks at every element, without the one for what is plain."""
    try:
        return message._examined(raw, False).values
    except CommandError:
        return None


def meant(command: Command) -> dict[str, object]:
    """The values but for the group length, which is about the encoding, and empty texts and lists, which are one."""
    return {name: value for name, value in command.values.items() if name != "CommandGroupLength"}


def check_data_set(data: bytes, syntax: str, *, keys: bool) -> None:
    """What is accepted is encoded and read back as the same."""
    try:
        dataset = read(data, syntax, keys=keys)
    except IdentifierError as error:
        assert 0 < len(str(error)) <= 64 and isinstance(error.status, int)
        assert all(isinstance(tag, int) for tag in error.tags)
        return
    view = DatasetView(dataset)
    assert len(list(view)) == len(view)
    for name in view:
        assert name in view, "a name of the data set does not lead back to its element"
        _ = view[name]
    again = DatasetView(read(write(dataset, syntax), syntax, keys=keys))
    assert same(view, again) and same(again, view), "a data set changes when it is encoded"


def check_request(command: Command, identifier: bytes | None, context: Context, options: Options, *, from_upstream: bool) -> None:
    """Translate, carry out unchanged, carry out rewritten."""
    request = request_of(command, identifier, context, ASSOCIATION, from_upstream, options)
    if isinstance(request, Refusal):
        assert 0 < len(request.comment) <= 64
        return
    sent, data = forward(Decision("allow", request), command, identifier, context, options)
    unchanged = request_of(sent, data, context, ASSOCIATION, from_upstream, options)
    assert isinstance(unchanged, Request), "what was forwarded unchanged is refused"
    assert equal(unchanged, request), "what was forwarded unchanged is another request"
    for effective in rewritten(request):
        try:
            sent, data = forward(Decision("allow", effective), command, identifier, context, options)
        except ValueError:
            continue
        again = request_of(sent, data, context, ASSOCIATION, from_upstream, options)
        assert isinstance(again, Request), "a rewritten message is refused"
        assert equal(again, effective), "a rewritten message reads as another request"


def rewritten(request: Request) -> list[Request]:
    """The request with other values."""
    fields = request.request
    found = [{**fields, "Priority": 2}] if "Priority" in fields else []
    found += [{**fields, "MoveDestination": "ELSEWHERE"}] if "MoveDestination" in fields else []
    identifier = fields.get("Identifier")
    if isinstance(identifier, Mapping):
        plain = {name: identifier[name] for name in identifier}
        found.append({**fields, "Identifier": {**plain, "PatientID": "P2"}})
        found += [{**fields, "Identifier": {name: value for name, value in plain.items() if name != gone}} for gone in sorted(plain)[:3]]
    return [replaced(request, request=each) for each in found]


def equal(one: Request, other: Request) -> bool:
    """Whether two requests say the same; data sets in the sense of canonical scalars."""
    mine, theirs = dict(one.request), dict(other.request)
    for name in [name for name, value in mine.items() if isinstance(value, Mapping)]:
        fields: Any = mine.pop(name)
        others: Any = theirs.pop(name)
        if not alike(fields, others):
            return False
    return one.action == other.action and one.subject == other.subject and mine == theirs


def alike(one: Any, other: Any) -> bool:
    """Whether two data sets say the same; one of plain texts is no view, and is compared as it is with its like."""
    if isinstance(one, DatasetView):
        return isinstance(other, Mapping) and same(one, other)
    return same(other, one) if isinstance(other, DatasetView) else one == other
