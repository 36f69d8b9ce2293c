"""TLS on either leg, with pynetdicom and DCMTK as peers, and certificates that are wrong, expire, and are replaced."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pynetdicom import AE, build_role, evt

from hirules.dimse.access import Access, PeerTls
from hirules.dimse.lookup_scu import Node, NotAnswered, QueryAssociation
from hirules.dimse.tls import ClientTls, Contexts, ServerTls, client_contexts, read_certificate, server_contexts
from hirules.model.reading import Unknown
from tests.dimse.associations import CT, FIND, GET
from tests.dimse.certificates import HOUR, Authority
from tests.dimse.peers import VERIFICATION, Gate, Upstream, connect, ct, gateway, identifier, until
from tests.peers.clients import run


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("ca"))
    made.issue("gateway")
    made.issue("WARD 1", organisation="Hospital", hosts=("ward1.example", "10.0.0.1"))
    made.issue("other")
    made.issue("expired", lasts=-HOUR)
    return made


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    made = Upstream([ct(number, 200_000) for number in range(3)])
    yield made
    made.stop()


def served(authority: Authority, *, name: str = "gateway", **settings: Any) -> Access:
    certificate, key = authority.folder / f"{name}.pem", authority.folder / f"{name}.key"
    return Access(clients=server_contexts(ServerTls(certificate=str(certificate), key=str(key), **settings)))


def mutual(authority: Authority, **settings: Any) -> Access:
    return served(authority, clients=str(authority.file), **settings)


def trusting(authority: Authority, own: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if own is not None:
        context.load_cert_chain(authority.folder / f"{own}.pem", authority.folder / f"{own}.key")
    return context


def client(port: int, context: ssl.SSLContext, title: str = "CLIENT", handlers: Any = ()) -> Any:
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    for uid in (FIND, GET, VERIFICATION, CT):
        entity.add_requested_context(uid)
    roles: Any = [build_role(CT, scp_role=True, scu_role=True)]
    return entity.associate("127.0.0.1", port, ae_title="GATE", ext_neg=roles, tls_args=(context, "localhost"), evt_handlers=list(handlers))


def storing(received: list[bytes]) -> Any:
    def store(event: Any) -> int:
        received.append(event.request.DataSet.getvalue())
        return 0

    return store


def echoes(port: int, context: ssl.SSLContext) -> bool:
    association = client(port, context)
    if not association.is_established:
        return False
    status = association.send_c_echo().Status
    association.release()
    return bool(status == 0)


# -- clients --------------------------------------------------------------------------------------


def test_a_whole_conversation_and_what_the_rules_see_of_it(authority: Authority, upstream: Upstream) -> None:
    received: list[bytes] = []
    gate = Gate()
    with gateway(gate, upstream, access=mutual(authority)) as (_, port):
        association = client(port, trusting(authority, "WARD 1"), handlers=[(evt.EVT_C_STORE, storing(received))])
        assert association.is_established
        assert association.send_c_store(ct(9, 3_000_000)).Status == 0
        statuses = [status.Status for status, _ in association.send_c_get(identifier(), GET)]
        assert statuses[-1] == 0
        association.release()
    assert sorted(map(len, received)) == sorted(len(received[0]) for _ in received)
    assert len(received) == 3
    assert len(upstream.stored[0]) > 3_000_000
    subject = gate.asked[0].subject
    assert subject["ae_title"] == "CLIENT"
    tls = subject["tls"]
    assert isinstance(tls, dict)
    assert (tls["subject"], tls["cn"], tls["san"]) == ("CN=WARD 1,O=Hospital", "WARD 1", ("ward1.example", "10.0.0.1"))
    assert re.fullmatch("[0-9a-f]{64}", tls["fingerprint"])
    assert [request.context["transport"] for request in gate.asked[:3]] == ["dimse+tls"] * 3
    assert gate.asked[1].subject == subject


def test_two_clients_at_once_are_not_taken_for_each_other(authority: Authority, upstream: Upstream) -> None:
    gate = Gate()
    wrong: list[str] = []

    def talk(port: int, name: str, title: str) -> None:
        association = client(port, trusting(authority, name), title)
        for number in range(20):
            if not association.is_established or association.send_c_store(ct(number, 10)).Status:
                wrong.append(name)
                return
        association.release()

    with gateway(gate, upstream, access=mutual(authority)) as (_, port):
        threads = [threading.Thread(target=talk, args=(port, name, title)) for name, title in (("WARD 1", "ONE"), ("other", "TWO")) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
    assert not wrong
    seen = {(request.subject["ae_title"], request.subject["tls"]["cn"]) for request in gate.asked}  # type: ignore[index]
    assert seen == {("ONE", "WARD 1"), ("TWO", "other")}
    assert len(gate.asked) == 4 * 21


@pytest.mark.parametrize("own", [None, "expired", "stranger"])
def test_no_certificate_or_a_wrong_one_is_told_so_and_nothing_is_decided(authority: Authority, upstream: Upstream, tmp_path: Path, own: str | None) -> None:
    strangers = Authority(tmp_path / "strangers", "Somebody Else")
    strangers.issue("stranger")
    context = trusting(authority, None if own == "stranger" else own)
    if own == "stranger":
        context.load_cert_chain(strangers.folder / "stranger.pem", strangers.folder / "stranger.key")
    gate = Gate()
    with gateway(gate, upstream, access=mutual(authority)) as (made, port):
        with pytest.raises(ssl.SSLError, match="ALERT"):
            _answer(port, context)
        assert until(lambda: made.tally.counts().rejected.get("tls") == 1)
        assert echoes(port, trusting(authority, "WARD 1"))
    assert gate.actions() == ["associate"]


def _answer(port: int, context: ssl.SSLContext) -> bytes:
    """TLS 1.3: what the server makes of the client's certificate comes after the client's handshake."""
    with socket.create_connection(("127.0.0.1", port), 20) as plain, context.wrap_socket(plain, server_hostname="localhost") as peer:
        peer.settimeout(20)
        return peer.recv(1)


def test_a_client_without_a_certificate_where_it_is_optional(authority: Authority, upstream: Upstream) -> None:
    gate = Gate()
    with gateway(gate, upstream, access=mutual(authority, client_certificate="optional")) as (_, port):
        assert echoes(port, trusting(authority))
        assert echoes(port, trusting(authority, "other"))
    assert "tls" not in gate.asked[0].subject
    assert gate.asked[1].subject["tls"]["cn"] == "other"  # type: ignore[index]


def test_a_revoked_certificate_is_rejected(authority: Authority, upstream: Upstream) -> None:
    revoked, _ = authority.issue("revoked")
    access = mutual(authority, revoked=str(authority.revoke(revoked)))
    with gateway(Gate(), upstream, access=access) as (_, port):
        assert not echoes(port, trusting(authority, "revoked"))
        assert echoes(port, trusting(authority, "other"))


def test_a_client_whose_certificate_expires_while_it_is_served_comes_in_no_more(authority: Authority, upstream: Upstream) -> None:
    authority.issue("short", lasts=timedelta(seconds=4))
    with gateway(Gate(), upstream, access=mutual(authority)) as (_, port):
        context = trusting(authority, "short")
        association = client(port, context)
        assert association.is_established
        assert until(lambda: not echoes(port, context))
        assert association.send_c_echo().Status == 0  # what was made lasts
        association.release()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_and_none_below(authority: Authority, upstream: Upstream, version: ssl.TLSVersion) -> None:
    context = trusting(authority, "other")
    context.minimum_version = context.maximum_version = version
    with gateway(Gate(), upstream, access=mutual(authority)) as (_, port):
        assert echoes(port, context)
        weak = trusting(authority, "other")
        weak.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")  # no AEAD
        weak.maximum_version = ssl.TLSVersion.TLSv1_2
        assert not echoes(port, weak)
    if version == ssl.TLSVersion.TLSv1_2:
        with gateway(Gate(), upstream, access=mutual(authority, minimum="1.3")) as (_, port):
            assert not echoes(port, context)


@pytest.mark.parametrize("sent", [b"", b"\x16\x03", b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\x00\x00\x00\x44" + bytes(68)])
def test_who_does_not_speak_tls_is_turned_away_in_time(authority: Authority, upstream: Upstream, sent: bytes) -> None:
    with gateway(Gate(), upstream, access=mutual(authority), artim_timeout=1.0) as (made, port):
        with connect(port) as peer:
            peer.sendall(sent)
            peer.settimeout(15)
            received = b""
            while chunk := _read(peer):
                received += chunk
            assert received[:1] in (b"", b"\x15")  # an alert
        assert echoes(port, trusting(authority, "other"))
        assert until(lambda: made.tally.counts().rejected == {"tls": 1})


def _read(peer: socket.socket) -> bytes:
    try:
        return peer.recv(1000)
    except ConnectionError:
        return b""


def test_above_the_limit_it_is_rejected_in_tls_too(authority: Authority, upstream: Upstream) -> None:
    with gateway(Gate(), upstream, access=mutual(authority), associations=1) as (_, port):
        held = client(port, trusting(authority, "other"))
        assert held.is_established
        association = client(port, trusting(authority, "other"))
        assert association.is_rejected
        assert association.acceptor.primitive.result_source == 3
        held.release()


def test_a_rotated_certificate_is_used_from_the_next_association_on(authority: Authority, upstream: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    def presented(port: int) -> str:
        with socket.create_connection(("127.0.0.1", port), 20) as plain, trusting(authority, "other").wrap_socket(plain, server_hostname="localhost") as peer:
            der = peer.getpeercert(binary_form=True)
            assert der is not None
            return read_certificate(der).fingerprint

    authority.issue("rotating", file="turning")
    with caplog.at_level(logging.INFO), gateway(Gate(), upstream, access=mutual(authority, name="turning")) as (_, port):
        association = client(port, trusting(authority, "other"))
        first = presented(port)
        authority.issue("rotating", file="turning")
        second = presented(port)
        assert first != second
        key = authority.folder / "turning.key"
        good = key.read_bytes()
        key.write_bytes(b"half a key")
        assert presented(port) == second  # the last good ones
        assert "the last ones still are" in caplog.text
        key.write_bytes(good)
        assert presented(port) == second
        assert association.send_c_echo().Status == 0
        association.release()


# -- DCMTK ----------------------------------------------------------------------------------------


def test_dcmtks_clients(authority: Authority, upstream: Upstream, tmp_path: Path) -> None:
    own: list[str | Path] = ["--enable-tls", authority.folder / "other.key", authority.folder / "other.pem", "--add-cert-file", authority.file]
    titles = ["--aetitle", "WARD_1", "--call", "GATE"]
    gate = Gate()
    with gateway(gate, upstream, access=mutual(authority)) as (_, port):
        found = run("findscu", "--study", *titles, *own, "--key", "QueryRetrieveLevel=STUDY", "localhost", str(port), folder=tmp_path / "find")
        assert found.status == 0, found.text
        file = tmp_path / "ct.dcm"
        instance = ct(7, 500_000)
        instance.save_as(file, enforce_file_format=True)
        stored = run("storescu", *titles, *own, "localhost", str(port), file, folder=tmp_path / "store")
        assert stored.code == 0, stored.text
        bare = run("echoscu", *titles, "--anonymous-tls", "--add-cert-file", authority.file, "localhost", str(port), folder=tmp_path / "bare")
        assert bare.code != 0
    assert gate.actions() == ["associate", "c-find", "associate", "c-store"]
    assert {request.subject["tls"]["cn"] for request in gate.asked} == {"other"}  # type: ignore[index]


# -- the upstream ---------------------------------------------------------------------------------


@pytest.fixture
def secure_upstream(authority: Authority) -> Iterator[Upstream]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority.file))
    context.load_cert_chain(authority.folder / "gateway.pem", authority.folder / "gateway.key")
    context.verify_mode = ssl.CERT_REQUIRED
    made = Upstream([ct(number, 200_000) for number in range(3)], tls=context)
    yield made
    made.stop()


def towards(authority: Authority, name: str = "localhost", own: str = "other", trusted: Path | None = None) -> Access:
    settings = ClientTls(authorities=str(trusted or authority.file), certificate=str(authority.folder / f"{own}.pem"), key=str(authority.folder / f"{own}.key"))
    clients = mutual(authority).clients
    return Access(clients=clients, upstreams={"default": PeerTls(client_contexts(settings), name)})


def test_both_legs(authority: Authority, secure_upstream: Upstream) -> None:
    received: list[bytes] = []
    with gateway(Gate(), secure_upstream, access=towards(authority)) as (_, port):
        store = (evt.EVT_C_STORE, storing(received))
        association = client(port, trusting(authority, "WARD 1"), handlers=[store])
        assert association.is_established
        assert [status.Status for status, _ in association.send_c_get(identifier(), GET)][-1] == 0
        assert association.send_c_store(ct(9, 2_000_000)).Status == 0
        association.release()
    assert len(received) == 3
    assert len(secure_upstream.stored[0]) > 2_000_000


@pytest.mark.parametrize("wrong", ["name", "authority", "own"])
def test_an_upstream_that_is_not_the_one_gets_nothing(authority: Authority, secure_upstream: Upstream, tmp_path: Path, wrong: str) -> None:
    access = {
        "name": lambda: towards(authority, name="pacs.example"),
        "authority": lambda: towards(authority, trusted=Authority(tmp_path / "others").file),
        "own": lambda: towards(authority, own="expired"),
    }[wrong]()
    gate = Gate()
    with gateway(gate, secure_upstream, access=access) as (_, port):
        association = client(port, trusting(authority, "WARD 1"))
        assert association.is_rejected
        assert (association.acceptor.primitive.result, association.acceptor.primitive.result_source) == (2, 3)
    assert gate.outcome("associate")["accepted"] is False
    assert not secure_upstream.associations


def test_look_ups_go_by_tls_too(authority: Authority, secure_upstream: Upstream) -> None:
    node = Node("PACS", "127.0.0.1", secure_upstream.port)
    query = b"\x08\x00\x52\x00\x06\x00\x00\x00STUDY " + b"\x20\x00\x0d\x00\x00\x00\x00\x00"
    (leg,) = towards(authority, name="127.0.0.1").upstreams.values()
    access = Access(nodes={("127.0.0.1", secure_upstream.port): leg})
    association = QueryAssociation.open(node, "HIRULES", time.monotonic() + 20, access.ask)
    assert len(association.find(FIND, query, 100, time.monotonic() + 20)) == 3
    association.release()
    (wrong,) = towards(authority, name="pacs.example").upstreams.values()
    with pytest.raises(NotAnswered):
        QueryAssociation.open(node, "HIRULES", time.monotonic() + 20, Access(nodes={("127.0.0.1", secure_upstream.port): wrong}).ask)


# -- its parts ------------------------------------------------------------------------------------


def test_files_that_are_none_keep_it_from_starting(authority: Authority, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    with pytest.raises(OSError, match=r"No such file"):
        server_contexts(ServerTls(certificate=str(nothing), key=str(nothing)))
    nothing.write_text("no certificate", encoding="utf-8")
    with pytest.raises(ssl.SSLError):
        client_contexts(ClientTls(authorities=str(nothing)))
    certificate, _ = authority.issue("mixed")
    with pytest.raises(ssl.SSLError):
        server_contexts(ServerTls(certificate=str(certificate), key=str(authority.folder / "other.key")))


def test_a_context_is_made_anew_only_when_a_file_has_changed(authority: Authority) -> None:
    made: list[ssl.SSLContext] = []

    def make() -> ssl.SSLContext:
        made.append(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        return made[-1]

    certificate, key = authority.issue("watched")
    contexts = Contexts((str(certificate), str(key)), make)
    assert contexts.current() is contexts.current() is made[0]
    authority.issue("watched")
    assert contexts.current() is contexts.current() is made[1]
    assert len(made) == 2


def test_a_certificate_with_several_names_has_none(authority: Authority) -> None:
    (pem,) = (authority.issue("single", hosts=())[0].read_text(encoding="utf-8"),)
    certificate = read_certificate(ssl.PEM_cert_to_DER_cert(pem))
    assert certificate.fields()["cn"] == "single"
    assert certificate.fields()["san"] is None
    assert isinstance(msgspec.structs.replace(certificate, names=("a", "b")).fields()["cn"], Unknown)
    assert msgspec.structs.replace(certificate, names=()).fields()["cn"] is None
    assert certificate.begins.timestamp() < time.time() < certificate.expires.timestamp()
