"""Loading 10,000 rules: how long `hirules.load` takes, and how much memory the gate holds; each time in a process of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import policies
from benchmarks.workload import generate

CHILD = """
import json, sys, time
from pathlib import Path
import hirules.assemble

def status(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024

before = status("VmRSS")
begin = time.perf_counter()
gate = hirules.assemble.load(sys.argv[1])
seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "imported": before, "held": status("VmRSS") - before, "peak": status("VmHWM") - before}))
"""
"""Imports before the clock starts: they are there once, whatever is loaded. Memory in MiB, as Linux counts it."""

STAGES = """
import json, sys, time
from pathlib import Path
from hirules.assemble.folder import read_folder
from hirules.facts.reads import reads
from hirules.policy import load_set
from hirules.policy.document import parse
from hirules.policy.index import Index

stages = {}

def timed(name, work):
    begin = time.process_time()
    found = work()
    stages[name] = time.process_time() - begin
    return found

files, _ = timed("read the files", lambda: read_folder(Path(sys.argv[1])))
policies = timed("text to policy set", lambda: load_set(files)).required()
timed("index", lambda: Index(policies))
timed("what rules read", lambda: reads(policies))
timed("of the text: parse alone", lambda: [parse(name, data).root is None for name, data in files.items() if name.endswith(".yaml")])
print(json.dumps(stages))
"""
"""The same work step by step, in seconds of CPU: other processes on the machine count less."""


@dataclass(frozen=True, slots=True)
class Loading:
    """Medians; memory in MiB above what the imports took."""

    rules: int
    yaml_megabytes: float
    seconds: float
    seconds_of_each: list[float]
    stages: dict[str, float]
    """Seconds of CPU by stage."""
    imported: float
    held: float
    peak: float


def run(size: int = 10_000, runs: int = 5) -> Loading:
    """Load the workload of ``size`` rules ``runs`` times."""
    with tempfile.TemporaryDirectory() as name:
        folder = policies.write(generate(size, 1), Path(name) / "policies")
        text = sum(file.stat().st_size for file in folder.glob("*.yaml"))
        found, stages = ([json.loads(_run(child, folder)) for _ in range(runs)] for child in (CHILD, STAGES))

    def median(key: str) -> float:
        return statistics.median(float(one[key]) for one in found)

    by_stage = {stage: statistics.median(one[stage] for one in stages) for stage in stages[0]}
    return Loading(size, text / 1e6, median("seconds"), [one["seconds"] for one in found], by_stage, median("imported"), median("held"), median("peak"))


def _run(child: str, folder: Path) -> bytes:
    return subprocess.run([sys.executable, "-c", child, str(folder)], capture_output=True, check=True).stdout


def markdown(loading: Loading) -> str:
    """The page."""
    return "\n\n".join(
        [
            "# Loading",
            "<!-- written by `make bench`; do not edit -->",
            f"`hirules.load` of {loading.rules:,} rules ({loading.yaml_megabytes:.1f} MB of YAML in files of {policies.RULES_PER_FILE} rules, lists as CSV), "
            f"the median of {len(loading.seconds_of_each)} processes: **{loading.seconds:.2f} s** "
            f"({min(loading.seconds_of_each):.2f} to {max(loading.seconds_of_each):.2f}).",
            "CPU by stage, medians: " + ", ".join(f"{stage} {1000 * seconds:.0f} ms" for stage, seconds in loading.stages.items()) + ".",
            f"Memory above the {loading.imported:.0f} MiB of the imports: {loading.held:.0f} MiB held, {loading.peak:.0f} MiB at the peak.",
        ]
    )
