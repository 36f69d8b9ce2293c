"""What is timed from bytes to decision is a decision, and on the identifiers it is said to be on."""

from __future__ import annotations

from benchmarks import c_move
from hirules.dimse import flat


def test_each_kind_of_messages_has_its_row() -> None:
    rows = c_move.run(sizes=(20,), rounds=1, count=40)
    assert [row.rules for row in rows] == [20, 20, 20]
    assert all(0 < row.p50 <= row.p90 for row in rows)
    assert "| patients that come again | 20 |" in c_move.markdown(rows)


def test_rules_decide_by_both_elements() -> None:
    gate = c_move.load(20)
    assert c_move.decide(gate, c_move.message(1, "P00002")).by == ("patients/rule-2",)
    assert c_move.decide(gate, c_move.message(1, "N0001")).by == ("patients/rule-0",)
    assert not c_move.decide(gate, c_move.message(1, "P00299")).allowed


def test_only_the_last_kind_needs_the_strict_reader() -> None:
    assert flat.read(c_move.message(1, "P1")[1], c_move.CONTEXT.transfer_syntax) is not None
    assert flat.read(c_move.message(1, "P1", "Müller")[1], c_move.CONTEXT.transfer_syntax) is None
