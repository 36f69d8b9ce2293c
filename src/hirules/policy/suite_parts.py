"""Parts of requests: fixtures and inline parts are read once, and laid over each other, the later ones on top.

    node ─▶ Part: values by key, scalars as their source text (types come from paths, here as in policies)
    Part, Part, … ─▶ merged ─▶ Request

`{file: name}` stands for what a file holds: a DICOM data set, a captured audit record, an update document. Who calls has read the
files and knows their forms; here they are only looked up.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from hirules.model.path import DATA_SETS, is_keyword, spell_name
from hirules.model.request import Request
from hirules.model.scalars import Type, is_tag, read
from hirules.model.vocabulary import Vocabulary
from hirules.policy.compile_source import Source
from hirules.policy.document import MappingNode, Node, ScalarNode, SequenceNode
from hirules.policy.findings import did_you_mean, listed

FileKind = Literal["data set", "audit record", "update document"]
ReadFile = Callable[[FileKind, bytes, str], Mapping[str, object]]
"""``(kind, contents, id)`` as plain fields; raises ``ValueError``, whose text quotes no value. Of an audit record: ``action``, ``subject``,
``request``, ``context`` with ``now``; ``id`` names one of several in a file, else is empty."""

PART_KEYS = ("context", "id", "instance", "original", "request", "resource", "resource_after", "subject")
UPDATES = "updateImageSetMetadataUpdates"
_FIELDS = ("subject", "request", "instance", "context", "original")
_BLOBS = ("updatableAttributes", "removableAttributes")


class Part(msgspec.Struct, frozen=True):
    """A part of a request. ``values`` by key of the part; ``node`` is where it stands, ``action`` the one of a captured record."""

    node: Node
    values: Mapping[str, object]
    action: str = ""


class Files(msgspec.Struct, frozen=True):
    """The files of the set by their paths in it, and how they are read."""

    contents: Mapping[str, bytes]
    read: ReadFile


def part_of(source: Source, node: MappingNode, files: Files, keys: Iterable[str]) -> Part:
    """The part of a request that ``node`` is: those of ``keys`` that it has."""
    if "file" in node.entries and "file" not in keys:
        return _record(source, node, files)
    values = {key: _value_of(source, key, node.entries[key][1], files) for key in keys if key in node.entries}
    return Part(node, values)


def merged(parts: Sequence[Part]) -> Mapping[str, object]:
    """The values of the parts, those of later ones over those of earlier ones; mappings are merged, lists replaced."""
    result: Mapping[str, object] = {}
    for part in parts:
        result = _over(result, part.values)
    return result


def _over(below: Mapping[str, object], above: Mapping[str, object]) -> Mapping[str, object]:
    if not below or not above:
        return above or below
    result = dict(below)
    for key, value in above.items():
        earlier = result.get(key)
        result[key] = _over(earlier, value) if isinstance(earlier, Mapping) and isinstance(value, Mapping) else value
    return result


def request_of(action: str, values: Mapping[str, object]) -> Request:
    """The request for ``action`` with the values of parts."""
    given = {key: value for key, value in values.items() if value is not None}
    return Request(action, **given)  # type: ignore[arg-type]


# Reading.


def _value_of(source: Source, key: str, node: Node, files: Files) -> object:
    if key in ("resource", "resource_after"):
        return _entities(source, key, node, files)
    if key == "id":
        scalar = source.scalar(node, "`id`", "a text")
        return "" if scalar is None else scalar.text
    fields = source.mapping(node, f"`{key}`")
    if fields is None:
        return {}
    if key == "instance" and (name := _file_name(fields)):
        return _file(source, name, "data set", files)
    values = {name: _field(source, key, name, value, files) for name, (_, value) in fields.entries.items() if name != UPDATES or key != "request"}
    if key == "context" and "now" in values:
        values["now"] = moment(source, fields.entries["now"][1])
    if key == "request" and UPDATES in fields.entries:
        values.update(_updates(source, fields.entries[UPDATES][1], files))
    return values


def _field(source: Source, key: str, name: str, node: Node, files: Files) -> object:
    if key in ("request", "original") and name in DATA_SETS and isinstance(node, MappingNode) and (found := _file_name(node)):
        return _file(source, found, "data set", files)
    return value_of(node)


def _entities(source: Source, key: str, node: Node, files: Files) -> object:
    if not isinstance(node, SequenceNode):
        source.error(node, "not-a-list", f"`{key}` is no list", expected="a list of mappings, one an entity; `[]` where nothing matches")
        return None
    entities: list[object] = []
    for item in node.items:
        entity = source.mapping(item, f"an entity of `{key}`")
        if entity is not None:
            name = _file_name(entity)
            entities.append(_file(source, name, "data set", files) if name else value_of(entity))
    return tuple(entities)


def value_of(node: Node) -> object:
    """Plain data: scalars as their source text, a plain null as ``None``."""
    if isinstance(node, ScalarNode):
        return None if is_null(node) else node.text
    if isinstance(node, SequenceNode):
        return [value_of(item) for item in node.items]
    return {key: value_of(value) for key, (_, value) in node.entries.items()}


def is_null(node: Node) -> bool:
    """Whether the node is a plain null: known to be absent."""
    return isinstance(node, ScalarNode) and node.plain and node.text in ("", "~", "null", "Null", "NULL")


def moment(source: Source, node: Node) -> datetime | None:
    """A date and time with its offset; a finding where it is none."""
    try:
        found = read(Type.DATETIME, node.text) if isinstance(node, ScalarNode) else None
    except ValueError:
        found = None
    if isinstance(found, datetime) and found.tzinfo is not None:
        return found
    source.error(node, "timestamp", "`now` is no time", expected="a date and time with its offset, `2026-03-02T10:00:00+01:00`")
    return None


# Files.


def _file_name(node: MappingNode) -> ScalarNode | None:
    """The name in `{file: name}`; ``None`` for any other mapping."""
    name = node.get("file")
    return name if len(node.entries) == 1 and isinstance(name, ScalarNode) else None


def _contents(source: Source, node: ScalarNode, files: Files) -> bytes | None:
    name = posixpath.normpath(posixpath.join(posixpath.dirname(source.file), node.text))
    if node.text.startswith("/") or name.startswith("../"):
        source.error(node, "test-file", f"`{node.text}` is outside of the folder of the set", expected="a path relative to this file, inside the set's folder")
    elif name not in files.contents:
        beside = [posixpath.relpath(other, posixpath.dirname(source.file) or ".") for other in files.contents]
        source.error(node, "test-file", f"there is no file `{node.text}`", expected="a path relative to this file", hint=did_you_mean(node.text, beside))
    else:
        return files.contents[name]
    return None


def _file(source: Source, node: ScalarNode, kind: FileKind, files: Files, record: str = "") -> Mapping[str, object]:
    data = _contents(source, node, files)
    if data is None:
        return {}
    try:
        return files.read(kind, data, record)
    except ValueError as error:
        article = "an" if kind[0] in "aeiou" else "a"
        source.error(node, "test-file", f"`{node.text}` cannot be read as {article} {kind}: {error}")
        return {}


def _record(source: Source, node: MappingNode, files: Files) -> Part:
    """`{file: record.json}`, with `id` where the file holds several: the request of an audit record."""
    source.keys(node, "a captured audit record", ("file", "id"))
    name = _text_at(source, node, "file")
    wanted = _text_at(source, node, "id")
    if name is None:
        return Part(node, {})
    fields = dict(_file(source, name, "audit record", files, "" if wanted is None else wanted.text))
    action = fields.pop("action", "")
    return Part(node, fields, str(action))


def _text_at(source: Source, node: MappingNode, key: str) -> ScalarNode | None:
    value = node.get(key)
    return None if value is None else source.scalar(value, f"`{key}`", "a text")


def _updates(source: Source, node: Node, files: Files) -> Mapping[str, object]:
    """What `updateImageSetMetadataUpdates` says: the parameter of the API, each blob `{file: name}`; `{file: name}` alone is the
    document of what is set, or the whole parameter as the AWS CLI takes it."""
    mapping = source.mapping(node, f"`{UPDATES}`", "`{file: update.json}`, or the parameter of the API")
    if mapping is None:
        return {}
    if name := _file_name(mapping):
        return _file(source, name, "update document", files)
    source.keys(mapping, f"`{UPDATES}`", ("DICOMUpdates", "revertToVersionId"))
    if (version := mapping.get("revertToVersionId")) is not None:
        scalar = source.scalar(version, "`revertToVersionId`", "a version")
        return {} if scalar is None else _read_updates(source, version, {"revertToVersionId": scalar.text}, files)
    inner = mapping.get("DICOMUpdates")
    blobs = None if inner is None else source.mapping(inner, "`DICOMUpdates`")
    if blobs is None:
        return {}
    source.keys(blobs, "`DICOMUpdates`", _BLOBS)
    found: dict[str, str] = {}
    for key in _BLOBS:
        blob = blobs.get(key)
        name = _file_name(blob) if isinstance(blob, MappingNode) else None
        if name is not None:
            data = _contents(source, name, files)
            found[key] = "" if data is None else data.decode("utf-8", "surrogateescape")
        elif blob is not None:
            source.error(blob, "argument", f"`{key}` is no file", expected="`{file: update.json}`")
    return _read_updates(source, inner or mapping, {"DICOMUpdates": found}, files) if found and all(found.values()) else {}


def _read_updates(source: Source, node: Node, parameter: Mapping[str, object], files: Files) -> Mapping[str, object]:
    try:
        return files.read("update document", msgspec.json.encode(parameter), "")
    except ValueError as error:  # one of its documents that is no UTF-8, too
        why = "it is not UTF-8" if isinstance(error, UnicodeError) else str(error)
        source.error(node, "test-file", f"no update document: {why}")
        return {}


# Names.


class Names:
    """Whether parts carry only what their action has. ``strange`` answers the paths that it does not have."""

    def __init__(self, vocabulary: Vocabulary, strange: Callable[[Request], Sequence[str]]) -> None:
        self._vocabulary = vocabulary
        self._strange = strange
        self._known: dict[tuple[str, object], tuple[str, ...]] = {}
        self._checked: set[tuple[int, str]] = set()

    def check(self, source: Source, part: Part, action: str) -> None:
        """Findings for each attribute of ``part`` that ``action`` does not have; once for a part and an action."""
        key = (id(part), action)
        if key in self._checked:
            return
        self._checked.add(key)
        values = dict(part.values)
        if not self._vocabulary.actions[action].has_resource:
            for name in ("resource", "resource_after"):
                if values.pop(name, None) is not None:
                    source.error(_locate(part.node, name), "attribute-of-action", f"`{action}` has no `resource`")
        shape = (action, _shape(values))
        paths = self._known.get(shape)
        if paths is None:
            paths = self._known[shape] = (*self._strange(request_of(action, values)), *_strange_items("", values))
        for path in paths:
            self._unknown(source, part.node, path, action)

    def _unknown(self, source: Source, node: Node, path: str, action: str) -> None:
        known = {attribute.path for attribute in self._vocabulary.attributes.values() if action in attribute.actions and not attribute.path.endswith(">")}
        hint = did_you_mean(path, known)
        root = path.partition(".")[0]
        below = [f"{root}.{name}" for name in self._vocabulary.names_below(root, action) if "<" not in name]
        expected = "" if hint else listed(below) if path.count(".") == 1 and below else "a PS3.6 keyword"
        source.error(_locate(node, path), "unknown-attribute", f"`{path}` is no attribute of `{action}`", expected=expected, hint=hint)


def _strange_items(prefix: str, value: object) -> Iterator[str]:
    """The paths of what is no element in the items of sequences."""
    if type(value) is not dict:
        return
    for key, below in value.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(below, list | tuple) and is_keyword(key):
            for item in below:
                if type(item) is dict:
                    yield from (f"{path}[*].{spell_name(name)}" for name in item if not (is_keyword(name) or name.startswith("(") or is_tag(name)))
                    yield from _strange_items(path + "[*]", item)
        else:
            for one in below if isinstance(below, list | tuple) else (below,):
                yield from _strange_items(path, one)


def _shape(value: object) -> object:
    """The names in a value: parts of one shape have the same strange names."""
    if type(value) is dict:
        return tuple([(key, _shape(item)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return tuple([_shape(item) for item in value]) if value and isinstance(value[0], dict | list | tuple) else ()
    return type(value) if isinstance(value, Mapping) else None


def _locate(node: Node, path: str) -> Node:
    """The key that ``path`` names below ``node``, else what is nearest to it."""
    return next(_located(node, path), node)


def _located(node: Node, path: str) -> Iterator[Node]:
    if isinstance(node, SequenceNode):
        for item in node.items:
            yield from _located(item, path)
    elif isinstance(node, MappingNode):
        for key, (key_node, value) in node.entries.items():
            spelled = key if key.startswith("(") else spell_name(key)
            if path == spelled:
                yield key_node
            elif path.startswith((spelled + ".", spelled + "[*].")):
                yield from _located(value, path[len(spelled) :].removeprefix("[*]").removeprefix("."))
        for key in ("resource", "resource_after", "original"):  # told as `resource.…` and `request.…`
            if key in node.entries and path.startswith(("resource.", "request.")):
                yield from _located(node.entries[key][1], path.partition(".")[2])
