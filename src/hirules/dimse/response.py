"""The final response to a request that the upstream never hears of (PS3.7 §9.3, §10.3).

It has no Identifier: a refusal names one only where a sub-operation failed (PS3.4 §C.4.2.1.6), and an
empty list there breaks DCMTK's release. An Error Comment is an LO of at most 64 characters.
"""

from __future__ import annotations

from collections.abc import Iterable

from hirules.dimse.message import (
    C_GET_RQ,
    C_MOVE_RQ,
    N_ACTION_RQ,
    N_EVENT_REPORT_RQ,
    NO_DATA_SET,
    NUMBERS,
    RESPONSE,
    Command,
    encode_command,
)
from hirules.model.dataset import tag_of
from hirules.model.decision import Decision
from hirules.model.path import Name, PathError, Private, Tag, parse_path, spell_name
from hirules.model.status import NOT_AUTHORIZED

COMMENT_LENGTH = 64
CANCEL = 0xFE00


def response(command: Command, status: int, comment: str = "", offending: Iterable[int | str] = ()) -> bytes:
    """The encoded command set of the final response to ``command``.

    ``offending`` are tags, or paths of a decision (``request.Identifier.StudyInstanceUID``).
    """
    request = command.values
    values: dict[str, object] = {
        "CommandField": command.field | RESPONSE,
        "MessageIDBeingRespondedTo": request.get("MessageID", 0),
        "CommandDataSetType": NO_DATA_SET,
        "Status": status,
    }
    for affected, requested in (("AffectedSOPClassUID", "RequestedSOPClassUID"), ("AffectedSOPInstanceUID", "RequestedSOPInstanceUID")):
        uid = request.get(affected) or request.get(requested)
        if uid:
            values[affected] = uid
    if command.field in (C_GET_RQ, C_MOVE_RQ):
        # PS3.4 §C.4.2.1.6: Remaining is for pending and canceled responses only
        for number in ("Completed", "Failed", "Warning", *(("Remaining",) if status == CANCEL else ())):
            values[f"NumberOf{number}Suboperations"] = 0
    for field, parameter in ((N_EVENT_REPORT_RQ, "EventTypeID"), (N_ACTION_RQ, "ActionTypeID")):
        if command.field == field and parameter in request:
            values[parameter] = request[parameter]
    if status and (text := error_comment(comment)):
        values["ErrorComment"] = text
    tags = tuple(dict.fromkeys(tag for item in offending if (tag := _tag(item)) is not None))
    if status and tags:
        values["OffendingElement"] = tags
    return encode_command(values)


def refused_response(command: Command, status: int) -> Command:
    """The response ``command`` with this status instead, and nothing of what it brought."""
    kept = ("CommandField", "MessageIDBeingRespondedTo", "AffectedSOPClassUID", "AffectedSOPInstanceUID")
    values = {**{name: command.values[name] for name in kept if name in command.values}, "CommandDataSetType": NO_DATA_SET, "Status": status}
    return Command(values, encode_command(values))


def status_of(decision: Decision) -> int:
    """The status of a refusal by ``decision``."""
    return decision.status if isinstance(decision.status, int) and decision.status else NOT_AUTHORIZED


def without_data_set(command: Command) -> Command:
    """The response ``command`` with none."""
    values = {**command.values, "CommandDataSetType": NO_DATA_SET}
    return Command(values, encode_command(values))


def error_comment(text: str) -> str:
    """``text`` as an LO in the default character repertoire: one value, 64 characters at most (PS3.5 §6.2)."""
    plain = text.replace("\\", "/").encode("ascii", "replace").decode("ascii")
    return "".join(character if character.isprintable() else " " for character in plain)[:COMMENT_LENGTH].strip()


def _tag(item: int | str) -> int | None:
    """The tag of an offending place: of the element that a path first names, else of the command element."""
    if isinstance(item, int):
        return item
    try:
        path = parse_path(item)
    except PathError:
        return None
    match path.elements[:1]:
        case (Name(name),):
            return tag_of(name)
        case (Tag(group, element),):
            return None if "x" in group + element else int(group + element, 16)
        case (Private(),):
            return None
    parameter = path.names[0] if path.names else ""
    return NUMBERS.get(spell_name(parameter)) if path.root == "request" else None
