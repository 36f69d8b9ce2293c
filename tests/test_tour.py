"""The tour is followed word for word: every command is run, every file and every change is made as it stands there, and what is printed is compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.peers.process import Server, listening, start
from tests.test_documentation import ROOT

TOUR = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
PORT = "11112"


class Block(NamedTuple):
    """One block of code; ``named`` is the file that the line above it speaks of, ``printed`` the text below a command."""

    language: str
    text: str
    named: str
    printed: str | None


def steps() -> Iterator[Block]:
    """The blocks of the page in their order; the first one, without a language, is its picture."""
    found = list(re.finditer(r"^```(\w*)\n(.*?)^```$", TOUR, re.MULTILINE | re.DOTALL))
    for number, match in enumerate(found):
        following = found[number + 1] if number + 1 < len(found) else None
        printed = following[2] if following and following[1] == "text" and TOUR[match.end() : following.start()].strip() == "" else None
        above = TOUR[: match.start()].rstrip().rpartition("\n")[2]
        named = re.search(r"Save this as `([^`]+)`:$", above)
        yield Block(match[1], match[2], named[1] if named else "", printed)


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    """A command as a reader types it."""
    environment = {**os.environ, "PATH": f"{BIN}:/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=120
    )


def same(printed: str, shown: str) -> bool:
    """Whether a command printed what the page shows; ``…`` stands for anything."""
    pattern = ".*?".join(re.escape(part) for part in _trimmed(shown).split("…"))
    return re.fullmatch(pattern, _trimmed(printed), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def serve(folder: Path, command: str) -> tuple[Server, str]:
    """The gateway of the page, but for its port."""
    chosen = ""

    def arguments(port: int) -> list[str | Path]:
        nonlocal chosen
        chosen = str(port)
        words = command.replace(PORT, chosen).split()
        return [BIN / words[0], *words[1:]]

    return start("GATE", folder, arguments, listening), chosen


def test_the_tour_can_be_followed_word_for_word(tmp_path: Path) -> None:
    server, port, compared = None, PORT, 0
    try:
        for block in steps():
            match block.language:
                case "sh" if block.text.startswith("hirules serve"):
                    server, port = serve(tmp_path, block.text)
                case "sh":
                    done = run(tmp_path, block.text.replace(PORT, port))
                    assert block.printed is not None or done.returncode == 0, done.stdout
                    assert block.printed is None or same(done.stdout, block.printed), f"{block.text}\nprinted:\n{done.stdout}\nthe page:\n{block.printed}"
                    compared += block.printed is not None
                case "diff":
                    applied = subprocess.run(
                        ["git", "apply", "-p0", "-"], cwd=tmp_path, input=block.text, capture_output=True, text=True, check=False, timeout=60
                    )
                    assert applied.returncode == 0, applied.stderr
                case "yaml":
                    assert block.named, block.text
                    (tmp_path / block.named).write_text(block.text, encoding="utf-8")
    finally:
        if server is not None:
            assert server.stop() == 0
    assert server is not None
    assert compared >= 10


@pytest.mark.parametrize(("printed", "shown", "expected"), [("a\nb\nc", "a\n…c", True), ("a\nb", "a", False), ("a  \n", "a", True), ("a.c", "abc", False)])
def test_what_is_printed_is_compared(printed: str, shown: str, expected: bool) -> None:
    assert same(printed, shown) is expected
