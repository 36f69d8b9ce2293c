from __future__ import annotations

import msgspec
import pytest

import hirules
from hirules.assemble.metrics import Metrics, class_of
from hirules.audit import NotRecorded
from hirules.dimse.options import Options
from hirules.dimse.server import Gateway
from hirules.facts import LookupFailed
from hirules.gate import Gate
from hirules.model.request import Request

POLICY = """
hirules: 1
policy: p
rules:
  - {id: vip, on: c-move, when: {resource.PatientID: VIP}, deny: {}}
  - {id: all, on: c-move, allow: {}}
"""


@pytest.fixture
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    folder = tmp_path_factory.mktemp("set")
    (folder / "p.yaml").write_text(POLICY, encoding="utf-8")
    return hirules.load(folder)


@pytest.fixture
def metrics(gate: Gate) -> Metrics:
    made = Metrics(gate, Gateway(gate, Options(ae_title="G", upstream_ae_title="P", upstream_host="h", upstream_port=1)))
    gate.observers = (made,)
    return made


def values(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.page().decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def move(patient: str, study: str = "1.2") -> Request:
    identifier = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": study}
    return Request(
        "c-move", {"ae_title": "STRANGER"}, {"MoveDestination": "SECRET", "Identifier": identifier}, lookup=lambda *_: [{"PatientID": patient}]
    )  # fmt: skip


def failing(*_: object) -> list[dict[str, object]]:
    raise LookupFailed("away")


def test_what_a_gate_decides(gate: Gate, metrics: Metrics) -> None:
    allowed = gate.check(move("P1"))
    gate.check(move("VIP", "1.3"))
    gate.check(msgspec.structs.replace(move("P1", "1.4"), lookup=failing))
    gate.check(Request("0x1234"))
    gate.complete(allowed, {"Status": 0, "instances": 7})
    found = values(metrics)
    assert found['hirules_decisions_total{action="c-move",effect="allow"}'] == 1
    assert found['hirules_decisions_total{action="c-move",effect="deny"}'] == 2
    assert found['hirules_decisions_total{action="other",effect="deny"}'] == 1
    assert found['hirules_determining_rules_total{action="c-move",effect="allow",rule="p/all"}'] == 1
    assert found['hirules_determining_rules_total{action="c-move",effect="deny",rule="p/vip"}'] == 2
    assert found['hirules_determining_rules_total{action="other",effect="deny",rule="default"}'] == 1
    assert found['hirules_decision_seconds_count{action="c-move"}'] == 3
    assert found['hirules_lookups_total{result="answered",source="lookup"}'] == 2
    assert found['hirules_lookups_total{result="failed",source="lookup"}'] == 1
    assert found['hirules_lookup_seconds_count{source="lookup"}'] == 3
    assert found['hirules_outcomes_total{action="c-move",outcome="success"}'] == 1
    assert found['hirules_instances_total{action="c-move"}'] == 7
    assert found[f'hirules_policies{{digest="{gate.policies.digest}"}}'] == 1
    assert found["hirules_rules"] == 2
    page = metrics.page().decode()
    assert not any(secret in page for secret in ("STRANGER", "SECRET", "P1", "VIP", "1.3", "0x1234"))


def test_what_could_not_be_recorded(gate: Gate, metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise NotRecorded("the disk is full")

    decision = gate.check(move("P1"))
    monkeypatch.setattr(gate._recorder, "outcome", fail)
    gate.complete(decision, {"Status": 0})
    monkeypatch.setattr(gate._recorder, "write", fail)
    monkeypatch.setattr(gate, "_records", True)
    assert not gate.check(move("P1")).allowed
    assert values(metrics)["hirules_record_failures_total"] == 2


def test_an_observer_that_fails_changes_nothing(gate: Gate, metrics: Metrics, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(metrics, "decided", lambda *_: 1 / 0)
    assert gate.check(move("P1")).allowed
    assert "an observer of the gate failed: ZeroDivisionError" in caplog.text


def test_rules_beyond_the_bound_are_one(metrics: Metrics) -> None:
    assert [metrics._rule(f"p/{number}") for number in range(2000)] == [f"p/{number}" for number in range(2000)]
    assert metrics._rule("p/2000") == "other"
    assert metrics._rule("p/0") == "p/0"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ({"Status": 0}, "success"), ({"Status": 0xB000}, "warning"), ({"Status": 0x0001}, "warning"), ({"Status": 0xFE00}, "cancelled"),
        ({"Status": 0x0124}, "failure"), ({"Status": 0xA700}, "failure"), ({"Status": None}, "unfinished"), ({}, "unfinished"),
        ({"accepted": True}, "success"), ({"accepted": False}, "failure"),
    ],
)  # fmt: skip
def test_classes_of_outcomes(outcome: dict[str, object], expected: str) -> None:
    assert class_of(outcome) == expected
