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
from hirules.policy import load_set
from hirules.policy.ast import NamedList
from hirules.policy.edits import EDITS
from hirules.policy.entities import Entity
from hirules.policy.lists import Members
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


def test_the_members_of_a_list_are_not_shown_and_equal_lists_look_the_same() -> None:
    when = "{request.Identifier.PatientName: {in: $vip}}"
    policy = f"hirules: 1\npolicy: p\nlists: {{vip: [{SECRET}, P2]}}\nrules:\n  - {{id: a, on: c-find, when: {when}, deny: {{}}}}\n"
    one, same, other = (load_set({"p.yaml": text.encode()}) for text in (policy, policy, policy.replace("P2", "P3")))
    assert SECRET not in repr(one)
    assert "NamedList('vip', 2 members, " in repr(one)
    assert repr(one.set.policies if one.set else None) == repr(same.set.policies if same.set else None)
    assert repr(one.set.policies if one.set else None) != repr(other.set.policies if other.set else None)


def test_the_rows_of_a_table_are_not_shown() -> None:
    rows = tuple({"id": name} for name in (SECRET, "P2"))
    assert SECRET not in repr(NamedList("vip", (), rows, ("id",)))
    assert repr(NamedList("vip", (), rows)) != repr(NamedList("vip", (), rows[:1]))
    assert SECRET not in repr(Members((1,), (SECRET,)))
