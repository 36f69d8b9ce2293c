"""What the gateway costs on the wire: ``python -m benchmarks relay``.

relay_site   the archive, the TCP relays, the gateways        relay_wire     latencies, idle associations, memory
relay_work   what is timed, and what is asked of it           relay_profile  where the time of an instance goes
relay_find   an archive with 10,000 matches                   relay_report   the page, the figures, the plot
relay_tcp    a plain TCP relay in Python

A round runs each work once by each way, one after the other, in another order each round. Only ratios within a
round count: the machine drifts, and its cores are shared by client, archive and relay.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks import relay_profile, relay_wire
from benchmarks.relay_site import TCP_RELAYS, Site, site
from benchmarks.relay_work import Work, works

ROUNDS = 9


class Line(msgspec.Struct, frozen=True):
    """One way of one work: milliseconds of each round, and how many times the direct one each of them is."""

    what: str
    way: str
    milliseconds: tuple[float, ...]
    ratios: tuple[float, ...]
    asked: float | None = None

    @property
    def median(self) -> float:
        """Of the milliseconds."""
        return statistics.median(self.milliseconds)

    @property
    def ratio(self) -> float:
        """Median of the rounds' ratios."""
        return statistics.median(self.ratios)

    @property
    def spread(self) -> tuple[float, float]:
        """The middle half of the rounds' ratios."""
        return spread(self.ratios)


class Versus(msgspec.Struct, frozen=True):
    """The gateway against the TCP relay that did better, in each round."""

    what: str
    relay: str
    ratios: tuple[float, ...]
    asked: float


class Memory(msgspec.Struct, frozen=True):
    """Resident megabytes of a gateway before and after a study, and the most in between."""

    what: str
    way: str
    before: float
    after: float
    peak: float


class Result(msgspec.Struct, frozen=True):
    """All that a run found. ``latencies`` are milliseconds, ``idle`` shares of a core."""

    rounds: int
    lines: tuple[Line, ...]
    versus: tuple[Versus, ...]
    memory: tuple[Memory, ...]
    latencies: Mapping[str, Mapping[str, float]]
    idle: Mapping[str, float]
    profile: tuple[relay_profile.Cost, ...]
    seconds: float
    missing: tuple[str, ...] = ()


def spread(values: Sequence[float]) -> tuple[float, float]:
    """The middle half."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def run(rounds: int = ROUNDS, only: str = "", *, quick: bool = False) -> Result:
    """All of it, in a folder that is gone afterwards. ``only``: works whose name has this; ``quick``: a tenth of the data."""
    begin = time.perf_counter()
    chosen = [work for work in works() if only.lower() in work.what.lower()]
    with tempfile.TemporaryDirectory(prefix="hirules-bench-") as folder, site(Path(folder), quick=quick) as there:
        times = timed(there, chosen, rounds)
        lines = tuple(line for work in chosen for line in _lines(work, times[work.what]))
        versus = tuple(one for work in chosen if (one := _versus(work, times[work.what])) is not None)
        extra = not only
        return Result(
            rounds,
            lines,
            versus,
            memory(there) if extra else (),
            relay_wire.latencies(there, 3) if extra else {},
            {"gateway": relay_wire.idle(there.ways["gateway"])} if extra else {},
            relay_profile.run(there.studies["CT"].files[0]) if extra else (),
            time.perf_counter() - begin,
            tuple(name for name in TCP_RELAYS if name not in there.ways),
        )


def timed(there: Site, chosen: Sequence[Work], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of each round, by work and way. Once before, untimed, so that files and code are warm."""
    times: dict[str, dict[str, list[float]]] = {work.what: {way: [] for way in work.ways if way not in TCP_RELAYS or way in there.ways} for work in chosen}
    for work in chosen:
        ways = list(times[work.what])
        for number in range(rounds + 1):
            # turned only, each would always come behind the same other one, and what that left to be written to the disk
            for way in random.Random(number).sample(ways, len(ways)):
                seconds = work.timed(there, way)
                if number:
                    times[work.what][way].append(seconds)
        shown = ", ".join(f"{way} {1000 * statistics.median(found):.0f}" for way, found in times[work.what].items())
        print(f"{work.what}: {shown} ms", file=sys.stderr, flush=True)
    return times


def _lines(work: Work, times: Mapping[str, Sequence[float]]) -> list[Line]:
    direct = times["direct"]
    return [
        Line(
            work.what, way, tuple(1000 * one for one in found), tuple(one / other for one, other in zip(found, direct, strict=True)), work.asked.get(way)
        )
        for way, found in times.items()
    ]  # fmt: skip


def _versus(work: Work, times: Mapping[str, Sequence[float]]) -> Versus | None:
    there = [name for name in TCP_RELAYS if name in times]
    if work.of_tcp is None or not there:
        return None
    better = min(there, key=lambda name: statistics.median(times[name]))
    return Versus(work.what, better, tuple(one / other for one, other in zip(times["gateway"], times[better], strict=True)), work.of_tcp)


def memory(there: Site) -> tuple[Memory, ...]:
    """Of each gateway, over the study of many instances and that of large ones."""
    found = []
    for work in works():
        if "discarded" not in work.what:
            continue
        for way in ("gateway", "header", "rewrite"):
            server = there.ways[way]
            relay_wire.forget_peak(server)
            before, _ = relay_wire.memory(server)
            work.timed(there, way)
            after, peak = relay_wire.memory(server)
            found.append(Memory(work.what, way, before, after, peak))
    return tuple(found)
