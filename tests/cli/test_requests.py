from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from hirules.cli.requests import InvalidRequest, read_request
from hirules.model.vocabulary import VOCABULARY

WHOLE = {
    "action": "c-move", "id": "r1",
    "subject": {"ae_title": "RES_1", "address": "10.1.2.3"},
    "request": {"MoveDestination": "NOWHERE", "Identifier": {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"}},
    "resource": [{"PatientID": "P1", "StudyDate": None}], "resource_after": [],
    "context": {"now": "2026-03-02T10:00:00+01:00"},
}  # fmt: skip


def test_json() -> None:
    request = read_request(json.dumps(WHOLE).encode(), VOCABULARY)
    assert (request.action, request.id) == ("c-move", "r1")
    assert request.resource == ({"PatientID": "P1", "StudyDate": None},)
    assert request.resource_after == ()
    assert request.context["now"] == datetime(2026, 3, 2, 10, tzinfo=timezone(timedelta(hours=1)))


def test_yaml_keeps_the_source_text() -> None:
    text = b"action: c-move\nrequest: {Identifier: {PatientID: 00123, PatientName: ~}}\n"
    assert read_request(text, VOCABULARY).request == {"Identifier": {"PatientID": "00123", "PatientName": None}}


def test_what_is_left_out_is_not_given() -> None:
    request = read_request(b'{"action": "c-move"}', VOCABULARY)
    assert request.resource is None
    assert request.resource_after is None
    assert request.instance is None
    assert dict(request.request) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the input is empty"),
        ("[]", "a request is a mapping"),
        ("7", "a request is a mapping"),
        ("{}", "`action` is missing"),
        ('{"action": 7}', "`action` is a text"),
        ('{"action": "c-mvoe"}', "did you mean `c-move`?"),
        ('{"action": "c-move", "requests": {}}', "`requests` is no key of a request; did you mean `request`?"),
        ('{"action": "c-move", "request": []}', "`request` is a mapping"),
        ('{"action": "c-move", "resource": {}}', "`resource` is a list of mappings"),
        ('{"action": "c-move", "resource": [1]}', "`resource` is a list of mappings"),
        ('{"action": "c-find", "resource": []}', "`c-find` has no `resource`"),
        ('{"action": "c-move", "request": {"MoveDestinaton": "X"}}', "did you mean `request.MoveDestination`?"),
        ('{"action": "c-find", "request": {"MoveDestination": "X"}}', "`request.MoveDestination` is no attribute of `c-find`"),
        ('{"action": "c-move", "request": {"Identifier.PatientID": "X"}}', "names are nested mappings"),
        ('{"action": "c-move", "request": {"Identifier": {"PatinetID": "X"}}}', "`request.Identifier.PatinetID` is no attribute"),
        ('{"action": "c-move", "resource": [{"imageSetState": "X"}]}', "`resource.imageSetState` is no attribute of `c-move`"),
        ('{"action": "c-move", "context": {"now": "10:00"}}', "`context.now` is a date and time with its offset"),
        ('{"action": "c-move", "context": {"now": "2026-03-02T10:00:00"}}', "`context.now` is a date and time with its offset"),
        ('{"action": "c-move", "id": 7}', "`id` is a text"),
        ('{"action": "c-move", "action": "c-get"}', "the key `action` stands twice"),
        ('{"action": "c-move", "request": {"Priority": NaN}}', "`NaN` is no JSON"),
        ('{"action": "c-move", "request": {"MessageID": ' + "1" * 5000 + "}}", "a number has more than 100 digits"),
        ('{"action": "c-move", "request": {"Priority": 1e400}}', "a number is too large"),
        ('{"action": "c-move", "subject": {"user": "\\ud800"}}', "half a character is no text"),
        ('{"action": "c-move", "subject": {"\\udfff": "x"}}', "half a character is no text"),
        ('{"action": "update-image-set-metadata", "request": {"removed": ["Patient.00100020"]}}', "`request.removed` can be read in two ways"),
        ('{"action": "c-move"', "line 1, column 20"),
        ('{"action": ' + "[" * 100 + "]" * 100 + "}", "nested too deep"),
        ("action: c-move\naction: c-get\n", "line 2, column 1"),
        ("action: [c-move\n", "line 2, column 1: did not find expected"),
        ("action: !!str c-move\n", "line 1"),
    ],
)
def test_what_is_no_request_says_why(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        read_request(text.encode(), VOCABULARY)
    assert said in str(raised.value)


def test_json_lines_are_json() -> None:
    with pytest.raises(InvalidRequest, match="line 1, column 1"):
        read_request(b"action: c-move", VOCABULARY, json_only=True)


def test_bytes_that_are_no_text() -> None:
    with pytest.raises(InvalidRequest, match="not UTF-8"):
        read_request(b'{"action": "\xff"}', VOCABULARY)
