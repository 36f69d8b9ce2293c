"""Requests that are found for conditions: each satisfies its condition, by the reference evaluator."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from hirules.model.request import Request
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.conditions import holds
from hirules.policy.entities import entities_of
from hirules.policy.lint.terms import terms
from hirules.policy.lint.witness import Found, Search
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from tests.policy.loading import compiled

NOW = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
SEARCH = Search(VOCABULARY, OPERATORS, ZoneInfo("UTC"), NOW)
PAIRS = "lists: {pairs: {file: pairs.csv}}\n"
FILE = "peer,place\nada,WS1\n"


def found(text: str, on: str = "c-move") -> Found | None:
    rule = compiled(f"when: {text}", on=on, head=PAIRS, pairs_csv=FILE)
    assert rule.when is not None
    one = next(SEARCH.satisfying(on, terms(rule.when, OPERATORS) or ()), None)
    if one is not None:
        entity = entities_of(one.request.resource, VOCABULARY.actions[on].has_resource)[0]
        assert holds(rule.when, View(one.request, one.request, entity, one.now, ZoneInfo("UTC")), OPERATORS).truth is True
    return one


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("{subject.ae_title: WARD_1, subject.address: {cidr: 10.1.0.0/16, not_cidr: 10.1.0.0/24}}", "associate"),
        ("{subject.address: {cidr: 2001:db8::/32}}", "associate"),
        ("{subject.ae_title: {regex: '(WS|RES)_[0-9]{2}[^A-Z]?\\d', not_equals: X}}", "c-find"),
        ("{subject.ae_title: {starts_with: RES_, ends_with: _1}}", "c-find"),
        ("{resource.StudyDate: {older_than: 90d, newer_than: 400d}}", "c-move"),
        ("{resource.StudyDate: {gt: 2025-12-30, lt: 2026-01-01}}", "c-move"),
        ("{resource.StudyDate: {gte: {today: -31d}}}", "c-move"),
        ("{resource.ModalitiesInStudy: {contains_all: [CT, SR], not_in: [MR]}}", "c-move"),
        ("{resource.ModalitiesInStudy: {count: {gt: 3}}}", "c-move"),
        ("{resource.count: {gt: 1}, resource.instance_count: {gt: 500}}", "c-move"),
        ("{context.now: {weekday: [sat, sun], time_between: ['20:00', '06:00']}}", "c-move"),
        ("{subject.user: {equals: {path: subject.stated_user}, not_equals: OTHER}}", "c-move"),
        ("{subject.user: {row_of: {list: $pairs, match: {peer: subject.user, place: request.MoveDestination}}}}", "c-move"),
        ("{request.Identifier.StudyDate: {range_wider_than: 31d, wildcard: false, universal: false}}", "c-find"),
        ("{request.Identifier.PatientID: {wildcard: true}, request.keys: {contains: PatientName}}", "c-find"),
        ("{request.Identifier.ScheduledProcedureStepSequence: {item: {Modality: CT, ScheduledStationAETitle: {glob: 'WS_*'}}}}", "c-find"),
        ("{request.AttributeIdentifierList: {subset_of: [PrinterName]}}", "n-get"),
        ("{request.force: true, request.kind: update-and-remove, request.updated: {contains: Patient.PatientName}}", "update-image-set-metadata"),
        ("{request.kind: revert, resource.imageSetState: ACTIVE}", "update-image-set-metadata"),
        ("{instance.Modality: {not_equals: SR, exists: true}, instance.Rows: {gt: 100}, request.action: c-get}", "release"),
        ("{instance.private: {exists: false}, original.request.MoveDestination: HOME}", "release"),
        ("{instance.PatientBirthDate: {newer_than: 18y}}", "answer"),
        ("{subject.user: {exists: false}, subject.roles: {exists: true, not_in: [guest]}}", "get-image-set"),
        ("{not: {any: [{subject.user: a}, {request.MoveDestination: {in: [X, Y]}}]}, request.MoveDestination: {exists: true}}", "c-move"),
        ("{'request.searchCriteria.filters[*].values[*].DICOMPatientId': {contains: P1}}", "search-image-sets"),
        ("{'instance.(0009,\"GEMS_IDEN_01\",01)': {contains: x}, 'instance.(60xx,3000)': {exists: false}}", "c-store"),
    ],
)
def test_a_request_is_found(text: str, on: str) -> None:
    assert found(text, on) is not None


def test_none_is_found_where_there_is_none() -> None:
    assert found("{subject.user: {equals: a, not_equals: a}}") is None


def test_a_request_carries_no_more_than_is_asked() -> None:
    one = found("{subject.ae_title: WARD_1}")
    assert one == Found(Request("c-move", {"ae_title": "WARD_1"}, {}), NOW)
