"""One policy file: from its document to the AST, with every finding.

lists → rules → exceptions → Policy
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hirules.policy.ast import ExceptionRule, Policy, Rule
from hirules.policy.compile_rules import exception, rule, with_exceptions
from hirules.policy.compile_source import Source
from hirules.policy.document import MappingNode, Node, ScalarNode

POLICY_KEYS = ("description", "exceptions", "hirules", "lint", "lists", "owner", "policy", "references", "rules", "title")
VERSION = "1"


def policy_id(source: Source) -> str | None:
    """The id of the policy in a file; the findings of its first lines."""
    root = source.document.root
    mapping = None if root is None else source.mapping(root, "the file", "a policy, `hirules: 1`")
    if mapping is None:
        return None
    source.keys(mapping, "a policy", POLICY_KEYS, ("hirules", "policy", "rules"))
    version(source, mapping, "hirules")
    return source.identifier(mapping, "policy", "a policy")


def version(source: Source, mapping: MappingNode, key: str) -> None:
    """The version of the language must be one that is known."""
    node = mapping.get(key)
    found = None if node is None else source.scalar(node, f"`{key}`", f"`{VERSION}`")
    if found is not None and (found.text != VERSION or not found.plain):
        source.error(found, "version", f"version `{found.text}` of the language is not known", expected=f"`{VERSION}`")


def policy(source: Source, name: str) -> Policy | None:
    """The policy of a file whose lists have been read; ``None`` where it has errors."""
    mapping = source.document.root
    if not isinstance(mapping, MappingNode):
        return None
    rules = _rules(source, mapping, name)
    by_id = {own_id: found for own_id, (_, found) in rules.items()}
    exceptions = tuple(_exceptions(source, mapping, name, by_id))
    title, description, owner = (source.text(mapping, key, "a policy") for key in ("title", "description", "owner"))
    references = source.texts(mapping, "references", "a policy")
    silences = source.silences(mapping)
    if source.failed:
        return None
    found = tuple(with_exceptions(one, exceptions) for one in by_id.values() if one is not None)
    lists = {list_name: loaded.named for list_name, loaded in source.lists.items() if not loaded.shared or loaded.declared_in == source.file}
    return Policy(name, title, source.file, found, exceptions, lists, owner, references, description, silences)


def _rules(source: Source, mapping: MappingNode, policy_name: str) -> dict[str, tuple[Node, Rule | None]]:
    """The rules by their own id; one with findings is there all the same, so that exceptions may name it."""
    node = mapping.get("rules")
    found: dict[str, tuple[Node, Rule | None]] = {}
    for item in (() if node is None else source.sequence(node, "`rules`", "a list of rules, `- id: …`")) or ():
        compiled = rule(source, item, policy_name)
        own = item.get("id") if isinstance(item, MappingNode) else None
        if not isinstance(own, ScalarNode):
            continue
        if own.text in found:
            _twice(source, own, found[own.text][0])
        else:
            found[own.text] = (own, compiled)
    return found


def _exceptions(source: Source, mapping: MappingNode, policy_name: str, rules: Mapping[str, Rule | None]) -> Iterator[ExceptionRule]:
    node = mapping.get("exceptions")
    seen: dict[str, Node] = {}
    for item in (() if node is None else source.sequence(node, "`exceptions`", "a list of exceptions, `- id: …`")) or ():
        compiled = exception(source, item, policy_name, rules)
        own = item.get("id") if isinstance(item, MappingNode) else None
        if isinstance(own, ScalarNode):
            if own.text in seen:
                _twice(source, own, seen[own.text])
            elif own.text in rules:
                source.error(own, "duplicate-id", f"`{own.text}` is a rule of this policy", expected="an id that nothing else in the policy has")
            seen.setdefault(own.text, own)
        if compiled is not None:
            yield compiled


def _twice(source: Source, node: ScalarNode, first: Node) -> None:
    source.error(
        node, "duplicate-id", f"the id `{node.text}` stands here twice", expected="an id that nothing else in the policy has",
        hint=f"the first one is in line {first.line}",
    )  # fmt: skip
