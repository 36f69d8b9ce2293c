"""What a value of the decision path looks like in a log, a traceback or a debugger: nothing of a patient."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hirules.facts import Answer
from hirules.healthimaging.document import read_document
from hirules.hooks import Facts
from hirules.model.attributes import Attribute
from hirules.model.decision import Decision, Note, ShadowResult
from hirules.model.path import parse_path
from hirules.model.reading import Reading
from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.edits import EDITS
from hirules.policy.entities import Entity
from hirules.policy.proposals import Change, Proposal
from hirules.policy.read import Place, View
from hirules.policy.reasons import Denial
from hirules.policy.rewriting import Rewriting
from hirules.policy.verdict import Verdict

SECRET = "MILLER^ANN"
PATH = parse_path("request.Identifier.PatientName")
REQUEST = Request("c-move", request={"Identifier": {"PatientName": SECRET}}, resource=[{"PatientName": SECRET}])
ENTITY = Entity({"PatientName": SECRET}, count=1)
ITEM = Place({"PatientName": SECRET}, "request", False, PATH.steps)


def _attribute() -> Attribute:
    found = VOCABULARY.lookup(PATH)
    assert found is not None
    return found


SHOWN = [
    REQUEST,
    Decision("deny", REQUEST, full_reason=SECRET, rewritten={PATH.text: SECRET}, notes=(Note("p/r", include={PATH.text: SECRET}),)),
    Note("p/r", note="of a VIP", include={PATH.text: SECRET}),
    ShadowResult("p/r", "rewrite", "rewrite", {PATH.text: SECRET}),
    Answer(source="lookup", needed=("PatientName",), entities=({"PatientName": SECRET},), context={"x": SECRET}),
    Facts(context={"x": SECRET}, resource=[{"PatientName": SECRET}]),
    Reading((SECRET,), present=True),
    ENTITY,
    ITEM,
    View(REQUEST, REQUEST, ENTITY, datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC"), ITEM),
    Proposal("p/r", ("request", "Identifier", "PatientName"), EDITS["set"], SECRET, PATH, _attribute()),
    Change(("request", "Identifier", "PatientName"), SECRET, changed=True),
    Rewriting(REQUEST, rewritten={PATH.text: SECRET}),
    Denial("p/r", 0xA801, reason="no", full_reason=SECRET),
    Verdict(effect="rewrite", source="plugin:p", edits={PATH.text: ("set", SECRET)}),
    read_document(b'{"SchemaVersion": 1.1, "Patient": {"DICOM": {"PatientName": "%b"}}}' % SECRET.encode(), removes=False),
]


@pytest.mark.parametrize("value", SHOWN, ids=lambda value: type(value).__name__)
def test_it_shows_no_value_of_a_patient(value: object) -> None:
    for shown in (repr(value), str(value), f"{[value]}"):
        assert SECRET not in shown
        assert type(value).__name__ in shown
