"""Decisions, engine against engine: interleaved rounds over the same requests, answers compared with ours.

At each size every engine is opened with the rules, in a process of its own, and asked all requests once, to warm up. Then in each
round every engine has its turn, in an order that moves on by one, so that what else the machine does meets them all; the processes of
the others sleep. A turn asks

    the 2,000 requests                         p50, p95 of `woken`: the others have filled the processor's caches meanwhile
    the same ten times more                    p50, p95: what recurs, as an archive's clients do
    some that it was never asked before        p50, p95 of `new`: what an engine that remembers answers pays without its memory

and ends early when its seconds are used up; the next one goes on from there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from benchmarks.alone import Alone
from benchmarks.engines import ENGINES, Engine, NotAvailable
from benchmarks.measure import overhead, percentile

REPEATED = 2000
TIMES = 10
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
    woken_p50: float
    woken_p95: float
    rounds_p50: list[float]
    decisions: int
    compared: int
    mismatches: int
    seconds_to_open: float
    mebibytes: float
    """That the rules hold in memory."""


@dataclass(frozen=True, slots=True)
class Result:
    """All figures of a run, and which engines could not run, with the reason."""

    figures: list[Figures]
    unavailable: dict[str, str]
    clock_overhead_ns: int
    rounds: int


@dataclass(slots=True)
class Contender:
    """An open engine and what was measured of it so far."""

    alone: Alone
    cursor: int = 0
    times: list[int] = field(default_factory=list)
    new_times: list[int] = field(default_factory=list)
    woken_times: list[int] = field(default_factory=list)
    rounds_p50: list[float] = field(default_factory=list)
    answers: dict[int, set[bool]] = field(default_factory=dict)

    def warm_up(self, cost: int, seconds: float) -> None:
        """A turn that is not recorded."""
        self._recurring(cost, seconds)

    def woken(self, cost: int, seconds: float) -> None:
        """A turn over the requests that recur, the first after others had theirs."""
        self.woken_times += self._recurring(cost, seconds)

    def again(self, cost: int, seconds: float) -> None:
        """The next ones."""
        done = self._recurring(cost, seconds, TIMES)
        self.times += done
        self.rounds_p50.append(percentile(done, 0.5))

    def new(self, round_: int, cost: int, seconds: float) -> None:
        """A turn over requests that it was never asked."""
        first = REPEATED + round_ * NEW_A_ROUND
        self.new_times += self._turn(range(first, first + NEW_A_ROUND), cost, seconds)

    def _recurring(self, cost: int, seconds: float, times: int = 1) -> list[int]:
        """From where the last one stopped."""
        done = self._turn([*range(self.cursor, REPEATED), *range(self.cursor)] * times, cost, seconds)
        self.cursor = (self.cursor + len(done)) % REPEATED
        return done

    def _turn(self, numbers: Sequence[int], cost: int, seconds: float) -> list[int]:
        done = self.alone.turn(numbers, cost, seconds)
        for number, allowed in zip(numbers, done.allowed, strict=False):
            self.answers.setdefault(number, set()).add(allowed)
        return done.times


def run(sizes: Iterable[int], rounds: int = 5, seconds: float = 0.5, engines: Sequence[Engine] = ENGINES, say: Callable[[str], None] = print) -> Result:
    """Measure ``engines`` at all ``sizes``; ``seconds`` is the longest turn."""
    cost = overhead()
    figures: list[Figures] = []
    unavailable: dict[str, str] = {}
    for size in sizes:
        with ExitStack() as opened:
            contenders = list(_open(size, rounds, engines, opened, unavailable, say))
            _rounds(contenders, rounds, cost, seconds)
        figures += _figures(contenders, size)
        for line in figures[-len(contenders) :]:
            times = f"{line.p50:>10.2f} µs  new {line.new_p50:>10.2f}  woken {line.woken_p50:>10.2f}"
            say(f"{size:>6} rules  {line.engine:<24} {times}  {line.mismatches} of {line.compared} differ")
    return Result(figures, unavailable, cost, rounds)


def _open(size: int, rounds: int, engines: Sequence[Engine], opened: ExitStack, unavailable: dict[str, str], say: Callable[[str], None]) -> Iterator[Contender]:
    for engine in engines:
        try:
            alone = Alone(engine, size, REPEATED + rounds * NEW_A_ROUND)
        except NotAvailable as reason:
            if engine.name not in unavailable:
                say(f"{engine.name}: not available: {reason}")
            unavailable[engine.name] = str(reason)
            continue
        opened.callback(alone.close)
        yield Contender(alone)


def _rounds(contenders: Sequence[Contender], rounds: int, cost: int, seconds: float) -> None:
    for contender in contenders:
        contender.warm_up(cost, 4 * seconds)
    for number in range(rounds):
        for contender in itertools.islice(itertools.cycle(contenders), number, number + len(contenders)):
            contender.woken(cost, seconds)
            contender.again(cost, seconds)
            contender.new(number, cost, seconds)


def _figures(contenders: Sequence[Contender], size: int) -> list[Figures]:
    by_name = {contender.alone.engine.name: contender.answers for contender in contenders}
    expected = next((by_name[name] for name in MEASURE_OF_AGREEMENT if name in by_name), {})
    return [_of(contender, size, expected) for contender in contenders]


def _of(contender: Contender, size: int, expected: dict[int, set[bool]]) -> Figures:
    both = contender.answers.keys() & expected.keys()
    return Figures(
        engine=contender.alone.engine.name,
        size=size,
        ours=contender.alone.engine.ours,
        sliced=contender.alone.engine.sliced,
        p50=percentile(contender.times, 0.5),
        p95=percentile(contender.times, 0.95),
        new_p50=percentile(contender.new_times, 0.5),
        new_p95=percentile(contender.new_times, 0.95),
        woken_p50=percentile(contender.woken_times, 0.5),
        woken_p95=percentile(contender.woken_times, 0.95),
        rounds_p50=contender.rounds_p50,
        decisions=len(contender.times) + len(contender.woken_times) + len(contender.new_times),
        compared=len(both),
        mismatches=sum(contender.answers[number] != expected[number] for number in both),
        seconds_to_open=contender.alone.load.seconds,
        mebibytes=contender.alone.load.mebibytes,
    )
