from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from hirules.facts import LookupFailed, Lookups
from hirules.model.reading import Fields
from hirules.model.request import Request, replaced
from hirules.model.vocabulary import VOCABULARY

NEEDED = frozenset({"PatientID"})
MOVE = Request("c-move", request={"Identifier": {"StudyInstanceUID": "1.2"}})


class Archive:
    """Answers look-ups and counts them."""

    def __init__(self, *answers: object) -> None:
        self.answers = list(answers)
        self.asked: list[frozenset[str]] = []

    def __call__(self, request: Request, needed: frozenset[str]) -> list[Mapping[str, object]]:
        self.asked.append(needed)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]


def test_entities_and_their_cost() -> None:
    answer = Lookups(VOCABULARY).entities(replaced(MOVE, lookup=Archive([{"PatientID": "P1"}])), NEEDED)
    assert answer.entities == [{"PatientID": "P1"}]
    assert (answer.source, answer.needed, answer.error, answer.cached) == ("lookup", ("PatientID",), None, False)
    assert answer.milliseconds > 0


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (LookupFailed("the archive refused"), "the archive refused"),
        (ValueError("PATIENT-1"), "raised ValueError"),
        ("text", "did not answer a list of entities"),
        ([1], "did not answer a list of entities"),
        (None, "did not answer a list of entities"),
    ],
)
def test_a_failure_says_why_and_quotes_nothing(failure: object, why: str) -> None:
    answer = Lookups(VOCABULARY).entities(replaced(MOVE, lookup=Archive(failure)), NEEDED)
    assert answer.entities is None
    assert answer.error is not None
    assert why in answer.error
    assert "PATIENT-1" not in answer.error


def test_a_late_look_up_is_a_failure() -> None:
    go_on = threading.Event()

    def hang(request: Request, needed: frozenset[str]) -> list[Fields]:
        go_on.wait(60)
        return []

    answer = Lookups(VOCABULARY, seconds=0.01).entities(replaced(MOVE, lookup=hang), NEEDED)
    go_on.set()
    assert answer.error == "no answer within 0.01 s"


def test_the_answer_for_a_retrieval_is_kept() -> None:
    archive, lookups = Archive([{"PatientID": "P1"}]), Lookups(VOCABULARY, cache_seconds=30)
    request = replaced(MOVE, lookup=archive)
    lookups.entities(request, NEEDED)
    again = lookups.entities(replaced(request, subject={"ae_title": "OTHER"}), NEEDED)
    assert again.cached
    assert again.entities == [{"PatientID": "P1"}]
    assert len(archive.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        replaced(MOVE, request={"Identifier": {"StudyInstanceUID": "1.3"}}),
        replaced(MOVE, action="c-get"),
        replaced(MOVE, request={"Identifier": {"StudyInstanceUID": "1.2"}, "AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.2.1.2"}),
    ],
    ids=["identifier", "action", "model"],
)
def test_what_reaches_something_else_is_asked_anew(other: Request) -> None:
    archive, lookups = Archive([{}]), Lookups(VOCABULARY, cache_seconds=30)
    lookups.entities(replaced(MOVE, lookup=archive), NEEDED)
    lookups.entities(replaced(other, lookup=archive), NEEDED)
    lookups.entities(replaced(MOVE, lookup=archive), NEEDED | {"StudyDate"})
    assert len(archive.asked) == 3


def test_failures_are_not_kept() -> None:
    archive, lookups = Archive(LookupFailed("down"), [{"PatientID": "P1"}]), Lookups(VOCABULARY, cache_seconds=30)
    request = replaced(MOVE, lookup=archive)
    assert lookups.entities(request, NEEDED).error == "down"
    assert lookups.entities(request, NEEDED).entities == [{"PatientID": "P1"}]


def test_another_clients_look_up_is_another_answer() -> None:
    lookups = Lookups(VOCABULARY, cache_seconds=30)
    lookups.entities(replaced(MOVE, lookup=Archive([{"PatientID": "P1"}])), NEEDED)
    assert lookups.entities(replaced(MOVE, lookup=Archive([{"PatientID": "P2"}])), NEEDED).entities == [{"PatientID": "P2"}]


def test_what_a_change_is_decided_on_is_asked_anew() -> None:
    archive, lookups = Archive([{"imageSetState": "ACTIVE"}]), Lookups(VOCABULARY, cache_seconds=30)
    update = Request("update-image-set-metadata", request={"imageSetId": "x"}, lookup=archive)
    for _ in range(2):
        assert not lookups.entities(update, frozenset({"imageSetState"})).cached
    assert len(archive.asked) == 2


def test_plugins_facts_are_asked_each_time() -> None:
    lookups = Lookups(VOCABULARY)
    answer = lookups.facts("plugin:x", frozenset({"context.closed"}), lambda: (None, {"closed": True}))
    assert msgspec.structs.replace(answer, milliseconds=0.0).context == {"closed": True}

    def fail() -> tuple[None, Fields]:
        raise RuntimeError("no")

    assert lookups.facts("plugin:x", frozenset(), fail).error == "raised RuntimeError"


class Waiting(Archive):
    """Answers when the test says so."""

    def __init__(self, *answers: object) -> None:
        super().__init__(*answers)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, request: Request, needed: frozenset[str]) -> list[Mapping[str, object]]:
        self.begun.set()
        assert self.go_on.wait(30)
        return super().__call__(request, needed)


def test_nothing_from_before_a_change_is_given_again() -> None:
    archive, lookups = Waiting([{"PatientID": "P1"}], [{"PatientID": "P2"}]), Lookups(VOCABULARY, cache_seconds=30)
    request = replaced(MOVE, lookup=archive)
    with ThreadPoolExecutor(1) as executor:
        early = executor.submit(lookups.entities, request, NEEDED)
        assert archive.begun.wait(30)
        lookups.forget()
        archive.go_on.set()
        assert early.result(30).entities == [{"PatientID": "P1"}]
    assert lookups.entities(request, NEEDED).entities == [{"PatientID": "P2"}]
    assert lookups.entities(request, NEEDED).cached
    lookups.forget()
    assert not lookups.entities(request, NEEDED).cached


@pytest.mark.parametrize("answer", [[{"PatientID": "P1"}], LookupFailed("down")], ids=["found", "failed"])
def test_equal_look_ups_at_the_same_time_are_one(answer: object) -> None:
    aboard = threading.Semaphore(0)

    class Watched(Lookups):
        def _awaited(self, flight: Any, needed: frozenset[str]) -> Any:
            aboard.release()
            return super()._awaited(flight, needed)

    archive, lookups = Waiting(answer), Watched(VOCABULARY, cache_seconds=0)
    request = replaced(MOVE, lookup=archive)
    with ThreadPoolExecutor(4) as executor:
        first = executor.submit(lookups.entities, request, NEEDED)
        assert archive.begun.wait(30)
        others = [executor.submit(lookups.entities, request, NEEDED) for _ in range(3)]
        assert all(aboard.acquire(timeout=30) for _ in others)
        archive.go_on.set()
        answers = [each.result(30) for each in (first, *others)]
    assert len(archive.asked) == 1
    assert len({str((each.entities, each.error)) for each in answers}) == 1
    assert [each.cached for each in answers] == [False, *([answers[0].error is None] * 3)]
