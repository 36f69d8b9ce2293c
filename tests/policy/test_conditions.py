from __future__ import annotations

from itertools import product
from zoneinfo import ZoneInfo

import pytest
import yaml

from hirules.policy.conditions import Outcome, applies
from hirules.policy.entities import entities_of
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from hirules.policy.truth import Truth, kleene_all, kleene_any, kleene_not
from tests.policy.deciding import NOW, ZONE, policy_set, request, truth_of

TRUTHS: tuple[Truth, ...] = (True, False, None)
OF = {True: "{subject.ae_title: A}", False: "{subject.ae_title: B}", None: "{subject.user: x}"}
GIVEN = {"subject": {"ae_title": "A", "user": "?"}}


@pytest.mark.parametrize(("one", "other"), list(product(TRUTHS, TRUTHS)))
def test_all_any_not_follow_kleene(one: Truth, other: Truth) -> None:
    both = (one, other)
    expected_all = False if False in both else None if None in both else True
    expected_any = True if True in both else None if None in both else False
    assert truth_of(f"{{all: [{OF[one]}, {OF[other]}]}}", **GIVEN) is expected_all is kleene_all(both)
    assert truth_of(f"{{any: [{OF[one]}, {OF[other]}]}}", **GIVEN) is expected_any is kleene_any(both)
    assert truth_of(f"{{not: {OF[one]}}}", **GIVEN) is (None if one is None else not one) is kleene_not(one)


def test_a_mapping_holds_when_every_entry_does() -> None:
    assert truth_of("{subject.ae_title: A, subject.called_ae_title: C}", subject={"ae_title": "A", "called_ae_title": "C"}) is True
    assert truth_of("{subject.ae_title: A, subject.called_ae_title: C}", subject={"ae_title": "A", "called_ae_title": "D"}) is False


def test_every_operator_of_a_matcher_must_hold() -> None:
    assert truth_of("{subject.user: {starts_with: a, ends_with: z}}", subject={"user": "abz"}) is True
    assert truth_of("{subject.user: {starts_with: a, ends_with: z}}", subject={"user": "abc"}) is False


def outcome(when: str, unless: str | None, **parts: object) -> Outcome:
    rule = {"on": "c-move", "when": yaml.load(when, Loader=yaml.BaseLoader), "deny": {}}
    if unless is not None:
        rule["unless"] = yaml.load(unless, Loader=yaml.BaseLoader)
    (found,) = policy_set(rule).rules
    one = request("c-move", **parts)
    view = View(one, one, entities_of(one.resource, True)[0], NOW, ZoneInfo(ZONE))
    return applies(found.when, found.unless, view, OPERATORS, None)


@pytest.mark.parametrize(("when", "unless"), list(product(TRUTHS, TRUTHS)))
def test_a_rule_applies_when_when_holds_and_unless_does_not(when: Truth, unless: Truth) -> None:
    assert outcome(OF[when], OF[unless], **GIVEN).truth is kleene_all((when, kleene_not(unless)))


def test_only_what_left_the_whole_unknown_is_reported() -> None:
    assert outcome("{any: [{subject.user: x}, {subject.ae_title: A}]}", None, **GIVEN) == Outcome(True)
    assert outcome("{all: [{subject.user: x}, {subject.ae_title: B}]}", None, **GIVEN) == Outcome(False)
    found = outcome("{any: [{subject.user: x}, {resource.PatientID: P}]}", None, **GIVEN)
    assert [(missing.path, missing.why) for missing in found.missing] == [
        ("subject.user", "the test says so"),
        ("resource.PatientID", "the resource was not given"),
    ]
    assert all(missing.position is not None and missing.position.file == "p.yaml" for missing in found.missing)


def test_an_unknown_operand_is_reported_with_its_own_path() -> None:
    found = outcome("{request.Identifier.PatientID: {equals: {path: subject.user}}}", None, subject={"user": "?"}, request={"Identifier": {"PatientID": "P"}})
    assert [missing.path for missing in found.missing] == ["subject.user"]


def test_a_value_without_order_is_reported() -> None:
    found = outcome("{resource.StudyDate: {lt: 2020-01-01}}", None, resource={"StudyDate": "2019"})
    assert [(missing.path, missing.why) for missing in found.missing] == [("resource.StudyDate", "its value cannot be compared so")]


def test_unknowns_inside_an_item_are_reported() -> None:
    parts = {"request": {"Identifier": {"RequestAttributesSequence": [{"StudyID": "?"}]}}}
    found = outcome("{request.Identifier.RequestAttributesSequence: {item: {StudyID: A}}}", None, **parts)
    assert [missing.path for missing in found.missing] == ["item.StudyID"]


def test_an_operator_that_the_tables_do_not_have_is_unknown() -> None:
    (rule,) = policy_set({"on": "c-move", "when": {"subject.user": "x"}, "deny": {}}).rules
    one = request(subject={"user": "x"})
    view = View(one, one, entities_of(None, True)[0], NOW, ZoneInfo(ZONE))
    assert applies(rule.when, None, view, {}, None).truth is None
