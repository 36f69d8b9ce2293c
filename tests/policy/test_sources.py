import itertools

import pytest

from hirules.model.path import parse_path
from hirules.model.reading import Unknown
from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.sources import ELSEWHERE, IDENTIFIER, OTHER, REQUEST, SUBJECT, Source, reader_of, source_of, spelled_otherwise


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


def test_a_reader_reads_all_sources_at_once() -> None:
    for counts in itertools.product(range(4), repeat=3):
        sources = [Source(place, f"n{number}") for place, count in zip((SUBJECT, REQUEST, IDENTIFIER), counts, strict=True) for number in range(count)]
        read, at = reader_of(sources[::-1])
        key = read(*({f"n{number}": (place, number) for number in range(9)} for place in (SUBJECT, REQUEST, IDENTIFIER)))
        assert len(key) == len(sources)
        assert [key[where] for where in at] == [(source.place, int(source.name[1:])) for source in sources[::-1]]
        assert set(read({}, {}, {})) <= {None}
