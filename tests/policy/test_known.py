"""What a text has been found to mean is known for the whole set; what is wrong with it is said at each place."""

from __future__ import annotations

from hirules.policy import ast, load_set
from hirules.policy.ast import ListOperand, Operands, PolicySet
from tests.policy.loading import codes, load, policy


def operands(policies: PolicySet) -> list[ast.Operand]:
    """Those of rules with one test."""
    tests = [rule.when for rule in policies.rules if isinstance(rule.when, ast.Test)]
    return [operand for test in tests if isinstance(argument := test.checks[0].argument, Operands) for operand in argument.operands]


def test_a_list_is_read_once_for_rules_of_different_files() -> None:
    first = policy("- {id: a, on: c-move, when: {request.MoveDestination: {in: $nodes}}, deny: {}}", "lists: {nodes: {file: n.csv, column: ae, share: true}}\n")
    second = first.replace("policy: p", "policy: q").replace("lists: {nodes: {file: n.csv, column: ae, share: true}}\n", "")
    rules = "".join(f"  - {{id: r{number}, on: c-find, when: {{subject.ae_title: {{in: $nodes}}}}, deny: {{}}}}\n" for number in range(3))
    found = load_set({"p.yaml": first.encode(), "q.yaml": (second + rules).encode(), "n.csv": b"ae\nA\nb\n"}).required()
    lists = operands(found)
    assert len(lists) == 5
    assert all(isinstance(one, ListOperand) and one.values == ("A", "B") for one in lists)
    # one for each attribute: the type may be another
    assert len({id(one) for one in lists}) == 2


def test_a_text_is_read_by_the_type_of_each_path() -> None:
    found = load(
        policy(
            """
            - {id: a, on: c-move, when: {subject.ae_title: " x1"}, deny: {}}
            - {id: b, on: c-move, when: {resource.PatientID: " x1"}, deny: {}}
            - {id: c, on: c-move, when: {subject.ae_title: " x1"}, deny: {}}
            - {id: d, on: c-move, when: {request.MessageID: 0x1}, deny: {}}
            - {id: e, on: c-move, when: {resource.PatientID: 0x1}, deny: {}}
            """
        )
    ).required()
    values = [one.value for one in operands(found) if isinstance(one, ast.Value)]
    assert values == ["X1", "x1", "X1", 1, "0x1"]
    assert [test.position.column for rule in found.rules if isinstance(test := rule.when, ast.Test)] == [32] * 5


def test_the_same_mistake_is_found_at_every_place() -> None:
    found = load(
        policy(
            """
            - {id: a, on: c-move, when: {resource.StudyDate: yesterday}, deny: {}}
            - {id: b, on: c-move, when: {resource.StudyDate: yesterday}, deny: {}}
            - {id: c, on: c-move, when: {resource.StudyDate: {in: [yesterday]}}, deny: {}}
            - {id: d, on: c-mov, deny: {}}
            - {id: e, on: c-mov, deny: {}}
            """
        )
    )
    assert codes(found) == ["literal"] * 3 + ["unknown-action"] * 2
    assert [one.line for one in found.findings] == [4, 5, 6, 7, 8]


def test_a_value_that_is_fine_alone_is_none_in_a_list() -> None:
    found = load(
        policy(
            """
            - {id: a, on: c-move, when: {subject.ae_title: A*}, deny: {}}
            - {id: b, on: c-move, when: {subject.ae_title: [A*]}, deny: {}}
            - {id: c, on: c-move, when: {subject.ae_title: {not_in: A*}}, deny: {}}
            """
        )
    )
    assert codes(found) == ["pattern-in-list"] * 2


def test_a_date_that_equals_may_have_no_order() -> None:
    found = load(
        policy(
            """
            - {id: a, on: c-move, when: {resource.StudyDate: 202603}, deny: {}}
            - {id: b, on: c-move, when: {resource.StudyDate: {lt: 202603}}, deny: {}}
            """
        )
    )
    assert codes(found) == ["literal"]


def test_a_path_is_known_for_the_actions_that_have_it() -> None:
    found = load(
        policy(
            """
            - {id: a, on: c-move, when: {request.MoveDestination: A}, deny: {}}
            - {id: b, on: c-find, when: {request.MoveDestination: A}, deny: {}}
            - {id: c, on: [c-move, c-find], when: {request.MoveDestination: A}, deny: {}}
            """
        )
    )
    assert codes(found) == ["attribute-of-action"] * 2


def test_what_opens_takes_no_argument_that_closes() -> None:
    found = load(
        policy(
            """
            - {id: a, on: c-move, when: {resource.ModalitiesInStudy: CT}, deny: {}}
            - {id: b, on: c-move, when: {resource.ModalitiesInStudy: CT}, allow: {}}
            """
        )
    )
    assert codes(found) == ["opening-position"]
