"""Conditions: what they become, and what keeps them from opening more than they say."""

from __future__ import annotations

import pytest

from hirules.model.scalars import Type
from hirules.policy import ast
from hirules.policy.ast import All, Any, Check, Items, ListOperand, Nested, Not, Operands, PathOperand, Row, Value
from tests.policy.loading import codes, compiled, marked, only, rule

TABLE = "lists:\n  pairs: [{ae: RES_1, peer: PACS}]\n  nodes: [WS_1, ws_2]\n"
ALLOW = "allow: {}"


def test_a_matcher_is_a_value_a_list_or_operators() -> None:
    found = compiled("when: {subject.ae_title: ws_1, subject.user: [a, b], request.Priority: {gte: 1, lt: 3}}").when
    assert isinstance(found, All)
    one, several, both = (test for test in found.conditions if isinstance(test, ast.Test))
    assert one.checks[0] == Check("equals", Operands((Value("WS_1"),)), one.checks[0].position)
    assert (several.checks[0].operator, several.checks[0].argument) == ("in", Operands((Value("a"), Value("b"))))
    assert [(check.operator, check.argument) for check in both.checks] == [("gte", Operands((Value(1),))), ("lt", Operands((Value(3),)))]
    assert str(both.position) == "p.yaml:6:58"


def test_conditions_are_joined_and_turned_round() -> None:
    found = compiled("when: {any: [{subject.user: a}, {all: [{subject.user: b}, {not: {subject.user: c}}]}]}").when
    assert isinstance(found, Any)
    second = found.conditions[1]
    assert isinstance(second, All)
    assert isinstance(second.conditions[1], Not)


def test_operands_are_other_attributes_days_and_lists() -> None:
    found = compiled(
        "when: {subject.user: {path: subject.stated_user}, resource.StudyDate: {gte: {today: -31d}}, subject.ae_title: {in: $nodes}}", head=TABLE
    ).when
    assert isinstance(found, All)
    user, date, title = (test.checks[0].argument for test in found.conditions if isinstance(test, ast.Test))
    assert isinstance(user, Operands)
    assert isinstance(user.operands[0], PathOperand)
    assert "Today(offset=Duration(amount=-31, unit='d'))" in repr(date)
    assert title == Operands((ListOperand("nodes", ("WS_1", "WS_2"), frozenset({"WS_1", "WS_2"})),))


def test_nested_matchers_have_the_type_that_they_look_at() -> None:
    found = compiled("when: {resource.ModalitiesInStudy: {every: {in: [CT, MR]}, count: {lte: 2}}}", effect=ALLOW).when
    assert isinstance(found, ast.Test)
    every, count = (check.argument for check in found.checks)
    assert isinstance(every, Nested)
    assert isinstance(count, Nested)
    assert every.checks[0].operator == "in"
    assert count.checks[0].argument == Operands((Value(2),))
    assert codes(rule("when: {resource.ModalitiesInStudy: {count: two}}")) == ["literal"]


def test_item_binds_paths_of_the_item() -> None:
    found = compiled("when: {request.Identifier.ScheduledProcedureStepSequence: {item: {Modality: CT, ScheduledStationAETitle: ws_1}}}", on="c-find").when
    assert isinstance(found, ast.Test)
    items = found.checks[0].argument
    assert isinstance(items, Items)
    assert isinstance(items.condition, All)
    modality, station = (test for test in items.condition.conditions if isinstance(test, ast.Test))
    assert (modality.path.root, modality.path.text, modality.attribute.many) == ("item", "item.Modality", False)
    assert (station.attribute.type, station.checks[0].argument) == (Type.AE_TITLE, Operands((Value("WS_1"),)))
    nested = "when: {instance.RequestAttributesSequence: {item: {RequestedProcedureCodeSequence: {item: {CodeValue: X}}}}}"
    assert compiled(nested, on="c-store").when is not None
    wrong = only(rule(nested.replace("CodeValue", "CodeVale"), on="c-store"))
    assert (wrong.code, marked(wrong), wrong.hint) == ("unknown-attribute", "CodeVale", "did you mean `CodeValue`?")
    absolute = only(rule("when: {instance.RequestAttributesSequence: {item: {instance.Modality: X}}}", on="c-store"))
    assert "begin at the item" in absolute.hint


def test_a_row_of_a_table_is_named_by_columns() -> None:
    found = compiled("when: {subject.ae_title: {row_of: {list: $pairs, match: {ae: subject.ae_title, peer: subject.called_ae_title}}}}", head=TABLE).when
    assert isinstance(found, ast.Test)
    row = found.checks[0].argument
    assert isinstance(row, Row)
    assert [(column, operand.path.text) for column, operand in row.match] == [("ae", "subject.ae_title"), ("peer", "subject.called_ae_title")]
    assert row.table.rows == ({"ae": "RES_1", "peer": "PACS"},)


@pytest.mark.parametrize(
    ("matcher", "code", "at"),
    [
        ("{list: $nodes, match: {ae: subject.ae_title}}", "not-a-table", "$nodes"),
        ("{list: pairs, match: {ae: subject.ae_title}}", "argument", "pairs"),
        ("{list: $pair, match: {ae: subject.ae_title}}", "unknown-list", "$pair"),
        ("{list: $pairs, match: {aet: subject.ae_title}}", "list-file", "aet"),
        ("{list: $pairs, match: {ae: subject.ae}}", "unknown-attribute", "subject.ae"),
        ("{list: $pairs, match: {}}", "empty", "{}"),
        ("{list: $pairs}", "missing-key", "{"),
        ("$pairs", "not-a-mapping", "$pairs"),
    ],
)
def test_a_row_that_cannot_be_looked_up(matcher: str, code: str, at: str) -> None:
    found = only(rule(f"when: {{subject.ae_title: {{row_of: {matcher}}}}}", head=TABLE))
    assert (found.code, marked(found)) == (code, at)


def test_a_row_that_has_nothing_to_do_with_its_path_is_worth_a_warning() -> None:
    found = only(rule("when: {subject.user: {row_of: {list: $pairs, match: {ae: subject.ae_title}}}}", head=TABLE))
    assert (found.code, found.severity) == ("row-elsewhere", "warning")


# The opening position.

MANY = "resource.ModalitiesInStudy"
OPENING = [
    ("when: {%s}", ALLOW),
    ("when: {all: [{any: [{%s}]}]}", ALLOW),
    ("when: {not: {not: {%s}}}", ALLOW),
    ("unless: {not: {%s}}", ALLOW),
    ("unless: {%s}", "deny: {}"),
    ("when: {not: {%s}}", "deny: {}"),
    ("unless: {%s}", "rewrite: [{set: {request.Priority: 1}}]"),
    ("when: {any: [{not: {all: [{%s}]}}]}", "rewrite: [{set: {request.Priority: 1}}]"),
]
CLOSING = [
    ("when: {%s}", "deny: {}"),
    ("unless: {%s}", ALLOW),
    ("when: {not: {%s}}", ALLOW),
    ("when: {%s}", "rewrite: [{set: {request.Priority: 1}}]"),
    ("when: {%s}", "audit: {}"),
    ("unless: {not: {%s}}", "audit: {}"),
    ("unless: {%s}", "audit: {}"),
]
UNFIT = ["CT", "[CT, MR]", "{in: [CT]}", "{not_in: [CT]}", "{not_equals: CT}", "{glob: C*}", "{regex: CT|MR}", "{starts_with: C}"]
FIT = ["{contains: CT}", "{contains_any: [CT, MR]}", "{contains_all: [CT, MR]}", "{subset_of: [CT, MR]}", "{every: {in: [CT]}}", "{count: 1}", "{exists: true}"]


@pytest.mark.parametrize("matcher", UNFIT)
@pytest.mark.parametrize(("place", "effect"), OPENING)
def test_several_values_do_not_open_by_one_of_them(place: str, effect: str, matcher: str) -> None:
    found = only(rule(place % f"{MANY}: {matcher}", effect=effect))
    assert found.code == "opening-position"
    assert "contains" in found.expected


@pytest.mark.parametrize("matcher", FIT)
@pytest.mark.parametrize(("place", "effect"), OPENING)
def test_what_says_how_many_may_open(place: str, effect: str, matcher: str) -> None:
    assert codes(rule(place % f"{MANY}: {matcher}", effect=effect)) == []


@pytest.mark.parametrize("matcher", [*UNFIT, *FIT])
@pytest.mark.parametrize(("place", "effect"), CLOSING)
def test_what_closes_may_ask_for_one(place: str, effect: str, matcher: str) -> None:
    assert codes(rule(place % f"{MANY}: {matcher}", effect=effect)) == []


def test_the_law_holds_for_exceptions_rows_and_other_paths_too() -> None:
    exception = "exceptions:\n  - {id: e, of: r, reason: x, expires: 2030-01-01T00:00:00Z, when: {%s: CT}}\n"
    assert codes(rule("when: {subject.user: x}", head=exception % MANY)) == ["opening-position"]
    assert codes(rule("when: {subject.user: x}", head=exception % "resource.StudyID")) == []
    row = "{subject.ae_title: {row_of: {list: $pairs, match: {ae: subject.ae_title, peer: subject.roles}}}}"
    assert codes(rule(f"when: {row}", effect=ALLOW, head=TABLE)) == ["opening-position"]
    assert codes(rule(f"when: {row}", head=TABLE)) == []
    assert codes(rule("when: {subject.user: {path: subject.roles}}", effect=ALLOW)) == ["opening-position"]
    assert codes(rule("when: {subject.user: {in: [{path: subject.roles}]}}", effect=ALLOW)) == []
    sequence = "{request.Identifier.ScheduledProcedureStepSequence: {item: {Modality: CT}}}"
    assert codes(rule(f"when: {sequence}", on="c-find", effect=ALLOW)) == ["opening-position"]
    assert codes(rule(f"unless: {sequence}", on="c-find", effect=ALLOW)) == []


@pytest.mark.parametrize(("place", "effect"), OPENING)
def test_a_negated_matcher_that_opens_is_worth_a_warning(place: str, effect: str) -> None:
    found = only(rule(place % "subject.user: {not_in: [x]}", effect=effect))
    assert (found.code, found.severity, marked(found)) == ("absent-matches", "warning", "not_in")
    assert codes(rule(place % "subject.user: {not_in: [x], exists: true}", effect=effect)) == []
    assert codes(rule(place % "subject.user: {not_in: [x], exists: false}", effect=effect)) == ["absent-matches"]
    assert codes(rule(place % f"{MANY}: {{every: {{not_in: [x]}}}}", effect=effect)) == []


@pytest.mark.parametrize(("place", "effect"), CLOSING)
def test_a_negated_matcher_that_closes_is_none(place: str, effect: str) -> None:
    assert codes(rule(place % "subject.user: {not_in: [x]}", effect=effect)) == []


def test_an_allow_for_a_retrieve_that_rests_on_the_clients_claim_is_worth_a_warning() -> None:
    claim = "request.Identifier.PatientID: {every: {equals: P1}}"
    assert codes(rule(f"when: {{{claim}}}", effect=ALLOW)) == ["client-claim"]
    assert codes(rule(f"when: {{all: [{{{claim}}}]}}", on="[c-find, c-get]", effect=ALLOW)) == ["client-claim"]
    assert codes(rule(f"when: {{{claim}, resource.PatientID: P1}}", effect=ALLOW)) == []
    assert codes(rule(f"when: {{{claim}}}", on="c-find", effect=ALLOW)) == []
    assert codes(rule(f"when: {{{claim}}}")) == []


# What fits nowhere.


@pytest.mark.parametrize(
    ("condition", "code", "at"),
    [
        ("subject.user: {}", "empty", "{}"),
        ("subject.user: []", "empty", "[]"),
        ("any: []", "empty", "[]"),
        ("all: []", "empty", "[]"),
        ("not: {}", "empty", "{}"),
        ("all: {subject.user: x}", "not-a-list", "{"),
        ("not: [{subject.user: x}]", "not-a-mapping", "["),
        ("any: [x]", "not-a-mapping", "x"),
        ("subject.user: {equal: x}", "unknown-operator", "equal"),
        ("subject.user: {not: x}", "unknown-operator", "not"),
        ("subject.user: {path: subject.ae_title, exists: true}", "unknown-operator", "path"),
        ("equals: x", "invalid-path", "equals"),
        ("nott: {subject.user: x}", "unknown-key", "nott"),
        ("resource.StudyDate: {glob: 2*}", "operator-type", "glob"),
        ("subject.user: {lt: x}", "operator-type", "lt"),
        ("subject.user: {cidr: 10.0.0.0/8}", "operator-type", "cidr"),
        ("subject.user: {item: {Modality: CT}}", "operator-type", "item"),
        ("resource.StudyTime: {older_than: 3d}", "operator-type", "older_than"),
        ("instance.PixelData: x", "operator-type", "instance.PixelData"),
        ("instance.ReferencedSeriesSequence: x", "operator-type", "instance.ReferencedSeriesSequence"),
        ("resource.PatientID: {universal: true}", "operator-place", "universal"),
        ("context.now: {weekday: mon, tz: Nowhere/City}", "time-zone", "Nowhere/City"),
        ("context.transport: {equals: x, tz: UTC}", "unknown-key", "tz"),
        ("subject.user: {exists: 1}", "argument", "1"),
        ('subject.user: {exists: "true"}', "argument", '"true"'),
    ],
)
def test_what_cannot_hold_is_an_error_where_it_stands(condition: str, code: str, at: str) -> None:
    on = "c-store" if "instance." in condition else "c-move"
    found = only(rule(f"when: {{{condition}}}", on=on))
    assert (found.code, marked(found)) == (code, at)
