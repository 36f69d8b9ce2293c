import pytest

from hirules.model.path import parse_path
from hirules.model.reading import Unknown
from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.sources import ELSEWHERE, IDENTIFIER, OTHER, REQUEST, SUBJECT, Source, source_of


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
