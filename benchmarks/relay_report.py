"""What a run found, in docs/benchmarks: relay.md, relay.json, relay.svg."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks.relay import Line, Result, spread

_TITLES = {
    "direct": "direct", "haproxy": "haproxy", "tcp": "Python TCP relay", "gateway": "**gateway**", "header": "**gateway**, header rules",
    "rewrite": "**gateway**, header rules and a rewrite", "mapped": "**gateway**, destination mapped", "through": "**gateway**, through",
}  # fmt: skip


def write(result: Result, machine: Mapping[str, str], folder: Path) -> None:
    """The three files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "relay.json").write_text(json.dumps({"machine": machine, **msgspec.to_builtins(result)}, indent=1) + "\n", encoding="utf-8")
    plotted = plot(result, folder / "relay.svg")
    (folder / "relay.md").write_text(markdown(result, machine, plotted), encoding="utf-8")


def markdown(result: Result, machine: Mapping[str, str], plotted: bool = True) -> str:
    """The page."""
    parts = [
        "# Relay: what the gateway costs on the wire",
        "<!-- written by `make bench`; do not edit -->",
        "DCMTK's clients towards DCMTK's archive (`dcmqrscp`), by way of `hirules serve` with a record, by way of haproxy, by way of a plain TCP relay in "
        f"Python (two blocking threads a connection, nothing looked at), and directly. {result.rounds} rounds, the ways interleaved in each, in another "
        "order each time. Client, archive and relay share the machine's cores. *ratio*: to the direct run of the same round, median and, in brackets, "
        "the middle half.",
        "The archive of the C-FIND is a program that sends 10,000 matches as fast as they are taken. What is retrieved is a generated study of CT images.",
        "![times the direct transfer](relay.svg)" if plotted else "(no plot: `matplotlib` is not installed)",
        table(result),
    ]
    if result.versus:
        lines = ["| discarded | against the better TCP relay | asked | |", "|---|---|---|---|"]
        for one in result.versus:
            median, (low, high) = _median(one.ratios), spread(one.ratios)
            lines.append(f"| {one.what} | {median:.2f} ({low:.2f}–{high:.2f}), {_TITLES[one.relay]} | ≤ {one.asked} | {_met(median, one.asked)} |")
        parts.append("\n".join(lines))
    if result.latencies:
        lines = ["## Latencies", "", "| ms, median | direct | haproxy | Python TCP relay | gateway |", "|---|---:|---:|---:|---:|"]
        for what, by in result.latencies.items():
            lines.append(f"| {what} | " + " | ".join(f"{by[way]:.2f}" if way in by else "–" for way in ("direct", "haproxy", "tcp", "gateway")) + " |")
        parts.append("\n".join(lines))
    if result.idle:
        parts.append("## Idle associations\n\n" + "\n".join(f"50 associations that only wait: {share:.1%} of a core." for share in result.idle.values()))
    if result.memory:
        lines = ["## Memory", "", "Resident MB of the gateway's process around one retrieve, and the most in between.", ""]
        lines += ["| | way | before | after | peak |", "|---|---|---:|---:|---:|"]
        lines += [f"| {one.what} | {_TITLES[one.way]} | {one.before:.1f} | {one.after:.1f} | {one.peak:.1f} |" for one in result.memory]
        parts.append("\n".join(lines))
    if result.profile:
        parts += ["## Where the time of an instance goes", _profile(result)]
    parts += ["## Machine and versions", "\n".join(f"- {name}: {value}" for name, value in machine.items())]
    parts += [f"{result.seconds / 60:.1f} minutes." + "".join(f" `{name}` was not there." for name in result.missing)]
    return "\n\n".join(parts) + "\n"


def table(result: Result) -> str:
    """Each work by each way."""
    lines = ["| | by way of | ms | ratio | asked | |", "|---|---|---:|---|---|---|"]
    for number, line in enumerate(result.lines):
        first = not number or result.lines[number - 1].what != line.what
        low, high = line.spread
        ratio = "1" if line.way == "direct" else f"{line.ratio:.2f} ({low:.2f}–{high:.2f})"
        asked, met = ("", "") if line.asked is None else (f"≤ {line.asked}", _met(line.ratio, line.asked))
        lines.append(f"| {line.what if first else ''} | {_TITLES[line.way]} | {line.median:.0f} | {ratio} | {asked} | {met} |")
    return "\n".join(lines)


def _profile(result: Result) -> str:
    costs = ", ".join(f"{_TITLES[one.way]} {one.microseconds:.0f}" for one in result.profile)
    parts = [
        "The gateway's own code, without sockets, for one CT instance of 512 KiB in P-DATA-TF of 16 KiB: its request, decision, record, data set and "
        f"response. µs: {costs}. Under cProfile, which makes small functions look dearer, each with what it calls and by itself:"
    ]
    for one in result.profile:
        lines = [f"### {_TITLES[one.way].replace('*', '')}, {one.profiled:.0f} µs under cProfile", "", "| | µs an instance | by itself |", "|---|---:|---:|"]
        lines += [f"| `{name}` | {inside:.0f} | {own:.0f} |" for name, inside, own in one.functions]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _median(values: tuple[float, ...]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _met(ratio: float, asked: float) -> str:
    return "met" if round(ratio, 2) <= asked else "**not met**"


def plot(result: Result, file: Path) -> bool:
    """The ratios as bars with the middle half of the rounds; false where there is no matplotlib to draw them."""
    try:
        import matplotlib as mpl  # an extra: the tables do without it
        from matplotlib.figure import Figure
    except ImportError:
        return False
    mpl.rcParams["svg.hashsalt"] = "hirules"  # the same figures give the same file
    lines = [line for line in result.lines if line.way != "direct"]
    colours = {"haproxy": "silver", "tcp": "darkgrey"}
    figure = Figure(figsize=(8, 0.6 + 0.24 * len(lines)), layout="constrained")
    axes = figure.subplots()
    for number, line in enumerate(reversed(lines)):
        low, high = line.spread
        axes.barh(number, line.ratio, color=colours.get(line.way, "tab:blue"), xerr=[[line.ratio - low], [high - line.ratio]], ecolor="black", capsize=2)
        if line.asked is not None:
            axes.plot([line.asked, line.asked], [number - 0.45, number + 0.45], color="tab:red")
    axes.set_yticks(range(len(lines)), [_label(line) for line in reversed(lines)], fontsize=7)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("times the direct transfer; red: asked")
    figure.savefig(file, metadata={"Date": None})
    return True


def _label(line: Line) -> str:
    return f"{line.what} – {_TITLES[line.way].replace('*', '')}"
