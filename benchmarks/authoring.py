"""How long an author waits: `check`, `test` and `explain` on a set of 1,000 rules with their tests, each as a whole process.

Four fifths of the set are the rules of the other benchmarks; the others look at the resource, rewrite, and note.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml

import hirules
from benchmarks import policies
from benchmarks.workload import Query, generate
from hirules.gate import Gate

HIRULES = Path(sys.executable).parent / "hirules"
BOUND = 2.0
"""Seconds that `check`, `test` and `explain` may take."""
EXTRA = """\
  - id: resource-{number}
    on: [c-get, c-move]
    when: {{subject.ae_title: {{in: $extra-{file}}}, resource.PatientID: PAT-{number}, resource.StudyDate: {{older_than: {days}d}}}}
    deny: {{reason: not this record}}
"""
WRITES = """\
  - id: redirect-{number}
    on: c-move
    when: {{request.MoveDestination: OLD_{number}}}
    rewrite:
      - set: {{request.MoveDestination: NEW_{number}}}
  - id: note-{number}
    on: retrieve
    when: {{subject.ae_title: NODE_{number}}}
    audit: {{severity: low, note: watched}}
"""


@dataclass(frozen=True, slots=True)
class Waited:
    """One command: seconds of each round, from its start to its end and of the processor, and what it said last."""

    command: str
    seconds: list[float]
    processor: list[float]
    said: str


@dataclass(frozen=True, slots=True)
class Authoring:
    """The run: how large the set is, and how long each command took."""

    rules: int
    tests: int
    commands: list[Waited]


def run(size: int = 1_000, rounds: int = 5) -> Authoring:
    """Write the set and its tests, and run each command ``rounds`` times. Raises :class:`RuntimeError` where one did not do its work."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "policies"
        rules, tests = write(folder, size)
        request = Path(name) / "request.json"
        request.write_text(json.dumps(asked()))
        commands = {
            "check": ["check", str(folder)],
            "test": ["test", str(folder)],
            "test --coverage": ["test", "--coverage", str(folder)],
            "explain": ["explain", "--policies", str(folder), str(request)],
            "fmt --check": ["fmt", "--check", str(folder)],
        }
        return Authoring(rules, tests, [_wait(command, arguments, rounds) for command, arguments in commands.items()])


def write(folder: Path, size: int) -> tuple[int, int]:
    """A set of ``size`` rules, with 60 tests beside each of its files; how many rules and tests there are."""
    workload = generate(size * 4 // 5)
    policies.write(workload, folder)
    files = sorted(folder.glob("*.yaml"))
    count = len(workload.rules)
    for number in range(size):
        if count >= size:
            break
        path = files[number % len(files)]
        text = path.read_text()
        if number < len(files):
            lists = f"  extra-{number}: [NODE_{number}, NODE_{number + 1}]\n"
            text = text.replace("lists:\n", "lists:\n" + lists) if "lists:\n" in text else text.replace("rules:\n", f"lists:\n{lists}rules:\n")
        looks = number % 2 or count + 1 == size
        more = EXTRA.format(number=number, file=number % len(files), days=30 + number) if looks else WRITES.format(number=number)
        path.write_text(text + more)
        count += 1 if looks else 2
    (folder / "set.yaml").write_text("hirules-set: 1\ntitle: A large set\n")
    gate = hirules.load(folder)
    tests = 0
    for number, path in enumerate(files):
        queries = workload.queries[number * 60 : (number + 1) * 60]
        (folder / f"{path.stem}_test.yaml").write_text(_tests(gate, queries))
        tests += len(queries)
    gate.close()
    return count, tests


def asked() -> dict[str, object]:
    """The request that is explained."""
    return {
        "action": "c-move",
        "subject": {"ae_title": "NODE_4", "address": "10.1.2.3"},
        "request": {"MoveDestination": "OLD_4", "Identifier": {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"}},
        "resource": [{"PatientID": "PAT-5", "StudyDate": "20200101"}],
        "context": {"now": "2026-03-02T10:00:00+01:00"},
    }


def _tests(gate: Gate, queries: Sequence[Query]) -> str:
    """Tests of what the set decides: what they cost is asked, not whether they are right."""
    tests = []
    for number, query in enumerate(queries):
        request = policies.request(query)
        entities = [{"PatientID": f"P{number}", "StudyDate": "20250101"}] if query.action in ("c-get", "c-move") else None
        request = msgspec.structs.replace(request, resource=entities)
        decision = gate.check(request)
        test: dict[str, object] = {"name": f"query {number}", "on": query.action, "subject": dict(request.subject), "request": dict(request.request)}
        if entities is not None:
            test["resource"] = entities
        test["expect"] = {"decision": decision.decision, "by": list(decision.by), "rewritten": dict(decision.rewritten)}
        tests.append(test)
    return yaml.safe_dump({"hirules-test": 1, "now": "2026-03-02T10:00:00+01:00", "tests": tests}, sort_keys=False)


def _wait(command: str, arguments: list[str], rounds: int) -> Waited:
    seconds, processor = [], []
    for _ in range(rounds):
        used, begin = _used(), time.perf_counter()
        done = subprocess.run([HIRULES, *arguments], capture_output=True, text=True, check=False)
        seconds.append(time.perf_counter() - begin)
        processor.append(_used() - used)
        if done.returncode not in (0, 1, 3) or done.stderr:
            raise RuntimeError(f"hirules {command}: {done.stderr}")
    return Waited(command, seconds, processor, done.stdout.strip().rpartition("\n")[2])


def _used() -> float:
    """Seconds of the processor that ended children have used."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def markdown(found: Authoring, described: Mapping[str, str]) -> str:
    """The page."""
    head = (
        "# What an author waits for\n\n<!-- written by `make bench`; do not edit -->\n\n"
        f"Whole processes on a set of {found.rules:,} rules with {found.tests:,} tests. `check`, `test` and `explain` should answer "
        f"within {BOUND:g} seconds each.\n"
        "*Elapsed* is from the command to its end, beside whatever else the machine did; *processor* is what it took of it, "
        "and so what an idle machine takes.\n\n"
        f"{described['processor']}, Python {described['python']}, load {described['load']}.\n\n"
        "| command | processor, s | elapsed, s | longest, s | |\n|---|---:|---:|---:|---|"
    )
    return "\n".join([head, *map(_row, found.commands)])


def _row(one: Waited) -> str:
    processor, elapsed = statistics.median(one.processor), statistics.median(one.seconds)
    late = processor > BOUND and one.command in ("check", "test", "explain")
    return f"| `hirules {one.command}` | {processor:.2f} | {elapsed:.2f} | {max(one.seconds):.2f} | {'too long' if late else ''} |"
