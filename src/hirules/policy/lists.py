"""Lists of a policy: written in place, or read from a CSV, JSON or text file of the set.

Values of list files never stand in a finding: they may be about patients. A finding names file and line.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import PurePosixPath

import msgspec

from hirules.policy.ast import NamedList
from hirules.policy.compile_source import Source
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode
from hirules.policy.findings import did_you_mean, listed

SUFFIXES = (".csv", ".json", ".txt")
MAX_BYTES = 64 * 2**20
_LINE_BREAK = re.compile(r"\r\n|\r|\n")  # not what `splitlines` takes for one: a cell may hold U+2028


class LoadedList(msgspec.Struct, frozen=True):
    """A list with where its members stand. ``shown``: its members may be quoted; those of a file may not."""

    named: NamedList
    file: str
    lines: tuple[int, ...]
    shown: bool
    shared: bool = False
    table_only: bool = False
    """It has rows, and no column was named for its members."""
    declared_in: str = ""
    line: int = 0

    def place(self, index: int) -> str:
        """Where the member stands."""
        return f"line {self.lines[index]} of `{self.file}`"


class Members(msgspec.Struct, frozen=True):
    """What a list file holds: texts or rows, each with its line."""

    lines: tuple[int, ...]
    texts: tuple[str, ...] = ()
    rows: tuple[Mapping[str, str], ...] = ()
    columns: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Members({len(self.lines)} members)"


class ListFileError(Exception):
    """A list file that cannot be used. The message quotes nothing of its content."""


def declared(source: Source, node: Node, files: Mapping[str, bytes]) -> tuple[LoadedList, ...]:
    """The lists under ``lists:``."""
    mapping = source.mapping(node, "`lists`", "a mapping of list names")
    if mapping is None:
        return ()
    found = []
    for name, (key, value) in mapping.entries.items():
        if not name or name[0] == "$" or not name.replace("_", "a").replace("-", "a").isalnum():
            source.error(key, "invalid-list", f"`{name}` is no name of a list", expected="letters, digits, `_` and `-`; the `$` stands only where it is used")
            continue
        before = len(source.findings)
        one = _inline(source, name, value) if isinstance(value, SequenceNode) else _from_file(source, name, value, files)
        if one is None or len(source.findings) > before:
            source.unusable.add(name)
        else:
            found.append(msgspec.structs.replace(one, declared_in=source.file, line=key.line))
            if not (one.named.rows if one.table_only else one.named.texts):
                # an export that broke off must not go unseen: a deny that looks for its members denies nothing
                source.warn(key, "empty-list", f"the file of the list `{name}` holds no value: nothing is ever in it", expected="at least one value")
    return tuple(found)


def _inline(source: Source, name: str, node: SequenceNode) -> LoadedList | None:
    items = source.sequence(node, f"the list `{name}`")
    if items is None:
        return None
    lines = tuple(item.line for item in items)
    if isinstance(items[0], MappingNode):
        if not items[0].entries:
            source.error(items[0], "empty", f"a row of `{name}` is empty", expected="`{column: value}`", length=2)
            return None
        rows = tuple(row for item in items if (row := _row(source, name, item, items[0])) is not None)
        named = NamedList(name, (), rows, tuple(items[0].entries))
        return LoadedList(named, source.file, lines, shown=True, table_only=True) if len(rows) == len(items) else None
    texts = tuple(found.text for item in items if (found := source.scalar(item, f"a member of `{name}`")) is not None)
    return LoadedList(NamedList(name, texts), source.file, lines, shown=True) if len(texts) == len(items) else None


def _row(source: Source, name: str, node: Node, first: MappingNode) -> Mapping[str, str] | None:
    mapping = source.mapping(node, f"a row of `{name}`")
    if mapping is None:
        return None
    source.keys(mapping, f"the rows of `{name}`", first.entries, first.entries)
    cells = {key: source.scalar(value, f"a cell of `{name}`") for key, (_, value) in mapping.entries.items()}
    return {key: cell.text for key, cell in cells.items() if cell is not None}


def _from_file(source: Source, name: str, node: Node, files: Mapping[str, bytes]) -> LoadedList | None:
    mapping = source.mapping(node, f"the list `{name}`", "a list, or `{file: …, column: …}`")
    if mapping is None:
        return None
    source.keys(mapping, f"the list `{name}`", ("column", "file", "share"), ("file",))
    place = mapping.get("file")
    file = None if place is None else source.scalar(place, "`file`", "the name of a file")
    shared = source.flag(mapping, "share")
    if file is None:
        return None
    path = _path(source, file)
    if path is None:
        return None
    data = files.get(path)
    if data is None:
        hint = did_you_mean(path, [name for name in files if name.endswith(SUFFIXES)])
        source.error(file, "list-file", f"there is no file `{path}` in the set", expected="a file of the set that can be read", hint=hint)
        return None
    column = mapping.get("column")
    column_node = None if column is None else source.scalar(column, "`column`", "the name of a column")
    try:
        members = read(path, data)
    except ListFileError as error:
        source.error(file, "list-file", f"`{path}` cannot be used: {error}")
        return None
    return _with_column(source, name, path, members, column_node, shared)


def _with_column(source: Source, name: str, path: str, members: Members, column: ScalarNode | None, shared: bool) -> LoadedList | None:
    texts, lines = members.texts, members.lines
    if column is not None:
        if column.text not in members.columns:
            expected = listed(members.columns) if members.columns else "a file with columns"
            hint = did_you_mean(column.text, members.columns)
            source.error(column, "list-file", f"`{path}` has no column `{column.text}`", expected=expected, hint=hint)
            return None
        # an empty cell is no member: zero-length is absent
        filled = [(row[column.text], line) for row, line in zip(members.rows, members.lines, strict=True) if row.get(column.text, "").strip()]
        texts, lines = tuple(text for text, _ in filled), tuple(line for _, line in filled)
    named = NamedList(name, texts, members.rows, members.columns)
    return LoadedList(named, path, lines, shown=False, shared=shared, table_only=bool(members.columns) and column is None)


def _path(source: Source, node: ScalarNode) -> str | None:
    """The file's name in the set, for a name relative to the policy's own folder."""
    text = node.text
    if "\\" in text or ":" in text or text.startswith(("/", "~")):
        source.error(node, "list-file", f"`{text}` is no relative name", expected="a file inside the set's folder, relative to this file, with `/`")
        return None
    parts: list[str] = list(PurePosixPath(source.file).parent.parts)
    for part in PurePosixPath(text).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            source.error(node, "list-file", f"`{text}` leaves the set's folder", expected="a file inside the set's folder")
            return None
    path = "/".join(parts)
    if PurePosixPath(path).suffix not in SUFFIXES:
        source.error(node, "list-file", f"`{text}` is no list file", expected="a file that ends in `.csv`, `.json` or `.txt`")
        return None
    return path


def read(path: str, data: bytes) -> Members:
    """The members of a list file. Raises :class:`ListFileError`."""
    if len(data) > MAX_BYTES:
        raise ListFileError(f"it has more than {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ListFileError(f"byte {error.start} is not UTF-8") from None
    if "\0" in text:
        raise ListFileError("it holds a NUL character")
    if path.endswith(".csv"):
        return _csv(text)
    if path.endswith(".json"):
        return _json(text)
    filled = [(line.strip(), number) for number, line in enumerate(_LINE_BREAK.split(text), 1) if line.strip()]
    return Members(tuple(number for _, number in filled), tuple(line for line, _ in filled))


def _csv(text: str) -> Members:
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        header = [name.strip() for name in next(reader, [])]
        if not any(header):
            raise ListFileError("it has no header")
        if len(set(header)) < len(header):
            raise ListFileError("a column stands in its header twice")
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise ListFileError(f"line {reader.line_num} does not have as many cells as the header")
            rows.append({name: cell.strip() for name, cell in zip(header, cells, strict=True)})
            lines.append(reader.line_num)
    except csv.Error as error:
        raise ListFileError(f"line {reader.line_num} is not well-formed: {error}") from None
    return Members(tuple(lines), (), tuple(rows), tuple(header))


class _JsonNumber(str):
    """A number by its source text."""


def _json(text: str) -> Members:
    try:
        found = json.loads(text, parse_int=_JsonNumber, parse_float=_JsonNumber, parse_constant=_no_constant, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        raise ListFileError(f"line {error.lineno} is not well-formed JSON") from None
    except RecursionError:
        raise ListFileError("it is nested too deeply") from None
    if not isinstance(found, list):
        raise ListFileError("it holds no array")
    numbers = tuple(range(1, len(found) + 1))
    if found and all(isinstance(row, dict) for row in found):
        return _json_table(found, numbers)
    if not all(isinstance(item, str) for item in found):
        raise ListFileError("its array holds other things than texts and numbers, or objects of them")
    return Members(numbers, tuple(str(item).strip() for item in found))


def _json_table(rows: list[dict[str, object]], numbers: tuple[int, ...]) -> Members:
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    for number, row in enumerate(rows, 1):
        if not all(isinstance(cell, str) for cell in row.values()):
            raise ListFileError(f"row {number} has a cell that is neither text nor number")
    return Members(numbers, (), tuple({name: str(row.get(name, "")).strip() for name in columns} for row in rows), columns)


def _no_constant(name: str) -> object:
    raise ListFileError("it holds NaN or Infinity")


def _unique(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise ListFileError("an object has a key twice")
        found[name] = value
    return found
