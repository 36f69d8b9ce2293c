"""Comments and blank lines of a YAML file: what lies between libyaml's tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from yaml._yaml import CParser

_COMMENT = re.compile(r"#[^\n]*")
_HEADER = re.compile(r"[|>][-+0-9]*")


@dataclass(frozen=True, slots=True)
class Comment:
    """``text`` is without outer spaces, and empty for a blank line; ``beside``: something of the document stands before it on its line."""

    line: int
    column: int
    text: str
    beside: bool


def comments(text: str) -> list[Comment]:
    """All of them, in the order of the file."""
    lines = text.split("\n")
    found: list[Comment] = []
    for begin, end in _gaps(text):
        line, start = text.count("\n", 0, begin), text.rfind("\n", 0, begin) + 1
        for part in text[begin:end].split("\n"):
            comment = _COMMENT.search(part)
            column = (begin - start if begin > start else 0) + (comment.start() if comment else 0)
            if comment is not None:
                found.append(Comment(line, column, comment[0].rstrip(), bool(lines[line][:column].strip())))
            elif not lines[line].strip() and line + 1 < len(lines):
                found.append(Comment(line, 0, "", False))
            line, start, begin = line + 1, 0, 0
    return found


def _gaps(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of what lies between the tokens."""
    parser = CParser(text)
    position = 0
    while parser.check_token():
        token: Any = parser.get_token()
        begin, end = token.start_mark.index, token.end_mark.index
        if begin > position:
            yield position, begin
        if getattr(token, "style", None) in ("|", ">"):
            header = _HEADER.match(text, begin)
            assert header is not None
            yield header.end(), text.find("\n", begin) if "\n" in text[begin:] else len(text)
            if "+" not in header[0]:  # else blank lines behind it are part of it
                end = begin + len(text[begin:end].rstrip())
        position = max(position, end)
    if position < len(text):
        yield position, len(text)
