from __future__ import annotations

import threading
from typing import Any

import pytest

from hirules.dimse.identifier import read, write
from hirules.dimse.ledger import Ledger
from hirules.dimse.message import Command, parse_command
from hirules.model.dataset import dataset_of
from tests.dimse.wire import IMPLICIT, reply


def told(status: int = 0, completed: int = 0, failed: int = 0, warning: int = 0, *, data: bool = False) -> Command:
    counts: dict[str, Any] = {
        "NumberOfCompletedSuboperations": completed, "NumberOfFailedSuboperations": failed, "NumberOfWarningSuboperations": warning,
    }  # fmt: skip
    return parse_command(reply(0x10, status=status, data=data, **counts))


def said(command: Command) -> tuple[object, ...]:
    values = parse_command(command.raw).values
    assert values == command.values
    return tuple(values.get(name) for name in ("Status", "NumberOfCompletedSuboperations", "NumberOfFailedSuboperations", "NumberOfWarningSuboperations"))


@pytest.mark.parametrize(
    ("dropped", "hidden", "upstream", "client"),
    [
        (0, 0, (0, 3, 0, 0), (0, 3, 0, 0)),
        (1, 0, (0, 3, 0, 0), (0xB000, 2, 1, 0)),
        (0, 1, (0, 3, 0, 0), (0, 2, 0, 0)),
        (1, 1, (0, 3, 0, 0), (0xB000, 1, 1, 0)),
        (3, 0, (0, 3, 0, 0), (0x0124, 0, 3, 0)),
        (0, 3, (0, 3, 0, 0), (0, 0, 0, 0)),
        (2, 1, (0, 3, 0, 0), (0x0124, 0, 2, 0)),
        (1, 0, (0xB000, 2, 1, 0), (0xB000, 1, 2, 0)),
        (2, 0, (0xB000, 2, 1, 0), (0x0124, 0, 3, 0)),
        (0, 2, (0xB000, 2, 1, 0), (0xA702, 0, 1, 0)),
        (1, 0, (0xB000, 1, 0, 1), (0xB000, 0, 1, 1)),
        (0, 1, (0xB000, 1, 0, 1), (0xB000, 0, 0, 1)),
        (1, 0, (0xA702, 1, 2, 0), (0xA702, 0, 3, 0)),
        (1, 0, (0xFE00, 2, 0, 0), (0xFE00, 1, 1, 0)),
        (4, 0, (0, 3, 0, 0), (0x0124, 0, 4, 0)),
    ],
)
def test_the_final_response_is_honest(dropped: int, hidden: int, upstream: tuple[int, ...], client: tuple[int, ...]) -> None:
    ledger = Ledger()
    for number in range(dropped):
        ledger.dropped(f"1.2.{number}")
    for number in range(hidden):
        ledger.hidden(f"1.3.{number}")
    final = ledger.final(told(*upstream))
    assert said(final) == client
    identifier = ledger.identifier(None, IMPLICIT)
    assert (identifier is not None) == final.has_data_set == bool(dropped)
    if identifier is not None:
        found = read(identifier, IMPLICIT).FailedSOPInstanceUIDList
        assert ([found] if isinstance(found, str) else list(found)) == [f"1.2.{number}" for number in range(dropped)]


def test_pending_responses_are_honest_too() -> None:
    ledger = Ledger()
    untouched = told(0xFF00, 3)
    assert ledger.pending(untouched) is untouched
    ledger.dropped("1.2")
    ledger.hidden("1.3")
    assert said(ledger.pending(told(0xFF00, 3))) == (0xFF00, 1, 1, 0)
    bare = parse_command(reply(0x10, status=0xFF00))
    assert "NumberOfFailedSuboperations" not in ledger.pending(bare).values


def remaining(command: Command) -> object:
    return parse_command(command.raw).values.get("NumberOfRemainingSuboperations")


@pytest.mark.parametrize(("status", "told"), [(0xFF00, 5), (0xFE00, 5)])
def test_what_remains_is_told_unless_something_may_be_hidden(status: int, told: int) -> None:
    """The total would be less in the end than at the beginning."""
    command = parse_command(reply(0x10, status=status, NumberOfRemainingSuboperations=told, NumberOfCompletedSuboperations=2))
    response = Ledger.pending if status == 0xFF00 else Ledger.final
    plain, dropping, hiding, discreet = (Ledger() for _ in range(4))
    dropping.dropped("1.2")
    hiding.hidden("1.2")
    discreet.discreet = True
    assert [remaining(response(ledger, command)) for ledger in (plain, dropping, hiding, discreet)] == [told, told, None, None]
    assert response(discreet, command).values["NumberOfCompletedSuboperations"] == 2


def test_a_discreet_ledger_changes_nothing_else() -> None:
    ledger = Ledger()
    ledger.discreet = True
    assert ledger.touched
    for final in (told(0, 3), told(0xB000, 0, 3), told(0xA702, 0, 1), told(0xC123)):
        assert ledger.final(final) is final
    assert ledger.identifier(None, IMPLICIT) is None


def test_what_the_upstream_lists_stays_listed() -> None:
    ledger = Ledger()
    own = write(dataset_of({"FailedSOPInstanceUIDList": ["1.5", "1.6"]}), IMPLICIT)
    assert ledger.identifier(own, IMPLICIT) == own
    ledger.dropped("1.2")
    ledger.dropped("1.5")
    found = ledger.identifier(own, IMPLICIT)
    assert found is not None
    assert list(read(found, IMPLICIT).FailedSOPInstanceUIDList) == ["1.5", "1.6", "1.2"]
    unreadable = ledger.identifier(b"\xff" * 10, IMPLICIT)
    assert unreadable is not None
    assert list(read(unreadable, IMPLICIT).FailedSOPInstanceUIDList) == ["1.2", "1.5"]


def test_counts_that_the_upstream_leaves_out() -> None:
    ledger = Ledger()
    ledger.delivered("1.1")
    ledger.dropped("1.2")
    assert said(ledger.final(parse_command(reply(0x10)))) == (0xB000, None, 1, None)
    assert ledger.told() == {"dropped": 1}


def test_it_counts_in_threads() -> None:
    ledger = Ledger()

    def drop() -> None:
        for _ in range(500):
            ledger.dropped("1.2")

    threads = [threading.Thread(target=drop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.told() == {"dropped": 2000}
    assert repr(ledger) == "Ledger(0 delivered, 2000 dropped, 0 hidden)"
