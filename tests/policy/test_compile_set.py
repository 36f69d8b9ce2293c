"""What holds for a whole set."""

from __future__ import annotations

import pytest

from hirules.model.scalars import Type
from hirules.policy import Loaded, load_set
from tests.policy.loading import codes, marked, only, policy

POLICY = policy("- {id: r, on: c-find, when: {subject.user: x}, deny: {}}").encode()


def load(text: str, rules: bytes = POLICY) -> Loaded:
    return load_set({"p.yaml": rules, "set.yaml": text.encode()})


def test_the_settings_of_a_set() -> None:
    found = load("hirules-set: 1\ncombining: permit-unless-deny\ntime_zone: Europe/Berlin\nrequires: [hirules>=0.1, 'hirules-example >=1.0, <2']\n").required()
    assert (found.combining, found.time_zone, found.requires) == ("permit-unless-deny", "Europe/Berlin", ("hirules>=0.1", "hirules-example >=1.0, <2"))
    plain = load("hirules-set: 1\n").required()
    assert (plain.combining, plain.time_zone, plain.requires) == ("deny-unless-permit", "UTC", ())


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("combining: deny-unless-permit\n", "missing-key", "c"),
        ("hirules-set: 2\n", "version", "2"),
        ("hirules-set: 1\ncombine: x\n", "unknown-key", "combine"),
        ("hirules-set: 1\ncombining: permit\n", "choice", "permit"),
        ("hirules-set: 1\ntime_zone: Berlin\n", "time-zone", "Berlin"),
        ("hirules-set: 1\ntime_zone: ../../etc/passwd\n", "time-zone", "../../etc/passwd"),
        ("hirules-set: 1\ntime_zone: [UTC]\n", "not-a-text", "["),
        ("hirules-set: 1\nrequires: ['a b']\n", "unknown-requirement", "'a b'"),
        ("hirules-set: 1\nrequires: ['a>>1']\n", "unknown-requirement", "'a>>1'"),
        ("hirules-set: 1\nrequires: []\n", "empty", "[]"),
        ("hirules-set: 1\nactions: {c-find: {description: x}}\n", "name-taken", "c-find"),
        ("hirules-set: 1\nactions: {query: {description: x}}\n", "name-taken", "query"),
        ("hirules-set: 1\nactions: {View: {description: x}}\n", "invalid-id", "View"),
        ("hirules-set: 1\nactions: {view: {}}\n", "missing-key", "{"),
        ("hirules-set: 1\nactions: {view: {description: x, attributes: {view: {type: string}}}}\n", "invalid-path", "view"),
        ("hirules-set: 1\nactions: {view: {description: x, attributes: {instance.X: {type: string}}}}\n", "invalid-path", "instance.X"),
        ("hirules-set: 1\nactions: {view: {description: x, attributes: {request.Priority: {type: string}}}}\n", "name-taken", "request.Priority"),
        ("hirules-set: 1\nactions: {view: {description: x, attributes: {request.room: {type: room}}}}\n", "choice", "room"),
        ("hirules-set: 1\nactions: {view: {description: x, attributes: {request.room: {}}}}\n", "missing-key", "{"),
        ("- hirules-set\n", "not-a-mapping", "-"),
    ],
)
def test_settings_that_are_none(text: str, code: str, at: str) -> None:
    found = only(load(text))
    assert (found.file, found.code, marked(found)) == ("set.yaml", code, at)


def test_a_set_adds_actions_with_their_attributes() -> None:
    text = (
        "hirules-set: 1\nactions:\n"
        "  view: {description: a viewer opens a study, attributes: {request.room: {type: string, many: true}, request.since: {type: date}}}\n"
        "  print: {description: a study is printed, attributes: {request.since: {type: date}}}\n"
    )
    rules = policy("- {id: r, on: [view, print], when: {request.since: {lt: 2026-01-01}, subject.ae_title: A}, allow: {}}").encode()
    found = load(text, rules)
    assert found.findings == ()
    vocabulary = found.required().vocabulary
    assert found.required().rules[0].on == {"view", "print"}
    assert vocabulary.attributes["request.room"].many
    assert vocabulary.attributes["request.since"].type is Type.DATE
    assert vocabulary.attributes["request.since"].actions == {"view", "print"}
    assert codes(load(text, rules.replace(b"request.since: {lt: 2026-01-01}", b"request.room: x"))) == ["attribute-of-action"]
    assert codes(load(text, rules.replace(b"[view, print]", b"vew"))) == ["unknown-action"]
    other = text.replace("printed, attributes: {request.since: {type: date}}", "printed, attributes: {request.since: {type: time}}")
    assert codes(load(other, rules))[-1] == "name-taken"


def test_findings_of_the_set_and_of_its_policies_come_together() -> None:
    assert codes(load("hirules-set: 2\n", b"hirules: 2\npolicy: p\nrules: []\n")) == ["version", "empty", "version"]


def test_a_set_file_elsewhere_is_no_set() -> None:
    assert "unknown-key" in codes(load_set({"p.yaml": POLICY, "sub/set.yaml": b"hirules-set: 1\n"}))
