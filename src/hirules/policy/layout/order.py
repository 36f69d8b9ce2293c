"""The order of keys: that of the published schemas, for everything but conditions, matchers and edits, whose order is the author's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hirules.policy.layout.tree import Branch, Leaf, Tree
from hirules.policy.schema import Schema, schemas

_KINDS: Mapping[str, str] = {"hirules": "policy", "hirules-set": "policy-set", "hirules-test": "policy-test"}
"""The schema by the key that says what a file is."""
_AS_WRITTEN = frozenset({"condition", "itemCondition", "matcher", "edit", "part"})


def arrange(tree: Tree) -> None:
    """Put the keys of ``tree`` in their order."""
    keys = {_text(entry.key) for entry in tree.root.entries}
    kind = next((schema for key, schema in _KINDS.items() if key in keys), None)
    if kind is not None:
        schema = schemas()[kind]
        _arrange(tree.root, schema, schema)


def _arrange(branch: Branch, schema: Schema, root: Schema) -> None:
    fitting = _resolved(schema, root, branch.mapping)
    if fitting is None:
        return
    if not branch.mapping:
        for entry in branch.entries:
            _below(entry.value, fitting.get("items"), root)
        return
    properties: Mapping[str, Any] = fitting.get("properties", {})
    for entry in branch.entries:
        _below(entry.value, properties.get(_text(entry.key), fitting.get("additionalProperties")), root)
    if fitting.get("additionalProperties") is False and "patternProperties" not in fitting:
        places = {name: place for place, name in enumerate(properties)}
        branch.entries.sort(key=lambda entry: places.get(_text(entry.key), len(places)))


def _below(value: Leaf | Branch, schema: object, root: Schema) -> None:
    if isinstance(value, Branch) and isinstance(schema, dict):
        _arrange(value, schema, root)


def _resolved(schema: Schema, root: Schema, mapping: bool) -> Schema | None:
    """The part of ``schema`` that a mapping, or a list, follows."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return None if name in _AS_WRITTEN else _resolved(root["$defs"][name], root, mapping)
    if "anyOf" in schema:
        found = [fitting for branch in schema["anyOf"] if (fitting := _resolved(branch, root, mapping)) is not None]
        return found[0] if found else None
    return schema if schema.get("type") == ("object" if mapping else "array") else None


def _text(key: Leaf | None) -> str:
    return key.lines[0].strip("\"'") if key is not None else ""
