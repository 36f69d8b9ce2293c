"""The upstream delivers to the gateway: what goes where, and what goes nowhere. The peers are pynetdicom's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from hirules.dimse.conversation import Outstanding
from hirules.dimse.moves import Move, Origin, Upstream
from hirules.dimse.options import Destination
from hirules.dimse.server import Gateway
from hirules.model.decision import AssociateStatus, Decision
from hirules.model.request import Request
from tests.dimse.associations import CT, FIND
from tests.dimse.peers import MOVE, Gate, client, ct, free_port, gateway, identifier, until

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


class Receiver:
    """A destination that keeps what it receives."""

    def __init__(self, title: str, *classes: str, syntax: str = EXPLICIT, max_length: int = 16382) -> None:
        self.title = title
        self.stored: list[Any] = []
        self.status = 0
        self.seconds = 0.0
        """That it takes for each instance."""
        self.released = threading.Event()
        entity = AE(ae_title=title)
        entity.maximum_pdu_size = max_length
        entity.require_called_aet = True
        for uid in classes or (CT,):
            entity.add_supported_context(uid, syntax)
        entity.add_supported_context(Verification)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_RELEASED, lambda _: self.released.set())]
        server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        self._server = server
        self.port = int(server.socket.getsockname()[1])

    @property
    def destination(self) -> Destination:
        return Destination(self.title, "127.0.0.1", self.port)

    def _store(self, event: Any) -> int:
        time.sleep(self.seconds)
        self.stored.append(event.request)
        if self.status < 0:
            event.assoc.abort()
        return max(self.status, 0)

    def uids(self) -> list[str]:
        return [str(request.AffectedSOPInstanceUID) for request in self.stored]

    def stop(self) -> None:
        self._server.shutdown()


@pytest.fixture
def first() -> Iterator[Receiver]:
    made = Receiver("FIRST")
    yield made
    made.stop()


@pytest.fixture
def second() -> Iterator[Receiver]:
    made = Receiver("SECOND", CT, MR)
    yield made
    made.stop()


UPSTREAM = Upstream("PACS", "GATE", frozenset({"127.0.0.1"}))


OTHER_UPSTREAM = msgspec.structs.replace(UPSTREAM, ae_title="VNA")


def moving(made: Gateway, to: Destination, client: str = "CLIENT", number: int = 1, upstream: Upstream = UPSTREAM) -> Move:
    """A permitted C-MOVE that goes through."""
    decision = Decision("allow", Request("c-move", id=f"{client}-{number}"))
    move = made.moves.open(client, upstream, to, Origin(client, number, decision))
    move.request = Outstanding(0x21, 1, decision)
    return move


def delivering(port: int, *contexts: Any, title: str = "PACS") -> Any:
    """The upstream's association, made or not."""
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    entity.requested_contexts = list(contexts) or [build_context(CT, EXPLICIT), build_context(Verification)]
    return entity.associate("127.0.0.1", port, ae_title="GATE")


def store(association: Any, instance: Dataset, move: Move, **changes: Any) -> int:
    """The status of one instance of ``move``."""
    said = {"originator_aet": move.originator, "originator_id": move.number, **changes}
    return int(association.send_c_store(instance, **said).Status)


def test_an_instance_arrives_under_the_client_s_own_originator(first: Receiver) -> None:
    with gateway(Gate(), free_port()) as (made, port):
        move = moving(made, first.destination, number=4711)
        association = delivering(port)
        assert [store(association, ct(number, 100_000), move) for number in (1, 2)] == [0, 0]
        association.release()
        assert association.is_released
        assert first.released.wait(20)
    assert first.uids() == ["1.2.3.1", "1.2.3.2"]
    assert {(request.MoveOriginatorApplicationEntityTitle, request.MoveOriginatorMessageID) for request in first.stored} == {("CLIENT", 4711)}
    assert move.instances == 2


def test_instances_of_several_moves_on_one_association_go_each_to_their_own(first: Receiver, second: Receiver) -> None:
    with gateway(Gate(), free_port()) as (made, port):
        one, other = moving(made, first.destination, "A"), moving(made, second.destination, "B")
        association = delivering(port)
        assert [store(association, ct(number), (one, other)[number % 2]) for number in range(6)] == [0] * 6
        association.release()
        assert first.released.wait(20)
        assert second.released.wait(20)
    assert (first.uids(), second.uids()) == (["1.2.3.0", "1.2.3.2", "1.2.3.4"], ["1.2.3.1", "1.2.3.3", "1.2.3.5"])


def test_a_context_that_only_another_destination_accepts_fails_for_this_one(first: Receiver, second: Receiver) -> None:
    with gateway(Gate(), free_port()) as (made, port):
        one, other = moving(made, first.destination), moving(made, second.destination)
        association = delivering(port, build_context(MR, EXPLICIT), build_context(CT, EXPLICIT))
        instance = ct(1)
        instance.SOPClassUID = MR
        assert [store(association, instance, move) for move in (one, other)] == [0x0122, 0]
        association.release()
    assert (first.uids(), second.uids()) == ([], ["1.2.3.1"])
    assert (one.instances, other.instances) == (0, 1)


def test_a_destination_with_another_transfer_syntax_gets_nothing_transcoded(first: Receiver) -> None:
    implicit = Receiver("IMPLICIT", CT, syntax=IMPLICIT)
    try:
        with gateway(Gate(), free_port()) as (made, port):
            one, other = moving(made, first.destination), moving(made, implicit.destination)
            association = delivering(port, build_context(CT, [EXPLICIT, IMPLICIT]))
            assert [store(association, ct(1), move) for move in (one, other)] == [0, 0x0122]
            association.release()
        assert (first.uids(), implicit.uids()) == (["1.2.3.1"], [])
    finally:
        implicit.stop()


def test_an_association_that_is_kept_serves_a_later_move_to_elsewhere(first: Receiver, second: Receiver) -> None:
    with gateway(Gate(), free_port()) as (made, port):
        one = moving(made, first.destination)
        association = delivering(port)
        assert store(association, ct(1), one) == 0
        one.close()
        assert store(association, ct(2), moving(made, second.destination)) == 0
        association.release()
        assert second.released.wait(20)
    assert (first.uids(), second.uids()) == (["1.2.3.1"], ["1.2.3.2"])


@pytest.mark.parametrize("changes", [{"originator_aet": "OTHER"}, {"originator_id": 1}, {"originator_aet": None, "originator_id": None}])
def test_what_belongs_to_no_move_is_an_ordinary_c_store_and_not_stored(first: Receiver, changes: dict[str, Any]) -> None:
    gate = Gate()
    with gateway(gate, free_port()) as (made, port):
        move = moving(made, first.destination)
        association = delivering(port)
        assert store(association, ct(1), move, **changes) == 0x0124
        assert store(association, ct(2), move) == 0
        association.release()
        assert gate.outcome("c-store")["ended"] == "it belongs to no outstanding C-MOVE"
    assert gate.actions() == ["associate", "c-store"]
    assert "action" not in gate.asked[1].request
    assert first.uids() == ["1.2.3.2"]


def test_a_move_that_is_over_delivers_no_more(first: Receiver) -> None:
    with gateway(Gate(), free_port()) as (made, port):
        move = moving(made, first.destination)
        association = delivering(port)
        move.close()
        assert store(association, ct(1), move) == 0x0124
        association.release()
    assert first.uids() == []


def test_rules_for_c_store_narrow_what_goes_through(first: Receiver) -> None:
    def decide(request: Request) -> Decision:
        refused = request.request.get("AffectedSOPInstanceUID") == "1.2.3.1"
        return Decision("deny", request, by=("p/r",)) if refused else Decision("allow", request)

    gate = Gate(decide)
    with gateway(gate, free_port(), decide_suboperations=True) as (made, port):
        move = moving(made, first.destination)
        association = delivering(port)
        assert [store(association, ct(number), move) for number in (1, 2)] == [0x0124, 0]
        association.release()
    assert first.uids() == ["1.2.3.2"]
    assert [request.request.get("action") for request in gate.asked] == [None, "c-move", "c-move"]
    assert [(request.subject["ae_title"], request.subject["called_ae_title"]) for request in gate.asked[1:]] == [("PACS", "FIRST")] * 2
    assert move.settled(2, 20)


class Recording(Gate):
    """A gate with a record, that may be full."""

    full = False

    def __init__(self) -> None:
        super().__init__()
        self.left: list[tuple[str, str]] = []

    def leaves(self, decision: Decision, uid: str) -> bool:
        self.left.append((decision.effective.id, uid))
        return not self.full


@pytest.mark.parametrize("full", [False, True])
def test_an_instance_leaves_only_when_that_is_in_the_record(first: Receiver, full: bool) -> None:
    gate = Recording()
    gate.full = full
    with gateway(gate, free_port()) as (made, port):
        move = moving(made, first.destination, number=8)
        association = delivering(port)
        assert store(association, ct(1), move) == (0x0110 if full else 0)
        association.release()
        assert move.settled(1, 20)
    assert gate.left == [("CLIENT-8", "1.2.3.1")]
    assert first.uids() == ([] if full else ["1.2.3.1"])


def test_a_lost_destination_fails_its_instances_and_not_those_of_others(first: Receiver, second: Receiver) -> None:
    first.status = -1
    with gateway(Gate(), free_port()) as (made, port):
        one, other = moving(made, first.destination), moving(made, second.destination)
        association = delivering(port)
        assert [store(association, ct(number, 200_000), (one, other)[number % 2]) for number in range(6)] == [0xA700, 0, 0xA700, 0, 0xA700, 0]
        association.release()
        assert association.is_released
        assert one.settled(3, 20)
    assert (one.instances, other.instances) == (0, 3)
    assert second.uids() == ["1.2.3.1", "1.2.3.3", "1.2.3.5"]


def test_of_two_upstreams_each_delivers_for_its_own_moves_only(first: Receiver, second: Receiver) -> None:
    """One host, one client title, one message id: only the upstreams' titles differ."""
    with gateway(Gate(), free_port()) as (made, port):
        one, other = moving(made, first.destination), moving(made, second.destination, upstream=OTHER_UPSTREAM)
        pacs, vna = delivering(port), delivering(port, title="VNA")
        assert [store(association, ct(1), one) for association in (vna, pacs)] == [0x0124, 0]
        assert [store(association, ct(2), other) for association in (pacs, vna)] == [0x0124, 0]
        # the title that an upstream gives the originator does not help either
        assert store(vna, ct(3), one, originator_aet="VNA") == store(vna, ct(3), one, originator_aet="PACS") == 0x0124
        pacs.release()
        vna.release()
        assert first.released.wait(20)
        assert second.released.wait(20)
    assert (first.uids(), second.uids()) == (["1.2.3.1"], ["1.2.3.2"])
    assert (one.instances, other.instances) == (1, 1)


def test_a_destination_may_take_longer_than_the_idle_time_out(first: Receiver) -> None:
    first.seconds = 1.5
    with gateway(Gate(), free_port(), idle_timeout=0.5) as (made, port):
        move = moving(made, first.destination)
        association = delivering(port)
        assert [store(association, ct(number), move) for number in (1, 2)] == [0, 0]
        association.release()
    assert first.uids() == ["1.2.3.1", "1.2.3.2"]


def test_what_a_destination_owes_is_timed_from_when_it_was_sent(first: Receiver) -> None:
    """It has nothing to answer for longer than it may take for an answer."""
    with gateway(Gate(), free_port(), send_timeout=1.0) as (made, port):
        move = moving(made, first.destination)
        association = delivering(port)
        assert store(association, ct(1), move) == 0
        for pause in (0.8, 1.3):
            time.sleep(pause)
            first.seconds = 0.4
            assert store(association, ct(2), move) == 0
        association.release()


def test_a_destination_that_does_not_answer_is_lost_and_the_association_goes_on(first: Receiver, second: Receiver) -> None:
    first.seconds = 8.0
    with gateway(Gate(), free_port(), send_timeout=1.0, idle_timeout=1.0) as (made, port):
        one, other = moving(made, first.destination), moving(made, second.destination)
        association = delivering(port)
        assert [store(association, ct(number), (one, other)[number % 2]) for number in range(4)] == [0xA700, 0, 0xA700, 0]
        association.release()
        assert association.is_released
        assert one.settled(2, 20)
    assert (one.instances, other.instances) == (0, 2)
    assert second.uids() == ["1.2.3.1", "1.2.3.3"]


class Silent:
    """An archive that delivers, one instance after the other, and tells its client nothing before the end."""

    def __init__(self, instances: int, seconds: float) -> None:
        self.gateway = 0
        self.statuses: list[int] = []
        self._instances, self._seconds = instances, seconds
        self.over = threading.Event()
        entity = AE(ae_title="PACS")
        entity.add_supported_context(MOVE)
        server: Any = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_MOVE, self._move)])
        self._server = server
        self.port = int(server.socket.getsockname()[1])

    def _move(self, event: Any) -> Iterator[Any]:
        association = delivering(self.gateway)
        for number in range(self._instances):
            said = {"originator_aet": "CLIENT", "originator_id": event.request.MessageID}
            self.statuses.append(int(association.send_c_store(ct(number), **said).Status))
            time.sleep(self._seconds)
        if not self._instances:
            self.over.wait(60)
        association.release()
        yield "127.0.0.1", self.gateway
        yield 0

    def stop(self) -> None:
        self._server.shutdown()


@pytest.mark.parametrize("instances", [8, 0])
def test_an_association_is_idle_only_where_no_instance_of_its_c_move_flows(first: Receiver, instances: int) -> None:
    archive = Silent(instances, 0.5)
    try:
        through = {"FIRST": first.destination}
        gate = Gate()
        with gateway(gate, archive.port, idle_timeout=1.2, pending_interval=60.0, deliveries=through) as (_, port):
            archive.gateway = port
            association = client(port)
            statuses = [status.Status for status, _ in association.send_c_move(identifier(), "FIRST", MOVE) if "Status" in status]
            assert statuses == ([0] if instances else [])
            assert ("ended" in gate.outcome("c-move")) == (not instances)
            archive.over.set()
    finally:
        archive.stop()
    assert archive.statuses == [0] * instances
    assert len(first.uids()) == instances


def test_one_unreachable_destination_does_not_keep_the_other_from_its_instances(first: Receiver) -> None:
    with gateway(Gate(), free_port()) as (made, port):
        lost, reached = moving(made, Destination("AWAY", "127.0.0.1", free_port())), moving(made, first.destination)
        association = delivering(port)
        assert [store(association, ct(1), move) for move in (lost, reached)] == [0xA700, 0]
        association.release()
    assert first.uids() == ["1.2.3.1"]


def test_a_destination_whose_tls_is_not_configured_gets_nothing(first: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    """A program that gives the options of a configuration to a gateway, and not its access."""
    with gateway(Gate(), free_port()) as (made, port):
        moving(made, msgspec.structs.replace(first.destination, tls="FIRST"))
        assert delivering(port).is_rejected
    assert first.uids() == []
    assert "no TLS with the destination FIRST, so its instances fail: it is not configured; check `dimse.deliveries.FIRST.tls`" in caplog.text


def test_without_any_destination_the_association_is_rejected(first: Receiver) -> None:
    gate = Gate()
    with gateway(gate, free_port()) as (made, port):
        moving(made, Destination("STRANGER", "127.0.0.1", first.port))
        association = delivering(port)
        assert association.is_rejected
        # the destination's own reason: called AE title not recognized
        assert (association.acceptor.primitive.result_source, association.acceptor.primitive.diagnostic) == (1, 7)
        assert gate.outcome("associate")["accepted"] is False


def test_a_rule_may_refuse_the_delivery(first: Receiver) -> None:
    def decide(request: Request) -> Decision:
        denied = request.action == "associate" and request.subject["ae_title"] == "PACS"
        return msgspec.structs.replace(Decision("deny", request), status=AssociateStatus(1, 1, 3)) if denied else Decision("allow", request)

    with gateway(Gate(decide), free_port()) as (made, port):
        moving(made, first.destination)
        association = delivering(port)
        assert association.is_rejected
    assert first.uids() == []


def test_nothing_but_instances_and_echoes_is_taken(first: Receiver) -> None:
    finder = Receiver("FINDER", CT, FIND)
    try:
        with gateway(Gate(), free_port()) as (made, port):
            moving(made, finder.destination)
            association = delivering(port, build_context(FIND), build_context(CT, EXPLICIT), build_context(Verification))
            if not any(context.abstract_syntax == FIND for context in association.accepted_contexts):
                pytest.fail("the destination did not accept the query context")
            assert [status.Status for status, _ in association.send_c_find(identifier(), FIND)] == [0x0124]
            assert association.send_c_echo().Status == 0
            association.release()
    finally:
        finder.stop()


def test_an_upstream_that_dies_takes_its_moves_instances_with_it(first: Receiver) -> None:
    with gateway(Gate(), free_port()) as (made, port):
        move = moving(made, first.destination)
        association = delivering(port)
        assert store(association, ct(1), move) == 0
        association.dul.socket.close()
        assert move.settled(1, 20)
        # and the next one comes through
        again = delivering(port)
        assert store(again, ct(2), move) == 0
        again.release()
    assert first.uids() == ["1.2.3.1", "1.2.3.2"]


def test_while_nothing_is_awaited_the_upstream_is_a_client_as_any_other() -> None:
    gate = Gate()
    with gateway(gate, free_port()) as (_, port):
        association = delivering(port)
        assert association.is_rejected
        assert gate.outcome("associate") == {"accepted": False, "ended": "the upstream does not answer: ConnectionRefusedError"}


def test_stopping_ends_it(first: Receiver) -> None:
    with gateway(Gate(), free_port()) as (made, port):
        moving(made, first.destination)
        association = delivering(port)
        assert association.is_established
    assert until(lambda: association.is_aborted)
