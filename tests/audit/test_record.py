from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import msgspec
import pytest

from hirules.audit.record import DecisionRecord, InstanceRecord, LookupCost, OutcomeRecord, RecordedNote, decode, encode, schema
from hirules.model.decision import AssociateStatus

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DECISION = DecisionRecord(
    id="a", time=NOW, action="associate", subject={"ae_title": "RES_1"}, decision="deny", by=("p/r",), status=AssociateStatus(1, 1, 3),
    notes=(RecordedNote(source="p/watch", severity="alert", include={"request.Priority": 1}),),
    lookups=(LookupCost(source="lookup", needed=("PatientID",), milliseconds=1.5, error="no answer within 10 s"),), policies="sha256:00",
)  # fmt: skip
OUTCOME = OutcomeRecord(id="a", time=NOW, outcome={"status": 0, "completed": 3})


INSTANCE = InstanceRecord(id="a", time=NOW, instance="sha256:00")


@pytest.mark.parametrize("record", [DECISION, INSTANCE, OUTCOME], ids=["decision", "instance", "outcome"])
def test_a_line_reads_back_and_satisfies_the_schema(record: DecisionRecord | InstanceRecord | OutcomeRecord) -> None:
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == record
    jsonschema.Draft202012Validator(schema()).validate(json.loads(line))


def test_the_two_kinds_are_told_apart() -> None:
    assert json.loads(encode(DECISION))["entry"] == "decision"
    assert json.loads(encode(OUTCOME))["entry"] == "outcome"
    assert json.loads(encode(OUTCOME))["id"] == json.loads(encode(DECISION))["id"]


def test_the_schema_refuses_what_is_no_record() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    line = json.loads(encode(DECISION))
    for changed in ({**line, "decision": "maybe"}, {**line, "extra": 1}, {key: value for key, value in line.items() if key != "policies"}, {**line, "id": ""}):
        assert not validator.is_valid(changed)


def test_a_record_is_frozen() -> None:
    with pytest.raises(AttributeError):
        DECISION.action = "c-move"  # type: ignore[misc]
    with pytest.raises(msgspec.ValidationError):
        decode(b'{"entry":"other"}')


def test_the_published_schema_is_this_one() -> None:
    published = Path(__file__).parents[2] / "schemas" / "audit-record.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == schema(), "run `hirules schema audit-record > schemas/audit-record.schema.json`"
