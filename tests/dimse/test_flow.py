"""Transcripts of the stream: how it is cut, framed, ended and broken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hirules.dimse.pdu import INVALID_PARAMETER, UNEXPECTED_PDU, UNRECOGNIZED_PDU
from tests.dimse.wire import (
    ABORT,
    CT,
    FIND,
    FIND_ELEMENTS,
    GRAYSCALE_PRINT_META,
    IDENTIFIER,
    NOT_ACCEPTED,
    ON,
    PRINTER,
    RELEASE_RQ,
    VERIFICATION,
    Event,
    allow,
    cancel,
    command,
    command_set,
    deny,
    find,
    forwarded,
    kinds,
    message,
    pdvs,
    relay,
    store,
    take,
)

BIG = bytes(range(256)) * 300


# -- framing --------------------------------------------------------------------------------------


def test_several_pdvs_in_one_pdu_leave_as_one_pdv_a_pdu() -> None:
    raw = command(0x20, data=True, Priority=0)
    packed = pdvs((ON[FIND], 1, raw[:20]), (ON[FIND], 3, raw[20:]), (ON[FIND], 0, IDENTIFIER[:4]), (ON[FIND], 2, IDENTIFIER[4:]))
    assert forwarded(take(relay().client, packed)) == find()


def test_several_fragments_of_a_c_store_in_one_pdu_leave_one_by_one() -> None:
    raw = command(0x01, data=True, Priority=0, AffectedSOPInstanceUID="1.2.3.4")
    packed = pdvs((ON[CT], 3, raw), (ON[CT], 0, b"one"), (ON[CT], 0, b"two")) + pdvs((ON[CT], 0, b"three"), (ON[CT], 2, b""))
    expected = [pdvs((ON[CT], 3, raw)), *(pdvs((ON[CT], 0, part)) for part in (b"one", b"two", b"three")), pdvs((ON[CT], 2, b""))]
    assert forwarded(take(relay().client, packed)) == b"".join(expected)


CONVERSATION = (
    message(ON[VERIFICATION], command(0x30, 9))
    + find(1)
    + store(2, BIG[:2500], max_length=1000)
    + pdvs((ON[CT], 3, command(0x01, 3, data=True, AffectedSOPInstanceUID="1.2")), (ON[CT], 0, b"abc"), (ON[CT], 2, b"def"))
    + cancel(1)
    + message(ON[GRAYSCALE_PRINT_META], command(0x110, 4, RequestedSOPClassUID=PRINTER, RequestedSOPInstanceUID="1.2.840.10008.5.1.1.17"))
    + RELEASE_RQ
)


def test_a_stream_cut_at_every_byte_says_the_same() -> None:
    whole = take(relay().client, CONVERSATION)
    for at in range(1, len(CONVERSATION)):
        assert take(relay().client, [CONVERSATION[:at], CONVERSATION[at:]]) == whole, at


def test_a_stream_of_single_bytes_says_the_same() -> None:
    assert take(relay().client, (CONVERSATION[at : at + 1] for at in range(len(CONVERSATION)))) == take(relay().client, CONVERSATION)


@given(st.lists(st.integers(1, 1500), max_size=30), st.booleans())
def test_a_stream_cut_anywhere_says_the_same(sizes: list[int], refuse: bool) -> None:
    rule = deny if refuse else allow
    chunks, at = [], 0
    for size in sizes:
        chunks.append(CONVERSATION[at : at + size])
        at += size
    assert take(relay().client, [*chunks, CONVERSATION[at:]], rule) == take(relay().client, CONVERSATION, rule)


# -- ends ----------------------------------------------------------------------------------------


def test_release_and_abort_pass() -> None:
    assert take(relay().client, RELEASE_RQ) == [Event("forward", RELEASE_RQ)]
    flow = relay().client
    assert take(flow, find() + ABORT) == [Event("decide", IDENTIFIER, status=0x20), Event("forward", find() + ABORT), Event("ended", text="aborted")]
    assert flow.ended
    assert take(flow, find()) == []


# -- what breaks the stream -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\x01\x00\x00\x00\x00\x44" + b"\0" * 68, UNEXPECTED_PDU),
        (b"\x02\x00\x00\x00\x00\x44" + b"\0" * 68, UNEXPECTED_PDU),
        (b"\x08\x00\x00\x00\x00\x04\0\0\0\0", UNRECOGNIZED_PDU),
        (b"GET / HTTP/1.1\r\n", UNRECOGNIZED_PDU),
        (b"\x05\x00\x00\x00\x00\x08" + b"\0" * 8, INVALID_PARAMETER),
        (b"\x04\x00\x7f\xff\xff\xff\x7f\xff\xff\xfb\x01\x00", INVALID_PARAMETER),
        (b"\x04\x00\x00\x00\x00\x02\x00\x00", INVALID_PARAMETER),
        (b"\x04\x00\x00\x00\x00\x0a\x00\x00\x00\x01\x01\x03\0\0\0\0", INVALID_PARAMETER),
        (b"\x04\x00\x00\x00\x00\x0a\x00\x00\x00\x20\x01\x03\0\0\0\0", INVALID_PARAMETER),
        (pdvs((ON[FIND], 7, b"")), INVALID_PARAMETER),
        (pdvs((ON[FIND], 2, b"data")), INVALID_PARAMETER),
        (pdvs((NOT_ACCEPTED, 3, command(0x20))), INVALID_PARAMETER),
        (pdvs((99, 3, command(0x20))), INVALID_PARAMETER),
        (pdvs((ON[FIND], 1, b"ab")) + pdvs((ON[CT], 3, b"cd")), INVALID_PARAMETER),
        (pdvs((ON[FIND], 1, b"ab")) + pdvs((ON[FIND], 2, b"cd")), INVALID_PARAMETER),
        (pdvs((ON[FIND], 3, b"")), INVALID_PARAMETER),
        (pdvs((ON[FIND], 3, command_set(*FIND_ELEMENTS[:4]))), INVALID_PARAMETER),
        (pdvs((ON[FIND], 3, command_set(*FIND_ELEMENTS[:2], *FIND_ELEMENTS[3:]))), INVALID_PARAMETER),
        (pdvs((ON[FIND], 3, command_set(*FIND_ELEMENTS, FIND_ELEMENTS[4]))), INVALID_PARAMETER),
        (pdvs((ON[FIND], 3, command_set(*FIND_ELEMENTS)[:-1])), INVALID_PARAMETER),
        (pdvs((ON[FIND], 1, b"\0" * 70000)), INVALID_PARAMETER),
        (pdvs((ON[FIND], 3, command(0x20, data=True))) + RELEASE_RQ, UNEXPECTED_PDU),
        (b"\x06\x00\x00\x00\x00\x04\0\0\0\0", UNEXPECTED_PDU),
    ],
)
def test_a_broken_stream_is_aborted_and_nothing_of_it_forwarded(sent: bytes, reason: int) -> None:
    flow = relay().client
    events = take(flow, sent)
    assert [(event.kind, event.status) for event in events] == [("abort", reason)]
    assert flow.ended
    assert take(flow, find()) == []


def test_what_was_permitted_before_the_stream_broke_is_still_forwarded() -> None:
    events = take(relay().client, find() + b"junk!!")
    assert kinds(events) == ["decide", "forward", "abort"]
    assert forwarded(events) == find()


def test_a_stream_that_breaks_at_a_pdu_boundary_leaves_the_other_side_at_one() -> None:
    """The rest of a PDU that was half forwarded goes before the abort, which would else be read as its data."""
    flow = relay().client
    head = pdvs((ON[CT], 3, command(0x01, data=True, AffectedSOPInstanceUID="1.2"))) + pdvs((ON[CT], 0, b"abcdefgh"))
    take(flow, head[:-4])
    assert flow.cut
    assert take(flow, head[-4:] + b"\x09\0\0\0\0\x04\0\0\0\0")[0] == Event("forward", head[-4:])
    assert not flow.cut


def test_data_without_a_command_after_a_message_without_data_is_no_part_of_it() -> None:
    flow = relay().client
    sent = message(ON[GRAYSCALE_PRINT_META], command(0x110, RequestedSOPClassUID=PRINTER, RequestedSOPInstanceUID="1.2"))
    events = take(flow, sent + pdvs((ON[GRAYSCALE_PRINT_META], 2, IDENTIFIER)))
    assert kinds(events) == ["decide", "forward", "abort"]
    assert forwarded(events) == sent


@given(st.integers(0, len(CONVERSATION)), st.integers(0, 12), st.binary(max_size=8), st.integers(0, len(CONVERSATION)), st.booleans())
def test_a_damaged_stream_forwards_only_single_pdvs_on_accepted_contexts(at: int, removed: int, noise: bytes, cut: int, refuse: bool) -> None:
    damaged = CONVERSATION[:at] + noise + CONVERSATION[at + removed :]
    passed = forwarded(take(relay().client, [damaged[:cut], damaged[cut:]], deny if refuse else allow))
    while len(passed) >= 12:
        length = int.from_bytes(passed[2:6], "big")
        if passed[0] == 4:
            assert int.from_bytes(passed[6:10], "big") == length - 4
            assert passed[10] in ON.values()
            assert passed[11] <= 3
        passed = passed[6 + length :]
