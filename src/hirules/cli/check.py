"""Check policy sets: parse, schema, types, lint; every finding at once."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from hirules.assemble import check_set
from hirules.assemble.below import sets_below
from hirules.cli.options import add_plugins, moment, settings_of
from hirules.cli.reports import FORMATS, report
from hirules.policy.findings import ordered


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", default=["."], help="a policy set's folder, one of several sets, or a file of a set (default: this folder)"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="for people, for programs, for a code scanner, for a GitHub workflow")
    parser.add_argument("--now", metavar="TIME", type=moment, help="judge what has expired at this time, `2026-12-31T23:59:59Z` (default: the clock)")
    add_plugins(parser)
    parser.epilog = "exit: 0 clean or warnings only, 1 errors, 2 usage"


def run(arguments: argparse.Namespace) -> int:
    """Report, and say with the exit code whether there are errors."""
    findings = []
    settings = settings_of(arguments)
    now = arguments.now or datetime.now(UTC)
    for folder, only, shown in _sets(map(Path, arguments.paths)):
        for found in check_set(folder, now=now, settings=settings):
            if found.code == "plugin":
                findings.append(found)
            elif only is None or found.file == only:
                findings.append(msgspec.structs.replace(found, file=str(shown / found.file if only is None else shown)))
    findings = list(ordered(findings))
    print(report(findings, arguments.format))
    return 1 if any(found.is_error for found in findings) else 0


def _sets(paths: Iterable[Path]) -> Iterator[tuple[Path, str | None, Path]]:
    """Each set that the paths stand for: its folder, the one file of it that is asked for, and how its place is shown."""
    for path in paths:
        if path.is_file():
            folder = _set_of(path.absolute())
            yield folder, path.absolute().relative_to(folder).as_posix(), path
        else:
            yield from ((folder, None, folder) for folder in sets_below(path) or (path,))


def _set_of(file: Path) -> Path:
    """The folder of the set that ``file`` is in: the nearest one with a `set.yaml`, else its own."""
    return next((folder for folder in file.parents if (folder / "set.yaml").is_file()), file.parent)
