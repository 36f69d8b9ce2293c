"""Shapes of texts and networks: what lies within what, against every text over a small alphabet."""

from __future__ import annotations

from itertools import product

import pytest

from hirules.model.scalars import Type
from hirules.policy.ast import Check, Operands, Position, Value
from hirules.policy.lint.shapes import disjoint, networks_apart, networks_inside, shapes, within
from hirules.policy.lint.values import is_static
from hirules.policy.operators import OPERATORS
from tests.policy.lint.conditions import literals

HERE = Position("p.yaml", 1, 1)
TEXTS = ["".join(letters) for length in range(6) for letters in product("ab", repeat=length)]
PATTERNS = ["a*", "*a", "a*b", "a?*", "*", "ab", "a?", "*a*", "ab*ab", "?*", "aba*", "*bab"]


def matched(operator: str, text: str) -> set[str]:
    import re

    pattern = {"starts_with": re.escape(text) + ".*", "ends_with": ".*" + re.escape(text)}.get(operator, text.replace("*", ".*").replace("?", "."))
    return {one for one in TEXTS if re.fullmatch(pattern, one)}


CHECKS = [*(("glob", text) for text in PATTERNS), ("starts_with", "ab"), ("ends_with", "ab"), ("starts_with", "a"), ("ends_with", "b")]


@pytest.mark.parametrize("one", CHECKS, ids=str)
@pytest.mark.parametrize("other", CHECKS, ids=str)
def test_what_is_said_of_two_shapes_is_so_for_every_text(one: tuple[str, str], other: tuple[str, str]) -> None:
    (own,), (wider,) = (shapes(Check(name, Operands((Value(text),)), HERE), Type.TEXT) or [] for name, text in (one, other))
    if within(own, wider):
        assert matched(*one) <= matched(*other)
    if disjoint(own, wider):
        assert not matched(*one) & matched(*other)


def test_the_plain_cases_are_seen() -> None:
    def of(name: str, text: str) -> list[object]:
        return list(shapes(Check(name, Operands((Value(text),)), HERE), Type.AE_TITLE) or [])

    (narrow,), (wide,), (far,), (exact,) = of("glob", "ab*"), of("starts_with", "a"), of("glob", "b*"), of("glob", "AB")
    assert within(narrow, wide)  # type: ignore[arg-type]
    assert not within(wide, narrow)  # type: ignore[arg-type]
    assert disjoint(narrow, far)  # type: ignore[arg-type]
    assert within(exact, narrow)  # type: ignore[arg-type]
    assert disjoint(exact, far)  # type: ignore[arg-type]
    assert shapes(Check("regex", Operands((Value("a"),)), HERE), Type.TEXT) is None
    assert shapes(Check("glob", Operands((Value("ä*"),)), HERE), Type.TEXT) is None


def test_networks() -> None:
    assert networks_inside(["10.1.0.0/16", "fd00:1::/32"], ["10.0.0.0/8", "fd00::/8"])
    assert not networks_inside(["10.0.0.0/8"], ["10.1.0.0/16"])
    assert networks_apart(["10.1.0.0/16"], ["10.2.0.0/16", "fd00::/8"])
    assert not networks_apart(["10.1.0.0/16"], ["10.1.2.3"])


@pytest.mark.parametrize(
    ("text", "static"),
    [
        ("{subject.user: [a, b]}", True),
        ("{resource.ModalitiesInStudy: {every: {not_in: [a]}}}", True),
        ("{subject.user: {equals: {path: subject.stated_user}}}", False),
        ("{resource.StudyDate: {gt: {today: -31d}}}", False),
        ("{resource.StudyDate: {older_than: 31d}}", False),
        ("{request.Identifier.PatientID: {wildcard: true}}", False),
    ],
)
def test_what_depends_on_its_value_only(text: str, static: bool) -> None:
    assert is_static(literals(text)[0].check, OPERATORS) is static
