"""A tree as text: two spaces a level, list items under their dash, one blank line where there was one, and one between the rules."""

from __future__ import annotations

from collections.abc import Iterator

from hirules.policy.layout.tree import Branch, Entry, Leaf, Tree

WIDTH = 120
"""Columns: a flow collection beyond is opened, an entry a line."""
_STEP = 2
_BLANK = "\0"
"""A blank line between entries; those in a text are its own."""
_APART = frozenset({"rules", "exceptions", "tests"})
"""Lists whose items stand apart, and begin behind a blank line as every block at the top does."""


def write(tree: Tree) -> str:
    """The text of ``tree``."""
    lines = _comments(tree.header, 0)
    for number, entry in enumerate(tree.root.entries):
        lines += _before(entry, 0, apart=not _on_one_line(entry, 0) and bool(number))
        lines += _entry(entry, 0, apart=_text(entry.key) in _APART)
    lines += _comments(tree.root.after, 0)
    return "\n".join(_single_blanks(lines)) + "\n"


def _branch(branch: Branch, indent: int, apart: bool = False) -> Iterator[str]:
    for number, entry in enumerate(branch.entries):
        lines = _before(entry, indent, apart=apart and bool(number))
        yield from lines if number else (line for line in lines if line != _BLANK)
        yield from _entry(entry, indent)
    yield from _comments(branch.after, indent)


def _before(entry: Entry, indent: int, apart: bool) -> list[str]:
    return [*([_BLANK] if apart else []), *_comments(entry.before, indent)]


def _comments(texts: list[str], indent: int) -> list[str]:
    return [" " * indent + text if text else _BLANK for text in texts]


def _entry(entry: Entry, indent: int, apart: bool = False) -> Iterator[str]:
    """Its lines. An item that is a block collection begins on the line of its dash."""
    beside = f"  {entry.beside}" if entry.beside else ""
    pad = " " * indent
    head = pad + (f"{_text(entry.key)}:" if entry.key is not None else "-")
    value = entry.value
    if isinstance(value, Leaf):
        first, *more = value.lines
        if more and not value.block and beside:  # a comment would end the text: it cannot stand on its first line
            yield pad + beside.strip()
            beside = ""
        yield f"{head} {first}".rstrip() + beside
        yield from (" " * (indent + _STEP) + line if line.strip() else "" for line in more)
    elif _on_one_line(entry, indent):
        yield f"{head} {value.anchor}{_flow(value)}{beside}"
    elif entry.key is not None or value.anchor:
        yield f"{head} {value.anchor}".rstrip() + beside
        yield from _branch(value, indent + _STEP, apart)
    else:
        yield from _item(value, indent, beside)


def _item(value: Branch, indent: int, beside: str) -> Iterator[str]:
    """A block collection as an item: its first line is that of the dash, what cannot stand beside it stands before."""
    pad = " " * indent
    if beside:
        yield pad + beside.strip()
    lines = list(_branch(value, indent + _STEP))
    while lines[0].lstrip().startswith("#"):
        yield pad + lines.pop(0).strip()
    yield pad + "- " + lines[0][indent + _STEP :]
    yield from lines[1:]


def _on_one_line(entry: Entry, indent: int) -> bool:
    value = entry.value
    if isinstance(value, Leaf) or not (value.entries or value.after):
        return True
    head = indent + (len(_text(entry.key)) + 2 if entry.key is not None else 2)
    return _fits_a_line(value) and head + len(value.anchor) + len(_flow(value)) <= WIDTH


def _fits_a_line(branch: Branch) -> bool:
    """Nothing in it needs a line of its own."""
    if not branch.entries:
        return not branch.after
    if not branch.flow or branch.after:
        return False
    for entry in branch.entries:
        whole = _fits_a_line(entry.value) if isinstance(entry.value, Branch) else len(entry.value.lines) == 1
        if entry.before or entry.beside or not whole:
            return False
    return True


def _flow(branch: Branch) -> str:
    inside = ", ".join(_in_flow(entry) for entry in branch.entries)
    return f"{{{inside}}}" if branch.mapping else f"[{inside}]"


def _in_flow(entry: Entry) -> str:
    value = entry.value
    text = value.anchor + _flow(value) if isinstance(value, Branch) else _text(value)
    return f"{_text(entry.key)}: {text}" if entry.key is not None else text


def _text(leaf: Leaf | None) -> str:
    return " ".join(leaf.lines) if leaf is not None else ""


def _single_blanks(lines: list[str]) -> Iterator[str]:
    """Neither two blank lines together nor one at the beginning or the end."""
    waiting = False
    begun = False
    for line in lines:
        if line == _BLANK:
            waiting = begun
            continue
        if waiting:
            yield ""
        waiting, begun = False, True
        yield line
