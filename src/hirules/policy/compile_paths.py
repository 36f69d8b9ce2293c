"""Paths: from the text of a policy to an attribute of the vocabulary that every action of `on` has."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec
from pydicom._dicom_dict import DicomDictionary

from hirules.model.attributes import Elements
from hirules.model.path import ROOTS, Item, Name, Path, PathError, is_keyword, parse_elements, parse_path
from hirules.model.vocabulary import Attribute, element_attribute
from hirules.policy.ast import PathOperand
from hirules.policy.compile_source import Source
from hirules.policy.document import Node, ScalarNode
from hirules.policy.findings import did_you_mean, listed


class Named(msgspec.Struct, frozen=True):
    """A path with what it names."""

    path: Path
    attribute: Attribute


class Base(msgspec.Struct, frozen=True):
    """The sequence item that paths below ``item`` are relative to."""

    path: Path
    family: Attribute


class Where(msgspec.Struct, frozen=True):
    """Where a condition stands.

    ``actions``  of the rule's ``on``, sorted
    ``opening``  whether a condition that holds opens something; ``None`` where it neither opens nor closes (audit rules)
    ``base``     the sequence item, inside ``item``
    ``present``  there is a value (inside ``every`` and ``count``)
    """

    actions: tuple[str, ...]
    opening: bool | None = None
    base: Base | None = None
    present: bool = False

    def turned(self) -> Where:
        """The place inside a ``not``."""
        return self if self.opening is None else msgspec.structs.replace(self, opening=not self.opening)


def resolve(source: Source, node: ScalarNode, where: Where) -> Named | None:
    """The attribute that ``node`` names; findings where there is none, or an action does not have it."""
    key = (node.text, where.actions, where.base)
    known = source.known.paths.get(key)
    if known is not None:
        return known
    found = _relative(source, node, where.base) if where.base is not None else _absolute(source, node, where.actions)
    if found is None or (where.base is None and not _for_actions(source, node, found, where.actions)):
        return None
    source.known.paths[key] = found
    source.known.texts.add(found.path.text)
    return found


def operand(source: Source, node: Node, where: Where) -> PathOperand | None:
    """The path of ``{path: …}``: always from a root, also inside ``item``."""
    scalar = source.scalar(node, "the path of an operand", "a path, `subject.user`")
    found = None if scalar is None else resolve(source, scalar, Where(where.actions))
    return None if found is None else PathOperand(found.path, found.attribute)


def family(source: Source, node: ScalarNode, where: Where) -> Named | None:
    """The data set that ``node`` names (``instance``, ``request.Identifier``), silently ``None`` where it names none."""
    try:
        path = parse_path(node.text)
    except PathError:
        return None
    found = source.tables.vocabulary.family(path)
    if found is None or not _for_actions(source, node, Named(path, found), where.actions):
        return None
    return Named(path, msgspec.structs.replace(found, path=path.text))


def _absolute(source: Source, node: ScalarNode, actions: Iterable[str]) -> Named | None:
    try:
        path = parse_path(node.text)
    except PathError as error:
        root = node.text.split(".")[0]
        hint = did_you_mean(root, (*ROOTS, "original")) if "." in node.text else ""
        source.error(node, "invalid-path", f"{error} in `{node.text}`", expected=error.expected, hint=hint, offset=error.offset)
        return None
    attribute = source.tables.vocabulary.lookup(path)
    if attribute is not None:
        return Named(path, attribute)
    if source.tables.vocabulary.family(path) is not None:
        source.error(node, "unknown-attribute", f"`{node.text}` is a whole data set", expected=f"an element of it, `{node.text}.PatientID`")
        return None
    _unknown(source, node, path, set(actions))
    return None


def _relative(source: Source, node: ScalarNode, base: Base) -> Named | None:
    """A path below ``item``: steps of one data set."""
    try:
        steps = parse_elements(node.text)
    except PathError as error:
        source.error(node, "invalid-path", f"{error} in `{node.text}`", expected=error.expected, offset=error.offset)
        return None
    full = msgspec.structs.replace(base.path, steps=base.path.steps + steps)
    attribute = element_attribute(base.family, full)
    if attribute is None:
        hint = _near_keyword(node.text)
        if node.text.startswith(tuple(f"{root}." for root in ROOTS)):
            hint = "paths inside `item` begin at the item: leave out what stands before the element"
        source.error(node, "unknown-attribute", f"a sequence item has no `{node.text}`", expected="an element by its PS3.6 keyword or tag", hint=hint)
        return None
    path = Path("item", steps)
    return Named(path, msgspec.structs.replace(attribute, path=path.text))


def item_base(named: Named, base: Base | None, vocabulary_family: Attribute | None) -> Base | None:
    """The base for ``item`` below the sequence ``named``."""
    steps = named.path.steps if base is None else base.path.steps + named.path.steps
    full = Path(named.path.root, steps, named.path.original, named.path.element_at) if base is None else msgspec.structs.replace(base.path, steps=steps)
    if not steps or not isinstance(steps[-1], Item):
        full = msgspec.structs.replace(full, steps=(*steps, Item(0)))
    one = tuple(Item(0) if step == Item(None) else step for step in full.steps)
    if base is not None:
        return Base(msgspec.structs.replace(full, steps=one), base.family)
    if vocabulary_family is None:
        return None
    elements = Elements.KEYS if vocabulary_family.elements is Elements.KEYS else Elements.DATA_SET
    return Base(msgspec.structs.replace(full, steps=one), msgspec.structs.replace(vocabulary_family, elements=elements))


def _for_actions(source: Source, node: ScalarNode, named: Named, actions: Iterable[str]) -> bool:
    missing = [action for action in actions if action not in named.attribute.actions]
    if not missing:
        return True
    having = listed(named.attribute.actions & set(source.tables.vocabulary.actions)).removeprefix("one of ")
    quoted = ", ".join(f"`{action}`" for action in missing)
    source.error(
        node, "attribute-of-action", f"{quoted} of `on` {'do' if len(missing) > 1 else 'does'} not have `{node.text}`",
        expected=f"an attribute that every action of `on` has; this one is of {having}",
    )  # fmt: skip
    return False


def _unknown(source: Source, node: ScalarNode, path: Path, actions: set[str]) -> None:
    """The finding for a well-formed path that names nothing."""
    names = path.names
    prefix = ".".join((path.root, *names))
    attributes = source.tables.vocabulary.attributes
    if path.elements and f"{prefix}.<Keyword>" in attributes:
        wrong = next((step.name for step in path.elements if isinstance(step, Name) and not is_keyword(step.name)), None)
        if wrong is not None:
            offset = max(node.text.rfind(wrong), 0)
            source.error(
                node, "unknown-attribute", f"`{wrong}` is no PS3.6 keyword", expected="an element by its keyword or tag", hint=_near_keyword(wrong),
                offset=offset, length=len(wrong),
            )  # fmt: skip
            return
        level = attributes[f"{prefix}.<Keyword>"].path.split(".")
        what = f"is no attribute at {level[2].lower()} level" if prefix.startswith("request.updates.") else "does not name an element"
        expected = "an attribute at its own level" if prefix.startswith("request.updates.") else "a sequence with an item, `Sequence[*].Keyword`, or an element"
        source.error(node, "unknown-attribute", f"`{node.text}` {what}", expected=expected)
        return
    candidates = [name for name, found in attributes.items() if "<" not in name and actions <= found.actions]
    keyword = _near_keyword(path.text.rpartition(".")[2], path.text.rpartition(".")[0] + ".") if path.elements else ""
    hint = did_you_mean(node.text, candidates) or keyword or did_you_mean(node.text, (name for name in attributes if "<" not in name))
    below = [name for name in candidates if name.startswith(f"{path.root}.")]
    source.error(node, "unknown-attribute", f"there is no attribute `{node.text}`", expected=listed(below) or "a path of the vocabulary", hint=hint)


def _near_keyword(word: str, prefix: str = "") -> str:
    near = _nearest_keyword(word)
    return f"did you mean `{prefix}{near}`?" if near else ""


@cache
def _nearest_keyword(word: str) -> str:
    hint = did_you_mean(word, (entry[4] for entry in DicomDictionary.values() if entry[4]))
    return hint.split("`")[1] if hint else ""
