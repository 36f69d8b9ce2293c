"""What leaves is decided on its own data set: a `release` (an instance, an attribute list) or an `answer` (a C-FIND match).

    decision on what asked, data set ──disclosure──▶ Request ──gate──▶ Decision
    Decision, pydicom Dataset ──edited──▶ the names of the elements that became others, the Dataset edited     (no bytes: for any driver)
    Decision, Held bytes      ──carried_out──▶ the bytes that leave                                            (for the wire)

Law: the data set that leaves, when it is read again, is ``decision.effective.instance``. Elements that no rule changed are the very
bytes that came. What cannot be kept so raises ``ValueError``, which quotes no value, and does not leave.

Where the rules name what they change, and no other element says how to read it, nothing else is decoded: neither to decide, nor to
edit, nor to look again. That the others say what they said follows from their bytes, which are compared.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from io import BytesIO

import msgspec
from pydicom.config import IGNORE, WARN, settings
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hirules.dimse import flat
from hirules.dimse.elements import DEFLATED, Elements, Malformed, Scan, deflated, inflated, scanned, spliced
from hirules.dimse.identifier import CHARACTER_SET, write
from hirules.dimse.translate import same
from hirules.model.dataset import DatasetView, dataset_of, element_names, element_of, keyword_of, tag_of, value_at
from hirules.model.decision import Decision
from hirules.model.overlay import touched
from hirules.model.reading import ByKeyword, Fields, Unknown
from hirules.model.request import Request

_NOT_WAITED_FOR = Unknown("it was not waited for")
_MAY_NOT_BE_KEPT = Unknown("the archive answered it zero-length, and may not keep it")
_PIXELS = "PixelData"
_NUMBER = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)")
_FIRST_BEHIND = 0x7FE00000
_PIXEL_REPRESENTATION, _LUT_DESCRIPTOR = 0x00280103, 0x00283002
_TELLING = frozenset({CHARACTER_SET, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR})
"""Elements that say how others are read: text, and in implicit VR numbers that may be signed, and look-up tables (PS3.5 §6.1.2, §A.1)."""
_LIKE_A_VR = 0x4141
"""From here on the two lower bytes of a length can be letters, as those of a value representation are."""


def quote_no_values() -> None:
    """pydicom warns about malformed values and quotes them, for the whole process: they would be patients'. Where it raises it may go on to do so."""
    if settings.reading_validation_mode == WARN:
        settings.reading_validation_mode = IGNORE


def disclosure(action: str, decision: Decision, asked: Request, instance: Fields) -> Request:
    """The request that an `answer` or a `release` is: of what ``decision`` permitted, which came as ``asked``."""
    effective = decision.effective
    return Request(
        action,
        subject=effective.subject,
        request={**effective.request, "action": effective.action},
        instance=instance,
        context=effective.context,
        original=asked.request,
    )


class MatchView(DatasetView):
    """A C-FIND match. A zero-length element is absent where the archive keeps it, else unknown: also where the client asked for it."""

    def __init__(self, dataset: Dataset, kept: Collection[str]) -> None:
        super().__init__(dataset)
        self._kept = kept

    def __getitem__(self, key: str) -> object:
        value = super().__getitem__(key)
        return _MAY_NOT_BE_KEPT if value == "" and key not in self._kept else value


class HeldView(ByKeyword):
    """A data set that is held, as the mapping that rules read: an element is decoded when it is read, once, and alone where it can be.

    ``header``  it ends before the pixels: what is behind them is unknown
    ``kept``    of a C-FIND match: the keys whose zero length says that they are absent; ``None``: every one's does
    """

    def __init__(self, came: Held, *, header: bool = False, kept: Collection[str] | None = None) -> None:
        self._came = came
        self._header = header
        self._kept = kept
        self._there = came.elements
        self._read: dict[str, object] = {}
        self._whole: Dataset | None = None
        self._names: dict[str, int] | None = None

    def __getitem__(self, key: str) -> object:
        if key in self._read:
            return self._read[key]
        tag = self._tag(key)
        if tag is None:
            if self._behind(key):
                return _NOT_WAITED_FOR
            raise KeyError(key)
        value = self._value(key, tag)
        if value == "" and self._kept is not None and key not in self._kept:
            value = _MAY_NOT_BE_KEPT
        self._read[key] = value
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (self._tag(key) is not None or self._behind(key))

    def __iter__(self) -> Iterator[str]:
        yield from self._table()
        if self._header:
            yield _PIXELS  # stands for all that is behind: a rule for every element must not take this for all

    def __len__(self) -> int:
        return len(self._there) + self._header

    def __repr__(self) -> str:
        return f"HeldView({len(self)} elements)"

    def _tag(self, key: str) -> int | None:
        if key.startswith("("):
            tag = _numbered(key)
            # an element that has a keyword is not named by its number
            return None if tag is not None and (tag not in self._there or keyword_of(tag)) else self._table().get(key)
        tag = tag_for_keyword(key)
        return tag if tag in self._there else None

    def _behind(self, key: str) -> bool:
        tag = tag_of(key) if self._header else None
        return tag is not None and tag >= _FIRST_BEHIND

    def _table(self) -> dict[str, int]:
        if self._names is None:
            self._names = element_names(self._all())
        return self._names

    def _all(self) -> Dataset:
        if self._whole is None:
            self._whole = self._came.dataset
        return self._whole

    def _value(self, key: str, tag: int) -> object:
        alone = self._came.alone((tag,)) if self._whole is None else None
        if alone is None:
            return value_at(self._all(), tag)
        plain = flat.read(alone, self._came.transfer_syntax)
        if plain is not None and key in plain:
            return plain[key]
        return value_at(Held(alone, {}, self._came.transfer_syntax).dataset, tag)


@lru_cache(maxsize=4096)
def _numbered(key: str) -> int | None:
    found = _NUMBER.fullmatch(key)
    return int(found[1] + found[2], 16) if found else None


@lru_cache(maxsize=4096)
def _vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)
    except KeyError:
        return " or "


@lru_cache(maxsize=4096)
def _stands_alone(tag: int) -> bool:
    """Whether its value representation is known, and none but :data:`_TELLING` says how to read it: not private, and no choice."""
    return not tag >> 16 & 1 and " or " not in _vr(tag)


class Held(msgspec.Struct, frozen=True):
    """An encoded data set, or its header, whose framing is exact."""

    data: bytes
    elements: Elements
    transfer_syntax: str
    """In which ``data`` is: never the deflated one."""
    deflated: bool = False

    @property
    def dataset(self) -> Dataset:
        """A new one, decoded when it is read."""
        syntax = self.transfer_syntax
        return read_dataset(BytesIO(self.data), syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian, bytelength=len(self.data))

    def alone(self, tags: Iterable[int]) -> bytes | None:
        """Those of the elements ``tags`` that are there, with what says how to read them; ``None`` where more may say so."""
        there, chosen = self.elements, {CHARACTER_SET}
        for tag in tags:
            if not _stands_alone(tag):
                return None
            chosen.add(tag)
            if _vr(tag) == "SQ":
                chosen.add(_PIXEL_REPRESENTATION)
        places = [there[tag] for tag in sorted(chosen) if tag in there]
        if places and places[0][1] - places[0][0] >= _LIKE_A_VR:
            return None  # pydicom could take its length for a value representation, which the scan looked at only where the data set begins
        return b"".join([self.data[start:end] for start, end in places])

    def __repr__(self) -> str:
        return f"Held({len(self.elements)} elements)"


def held(data: bytes, transfer_syntax: str, cap: int) -> Held:
    """A whole data set. Raises :class:`~hirules.dimse.elements.Malformed`."""
    if transfer_syntax == DEFLATED:
        data = inflated(data, cap)
        return Held(data, scanned(data, ExplicitVRLittleEndian).elements, ExplicitVRLittleEndian, deflated=True)
    return Held(data, scanned(data, transfer_syntax).elements, transfer_syntax)


def header_of(data: bytes, scan: Scan, transfer_syntax: str) -> Held:
    """What ``scan`` found of ``data`` before its limit."""
    assert scan.header is not None  # INVARIANT: the scan is over
    return Held(data[: scan.header], scan.elements, transfer_syntax)


def edited(dataset: Dataset, before: Fields, wanted: Fields) -> tuple[int, ...]:
    """Make ``dataset`` say what ``wanted`` says; the tags of the top-level elements that are changed, added or taken out.

    ``before`` is what it said when it was decided. Elements that ``wanted`` leaves as they were are not touched. Raises ``ValueError``.
    """
    changed: set[int] = set()
    creators: list[int] = []
    some = touched(before, wanted)
    names, tags = list(before) if some is None else [name for name in some if name in before], element_names(dataset)
    for name in names:
        old, new = before[name], wanted.get(name)
        if new is old or (type(new) is type(old) and new == old):
            continue
        tag = tags.get(name)
        if tag is None:
            raise ValueError("an element that was not read cannot be changed")
        if new is None and _is_creator(tag):
            creators.append(tag)
            continue
        if new is not None and not isinstance(old, Unknown) and same(_only(dataset, tag), {name: new}):
            continue
        changed.add(tag)
        if new is None:
            del dataset[tag]
        else:
            dataset[tag] = _element(dataset, tag, new)
    known = set(names)
    added = {name: wanted[name] for name in (wanted if some is None else some) if name not in known and wanted.get(name) is not None}
    if added:
        there = set(dataset.keys())
        dataset_of(added, into=dataset)
        changed |= {int(tag) for tag in dataset.keys() if tag not in there}  # noqa: SIM118 - iterating decodes
    for creator in creators:
        # PS3.5 §7.8.1: it stays as long as its block has elements
        if not any(other >> 8 == (creator >> 16 << 8 | creator & 0xFF) for other in dataset.keys()):  # noqa: SIM118
            del dataset[creator]
            changed.add(creator)
    return tuple(sorted(changed))


def _is_creator(tag: int) -> bool:
    return bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def _element(dataset: Dataset, tag: int, new: object) -> DataElement:
    """The element with another value; of a sequence with as many items the elements that stay are those that were."""
    element = dataset[tag]
    items = element.value if element.VR == "SQ" else ()
    if items and isinstance(new, list | tuple) and len(new) == len(items) and all(isinstance(item, Mapping) for item in new):
        for item, fields in zip(items, new, strict=True):
            edited(item, DatasetView(item), fields)
        return element
    return element_of(tag, element.VR, new)


def _only(dataset: Dataset, tag: int) -> DatasetView:
    only = Dataset()
    only[tag] = dataset[tag]
    if (tag >> 16) & 1:
        for creator in [other for other in dataset.keys() if other >> 16 == tag >> 16 and 0x10 <= other & 0xFFFF <= 0xFF]:  # noqa: SIM118
            only[creator] = dataset[creator]
    return DatasetView(only)


def carried_out(decision: Decision, came: Held, before: Fields, strip: Collection[int] = ()) -> bytes:
    """The bytes that leave: ``came`` as ``decision`` says, without the elements ``strip``. Raises ``ValueError``."""
    wanted = decision.effective.instance
    if wanted is None:
        raise ValueError("the decision has no data set")
    apart = _apart(before, wanted)
    changes = _changes(came, before, wanted, apart)
    changes.update((tag, None) for tag in strip if tag in came.elements or tag in changes)
    if not changes:
        return deflated(came.data) if came.deflated else came.data
    data = spliced(came.data, came.elements, changes, came.transfer_syntax)
    again = _again(data, came, changes)
    if apart is None or not all(map(_is_apart, changes)):
        _check(again, changes, wanted, frozenset(strip))
    else:
        _check_apart(again, changes, apart, wanted, frozenset(strip))
    return deflated(data) if came.deflated else data


def _apart(before: Fields, wanted: Fields) -> dict[str, int] | None:
    """The elements, by their tags, that alone may be otherwise, where no other has to do with them; else ``None``."""
    names = touched(before, wanted)
    if names is None:
        return None
    tags = {name: tag for name in names if (tag := tag_for_keyword(name)) is not None and _is_apart(tag)}
    return tags if len(tags) == len(names) else None


def _is_apart(tag: int) -> bool:
    return _stands_alone(tag) and tag not in _TELLING


def _changes(came: Held, before: Fields, wanted: Fields, apart: Mapping[str, int] | None) -> dict[int, bytes | None]:
    """The elements that are encoded otherwise; ``None``: that are taken out."""
    if apart is not None and not any(name in wanted for name in apart):
        if any(name in before for name, tag in apart.items() if tag not in came.elements):
            raise ValueError("an element that was not read cannot be changed")
        return {tag: None for tag in apart.values() if tag in came.elements}
    alone = None if apart is None else came.alone(apart.values())
    dataset = came.dataset if alone is None else Held(alone, {}, came.transfer_syntax).dataset
    tags = edited(dataset, before, wanted)
    if CHARACTER_SET in tags:
        # every text is in another one now
        tags = tuple(sorted({*tags, *(int(tag) for tag in dataset.keys())}))  # noqa: SIM118
    present = [tag for tag in tags if tag in dataset]
    encoded = _encoded(dataset, present, came.transfer_syntax)
    return {tag: encoded.get(tag) for tag in tags}


def _encoded(dataset: Dataset, tags: Iterable[int], transfer_syntax: str) -> dict[int, bytes]:
    """These elements of ``dataset``, each by its tag."""
    some = Dataset()
    if CHARACTER_SET in dataset:
        some[CHARACTER_SET] = dataset[CHARACTER_SET]
    for tag in tags:
        some[tag] = dataset[tag]
    data = write(some, transfer_syntax)
    try:
        elements = scanned(data, transfer_syntax).elements
    except Malformed:
        raise ValueError("a changed element cannot be encoded") from None
    wanted = set(tags)
    return {tag: data[start:end] for tag, (start, end) in elements.items() if tag in wanted}


def _again(data: bytes, came: Held, changes: Mapping[int, bytes | None]) -> Held:
    """``data`` as whoever gets it finds its elements. INVARIANT: those that were not changed are there, each the bytes that came."""
    try:
        found = scanned(data, came.transfer_syntax).elements
    except Malformed:
        raise ValueError("the rewritten data set cannot be encoded") from None
    lengths = {tag >> 16 << 16 for tag in changes}  # they follow
    otherwise = lengths | changes.keys()
    if _without(came.data, came.elements, otherwise) != _without(data, found, otherwise):
        raise ValueError("the rewritten data set cannot be encoded")
    if any((data[slice(*found[tag])] if tag in found else None) != encoded for tag, encoded in changes.items()):
        raise ValueError("the rewritten data set cannot be encoded")
    return Held(data, found, came.transfer_syntax)


def _without(data: bytes, elements: Elements, tags: Collection[int]) -> bytes:
    """All elements but these. Where two such are equal they are the same elements: where each ends is in its bytes."""
    parts, at = [], 0
    for start, end in sorted(elements[tag] for tag in tags if tag in elements):
        parts.append(data[at:start])
        at = end
    return b"".join((*parts, data[at:]))


def _check_apart(again: Held, changes: Mapping[int, bytes | None], apart: Mapping[str, int], wanted: Fields, strip: frozenset[int]) -> None:
    """INVARIANT: what leaves is what was decided. These elements are read again; no other is, which are the same bytes and are read as they were."""
    there = {name: tag for name, tag in apart.items() if name in wanted and tag not in strip}
    if any(tag not in again.elements for tag in there.values()):
        raise ValueError("the rewritten data set cannot be encoded")
    read = {name: tag for name, tag in there.items() if tag in changes}
    if not read:
        return
    alone = again.alone(read.values())
    dataset = (again if alone is None else Held(alone, {}, again.transfer_syntax)).dataset
    if any(not same(_only(dataset, tag), {name: wanted[name]}) for name, tag in read.items()):
        raise ValueError("the rewritten data set cannot be encoded")


def _check(again: Held, changes: Mapping[int, bytes | None], wanted: Fields, strip: frozenset[int]) -> None:
    """The same of every element: one that was changed may say how to read, or what to call, another."""
    dataset = again.dataset
    names = element_names(dataset)
    for name in wanted:
        tag = names.get(name)
        if tag is not None and tag not in changes and not _is_told(tag, changes):
            continue  # it is the bytes that came
        value = wanted[name]
        if value is None or isinstance(value, Unknown):
            continue  # what was not read was not changed
        if tag is None:
            tag = tag_of(name, dataset)
        if tag is not None and (tag in strip or not tag & 0xFFFF):
            continue  # group lengths follow
        if tag is None or tag not in dataset:
            raise ValueError("the rewritten data set cannot be encoded")
        if (int(tag) in changes or _is_told(int(tag), changes)) and not same(_only(dataset, tag), {name: value}):
            raise ValueError("the rewritten data set cannot be encoded")
    if len(names) != len(again.elements):
        raise ValueError("the rewritten data set cannot be encoded")


def _is_told(tag: int, changes: Mapping[int, bytes | None]) -> bool:
    """Whether a changed element may say how to read this one."""
    if CHARACTER_SET in changes:
        return True
    return not _TELLING.isdisjoint(changes) and (_vr(tag) == "SQ" or (" or " in _vr(tag) and not tag >> 16 & 1))
