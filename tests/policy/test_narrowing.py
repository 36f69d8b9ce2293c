"""The few rules that can matter: on generated sets they lead to the decision of all rules, and to the same coverage."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from hirules.model.decision import Decision
from hirules.policy.ast import PolicySet, Position
from hirules.policy.coverage import Coverage
from hirules.policy.entities import WITHOUT_RESOURCE
from hirules.policy.evaluate import evaluate
from hirules.policy.load import load_set
from hirules.policy.narrowing import Narrowing, shelf_of
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from hirules.policy.suite import Case, Expected
from hirules.policy.suite_run import Runner
from hirules.policy.trace import Trace
from tests.laws.differential import NOW, VERDICTS, Generator
from tests.policy.deciding import ZONE, policy_set, request

SEEDS = range(24)
RULES, REQUESTS = 30, 120


@pytest.mark.parametrize("seed", SEEDS)
def test_few_rules_decide_and_see_what_all_rules_do(seed: int) -> None:
    generator, policies = _generated(seed)
    given: list[object] = []
    runner = Runner(policies, verdicts=lambda asked: given, coverage=True)  # type: ignore[arg-type, return-value]
    everything = Coverage(policies, Narrowing(policies), OPERATORS)
    for number in range(REQUESTS):
        asked = generator.request()
        given[:] = [generator.random.choice(VERDICTS)] if asked.action in ("c-move", "c-get") and generator.chance(0.05) else []
        trace = Trace()
        expected = evaluate(policies, asked, NOW, given, trace)  # type: ignore[arg-type]
        everything.observe(trace)
        result = runner.run(Case(str(number), Position("t", 1, 1), asked, NOW, Expected(frozenset(), decision=expected.decision)))
        assert not result.internal
        assert _fields(result.decision) == _fields(expected), number
    assert runner.coverage() == everything.report()


def _generated(seed: int) -> tuple[Generator, PolicySet]:
    """Some sets that it makes the language refuses; then another one."""
    while True:
        generator = Generator(seed)
        if (policies := load_set(generator.files(RULES)).set) is not None:
            return generator, policies
        seed += 1000


def _fields(decision: Decision) -> dict[str, object]:
    return {name: getattr(decision, name) for name in decision.__struct_fields__}


def _view(**parts: object) -> View:
    asked = request("c-move", **parts)
    return View(asked, asked, WITHOUT_RESOURCE, NOW, ZoneInfo(ZONE))


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ({"ae_title": "A"}, [0, 3, 4]),
        ({"ae_title": " b "}, [0, 4]),
        ({"ae_title": "res_7"}, [1, 2, 4]),
        ({}, [4]),
        ({"ae_title": "?"}, [0, 1, 2, 3, 4]),
        ({"ae_title": "res_\ud800"}, [1, 2, 4]),
    ],
)
def test_candidates_are_found_by_values_and_beginnings(subject: dict[str, str], expected: list[int]) -> None:
    conditions = [
        "{subject.ae_title: [A, B]}", "{subject.ae_title: {glob: 'Res_*'}}", "{subject.ae_title: {starts_with: [RES, X], not_equals: Y}}",
        "{subject.ae_title: A, request.MoveDestination: {exists: false}}", "{any: [{subject.ae_title: A}, {subject.user: x}]}",
    ]  # fmt: skip
    policies = policy_set(*(f"{{on: c-move, when: {condition}, deny: {{}}}}" for condition in conditions))
    assert shelf_of(policies.rules).candidates(_view(subject=subject)) == expected


def test_a_rule_is_found_where_the_fewest_others_ask_for_the_same() -> None:
    """All ask for one subject; the destinations differ."""
    rules = [f"{{on: c-move, when: {{subject.ae_title: A, request.MoveDestination: D{number}}}, deny: {{}}}}" for number in range(9)]
    shelf = shelf_of(policy_set(*rules).rules)
    assert shelf.candidates(_view(subject={"ae_title": "A"}, request={"MoveDestination": "D4"})) == [4]


def test_a_restricted_set_keeps_its_exceptions_and_one_allow_of_a_narrowing_action() -> None:
    policies = policy_set(
        "{on: release, when: {instance.Modality: CT}, allow: {}}", "{on: [release, c-move], deny: {}}",
        exceptions=[{"id": "e", "of": ["r1"], "reason": "x", "expires": "2027-01-01T00:00:00Z"}],
    )  # fmt: skip
    narrowing = Narrowing(policies)
    deny = policies.rules[1]
    assert [rule.id for rule in narrowing.restricted("release", [deny]).rules] == ["p/r0", "p/r1"]
    few = narrowing.restricted("c-move", [deny])
    assert [rule.id for rule in few.rules] == ["p/r1"]
    assert [one.id for one in few.rules[0].exceptions] == ["p/e"]
    assert narrowing.restricted("c-move", [deny]) is few
