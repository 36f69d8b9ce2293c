"""What follows for one path: each entailment and contradiction by hand, and what must not follow."""

from __future__ import annotations

import pytest

from hirules.policy.lint.proofs import Prover
from hirules.policy.operators import OPERATORS
from tests.policy.lint.conditions import UTC, condition, literals

PROVER = Prover(OPERATORS, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "{all: [{subject.user: a}, {subject.user: b}]}",
        "{subject.user: {in: [a, b], not_in: [a, b, c]}}",
        "{subject.user: {exists: false, equals: a}}",
        "{subject.user: {exists: false}, not: {subject.user: {exists: false}}}",
        "{subject.ae_title: {starts_with: RES, equals: ward}}",
        "{subject.ae_title: {glob: 'A*', ends_with: B, not_glob: 'a*b'}, not: {subject.ae_title: {glob: 'A*'}}}",
        "{resource.StudyDate: {gt: 2025-12-31, lt: 2026-01-01}}",
        "{resource.StudyDate: {between: [2025-01-01, 2025-02-01], gt: 2025-02-01}}",
        "{resource.instance_count: {gte: 5, lt: 5}}",
        "{resource.PatientWeight: {gt: 70, lte: 70}}",
        "{resource.ModalitiesInStudy: {contains: SR, subset_of: [CT, MR]}}",
        "{resource.ModalitiesInStudy: {contains_all: [CT, SR], not_in: [SR]}}",
        "{resource.ModalitiesInStudy: {every: {in: [CT], not_equals: CT}}}",
        "{request.Identifier.PatientID: {equals: P1, starts_with: X}}",
        "{request.Priority: {equals: 1, gt: 1}}",
        "{context.purpose_verified: {equals: true, not_in: [true]}}",
        "{context.purpose_verified: {not_in: [true, false], exists: true}}",
        "{context.now: {exists: false}}",
        "{subject.address: {cidr: 10.1.0.0/16, not_cidr: 10.0.0.0/8}}",
        "{all: [{subject.address: {cidr: 10.1.0.0/16}}, {subject.address: {cidr: [10.2.0.0/16, fd00::/8]}}]}",
    ],
)
def test_what_excludes_each_other(text: str) -> None:
    assert PROVER.impossible(literals(text)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "{all: [{resource.ModalitiesInStudy: CT}, {resource.ModalitiesInStudy: SR}]}",  # one of several each
        "{resource.ModalitiesInStudy: {contains: CT, not_equals: SR}}",
        "{subject.user: {not_in: [a, b], not_equals: c}}",  # absent, or another
        "{subject.ae_title: {glob: 'A*', ends_with: B}}",
        "{subject.ae_title: {regex: A.*, starts_with: B}}",  # nothing is concluded from a pattern of RE2
        "{resource.StudyDate: {gte: 2025-12-31, lt: 2026-01-01}}",
        "{resource.PatientWeight: {gte: 70, lte: 70}}",
        "{request.AttributeIdentifierList: {contains: PrinterName, exists: false}}",  # absent is everything
        "{request.Identifier.PatientID: {exists: true, not_equals: P1}}",
        "{context.purpose_verified: {not_in: [true, false]}}",
        "{subject.user: {equals: {path: subject.stated_user}, not_equals: a}}",
        "{request.Identifier.PatientID: {wildcard: true, equals: P1}}",  # they read the key in two ways
    ],
)
def test_what_can_be_so_at_once(text: str) -> None:
    assert PROVER.impossible(literals(text, on="n-get" if "AttributeIdentifierList" in text else "c-move")) is None


FOLLOWS = [
    ("{subject.user: a}", "{subject.user: [a, b]}"),
    ("{subject.user: [a, b]}", "{subject.user: {exists: true}}"),
    ("{subject.user: [a, b]}", "{subject.user: {not_equals: c}}"),
    ("{subject.user: {not_in: [a, b, c]}}", "{subject.user: {not_in: [a, b]}}"),
    ("{subject.user: {exists: false}}", "{subject.user: {not_in: [a, b]}}"),
    ("{subject.ae_title: ward_1}", "{subject.ae_title: {glob: WARD*}}"),
    ("{subject.ae_title: {glob: WARD_S*}}", "{subject.ae_title: {glob: 'WARD_*'}}"),
    ("{subject.ae_title: {glob: WARD_*}}", "{subject.ae_title: {starts_with: WARD}}"),
    ("{subject.ae_title: {not_glob: 'WARD*'}}", "{subject.ae_title: {not_glob: 'WARD_1*'}}"),
    ("{subject.address: {cidr: 10.1.0.0/16}}", "{subject.address: {cidr: [10.0.0.0/8, fd00::/8]}}"),
    ("{subject.address: {cidr: 10.1.0.0/16}}", "{subject.address: {not_cidr: 10.2.0.0/16}}"),
    ("{subject.address: 10.1.2.3}", "{subject.address: {cidr: 10.0.0.0/8}}"),
    ("{resource.StudyDate: {lt: 2015-01-01}}", "{resource.StudyDate: {lte: 2020-01-01}}"),
    ("{resource.StudyDate: {between: [2020-01-01, 2020-12-31]}}", "{resource.StudyDate: {gte: 2019-01-01, lt: 2021-01-01}}"),
    ("{resource.StudyDate: {older_than: 1y}}", "{resource.StudyDate: {older_than: 1y}}"),
    ("{resource.StudyDate: {older_than: 90d}}", "{resource.StudyDate: {older_than: 4w}}"),
    ("{resource.ModalitiesInStudy: {contains: CT}}", "{resource.ModalitiesInStudy: {contains_any: [CT, MR]}}"),
    ("{resource.ModalitiesInStudy: {subset_of: [CT]}}", "{resource.ModalitiesInStudy: {every: {in: [CT, MR]}}}"),
    ("{resource.ModalitiesInStudy: {subset_of: [CT]}}", "{resource.ModalitiesInStudy: {not_in: [SR]}}"),
    ("{resource.ModalitiesInStudy: {subset_of: [CT]}}", "{resource.ModalitiesInStudy: {contains: CT}}"),
    ("{context.now: {weekday: sat}}", "{context.now: {weekday: [sat, sun]}}"),
    ("{subject.user: {equals: {path: subject.stated_user}}}", "{subject.user: {equals: {path: subject.stated_user}}}"),
]
NOT = [
    ("{subject.user: [a, b]}", "{subject.user: a}"),
    ("{subject.user: {not_equals: c}}", "{subject.user: {exists: true}}"),
    ("{subject.user: a}", "{subject.ae_title: A}"),
    ("{subject.ae_title: {starts_with: WARD_1}}", "{subject.ae_title: {glob: 'WARD*'}}"),  # unknown for a text that is no UTF-8
    ("{subject.ae_title: {glob: 'WARD*'}}", "{subject.ae_title: {glob: WARD_S*}}"),
    ("{resource.ModalitiesInStudy: {contains: CT}}", "{resource.ModalitiesInStudy: {subset_of: [CT]}}"),
    ("{resource.ModalitiesInStudy: {contains: CT}}", "{resource.ModalitiesInStudy: {not_equals: SR}}"),
    ("{resource.ModalitiesInStudy: {contains: CT}}", "{resource.ModalitiesInStudy: {every: {exists: true}}}"),  # some of them may be unknown
    ("{resource.ModalitiesInStudy: {not_in: [SR]}}", "{resource.ModalitiesInStudy: {every: {not_equals: SR}}}"),  # false where absent
    ("{request.Identifier.PatientID: {wildcard: false}}", "{request.Identifier.PatientID: {not_equals: P1}}"),
    ("{resource.StudyDate: {older_than: 365d}}", "{resource.StudyDate: {older_than: 1y}}"),  # a year may have 366 days
    ("{resource.StudyDate: {lt: 2020-01-01}}", "{resource.StudyDate: {lt: 2015-01-01}}"),
    ("{subject.address: {cidr: 10.0.0.0/8}}", "{subject.address: {cidr: 10.1.0.0/16}}"),
]


@pytest.mark.parametrize(("text", "wider"), FOLLOWS)
def test_what_follows(text: str, wider: str) -> None:
    assert PROVER.follows(literals(text), condition(wider), True)
    # and then it excludes the opposite
    assert not PROVER.follows(literals(text), condition(wider), False)


@pytest.mark.parametrize(("text", "other"), NOT)
def test_what_does_not_follow(text: str, other: str) -> None:
    assert not PROVER.follows(literals(text), condition(other), True)


def test_conditions_follow_by_their_parts() -> None:
    known = literals("{subject.user: a, subject.ae_title: {glob: 'WARD*'}}")
    assert PROVER.follows(known, condition("{subject.user: [a, b], not: {subject.ae_title: RES}}"), True)
    assert PROVER.follows(known, condition("{any: [{subject.user: z}, {subject.ae_title: {starts_with: W}}]}"), True)
    assert PROVER.follows(known, condition("{all: [{subject.user: z}, {subject.tls.cn: x}]}"), False)
    assert not PROVER.follows(known, condition("{any: [{subject.user: z}, {subject.tls.cn: x}]}"), False)


def test_a_contradiction_is_reduced_to_what_makes_it() -> None:
    culprit = PROVER.impossible(literals("{subject.user: {exists: true, in: [a, b], not_equals: z, starts_with: c}}"))
    assert culprit is not None
    assert [one.check.operator for one in PROVER.reduced(culprit)] == ["in", "starts_with"]


def test_nothing_follows_for_a_path_of_which_nothing_is_said() -> None:
    """It may be unknown, although every value that it may have would do."""
    on = "update-image-set-metadata"
    assert not PROVER.follows(literals("{subject.user: a}", on), condition("{request.force: [true, false]}", on), True)
    assert PROVER.follows(literals("{request.force: {exists: true}}", on), condition("{request.force: [true, false]}", on), True)
