"""The vocabulary: which paths there are, for which actions, with which type, and what may be done with them.

    attributes.py  the one declaration (tables)
    actions.py     the actions and their groups
    vocabulary.py  looking a path up, and adding what plugins and policy sets declare

Schema, checker, docs and console derive from :data:`VOCABULARY`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec
from pydicom.datadict import dictionary_has_tag, dictionary_VM, dictionary_VR, repeater_has_tag, tag_for_keyword

from hirules.model.actions import ACTIONS, GROUPS, Action
from hirules.model.attributes import ATTRIBUTES, SAFE_KEYWORDS, SINGLE_RESOURCE_KEYWORDS, Attribute, Elements
from hirules.model.levels import level_of
from hirules.model.path import Deep, Item, Name, Path, Private, PrivateTag, Step, Tag, path_of
from hirules.model.scalars import VR_TYPE, Type

FIXED_ELEMENTS = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"})
"""The UIDs that say what an instance is: no rewrite changes them."""


class Vocabulary(msgspec.Struct, frozen=True):
    """Actions, groups and attributes by name. ``attributes`` are keyed by their path without ``[…]``."""

    actions: Mapping[str, Action]
    groups: Mapping[str, tuple[str, ...]]
    attributes: Mapping[str, Attribute]

    def expand(self, name: str) -> tuple[str, ...]:
        """The actions that ``name``, an action or a group, stands for; empty when there is none."""
        if name in self.groups:
            return self.groups[name]
        return (name,) if name in self.actions else ()

    def lookup(self, path: Path) -> Attribute | None:
        """The attribute that ``path`` names, made concrete for its element; ``None`` when there is none.

        ``original.`` has the attribute of the path behind it, and is never writable.
        """
        found = self._lookup(path)
        if found is not None and path.original:
            return msgspec.structs.replace(found, writable=False)
        return found

    def family(self, path: Path) -> Attribute | None:
        """The ``<Keyword>`` family of the data set that ``path`` itself names (``request.Identifier``, ``instance``)."""
        return None if path.elements else self.attributes.get(msgspec.structs.replace(path, original=False).text + ".<Keyword>")

    def _lookup(self, path: Path) -> Attribute | None:
        names = tuple(step.name if isinstance(step, Name) else "[*]" for step in path.steps[: path.element_at])
        key = ".".join((path.root, *names)).replace(".[*]", "[*]")
        if not path.elements:
            return self.attributes.get(key) or self._open(path)
        family = self.attributes.get(key + ".<Keyword>")
        return element_attribute(family, path) if family is not None else None

    def _open(self, path: Path) -> Attribute | None:
        """``subject.claims."urn:x"``: a name below an attribute that takes any."""
        if len(path.steps) < 2 or not all(isinstance(step, Name) for step in path.steps):
            return None
        parent = path_of(path.root, path.steps[:-1])
        family = self.attributes.get(parent.text + ".<name>")
        return None if family is None else msgspec.structs.replace(family, path=path.text)

    def names_below(self, root: str, action: str) -> frozenset[str]:
        """The first names that a request for ``action`` may carry below ``root``."""
        prefix = root + "."
        return frozenset(
            attribute.path[len(prefix) :].split(".")[0].split("[")[0]
            for attribute in self.attributes.values()
            if attribute.path.startswith(prefix) and action in attribute.actions
        )

    def extended(
        self,
        actions: Iterable[Action] = (),
        attributes: Iterable[Attribute] = (),
        groups: Mapping[str, tuple[str, ...]] | None = None,
    ) -> Vocabulary:
        """This vocabulary with more in it. Raises ``ValueError`` where a name is taken."""
        more_actions = {action.name: action for action in actions}
        more_attributes = {attribute.path: attribute for attribute in attributes}
        for taken in [*(set(more_actions) & (set(self.actions) | set(self.groups))), *(set(more_attributes) & set(self.attributes))]:
            raise ValueError(f"`{taken}` is in the vocabulary already")
        general = {
            key: msgspec.structs.replace(attribute, actions=attribute.actions | set(more_actions)) if attribute.general else attribute
            for key, attribute in self.attributes.items()
        }
        return Vocabulary({**self.actions, **more_actions}, {**self.groups, **(groups or {})}, {**general, **more_attributes})


def element_attribute(family: Attribute, path: Path) -> Attribute | None:
    """The attribute of one element below ``family``: type and multiplicity from PS3.6; ``None`` if there is no such element."""
    found = _leaf(path.elements[-1])
    if found is None or not _well_nested(path):
        return None
    type_, many, keyword = found
    top = len(path.elements) == 1
    if top and keyword and family.path.startswith("request.updates.") and level_of(keyword) != family.path.split(".")[2]:
        return None
    return msgspec.structs.replace(
        family,
        path=path.text,
        type=type_,
        many=many
        or family.elements is Elements.MANY
        or (family.elements is Elements.KEYS and type_ is Type.UID)  # PS3.4 §C.2.2.2.2: list of UID matching
        or (family.elements is Elements.ENTITY and top and keyword not in SINGLE_RESOURCE_KEYWORDS)
        or any(isinstance(step, Deep) or step == Item(None) for step in path.elements),
        writable=family.writable and not (keyword in FIXED_ELEMENTS and family.elements is not Elements.KEYS),
        patient_data=keyword not in SAFE_KEYWORDS,
    )


def _leaf(step: Step) -> tuple[Type, bool, str] | None:
    """Type, multiplicity and keyword of the element that a path ends with."""
    match step:
        case Name(keyword):
            tag = tag_for_keyword(keyword)
            if tag is None:
                return None
            vr = dictionary_VR(tag)
            return VR_TYPE[vr], dictionary_VM(tag) != "1" or vr == "SQ", keyword
        case Private():
            return Type.BINARY, True, ""
        case PrivateTag():
            return Type.TEXT, True, ""  # neither VR nor multiplicity are in a dictionary
        case Tag(group, element):
            tag = int((group + element).replace("x", "0"), 16)
            type_ = VR_TYPE[dictionary_VR(tag)] if dictionary_has_tag(tag) or repeater_has_tag(tag) else Type.TEXT
            return type_, True, ""
        case Item():
            return Type.SEQUENCE, True, ""
        case Deep():
            return None


def _well_nested(path: Path) -> bool:
    """Every element but the last is a sequence with an item behind it, or ``**``."""
    steps = path.elements
    for step, following in pairwise(steps):
        match step, following:
            case Name(keyword), Item():
                tag = tag_for_keyword(keyword)
                if tag is None or dictionary_VR(tag) != "SQ":
                    return False
            case Tag(), Item():
                pass
            case ((Item() | Deep()), (Item() | Deep())):
                return False
            case ((Item() | Deep()), _):
                pass
            case _:
                return False
    return True


VOCABULARY = Vocabulary(
    {action.name: action for action in ACTIONS},
    GROUPS,
    {attribute.path: attribute for attribute in ATTRIBUTES},
)

__all__ = ["VOCABULARY", "Action", "Attribute", "Vocabulary", "element_attribute"]
