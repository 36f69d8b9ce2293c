"""A YAML file as it was written: entries with their spelling, and the comments that stand before, beside and behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from yaml._yaml import CParser
from yaml.events import AliasEvent, MappingEndEvent, MappingStartEvent, ScalarEvent, SequenceEndEvent, SequenceStartEvent

from hirules.policy.layout.comments import Comment, comments


@dataclass(slots=True)
class Leaf:
    """A scalar or an alias: its lines as they were written, without indentation. ``block``: the first line is the header of a block scalar."""

    lines: list[str]
    block: bool = False


@dataclass(slots=True)
class Branch:
    """A mapping or a list. ``after`` are the comments behind its last entry; a flow collection ends at ``closed``, line and column."""

    mapping: bool
    flow: bool
    anchor: str = ""
    closed: tuple[int, int] = (0, 0)
    entries: list[Entry] = field(default_factory=list)
    after: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Entry:
    """``key: value`` of a mapping, or an item of a list. In ``before`` an empty line is a blank one.

    ``line`` and ``column`` are where it begins, ``end`` is its last line.
    """

    key: Leaf | None
    value: Leaf | Branch
    line: int
    column: int
    end: int
    before: list[str] = field(default_factory=list)
    beside: str = ""


@dataclass(slots=True)
class Tree:
    """The file: ``header`` are the comments above everything; ``aliases``: it has some."""

    root: Branch
    aliases: bool = False
    header: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Place:
    """An entry in the order of the file, with the branches it is in, the outermost first."""

    entry: Entry
    inside: tuple[Branch, ...]


class _Reader:
    """From events to entries; made for one file."""

    def __init__(self, text: str) -> None:
        self.lines = text.split("\n")
        self._parser = CParser(text)
        self.places: list[_Place] = []
        self._end = 0
        self.aliases = False

    def root(self) -> Branch:
        event: Any = self._parser.get_event()
        while type(event) is not MappingStartEvent:
            event = self._parser.get_event()
        return self._branch(event, ())

    def _branch(self, start: Any, above: tuple[Branch, ...]) -> Branch:
        mapping = type(start) is MappingStartEvent
        found = Branch(mapping, bool(start.flow_style), f"&{start.anchor} " if start.anchor else "")
        inside = (*above, found)
        while True:
            event: Any = self._parser.get_event()
            if type(event) in (MappingEndEvent, SequenceEndEvent):
                if found.flow:
                    self._end = event.end_mark.line
                    found.closed = event.end_mark.line, event.end_mark.column
                return found
            mark = event.start_mark
            entry = Entry(None, Leaf([]), mark.line, mark.column, mark.line)
            if not (mapping or found.flow):
                entry.line, entry.column = self._dash(mark.line, mark.column)
            self.places.append(_Place(entry, inside))
            if mapping:
                entry.key = self._leaf(event)
                event = self._parser.get_event()
            entry.value = self._branch(event, inside) if type(event) in (MappingStartEvent, SequenceStartEvent) else self._leaf(event)
            entry.end = max(entry.line, self._end)
            found.entries.append(entry)

    def _dash(self, line: int, column: int) -> tuple[int, int]:
        """Where an item's dash stands: before the item, or on a line above it."""
        while line >= 0:
            before = self.lines[line][:column].rstrip()
            if before.endswith("-") and (len(before) == 1 or before[-2] in " -\t"):
                return line, len(before) - 1
            line -= 1
            column = len(self.lines[line].partition(" #")[0])
        raise ValueError("an item without its dash")

    def _leaf(self, event: Any) -> Leaf:
        start, end = event.start_mark, event.end_mark
        if type(event) is AliasEvent:
            self._end, self.aliases = end.line, True
            return Leaf([f"*{event.anchor}"])
        assert type(event) is ScalarEvent
        if event.style in ("|", ">"):
            return self._block(event.value, start, end)
        self._end = end.line
        if start.line == end.line:
            return Leaf([self.lines[start.line][start.column : end.column]])
        middle = self.lines[start.line + 1 : end.line]
        return Leaf([line.strip() for line in (self.lines[start.line][start.column :], *middle, self.lines[end.line][: end.column])])

    def _block(self, value: str, start: Any, end: Any) -> Leaf:
        """The header without its comment, and the lines without their indentation; what the text itself begins with stays."""
        header = self.lines[start.line][start.column :].split()[0].strip("0123456789")
        body = self.lines[start.line + 1 : end.line if not end.column else end.line + 1]
        while body and not body[-1].strip() and "+" not in header:
            body.pop()
        self._end = start.line + len(body)
        own = _indentation(next((line for line in value.split("\n") if line.strip()), ""))
        indent = _indentation(next((line for line in body if line.strip()), "")) - own
        # the indentation must be told where the text begins with spaces of its own (YAML 1.2 §8.1.1.1)
        return Leaf([header[0] + ("2" if own else "") + header[1:], *(line[indent:] for line in body)], block=True)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def read(text: str) -> Tree:
    """``text``, which is well-formed and a mapping, as it was written."""
    reader = _Reader(text)
    root = reader.root()
    tree = Tree(root, reader.aliases)
    waiting: list[Comment] = []
    places, position = reader.places, 0
    for comment in comments(text):
        if comment.beside:
            _beside(tree, places, comment)
            continue
        while position < len(places) and places[position].entry.line < comment.line:
            _placed(tree, places, position, waiting)
            waiting = []
            position += 1
        waiting.append(comment)
    while position < len(places):
        _placed(tree, places, position, waiting)
        waiting = []
        position += 1
    _placed(tree, places, position, waiting)
    return tree


def _beside(tree: Tree, places: Sequence[_Place], comment: Comment) -> None:
    """It belongs to the last entry that begins before it on its line, else to the outermost that ends there; not to one in closed brackets."""
    at = comment.line, comment.column
    here = [place.entry for place in places if not any(branch.flow and branch.closed <= at for branch in place.inside)]
    begun = [entry for entry in here if entry.line == comment.line and entry.column < comment.column]
    ended = [entry for entry in here if entry.end == comment.line and not (isinstance(entry.value, Branch) and not entry.value.flow)]
    beside = begun[-1:] or ended[:1] or [entry for entry in here if entry.line <= comment.line][-1:]
    if not beside:
        tree.root.after.append(comment.text)
    elif beside[0].beside:
        # one on each of its lines: they would become one comment, were they both beside it
        beside[0].before.append(comment.text)
    else:
        beside[0].beside = comment.text


def _placed(tree: Tree, places: Sequence[_Place], position: int, waiting: Sequence[Comment]) -> None:
    """Comments on lines of their own go to the entry that follows; one that is indented deeper goes behind the last entry of the block that is over."""
    if not waiting:
        return
    if position == 0:
        tree.header = [comment.text for comment in waiting]
        return
    following = places[position] if position < len(places) else None
    column = following.entry.column if following is not None else -1
    here = following.inside if following is not None else ()
    over = [branch for branch in places[position - 1].inside if not any(branch is each for each in here)]
    placed = 0
    for number, comment in enumerate(waiting, 1):
        if not comment.text:
            continue
        over = [branch for branch in over if branch.entries[0].column <= comment.column] if comment.column > column else []
        if not over:
            break
        over[-1].after += [each.text for each in waiting[placed:number]]
        placed = number
    rest = [comment.text for comment in waiting[placed:]]
    if following is not None:
        following.entry.before += rest
    else:
        tree.root.after += rest
