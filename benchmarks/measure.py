"""The time of single decisions, less what reading the clock costs, and their percentiles."""

from __future__ import annotations

import statistics
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Clock = Callable[[], int]


def overhead(samples: int = 20_000, clock: Clock = time.perf_counter_ns) -> int:
    """What two readings of the clock with nothing between them differ by, ns: the median."""
    differences = []
    for _ in range(samples):
        begin = clock()
        differences.append(clock() - begin)
    return round(statistics.median(differences))


@dataclass(frozen=True, slots=True)
class Turn:
    """One engine's turn: ns for each decision in order, and whether it allowed."""

    times: list[int]
    allowed: list[bool]


def turn(
    decide: Callable[[Any], Any], allows: Callable[[Any], bool], requests: Iterable[Any], cost: int, seconds: float, clock: Clock = time.perf_counter_ns
) -> Turn:
    """Decides ``requests`` one by one until they or the ``seconds`` are used up; one at least."""
    times, allowed = array("Q"), array("b")  # numbers as objects would take five times the room in the processor's caches
    last = clock() + round(seconds * 1e9)
    for request in requests:
        begin = clock()
        answer = decide(request)
        end = clock()
        times.append(max(0, end - begin - cost))
        allowed.append(allows(answer))
        if end > last:
            break
    return Turn(times.tolist(), list(map(bool, allowed)))


def percentile(times: Sequence[int], share: float) -> float:
    """The ``share`` (0 to 1) percentile of ns, in µs: the nearest rank."""
    return sorted(times)[min(len(times) - 1, int(len(times) * share))] / 1000
