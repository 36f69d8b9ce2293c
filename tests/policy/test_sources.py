import itertools
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

import pytest

from hirules.model.decision import Decision
from hirules.model.path import parse_path
from hirules.model.reading import Unknown
from hirules.model.request import Request, replaced
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.sources import ELSEWHERE, IDENTIFIER, OTHER, REQUEST, SUBJECT, Key, Recall, Source, recall_of, source_of, spelled_otherwise

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("subject.ae_title", Source(SUBJECT, "ae_title")),
        ("request.MoveDestination", Source(REQUEST, "MoveDestination")),
        ("request.Identifier.PatientID", Source(IDENTIFIER, "PatientID")),
        ("subject.tls.cn", Source()),
        ("request.keys", Source()),
        ("request.kind", Source()),
        ("request.action", Source()),
        ("original.request.MoveDestination", Source()),
        ("request.Identifier.StudyDate", Source()),
        ("request.Identifier.RequestAttributesSequence[*].ScheduledProcedureStepID", Source()),
        ("resource.PatientID", Source()),
        ("instance.PatientID", Source()),
    ],
)
def test_one_raw_value_stands_at_a_plain_path(text: str, source: Source) -> None:
    path = parse_path(text)
    attribute = VOCABULARY.lookup(path)
    assert attribute is not None
    assert source_of(path, attribute.type) == source


def test_what_is_neither_text_nor_nothing_is_something_else() -> None:
    key = Source(IDENTIFIER, "PatientID")
    assert key.raw(Request("c-find", request={"Identifier": {"PatientID": "P"}})) == "P"
    assert key.raw(Request("c-find", request={"Identifier": {}})) is None
    assert key.raw(Request("c-find")) is None
    assert key.raw(Request("c-find", request={"Identifier": Unknown("it broke")})) is OTHER
    assert Source(ELSEWHERE, "").raw(Request("c-find")) is OTHER


def test_an_element_that_is_spelled_by_its_number_is_not_read_here() -> None:
    key = Source(IDENTIFIER, "PatientID")
    assert key.raw(Request("c-find", request={"Identifier": {"(0010,0020)": "P"}})) is OTHER
    assert key.raw(Request("c-find", request={"Identifier": {"PatientID": "Q", "00100020": "P"}})) is OTHER
    assert spelled_otherwise([key, Source(SUBJECT, "ae_title")]) == {"(0010,0020)", "00100020"}


class Missed:
    """Keeps the key of what was not known."""

    def __init__(self) -> None:
        self.keys: list[Key | None] = []

    def decided(self, key: Key | None, request: Request, now: datetime) -> Decision | None:
        self.keys.append(key)
        return None


def key_of(recall: Recall, request: Request) -> Key | None:
    missed = Missed()
    assert recall(missed, request, NOW) is None
    (key,) = missed.keys
    return key


def test_the_key_has_what_stands_at_all_sources() -> None:
    for counts in itertools.product(range(4), repeat=3):
        sources = [Source(place, f"n{number}") for place, count in zip((SUBJECT, REQUEST, IDENTIFIER), counts, strict=True) for number in range(count)]
        recall, at = recall_of(sources[::-1], {})
        subject, fields, identifier = ({f"n{number}": f"{place}/{number}" for number in range(9)} for place in (SUBJECT, REQUEST, IDENTIFIER))
        key = key_of(recall, Request("c-find", subject, {**fields, "Identifier": identifier}))
        assert key is not None
        assert len(key) == len(sources)
        assert [key[where] for where in at] == [f"{source.place}/{source.name[1:]}" for source in sources[::-1]]
        assert set(key_of(recall, Request("c-find")) or ()) <= {None}


def test_what_is_known_by_its_key_is_recalled_unless_it_has_a_resource() -> None:
    request = Request("c-find", {"ae_title": "A"}, {"Identifier": {"PatientID": "P"}})
    decision = Decision("allow", request)
    recall, _ = recall_of([Source(SUBJECT, "ae_title"), Source(IDENTIFIER, "PatientID")], {("A", "P"): decision})
    assert recall(Missed(), request, NOW) is decision
    assert key_of(recall, replaced(request, resource=())) == ("A", "P")
    assert key_of(recall, replaced(request, subject={"ae_title": "B"})) == ("B", "P")


@pytest.mark.parametrize(
    "identifier",
    [Unknown("it broke"), {"PatientID": "P", "(0010,0020)": "P"}, {"00100020": "P"}, OrderedDict(PatientID="P"), {"PatientID": ["P"]}],
    ids=["unknown", "spelled twice", "spelled by its number", "no dict", "a list"],
)
def test_what_takes_more_than_one_look_is_no_key(identifier: Any) -> None:
    recall, _ = recall_of([Source(IDENTIFIER, "PatientID")], {("P",): Decision("allow", Request("c-find"))})
    assert key_of(recall, Request("c-find", request={"Identifier": identifier})) is None
