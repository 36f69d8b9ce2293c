from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from hirules.cli.answers import decision_json, text
from hirules.model.decision import AssociateStatus, Decision, Error, Note
from hirules.model.reading import Unknown
from hirules.model.request import Request

KEYS = ["decision", "by", "status", "reason", "rewritten", "effective", "notes", "shadow", "exceptions", "errors", "policies"]
ASKED = Request("c-move", subject={"ae_title": "A"}, request={"MoveDestination": "B"})


def test_the_shape_is_a_contract() -> None:
    decision = Decision("deny", ASKED, by=("p/r",), status=0xA801, reason="no", full_reason="no for P1", errors=(Error("p/r", "unknown"),), policies="sha256:0")
    answer = json.loads(text(decision_json(decision, ASKED)))
    assert list(answer) == KEYS
    assert answer["effective"] == {"action": "c-move", "subject": {"ae_title": "A"}, "request": {"MoveDestination": "B"}}
    assert answer["errors"] == [{"source": "p/r", "message": "unknown"}]
    assert "P1" not in json.dumps(answer)


def test_statuses() -> None:
    for status, shown in ((None, None), (0x0124, 292), ("AccessDenied", "AccessDenied"), (AssociateStatus(1, 1, 3), {"result": 1, "source": 1, "reason": 3})):
        assert decision_json(Decision("deny", ASKED, status=status), ASKED)["status"] == shown


def test_what_was_asked_is_shown_and_no_more() -> None:
    effective = Request("c-move", resource=[{"PatientID": "P"}], context={"now": datetime(2026, 1, 1, tzinfo=UTC), "transport": "x"}, id="generated")
    assert decision_json(Decision("allow", effective), ASKED)["effective"] == {"action": "c-move", "subject": {}, "request": {}}
    asked = Request("c-move", resource=[], context={"now": ""}, id="mine")
    shown = json.loads(text(decision_json(Decision("allow", effective), asked)))["effective"]
    assert (shown["resource"], shown["context"], shown["id"]) == ([{"PatientID": "P"}], {"now": "2026-01-01T00:00:00+00:00"}, "mine")


def test_values_without_a_form_in_json() -> None:
    values = {"a": b"xyz", "b": Unknown("why"), "c": Decimal("1.5"), "d": ("x", {"y": 1})}
    decision = Decision("allow", ASKED, rewritten=values, notes=(Note("p/r", "low", "", values),))
    shown = json.loads(text(decision_json(decision, ASKED)))
    assert shown["rewritten"] == {"a": "3 bytes", "b": None, "c": "1.5", "d": ["x", {"y": 1}]}
    assert shown["notes"][0]["include"] == shown["rewritten"]
