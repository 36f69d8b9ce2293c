"""``set.yaml``: what holds for a whole set, and the actions that it adds to the vocabulary."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from hirules.model.actions import Action
from hirules.model.attributes import Attribute
from hirules.model.path import Name, PathError, parse_path
from hirules.model.scalars import Type
from hirules.model.vocabulary import Vocabulary
from hirules.policy.compile import version
from hirules.policy.compile_literals import time_zone
from hirules.policy.compile_source import Source
from hirules.policy.document import MappingNode, Node, ScalarNode

SET_KEYS = ("actions", "combining", "description", "hirules-set", "requires", "time_zone", "title")
ACTION_KEYS = ("attributes", "description")
ATTRIBUTE_KEYS = ("description", "many", "type")
COMBINING = ("deny-unless-permit", "permit-unless-deny")
ATTRIBUTE_TYPES: Mapping[str, Type] = {type_.value: type_ for type_ in Type if type_ not in (Type.BINARY, Type.SEQUENCE)}
"""The types that an added attribute may have, by the name that stands in ``set.yaml``."""


class Settings(msgspec.Struct, frozen=True):
    """What ``set.yaml`` says, and its defaults."""

    combining: str = "deny-unless-permit"
    time_zone: str = "UTC"
    requires: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    attributes: tuple[Attribute, ...] = ()


def settings(source: Source) -> Settings:
    """The settings of the document; findings where it is wrong."""
    root = source.document.root
    mapping = None if root is None else source.mapping(root, "the file", "`hirules-set: 1`")
    if mapping is None:
        return Settings()
    source.keys(mapping, "a policy set", SET_KEYS, ("hirules-set",))
    version(source, mapping, "hirules-set")
    zone = mapping.get("time_zone")
    source.text(mapping, "title", "a policy set")
    source.text(mapping, "description", "a policy set")
    actions, attributes = _actions(source, mapping)
    return Settings(
        combining=source.choice(mapping, "combining", COMBINING, "deny-unless-permit"),
        time_zone="UTC" if zone is None else time_zone(source, zone, "`time_zone`") or "UTC",
        requires=_requires(source, mapping),
        actions=actions,
        attributes=attributes,
    )


_VERSIONS = r"(?:==|!=|>=|<=|~=|<|>)\s*[0-9][0-9A-Za-z.+!*]{0,40}"
_REQUIREMENT = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,98}}[A-Za-z0-9])?\s*(?:{_VERSIONS}(?:\s*,\s*{_VERSIONS})*)?")


def _requires(source: Source, mapping: MappingNode) -> tuple[str, ...]:
    node = mapping.get("requires")
    found = []
    for item in () if node is None else source.several(node, "`requires`"):
        scalar = source.scalar(item, "a requirement", "a plugin with versions, `hirules-example>=1.2`")
        if scalar is None:
            continue
        if _REQUIREMENT.fullmatch(scalar.text.strip()) is None:
            expected = "a distribution with versions, `hirules>=0.1,<2`"
            source.error(scalar, "unknown-requirement", f"`{scalar.text}` is no requirement", expected=expected)
            continue
        found.append(scalar.text.strip())
    return tuple(found)


# Actions that a set adds.


def _actions(source: Source, mapping: MappingNode) -> tuple[tuple[Action, ...], tuple[Attribute, ...]]:
    node = mapping.get("actions")
    added = None if node is None else source.mapping(node, "`actions`", "`{name: {description: …}}`")
    if added is None:
        return (), ()
    actions: list[Action] = []
    attributes: dict[str, Attribute] = {}
    vocabulary = source.tables.vocabulary
    for name, (key, body_node) in added.entries.items():
        if re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)*", name) is None:
            source.error(key, "invalid-id", f"`{name}` is no name of an action", expected="lower case words joined by hyphens")
            continue
        if vocabulary.expand(name):
            source.error(key, "name-taken", f"`{name}` is an action or a group already", expected="another name")
            continue
        body = source.mapping(body_node, f"the action `{name}`", "`{description: …}`")
        if body is None:
            continue
        source.keys(body, "an action", ACTION_KEYS, ("description",))
        actions.append(Action(name, "added", "", source.text(body, "description", "an action")))
        _add_attributes(source, body, name, attributes)
    return tuple(actions), tuple(attributes.values())


def _add_attributes(source: Source, body: MappingNode, action: str, attributes: dict[str, Attribute]) -> None:
    node = body.get("attributes")
    declared = None if node is None else source.mapping(node, "`attributes`", "`{request.Name: {type: …, description: …}}`")
    for text, (key, value) in ({} if declared is None else declared.entries).items():
        found = _attribute(source, key, value, action)
        if found is None:
            continue
        earlier = attributes.get(text)
        if earlier is None:
            attributes[text] = found
        elif (earlier.type, earlier.many) == (found.type, found.many):
            attributes[text] = msgspec.structs.replace(earlier, actions=earlier.actions | {action})
        else:
            source.error(key, "name-taken", f"`{text}` has another type for another action", expected="one type for an attribute")


def _attribute(source: Source, key: ScalarNode, node: Node, action: str) -> Attribute | None:
    text = key.text
    try:
        path = parse_path(text)
    except PathError as error:
        source.error(key, "invalid-path", f"{error} in `{text}`", expected=error.expected, offset=error.offset)
        return None
    plain_names = bool(path.steps) and not path.elements and all(isinstance(step, Name) for step in path.steps)
    if path.root not in ("request", "context") or path.original or not plain_names or path.text != text:
        source.error(key, "invalid-path", f"`{text}` is no attribute that a set may add", expected="`request.Name` or `context.name`")
        return None
    if text in source.tables.vocabulary.attributes:
        source.error(key, "name-taken", f"`{text}` is in the vocabulary already", expected="another name")
        return None
    mapping = source.mapping(node, f"the attribute `{text}`", "`{type: …, description: …}`")
    if mapping is None:
        return None
    source.keys(mapping, "an attribute", ATTRIBUTE_KEYS, ("type",))
    type_ = source.choice(mapping, "type", ATTRIBUTE_TYPES, "string")
    many = source.flag(mapping, "many")
    return Attribute(text, ATTRIBUTE_TYPES[type_], frozenset({action}), source.text(mapping, "description", "an attribute"), many=many)


def extended(found: Settings, vocabulary: Vocabulary) -> Vocabulary:
    """The vocabulary with what the set adds."""
    return vocabulary.extended(found.actions, found.attributes) if found.actions else vocabulary


__all__ = ["ACTION_KEYS", "ATTRIBUTE_KEYS", "ATTRIBUTE_TYPES", "COMBINING", "SET_KEYS", "Settings", "extended", "settings"]
