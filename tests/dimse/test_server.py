"""The gateway as a whole, between real pynetdicom peers; and how it starts, limits and stops."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt

from hirules.model.decision import AssociateStatus, Decision
from hirules.model.request import Request
from tests.dimse.associations import CT, FIND, GET
from tests.dimse.associations import request as associate
from tests.dimse.peers import MOVE, Gate, Upstream, client, connect, ct, free_port, gateway, identifier, receive, until


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.stop()


def denying(action: str, **fields: Any) -> Callable[[Request], Decision]:
    def decide(request: Request) -> Decision:
        if request.action != action:
            return Decision("allow", request)
        return msgspec.structs.replace(Decision("deny", request, by=("p/r",)), **fields)

    return decide


def stored(received: list[bytes]) -> list[Any]:
    def store(event: Any) -> int:
        received.append(event.request.DataSet.getvalue())
        return 0

    return [(evt.EVT_C_STORE, store)]


def statuses(responses: Any) -> list[int]:
    return [status.Status for status, _ in responses]


# -- the services ---------------------------------------------------------------------------------


def test_echo_find_store_and_get_work_through_it(upstream: Upstream) -> None:
    gate, received = Gate(), list[bytes]()
    with gateway(gate, upstream, decide_suboperations=True) as (_, port):
        association = client(port, handlers=stored(received))
        assert association.is_established
        assert association.send_c_echo().Status == 0
        assert statuses(association.send_c_find(identifier(QueryRetrieveLevel="STUDY", PatientID=""), FIND)) == [0xFF00] * 3 + [0]
        assert association.send_c_store(ct(9, 300_000)).Status == 0
        assert statuses(association.send_c_get(identifier(), GET))[-1] == 0
        association.release()
        assert association.is_released
        assert gate.outcome("c-find") == {"Status": 0, "matches": 3}
        assert gate.outcome("c-get")["instances"] == 3
    assert len(received) == 3
    assert len(upstream.stored[0]) > 300_000
    assert gate.actions() == ["associate", "c-find", "c-store", "c-get", "c-store", "c-store", "c-store"]
    assert [request.subject["ae_title"] for request in gate.asked] == ["CLIENT"] * 4 + ["PACS"] * 3


def test_what_arrives_is_byte_for_byte_what_arrives_without_it(upstream: Upstream) -> None:
    through, direct = list[bytes](), list[bytes]()
    with gateway(Gate(), upstream) as (_, port):
        for target, received in ((port, through), (upstream.port, direct)):
            association = client(target, handlers=stored(received))
            assert statuses(association.send_c_get(identifier(), GET))[-1] == 0
            association.release()
    assert through == direct
    assert len(direct) == 3


def test_a_denied_request_reaches_the_client_with_its_status_and_never_the_upstream(upstream: Upstream) -> None:
    gate = Gate(denying("c-move", status=0xA801, reason="no agreement"))
    with gateway(gate, upstream) as (_, port):
        association = client(port)
        ((status, data),) = association.send_c_move(identifier(), "NOWHERE", MOVE)
        assert (status.Status, status.ErrorComment) == (0xA801, "no agreement")
        assert not data
        assert association.send_c_echo().Status == 0
        association.release()
    assert upstream.seen == ["c-echo"]
    assert gate.outcome("c-move") == {"Status": 0xA801}


def test_a_denied_c_store_is_answered_and_the_association_goes_on(upstream: Upstream) -> None:
    with gateway(Gate(denying("c-store", status=0x0124, reason="no")), upstream) as (_, port):
        association = client(port)
        assert association.send_c_store(ct(9, 2_000_000)).Status == 0x0124
        assert association.send_c_echo().Status == 0
        association.release()
    assert upstream.seen == ["c-echo"]


def test_a_denied_sub_operation_fails_at_the_upstream(upstream: Upstream) -> None:
    received: list[bytes] = []

    def decide(request: Request) -> Decision:
        denied = request.request.get("AffectedSOPInstanceUID") == "1.2.3.2"
        return Decision("deny", request, status=0x0124) if denied else Decision("allow", request)

    with gateway(Gate(decide), upstream, decide_suboperations=True) as (_, port):
        association = client(port, handlers=stored(received))
        final, _ = list(association.send_c_get(identifier(), GET))[-1]
        assert (final.Status, final.NumberOfCompletedSuboperations, final.NumberOfFailedSuboperations) == (0xB000, 2, 1)
        association.release()
    assert len(received) == 2


def test_a_rewritten_query_is_what_the_upstream_reads(upstream: Upstream) -> None:
    def decide(request: Request) -> Decision:
        if request.action != "c-find":
            return Decision("allow", request)
        parameters = {**request.request, "Identifier": {"QueryRetrieveLevel": "STUDY", "PatientID": "OTHER"}}
        return Decision("allow", msgspec.structs.replace(request, request=parameters), rewritten={"request.Identifier.PatientID": "OTHER"})

    with gateway(Gate(decide), upstream) as (_, port):
        association = client(port)
        assert statuses(association.send_c_find(identifier(QueryRetrieveLevel="STUDY", PatientID="MINE"), FIND))[-1] == 0
        association.release()
    assert upstream.found.PatientID == "OTHER"


def test_a_cancel_sent_while_the_request_is_decided_arrives(upstream: Upstream) -> None:
    deciding, go_on = threading.Event(), threading.Event()

    def decide(request: Request) -> Decision:
        if request.action == "c-find":
            deciding.set()
            assert go_on.wait(20)
        return Decision("allow", request)

    with gateway(Gate(decide), upstream) as (_, port):
        association = client(port)
        responses = association.send_c_find(identifier(QueryRetrieveLevel="STUDY"), FIND, msg_id=7)
        assert deciding.wait(20)
        upstream.answers.clear()  # else all may be over before the C-CANCEL is read
        association.send_c_cancel(7, query_model=FIND)
        go_on.set()
        assert until(lambda: upstream.messages == ["C_FIND_RQ", "C_CANCEL_RQ"])
        upstream.answers.set()
        # pynetdicom's SCP may miss a C-CANCEL that is there before it begins: what counts is that it arrived, and where
        assert statuses(responses)[-1] in (0, 0xFE00)
        association.release()


# -- associations ---------------------------------------------------------------------------------


def rejected(association: Any) -> tuple[int, int, int]:
    assert association.is_rejected
    primitive = association.acceptor.primitive
    return primitive.result, primitive.result_source, primitive.diagnostic


def test_another_called_title_is_rejected_undecided(upstream: Upstream) -> None:
    gate = Gate()
    with gateway(gate, upstream) as (_, port):
        assert rejected(client(port, called="OTHER")) == (1, 1, 7)
    assert not gate.asked
    assert not upstream.associations


def test_a_denied_association_is_rejected_and_the_upstream_not_contacted(upstream: Upstream) -> None:
    with gateway(Gate(denying("associate", status=AssociateStatus(1, 1, 3))), upstream) as (_, port):
        assert rejected(client(port)) == (1, 1, 3)
    assert not upstream.associations


def test_an_absent_upstream_is_a_transient_rejection() -> None:
    gate = Gate()
    with gateway(gate, free_port()) as (_, port):
        assert rejected(client(port)) == (2, 3, 1)
    assert gate.outcome("associate")["accepted"] is False


def test_the_upstreams_own_rejection_is_handed_on(upstream: Upstream) -> None:
    upstream_entity = upstream._server.ae  # type: ignore[union-attr]
    upstream_entity.require_calling_aet = ["SOMEONE"]
    with gateway(Gate(), upstream) as (_, port):
        assert rejected(client(port)) == (1, 1, 3)


def test_the_upstream_sees_the_clients_title_or_the_gateways_own(upstream: Upstream) -> None:
    for own, seen in ((None, "CLIENT"), ("PROXY", "PROXY")):
        with gateway(Gate(), upstream, calling_ae_title=own) as (_, port):
            client(port).release()
        assert upstream.associations[-1].ae_title == seen
        assert upstream.associations[-1].primitive.called_ae_title == "PACS"


def test_above_the_limit_associations_are_rejected_for_the_time_being(upstream: Upstream) -> None:
    with gateway(Gate(), upstream, associations=2) as (_, port):
        held = [client(port), client(port)]
        assert all(association.is_established for association in held)
        assert rejected(client(port)) == (2, 3, 2)
        held.pop().release()

        def comes_in() -> bool:
            association = client(port)
            if association.is_established:
                association.release()
                return True
            return False

        assert until(comes_in)
        held.pop().release()


# -- the end --------------------------------------------------------------------------------------


def test_it_stops_with_associations_open(upstream: Upstream) -> None:
    gate = Gate()
    with gateway(gate, upstream) as (made, port):
        association = client(port)
        assert association.send_c_echo().Status == 0
        made.stop(drain=0.1)
        assert until(lambda: association.is_aborted or not association.is_established)
        assert upstream.aborted.wait(20)
        with pytest.raises(OSError, match=r"."):
            socket.create_connection(("127.0.0.1", port), 1)


def test_it_lets_associations_finish_before_it_stops(upstream: Upstream) -> None:
    with gateway(Gate(), upstream) as (made, port):
        association = client(port)
        stopping = threading.Thread(target=made.stop, args=(20.0,))
        stopping.start()
        assert association.send_c_echo().Status == 0
        association.release()
        stopping.join(20)
        assert not stopping.is_alive()
        assert association.is_released


def test_serving_ends_when_it_is_stopped(upstream: Upstream) -> None:
    with gateway(Gate(), upstream) as (made, port):
        serving = threading.Thread(target=made.serve_forever, daemon=True)
        serving.start()
        association = client(port)
        association.release()
        made.stop()
        serving.join(20)
        assert not serving.is_alive()


def test_no_thread_is_left_behind(upstream: Upstream) -> None:
    def ours() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name.startswith(("from-", "dimse-listener"))]

    with gateway(Gate(), upstream) as (_, port):
        for _ in range(3):
            association = client(port)
            association.send_c_echo()
            association.release()
        with connect(port) as silent:
            silent.sendall(associate(contexts=[FIND, CT])[:50])
        with connect(port) as garbled:
            garbled.sendall(b"GET / HTTP/1.1\r\n\r\n")
            receive(garbled)
    assert until(lambda: not ours()), ours()


def test_large_instances_and_many_associations_at_once() -> None:
    upstream = Upstream([ct(number, 400_000) for number in range(4)])
    failures: list[str] = []

    def retrieve(port: int) -> None:
        received: list[bytes] = []
        association = client(port, handlers=stored(received))
        found = statuses(association.send_c_get(identifier(), GET)) if association.is_established else [-1]
        if found[-1:] != [0] or len(received) != 4:
            failures.append(f"{found}, {len(received)} received")
        association.release()

    try:
        with gateway(Gate(), upstream) as (_, port):
            threads = [threading.Thread(target=retrieve, args=(port,)) for _ in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
    finally:
        upstream.stop()
    assert not failures


def test_a_data_set_as_large_as_it_likes_is_cut_through(upstream: Upstream) -> None:
    large = ct(9, 10)
    large.PixelData = bytes(range(256)) * 40_000
    with gateway(Gate(), upstream) as (_, port):
        association = client(port)
        assert association.send_c_store(large).Status == 0
        association.release()
    assert isinstance(large, Dataset)
    assert upstream.stored[0].endswith(bytes(range(256)) * 4)
