"""Mutation testing of the decision core, by mutmut: ``python -m tests.mutation [--share 0.25] [--seed 1] [MODULE…]``.

mutmut makes small changes in copies of the modules (``[tool.mutmut]`` in pyproject.toml), each tested by the tests of tests/policy that reach
it. A mutant that no test fails survives: either a test is missing or the change means nothing. A share is drawn evenly from each module.

mutmut forks each mutant from a process that has imported the project. What a module does once, as it is imported (the tables of operators and
edits, and what their factories make), was done by the original there: mutants of those functions are not judged, and not counted.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

FOLDER = Path("mutants", "src", "hirules", "policy")
OUTCOMES = {0: "survived", 33: "untested", None: "not run", 24: "timeout", 36: "timeout", -24: "timeout", 152: "timeout", 255: "timeout", 5: "untested"}
"""mutmut's exit codes; any other is a mutant that was killed."""


def main() -> int:
    """Make the mutants, draw a share, run it, say the score and who survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="such as `read`; all of the configuration unless named")
    parser.add_argument("--share", type=float, default=1.0, help="of the mutants (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the drawing (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (default: %(default)s)")
    parser.add_argument("--report", action="store_true", help="run nothing, say what the last run found")
    chosen = parser.parse_args()
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(chosen.jobs)]
    if not chosen.report:
        # the smallest module: mutmut makes all mutants first, and their names are needed to draw from
        subprocess.run([*command, "hirules.policy.truth.*"], check=True)
    modules = chosen.modules or [path.name.removesuffix(".py.meta") for path in sorted(FOLDER.glob("*.py.meta"))]
    at_import = called_at_import()
    drawn = {name: draw((mutant for mutant in outcomes(name) if is_judged(mutant, at_import)), chosen.share, chosen.seed) for name in modules}
    if not chosen.report:
        subprocess.run([*command, *(mutant for mutants in drawn.values() for mutant in mutants)], check=True)
    for line in report({name: {mutant: outcomes(name)[mutant] for mutant in mutants} for name, mutants in drawn.items()}):
        print(line)
    return 0


def outcomes(module: str) -> dict[str, str]:
    """The mutants of a module and what became of each."""
    codes: dict[str, int | None] = json.loads((FOLDER / f"{module}.py.meta").read_text(encoding="utf-8"))["exit_code_by_key"]
    return {mutant: OUTCOMES.get(code, "killed") for mutant, code in codes.items()}


_PROFILED = """
import sys
called = set()
def note(frame, event, _):
    code = frame.f_code
    if event == "call" and "/hirules/policy/" in code.co_filename and code.co_name.isidentifier():
        called.add(f"{code.co_filename.rpartition('/')[2].removesuffix('.py')}.{code.co_name}")
sys.setprofile(note)
import hirules.policy.index, hirules.policy.evaluate, hirules.policy.load
sys.setprofile(None)
print("\\n".join(called))
"""


def called_at_import() -> frozenset[str]:
    """The functions of the policy package, ``module.function``, that run while it is imported."""
    done = subprocess.run([sys.executable, "-c", _PROFILED], check=True, capture_output=True, text=True)
    return frozenset(done.stdout.split())


def is_judged(mutant: str, at_import: Collection[str]) -> bool:
    """Whether a fork can run this mutant: ``hirules.policy.members.x_order__mutmut_3``."""
    module, _, function = mutant.removeprefix("hirules.policy.").partition(".")
    return f"{module}.{function.partition('__mutmut_')[0].removeprefix('x_')}" not in at_import


def draw(mutants: Iterable[str], share: float, seed: int) -> list[str]:
    """A share of the mutants, the same for the same seed."""
    names = sorted(mutants)
    return sorted(random.Random(seed).sample(names, round(len(names) * share))) if share < 1 else names


def report(found: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    """A table, and the names of those that were not killed."""
    whole: Counter[str] = Counter()
    yield f"{'module':14}{'mutants':>8}{'killed':>8}{'timeout':>8}{'survived':>9}{'untested':>9}{'score':>7}"
    for module, mutants in found.items():
        counts = Counter(mutants.values())
        whole += counts
        yield _line(module, counts)
    yield _line("all", whole)
    yield from (f"{outcome}: {mutant}" for mutants in found.values() for mutant, outcome in mutants.items() if outcome in ("survived", "untested"))


def _line(name: str, counts: Counter[str]) -> str:
    run = counts.total() - counts["not run"]
    caught = counts["killed"] + counts["timeout"]
    score = f"{100 * caught / run:.1f}%" if run else "-"
    return f"{name:14}{run:>8}{counts['killed']:>8}{counts['timeout']:>8}{counts['survived']:>9}{counts['untested']:>9}{score:>7}"


if __name__ == "__main__":
    sys.exit(main())
