"""Run the soak: ``python -m tests.soak --minutes 30``. Prints the tables of docs/evidence.md; the exit code is 1 where something is wrong.

Mixed clients (DCMTK, pynetdicom, dcmjs-dimse) with 5 % faulty ones, reloads, an archive that pauses and restarts; see ``soaking.py`` for what is judged.
"""

from __future__ import annotations

import argparse
import csv
import faulthandler
import logging
import signal
import sys
import tempfile
from pathlib import Path

from tests.soak.soaking import Report, soak


def main() -> int:
    """One run."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=6, help="clients at a time (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where everything is kept, for a look at it afterwards; left out: nowhere")
    parser.add_argument("--csv", type=Path, help="write the measurements here: seconds, gateway, MiB, threads, files")
    chosen = parser.parse_args()
    faulthandler.register(signal.SIGUSR1)  # where it hangs, should it
    for name in ("pynetdicom", "pydicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="soak-") as fresh:
        report = soak(chosen.folder or Path(fresh), chosen.minutes * 60, chosen.seed, chosen.workers)
    print(report.table())
    print(f"\n{report.records:,} lines in the record, {len(report.arrivals):,} instances moved, {report.reloads} reloads, {report.restarts} restarts")
    if chosen.csv:
        write(report, chosen.csv)
    for problem in report.problems[:50]:
        print(problem, file=sys.stderr)
    print(f"{len(report.problems)} problems")
    return int(bool(report.problems))


def write(report: Report, path: Path) -> None:
    """The measurements."""
    with path.open("w", newline="", encoding="utf-8") as output:
        rows = csv.writer(output)
        rows.writerow(["seconds", "gateway", "mib", "threads", "files"])
        for name, sizes in report.sizes.items():
            rows.writerows([f"{each.seconds:.1f}", name, f"{each.rss / 2**20:.2f}", each.threads, each.files] for each in sizes)


sys.exit(main())
