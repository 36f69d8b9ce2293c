"""Run the tests of policy sets: requests, and what must be decided about them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from time import perf_counter

import pydicom.config

from hirules.assemble.below import set_of, sets_below
from hirules.assemble.suites import Tested, read_tests
from hirules.cli.junit import junit
from hirules.cli.options import add_plugins, settings_of
from hirules.cli.test_reports import FORMATS, Ran, Report, report
from hirules.policy.load import TEST_SUFFIX, collector_paused
from hirules.settings import Settings

PASSED, FAILED, USAGE, BELOW = 0, 1, 2, 3


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("paths", metavar="PATH", nargs="*", default=["."], help="a policy set's folder, or files of tests (default: this folder)")
    parser.add_argument("--only", metavar="PATTERN", help="only tests whose name this is a part of, or whose whole name matches it (`*`, `?`)")
    parser.add_argument("--coverage", action="store_true", help="show which rules and conditions the tests have seen matching and not matching")
    parser.add_argument("--fail-under", metavar="N", type=_percentage, help="exit 3 where less than N percent is covered")
    parser.add_argument("--junit", metavar="FILE", help="write the results as JUnit XML, too")
    parser.add_argument("--format", choices=FORMATS, default="text", help="for people, for programs, for a GitHub workflow")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the tests that passed, too")
    add_plugins(parser)
    parser.epilog = "exit: 0 all passed, 1 a test failed or something is wrong with the files, 2 usage, 3 all passed and the coverage is below N"


def run(arguments: argparse.Namespace) -> int:
    """Run, report, and say with the exit code how it went."""
    if arguments.only and arguments.fail_under is not None:
        return _usage("`--fail-under` is about all tests of a set, and `--only` leaves some out")
    if missing := [path for path in arguments.paths if not Path(path).exists()]:
        return _usage(f"there is no `{missing[0]}`")
    coverage = arguments.coverage or arguments.fail_under is not None
    settings = settings_of(arguments)
    # its warnings about malformed values quote them, and a captured file may be a patient's
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    # requests and decisions are trees without cycles, and thousands of them are kept: looking for cycles among them takes a third of the time
    with collector_paused():
        reports = [_run(tested, arguments.only, coverage) for tested in _sets(list(map(Path, arguments.paths)), settings)]
    if arguments.only and not any(one.ran or one.findings for one in reports):
        return _usage(f"no test has a name like `{arguments.only}`")
    if arguments.junit and (code := _write(arguments.junit, junit(reports))):
        return code
    text = report(reports, arguments.format, verbose=arguments.verbose, fail_under=arguments.fail_under)
    if text:
        print(text)
    if any(one.failed for one in reports):
        return FAILED
    return BELOW if arguments.fail_under is not None and any(one.is_below(arguments.fail_under) for one in reports) else PASSED


def _usage(message: str) -> int:
    print(f"hirules test: {message}", file=sys.stderr)
    return USAGE


def _percentage(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError("a percentage is from 0 to 100")
    return number


def _write(name: str, data: bytes) -> int:
    try:
        Path(name).write_bytes(data)
    except OSError as error:
        return _usage(f"`{name}` cannot be written: {(error.strerror or str(error)).lower()}")
    return 0


def _sets(paths: Sequence[Path], settings: Settings) -> Iterator[Tested]:
    """Every set that is named, once; of one that is named by files of tests, only these."""
    wanted: dict[Path, set[str] | None] = {}
    shown: dict[Path, Path] = {}
    for path in paths:
        for folder, files in _named(path):
            key = folder.resolve()
            shown.setdefault(key, folder)
            before = wanted.get(key, set())
            wanted[key] = None if files is None or before is None else before | files
    for key, names in wanted.items():
        yield read_tests(shown[key], only=names, settings=settings)


def _named(path: Path) -> Iterator[tuple[Path, set[str] | None]]:
    """The sets that a path stands for, with the files of tests in it that are meant; ``None``: all."""
    if path.is_file():
        folder = set_of(path.absolute())
        yield _relative(folder), {path.absolute().relative_to(folder).as_posix()}
        return
    upward = set_of(path.absolute() / TEST_SUFFIX)
    if sets := sets_below(path):
        yield from ((folder, None) for folder in sets)
    elif upward == path.absolute():
        yield path, None
    else:  # a folder of tests inside a set
        yield _relative(upward), {file.absolute().relative_to(upward).as_posix() for file in path.rglob(f"*{TEST_SUFFIX}")}


def _relative(folder: Path) -> Path:
    """As people name it from where they are."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def _run(tested: Tested, only: str | None, coverage: bool) -> Report:
    if tested.policies is None:
        return Report(tested.folder, tested.findings)
    runner = tested.runner(coverage=coverage)
    ran: list[Ran] = []
    for suite in tested.suites:
        for case in suite.cases:
            if only is None or only in case.name or fnmatchcase(case.name, only):
                start = perf_counter()
                result = runner.run(case)
                ran.append(Ran(suite.file, result, perf_counter() - start))
    return Report(tested.folder, tested.findings, tuple(ran), runner.coverage(), tested.policies)
