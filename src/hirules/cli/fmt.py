"""Lay policy files out in one way, with every comment kept."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hirules.policy.findings import PolicyError
from hirules.policy.layout import LayoutError, formatted


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument(
        "paths", metavar="PATH", nargs="*", default=["."], help="a folder, for every `.yaml` below it, or a file; `-` from standard input to standard output"
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and name the files that would change")
    parser.add_argument("--diff", action="store_true", help="write nothing, and show what would change")
    parser.epilog = "exit: 0 done or nothing to change, 1 with --check or --diff: would change, or a file cannot be read, 2 usage"


def run(arguments: argparse.Namespace) -> int:
    """Lay out, or tell what would be."""
    code = 0
    for name in arguments.paths:
        if name == "-":
            code |= _through(arguments)
            continue
        if not Path(name).exists():
            print(f"hirules fmt: `{name}` does not exist", file=sys.stderr)
            return 2
        for path in _files(Path(name)):
            code |= _file(path, arguments)
    return code


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for found in sorted(path.rglob("*.yaml")):
        if not any(part.startswith(".") for part in found.relative_to(path).parts) and found.is_file() and not found.is_symlink():
            yield found


def _through(arguments: argparse.Namespace) -> int:
    before = sys.stdin.buffer.read()
    after = _formatted("-", before)
    if after is None:
        return 1
    if arguments.check or arguments.diff:
        return _told("-", before, after, arguments)
    sys.stdout.write(after.decode())
    return 0


def _file(path: Path, arguments: argparse.Namespace) -> int:
    try:
        before = path.read_bytes()
    except OSError as error:
        print(f"{path}: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 1
    after = _formatted(str(path), before)
    if after is None:
        return 1
    if arguments.check or arguments.diff:
        return _told(str(path), before, after, arguments)
    if after != before:
        try:
            _replaced(path, after)
        except OSError as error:
            print(f"{path}: not written: {(error.strerror or str(error)).lower()}", file=sys.stderr)
            return 1
        print(f"{path}: laid out")
    return 0


def _formatted(name: str, data: bytes) -> bytes | None:
    """``None`` where it cannot be laid out, once that is said."""
    try:
        return formatted(name, data)
    except PolicyError as error:
        print(error, file=sys.stderr)
    except LayoutError as error:
        print(f"{name}: {error}", file=sys.stderr)
    return None


def _told(name: str, before: bytes, after: bytes, arguments: argparse.Namespace) -> int:
    if before == after:
        return 0
    if arguments.diff:
        old, new = (text.decode("utf-8-sig").splitlines(keepends=True) for text in (before, after))
        sys.stdout.writelines(difflib.unified_diff(old, new, fromfile=name, tofile=name))
    else:
        print(f"{name}: would change")
    return 1


def _replaced(path: Path, data: bytes) -> None:
    """Write ``data`` whole or not at all: a full disk must not cost anybody a policy."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(path.stat().st_mode & 0o7777)
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise
