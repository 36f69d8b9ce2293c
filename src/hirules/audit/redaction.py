"""What of a request the record may show.

Rule: a value that the vocabulary marks as patient data, one whose name the vocabulary does not have, and
every data set stay out, unless ``identifying_values`` of the configuration lets them in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from hirules.model.path import DATA_SETS, PathError, parse_path, spell_name
from hirules.model.request import Request, plain
from hirules.model.vocabulary import Vocabulary

LONGEST = 1024
"""Characters of a text in the record: a peer cannot fill the disk with one parameter."""

WITHHELD = "(withheld)"


def shown(vocabulary: Vocabulary, fields: Mapping[str, object], root: str, *, identifying_values: bool) -> dict[str, object]:
    """``fields`` below ``root`` as the record shows them."""
    if identifying_values:
        return {name: _bounded(plain(value)) for name, value in fields.items() if value is not None}
    return _safe(vocabulary, fields, root)


def shown_paths(vocabulary: Vocabulary, values: Mapping[str, object], *, identifying_values: bool) -> dict[str, object]:
    """Values by path: those of patient data withheld, so that it can be seen that there was one."""
    return {path: _bounded(plain(value)) if identifying_values or not _identifies(vocabulary, path) else WITHHELD for path, value in values.items()}


def shown_instance(uid: str, *, identifying_values: bool) -> str:
    """A SOP Instance UID as the record shows it: whoever has the UID can find it, and nobody can read it from there."""
    return uid if identifying_values else "sha256:" + hashlib.sha256(uid.encode()).hexdigest()


def removed_keys(request: Request) -> tuple[str, ...]:
    """The keywords of keys that the gateway took out (``context.removed_keys``); names, never values."""
    names = request.context.get("removed_keys")
    return tuple(sorted(str(name) for name in names)) if isinstance(names, list | tuple) else ()


def _safe(vocabulary: Vocabulary, fields: Mapping[str, object], prefix: str) -> dict[str, object]:
    safe: dict[str, object] = {}
    for name, value in fields.items():
        path = f"{prefix}.{spell_name(name)}"
        if value is None or (prefix == "request" and name in {*DATA_SETS, "updates"}):
            continue
        if isinstance(value, Mapping):
            if below := _safe(vocabulary, value, path):
                safe[name] = below
        elif not _identifies(vocabulary, path):
            safe[name] = _bounded(plain(value))
    return safe


_REMEMBERED = 2048
_known: dict[tuple[int, str], tuple[Vocabulary, bool]] = {}
"""What was found, by the vocabulary's identity, which stands beside it so that no other can come to have it."""


def _identifies(vocabulary: Vocabulary, path: str) -> bool:
    known = _known.get((id(vocabulary), path))
    if known is not None:
        return known[1]
    if len(_known) >= _REMEMBERED:
        _known.clear()
    found = _looked_up(vocabulary, path)
    _known[id(vocabulary), path] = vocabulary, found
    return found


def _looked_up(vocabulary: Vocabulary, path: str) -> bool:
    try:
        attribute = vocabulary.lookup(parse_path(path))
    except PathError:
        return True
    return attribute is None or attribute.patient_data


def _bounded(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= LONGEST else value[:LONGEST] + "…"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return {name: _bounded(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_bounded(item) for item in value]
    return value
