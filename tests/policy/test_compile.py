"""The keys of a policy."""

from __future__ import annotations

import pytest

from tests.policy.loading import codes, load, marked, only, policy


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("policy: p\nrules: [{id: r, on: c-move, deny: {}}]\n", "missing-key", "p"),
        ("hirules: 2\npolicy: p\nrules: [{id: r, on: c-move, deny: {}}]\n", "version", "2"),
        ("hirules: '1'\npolicy: p\nrules: [{id: r, on: c-move, deny: {}}]\n", "version", "'1'"),
        ("hirules: 1\nrules: [{id: r, on: c-move, deny: {}}]\n", "missing-key", "h"),
        ("hirules: 1\npolicy: P\nrules: [{id: r, on: c-move, deny: {}}]\n", "invalid-id", "P"),
        ("hirules: 1\npolicy: p\n", "missing-key", "h"),
        ("hirules: 1\npolicy: p\nrules: {}\n", "not-a-list", "{"),
        ("hirules: 1\npolicy: p\nrule: []\nrules: [{id: r, on: c-move, deny: {}}]\n", "unknown-key", "rule"),
        ("hirules: 1\npolicy: p\nowner: [a]\nrules: [{id: r, on: c-move, deny: {}}]\n", "not-a-text", "["),
        ("hirules: 1\npolicy: p\nexceptions: []\nrules: [{id: r, on: c-move, deny: {}}]\n", "empty", "[]"),
    ],
)
def test_a_policy_that_is_none(text: str, code: str, at: str) -> None:
    found = only(load(text))
    assert (found.code, marked(found)) == (code, at)


def test_a_policy_says_what_it_is() -> None:
    head = "title: T\ndescription: D\nowner: O\nreferences: [A, 1]\nlists: {l: [a]}\n"
    found = load(policy("- {id: r, on: c-move, when: {subject.user: {in: $l}}, deny: {}}\n- {id: s, on: c-move, deny: {}}", head)).required().policies[0]
    assert (found.id, found.title, found.description, found.owner, found.references) == ("p", "T", "D", "O", ("A", "1"))
    assert (found.file, [rule.id for rule in found.rules], list(found.lists)) == ("p.yaml", ["p/r", "p/s"], ["l"])


def test_a_policy_without_a_usable_id_is_read_all_the_same() -> None:
    assert codes(load("hirules: 1\npolicy: P P\nrules: [{id: R, on: c-move, deny: {}}]\n")) == ["invalid-id", "invalid-id"]
