from __future__ import annotations

import msgspec
import pytest

from hirules.dimse.conversation import Conversation, Outstanding, too_large
from hirules.dimse.message import Command, parse_command
from tests.dimse.wire import (
    CT,
    DECISION,
    FIND,
    GET,
    NOT_ACCEPTED,
    ON,
    OPTIONS,
    association,
    command,
    reply,
)


def pair() -> tuple[Conversation, Conversation]:
    asked, answered = (Conversation(association(100, 200), OPTIONS, from_upstream=side) for side in (False, True))
    asked.other, answered.other = answered, asked
    return asked, answered


def read(raw: bytes) -> Command:
    return parse_command(raw)


def test_each_side_gets_what_it_can_receive() -> None:
    asked, answered = pair()
    assert (asked.max_length, asked.sender_max_length) == (200, 100)
    assert (answered.max_length, answered.sender_max_length) == (100, 200)


def test_only_accepted_contexts_are_usable() -> None:
    asked, _ = pair()
    assert asked.usable(ON[FIND])
    assert not asked.usable(NOT_ACCEPTED)
    assert not asked.usable(99)


@pytest.mark.parametrize(("field", "status"), [(0x20, 0xA700), (0x10, 0xA702), (0x21, 0xA702), (0x120, 0x0213)])
def test_each_service_has_its_own_way_to_say_that_it_is_too_much(field: int, status: int) -> None:
    assert too_large(read(command(field))).status == status


def test_a_query_has_another_limit_than_an_n_service() -> None:
    asked, _ = pair()
    assert asked.cap(read(command(0x20))) == OPTIONS.identifier_size
    assert asked.cap(read(command(0x120))) == OPTIONS.data_set_size


def test_requests_are_outstanding_until_their_final_response() -> None:
    asked, answered = pair()
    asked.register(read(command(0x20, 3)), ON[FIND], DECISION)
    request = answered.answered(read(reply(0x20, 3, status=0xFF01)), ON[FIND])
    assert isinstance(request, Outstanding)
    assert not answered.settle(read(reply(0x20, 3, status=0xFF01)), request)
    assert asked.mistake(read(command(0x20, 3)), ON[FIND]) is not None
    assert answered.settle(read(reply(0x20, 3, status=0xA700)), request)
    assert request.outcome() == {"Status": 0xA700, "matches": 1}
    assert asked.mistake(read(command(0x20, 3)), ON[FIND]) is None


def test_a_pending_status_of_a_service_that_has_none_is_final() -> None:
    asked, answered = pair()
    asked.register(read(command(0x01, 3)), ON[CT], None)
    request = answered.answered(read(reply(0x01, 3, status=0xFF00)), ON[CT])
    assert isinstance(request, Outstanding)
    assert answered.settle(read(reply(0x01, 3, status=0xFF00)), request)


def test_the_upstream_needs_the_role_and_a_c_get_to_store() -> None:
    asked, answered = pair()
    stored = read(command(0x01, 1, data=True, AffectedSOPInstanceUID="1.2"))
    assert answered.mistake(stored, ON[CT]) is not None
    asked.register(read(command(0x10, 3)), ON[GET], DECISION)
    assert answered.mistake(stored, ON[CT]) is None
    assert asked.decides(stored)
    assert answered.retrieving(stored)
    assert not asked.retrieving(stored)
    assert not answered.decides(stored)
    answered.options = msgspec.structs.replace(OPTIONS, decide_suboperations=True)
    assert answered.decides(stored)
