"""`hirules serve` with mutual TLS, users and two archives: rules decide by who was verified, and the record says who it was."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import argon2
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.pdu_primitives import UserIdentityNegotiation

from tests.dimse.associations import FIND
from tests.dimse.certificates import Authority
from tests.dimse.peers import Upstream, until
from tests.peers.process import HOST, Server, listening, start
from tests.test_documentation import HIRULES

POLICY = """
hirules: 1
policy: who
rules:
  - id: researchers
    on: c-find
    when: {subject.roles: {contains: research}, subject.tls.cn: WARD 1}
    allow: {}
  - id: to-the-research-archive
    on: associate
    when: {subject.roles: {contains: research}}
    rewrite: [{set: {request.upstream: research}}]
  - id: only-ours
    on: associate
    unless: {subject.tls.san: {contains: ward1.example}, context.transport: dimse+tls}
    deny: {}
"""


@pytest.fixture(scope="module")
def archives() -> Iterator[tuple[Upstream, Upstream]]:
    made = Upstream(), Upstream()
    yield made
    for upstream in made:
        upstream.stop()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.issue("gateway")
    made.issue("WARD 1", file="ward", hosts=("ward1.example",))
    made.issue("WARD 2", file="other", hosts=("ward2.example",))
    return made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, authority: Authority, archives: tuple[Upstream, Upstream]) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "policies").mkdir()
    (folder / "policies" / "who.yaml").write_text(POLICY, encoding="utf-8")
    hasher = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    (folder / "users.txt").write_text(f"ada:{hasher.hash('ada knows')}:research\nbob:{hasher.hash('bob knows')}:physician\n", encoding="utf-8")

    def serve(port: int) -> list[str | Path]:
        (folder / "hirules.yaml").write_text(
            f"""
policies: policies
audit: {{file: audit.jsonl}}
dimse:
  listen: GATE@{HOST}:{port}
  upstream: PACS@{HOST}:{archives[0].port}
  upstreams: {{research: {{address: "PACS@{HOST}:{archives[1].port}", called: [GATE_RES]}}}}
  tls: {{certificate: {authority.folder / "gateway.pem"}, key: {authority.folder / "gateway.key"}, clients: {authority.file}}}
  identity: {{users: users.txt}}
""",
            encoding="utf-8",
        )
        return [HIRULES, "serve", "--config", folder / "hirules.yaml"]

    server = start("GATE", folder, serve, listening)
    yield server
    assert server.stop() == 0, server.text()


def asks(gateway: Server, authority: Authority, user: str, passcode: str, own: str = "ward") -> int | None:
    """The final status of a C-FIND; ``None``: there was no association."""
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(authority.folder / f"{own}.pem", authority.folder / f"{own}.key")
    entity = AE("CLIENT")
    entity.add_requested_context(FIND)
    entity.acse_timeout = entity.dimse_timeout = 30
    item = UserIdentityNegotiation()
    item.user_identity_type, item.primary_field, item.secondary_field = 2, user.encode(), passcode.encode()
    negotiation: Any = [item] if user else []
    association = entity.associate(HOST, gateway.port, ae_title="GATE", tls_args=(context, "localhost"), ext_neg=negotiation)
    if not association.is_established:
        return None
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", "1.2"
    status = [status.Status for status, _ in association.send_c_find(query, FIND)][-1]
    association.release()
    return int(status)


def test_who_was_verified_may_and_the_record_says_who_it_was(gateway: Server, authority: Authority, archives: tuple[Upstream, Upstream]) -> None:
    assert asks(gateway, authority, "ada", "ada knows") == 0
    assert asks(gateway, authority, "bob", "bob knows") == 0x0124
    assert asks(gateway, authority, "", "") == 0x0124
    assert asks(gateway, authority, "ada", "bob knows") is None
    assert asks(gateway, authority, "ada", "ada knows", own="other") is None  # denied by its certificate
    assert [len(archive.associations) for archive in archives] == [2, 1]
    assert not any(peer.user_identity for archive in archives for peer in archive.associations)
    text = (gateway.folder / "audit.jsonl").read_text(encoding="utf-8")
    assert "knows" not in text + gateway.text()
    records = [record for record in map(json.loads, text.splitlines()) if record["entry"] == "decision"]
    finds = [(record["subject"].get("user"), record["decision"]) for record in records if record["action"] == "c-find"]
    assert finds == [("ada", "allow"), ("bob", "deny"), (None, "deny")]
    joins = [(record["decision"], record["rewritten"], record["reason"]) for record in records if record["action"] == "associate"]
    assert joins[0][:2] == ("allow", ["request.upstream"])
    assert [decision for decision, _, _ in joins] == ["allow", "allow", "allow", "deny", "deny"]
    assert "the user identity was not verified" in joins[3][2]


def test_users_and_certificates_are_replaced_while_it_runs(gateway: Server, authority: Authority) -> None:
    users = gateway.folder / "users.txt"
    before = users.read_text(encoding="utf-8")
    users.write_text("\n".join(line for line in before.splitlines() if not line.startswith("ada")), encoding="utf-8")
    assert until(lambda: asks(gateway, authority, "ada", "ada knows") is None)
    users.write_text(before, encoding="utf-8")
    assert until(lambda: asks(gateway, authority, "ada", "ada knows") == 0)
    authority.issue("gateway", hosts=("elsewhere",))
    assert until(lambda: _refuses(lambda: asks(gateway, authority, "ada", "ada knows")))
    authority.issue("gateway")
    assert until(lambda: asks(gateway, authority, "ada", "ada knows") == 0)


def _refuses(ask: Any) -> bool:
    """The client trusts the certificate no more."""
    try:
        return ask() is None
    except ssl.SSLError:
        return True
