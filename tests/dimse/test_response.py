"""Final responses, read back by the gateway's own parser and by pynetdicom."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import dimse_messages
from pynetdicom.dsutils import decode

from hirules.dimse import message
from hirules.dimse.message import Command, encode_command, parse_command
from hirules.dimse.response import error_comment, response

COMPOSITE = {"AffectedSOPClassUID": "1.2.3", "MessageID": 7, "Priority": 0, "CommandDataSetType": 1}
NORMALIZED = {"RequestedSOPClassUID": "1.2.3", "RequestedSOPInstanceUID": "1.2.4", "MessageID": 7, "CommandDataSetType": 0x0101}

REQUESTS = {
    "C_STORE": {"CommandField": message.C_STORE_RQ, **COMPOSITE, "AffectedSOPInstanceUID": "1.2.4"},
    "C_GET": {"CommandField": message.C_GET_RQ, **COMPOSITE},
    "C_FIND": {"CommandField": message.C_FIND_RQ, **COMPOSITE},
    "C_MOVE": {"CommandField": message.C_MOVE_RQ, **COMPOSITE, "MoveDestination": "DEST"},
    "C_ECHO": {"CommandField": message.C_ECHO_RQ, "AffectedSOPClassUID": "1.2.3", "MessageID": 7, "CommandDataSetType": 0x0101},
    "N_EVENT_REPORT": {
        "CommandField": message.N_EVENT_REPORT_RQ, "AffectedSOPClassUID": "1.2.3", "AffectedSOPInstanceUID": "1.2.4", "MessageID": 7,
        "EventTypeID": 3, "CommandDataSetType": 0x0101,
    },
    "N_GET": {"CommandField": message.N_GET_RQ, **NORMALIZED},
    "N_SET": {"CommandField": message.N_SET_RQ, **NORMALIZED},
    "N_ACTION": {"CommandField": message.N_ACTION_RQ, **NORMALIZED, "ActionTypeID": 2},
    "N_CREATE": {"CommandField": message.N_CREATE_RQ, "AffectedSOPClassUID": "1.2.3", "MessageID": 7, "CommandDataSetType": 0x0101},
    "N_DELETE": {"CommandField": message.N_DELETE_RQ, **NORMALIZED},
}  # fmt: skip


def command(values: dict[str, object]) -> Command:
    return parse_command(encode_command(values))


@pytest.mark.parametrize("name", REQUESTS)
def test_every_response_is_valid_for_pynetdicom(name: str) -> None:
    encoded = response(command(REQUESTS[name]), 0x0124, "not here", (0x00100020,))
    values = parse_command(encoded).values
    assert values["CommandField"] == REQUESTS[name]["CommandField"] | 0x8000  # type: ignore[operator]
    assert values["MessageIDBeingRespondedTo"] == 7
    assert values["CommandDataSetType"] == 0x0101
    assert values["Status"] == 0x0124
    assert values["ErrorComment"] == "not here"
    assert values["OffendingElement"] == (0x00100020,)
    assert values["AffectedSOPClassUID"] == "1.2.3"
    theirs = getattr(dimse_messages, f"{name}_RSP")()
    theirs.command_set = decode(BytesIO(encoded), True, True)
    primitive = theirs.message_to_primitive()
    assert primitive.Status == 0x0124
    assert primitive.MessageIDBeingRespondedTo == 7
    assert primitive.is_valid_response


@pytest.mark.parametrize(("name", "keyword", "value"), [("N_EVENT_REPORT", "EventTypeID", 3), ("N_ACTION", "ActionTypeID", 2)])
def test_the_type_of_an_action_or_event_comes_back(name: str, keyword: str, value: int) -> None:
    assert parse_command(response(command(REQUESTS[name]), 0x0110)).values[keyword] == value


@pytest.mark.parametrize("name", ["C_STORE", "N_EVENT_REPORT", "N_GET", "N_SET", "N_ACTION", "N_DELETE"])
def test_the_instance_comes_back(name: str) -> None:
    assert parse_command(response(command(REQUESTS[name]), 0x0110)).values["AffectedSOPInstanceUID"] == "1.2.4"


@pytest.mark.parametrize("name", REQUESTS)
def test_counts_of_sub_operations(name: str) -> None:
    counts = {f"NumberOf{number}Suboperations": 0 for number in ("Completed", "Failed", "Warning")} if name in ("C_GET", "C_MOVE") else {}
    for status in (0x0000, 0x0124, 0xA900):
        values = parse_command(response(command(REQUESTS[name]), status)).values
        assert {key: value for key, value in values.items() if key.startswith("NumberOf")} == counts
    canceled = parse_command(response(command(REQUESTS[name]), 0xFE00)).values
    assert ("NumberOfRemainingSuboperations" in canceled) is (name in ("C_GET", "C_MOVE"))


def test_success_says_nothing_more() -> None:
    values = parse_command(response(command(REQUESTS["C_FIND"]), 0x0000, "a comment", (0x00100020,))).values
    assert "ErrorComment" not in values
    assert "OffendingElement" not in values


def test_an_unknown_command_field() -> None:
    values = parse_command(response(Command({"CommandField": 0x0777, "MessageID": 9}, b""), 0x0211)).values
    assert values["CommandField"] == 0x8777
    assert values["MessageIDBeingRespondedTo"] == 9


@pytest.mark.parametrize(
    ("path", "tag"),
    [
        ("request.Identifier.PatientID", 0x00100020),
        ("request.Identifier.(0010,0020)", 0x00100020),
        ("request.Identifier.ReferencedStudySequence[*].ReferencedSOPInstanceUID", 0x00081110),
        ("request.MoveDestination", 0x00000600),
        ("request.AttributeIdentifierList", 0x00001005),
        ("request.Identifier.(0009,1001)", 0x00091001),
        ("instance.PatientID", 0x00100020),
        ("subject.ae_title", None),
        ("context.now", None),
        ("instance.private", None),
        ("no path at all", None),
    ],
)
def test_offending_paths(path: str, tag: int | None) -> None:
    values = parse_command(response(command(REQUESTS["C_MOVE"]), 0x0124, "", (path, path))).values
    assert values.get("OffendingElement") == (None if tag is None else (tag,))


@given(st.text(max_size=200))
def test_an_error_comment_is_one_short_text(text: str) -> None:
    comment = error_comment(text)
    assert len(comment) <= 64
    assert comment.isascii()
    assert "\\" not in comment
    assert comment.isprintable()
    assert comment.strip() == comment
    assert parse_command(response(command(REQUESTS["C_FIND"]), 0x0124, text)).values.get("ErrorComment", "") == comment
