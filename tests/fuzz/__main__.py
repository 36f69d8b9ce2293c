"""Run the fuzzers: ``python -m tests.fuzz [NOUN…] --seconds N [--jobs N]``.

With atheris they are guided by coverage, and what they learn stays in .fuzz/NOUN; without it, seeds are mutated blindly. An input that breaks a
law is left in .fuzz/findings/NOUN-*, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import importlib
import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.mutation import HERE, NOUNS, inputs, mutated, words

LARGEST = 8192
SLOWEST = 60
"""Seconds for one input, before it counts as a hang; machines are shared."""


def main() -> int:
    """Each fuzzer in a process of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nouns", nargs="*", metavar="NOUN", help=f"of {', '.join(NOUNS)}; all unless named")
    parser.add_argument("--seconds", type=int, default=600, help="for each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the chance; 0 draws one")
    parser.add_argument("--jobs", type=int, default=1, help="fuzzers at a time (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=Path(".fuzz"), help="folder for what they learn and find (default: %(default)s)")
    parser.add_argument("--blind", action="store_true", help="without atheris, even where it is installed")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if unknown := set(chosen.nouns) - set(NOUNS):
        parser.error(f"no fuzzer: {', '.join(sorted(unknown))}")
    blind = chosen.blind or find_spec("atheris") is None
    if chosen.inside:
        (blindly if blind else guided)(chosen.nouns[0], chosen.seconds, chosen.seed, chosen.work)
        return 0
    options = [f"--seconds={chosen.seconds}", f"--seed={chosen.seed}", f"--work={chosen.work}", *(["--blind"] if blind else [])]
    (chosen.work / "findings").mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(chosen.jobs) as pool:
        done = list(pool.map(lambda noun: run(noun, options), chosen.nouns or NOUNS))
    return int(any(done))


def run(noun: str, options: list[str]) -> int:
    """One fuzzer, and what it printed if that is of interest."""
    began = time.monotonic()
    found = subprocess.run([sys.executable, "-m", "tests.fuzz", "--inside", noun, *options], text=True, capture_output=True, check=False, errors="replace")
    print(
        f"{noun}: {summary(found.stdout + found.stderr)} in {time.monotonic() - began:.0f} s, {'no finding' if not found.returncode else 'a FINDING'}",
        flush=True,
    )
    if found.returncode:
        print(found.stdout[-4000:] + found.stderr[-8000:], file=sys.stderr, flush=True)
    return found.returncode


def summary(output: str) -> str:
    """How many inputs it ran, and how."""
    lines = [line for line in output.splitlines() if line.startswith(("Done ", "stat::number_of_executed_units", "blindly: "))]
    return lines[-1].split(" in ")[0] if lines else "?"


def guided(noun: str, seconds: int, seed: int, work: Path) -> None:
    """By atheris; it ends the process itself."""
    import atheris

    with atheris.instrument_imports(include=["hirules"]):
        module = importlib.import_module(f"tests.fuzz.fuzz_{noun}")
    learned = work / noun
    learned.mkdir(parents=True, exist_ok=True)
    arguments = [
        f"-max_total_time={seconds}", f"-seed={seed}", f"-dict={HERE / 'dictionaries' / f'{noun}.dict'}", f"-max_len={LARGEST}", f"-timeout={SLOWEST}",
        f"-artifact_prefix={work / 'findings' / noun}-", "-rss_limit_mb=4096", "-len_control=20", "-print_final_stats=1",
        str(learned), *(str(folder) for name in ("corpus", "regressions") if (folder := HERE / name / noun).is_dir()),
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *arguments], module.one)
    atheris.Fuzz()


def blindly(noun: str, seconds: float, seed: int, work: Path) -> None:
    """By mutation alone."""
    one, seeds, dictionary = importlib.import_module(f"tests.fuzz.fuzz_{noun}").one, inputs(noun), words(noun)
    dice = random.Random(seed or time.time_ns())
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        data, count = mutated(dice, seeds, dictionary)[:LARGEST], count + 1
        try:
            one(data)
        except BaseException:
            (work / "findings" / f"{noun}-blind-{count}").write_bytes(data)
            raise
    print(f"blindly: {count} inputs")


if __name__ == "__main__":
    sys.exit(main())
