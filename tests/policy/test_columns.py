"""What a plain text leaves is what the reference evaluator's reading leaves."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hirules.model.reading import Unknown
from hirules.model.request import Request
from hirules.policy import columns
from hirules.policy.columns import UNKNOWN, Column
from hirules.policy.entries import Entries
from tests.policy.deciding import NOW, policy_set


def column(path: str, *matchers: str) -> Column:
    entries = Entries(policy_set(*[f"{{on: c-find, when: {{{path}: {matcher}}}, deny: {{}}}}" for matcher in matchers], "{on: c-find, allow: {}}"))
    checks = [(number, entry.checks[path]) for number, entry in enumerate(entries.by_action["c-find"]) if path in entry.checks]
    assert len(checks) == len(matchers)
    return Column(*entries.paths[path], checks, len(matchers) + 1, ZoneInfo("UTC"), has_resource=False)


def request(path: str, raw: object) -> Request:
    root, *names = path.split(".")
    fields: dict[str, Any] = {names[-1]: raw}
    return Request("c-find", **{root: {"Identifier": fields} if len(names) > 1 else fields})  # type: ignore[arg-type]


TEXTS = ("", " ", "A", "a", " A ", "AB", "B*", "A\\B", "A\0", "ä", "Ａ", "A\n", "\ud800", "0", "00", "+1", "0x1", "1.0", "10.1.2.3", " 10.1.2.3", "010.1.2.3",
         "10.1.2", "10.1.2.3.4", "10.1.2.٣", "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0", "1.2.840", "VerificationSOPClass", "STUDY", "study")  # fmt: skip


@pytest.mark.parametrize(
    ("path", "matchers"),
    [
        ("subject.ae_title", ("A", "[AB, B]", "{glob: 'a*'}", "{glob: '*b'}", "{starts_with: STU}")),
        ("subject.user", ("A", "a", "{glob: '?'}", "{starts_with: ' '}")),
        ("subject.address", ("10.1.2.3", "{cidr: 10.0.0.0/8}", "{cidr: 'fd00::/8'}", "'fd00::1'")),
        ("request.Identifier.PatientID", ("A", "{glob: '*'}", "'00'", "{glob: 'B\\*'}")),
        ("request.Identifier.QueryRetrieveLevel", ("STUDY", "{in: [study, A]}")),
        ("request.Identifier.StudyInstanceUID", ("1.2.840", "{contains_any: [1.2.840, 1.2.3]}")),
        ("request.Priority", ("0", "[1, 2]")),
    ],
)
def test_a_plain_text_is_read_like_any(path: str, matchers: tuple[str, ...]) -> None:
    tested = column(path, *matchers)
    for raw in (None, *TEXTS):
        asked = request(path, raw)
        expected = tested.look(asked, NOW)
        assert tested.learn(raw, asked, NOW) == expected, raw
        assert tested.masks[raw] == expected


def test_integers() -> None:
    tested = column("request.Priority", "0", "[1, 2]")
    assert tested.is_integer
    for raw in (0, 1, 2, 3, -1, 2**70):
        asked = request("request.Priority", raw)
        assert tested.learn(raw, asked, NOW) == tested.look(asked, NOW), raw
    assert not column("subject.ae_title", "A").is_integer


def test_what_is_unknown_leaves_every_rule() -> None:
    tested = column("subject.ae_title", "A")
    for raw in (Unknown("it broke"), ["A", "B"], "\ud800"):
        assert tested.look(request("subject.ae_title", raw), NOW) == UNKNOWN
    assert tested.tested == 1
    assert tested.look(request("subject.ae_title", "A"), NOW) == 0b11
    assert tested.look(request("subject.ae_title", "B"), NOW) == 0b10


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "VALUES", 70)
    tested = column("subject.ae_title", "A")
    for number in range(300):
        tested.learn(f"T{number}", request("subject.ae_title", f"T{number}"), NOW)
        assert len(tested.masks) <= 70
