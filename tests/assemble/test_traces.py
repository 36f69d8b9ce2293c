from __future__ import annotations

from pathlib import Path

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import hirules
from hirules.assemble.traces import Traces, traces_of
from hirules.model.request import Request
from hirules.settings import TraceSettings
from tests.assemble.test_metrics import POLICY, move


def test_a_span_for_each_decision_without_values(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    gate = hirules.load(tmp_path)
    exporter = InMemorySpanExporter()
    traces = Traces(SimpleSpanProcessor(exporter))
    gate.observers = (traces,)
    decisions = [gate.check(move("PATIENT-7")), gate.check(move("VIP", "1.3")), gate.check(Request("c-find"))]
    gate.complete(decisions[0], {"Status": 0})
    spans = exporter.get_finished_spans()
    assert [span.name for span in spans] == ["decide c-move", "decide c-move", "decide c-find"]
    told = [dict(span.attributes or {}) for span in spans]
    assert [attributes["hirules.effect"] for attributes in told] == ["allow", "deny", "deny"]
    assert [attributes["hirules.rules"] for attributes in told] == [("p/all",), ("p/vip",), ()]
    assert [attributes["hirules.request"] for attributes in told] == [decision.id for decision in decisions]
    assert {attributes["hirules.policies"] for attributes in told} == {gate.policies.digest}
    assert all(span.start_time is not None and span.end_time is not None and span.start_time <= span.end_time for span in spans)
    text = "".join(span.to_json() for span in spans)
    assert not any(secret in text for secret in ("PATIENT-7", "VIP", "SECRET", "STRANGER", "1.3"))
    assert spans[0].resource.attributes["service.name"] == "hirules"
    traces.close()


def test_a_share_of_none_is_none(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    gate = hirules.load(tmp_path)
    exporter = InMemorySpanExporter()
    gate.observers = (Traces(SimpleSpanProcessor(exporter), 0.0),)
    gate.check(move("P1"))
    assert not exporter.get_finished_spans()


def test_a_collector_that_is_away_delays_nothing(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    gate = hirules.load(tmp_path)
    traces = traces_of(TraceSettings(endpoint="http://127.0.0.1:1/v1/traces"))
    gate.observers = (traces,)
    assert all(gate.check(move("P1", f"1.{number}")).allowed for number in range(50))
