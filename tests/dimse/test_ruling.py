from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from hirules.dimse import ruling as ruling_module
from hirules.dimse.message import parse_command
from hirules.dimse.options import Options
from hirules.dimse.outputs import Completed, Judge, Message, Refused
from hirules.dimse.ruling import Desk, Rejection, decide_association
from hirules.model.decision import AssociateStatus, Decision
from hirules.model.request import Request
from tests.dimse.wire import FIND, GET, IDENTIFIER, MOVE, ON, OPTIONS, association, command

SECRET = "DOE^JANE"


class Gate:
    """Answers as told, and remembers."""

    def __init__(self, decide: Callable[[Request], Decision]) -> None:
        self.decide = decide
        self.asked: list[Request] = []
        self.completed: list[tuple[str, Mapping[str, object]]] = []

    def check(self, request: Request) -> Decision:
        self.asked.append(request)
        return self.decide(request)

    def complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        self.completed.append((decision.id, outcome))


class RecordingGate(Gate):
    def __init__(self, decide: Callable[[Request], Decision]) -> None:
        super().__init__(decide)
        self.refused: list[tuple[str, int, str]] = []

    def refuse(self, request: Request, status: int, reason: str) -> Decision:
        self.refused.append((request.action, status, reason))
        return Decision("deny", msgspec.structs.replace(request, id="R"), status=status, reason=reason)


def allow(request: Request) -> Decision:
    return Decision("allow", request)


def deny(**fields: object) -> Callable[[Request], Decision]:
    return lambda request: msgspec.structs.replace(Decision("deny", request), **fields)


def message(uid: str, field: int, data: bytes | None = IDENTIFIER, **values: Any) -> Message:
    asked = association()
    return Message(parse_command(command(field, data=data is not None, Priority=0, **values)), asked.contexts[ON[uid]], data, False)


def desk(gate: Gate, options: Options = OPTIONS) -> Desk:
    return Desk(gate, options, association())


def answer(raw: bytes | None) -> Mapping[str, object]:
    assert raw is not None
    return parse_command(raw).values


def test_an_allowed_request_goes_on_in_its_own_bytes() -> None:
    gate, asked = Gate(allow), message(FIND, 0x20)
    ruling = desk(gate).rule(asked)
    assert (ruling.command, ruling.data, ruling.answer) == (asked.command.raw, IDENTIFIER, None)
    assert gate.asked[0].action == "c-find"
    assert gate.asked[0].subject["ae_title"] == "CLIENT"


def test_the_form_of_a_move_destination_that_was_decided_is_forwarded() -> None:
    gate = Gate(allow)
    ruling = desk(gate).rule(message(MOVE, 0x21, MoveDestination="dest"))
    assert gate.asked[0].request["MoveDestination"] == "DEST"
    assert answer(ruling.command)["MoveDestination"] == "DEST"


def test_a_denial_has_its_status_comment_and_offending_element() -> None:
    gate = Gate(deny(status=0xA801, reason="no agreement", offending=("request.MoveDestination",)))
    ruling = desk(gate).rule(message(MOVE, 0x21, MoveDestination="DEST"))
    values = answer(ruling.answer)
    assert ruling.command is None
    assert (values["Status"], values["ErrorComment"], values["OffendingElement"]) == (0xA801, "no agreement", (0x0600,))


@pytest.mark.parametrize(("strict", "status"), [(False, 0x0124), (True, 0xC000)])
def test_a_denied_query_may_have_to_keep_to_its_own_status_list(strict: bool, status: int) -> None:
    options = msgspec.structs.replace(OPTIONS, strict_status=strict)
    assert desk(Gate(deny(status=0x0124)), options).rule(message(FIND, 0x20)).status == status
    assert desk(Gate(deny(status=0xA700)), options).rule(message(FIND, 0x20)).status == 0xA700


def test_a_denial_without_a_status_is_still_one() -> None:
    assert desk(Gate(deny(status=0))).rule(message(FIND, 0x20)).status == 0x0124


@pytest.mark.parametrize(("uid", "field"), [(FIND, 0x20), (GET, 0x10), (MOVE, 0x21)])
def test_no_match_is_success_with_nothing(uid: str, field: int) -> None:
    more: dict[str, Any] = {"MoveDestination": "DEST"} if uid == MOVE else {}
    ruling = desk(Gate(deny(no_match=True, status=0x0124, reason="secret"))).rule(message(uid, field, **more))
    values = answer(ruling.answer)
    assert values["Status"] == 0
    assert "ErrorComment" not in values
    if uid != FIND:
        assert values["NumberOfCompletedSuboperations"] == 0


def test_a_retrieval_that_reaches_nothing_is_answered_here() -> None:
    gate = Gate(lambda request: Decision("allow", request, nothing=True))
    ruling = desk(gate).rule(message(GET, 0x10))
    assert ruling.command is None
    assert answer(ruling.answer)["Status"] == 0


def test_a_rewrite_that_the_wire_cannot_carry_is_refused() -> None:
    def rewrite(request: Request) -> Decision:
        return Decision("allow", msgspec.structs.replace(request, request={**request.request, "MessageID": 99}))

    ruling = desk(Gate(rewrite)).rule(message(FIND, 0x20))
    assert (ruling.command, ruling.status, ruling.why) == (None, 0xC000, "the rewritten request cannot be sent")


def test_an_invalid_request_is_refused_before_the_gate_and_recorded_where_the_gate_does_that() -> None:
    gate = RecordingGate(allow)
    ruling = desk(gate).rule(message(FIND, 0x20, IDENTIFIER + IDENTIFIER))
    assert not gate.asked
    assert ruling.command is None
    assert gate.refused[0][:2] == ("c-find", ruling.status)
    assert ruling.decision is not None
    assert ruling.decision.id == "R"
    assert desk(Gate(allow)).rule(message(FIND, 0x20, IDENTIFIER + IDENTIFIER)).decision is None


def test_what_the_protocol_refused_is_recorded_and_completed() -> None:
    gate = RecordingGate(allow)
    desk(gate).refused(Refused(message(MOVE, 0x21, MoveDestination="DEST"), 0x0210, "the message id is outstanding"))
    assert gate.refused == [("c-move", 0x0210, "the message id is outstanding")]
    assert gate.completed == [("R", {"Status": 0x0210})]


def test_a_gate_that_fails_refuses_and_the_log_shows_no_value(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Request) -> Decision:
        raise RuntimeError(SECRET)

    class Failing(Gate):
        def complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
            raise OSError(SECRET)

    with caplog.at_level(logging.DEBUG):
        ruling = desk(Gate(fail)).rule(message(FIND, 0x20))
        desk(Failing(allow)).complete(Completed(Decision("allow", Request("c-find")), {}))
        rejection = decide_association(Gate(fail), association(), OPTIONS)
    assert (ruling.command, ruling.status) == (None, 0x0110)
    assert isinstance(rejection, Rejection)
    assert "RuntimeError" in caplog.text
    assert "OSError" in caplog.text
    assert SECRET not in caplog.text + rejection.why


def test_a_data_set_that_cannot_be_carried_out_stays_and_the_log_shows_no_value(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a library says of an element may quote it."""

    def fail(*_: object) -> bytes:
        raise ValueError(SECRET)

    monkeypatch.setattr(ruling_module, "carried_out", fail)
    asked = Request("c-find")
    response = parse_command(command(0x8020, data=True, Status=0xFF00))
    judged = desk(Gate(allow)).judge(Judge("answer", Decision("allow", asked), asked, response, association().contexts[ON[FIND]], IDENTIFIER))
    assert judged.data is None
    assert "cannot be carried out: ValueError" in caplog.text
    assert SECRET not in caplog.text


def test_an_association_is_decided() -> None:
    gate = Gate(allow)
    assert isinstance(decide_association(gate, association(), OPTIONS), Decision)
    assert gate.asked[0].action == "associate"
    status = AssociateStatus(1, 1, 3)
    assert decide_association(Gate(deny(status=status)), association(), OPTIONS) == Rejection(status, "denied by default")
    assert decide_association(Gate(deny(by=("p/r",))), association(), OPTIONS) == Rejection(AssociateStatus(1, 1, 1), "denied by p/r")


def test_the_look_up_of_the_association_goes_along_for_the_clients_requests_only() -> None:
    gate = Gate(allow)

    def lookup(_: Request, __: frozenset[str]) -> tuple[()]:
        return ()

    made = Desk(gate, OPTIONS, association(), lookup)
    made.rule(message(FIND, 0x20))
    made.rule(msgspec.structs.replace(message(FIND, 0x20), from_upstream=True))
    assert [request.lookup for request in gate.asked] == [lookup, None]
