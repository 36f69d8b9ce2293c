from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from benchmarks import policies as workload_policies
from benchmarks.workload import generate
from hirules.assemble.handover import LONG, Broken, give, read, take, write
from hirules.model.vocabulary import VOCABULARY
from hirules.policy import ast, load_set
from hirules.policy.ast import ListOperand, Operands, PolicySet
from tests.laws import generated

EVERYTHING = """hirules: 1
policy: p
lists:
  long: {file: long.csv, column: ae}
rules:
  - id: listed
    on: [c-find, c-move]
    when: {subject.ae_title: {in: $long}}
    unless: {any: [{request.Identifier.PatientID: {glob: "A*"}}, {not: {context.now: {weekday: [mon]}}}]}
    allow: {}
  - {id: row, on: c-move, when: {request.MoveDestination: {row_of: {list: $long, match: {ae: request.MoveDestination}}}},
     deny: {reason: "`{request.MoveDestination}`", status: 0xA801}}
  - {id: moved, on: c-move, rewrite: [{map: {request.MoveDestination: {A: B}}}, {set: {request.Priority: 2}}]}
  - {id: noted, on: c-find, when: {context.now: {time_between: ["20:00", "06:00"]}}, audit: {note: n, sample: 5%, include: [request.Identifier.StudyDate]}}
exceptions:
  - {id: e, of: [row], when: {subject.ae_title: X}, reason: r, approved_by: a, expires: 2030-01-01T00:00:00Z}
"""
SET = """hirules-set: 1
time_zone: Europe/Berlin
actions:
  print-film:
    description: a film is printed
    attributes: {request.copies: {type: integer, description: how many}}
"""


def _over(policies: PolicySet) -> tuple[PolicySet, int]:
    stream, steps = io.BytesIO(), [0]
    give(stream, policies, VOCABULARY)
    stream.seek(0)

    def between() -> None:
        steps[0] += 1

    taken = take(stream, VOCABULARY, between)
    assert not stream.read()
    return taken, steps[0]


@given(generated.policies())
@settings(max_examples=50)
def test_what_goes_over_is_the_set(policies: generated.Policies) -> None:
    loaded = load_set({f"{name}.yaml": json.dumps(body).encode() for name, body in policies.items()}).required()
    assert _over(loaded)[0] == loaded


def test_long_lists_go_over_in_parts_and_once() -> None:
    members = "".join(f"AE_{number}\n" for number in range(5 * LONG))
    policies = load_set({"p.yaml": EVERYTHING.encode(), "long.csv": b"ae\n" + members.encode(), "set.yaml": SET.encode()}).required()
    taken, steps = _over(policies)
    assert taken == policies
    assert steps > 3 * 5
    rule = next(rule for rule in taken.rules if rule.id == "p/listed")
    assert isinstance(rule.when, ast.Test)
    argument = rule.when.checks[0].argument
    assert isinstance(argument, Operands)
    assert isinstance(argument.operands[0], ListOperand)
    assert type(argument.operands[0].members) is frozenset
    assert "print-film" in taken.vocabulary.actions
    assert taken.vocabulary.actions["c-find"] is VOCABULARY.actions["c-find"]
    assert taken.policies[0].exceptions[0] is next(rule for rule in taken.rules if rule.id == "p/row").exceptions[0]


def test_the_vocabulary_is_named_and_paths_are_shared(tmp_path: Path) -> None:
    folder = workload_policies.write(generate(200, 1), tmp_path / "policies")
    files = {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    policies = load_set(files).required()
    taken, steps = _over(policies)
    assert taken == policies
    assert taken.vocabulary is VOCABULARY
    assert steps > 200 / 12
    on = [rule.on for rule in taken.rules]
    assert len({id(each) for each in on}) == len(set(on))


def test_equal_values_of_different_types_stay_apart() -> None:
    policies = load_set({"p.yaml": b"hirules: 1\npolicy: p\nrules: [{id: r, on: c-find, when: {subject.ae_title: [A]}, allow: {}}]\n"}).required()
    rule = policies.policies[0].rules[0]
    assert isinstance(rule.when, ast.Test)
    one, true = (replace(rule.when.checks[0], argument=Operands((ListOperand("l", (value,), frozenset({value})),))) for value in (1, True))
    rule = replace(rule, when=replace(rule.when, checks=(one, true)))
    taken, _ = _over(replace(policies, policies=(replace(policies.policies[0], rules=(rule,)),)))
    when = taken.rules[0].when
    assert isinstance(when, ast.Test)
    operands = [check.argument.operands[0] for check in when.checks if isinstance(check.argument, Operands)]
    assert [{type(member) for member in operand.members} for operand in operands if isinstance(operand, ListOperand)] == [{int}, {bool}]


@pytest.mark.parametrize("cut", [1, 3, 10, 200])
def test_pieces_that_end_too_early_are_told(cut: int) -> None:
    stream = io.BytesIO()
    give(stream, load_set({"p.yaml": b"hirules: 1\npolicy: p\nrules: [{id: r, on: c-find, allow: {}}]\n"}).required(), VOCABULARY)
    with pytest.raises(Broken):
        take(io.BytesIO(stream.getvalue()[:-cut]), VOCABULARY, lambda: None)


def test_a_piece_alone() -> None:
    stream = io.BytesIO()
    write(stream, ("a", 1))
    stream.seek(0)
    assert read(stream) == ("a", 1)
    with pytest.raises(Broken):
        read(stream)
