"""The soak: workers with clients of their own, one who disturbs, one who measures; then the gateways are at rest, end, and are judged."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.peers.process import Server
from tests.soak.clients import FAULTS, OPERATIONS, Clients, Done
from tests.soak.judged import forbidden, lost, read_record
from tests.soak.measure import Size, Trend, size, trend
from tests.soak.site import Arrival, Site

FAULTY = 0.05
"""The share of clients that do what they should not."""
MISTAKES = re.compile(r"Traceback|an error in the gateway| ERROR (?!.*the upstream)")
SETTLING = 60
"""Seconds at most until threads and files are what they were."""


@dataclass
class Report:
    """What came of it; ``problems`` is empty where all is well."""

    seconds: float
    done: list[Done]
    arrivals: list[Arrival]
    sizes: dict[str, list[Size]]
    baselines: dict[str, Size]
    rests: dict[str, Size]
    trends: dict[str, Trend]
    reloads: int
    restarts: int
    records: int
    problems: list[str] = field(default_factory=list)

    def table(self) -> str:
        """For docs/evidence.md."""
        asked, answered = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
        for each in self.done:
            asked[each.family, each.operation] += 1
            answered[each.family, each.operation] += each.answered
        lines = ["| clients | requests | answered |", "|---|---|---|"]
        for family in dict.fromkeys(each.family for each in self.done):
            mine = sorted(key for key in asked if key[0] == family)
            shown = ", ".join(f"{operation} {asked[family, operation]:,}" for _, operation in mine)
            lines.append(f"| {family}: {shown} | {sum(asked[key] for key in mine):,} | {sum(answered[key] for key in mine):,} |")
        lines += [
            "",
            "| gateway | RSS at first, MiB | median after the warm-up | grown by | threads, files: before | afterwards |",
            "|---|---|---|---|---|---|",
        ]
        for name, found in self.trends.items():
            before, after = self.baselines[name], self.rests[name]
            lines.append(
                f"| {name} | {before.rss / 2**20:.1f} | {found.median:.1f} | {found.grown:+.2f} ({found.per_hour:+.2f} an hour) "
                f"| {before.threads}, {before.files} | {after.threads}, {after.files} |"
            )
        return "\n".join(lines)


class Soak:
    """One run over a site that was started."""

    def __init__(self, site: Site, seconds: float, seed: int, workers: int) -> None:
        self._site = site
        self._seconds = seconds
        self._seed = seed
        self._workers = workers
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._done: list[Done] = []
        self._number = 0
        self._failures: list[str] = []
        self._began = time.monotonic()
        self._gateways: dict[str, Server] = {"plain": site.plain, "tls": site.encrypted}
        self._sizes: dict[str, list[Size]] = {name: [] for name in self._gateways}

    def run(self) -> Report:
        """The whole of it; the site's gateways are stopped afterwards."""
        clients = Clients(self._site)
        try:
            self._warm(clients)
            baselines = {name: self._at_rest(name, None) for name in self._gateways}
            self._began = time.monotonic()
            self._work(clients)
            rests = {name: self._at_rest(name, baselines[name]) for name in self._gateways}
        finally:
            clients.close()
        codes = self._site.stop()
        return self._judged(baselines, rests, codes)

    # -- at work ----------------------------------------------------------------------------------

    def _warm(self, clients: Clients) -> None:
        """Each operation once, so that what is made only once is there."""
        dice = random.Random(self._seed)
        for family, operations in OPERATIONS.items():
            for operation in operations:
                self._kept(clients.carry_out(family, operation, self._title(), dice))

    def _work(self, clients: Clients) -> None:
        jobs: list[Callable[[], None]] = [lambda number=number: self._client(clients, number) for number in range(self._workers)]  # type: ignore[misc]
        threads = [threading.Thread(target=self._guarded, args=(job,)) for job in [*jobs, self._disturb, self._measure]]
        for thread in threads:
            thread.start()
        self._stop.wait(self._seconds)
        self._stop.set()
        for thread in threads:
            thread.join(300)
            if thread.is_alive():
                self._failures.append("a client hangs")

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception as error:  # noqa: BLE001 - a soak without its workers would prove nothing: told at the end
            self._failures.append(f"the soak itself: {type(error).__name__}: {error}")
            self._stop.set()

    def _client(self, clients: Clients, worker: int) -> None:
        dice = random.Random(self._seed * 1000 + worker)
        while not self._stop.is_set():
            if dice.random() < FAULTY:
                self._kept(clients.fail(dice.choice(FAULTS), self._title(), dice))
            else:
                family = dice.choice(list(OPERATIONS))
                self._kept(clients.carry_out(family, dice.choice(OPERATIONS[family]), self._title(), dice))

    def _disturb(self) -> None:
        """Reloads, and an archive that stands still or restarts."""
        dice = random.Random(self._seed + 1)
        every = max(5.0, min(30.0, self._seconds / 10))
        turn = 0
        while not self._stop.wait(every):
            turn += 1
            self._site.reload()
            if turn % 6 == 3:
                self._site.pause_archive(2)
            elif turn % 6 == 0:
                self._site.restart_archive(kill=dice.random() < 0.5)

    def _measure(self) -> None:
        every = max(0.5, min(5.0, self._seconds / 240))
        while not self._stop.wait(every):
            for name, gateway in self._gateways.items():
                self._sizes[name].append(size(gateway.process.pid, self._began))
                with (self._site.folder / "sizes.csv").open("a", encoding="ascii") as kept:  # for a look while it runs
                    kept.write(f"{self._sizes[name][-1].seconds:.0f},{name},{self._sizes[name][-1].rss}\n")

    def _title(self) -> str:
        with self._lock:
            self._number += 1
            return f"S{self._number:08}"

    def _kept(self, done: Done) -> None:
        with self._lock:
            self._done.append(done)

    def _at_rest(self, name: str, before: Size | None) -> Size:
        """What the gateway holds when nobody asks anything: once it is no more than before, or after ``SETTLING``."""
        pid, deadline = self._gateways[name].process.pid, time.monotonic() + SETTLING
        if before is None:
            time.sleep(5)  # associations for look-ups are released
        while True:
            now = size(pid, self._began)
            if before is None or (now.threads <= before.threads and now.files <= before.files) or time.monotonic() > deadline:
                return now
            time.sleep(0.5)

    # -- afterwards -------------------------------------------------------------------------------

    def _judged(self, baselines: dict[str, Size], rests: dict[str, Size], codes: dict[str, int]) -> Report:
        warm_up = self._seconds / 3
        record = read_record(self._site.audit)
        trends = {name: trend(sizes, warm_up) for name, sizes in self._sizes.items()}
        arrivals = self._site.destination.arrivals
        problems = [*self._failures, *lost(record, self._done, arrivals), *forbidden(record, self._done, arrivals)]
        for name, gateway in self._gateways.items():
            if codes[name] != 0:
                problems.append(f"{name}: ended with {codes[name]}")
            problems += [f"{name}: {line}" for line in gateway.text().splitlines() if MISTAKES.search(line)]
            if not trends[name].flat:
                problems.append(f"{name}: memory grew by {trends[name].grown:.1f} MiB")
            if rests[name].threads > baselines[name].threads or rests[name].files > baselines[name].files:
                problems.append(f"{name}: it holds {rests[name]}, before {baselines[name]}")
        return Report(
            self._seconds, self._done, arrivals, self._sizes, baselines, rests, trends, self._site.reloads, self._site.restarts,
            len(record.decisions) + len(record.outcomes) + sum(map(len, record.instances.values())), problems,
        )  # fmt: skip


def soak(folder: Path, seconds: float, seed: int = 1, workers: int = 6) -> Report:
    """Start everything below ``folder``, run, stop everything."""
    site = Site(folder)
    try:
        site.start()
        return Soak(site, seconds, seed, workers).run()
    finally:
        site.close()
