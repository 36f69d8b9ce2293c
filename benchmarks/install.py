"""Installs the peers, one by one: ``python -m benchmarks.install``. One that cannot be installed is told, and keeps no other from running.

From PyPI what the extra `bench` names; from npm the package `cerbos`, into a folder of the virtual environment; haproxy from Debian.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.machine import CERBOS
from benchmarks.relay_site import HAPROXY


def requirements() -> list[Requirement]:
    """What the extra `bench` of the installed hirules names."""
    declared = map(Requirement, importlib.metadata.requires("hirules") or ())
    return [one for one in declared if one.marker is not None and one.marker.evaluate({"extra": "bench"}) and not one.marker.evaluate({"extra": ""})]


def missing() -> list[Requirement]:
    """Those of them that are not installed, or too old."""
    return [one for one in requirements() if not _installed(one)]


def _installed(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(importlib.metadata.version(requirement.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


def _ran(command: Sequence[str]) -> bool:
    return subprocess.run(command, check=False).returncode == 0


def main() -> int:
    """Always 0: what is not there is reported by the run."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for requirement in missing():
        if not _ran([*pip, f"{requirement.name}{requirement.specifier}"]):
            print(f"`{requirement.name}` cannot be installed here", file=sys.stderr)
    if not CERBOS.exists():
        npm = shutil.which("npm")
        folder = str(CERBOS.parent.parent.parent)
        if npm is None or not _ran([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, "cerbos"]):
            print("the npm package `cerbos` cannot be installed here", file=sys.stderr)
    if not os.access(HAPROXY, os.X_OK) and not _ran([str(Path(__file__).parent.parent / ".ci" / "apt-install"), "haproxy"]):
        print("`haproxy` cannot be installed here", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
