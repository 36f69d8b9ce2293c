"""Caps for each caller, peers that do not read, and several upstreams, on the wire."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from pynetdicom import AE

from hirules.dimse.options import Upstream as Other
from hirules.model.decision import Decision
from hirules.model.request import Request
from tests.dimse import associations as pdus
from tests.dimse.associations import CT, FIND
from tests.dimse.peers import VERIFICATION, Gate, Upstream, connect, ct, gateway, receive, until
from tests.dimse.wire import IDENTIFIER, command, message, store

ON_GET, ON_CT = 3, 5


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.stop()


def associate(port: int, title: str = "CLIENT", called: str = "GATE") -> Any:
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    for uid in (FIND, VERIFICATION, CT):
        entity.add_requested_context(uid)
    return entity.associate("127.0.0.1", port, ae_title=called)


def rejected(association: Any) -> tuple[int, int, int]:
    assert association.is_rejected
    primitive = association.acceptor.primitive
    return primitive.result, primitive.result_source, primitive.diagnostic


# -- caps -----------------------------------------------------------------------------------------


def test_one_title_has_so_many_and_others_still_come_in(upstream: Upstream) -> None:
    gate = Gate()
    with gateway(gate, upstream, associations_per_ae_title=2) as (made, port):
        held = [associate(port), associate(port, "client")]
        assert all(association.is_established for association in held)
        assert rejected(associate(port)) == (2, 3, 2)
        other = associate(port, "OTHER")
        assert other.is_established
        other.release()
        held.pop().release()
        assert until(lambda: _comes_in(port))
        held.pop().release()
        assert made.tally.counts().rejected["limit"] >= 1
    assert next(outcome["ended"] for _, outcome in gate.outcomes if not outcome.get("accepted")) == "too many associations of this AE title"


def test_one_address_has_so_many_even_before_it_asks_for_anything(upstream: Upstream) -> None:
    with gateway(Gate(), upstream, associations_per_address=3, artim_timeout=30.0) as (made, port), ExitStack() as stack:
        silent = [stack.enter_context(connect(port)) for _ in range(3)]
        assert until(lambda: made.tally.counts().connections == 3)
        assert rejected(associate(port)) == (2, 3, 2)
        silent[0].close()
        assert until(lambda: _comes_in(port))
    assert until(lambda: made.tally.counts().connections == 0)


def test_who_is_denied_takes_no_place_of_its_title(upstream: Upstream) -> None:
    def decide(request: Request) -> Decision:
        return Decision("deny" if request.action == "associate" else "allow", request)

    with gateway(Gate(decide), upstream, associations_per_ae_title=1) as (made, port):
        for _ in range(3):
            assert rejected(associate(port)) == (1, 1, 1)
        assert made.tally.counts().rejected == {"policy": 3}
        assert not made.tally._titles


def _comes_in(port: int) -> bool:
    association = associate(port)
    if not association.is_established:
        return False
    association.release()
    return True


# -- peers that do not read -----------------------------------------------------------------------


def test_a_client_that_does_not_read_holds_up_its_upstream_and_is_ended() -> None:
    """Back-pressure: what the gateway takes from the upstream meanwhile is bounded by the kernel's buffers, not by the study."""
    gate = Gate()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(15)
        made, port = stack.enter_context(gateway(gate, listener.getsockname()[1], send_timeout=2.0))
        client = stack.enter_context(connect(port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(pdus.request())
        upstream = stack.enter_context(listener.accept()[0])
        upstream.settimeout(15)
        assert receive(upstream)[0] == 1
        upstream.sendall(pdus.acceptance())
        assert receive(client)[0] == 2
        client.sendall(message(ON_GET, command(0x10, data=True, Priority=0), IDENTIFIER))
        receive(upstream)
        receive(upstream)
        threading.Thread(target=_send_until_it_ends, args=(upstream, store(5, bytes(60_000_000), context=ON_CT)), daemon=True).start()
        assert until(lambda: made.tally.counts().associations == 0)
        outcome = gate.outcome("c-get")
        assert outcome["Status"] is None
        assert "could not be sent to" in str(outcome["ended"])
        # what came afterwards was not taken in, but thrown away
        assert made.tally.counts().received["upstream"] < 20_000_000


def _send_until_it_ends(peer: socket.socket, data: bytes) -> None:
    try:
        peer.sendall(data)
    except OSError:
        return


def test_a_slow_client_gets_all_of_it(upstream: Upstream) -> None:
    """Slower than `send_timeout` as a whole, but never without a byte for so long."""
    gate = Gate()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.settimeout(15)
        _, port = stack.enter_context(gateway(gate, listener.getsockname()[1], send_timeout=1.0))
        client = stack.enter_context(connect(port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.sendall(pdus.request())
        other = stack.enter_context(listener.accept()[0])
        other.settimeout(30)
        receive(other)
        other.sendall(pdus.acceptance())
        receive(client)
        client.sendall(message(ON_GET, command(0x10, data=True, Priority=0), IDENTIFIER))
        instance = store(5, bytes(12_000_000), context=ON_CT)
        sending = threading.Thread(target=other.sendall, args=(instance,), daemon=True)
        sending.start()
        received = 0
        while received < len(instance):
            chunk = client.recv(400_000)
            assert chunk
            received += len(chunk)
            if received < 4_000_000:
                time.sleep(0.1)
        sending.join(20)
        assert received == len(instance)


# -- several upstreams ----------------------------------------------------------------------------


@pytest.fixture
def second() -> Iterator[Upstream]:
    made = Upstream([ct(77)])
    yield made
    made.stop()


def others(second: Upstream) -> tuple[Other, ...]:
    return (Other(name="research", ae_title="PACS", host="127.0.0.1", port=second.port, called=("GATE_RES",), calling_ae_title="TO_RES"),)


def test_the_called_title_leads_to_its_upstream(upstream: Upstream, second: Upstream) -> None:
    gate = Gate()
    with gateway(gate, upstream, upstreams=others(second)) as (_, port):
        for called in ("GATE", "gate_res"):
            association = associate(port, called=called)
            assert association.send_c_echo().Status == 0
            association.release()
        assert rejected(associate(port, called="RESEARCH")) == (1, 1, 7)
    assert [request.request for request in gate.asked] == [{"upstream": "default"}, {"upstream": "research"}]
    assert [peer.ae_title for peer in upstream.associations] == ["CLIENT"]
    assert [peer.ae_title for peer in second.associations] == ["TO_RES"]


@pytest.mark.parametrize("name", ["research", "nowhere", None])
def test_a_rule_leads_elsewhere_or_nowhere(upstream: Upstream, second: Upstream, name: str | None) -> None:
    def decide(request: Request) -> Decision:
        if request.action != "associate":
            return Decision("allow", request)
        effective = msgspec.structs.replace(request, request={} if name is None else {"upstream": name})
        return Decision("allow", effective, rewritten={"request.upstream": name})

    gate = Gate(decide)
    with gateway(gate, upstream, upstreams=others(second)) as (_, port):
        association = associate(port)
        if name == "nowhere":
            assert rejected(association) == (1, 1, 1)
            assert gate.outcome("associate")["accepted"] is False
        else:
            assert association.send_c_echo().Status == 0
            association.release()
    assert (len(upstream.associations), len(second.associations)) == {"research": (0, 1), "nowhere": (0, 0), None: (1, 0)}[name]
