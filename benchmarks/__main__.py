"""The command: ``python -m benchmarks [decisions] [c-move] [load] [reload] [authoring] [relay]``; all of them without a name. ``make bench`` calls it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from benchmarks import authoring, c_move, decisions, load, machine, relay, relay_report, reload, report
from benchmarks.engines import ENGINES

SIZES = (10, 100, 1_000, 10_000)
FOLDER = Path(__file__).parent.parent / "docs" / "benchmarks"


def main(arguments: list[str] | None = None) -> int:
    """Runs what is asked for, prints it and writes it to the folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", choices=("decisions", "c-move", "load", "reload", "authoring", "relay", []), help="what to measure (all of it)")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of rules")
    parser.add_argument("--rounds", type=int, help=f"5; of the relay {relay.ROUNDS}")
    parser.add_argument("--seconds", type=float, default=0.5, help="the longest turn of one engine")
    parser.add_argument("--only", default="", help="engines, and works of the relay, whose name contains this")
    parser.add_argument("--quick", action="store_true", help="a tenth of the relay's data, in two rounds: to see that it runs")
    parser.add_argument("--to", type=Path, default=FOLDER, help="the folder for table, JSON and plot")
    given = parser.parse_args(arguments)
    of_relay = given.rounds or (2 if given.quick else relay.ROUNDS)
    given.rounds = given.rounds or 5
    what = given.what or ["c-move", "load", "reload", "authoring", "decisions", "relay"]
    described = machine.describe(["hirules", *(name for engine in ENGINES for name in (engine.needs, engine.client))])
    given.to.mkdir(parents=True, exist_ok=True)
    if "c-move" in what:
        rows = c_move.run(rounds=given.rounds)
        (given.to / "c_move.json").write_text(json.dumps({"machine": described, "rows": [asdict(row) for row in rows]}, indent=1) + "\n")
        (given.to / "c_move.md").write_text(c_move.markdown(rows) + "\n")
        print(f"\n{c_move.markdown(rows)}")
    if "load" in what:
        loading = load.run(max(given.sizes))
        (given.to / "load.json").write_text(json.dumps({"machine": described, **asdict(loading)}, indent=1) + "\n")
        (given.to / "load.md").write_text(load.markdown(loading) + "\n")
        print(f"\n{load.markdown(loading)}")
    if "reload" in what:
        reloading = reload.run(max(given.sizes))
        (given.to / "reload.json").write_text(json.dumps({"machine": described, **asdict(reloading)}, indent=1) + "\n")
        (given.to / "reload.md").write_text(reload.markdown(reloading) + "\n")
        print(f"\n{reload.markdown(reloading)}")
    if "authoring" in what:
        waited = authoring.run(rounds=given.rounds)
        (given.to / "authoring.json").write_text(json.dumps({"machine": described, **asdict(waited)}, indent=1) + "\n")
        (given.to / "authoring.md").write_text(authoring.markdown(waited, described) + "\n")
        print(f"\n{authoring.markdown(waited, described)}")
    if "decisions" in what:  # what draws the plot is imported here, and stays in memory
        engines = [engine for engine in ENGINES if given.only in engine.name]
        result = decisions.run(given.sizes, given.rounds, given.seconds, engines)
        report.write(result, described, given.to)
        print(f"\n{report.markdown(result, described)}")
    if "relay" in what:
        on_the_wire = machine.describe(["hirules", "pynetdicom", "pydicom"]) | machine.packages(["dcmtk", "haproxy"])
        relayed = relay.run(of_relay, given.only, quick=given.quick)
        if not (given.only or given.quick):
            relay_report.write(relayed, on_the_wire, given.to)
        print(f"\n{relay_report.markdown(relayed, on_the_wire)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
