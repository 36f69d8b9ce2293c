from __future__ import annotations

import threading

import pytest

from hirules.facts.deadline import Deadline, LookupFailed


def test_an_answer_in_time() -> None:
    assert Deadline(60).call("x", lambda: 7) == 7


def test_what_it_raises_is_raised() -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        Deadline(60).call("x", fail)


def test_a_late_answer_is_a_failure() -> None:
    go_on = threading.Event()
    with pytest.raises(LookupFailed, match=r"no answer within 0\.01 s"):
        Deadline(0.01).call("x", go_on.wait)
    go_on.set()


def test_late_calls_do_not_pile_up() -> None:
    go_on = threading.Event()
    deadline = Deadline(0.01, outstanding=2)
    for _ in range(2):
        with pytest.raises(LookupFailed, match="no answer"):
            deadline.call("x", go_on.wait)
    with pytest.raises(LookupFailed, match="too many"):
        deadline.call("x", lambda: 1)
    go_on.set()
    patient = Deadline(60, outstanding=1)
    assert [patient.call("x", lambda: 1) for _ in range(3)] == [1, 1, 1]
