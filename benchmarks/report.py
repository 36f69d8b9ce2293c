"""What a run found, in docs/benchmarks: a table, the figures as JSON, a plot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.decisions import Figures, Result


def write(result: Result, machine: Mapping[str, str], folder: Path) -> None:
    """``decisions.json``, ``decisions.md`` and ``decisions.svg`` in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "decisions.json").write_text(json.dumps({"machine": machine, **asdict(result)}, indent=1) + "\n")
    plotted = plot(result, folder / "decisions.svg")
    (folder / "decisions.md").write_text(markdown(result, machine, plotted))


def markdown(result: Result, machine: Mapping[str, str], plotted: bool = True) -> str:
    """The page: how it was measured, the tables, the ratios, what could not run."""
    sizes = sorted({line.size for line in result.figures})
    parts = [
        "# Decisions: hirules and other policy engines",
        "<!-- written by `make bench`; do not edit -->",
        "One generated hospital workload, one run, interleaved rounds. Every engine has the rules in its own form, encoded as its documentation advises "
        "(`benchmarks/peers/` says how and why), and gets its requests ready in the form it takes. Times are µs for one decision, the clock's own cost "
        f"({result.clock_overhead_ns} ns) taken off. Absolute figures drift with the machine: compare within the table.",
        "Each engine runs in a process of its own, as it would be deployed: in one process with the others its objects would lie scattered among theirs. "
        "One process is at work at a time, the others sleep; they take turns, in an order that moves on by one each round.",
        "- *again*: 2,000 different requests, asked ten times over in every round. *woken*: the same, once before that, right after the turns of the others, "
        "which leave nothing of this one's in the processor's caches. *new*: requests that the engine was never asked before, after those.\n"
        "- *sliced*: the application, not the engine, picks the rules of the action and the calling AE title before it asks.\n"
        "- *differ*: requests that the engine decides unlike hirules, of those that it had time for, at all sizes.",
        "![µs a decision by number of rules](decisions.svg)" if plotted else "(no plot: `matplotlib` is not installed)",
        "## p50 / p95, again",
        _table(result.figures, sizes, ("p50", "p95"), agreement=True),
        "## p50 / p95, new",
        _table(result.figures, sizes, ("new_p50", "new_p95")),
        "## p50 / p95, woken",
        _table(result.figures, sizes, ("woken_p50", "woken_p95")),
        "## Memory, MiB",
        "What the process holds more once the rules are loaded and the requests are ready: RSS, the engine's own library not counted, Cerbos' server wholly.",
        _table(result.figures, sizes, ("mebibytes",)),
        "## How many times faster hirules is",
        _ratios(result.figures, sizes),
    ]
    if result.unavailable:
        parts += ["## Not available in this run", "\n".join(f"- {name}: {why}" for name, why in result.unavailable.items())]
    parts += ["## Machine and versions", "\n".join(f"- {name}: {value}" for name, value in machine.items()), f"{result.rounds} rounds."]
    return "\n\n".join(parts) + "\n"


def _table(figures: Sequence[Figures], sizes: Sequence[int], columns: tuple[str, ...], agreement: bool = False) -> str:
    head = ["engine", *(f"{size:,} rules" for size in sizes), *(["differ"] if agreement else [])]
    lines = [head, ["---", *(["---:"] * (len(head) - 1))]]
    for name in dict.fromkeys(line.engine for line in figures):
        of = {line.size: line for line in figures if line.engine == name}
        cells = [" / ".join(_digits(getattr(of[size], column)) for column in columns) if size in of else "–" for size in sizes]
        told = [f"{sum(line.mismatches for line in of.values()):,} of {sum(line.compared for line in of.values()):,}"] if agreement else []
        bold = "**" if next(iter(of.values())).ours else ""
        lines.append([f"{bold}{name}{bold}", *cells, *told])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ratios(figures: Sequence[Figures], sizes: Iterable[int]) -> str:
    """By p50: of the two engines of ours that serve, against the best peer, and against the best that picks the rules itself."""
    lines = ["| | rules | hirules, µs | best peer | times | best that is not sliced | times |", "|---|---:|---:|---|---:|---|---:|"]
    for name in ("hirules, indexed", "hirules, gate.check"):
        for column, what in (("p50", "again"), ("new_p50", "new"), ("woken_p50", "woken")):
            for size in sizes:
                here = [line for line in figures if line.size == size]
                mine = next((getattr(line, column) for line in here if line.engine == name), None)
                peers = sorted((getattr(line, column), line.engine, line.sliced) for line in here if not line.ours)
                if mine is None or not peers:
                    continue
                unsliced = [peer for peer in peers if not peer[2]]
                cells = [f"{peer[1]}, {_digits(peer[0])} | {_digits(peer[0] / mine) if mine else '–'}" for peer in (peers[0], *unsliced[:1])]
                lines.append(f"| {name}, {what} | {size:,} | {_digits(mine)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _digits(value: float) -> str:
    """Two significant digits below ten, else whole."""
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def plot(result: Result, file: Path) -> bool:
    """p50 by number of rules, both axes logarithmic, ours in bold; false where there is no matplotlib to draw it."""
    try:
        import matplotlib as mpl  # an extra: the tables do without it
        from matplotlib.figure import Figure
    except ImportError:
        return False
    mpl.rcParams["svg.hashsalt"] = "hirules"  # the same figures give the same file
    figure = Figure(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    axes.set_prop_cycle(color=[*mpl.color_sequences["tab10"], "black", "gold", "navy"])
    for name in dict.fromkeys(line.engine for line in result.figures):
        points = [line for line in result.figures if line.engine == name]
        ours = points[0].ours
        axes.plot(
            [point.size for point in points], [point.p50 for point in points], label=name, marker="o", markersize=4,
            linewidth=2.6 if ours else 1.2, linestyle="--" if points[0].sliced else "-", zorder=3 if ours else 2,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="rules", ylabel="µs a decision (p50)")
    axes.grid(visible=True, which="major", alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    figure.savefig(file, metadata={"Date": None})
    return True
