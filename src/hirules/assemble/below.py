"""Which sets a path stands for, and to which set a file belongs."""

from __future__ import annotations

import re
from pathlib import Path

from hirules.policy.load import SET_FILE, TEST_SUFFIX

_POLICY = re.compile(rb"^[\"']?hirules[\"']?\s*:", re.MULTILINE)


def sets_below(path: Path) -> tuple[Path, ...]:
    """The sets that a folder stands for: itself, or where it is none the nearest ones below it that have a `set.yaml`; none of either: nothing."""
    if (path / SET_FILE).is_file() or any(_is_policy(file) for file in _yaml(path)):
        return (path,)
    found = sorted({file.parent for file in path.rglob(SET_FILE)})
    return tuple(folder for folder in found if not any(other in folder.parents for other in found))


def set_of(file: Path) -> Path:
    """The folder of the set that a file of tests belongs to: the nearest one upward with a `set.yaml`, else with a policy, else its own."""
    for is_set in (lambda folder: (folder / SET_FILE).is_file(), lambda folder: any(_is_policy(one) for one in _yaml(folder))):
        for folder in file.parents:
            if is_set(folder):
                return folder
    return file.parent


def _yaml(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.glob("*.yaml")) if not file.name.endswith(TEST_SUFFIX) and file.name != SET_FILE and file.is_file()]


def _is_policy(file: Path) -> bool:
    try:
        return _POLICY.search(file.read_bytes()[:65536]) is not None
    except OSError:
        return False
