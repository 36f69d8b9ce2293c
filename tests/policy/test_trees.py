from __future__ import annotations

from hirules.model.request import Request
from hirules.policy import trees
from hirules.policy.evaluate import evaluate
from hirules.policy.index import Index
from hirules.policy.operators import OPERATORS
from hirules.policy.trees import Forest
from tests.policy.deciding import NOW, policy_set

RULES = [f"{{on: c-move, when: {{subject.ae_title: A{number % 10}, request.MoveDestination: D{number}}}, allow: {{}}}}" for number in range(60)]


def move(title: str, destination: str) -> Request:
    return Request("c-move", {"ae_title": title}, {"MoveDestination": destination}, id="1")


def test_a_leaf_has_only_the_rules_that_can_still_matter() -> None:
    index = Index(policy_set(*RULES))
    leaf = index._leaf(move("A3", "D13"), NOW)
    assert [rule.id for rule in leaf.rules] == ["p/r13"]
    assert leaf.shared


def test_ways_that_tell_as_much_end_in_one_leaf() -> None:
    index = Index(policy_set(*RULES))
    assert index._leaf(move("A3", "NOWHERE"), NOW) is index._leaf(move("A4", "ELSEWHERE"), NOW)
    assert not index._leaf(move("A3", "NOWHERE"), NOW).rules


def test_a_forest_that_is_full_starts_anew(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(trees, "_NODES", 40)
    monkeypatch.setattr(trees, "_VALUES", 3)
    policies = policy_set(*RULES)
    index = Index(policies)
    for number in range(300):
        request = move(f"A{number % 12}", f"D{number % 70}")
        assert index.decide(request, NOW) == evaluate(policies, request, NOW)
        assert index._forest.nodes <= 60


def test_every_action_has_a_root() -> None:
    forest = Forest(policy_set("{on: c-move, allow: {}}"), OPERATORS)
    assert "c-move" in forest.roots
    assert "delete-image-set" in forest.roots
