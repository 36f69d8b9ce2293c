"""Lists that no rule uses.

``unused-list``  no rule or exception names the list; of a shared one: none in the whole set
(``empty-list`` is the compiler's.)
"""

from __future__ import annotations

from collections.abc import Iterator

from hirules.policy.ast import Policy, Position
from hirules.policy.document import Document, MappingNode, Node, ScalarNode, SequenceNode
from hirules.policy.lint.subject import Lint, Subject, items_of


def lints(subject: Subject) -> Iterator[Lint]:
    """The findings of this family."""
    used = {file: _used(document) for file, document in subject.documents.items()}
    everywhere: set[str] = set().union(*used.values())
    for policy in subject.policies.policies:
        nodes = subject.list_nodes(policy)
        for name, (key, value) in nodes.entries.items() if nodes is not None else ():
            shared = isinstance(value, MappingNode) and isinstance(share := value.get("share"), ScalarNode) and share.text == "true"
            if name not in (everywhere if shared else used.get(policy.file, ())):
                yield _unused(subject, policy, key, name, shared)


def _unused(subject: Subject, policy: Policy, key: ScalarNode, name: str, shared: bool) -> Lint:
    where = "no rule of the set" if shared else "no rule of this policy"
    return subject.lint(Position(policy.file, key.line, key.column), "unused-list", f"{where} names `${name}`", expected="a rule that uses it, or no list")


def _used(document: Document) -> set[str]:
    return {name for key in ("rules", "exceptions") for item in items_of(document, key) for name in _references(item)}


def _references(node: Node) -> Iterator[str]:
    if isinstance(node, ScalarNode):
        if node.text[:1] == "$":
            yield node.text[1:]
    elif isinstance(node, SequenceNode):
        for item in node.items:
            yield from _references(item)
    else:
        for _, value in node.entries.values():
            yield from _references(value)
