"""Transcripts of messages: what passes, what is refused, and what is cancelled."""

from __future__ import annotations

import msgspec
import pytest

from hirules.dimse.message import encode_command
from hirules.dimse.outputs import Message, Ruling
from hirules.dimse.pdu import data_pdus
from tests.dimse.wire import (
    CT,
    FILM_BOX,
    FIND,
    FIND_ELEMENTS,
    GRAYSCALE_PRINT_META,
    IDENTIFIER,
    MR,
    NOT_ACCEPTED,
    ON,
    OPTIONS,
    PRINTER,
    VERIFICATION,
    Event,
    cancel,
    command,
    command_set,
    commands,
    deny,
    element,
    find,
    forwarded,
    get,
    kinds,
    message,
    pdvs,
    relay,
    status_of,
    store,
    take,
)

BIG = bytes(range(256)) * 300


# -- what passes ----------------------------------------------------------------------------------


def test_a_permitted_query_is_held_decided_and_forwarded_in_its_own_bytes() -> None:
    events = take(relay().client, find())
    assert events == [Event("decide", IDENTIFIER, status=0x20), Event("forward", find())]


def test_nothing_of_a_request_is_forwarded_before_its_identifier_is_complete() -> None:
    flow = relay().client
    assert take(flow, find()[:-1]) == []
    assert flow.partial
    assert kinds(take(flow, find()[-1:])) == ["decide", "forward"]
    assert not flow.partial


def test_an_echo_passes_undecided() -> None:
    echo = message(ON[VERIFICATION], command(0x30))
    assert take(relay().client, echo) == [Event("forward", echo)]


def test_a_permitted_c_store_is_decided_on_its_command_and_cut_through() -> None:
    sent = store(data=BIG)
    flow = relay().client
    first = take(flow, sent[:2000])
    assert kinds(first) == ["decide", "forward"]
    assert forwarded(first) == sent[:2000]
    assert flow.cut
    assert take(flow, sent[2000:]) == [Event("forward", sent[2000:])]
    assert not flow.cut


def test_a_rewritten_request_leaves_as_it_was_rewritten() -> None:
    new_command, new_data = command(0x20, data=True, Priority=2), b"\x08\x00\x52\x00\x08\x00\x00\x00PATIENT "

    def rewrite(_: Message) -> Ruling:
        return Ruling(command=new_command, data=new_data)

    assert forwarded(take(relay().client, find(), rewrite)) == message(ON[FIND], new_command, new_data)


def test_a_rewritten_c_store_keeps_its_data_set() -> None:
    rewritten = command(0x01, data=True, Priority=2, AffectedSOPInstanceUID="1.2.3.4")
    events = take(relay().client, store(data=BIG), lambda _: Ruling(command=rewritten))
    assert forwarded(events) == message(ON[CT], rewritten, BIG)


def test_what_is_made_here_fits_the_receiver() -> None:
    made = forwarded(take(relay(acceptor_max_length=64).client, find(identifier=IDENTIFIER * 20)))
    assert made == b"".join([*data_pdus(ON[FIND], 1, command(0x20, data=True, Priority=0), 64), *data_pdus(ON[FIND], 0, IDENTIFIER * 20, 64)])


# -- what is refused ------------------------------------------------------------------------------


def refusal(events: list[Event]) -> tuple[int, str]:
    """Status and reason; nothing was forwarded or decided, the stream goes on."""
    assert [kind for kind in kinds(events) if kind not in ("refused", "answer", "dropped")] == []
    answers = [event for event in events if event.kind == "answer"]
    refused = [event for event in events if event.kind == "refused"]
    assert [event.status for event in answers] == [event.status for event in refused]
    assert refused
    return refused[0].status, refused[0].text


def test_a_denied_request_is_answered_and_never_forwarded() -> None:
    events = take(relay().client, find(7), deny)
    assert kinds(events) == ["decide", "answer", "completed"]
    (answer,) = commands(events[1].data)
    assert answer.values["MessageIDBeingRespondedTo"] == 7
    assert answer.values["CommandField"] == 0x8020
    assert not answer.has_data_set
    assert events[2].outcome == {"Status": 0x0124}


def test_a_denied_c_store_is_swallowed_and_answered_after_its_last_byte() -> None:
    flow, sent = relay().client, store(data=BIG)
    assert kinds(take(flow, sent[:-1], deny)) == ["decide"]
    assert kinds(take(flow, sent[-1:], deny)) == ["answer", "completed"]
    assert kinds(take(flow, find(2))) == ["decide", "forward"]


def test_a_sop_class_that_is_not_the_contexts_is_refused() -> None:
    assert refusal(take(relay().client, message(ON[FIND], command(0x20, data=True, AffectedSOPClassUID=MR), IDENTIFIER)))[0] == 0x0122
    assert refusal(take(relay().client, message(ON[FIND], encode_command({"CommandField": 0x30, "MessageID": 1, "CommandDataSetType": 0x0101}))))[0] == 0x0122
    both = command(0x110, RequestedSOPClassUID=PRINTER, AffectedSOPClassUID=MR)
    assert refusal(take(relay().client, message(ON[GRAYSCALE_PRINT_META], both)))[0] == 0x0122


@pytest.mark.parametrize("sop_class", [PRINTER, FILM_BOX, GRAYSCALE_PRINT_META])
def test_a_member_of_the_contexts_meta_sop_class_passes(sop_class: str) -> None:
    sent = message(ON[GRAYSCALE_PRINT_META], command(0x110, RequestedSOPClassUID=sop_class, RequestedSOPInstanceUID="1.2"))
    assert forwarded(take(relay().client, sent)) == sent


def test_an_unknown_service_is_refused_with_0211() -> None:
    events = take(relay().client, message(ON[FIND], command(0x0060, data=True), IDENTIFIER) + find(2))
    assert events[0] == Event("refused", status=0x0211, text="the service is unknown")
    assert events[1].status == 0x0211
    assert kinds(events[2:]) == ["decide", "forward"]


def test_a_second_request_with_an_outstanding_message_id_is_refused() -> None:
    flow = relay().client
    take(flow, find(5))
    assert refusal(take(flow, find(5)))[0] == 0x0210
    assert kinds(take(flow, find(6))) == ["decide", "forward"]


def test_data_on_another_context_than_its_command_is_refused() -> None:
    raw = command(0x20, data=True)
    for other in (ON[CT], NOT_ACCEPTED):
        flow = relay().client
        events = take(flow, pdvs((ON[FIND], 3, raw)) + pdvs((other, 2, IDENTIFIER)))
        assert refusal(events) == (0x0110, "command and data set are on different contexts")
        assert kinds(take(flow, find(2))) == ["decide", "forward"]


def test_a_c_store_with_data_on_another_context_is_refused_before_it_is_decided() -> None:
    raw = command(0x01, data=True, AffectedSOPInstanceUID="1.2")
    assert refusal(take(relay().client, pdvs((ON[CT], 3, raw)) + pdvs((ON[FIND], 0, b"x"), (ON[FIND], 2, b"y"))))[0] == 0x0110


def test_a_message_that_starts_before_the_last_one_ended_is_refused_with_it() -> None:
    flow = relay().client
    first, second = command(0x20, 1, data=True), command(0x20, 2, data=True)
    context = ON[FIND]
    events = take(flow, pdvs((context, 3, first)) + pdvs((context, 3, second)) + pdvs((context, 2, IDENTIFIER)) + pdvs((context, 2, IDENTIFIER)))
    assert [(event.kind, event.text) for event in events if event.kind != "answer"] == [("refused", "messages are interleaved")] * 2
    answered = [commands(event.data)[0].values["MessageIDBeingRespondedTo"] for event in events if event.kind == "answer"]
    assert answered == [1, 2]
    assert kinds(take(flow, find(3))) == ["decide", "forward"]


def test_a_message_within_a_c_store_under_way_breaks_the_stream() -> None:
    flow = relay().client
    head = pdvs((ON[CT], 3, command(0x01, data=True, AffectedSOPInstanceUID="1.2"))) + pdvs((ON[CT], 0, b"abc"))
    events = take(flow, head + find(2))
    assert kinds(events) == ["decide", "forward", "abort"]
    assert forwarded(events) == head


def test_an_identifier_above_the_limit_is_refused() -> None:
    options = msgspec.structs.replace(OPTIONS, identifier_size=1000)
    flow = relay(options).client
    assert refusal(take(flow, find(identifier=IDENTIFIER * 100))) == (0xA700, "the data set is above the limit")
    assert kinds(take(flow, find(2))) == ["decide", "forward"]


@pytest.mark.parametrize(("field", "data"), [(0x01, False), (0x30, True)])
def test_a_data_set_type_that_does_not_fit_the_service_is_refused(field: int, data: bool) -> None:
    raw = command(field, data=data, AffectedSOPInstanceUID="1.2") if field == 1 else command(field, data=data)
    context = ON[CT] if field == 1 else ON[VERIFICATION]
    assert refusal(take(relay().client, message(context, raw, b"x" if data else None)))[0] == 0x0212


@pytest.mark.parametrize(
    "elements",
    [
        (*FIND_ELEMENTS[:4], FIND_ELEMENTS[3], FIND_ELEMENTS[4]),
        (FIND_ELEMENTS[0], FIND_ELEMENTS[1], FIND_ELEMENTS[3], FIND_ELEMENTS[2], FIND_ELEMENTS[4]),
        (*FIND_ELEMENTS, element(0x4000, b"ab")),
        (*FIND_ELEMENTS[:3], element(0x600, b"A\\B "), *FIND_ELEMENTS[3:]),
        (*FIND_ELEMENTS[:3], element(0x700, b"\0\0\0\0"), FIND_ELEMENTS[4]),
    ],
    ids=["repeated", "out of order", "unknown", "several values", "wrong length"],
)
def test_a_command_set_that_can_be_read_in_two_ways_is_refused(elements: tuple[bytes, ...]) -> None:
    flow = relay().client
    assert refusal(take(flow, message(ON[FIND], command_set(*elements), IDENTIFIER)))[0] in (0x0110, 0x0212)
    assert kinds(take(flow, find(2))) == ["decide", "forward"]


# -- C-CANCEL -------------------------------------------------------------------------------------


def test_a_cancel_keeps_its_place_behind_the_request_that_was_being_decided() -> None:
    assert take(relay().client, find(3) + cancel(3))[1] == Event("forward", find(3) + cancel(3))


def test_a_cancel_passes_only_for_an_outstanding_request_on_its_context() -> None:
    flow = relay().client
    assert kinds(take(flow, cancel(3))) == ["dropped"]
    assert kinds(take(flow, find(3), deny)) == ["decide", "answer", "completed"]
    assert kinds(take(flow, cancel(3))) == ["dropped"]
    take(flow, find(4))
    assert kinds(take(flow, cancel(4, ON[CT]))) == ["dropped"]
    assert kinds(take(flow, store(6) + cancel(6, ON[CT]))) == ["decide", "forward", "dropped"]
    assert kinds(take(flow, cancel(4))) == ["forward"]


def test_a_retrieval_is_answered_with_its_own_message_id() -> None:
    events = take(relay().client, get(77), deny)
    assert status_of(events[1].data) == 0x0124
    assert commands(events[1].data)[0].values["MessageIDBeingRespondedTo"] == 77
