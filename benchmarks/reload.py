"""Reloading 10,000 rules beside 1,000 decisions a second: how late they become, in a process that does what `hirules serve` does.

A decision is due each millisecond; its lateness is from then to its answer, those before it that were late included.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import hirules
from benchmarks import policies
from benchmarks.workload import generate

PERIOD = 0.001
AFTER = 3.0
"""Seconds after the swap in which the old set is taken apart and the tables of the new one fill."""
CHILD = "import sys; from benchmarks.reload import measure; measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))"


@dataclass(frozen=True, slots=True)
class Lateness:
    """Of the decisions of one phase, ms."""

    decisions: int
    p50: float
    p99: float
    longest: float


@dataclass(frozen=True, slots=True)
class Reloading:
    """All reloads of a run together. ``seconds`` of each: from the last write to the new set deciding."""

    rules: int
    seconds: list[float]
    idle: Lateness
    during: Lateness
    after: Lateness


def run(size: int = 10_000, reloads: int = 5) -> Reloading:
    """Reload the workload of ``size`` rules ``reloads`` times, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = policies.write(generate(size, 1), Path(name) / "policies")
        command = [sys.executable, "-c", CHILD, str(folder), str(size), str(reloads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parent.parent)
    found = json.loads(done.stdout)
    return Reloading(size, found["seconds"], *(Lateness(**found[phase]) for phase in ("idle", "during", "after")))


def measure(folder: str, size: int, reloads: int) -> None:
    """In the process: prints what :class:`Reloading` holds."""
    gate = hirules.load(folder, reload=True)
    requests = [policies.request(query) for query in generate(size).queries]
    for request in requests:
        gate.check(request)
    gc.collect()
    gc.freeze()  # as `hirules serve` does
    late: list[tuple[float, float]] = []
    ended = threading.Event()

    def stream() -> None:
        due, number = time.perf_counter(), 0
        while not ended.is_set():
            due += PERIOD
            wait = due - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            gate.check(requests[number % len(requests)])
            late.append((due, time.perf_counter() - due))
            number += 1

    thread = threading.Thread(target=stream)
    thread.start()
    phases: dict[str, list[tuple[float, float]]] = {"idle": [], "during": [], "after": []}
    changed = Path(folder) / "department-000.yaml"
    for number in range(reloads):
        start = time.perf_counter()
        time.sleep(2)
        digest, begin = gate.policies.digest, time.perf_counter()
        changed.write_text(changed.read_text(encoding="utf-8") + f"# change {number}\n", encoding="utf-8")
        while gate.policies.digest == digest:
            if gate.reloader is None or gate.reloader.status.error or time.perf_counter() - begin > 120:
                raise RuntimeError(f"it does not reload: {gate.reloader and gate.reloader.status}")
            time.sleep(0.005)
        swapped = time.perf_counter()
        time.sleep(AFTER)
        phases["idle"].append((start, begin))
        phases["during"].append((begin, swapped))
        phases["after"].append((swapped, time.perf_counter()))
    ended.set()
    thread.join()
    gate.close()
    told = {phase: asdict(_lateness([each for due, each in late if any(a <= due < b for a, b in spans)])) for phase, spans in phases.items()}
    print(json.dumps({"seconds": [b - a for a, b in phases["during"]], **told}))


def _lateness(seconds: list[float]) -> Lateness:
    ordered = sorted(seconds)
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for share in (0.5, 0.99, 1)]
    return Lateness(len(ordered), *at)


def markdown(reloading: Reloading) -> str:
    """The page."""
    lines = ["| | decisions | p50, ms | p99, ms | longest, ms |", "|---|---:|---:|---:|---:|"]
    named = {"before": reloading.idle, "**during the reload**": reloading.during, f"{AFTER:g} s after": reloading.after}
    lines += [f"| {name} | {one.decisions:,} | {one.p50:.2f} | {one.p99:.2f} | {one.longest:.1f} |" for name, one in named.items()]
    return "\n\n".join(
        [
            "# Reloading",
            "<!-- written by `make bench`; do not edit -->",
            f"{reloading.rules:,} rules are reloaded {len(reloading.seconds)} times, each time after a change of one file, beside a stream of "
            f"{1 / PERIOD:,.0f} `gate.check` a second. From the change to the new set deciding: {min(reloading.seconds):.1f} to {max(reloading.seconds):.1f} "
            "s, of which up to 1.5 s are until the change is seen and the folder quiet. Lateness is from the moment a decision was due to its answer.",
            "\n".join(lines),
            "*After*: the old set is taken apart in slices, and the tables of the new one fill with the values that requests bring. "
            "The process froze its start (`gc.freeze()`, as `hirules serve` does), so a reload freezes the new set too.",
        ]
    )
