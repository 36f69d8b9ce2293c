"""What is concluded from one condition to another, against every case of every operator (tests/cases/operators.yaml)."""

from __future__ import annotations

from collections import defaultdict
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from hirules.policy.ast import All, Condition
from hirules.policy.conditions import holds
from hirules.policy.entities import entities_of
from hirules.policy.lint.proofs import Prover
from hirules.policy.lint.subject import each_test
from hirules.policy.lint.terms import terms
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from hirules.policy.truth import Truth
from tests.policy.deciding import NOW, ZONE, cases, policy_set, request
from tests.policy.test_operators import with_unknowns

PROVER = Prover(OPERATORS, ZoneInfo(ZONE))


def conditions() -> dict[str, Condition]:
    """Every condition of the cases, by its text."""
    found: dict[str, Condition] = {}
    for text in dict.fromkeys(case[0] for of_operator in cases("operators.yaml").values() for case in of_operator):
        when = policy_set({"on": ["c-move"], "when": yaml.load(text, Loader=yaml.BaseLoader), "deny": {}}).rules[0].when
        assert when is not None
        found[text] = when
    return found


def views() -> list[View]:
    """Every request of the cases, and each of them with one of its values unknown."""
    found: dict[str, dict[str, Any]] = {}
    for of_operator in cases("operators.yaml").values():
        for _, parts, _ in of_operator:
            found[repr(parts)] = parts
            for part, given in parts.items():
                for worse in with_unknowns(given):
                    if worse != "?":
                        found[repr({**parts, part: worse})] = {**parts, part: worse}
    requests = [request("c-move", **parts) for parts in found.values()]
    return [View(one, one, entities_of(one.resource, True)[0], NOW, ZoneInfo(ZONE)) for one in requests]


def test_what_follows_from_a_condition_holds_wherever_it_does() -> None:
    every, everywhere = conditions(), views()
    truths: dict[str, list[Truth]] = {text: [holds(when, view, OPERATORS).truth for view in everywhere] for text, when in every.items()}
    by_path: defaultdict[str, list[str]] = defaultdict(list)
    for text, when in every.items():
        by_path[next(each_test(when)).path.text].append(text)
    followed = excluded = 0
    for texts in by_path.values():
        for one in texts:
            for other in texts:
                for want in (True, False):
                    ways = terms(every[one], OPERATORS, want)
                    assert ways is not None
                    for wanted in (True, False):
                        if ways and all(PROVER.follows(way, every[other], wanted) for way in ways):
                            followed += 1
                            assert all(b is wanted for a, b in zip(truths[one], truths[other], strict=True) if a is want), (one, want, other, wanted)
                together = terms(All((every[one], every[other])), OPERATORS)
                if together is not None and all(PROVER.impossible(way) is not None for way in together):
                    excluded += 1
                    assert not any(a is b is True for a, b in zip(truths[one], truths[other], strict=True)), (one, other)
    assert followed > 500
    assert excluded > 100
