from __future__ import annotations

import threading

from hirules.dimse.tally import Tally


def test_a_caller_has_so_many_and_no_more() -> None:
    tally = Tally()
    assert [tally.arrives("10.0.0.1", 2) for _ in range(3)] == [True, True, False]
    assert tally.arrives("10.0.0.2", 2)
    tally.leaves("10.0.0.1")
    assert tally.arrives("10.0.0.1", 2)
    assert tally.counts().connections == 3


def test_a_title_counts_without_regard_to_case() -> None:
    tally = Tally()
    assert tally.admits("ward", 1)
    assert not tally.admits("WARD", 1)
    tally.dismissed("Ward")
    assert tally.admits("WARD", 1)


def test_callers_that_are_gone_are_forgotten() -> None:
    tally = Tally()
    for number in range(100):
        tally.arrives(f"10.0.0.{number}", 5)
        tally.leaves(f"10.0.0.{number}")
    assert not tally._addresses


def test_what_it_counts() -> None:
    tally = Tally()
    tally.made()
    tally.made()
    tally.ended()
    tally.rejected("policy")
    tally.rejected("policy")

    def receive() -> None:
        for _ in range(1000):
            tally.received("upstream", 3)

    threads = [threading.Thread(target=receive) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    counts = tally.counts()
    assert (counts.associations, counts.made, counts.rejected, counts.received) == (1, 2, {"policy": 2}, {"upstream": 12_000})
