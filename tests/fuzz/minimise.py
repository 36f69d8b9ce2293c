"""Make a finding small: ``python -m tests.fuzz.minimise NOUN FILE`` writes tests/fuzz/regressions/NOUN/DIGEST.

Bytes are taken out, or made zero, as long as the same law breaks: the same exception with the same message in the same line.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.mutation import HERE


def breach(one: Callable[[bytes], None], data: bytes) -> tuple[str, str, int] | None:
    """What goes wrong with an input, and where."""
    try:
        one(data)
    except Exception as error:  # noqa: BLE001 - any of them is a finding
        last = traceback.extract_tb(error.__traceback__)[-1]
        return type(error).__name__, last.filename, last.lineno or 0
    return None


def smaller(one: Callable[[bytes], None], data: bytes) -> bytes:
    """The smallest input found that breaks the same law."""
    wanted = breach(one, data)
    assert wanted is not None, "nothing goes wrong with this input"
    width = max(1, len(data) // 2)
    while width:
        at, changed = 0, False
        while at < len(data):
            candidate = data[:at] + data[at + width :]
            if breach(one, candidate) == wanted:
                data, changed = candidate, True
            else:
                at += width
        if not changed or width > 1:
            width //= 2
    for at in range(len(data)):
        candidate = data[:at] + b"\0" + data[at + 1 :]
        if data[at] and breach(one, candidate) == wanted:
            data = candidate
    return data


def main() -> int:
    """One finding of the command line."""
    noun, found = sys.argv[1], Path(sys.argv[2]).read_bytes()
    warnings.simplefilter("ignore")
    one = importlib.import_module(f"tests.fuzz.fuzz_{noun}").one
    data = smaller(one, found)
    path = HERE / "regressions" / noun / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    print(f"{len(found)} bytes became {len(data)}: {path}: {breach(one, data)}\n{data!r}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
