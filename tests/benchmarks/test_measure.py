"""Times of single decisions, with a clock of our own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.measure import overhead, percentile, turn


def ticking(step: int) -> Iterator[int]:
    now = 0
    while True:
        now += step
        yield now


def test_the_overhead_is_what_the_clock_itself_takes() -> None:
    clock = ticking(70)
    assert overhead(100, lambda: next(clock)) == 70


def test_a_turn_takes_the_overhead_off_and_keeps_the_answers() -> None:
    clock = ticking(100)
    done = turn(lambda request: request, bool, [0, 1, 1], 30, 1, lambda: next(clock))
    assert done.times == [70, 70, 70]
    assert done.allowed == [False, True, True]


def test_a_turn_ends_with_its_seconds_but_has_one_decision() -> None:
    clock = ticking(10**9)
    assert len(turn(lambda request: request, bool, range(100), 0, 4, lambda: next(clock)).times) == 3
    assert len(turn(lambda request: request, bool, range(100), 0, 0, lambda: next(clock)).times) == 1


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.5, 51), (0.95, 96), (1, 100)])
def test_percentiles_are_microseconds_of_the_nearest_rank(share: float, expected: float) -> None:
    assert percentile([1000 * number for number in range(100, 0, -1)], share) == expected
