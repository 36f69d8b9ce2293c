"""The images of a permitted C-GET only narrow it: a set that allows no more than `c-get` delivers, a `c-store` rule takes out what it names."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.gateway import records, serve
from tests.peers.clients import Client
from tests.peers.objects import study_of
from tests.peers.process import Server

HEAD = """\
hirules: 1
policy: gets
title: Who may retrieve
owner: the tests
rules:
  - {id: get, on: c-get, when: {subject.ae_title: CLIENT}, allow: {}}
"""
IMAGES = study_of()
STUDY = ("QueryRetrieveLevel=STUDY", f"StudyInstanceUID={IMAGES[0].study}")


def test_a_set_that_allows_only_c_get_delivers(pacs: Server, direct: Client, tmp_path: Path) -> None:
    gateway = serve(tmp_path / "gateway", pacs, HEAD)
    try:
        client = Client("CLIENT", gateway.aet, gateway.port, tmp_path / "client")
        through, without = client.get(*STUDY), direct.get(*STUDY)
        stored = client.store(IMAGES[0].path)
    finally:
        gateway.stop()
    assert without.files
    assert (through.status, through.files) == (0, without.files)
    assert stored.status == 0x0124
    assert [record["action"] for record in records(gateway) if record["entry"] == "decision" and record["decision"] == "allow"].count("c-store") == 0


def test_a_rule_for_c_store_takes_out_what_it_names(pacs: Server, direct: Client, tmp_path: Path) -> None:
    taken = IMAGES[0].uid
    allow = "  - {id: in, on: c-store, when: {subject.ae_title: SCANNER}, allow: {}}\n"
    deny = f'  - {{id: out, on: c-store, when: {{request.action: c-get, request.AffectedSOPInstanceUID: "{taken}"}}, deny: {{reason: not this one}}}}\n'
    gateway = serve(tmp_path / "gateway", pacs, HEAD + allow + deny)
    try:
        client = Client("CLIENT", gateway.aet, gateway.port, tmp_path / "client")
        through, without = client.get(*STUDY), direct.get(*STUDY)
    finally:
        gateway.stop()
    assert len(without.files) > 1
    assert set(through.files) == set(without.files) - {taken}
    assert through.status != 0
    stores = [record for record in records(gateway) if record["entry"] == "decision" and record["action"] == "c-store"]
    assert [record["by"] for record in stores if record["decision"] == "deny"] == [["gets/out"]]
    assert len(stores) == len(without.files)
