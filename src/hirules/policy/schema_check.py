"""The last check of a document: what the compiler accepts must satisfy the published schema.

So schema and compiler cannot drift apart silently, and what plugins declare about the arguments of
their operators and edits is enforced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jsonschema
import jsonschema_rs

from hirules.model.vocabulary import VOCABULARY
from hirules.policy.compile_source import Source, Tables, plain
from hirules.policy.document import MappingNode, Node, SequenceNode
from hirules.policy.edits import EDITS
from hirules.policy.findings import Finding
from hirules.policy.operators import OPERATORS
from hirules.policy.schema import Schema, policy_schema, policy_set_schema
from hirules.policy.schema_tests import policy_test_schema


def against_set_schema(source: Source) -> tuple[Finding, ...]:
    """The finding of a `set.yaml` that does not satisfy its schema."""
    return tuple(_check(source, *_set_schema()))


def against_test_schema(source: Source) -> tuple[Finding, ...]:
    """The finding of a file of tests that does not satisfy its schema, which holds for what plugins and sets add, too."""
    return tuple(_check(source, *_test_schema()))


def against_schema(tables: Tables) -> Callable[[Source], tuple[Finding, ...]]:
    """What answers the finding of a policy that does not satisfy the schema."""
    is_valid, schema = _schema(tables)
    return lambda source: tuple(_check(source, is_valid, schema))


def _schema(tables: Tables) -> tuple[Callable[[Any], bool], Schema]:
    own = tables.operators is OPERATORS and tables.edits is EDITS and tables.vocabulary is VOCABULARY
    return _default_schema() if own else _compiled(policy_schema(tables.vocabulary, tables.operators, tables.edits))


@cache
def _default_schema() -> tuple[Callable[[Any], bool], Schema]:
    return _compiled(policy_schema(VOCABULARY, OPERATORS, EDITS))


@cache
def _set_schema() -> tuple[Callable[[Any], bool], Schema]:
    return _compiled(policy_set_schema())


@cache
def _test_schema() -> tuple[Callable[[Any], bool], Schema]:
    return _compiled(policy_test_schema(VOCABULARY))


def _compiled(schema: Schema) -> tuple[Callable[[Any], bool], Schema]:
    # a hundred times faster than jsonschema, which then says what is wrong
    return jsonschema_rs.Draft202012Validator(schema).is_valid, schema


def _check(source: Source, is_valid: Callable[[Any], bool], schema: Schema) -> list[Finding]:
    root = source.document.root
    if root is None:
        return []
    value = plain(root)
    if is_valid(value):
        return []
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if error is None:
        return []
    place = ".".join(map(str, error.absolute_path)) or "the file"
    node = _node(root, list(error.absolute_path))
    before = len(source.findings)
    source.error(node, "schema", f"`{place}` does not satisfy the schema", expected=_expected(error))
    return source.findings[before:]


def _node(node: Node, path: Sequence[str | int]) -> Node:
    """The node that a path of the plain value leads to."""
    for step in path:
        if isinstance(node, MappingNode) and isinstance(step, str):
            node = node.entries[step][1]
        elif isinstance(node, SequenceNode) and isinstance(step, int):
            node = node.items[step]
    return node


def _expected(error: jsonschema.ValidationError) -> str:
    match error.validator:
        case "type":
            kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
            return " or ".join(map(str, kinds))
        case "enum" | "const" | "pattern" | "minItems" | "maxItems" | "minimum" | "maximum" | "required":
            return f"{error.validator}: {error.validator_value}"
        case _:
            return str(error.schema.get("description", "")) if isinstance(error.schema, dict) else ""
