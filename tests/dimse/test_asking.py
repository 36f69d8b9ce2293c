"""The gate of a guarded program: a rule that the guard cannot enforce is never ignored, also after a reload."""

from __future__ import annotations

from pathlib import Path

import pytest

from hirules.dimse.asking import Asking
from hirules.dimse.handlers import guard
from hirules.model.request import Request
from tests.dimse.guarded import FILM, Program, Recorded, client, serving

NOT_AUTHORIZED = 0x0124
UNREAD = "\n  - {id: r, on: c-store, when: {instance.PatientID: VIP}, deny: {}}\n"


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ("{id: r, on: c-store, when: {instance.PatientID: VIP}, deny: {}}", "`p/r`: what arrives by `c-store`"),
        ("{id: r, on: c-store, mode: shadow, when: {instance.PatientID: VIP}, deny: {}}", "`p/r`: what arrives by `c-store`"),
    ],
)
def test_a_rule_that_cannot_be_enforced_is_never_ignored(rule: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=why):
        guard([], Recorded(tmp_path, f"\n  - {rule}\n").gate)
    guard([], Recorded(tmp_path, f"\n  - {{mode: off, {rule[1:]}\n".replace("mode: shadow, ", "")).gate)


def test_a_reloaded_rule_that_cannot_be_enforced_refuses(tmp_path: Path) -> None:
    record = Recorded(tmp_path)
    later = Recorded(tmp_path / "later", UNREAD)
    program = Program()
    with serving(guard(program.handlers(), record.gate)) as port, client(port) as association:
        assert association.send_n_delete(FILM, "1.2.3").Status == 0
        record.gate.swap(record.gate.edition(later.gate.policies))
        assert association.send_n_delete(FILM, "1.2.3").Status == NOT_AUTHORIZED
    assert program.actions() == ["n-delete"]


def test_what_rules_need_of_a_data_set_follows_the_set_that_decides(tmp_path: Path) -> None:
    record = Recorded(tmp_path)
    later = Recorded(tmp_path / "later", "\n  - {id: vip, on: answer, when: {instance.PatientID: VIP}, deny: {}}\n")
    asking = Asking(None, record.gate, None)
    assert not asking.disclosed("answer", "c-find").applies
    record.gate.swap(record.gate.edition(later.gate.policies))
    needed = asking.disclosed("answer", "c-find")
    assert (needed.applies, needed.names) == (True, frozenset({"PatientID"}))
    assert asking.disclosed("answer", "c-find") is needed
    assert not asking.disclosed("release", "c-get").applies


def test_what_the_program_knows_of_the_peer_is_in_every_request_also_in_refused_ones(tmp_path: Path) -> None:
    record = Recorded(tmp_path)
    asking = Asking("association", record.gate, lambda association: {"user": f"ada of {association}"})
    request = Request("c-find", subject={"ae_title": "CLIENT"})
    for decision in (asking.check(request), asking.refuse(request, 0xA900, "not read")):
        assert decision.effective.subject == {"ae_title": "CLIENT", "user": "ada of association"}
