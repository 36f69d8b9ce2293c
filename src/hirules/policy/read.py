"""Reading an attribute: a path and a request make a :class:`Reading` (LANGUAGE: Attributes).

    find      raw values, by the steps of the path
    missing   is a name that is not there absent, or unknown?
    derived   what follows from other attributes
    reading   canonical scalars by type; several values in a single-valued attribute are unknown

No text that explains an unknown quotes a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from hirules.model.path import Deep, Item, Name, Path, Private, Step
from hirules.model.reading import ABSENT, EVERYTHING, Fields, Reading, Unknown, unknown
from hirules.model.request import Request
from hirules.model.scalars import Partial, Type
from hirules.model.scalars import read as canonical
from hirules.model.vocabulary import Attribute
from hirules.policy.derive import asking_action, derived
from hirules.policy.entities import Entity
from hirules.policy.find import find, is_nothing
from hirules.policy.members import in_zone

_NOT_SPLIT = frozenset({Type.LONG_TEXT, Type.BINARY, Type.SEQUENCE, Type.STRING})
_OWN_CONTEXT = frozenset({"now", "purpose_of_use", "purpose_verified", "transport"})


class Place(msgspec.Struct, frozen=True):
    """One item of a sequence, from which the paths of ``item:`` start, and where the sequence stands."""

    item: object
    root: str
    original: bool
    elements: tuple[Step, ...]
    in_identifier: bool = False

    def __repr__(self) -> str:
        return f"Place({self.root!r}, {len(self.elements)} steps)"


class View(msgspec.Struct, frozen=True):
    """What a rule looks at: the request, as it came or effective, and one entity that it reaches.

    ``original`` is the request as it came; ``place`` the sequence item that is looked at.
    """

    request: Request
    original: Request
    entity: Entity
    now: datetime
    zone: ZoneInfo
    place: Place | None = None


def read(path: Path, attribute: Attribute, view: View, as_type: Type | None = None) -> Reading:
    """What ``path`` yields, its scalars of ``as_type``, by default the attribute's own."""
    match path.root:
        case "resource":
            return _resource(path, attribute, view, as_type)
        case "instance":
            return _instance(path, attribute, view, as_type)
        case "request":
            return _request(path, attribute, view, as_type)
        case "context":
            return _context(path, attribute, view, as_type)
        case "subject":
            return reading_of(find(view.request.subject, path.steps), path, attribute, view, as_type)
        case "item" if view.place is not None:
            place = view.place
            found = find(place.item, path.steps, _missing(place.root, place.original, (*place.elements, *path.steps), view))
            reading = reading_of(found, path, attribute, view, as_type)
            return _as_key(reading, found, view.original if place.original else view.request) if place.in_identifier else reading
        case _:
            return unknown("no such attribute")


def within(path: Path, view: View, item: object) -> View:
    """``view`` from one item of the sequence that ``path`` names."""
    outer = view.place
    elements = path.elements if path.root != "item" or outer is None else (*outer.elements, *path.steps)
    if not elements or not isinstance(elements[-1], Item):
        elements = (*elements, Item(None))
    if path.root == "item" and outer is not None:
        return msgspec.structs.replace(view, place=msgspec.structs.replace(outer, item=item, elements=elements))
    return msgspec.structs.replace(view, place=Place(item, path.root, path.original, elements, _in_identifier(path)))


def _missing(root: str, original: bool, elements: Sequence[Step], view: View) -> Unknown | None:
    """What an element that is not there reads."""
    if root == "resource":
        return view.entity.missing
    if root == "instance":
        request = view.original if original else view.request
        return None if _was_asked(elements, request) else Unknown("the caller did not ask for it")
    return None


def _context(path: Path, attribute: Attribute, view: View, as_type: Type | None) -> Reading:
    name = path.names[0] if path.names else ""
    if name == "now":
        return reading_of([view.now], path, attribute, view, as_type)
    # what a plugin adds and did not tell is not absent: the plugin may have failed
    missing = None if name in _OWN_CONTEXT else Unknown("no plugin told it")
    return reading_of(find(view.request.context, path.steps, missing), path, attribute, view, as_type)


def _request(path: Path, attribute: Attribute, view: View, as_type: Type | None) -> Reading:
    request = view.original if path.original else view.request
    fields = _asked_fields(request) if path.original else request.request
    if fields is None:
        return unknown("the parameters as they came were not given")
    raw = derived(path.names, request, fields) if len(path.names) == 1 and not path.elements else None
    found = find(fields, path.steps) if raw is None else [raw]
    reading = reading_of(found, path, attribute, view, as_type)
    if path.elements and _in_identifier(path):
        reading = _as_key(reading, found, request)
    if not reading.absent:
        return reading
    if attribute.default is not None:
        return reading_of([attribute.default], path, attribute, view, as_type)
    return EVERYTHING if attribute.empty_means_everything else reading


def _as_key(reading: Reading, found: Sequence[object], request: Request) -> Reading:
    """A zero-length key of a query asks for the attribute: it is present (PS3.4 §C.2.2.2.3)."""
    given = asking_action(request) == "c-find" and any(raw is not None and not isinstance(raw, Unknown) for raw in found)
    return msgspec.structs.replace(reading, present=True) if given else reading


def _asked_fields(original: Request) -> Fields | None:
    """The parameters as they came; of an ``answer`` or a ``release`` those of the request that asked."""
    return original.original if original.action in ("answer", "release") else original.request


def _in_identifier(path: Path) -> bool:
    return path.names[:1] == ("Identifier",)


def _instance(path: Path, attribute: Attribute, view: View, as_type: Type | None) -> Reading:
    request = view.original if path.original else view.request
    if request.instance is None:
        return unknown("the data set was not given")
    missing = _missing("instance", path.original, path.elements, view)
    return reading_of(find(request.instance, path.elements, missing), path, attribute, view, as_type)


def _was_asked(elements: Sequence[Step], request: Request) -> bool:
    """Whether an element that is not in the data set is known not to exist."""
    if request.action == "answer":
        keys = derived(("keys",), request, request.request) or request.request.get("keys")
        return isinstance(keys, list | tuple) and _asked_by_key(elements, frozenset(map(str, keys)))
    if request.action == "release":
        wanted = request.request.get("AttributeIdentifierList")
        if is_nothing(wanted):
            return True
        return isinstance(wanted, list | tuple) and _asked_by_tag(elements, wanted)
    return True


def _asked_by_key(elements: Sequence[Step], keys: frozenset[str]) -> bool:
    """A sequence that is asked for as a whole brings all its elements; one with keys in its item only these (PS3.4 §C.2.2.2.6)."""
    if any(isinstance(step, Deep | Private) for step in elements):
        return False
    prefix = ""
    for step in elements:
        if isinstance(step, Item):
            if not any(key.startswith(prefix + "[*].") for key in keys):
                return prefix in keys
            prefix += "[*]."
            continue
        if not isinstance(step, Name):
            return False
        prefix += step.name
    return prefix in keys


def _asked_by_tag(elements: Sequence[Step], wanted: Iterable[object]) -> bool:
    if not elements or not isinstance(elements[0], Name):
        return False
    try:
        return elements[0].name in {canonical(Type.TAG, tag) for tag in wanted}
    except (ValueError, TypeError):
        return False


def _resource(path: Path, attribute: Attribute, view: View, as_type: Type | None) -> Reading:
    entity = view.entity
    if not path.elements and path.names in (("count",), ("instance_count",)):
        raw = entity.count if path.names == ("count",) else entity.instance_count
        return reading_of([] if raw is None else [raw], path, attribute, view, as_type)
    return reading_of(find(entity.fields, path.steps, entity.missing), path, attribute, view, as_type)


def reading_of(found: Sequence[object], path: Path, attribute: Attribute, view: View, as_type: Type | None) -> Reading:
    """Raw values as canonical scalars."""
    type_ = as_type or attribute.type
    splits = bool(path.elements) and attribute.type not in _NOT_SPLIT
    raws = [raw for one in found for raw in _values(one, splits)]
    whys = [raw.why for raw in raws if isinstance(raw, Unknown)]
    known = [raw for raw in raws if not isinstance(raw, Unknown) and not is_nothing(raw)]
    if len(raws) > 1 and not attribute.many:
        return unknown("a single-valued attribute has several values")
    values: list[object] = []
    for raw in known:
        try:
            value = canonical(type_, raw)
        except (ValueError, ArithmeticError, TypeError):
            whys.append(f"it cannot be read as {type_.value}")
            continue
        if not is_nothing(value) and value != Partial(""):
            values.append(in_zone(value, view.zone))
    if not values and not whys:
        return ABSENT
    return Reading(tuple(values), present=bool(values), unknown="; ".join(sorted(set(whys))) or None)


def _values(raw: object, splits: bool) -> list[object]:
    """The values of one occurrence: of a list each, of text with backslashes each (PS3.5 §6.4)."""
    if raw is None or isinstance(raw, Mapping | Unknown):
        return [] if raw is None else [raw]
    if isinstance(raw, list | tuple):
        several = [value for one in raw for value in (_values(one, splits) or [""])]
        # a list of one empty value is zero-length; beside others an empty value still is one
        return [] if all(is_nothing(value) for value in several) else several
    if splits and isinstance(raw, str) and "\\" in raw:
        return list(raw.split("\\"))
    return [] if is_nothing(raw) else [raw]
