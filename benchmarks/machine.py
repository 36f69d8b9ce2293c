"""What a run ran on, and with what: nothing that names the machine."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

CERBOS = Path(sys.prefix) / "npm" / "node_modules" / "cerbos" / "package.json"
"""Where `make bench` puts the npm package."""


def describe(distributions: Iterable[str]) -> dict[str, str]:
    """Machine, date and versions, by what they are of."""
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": f"{os.getloadavg()[0]:.1f} at the start",
    }
    return facts | {name: version(name) for name in dict.fromkeys(distributions) if name}


def version(name: str) -> str:
    """Of a distribution, ``npm:NAME`` for the npm package; ``not installed`` where it is not."""
    if name.startswith("npm:"):
        return str(json.loads(CERBOS.read_text())["version"]) if CERBOS.exists() else "not installed"
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def packages(names: Iterable[str]) -> dict[str, str]:
    """The versions of Debian packages."""
    asked = {name: subprocess.run(["dpkg-query", "-W", "-f=${Version}", name], capture_output=True, text=True, check=False) for name in names}
    return {name: done.stdout if done.returncode == 0 else "not installed" for name, done in asked.items()}


def mebibytes() -> float:
    """The memory that this process and those that it started hold, as Linux counts it."""
    me, held = os.getpid(), 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            facts = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (OSError, ValueError):
            continue  # ended meanwhile
        if me in (int(facts["Pid"]), int(facts["PPid"])):
            held += int(facts.get("VmRSS", "0 kB").split()[0])
    return held / 1024


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
