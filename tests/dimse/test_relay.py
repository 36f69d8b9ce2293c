"""Transcripts of both directions: what the upstream may say, and to which request."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hirules.dimse.outputs import Answer, Decide, Message, Ruling
from hirules.dimse.relay import Relay
from tests.dimse.wire import (
    COMMITMENT,
    CT,
    DECISION,
    FIND,
    GET,
    IDENTIFIER,
    MOVE,
    MR,
    ON,
    OPTIONS,
    RELEASE_RP,
    RELEASE_RQ,
    VERIFICATION,
    WITHOUT_ROLE,
    Event,
    allow,
    command,
    deny,
    find,
    forwarded,
    get,
    kinds,
    message,
    pdvs,
    relay,
    reply,
    store,
    take,
)

PENDING, CANCELLED = 0xFF00, 0xFE00


def match(message_id: int = 1) -> bytes:
    return message(ON[FIND], reply(0x20, message_id, status=PENDING, data=True), IDENTIFIER)


def counts(completed: int, failed: int) -> dict[str, Any]:
    return {"NumberOfCompletedSuboperations": completed, "NumberOfFailedSuboperations": failed, "NumberOfWarningSuboperations": 0}


def after(*sent: bytes) -> Relay:
    """With these from the client; sub-operations are decisions of their own."""
    made = relay(msgspec.structs.replace(OPTIONS, decide_suboperations=True))
    for each in sent:
        take(made.client, each)
    return made


def test_pending_and_final_responses_pass_unchanged_and_complete_the_record() -> None:
    final = message(ON[FIND], reply(0x20))
    events = take(after(find()).upstream, match() * 3 + final)
    assert events == [Event("forward", match() * 3 + final), Event("completed", outcome={"Status": 0, "matches": 3})]


def test_the_upstreams_own_failure_passes_with_its_identifier_and_counts() -> None:
    final = message(ON[MOVE], reply(0x21, status=0xB000, data=True, ErrorComment="two of them failed", **counts(3, 2)), IDENTIFIER)
    made = after(message(ON[MOVE], command(0x21, data=True, MoveDestination="DEST"), IDENTIFIER))
    events = take(made.upstream, final)
    assert events == [Event("forward", final), Event("completed", outcome={"Status": 0xB000, **counts(3, 2)})]


def test_a_response_with_elements_that_the_standard_does_not_list_passes() -> None:
    raw = reply(0x20, status=0xC001) + b"\0\0\0\x40\x02\0\0\0ab"
    raw = raw[:8] + (len(raw) - 12).to_bytes(4, "little") + raw[12:]
    final = message(ON[FIND], raw)
    assert forwarded(take(after(find()).upstream, final)) == final


def test_a_response_without_a_request_is_dropped_with_its_data() -> None:
    made = after(find(1))
    assert kinds(take(made.upstream, match(2))) == ["dropped"]
    assert kinds(take(made.upstream, message(ON[MOVE], reply(0x20)))) == ["dropped"]
    assert kinds(take(made.upstream, message(ON[FIND], reply(0x10)))) == ["dropped"]
    assert kinds(take(made.upstream, message(ON[FIND], reply(0x20)) * 2)) == ["forward", "completed", "dropped"]


def test_a_refused_request_has_no_response() -> None:
    made = relay()
    take(made.client, find(), deny)
    assert kinds(take(made.upstream, match())) == ["dropped"]


def test_a_message_id_is_free_again_after_the_final_response() -> None:
    made = after(find(1))
    take(made.upstream, message(ON[FIND], reply(0x20)))
    assert kinds(take(made.client, find(1))) == ["decide", "forward"]


def test_a_response_that_cannot_be_read_breaks_the_stream() -> None:
    repeated = reply(0x20)[:-10] + reply(0x20)[-10:] * 2
    repeated = repeated[:8] + (len(repeated) - 12).to_bytes(4, "little") + repeated[12:]
    for sent in (repeated, reply(0x20)[:-10]):
        assert kinds(take(after(find()).upstream, message(ON[FIND], sent))) == ["abort"]


# -- sub-operations -------------------------------------------------------------------------------


def test_the_sub_operations_of_a_permitted_c_get_are_decided_and_pass_both_ways() -> None:
    made = after(get())
    sent = store(9, b"\x01" * 50000)
    seen: list[Message] = []

    def see(asked: Message) -> Ruling:
        seen.append(asked)
        return allow(asked)

    events = take(made.upstream, sent, see)
    assert kinds(events) == ["decide", "forward"]
    assert seen[0].retrieving
    assert forwarded(events) == sent
    stored = message(ON[CT], reply(0x01, 9, AffectedSOPClassUID=CT))
    assert take(made.client, stored) == [Event("forward", stored), Event("completed", outcome={"Status": 0})]
    final = message(ON[GET], reply(0x10, **counts(1, 0)))
    assert take(made.upstream, final)[1] == Event("completed", outcome={"Status": 0, **counts(1, 0), "instances": 1})


def test_a_sub_operation_is_decided_and_announced_before_its_data_set_comes() -> None:
    made, sent = after(get()), store(9)
    announced = 6 + int.from_bytes(sent[2:6], "big")
    assert take(made.upstream, sent[: announced - 1]) == []
    assert kinds(take(made.upstream, sent[announced - 1 : announced])) == ["decide", "forward"]
    assert not made.upstream.cut
    assert take(made.upstream, sent[announced:]) == [Event("forward", sent[announced:])]


def test_a_data_set_on_another_context_than_the_announced_sub_operation_breaks_the_stream() -> None:
    made, sent = after(get()), store(9)
    announced = 6 + int.from_bytes(sent[2:6], "big")
    take(made.upstream, sent[:announced])
    events = take(made.upstream, pdvs((ON[FIND], 2, b"\x01" * 100)))
    assert kinds(events) == ["abort"]
    assert made.upstream.ended


def test_a_failed_sub_operation_is_no_stored_instance() -> None:
    made = after(get())
    take(made.upstream, store(9))
    take(made.client, message(ON[CT], reply(0x01, 9, status=0xA700)))
    assert take(made.upstream, message(ON[GET], reply(0x10)))[1].outcome["instances"] == 0


def test_a_sub_operation_can_be_covered_by_its_c_get() -> None:
    made = relay()
    take(made.client, get())
    assert kinds(take(made.upstream, store(9))) == ["forward"]
    assert kinds(take(made.client, store(10))) == ["decide", "forward"]


def test_a_denied_sub_operation_is_answered_to_the_upstream() -> None:
    made = after(get())
    events = take(made.upstream, store(9), deny)
    assert kinds(events) == ["decide", "answer", "completed"]
    assert events[1].status == 0x0124


def test_an_allowed_request_that_cannot_be_carried_out_says_so_in_its_outcome() -> None:
    def fail(asked: Message) -> Ruling:
        return msgspec.structs.replace(deny(asked), why="it cannot be sent")

    assert take(relay().client, find(), fail)[-1].outcome == {"Status": 0x0124, "ended": "it cannot be sent"}


@pytest.mark.parametrize("before", [(), (find(),)], ids=["nothing", "another service"])
def test_a_c_store_without_a_c_get_is_refused(before: tuple[bytes, ...]) -> None:
    events = take(after(*before).upstream, store(9, b"x" * 40000))
    assert kinds(events) == ["refused", "answer"]
    assert events[1].status == 0x0124


def test_a_c_store_after_the_c_get_ended_or_was_denied_is_refused() -> None:
    made = after(get())
    take(made.upstream, message(ON[GET], reply(0x10)))
    assert kinds(take(made.upstream, store(9))) == ["refused", "answer"]
    made = relay()
    take(made.client, get(), deny)
    assert kinds(take(made.upstream, store(9))) == ["refused", "answer"]


def test_a_c_store_on_a_context_without_the_scp_role_is_refused() -> None:
    assert kinds(take(after(get()).upstream, store(9, context=WITHOUT_ROLE, sop_class=MR))) == ["refused", "answer"]


def test_an_event_report_of_the_upstream_is_decided_and_its_response_passes() -> None:
    made = relay()
    report = message(ON[COMMITMENT], command(0x100, 4, data=True, AffectedSOPClassUID=COMMITMENT, AffectedSOPInstanceUID="1.2", EventTypeID=1), IDENTIFIER)
    seen: list[Message] = []

    def allow(asked: Message) -> Ruling:
        seen.append(asked)
        return Ruling(command=asked.command.raw, data=asked.data)

    assert forwarded(take(made.upstream, report, allow)) == report
    assert seen[0].from_upstream
    answer = message(ON[COMMITMENT], reply(0x100, 4))
    assert forwarded(take(made.client, answer)) == answer
    assert kinds(take(made.client, answer)) == ["dropped"]


def test_any_other_request_of_the_upstream_is_refused() -> None:
    made = after(get())
    for sent in (find(3), message(ON[VERIFICATION], command(0x30, 4))):
        assert kinds(take(made.upstream, sent)) == ["refused", "answer"]
    assert kinds(take(made.upstream, message(ON[FIND], command(0x0FFF, 1)))) == ["dropped"]


# -- both at once ---------------------------------------------------------------------------------


def test_message_ids_of_the_two_sides_are_their_own() -> None:
    made = after(get(1))
    assert kinds(take(made.upstream, store(1))) == ["decide", "forward"]
    take(made.client, message(ON[CT], reply(0x01, 1)))
    assert kinds(take(made.upstream, message(ON[GET], reply(0x10, 1)))) == ["forward", "completed"]


def test_a_client_cannot_pass_a_request_off_as_a_response() -> None:
    made = after(get())
    take(made.upstream, store(9))
    two_faced = reply(0x01, 9)
    field = two_faced.index(b"\0\0\0\x01\x02\0\0\0\x01\x80")
    two_faced = two_faced[: field + 10] + b"\0\0\0\x01\x02\0\0\0\x01\x00" + two_faced[field + 10 :]
    two_faced = two_faced[:8] + (len(two_faced) - 12).to_bytes(4, "little") + two_faced[12:]
    assert kinds(take(made.client, message(ON[CT], two_faced))) == ["abort"]


def test_a_release_ends_it_when_it_was_answered() -> None:
    made = after(RELEASE_RQ)
    assert take(made.upstream, RELEASE_RP) == [Event("forward", RELEASE_RP), Event("ended", text="released")]


def test_a_release_collision_ends_with_the_second_reply() -> None:
    made = after(RELEASE_RQ)
    assert kinds(take(made.upstream, RELEASE_RQ)) == ["forward"]
    assert kinds(take(made.client, RELEASE_RP)) == ["forward"]
    assert not made.client.ended
    assert kinds(take(made.upstream, RELEASE_RP)) == ["forward", "ended"]


def test_what_has_no_final_response_is_completed_once_at_the_end() -> None:
    made = after(find(1), get(2))
    take(made.upstream, match(1) + store(9))
    assert [(each.decision, dict(each.outcome)) for each in made.unfinished("gone")] == [
        (DECISION, {"Status": None, "instances": 0, "ended": "gone"}),
        (DECISION, {"Status": None, "matches": 1, "ended": "gone"}),
        (DECISION, {"Status": None, "ended": "gone"}),
    ]
    assert list(made.unfinished("gone")) == []


def test_many_matches_in_one_pdu_arrive_as_one_pdv_a_pdu() -> None:
    raw = reply(0x20, status=PENDING, data=True)
    packed = pdvs(*[(ON[FIND], 3, raw), (ON[FIND], 2, IDENTIFIER)] * 50)
    assert forwarded(take(after(find()).upstream, packed)) == match() * 50


def test_the_response_to_a_cancelled_request_passes() -> None:
    final = message(ON[FIND], reply(0x20, status=CANCELLED))
    assert take(after(find()).upstream, final)[-1].outcome["Status"] == CANCELLED


def test_what_was_refused_and_could_not_be_answered_has_an_outcome_too() -> None:
    """The sender is gone when it is to be told."""
    made = relay()
    outputs = made.client.feed(find())
    asked = outputs.send(None)
    assert isinstance(asked, Decide)
    answer = outputs.send(deny(asked.message))
    assert isinstance(answer, Answer)
    outputs.close()
    assert [dict(each.outcome) for each in made.unfinished("gone")] == [{"Status": 0x0124, "ended": "gone"}]
    assert list(made.unfinished("gone")) == []


def test_what_was_answered_is_not_told_again() -> None:
    made = relay()
    assert kinds(take(made.client, find(), deny)) == ["decide", "answer", "completed"]
    assert list(made.unfinished("gone")) == []
