from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hirules.audit import FileStore, LookupCost, NotRecorded, Recorder
from hirules.audit.recorder import GROUP, GROUP_TIME
from hirules.model.decision import Decision, Error, ExceptionUse, Note, ShadowResult
from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
REQUEST = Request(
    "c-move", subject={"ae_title": "RES_1"}, id="r1",
    request={"MoveDestination": "OLD", "Identifier": {"PatientID": "SECRET-1", "StudyInstanceUID": "1.2.99"}},
)  # fmt: skip
DECISION = Decision(
    "deny", REQUEST, by=("p/r",), status=0xA801, reason="no", full_reason="no for SECRET-1",
    rewritten={"request.MoveDestination": "NEW", "request.Identifier.PatientID": "SECRET-2"},
    notes=(Note("p/watch", "alert", "seen", {"request.Identifier.PatientID": "SECRET-1", "request.MoveDestination": "OLD"}),),
    shadow=(ShadowResult("p/s", "rewrite", "rewrite", {"request.Identifier.PatientID": "SECRET-3"}),),
    exceptions=(ExceptionUse("p/e", "p/x", "ticket", "office"),), errors=(Error("p/r", "unknown", "resource.PatientID", "a.yaml:1:1"),), policies="sha256:1",
)  # fmt: skip


def _record(tmp_path: Path, *, identifying_values: bool) -> str:
    path = tmp_path / "audit.jsonl"
    recorder = Recorder(FileStore(path), VOCABULARY, identifying_values=identifying_values)
    recorder.write(recorder.record(REQUEST, DECISION, NOW, [LookupCost(source="lookup", needed=("PatientID",), milliseconds=2.0, entities=1)]))
    recorder.outcome("r1", {"status": 0xA801, "failed": (1, 2)}, NOW)
    return path.read_text(encoding="utf-8")


def test_the_record_of_a_decision_shows_no_patient(tmp_path: Path) -> None:
    text = _record(tmp_path, identifying_values=False)
    assert "SECRET" not in text
    assert "1.2.99" not in text
    decision, outcome = map(json.loads, text.splitlines())
    assert decision == {
        "entry": "decision", "format": 1, "id": "r1", "time": "2026-03-02T09:00:00Z", "action": "c-move", "subject": {"ae_title": "RES_1"},
        "request": {"MoveDestination": "OLD"}, "decision": "deny", "by": ["p/r"], "status": 0xA801, "reason": "no",
        "rewritten": ["request.Identifier.PatientID", "request.MoveDestination"], "values": None, "removed_keys": [],
        "notes": [{"source": "p/watch", "severity": "alert", "note": "seen",
                   "include": {"request.Identifier.PatientID": "(withheld)", "request.MoveDestination": "OLD"}}],
        "shadow": [{"rule": "p/s", "effect": "rewrite", "outcome": "rewrite", "edits": ["request.Identifier.PatientID"]}],
        "exceptions": [{"exception": "p/e", "rule": "p/x", "reason": "ticket", "approved_by": "office"}],
        "errors": [{"source": "p/r", "message": "unknown", "path": "resource.PatientID", "at": "a.yaml:1:1"}],
        "lookups": [{"source": "lookup", "needed": ["PatientID"], "milliseconds": 2.0, "entities": 1, "cached": False, "error": None}],
        "policies": "sha256:1",
    }  # fmt: skip
    assert outcome == {"entry": "outcome", "format": 1, "id": "r1", "time": "2026-03-02T09:00:00Z", "outcome": {"status": 0xA801, "failed": [1, 2]}}


def test_configured_it_shows_the_values(tmp_path: Path) -> None:
    decision = json.loads(_record(tmp_path, identifying_values=True).splitlines()[0])
    assert decision["reason"] == "no for SECRET-1"
    assert decision["values"] == {"request.MoveDestination": "NEW", "request.Identifier.PatientID": "SECRET-2"}
    assert decision["request"]["Identifier"]["StudyInstanceUID"] == "1.2.99"
    assert "SECRET-3" not in json.dumps(decision["shadow"])


def test_what_json_cannot_hold_is_not_recorded(tmp_path: Path) -> None:
    recorder = Recorder(FileStore(tmp_path / "audit.jsonl"), VOCABULARY)
    lone_surrogate = Request("c-move", subject={"ae_title": "\ud800"}, id="r2")
    with pytest.raises(NotRecorded, match="no form in JSON"):
        recorder.write(recorder.record(lone_surrogate, Decision("allow", lone_surrogate), NOW))


def test_without_a_store_nothing_is_written() -> None:
    recorder = Recorder(None, VOCABULARY)
    recorder.write(recorder.record(REQUEST, DECISION, NOW))
    recorder.outcome("r1", {}, NOW)
    recorder.close()


class Lines:
    """A store that remembers what was synced."""

    def __init__(self) -> None:
        self.lines: list[tuple[dict[str, object], bool]] = []

    def append(self, line: bytes, *, sync: bool = True) -> None:
        self.lines.append((json.loads(line), sync))

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.mark.parametrize("identifying", [False, True])
def test_an_instance_is_in_the_record_by_the_hash_of_its_uid(identifying: bool) -> None:
    store = Lines()
    recorder = Recorder(store, VOCABULARY, identifying_values=identifying)
    recorder.instance("r1", "1.2.99.1", NOW)
    ((line, _),) = store.lines
    assert (line["entry"], line["id"]) == ("instance", "r1")
    assert line["instance"] == ("1.2.99.1" if identifying else "sha256:ba0541bd276f1754ce74ef1b17178e1056a1ba064b5e8b422a5b3083e8dd778f")


def test_instances_are_synced_in_groups_and_the_last_ones_with_the_outcome() -> None:
    store = Lines()
    recorder = Recorder(store, VOCABULARY)
    for number in range(GROUP + 3):
        recorder.instance("r1", f"1.2.{number}", NOW)
    recorder.outcome("r1", {"Status": 0}, NOW)
    recorder.outcome("r2", {"Status": 0}, NOW)
    assert [index for index, (_, sync) in enumerate(store.lines) if sync] == [GROUP - 1, GROUP + 3]


def test_a_slow_retrieve_does_not_wait_for_a_whole_group() -> None:
    store = Lines()
    recorder = Recorder(store, VOCABULARY)
    for number in range(6):
        recorder.instance("r1", f"1.2.{number}", NOW + 0.4 * number * GROUP_TIME)
    assert [sync for _, sync in store.lines] == [False, False, False, True, False, False]


def test_what_a_request_brings_is_synced_in_groups_and_with_the_outcome_of_the_request() -> None:
    store = Lines()
    recorder = Recorder(store, VOCABULARY)
    released = recorder.record(Request("release"), DECISION, NOW)
    for number in range(GROUP // 2 + 1):
        recorder.write(released)
        recorder.instance("r1", f"1.2.{number}", NOW)
        recorder.outcome("r2", {"ended": "left"}, NOW, action="release")
    recorder.outcome("r1", {"Status": 0}, NOW, action="c-get")
    synced = [index for index, (_, sync) in enumerate(store.lines) if sync]
    assert synced == [GROUP // 2 * 3 - 2, len(store.lines) - 1]
    recorder.write(recorder.record(REQUEST, DECISION, NOW))
    assert store.lines[-1][1]
