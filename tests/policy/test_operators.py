from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from hirules.policy.operators import OPERATORS
from tests.policy.deciding import cases, policy_set, truth_of

TRUTHS = {True: True, False: False, "unknown": None}
TABLE = [(name, *case) for name, of_operator in cases("operators.yaml").items() for case in of_operator]


@pytest.mark.parametrize(("name", "condition", "parts", "expected"), TABLE, ids=[f"{name}-{number}" for number, (name, *_) in enumerate(TABLE)])
def test_operator(name: str, condition: str, parts: dict[str, Any], expected: object) -> None:
    assert truth_of(condition, **parts) is TRUTHS[expected]


def with_unknowns(data: Any) -> Iterator[Any]:
    """`data` with one of its values unknown, for each of them."""
    yield "?"
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        for worse in with_unknowns(value):
            yield {**data, key: worse} if isinstance(data, dict) else [*data[:key], worse, *data[key + 1 :]]


@pytest.mark.parametrize(("name", "condition", "parts", "expected"), TABLE, ids=[f"{name}-{number}" for number, (name, *_) in enumerate(TABLE)])
def test_a_value_that_becomes_unknown_never_turns_the_truth(name: str, condition: str, parts: dict[str, Any], expected: object) -> None:
    for part, given in parts.items():
        for worse in with_unknowns(given):
            if worse != "?":
                assert truth_of(condition, **{**parts, part: worse}) in (TRUTHS[expected], None)


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_has_cases_of_each_truth(name: str) -> None:
    assert {case[2] for case in cases("operators.yaml")[name]} == {True, False, "unknown"}


@pytest.mark.parametrize("name", OPERATORS)
def test_every_example_loads(name: str) -> None:
    condition = yaml.load(OPERATORS[name].example.replace("$agreements", "$pairs"), Loader=yaml.BaseLoader)
    action = "n-get" if "AttributeIdentifierList" in str(condition) else "c-get" if name == "starts_with" else "c-move"
    assert policy_set({"on": action, "when": condition, "deny": {}}).rules[0].when is not None


def test_what_negates_is_the_negation() -> None:
    assert {name: operator.negates for name, operator in OPERATORS.items() if operator.negates} == {
        f"not_{name}": name for name in ("equals", "in", "row_of", "glob", "regex", "cidr")
    }


EVERYTHING = "request.AttributeIdentifierList"


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ("{equals: PrinterName}", True), ("{not_equals: PrinterName}", False), ("{in: [PrinterName]}", True), ("{not_in: [PrinterName]}", False),
        ("{contains: PrinterName}", True), ("{contains_any: [PrinterName]}", True), ("{contains_all: [PrinterName, PrinterStatus]}", True),
        ("{glob: 'Printer*'}", True), ("{not_glob: 'Printer*'}", False), ("{regex: 'Printer.*'}", True), ("{starts_with: Printer}", True),
        ("{ends_with: Name}", True), ("{subset_of: [PrinterName]}", False), ("{every: {in: [PrinterName]}}", False), ("{exists: true}", False),
        ("{exists: false}", True), ("{count: {gte: 0}}", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("given", [{}, {"AttributeIdentifierList": []}, {"AttributeIdentifierList": None}])
def test_where_empty_means_everything(matcher: str, expected: bool | None, given: dict[str, Any]) -> None:
    assert truth_of(f"{{{EVERYTHING}: {matcher}}}", "n-get", request=given) is expected


def test_where_both_sides_mean_everything() -> None:
    condition = f"{{{EVERYTHING}: {{contains_all: [{{path: original.{EVERYTHING}}}]}}}}"
    assert truth_of(condition, "n-get", request={}) is True


def test_a_zero_length_key_of_a_query_is_present_without_a_value() -> None:
    query = {"Identifier": {"PatientName": "", "RequestAttributesSequence": [{"RequestedProcedureID": ""}]}}
    assert truth_of("{request.Identifier.PatientName: {exists: true}}", "c-find", request=query) is True
    assert truth_of("{request.Identifier.PatientName: {equals: A}}", "c-find", request=query) is False
    assert truth_of("{request.Identifier.PatientName: {universal: true}}", "c-find", request=query) is True
    assert truth_of("{request.Identifier.RequestAttributesSequence: {item: {RequestedProcedureID: {exists: true}}}}", "c-find", request=query) is True
    assert truth_of("{request.Identifier.PatientBirthDate: {exists: true}}", "c-find", request=query) is False
    assert truth_of("{request.Identifier.PatientBirthDate: {exists: true}}", "c-find", request={"Identifier": {"PatientBirthDate": None}}) is False
    assert truth_of("{request.Identifier.PatientName: {exists: true}}", "c-move", request=query) is False


def test_operators_of_one_matcher_may_be_met_by_several_values() -> None:
    series = {"resource": {"SeriesNumber": [1, 9]}}
    assert truth_of("{resource.SeriesNumber: {gt: 5, lt: 3}}", **series) is True
    assert truth_of("{resource.SeriesNumber: {every: {gt: 0, lt: 10}}}", **series) is True
