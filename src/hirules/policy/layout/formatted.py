"""From a file's bytes to the same file in the canonical layout."""

from __future__ import annotations

from hirules.policy.document import MappingNode, Node, ScalarNode, parse
from hirules.policy.findings import PolicyError
from hirules.policy.layout.comments import comments
from hirules.policy.layout.order import arrange
from hirules.policy.layout.tree import read
from hirules.policy.layout.write import write


class LayoutError(Exception):
    """The file cannot be laid out so that it still says the same; it stays as it is."""


def formatted(file: str, data: bytes) -> bytes:
    """``data``, a policy, a set or tests, in the canonical layout.

    Raises :class:`~hirules.policy.findings.PolicyError` where it is no well-formed YAML file, and :class:`LayoutError`.
    """
    before = parse(file, data)
    wrong = tuple(found for found in before.findings if found.code != "null")  # tests may say null, and a policy's is for `check` to tell
    if before.root is None or wrong:
        raise PolicyError(wrong or before.findings)
    if not isinstance(before.root, MappingNode):
        raise LayoutError("the file is no mapping")
    text = "\n".join(before.lines)
    tree = read(text)
    if not tree.aliases:  # an alias must stay behind its anchor
        arrange(tree)
    after = write(tree)
    written = parse(file, after.encode())
    if len(written.findings) != len(before.findings) or _said(written.root) != _said(before.root):
        raise LayoutError("the file has a spelling that the layout does not know")
    if _texts(text) != _texts(after):
        raise LayoutError("a comment would be lost")
    return after.encode()


def _texts(text: str) -> list[str]:
    return sorted(found.text for found in comments(text) if found.text)


def _said(node: Node | None) -> object:
    """What a node says, whatever the order of its keys."""
    if isinstance(node, MappingNode):
        return {key: _said(value) for key, (_, value) in node.entries.items()}
    if isinstance(node, ScalarNode):
        return node.text, node.plain
    return [] if node is None else [_said(item) for item in node.items]
