from __future__ import annotations

import pytest

from hirules.policy.lint.terms import MOST_TERMS, Term, canonical_condition, terms, terms_of
from hirules.policy.operators import OPERATORS
from tests.policy.lint.conditions import condition
from tests.policy.loading import compiled


def shown(found: list[Term] | None) -> list[list[str]]:
    assert found is not None
    return [[f"{'' if one.sign else 'not '}{one.name} {one.check.operator}" for one in term] for term in found]


def test_every_entry_is_one_term_and_every_branch_one_of_its_own() -> None:
    found = terms(condition("{subject.user: {exists: true, not_equals: a}, any: [{subject.ae_title: A}, {subject.address: 10.1.2.3}]}"), OPERATORS)
    assert shown(found) == [
        ["subject.user exists", "not subject.user equals", "subject.ae_title equals"],
        ["subject.user exists", "not subject.user equals", "subject.address equals"],
    ]


def test_what_makes_a_condition_false_is_turned_round() -> None:
    wanted = condition("{subject.user: {exists: true, not_equals: a}, not: {subject.ae_title: A}}")
    assert shown(terms(wanted, OPERATORS, want=False)) == [["not subject.user exists"], ["subject.user equals"], ["subject.ae_title equals"]]


def test_unless_is_a_negation_and_no_condition_one_empty_term() -> None:
    rule = compiled("when: {subject.user: a}\nunless: {subject.ae_title: [A, B]}")
    assert shown(terms_of(rule, OPERATORS)) == [["subject.user equals", "not subject.ae_title in"]]
    assert terms_of(compiled(""), OPERATORS) == [()]
    assert terms_of(compiled(""), OPERATORS, want=False) == []


def test_too_many_terms_are_none() -> None:
    branches = "{any: [" + ", ".join(f"{{subject.user: u{number}}}" for number in range(8)) + "]}"
    assert len(terms(condition(f"{{all: [{branches}, {branches}]}}"), OPERATORS) or ()) == 64 <= MOST_TERMS
    assert terms(condition(f"{{all: [{branches}, {branches}, {branches}]}}"), OPERATORS) is None
    assert terms(condition("{any: [" + ", ".join(f"{{subject.user: u{number}}}" for number in range(MOST_TERMS + 1)) + "]}"), OPERATORS) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("{subject.user: a, subject.ae_title: B}", "{subject.ae_title: B, subject.user: a}", True),
        ("{subject.user: a}", "{subject.user: b}", False),
        ("{subject.user: {in: [a]}}", "{subject.user: {not_in: [a]}}", False),
        ("{any: [{subject.user: a}, {subject.user: b}]}", "{any: [{subject.user: b}, {subject.user: a}]}", True),
        ("{any: [{subject.user: a}, {subject.user: b}]}", "{all: [{subject.user: a}, {subject.user: b}]}", False),
        ("{not: {subject.user: a}}", "{subject.user: a}", False),
        ("{resource.StudyDate: {older_than: 90d}}", "{resource.StudyDate: {older_than: 91d}}", False),
        ("{resource.ModalitiesInStudy: {every: {in: [CT]}}}", "{resource.ModalitiesInStudy: {every: {in: [CT]}}}", True),
        ("{subject.user: {equals: {path: subject.stated_user}}}", "{subject.user: {equals: {path: subject.tls.cn}}}", False),
    ],
)
def test_conditions_are_compared_whatever_their_place_and_order(one: str, other: str, same: bool) -> None:
    assert (canonical_condition(condition(one)) == canonical_condition(condition(other))) is same
