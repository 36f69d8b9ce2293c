from __future__ import annotations

import threading
import time

import pytest

from hirules.assemble.pace import WORK, Pace, Stopped


def test_another_thread_runs_between_the_slices() -> None:
    turns, done = [0], threading.Event()

    def other() -> None:
        while not done.is_set():
            turns[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=other)
    thread.start()
    pace = Pace()
    rests = 0
    begin = time.perf_counter()
    while rests < 20:
        before = turns[0]
        while time.perf_counter() - begin < WORK:
            pass
        pace()
        rests += turns[0] > before
        begin = time.perf_counter()
    done.set()
    thread.join()
    assert turns[0] >= 20


def test_it_does_not_rest_before_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = [0.0]
    monkeypatch.setattr("hirules.assemble.pace.time.sleep", slept.append)
    monkeypatch.setattr("hirules.assemble.pace.time.perf_counter", lambda: now[0])
    pace = Pace()
    pace()
    assert not slept
    now[0] = WORK
    pace()
    assert len(slept) == 1
    pace()
    assert len(slept) == 1


def test_it_ends_where_nobody_waits_any_more() -> None:
    with pytest.raises(Stopped):
        Pace(lambda: True).rest()
