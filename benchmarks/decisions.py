"""Decisions, engine against engine: interleaved rounds over the same requests, answers compared with ours.

At each size every engine is opened with the rules and asked all requests once, to warm up. Then in each round every engine has
its turn, in an order that moves on by one, so that what else the machine does meets them all. A turn asks

    the 2,000 requests again                   p50, p95: what recurs, as an archive's clients do
    some that it was never asked before        p50, p95 of `new`: what an engine that remembers answers pays without its memory

and ends early when its seconds are used up; the next one goes on from there.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.engines import ENGINES, Engine, NotAvailable, Opened, load
from benchmarks.measure import overhead, percentile, turn
from benchmarks.workload import generate

REPEATED = 2000
NEW_A_ROUND = 400
MEASURE_OF_AGREEMENT = ("hirules, indexed", "hirules, gate.check", "hirules, reference")
"""Whose answers the others are compared with: the first that is available."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What one engine did at one size; times in µs."""

    engine: str
    size: int
    ours: bool
    sliced: bool
    p50: float
    p95: float
    new_p50: float
    new_p95: float
    rounds_p50: list[float]
    decisions: int
    compared: int
    mismatches: int
    seconds_to_open: float


@dataclass(frozen=True, slots=True)
class Result:
    """All figures of a run, and which engines could not run, with the reason."""

    figures: list[Figures]
    unavailable: dict[str, str]
    clock_overhead_ns: int
    rounds: int


@dataclass(slots=True)
class Contender:
    """An open engine with its requests and what was measured so far."""

    engine: Engine
    opened: Opened
    seconds_to_open: float
    repeated: list[Any]
    fresh: list[Any]
    cursor: int = 0
    times: list[int] = field(default_factory=list)
    new_times: list[int] = field(default_factory=list)
    rounds_p50: list[float] = field(default_factory=list)
    answers: dict[int, set[bool]] = field(default_factory=dict)

    def recurring(self, cost: int, seconds: float, record: bool) -> None:
        """A turn over the requests that recur, from where the last one stopped."""
        order = [*range(self.cursor, len(self.repeated)), *range(self.cursor)]
        done = self._turn(self.repeated, order, cost, seconds)
        self.cursor = (self.cursor + len(done)) % len(self.repeated)
        if record:
            self.times += done
            self.rounds_p50.append(percentile(done, 0.5))

    def new(self, numbers: Sequence[int], cost: int, seconds: float) -> None:
        """A turn over requests that it was never asked."""
        self.new_times += self._turn(self.fresh, numbers, cost, seconds, first=len(self.repeated))

    def _turn(self, requests: Sequence[Any], order: Sequence[int], cost: int, seconds: float, first: int = 0) -> list[int]:
        done = turn(self.opened.decide, self.opened.allowed, (requests[number] for number in order), cost, seconds)
        for number, allowed in zip(order, done.allowed, strict=False):
            self.answers.setdefault(first + number, set()).add(allowed)
        return done.times


def run(sizes: Iterable[int], rounds: int = 5, seconds: float = 0.5, engines: Sequence[Engine] = ENGINES, say: Callable[[str], None] = print) -> Result:
    """Measure ``engines`` at all ``sizes``; ``seconds`` is the longest turn."""
    cost = overhead()
    figures: list[Figures] = []
    unavailable: dict[str, str] = {}
    for size in sizes:
        contenders = list(_open(size, rounds, engines, unavailable, say))
        try:
            _rounds(contenders, rounds, cost, seconds)
        finally:
            for contender in contenders:
                contender.opened.close()
            gc.unfreeze()
        figures += _figures(contenders, size)
        for line in figures[-len(contenders) :]:
            say(f"{size:>6} rules  {line.engine:<24} {line.p50:>10.2f} µs  new {line.new_p50:>10.2f} µs  {line.mismatches} of {line.compared} differ")
    return Result(figures, unavailable, cost, rounds)


def _open(size: int, rounds: int, engines: Sequence[Engine], unavailable: dict[str, str], say: Callable[[str], None]) -> Iterator[Contender]:
    workload = generate(size, REPEATED + rounds * NEW_A_ROUND)
    for engine in engines:
        begin = time.perf_counter()
        try:
            opened = load(engine, workload)
        except NotAvailable as reason:
            if engine.name not in unavailable:
                say(f"{engine.name}: not available: {reason}")
            unavailable[engine.name] = str(reason)
            continue
        prepared = [opened.prepare(query) for query in workload.queries]
        yield Contender(engine, opened, time.perf_counter() - begin, prepared[:REPEATED], prepared[REPEATED:])


def _rounds(contenders: Sequence[Contender], rounds: int, cost: int, seconds: float) -> None:
    gc.collect()
    gc.freeze()  # what loading made is not looked through again: as a server does, and for all engines alike
    for contender in contenders:
        contender.recurring(cost, 4 * seconds, record=False)
    for number in range(rounds):
        for contender in itertools.islice(itertools.cycle(contenders), number, number + len(contenders)):
            contender.recurring(cost, seconds, record=True)
            contender.new(range(number * NEW_A_ROUND, (number + 1) * NEW_A_ROUND), cost, seconds)


def _figures(contenders: Sequence[Contender], size: int) -> list[Figures]:
    by_name = {contender.engine.name: contender.answers for contender in contenders}
    expected = next((by_name[name] for name in MEASURE_OF_AGREEMENT if name in by_name), {})
    return [_of(contender, size, expected) for contender in contenders]


def _of(contender: Contender, size: int, expected: dict[int, set[bool]]) -> Figures:
    both = contender.answers.keys() & expected.keys()
    return Figures(
        engine=contender.engine.name,
        size=size,
        ours=contender.engine.ours,
        sliced=contender.engine.sliced,
        p50=percentile(contender.times, 0.5),
        p95=percentile(contender.times, 0.95),
        new_p50=percentile(contender.new_times, 0.5),
        new_p95=percentile(contender.new_times, 0.95),
        rounds_p50=contender.rounds_p50,
        decisions=len(contender.times) + len(contender.new_times),
        compared=len(both),
        mismatches=sum(contender.answers[number] != expected[number] for number in both),
        seconds_to_open=contender.seconds_to_open,
    )
