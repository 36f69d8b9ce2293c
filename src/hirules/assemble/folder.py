"""The folder of a policy set as files: everything below it, and nothing from elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from hirules.policy.findings import Finding

MAX_FILE = 256 * 2**20
"""Bytes of one file of a policy set; its lists included."""


def read_folder(folder: Path) -> tuple[dict[str, bytes] | None, tuple[Finding, ...]]:
    """Every file below ``folder`` by its path in it; hidden ones are left out. ``None`` where there is no folder."""
    try:
        there = folder.is_dir()
    except OSError as error:  # a folder above it may not be searched
        return None, (Finding(".", 1, 1, "unreadable", f"the folder cannot be read: {(error.strerror or str(error)).lower()}"),)
    if not there:
        return None, (Finding(".", 1, 1, "unreadable", f"`{folder}` is no folder"),)
    files: dict[str, bytes] = {}
    findings: list[Finding] = []
    for name, file in _walk(folder, folder.resolve(), findings):
        try:
            files[name] = _read(file)
        except OSError as error:
            findings.append(Finding(name, 1, 1, "unreadable", f"the file cannot be read: {(error.strerror or str(error)).lower()}"))
    return files, tuple(findings)


def _walk(folder: Path, root: Path, findings: list[Finding], prefix: str = "") -> Iterator[tuple[str, Path]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        findings.append(Finding(prefix or ".", 1, 1, "unreadable", f"the folder cannot be read: {(error.strerror or str(error)).lower()}"))
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        name, path = prefix + entry.name, Path(entry.path)
        if entry.is_symlink():
            # a set is what is in its folder: the digest and a reviewer would miss what lies elsewhere
            target = _resolved(path)
            if target is None or not target.is_relative_to(root):
                findings.append(Finding(name, 1, 1, "outside-folder", "the link leads out of the folder of the set, or nowhere"))
                continue
            if target.is_dir():
                findings.append(Finding(name, 1, 1, "outside-folder", "a link to a folder: its files would count twice, or without end"))
                continue
        if entry.is_dir():
            yield from _walk(path, root, findings, name + "/")
        else:
            yield name, path


def _resolved(path: Path) -> Path | None:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):  # dangling, or a loop
        return None


def _read(path: Path) -> bytes:
    # not blocking: a pipe in the folder is a mistake, and must not hang the gateway
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(file, "rb") as stream:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file")
        if status.st_size > MAX_FILE:
            raise OSError(f"it has more than {MAX_FILE} bytes")
        return stream.read(MAX_FILE + 1)
