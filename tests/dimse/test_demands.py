"""Whoever builds a gateway cannot forget a rule: what the policies demand is asked of the gate, set by set."""

from __future__ import annotations

from pathlib import Path

import pytest

import hirules
from hirules.dimse.demands import Demands, demanded
from hirules.dimse.options import Options
from hirules.dimse.server import Gateway
from hirules.facts.disclosed import NOTHING
from hirules.policy import load_set

OPTIONS = Options(ae_title="GATE", upstream_ae_title="PACS", upstream_host="127.0.0.1", upstream_port=1)
GET = "hirules: 1\npolicy: p\nrules:\n  - {id: get, on: [c-get, c-move], allow: {}}\n"
RELEASE = GET + "  - {id: r, on: release, when: {request.action: c-move, instance.PatientID: VIP}, deny: {}}\n"
STORE = GET + "  - {id: s, on: c-store, when: {subject.ae_title: A}, deny: {}}\n"


class Voting:
    __name__ = "voting"

    @hirules.hookimpl
    def hirules_verdict(self) -> None:
        return None


def gate(path: Path, text: str, **more: object) -> hirules.Gate:
    path.mkdir()
    (path / "p.yaml").write_text(text, encoding="utf-8")
    return hirules.load(path, **more)  # type: ignore[arg-type]


def test_a_gate_that_does_not_say_by_what_it_decides() -> None:
    assert demanded(OPTIONS, object()) is OPTIONS


@pytest.mark.parametrize(
    ("text", "stores", "deliveries", "moved", "got"),
    [(GET, False, False, False, False), (RELEASE, False, True, True, False), (STORE, True, False, False, False)],
)
def test_what_rules_demand(tmp_path: Path, text: str, stores: bool, deliveries: bool, moved: bool, got: bool) -> None:
    demands = Demands(gate(tmp_path / "p", text))
    assert (demands.suboperations(), demands.deliveries()) == (stores, deliveries)
    assert (demands.disclosed("release", "c-move").applies, demands.disclosed("release", "c-get").applies) == (moved, got)


def test_a_plugin_that_votes_may_look_at_everything(tmp_path: Path) -> None:
    demands = Demands(gate(tmp_path / "p", GET, plugins=[Voting()]))
    assert demands.suboperations()
    assert demands.disclosed("release", "c-get").whole
    assert demands.disclosed("release", "c-get").hides


def test_they_follow_the_policies(tmp_path: Path) -> None:
    made = gate(tmp_path / "p", GET)
    demands = Demands(made)
    assert demands.disclosed("release", "c-move") == NOTHING
    assert not demands.suboperations()
    for text, stores, deliveries in ((RELEASE, False, True), (STORE, True, False)):
        made.swap(made.edition(load_set({"p.yaml": text.encode()}).required()))
        assert (demands.suboperations(), demands.deliveries()) == (stores, deliveries)
    assert demands.disclosed("release", "c-move") == NOTHING


def test_a_move_that_one_set_decided_and_another_lets_go(tmp_path: Path) -> None:
    """The policies are reloaded while what it reaches is looked up: where either set decides its instances, it may not go past the gateway."""
    made = gate(tmp_path / "p", RELEASE)
    demands, strict = Demands(made), made.policies.digest
    made.swap(made.edition(load_set({"p.yaml": GET.encode()}).required()))
    assert not demands.deliveries(made.policies.digest)
    assert demands.deliveries(strict)
    loose = made.policies.digest
    made.swap(made.edition(load_set({"p.yaml": STORE.encode()}).required()))
    assert not demands.deliveries(loose)
    assert demands.deliveries("sha256:of a set that nobody knows")


def test_a_gateway_that_is_built_without_them_has_them(tmp_path: Path) -> None:
    made = Gateway(gate(tmp_path / "p", RELEASE, audit=str(tmp_path / "audit.jsonl")), OPTIONS)._options
    assert made.disclosed is not None
    assert made.disclosed("release", "c-move").applies
    assert callable(made.decide_deliveries)
    assert made.decide_deliveries("")
    assert made.record_instances
