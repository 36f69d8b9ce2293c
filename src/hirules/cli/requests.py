"""A request as JSON or YAML, read strictly: what nothing would read is an error, never ignored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from math import isfinite
from typing import Any

from hirules.facts.consistent import ambiguous
from hirules.facts.names import Names
from hirules.model.path import spell_name
from hirules.model.reading import Fields
from hirules.model.request import Request
from hirules.model.scalars import Type, read
from hirules.model.vocabulary import Vocabulary
from hirules.policy.document import MappingNode, Node, ScalarNode, parse
from hirules.policy.findings import did_you_mean, listed

KEYS = ("action", "subject", "request", "resource", "resource_after", "instance", "context", "original", "id")
_DEEPEST = 64
_LONGEST_NUMBER = 100


class InvalidRequest(ValueError):
    """Input that is no request; the text says why."""


def read_request(data: bytes, vocabulary: Vocabulary, *, json_only: bool = False) -> Request:
    """The request in ``data``. Raises :class:`InvalidRequest`."""
    value = _json(data) if json_only or data.lstrip()[:1] in (b"{", b"[") else _yaml(data)
    if not isinstance(value, dict):
        raise InvalidRequest("a request is a mapping")
    for key in value:
        if key not in KEYS:
            raise InvalidRequest(_unknown("", key, KEYS))
    action = value.get("action")
    if not isinstance(action, str):
        raise InvalidRequest("`action` is missing" if action is None else "`action` is a text")
    if action not in vocabulary.actions:
        raise InvalidRequest(_join(f"`{action}` is no action", did_you_mean(action, vocabulary.actions) or f"expected {listed(vocabulary.actions)}"))
    request = Request(
        action,
        subject=_fields(value, "subject") or {},
        request=_fields(value, "request") or {},
        resource=_entities(value, "resource"),
        resource_after=_entities(value, "resource_after"),
        instance=_fields(value, "instance"),
        context=_context(value),
        original=_fields(value, "original"),
        id=_id(value),
    )
    _check_names(request, vocabulary)
    return request


def _check_names(request: Request, vocabulary: Vocabulary) -> None:
    if request.resource is not None and not vocabulary.actions[request.action].has_resource:
        raise InvalidRequest(f"`{request.action}` has no `resource`")
    if twofold := ambiguous(request):
        raise InvalidRequest(f"`{twofold[0]}` can be read in two ways: elements go by keyword and level, and what follows from others agrees with them")
    strange = Names(vocabulary).strange(request, whole=True)
    if not strange:
        return
    path = strange[0]
    parent = path.rpartition(".")[0]
    if '"' in path and "." in path.partition('"')[2]:
        raise InvalidRequest(f"`{path}` is no attribute of `{request.action}`: names are nested mappings, not joined by dots")
    known = {attribute.path for attribute in vocabulary.attributes.values() if request.action in attribute.actions and not attribute.path.endswith(">")}
    hint = did_you_mean(path, known)
    if not hint:
        below = [name for name in vocabulary.names_below(path.partition(".")[0], request.action) if "<" not in name]
        hint = f"expected below `{parent}`: {listed(below)}" if parent.count(".") == 0 and below else "expected a PS3.6 keyword"
    raise InvalidRequest(_join(f"`{path}` is no attribute of `{request.action}`", hint))


def _fields(value: Mapping[str, Any], key: str) -> Fields | None:
    fields = value.get(key)
    if fields is None or isinstance(fields, dict):
        return fields
    raise InvalidRequest(f"`{key}` is a mapping")


def _entities(value: Mapping[str, Any], key: str) -> tuple[Fields, ...] | None:
    entities = value.get(key)
    if entities is None:
        return None
    if not isinstance(entities, list) or not all(isinstance(entity, dict) for entity in entities):
        raise InvalidRequest(f"`{key}` is a list of mappings, one an entity")
    return tuple(entities)


def _context(value: Mapping[str, Any]) -> Fields:
    context = dict(_fields(value, "context") or {})
    if context.get("now") is not None:
        try:
            now = read(Type.DATETIME, context["now"])
        except ValueError:
            now = ""
        if not isinstance(now, datetime) or now.tzinfo is None:
            raise InvalidRequest("`context.now` is a date and time with its offset, `2026-03-02T10:00:00+01:00`")
        context["now"] = now
    return context


def _id(value: Mapping[str, Any]) -> str:
    given = value.get("id", "")
    if isinstance(given, str) and len(given) <= 128:
        return given
    raise InvalidRequest("`id` is a text of at most 128 characters")


def _json(data: bytes) -> object:
    try:
        value = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_integer, parse_float=_float)
    except UnicodeDecodeError as error:
        raise InvalidRequest("the input is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"line {error.lineno}, column {error.colno}: {error.msg[:1].lower() + error.msg[1:]}") from error
    except RecursionError as error:
        raise InvalidRequest("nested too deep") from error
    _check_depth(value, 0)
    return value


def _check_depth(value: object, depth: int) -> None:
    if depth > _DEEPEST:
        raise InvalidRequest("nested too deep")
    if isinstance(value, str):
        _check_text(value)
    below: Iterable[object] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in below:
        _check_depth(item, depth + 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest("an escape `\\ud800` to `\\udfff` stands alone: half a character is no text") from error


def _integer(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise InvalidRequest(f"a number has more than {_LONGEST_NUMBER} digits")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise InvalidRequest("a number is too large")
    return number


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value: dict[str, object] = {}
    for key, item in pairs:
        _check_text(key)
        if key in value:
            raise InvalidRequest(f"the key `{spell_name(key)}` stands twice in one mapping")
        value[key] = item
    return value


def _constant(text: str) -> object:
    raise InvalidRequest(f"`{text}` is no JSON")


def _yaml(data: bytes) -> object:
    document = parse("request", data)
    # a request may say null: known to be absent
    for found in document.findings:
        if found.code != "null":
            raise InvalidRequest(f"line {found.line}, column {found.column}: {found.message}")
    if document.root is None:
        raise InvalidRequest("the input is empty")
    return _yaml_value(document.root)


def _yaml_value(node: Node) -> object:
    """Scalars as their source text: types come from paths, here as in policies."""
    if isinstance(node, MappingNode):
        return {key: _yaml_value(value) for key, (_, value) in node.entries.items()}
    if isinstance(node, ScalarNode):
        return None if node.plain and node.text in ("", "~", "null", "Null", "NULL") else node.text
    return [_yaml_value(item) for item in node.items]


def _unknown(prefix: str, key: str, known: Iterable[str]) -> str:
    return _join(f"`{prefix}{key}` is no key of a request", did_you_mean(key, known) or f"expected {listed(known)}")


def _join(message: str, hint: str) -> str:
    return f"{message}; {hint}" if hint else message
