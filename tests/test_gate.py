from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import hirules
from hirules import Facts, Request, Verdict, hookimpl
from hirules.audit import NotRecorded
from hirules.facts import LookupFailed
from hirules.gate import Gate
from hirules.model.attributes import Attribute
from hirules.model.reading import Fields
from hirules.model.scalars import Type
from hirules.model.vocabulary import VOCABULARY

POLICY = """
hirules: 1
policy: p
rules:
  - id: clinical
    on: [c-find, c-get, c-move, get-image-set, update-image-set-metadata]
    when: {subject.ae_title: WARD_1}
    allow: {}
  - id: no-vip
    on: c-move
    when: {request.MoveDestination: OUTSIDE, resource.PatientID: VIP}
    deny: {reason: not this one, status: 0xA801}
  - id: old
    on: c-move
    when: {request.MoveDestination: OLD}
    rewrite:
      - set: {request.MoveDestination: NEW}
  - id: active-only
    on: update-image-set-metadata
    when: {resource.imageSetState: {not_equals: ACTIVE}}
    deny: {}
  - id: merged
    on: c-get
    when: {request.Identifier.PatientID: P-OLD}
    rewrite:
      - set: {request.Identifier.PatientID: P-NEW}
  - id: not-the-merged
    on: c-get
    when: {resource.PatientID: VIP}
    deny: {}
"""


def _gate(folder: Path, policy: str = POLICY, **options: object) -> Gate:
    (folder / "p.yaml").write_text(policy, encoding="utf-8")
    return hirules.load(folder, audit=folder.parent / f"{folder.name}.jsonl", **options)  # type: ignore[arg-type]


def _lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder.parent / f"{folder.name}.jsonl").read_text(encoding="utf-8").splitlines()]


def _move(destination: str = "PACS", **more: object) -> Request:
    identifier = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}
    return Request("c-move", subject={"ae_title": "WARD_1"}, request={"MoveDestination": destination, "Identifier": identifier}, **more)  # type: ignore[arg-type]


def test_a_decision_is_recorded_and_completed(tmp_path: Path) -> None:
    gate = _gate(tmp_path)
    decision = gate.check(_move("OLD"))
    gate.complete(decision, {"Status": 0})
    assert decision.allowed
    assert decision.effective.request["MoveDestination"] == "NEW"
    decided, outcome = _lines(tmp_path)
    assert (decided["decision"], decided["by"], decided["rewritten"]) == ("allow", ["p/clinical"], ["request.MoveDestination"])
    assert decided["policies"] == decision.policies == gate.policies.digest
    assert (outcome["entry"], outcome["id"], outcome["outcome"]) == ("outcome", decided["id"], {"Status": 0})


def test_an_instance_leaves_once_that_is_in_the_record(tmp_path: Path) -> None:
    gate = _gate(tmp_path)
    decision = gate.check(_move())
    assert gate.leaves(decision, "1.2.3")
    line = _lines(tmp_path)[1]
    assert (line["entry"], line["id"]) == ("instance", decision.id)
    assert "1.2.3" not in str(line)
    gate.close()
    assert not gate.leaves(decision, "1.2.4")
    assert len(_lines(tmp_path)) == 2
    assert hirules.load(tmp_path).leaves(decision, "1.2.4")


def test_an_id_is_given_and_a_given_one_is_kept(tmp_path: Path) -> None:
    gate = _gate(tmp_path)
    assert gate.check(_move()).id != gate.check(_move()).id != ""
    assert gate.check(_move(id="mine")).id == "mine"


def test_the_time_is_the_clocks(tmp_path: Path) -> None:
    policy = POLICY + "  - id: past\n    on: c-find\n    when: {context.now: {lt: 2020-01-01T00:00:00Z}}\n    deny: {}\n"
    find = Request("c-find", subject={"ae_title": "WARD_1"}, context={"now": datetime(2019, 1, 1, tzinfo=UTC)})
    decision = _gate(tmp_path, policy).check(find)
    assert decision.allowed
    assert decision.effective.context["now"].year >= 2026  # type: ignore[attr-defined]


def test_a_release_has_the_time_of_its_request(tmp_path: Path) -> None:
    policy = "hirules: 1\npolicy: p\nrules:\n  - id: past\n    on: release\n    when: {context.now: {lt: 2020-01-01T00:00:00Z}}\n    deny: {}\n"
    gate = _gate(tmp_path, policy)
    assert not gate.check(Request("release", context={"now": datetime(2019, 1, 1, tzinfo=UTC)})).allowed
    assert gate.check(Request("release", context={"now": "2019-01-01T00:00:00Z"})).allowed


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request("c-echo"), "there is no such action"),
        (Request(""), "there is no such action"),
        (Request("c-find", subject={"ae_title": "WARD_1"}, request={"MoveDestination": "X"}), "an attribute that its action does not have"),
        (Request("c-find", subject={"ae_title": "WARD_1", "aetitle": "X"}), "an attribute that its action does not have"),
        (Request("c-find", subject={"ae_title": "WARD_1"}, request={"Identifier": {"PatientID": ""}, "keys": []}), "can be read in two ways"),
    ],
)
def test_what_it_does_not_know_it_refuses(tmp_path: Path, request_: Request, why: str) -> None:
    decision = _gate(tmp_path).check(request_)
    assert not decision.allowed
    assert why in decision.full_reason
    assert why in str(_lines(tmp_path)[0]["errors"])


@pytest.mark.parametrize("nonsense", [None, "c-move", 7, Request(None), Request("c-move", subject=None), Request("c-move", context=3)])  # type: ignore[arg-type]
def test_what_is_no_request_is_refused_and_recorded(tmp_path: Path, nonsense: Request) -> None:
    decision = _gate(tmp_path).check(nonsense)
    assert not decision.allowed
    assert _lines(tmp_path)[0]["decision"] == "deny"


def test_what_was_refused_before_any_rule_is_recorded(tmp_path: Path) -> None:
    decision = _gate(tmp_path).refuse(_move(), 0xA900, "the identifier has an element twice")
    assert (decision.allowed, decision.status, decision.reason) == (False, 0xA900, "the identifier has an element twice")
    (line,) = _lines(tmp_path)
    assert (line["id"], line["decision"], line["status"], line["by"]) == (decision.id, "deny", 0xA900, [])
    assert "an element twice" in str(line["errors"])


# Facts.


class Archive:
    """Answers look-ups by patient or study and counts them."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[tuple[Mapping[str, object], frozenset[str]]] = []

    def __call__(self, request: Request, needed: frozenset[str]) -> list[Fields]:
        self.asked.append((request.request, needed))
        answer = self.answer(request) if callable(self.answer) else self.answer
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]  # also what is no answer


def test_nothing_is_looked_up_where_no_rule_needs_it(tmp_path: Path) -> None:
    archive = Archive([{"PatientID": "VIP"}])
    decision = _gate(tmp_path).check(_move("PACS", lookup=archive))
    assert decision.allowed
    assert archive.asked == []


def test_what_a_rule_needs_is_looked_up_and_its_cost_recorded(tmp_path: Path) -> None:
    archive = Archive([{"PatientID": "VIP"}])
    decision = _gate(tmp_path).check(_move("OUTSIDE", lookup=archive))
    assert not decision.allowed
    assert decision.status == 0xA801
    assert [needed for _, needed in archive.asked] == [frozenset({"PatientID"})]
    lookups: Any = _lines(tmp_path)[0]["lookups"]
    (lookup,) = lookups
    assert (lookup["source"], lookup["needed"], lookup["entities"], lookup["error"]) == ("lookup", ["PatientID"], 1, None)


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        (Request("c-store", request={"AffectedSOPInstanceUID": "1.2.3"}), 2),
        (Request("n-set", request={"RequestedSOPInstanceUID": "1.2.3"}), 2),
        (Request("c-store", request={"AffectedSOPInstanceUID": "1.2.3", "action": "c-get"}), 1),
        (_move(), 1),
    ],
    ids=["store", "set", "the store of a get", "move"],
)
def test_after_a_change_is_over_the_archive_is_asked_again(tmp_path: Path, request_: Request, asked: int) -> None:
    archive = Archive([{"PatientID": "P1"}])
    gate = _gate(tmp_path)
    gate.check(_move("OUTSIDE", lookup=archive))
    gate.complete(gate.check(request_), {"Status": 0})
    gate.check(_move("OUTSIDE", lookup=archive))
    assert len(archive.asked) == asked


def test_an_answer_opens_what_it_opens(tmp_path: Path) -> None:
    assert _gate(tmp_path).check(_move("OUTSIDE", lookup=Archive([{"PatientID": "P1"}]))).allowed


@pytest.mark.parametrize("failure", [LookupFailed("the archive is down"), ValueError("PATIENT-1"), "no entities", None])
def test_a_failed_look_up_is_unknown_and_refuses(tmp_path: Path, failure: object) -> None:
    decision = _gate(tmp_path).check(_move("OUTSIDE", lookup=Archive(failure)))
    assert not decision.allowed
    assert decision.by == ("p/no-vip",)
    record = _lines(tmp_path)[0]
    assert "the look-up failed" in str(record["errors"])
    assert record["lookups"][0]["error"]  # type: ignore[index]
    assert "PATIENT-1" not in str(record)


def test_without_a_look_up_the_resource_is_unknown(tmp_path: Path) -> None:
    assert _gate(tmp_path).check(_move("OUTSIDE")).by == ("p/no-vip",)


def test_what_the_rewritten_request_reaches_is_looked_up_again(tmp_path: Path) -> None:
    archive = Archive(lambda request: [{"PatientID": "VIP" if request.request["Identifier"]["PatientID"] == "P-NEW" else "P1"}])
    identifier = {"QueryRetrieveLevel": "PATIENT", "PatientID": "P-OLD"}
    decision = _gate(tmp_path).check(Request("c-get", subject={"ae_title": "WARD_1"}, request={"Identifier": identifier}, lookup=archive))
    assert decision.by == ("p/not-the-merged",)
    assert [request["Identifier"]["PatientID"] for request, _ in archive.asked] == ["P-NEW"]  # type: ignore[index]


def test_the_caller_may_give_the_resource_itself(tmp_path: Path) -> None:
    archive = Archive([{"imageSetState": "LOCKED"}])
    update = Request("update-image-set-metadata", subject={"ae_title": "WARD_1"}, resource=[{"imageSetState": "ACTIVE"}], lookup=archive)
    assert _gate(tmp_path).check(update).allowed
    assert archive.asked == []


# Plugins.

CLOSED = """
hirules: 1
policy: p
rules:
  - {id: all, on: [c-find, c-move], allow: {}}
  - {id: closed, on: c-move, when: {context.closed: true}, deny: {}}
  - {id: vip, on: c-move, when: {resource.PatientID: VIP}, deny: {}}
"""


class Calendar:
    def __init__(self, closed: object, entities: object = None) -> None:
        self.closed, self.entities = closed, entities
        self.needed: list[frozenset[str]] = []

    @hookimpl
    def hirules_attributes(self) -> list[Attribute]:
        return [Attribute("context.closed", Type.BOOLEAN, frozenset(VOCABULARY.actions), "whether the office is closed")]

    @hookimpl
    def hirules_facts(self, request: Request, needed: frozenset[str]) -> Facts | None:
        self.needed.append(needed)
        if isinstance(self.closed, Exception):
            raise self.closed
        return None if self.closed is None else Facts(context={"closed": self.closed, "other": 1}, resource=self.entities)  # type: ignore[arg-type]


class Second:
    @hookimpl
    def hirules_facts(self, request: Request, needed: frozenset[str]) -> Facts | None:
        return Facts(context={"closed": True}, resource=[{"PatientID": "P2"}])


def test_facts_of_a_plugin(tmp_path: Path) -> None:
    calendar = Calendar(False, [{"PatientID": "P1"}])
    decision = _gate(tmp_path, CLOSED, plugins=[calendar]).check(_move())
    assert decision.allowed
    assert calendar.needed == [frozenset({"context.closed"}), frozenset({"resource.PatientID"})]
    assert [lookup["source"] for lookup in _lines(tmp_path)[0]["lookups"]] == ["plugin:Calendar", "plugin:Calendar"]  # type: ignore[attr-defined]


def test_a_plugin_is_not_asked_where_no_rule_needs_it(tmp_path: Path) -> None:
    calendar = Calendar(True)
    assert _gate(tmp_path, CLOSED, plugins=[calendar]).check(Request("c-find")).allowed
    assert calendar.needed == []


@pytest.mark.parametrize("failure", [RuntimeError("PATIENT-1"), None, "not a boolean"])
def test_a_fact_that_a_plugin_does_not_tell_is_unknown(tmp_path: Path, failure: object) -> None:
    decision = _gate(tmp_path, CLOSED, plugins=[Calendar(failure)]).check(_move(resource=[{"PatientID": "P1"}]))
    assert decision.by == ("p/closed",)
    assert "context.closed" in str(decision.errors)
    assert "PATIENT-1" not in str(_lines(tmp_path))


def test_plugins_that_disagree_leave_it_unknown(tmp_path: Path) -> None:
    decision = _gate(tmp_path, CLOSED, plugins=[Calendar(False), Second()]).check(_move(resource=[{"PatientID": "P1"}]))
    assert decision.by == ("p/closed",)
    assert "another plugin answers differently" in str(decision.errors)


def test_two_plugins_that_tell_the_resource_leave_it_unknown(tmp_path: Path) -> None:
    decision = _gate(tmp_path, CLOSED, plugins=[Calendar(True, [{"PatientID": "P1"}]), Second()]).check(_move())
    assert set(decision.by) == {"p/closed", "p/vip"}


def test_verdicts_and_notifications(tmp_path: Path) -> None:
    heard: list[Mapping[str, object]] = []

    class Speaks:
        @hookimpl
        def hirules_verdict(self, request: Request) -> Verdict:
            return Verdict(effect="deny", reason="not today", status=0xA701)

        @hookimpl
        def hirules_decided(self, record: Mapping[str, object]) -> None:
            heard.append(record)
            raise RuntimeError("after the decision")

    decision = _gate(tmp_path, plugins=[Speaks()]).check(_move())
    assert (decision.allowed, decision.by, decision.status, decision.reason) == (False, ("plugin:Speaks",), 0xA701, "not today")
    assert heard[0]["by"] == ["plugin:Speaks"] or heard[0]["by"] == ("plugin:Speaks",)
    assert heard[0]["id"] == decision.id


# The record.


class Broken:
    """A store that fails in one of the ways that stores fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.lines: list[bytes] = []

    def append(self, line: bytes, *, sync: bool = True) -> None:
        self.lines.append(line)
        raise self.error

    def close(self) -> None:
        return None


@pytest.mark.parametrize("error", [NotRecorded("the disk is full"), OSError("gone"), RuntimeError("a store of somebody's own")])
def test_what_cannot_be_recorded_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    gate = hirules.load(tmp_path, audit=Broken(error))
    with caplog.at_level(logging.ERROR):
        decision = gate.check(_move())
    assert not decision.allowed
    assert decision.by == ()
    assert decision.errors
    assert "is refused" in caplog.text
    assert "is not in the record" in caplog.text


def test_an_outcome_that_cannot_be_recorded_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate = _gate(tmp_path)
    decision = gate.check(_move())
    gate.close()
    gate.complete(decision, {"Status": 0})
    assert f"the outcome of request {decision.id} is not in the record" in caplog.text
    assert not gate.check(_move()).allowed


def test_a_value_that_json_cannot_hold_is_refused_and_recorded(tmp_path: Path) -> None:
    policy = POLICY.replace("subject.ae_title: WARD_1", "subject.called_ae_title: GATE")
    decision = _gate(tmp_path, policy).check(Request("c-find", subject={"called_ae_title": "GATE", "ae_title": "\ud800"}))
    assert not decision.allowed
    (line,) = _lines(tmp_path)
    assert "no form in JSON" in str(line["errors"])
