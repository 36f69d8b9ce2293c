"""Paths: ``root.Name(.Name…)``, with DICOM tags, private elements, sequence items and depths.

subject.ae_title                                  subject.claims."urn:x.y"
request.Identifier.PatientID                      instance.(0010,0020)   (the same as PatientID)
instance.(0009,"GEMS_IDEN_01",01)                 instance.private       instance.(60xx,3000)
instance.ReferencedSeriesSequence[*].Modality     instance.**.Keyword
original.request.MoveDestination

Paths hold no cycles, and the garbage collector passes them by (``gc=False``): rules hold thousands.
"""

from __future__ import annotations

import re

import msgspec
from pydicom.datadict import keyword_for_tag, tag_for_keyword

ROOTS = ("subject", "request", "resource", "instance", "context")
DATA_SETS = ("Identifier", "ModificationList", "AttributeList", "ActionInformation", "EventInformation", "ActionReply", "EventReply")
"""Names below ``request.`` that hold a DICOM data set."""


class Name(msgspec.Struct, frozen=True, gc=False):
    """A name: of an attribute, or of a DICOM element by its PS3.6 keyword."""

    name: str


class Tag(msgspec.Struct, frozen=True, gc=False):
    """A DICOM element that PS3.6 does not name: both halves as hex digits, ``x`` for any digit."""

    group: str
    element: str


class PrivateTag(msgspec.Struct, frozen=True, gc=False):
    """A private element by group, private creator and the low byte of its element number."""

    group: int
    creator: str
    element: int


class Item(msgspec.Struct, frozen=True, gc=False):
    """An item of the sequence before it, from 0; ``None`` is ``[*]``."""

    index: int | None


class Deep(msgspec.Struct, frozen=True, gc=False):
    """``**``: every depth of the data set."""


class Private(msgspec.Struct, frozen=True, gc=False):
    """``private``: all private elements of a data set."""


Step = Name | Tag | PrivateTag | Item | Deep | Private


class Path(msgspec.Struct, frozen=True, gc=False):
    """A parsed path. ``text`` is its canonical spelling, equal for equal paths.

    ``steps`` leaves out the root. Where the steps lead into a DICOM data set, ``element_at`` is the
    index of the first step that names an element, else ``len(steps)``.
    """

    root: str
    steps: tuple[Step, ...]
    original: bool = False
    element_at: int = 0

    @property
    def text(self) -> str:
        """The canonical spelling."""
        return ("original." if self.original else "") + self.root + "".join(map(_spell, self.steps))

    @property
    def names(self) -> tuple[str, ...]:
        """The plain names before the first element: the attribute's own path."""
        return tuple(step.name for step in self.steps[: self.element_at] if isinstance(step, Name))

    @property
    def elements(self) -> tuple[Step, ...]:
        """The steps inside the data set."""
        return self.steps[self.element_at :]

    def __str__(self) -> str:
        return self.text


class PathError(ValueError):
    """Text that is no path; ``offset`` counts characters from 0, ``expected`` says what instead."""

    def __init__(self, message: str, offset: int, expected: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.expected = expected


def spell_name(name: str) -> str:
    """``name`` as it stands in a path: quoted where it is no plain name."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _spell(step: Step) -> str:
    match step:
        case Name(name):
            return "." + spell_name(name)
        case Tag(group, element):
            return f".({group},{element})"
        case PrivateTag(group, creator, element):
            return f'.({group:04X},"{creator}",{element:02X})'
        case Item(index):
            return "[*]" if index is None else f"[{index}]"
        case Deep():
            return ".**"
        case Private():
            return ".private"


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_\-]*")
_TOKEN = re.compile(
    r"""(?P<name>[A-Za-z_][A-Za-z0-9_\-]*)
      | "(?P<quoted>(?:[^"]|"")+)"
      | \(\s*(?P<pgroup>[0-9A-Fa-f]{4})\s*,\s*"(?P<creator>[^"]+)"\s*,\s*(?P<pelement>[0-9A-Fa-f]{2})\s*\)
      | \(\s*(?P<group>[0-9A-Fa-fxX]{4})\s*,\s*(?P<element>[0-9A-Fa-fxX]{4})\s*\)
      | (?P<deep>\*\*)
    """,
    re.VERBOSE,
)
_ITEM = re.compile(r"\[(?:(?P<index>\d{1,6})|\*)\]")


def parse_path(text: str) -> Path:
    """``text`` as a :class:`Path`. Raises :class:`PathError`."""
    steps = _steps(text)
    if not steps or not isinstance(steps[0], Name):
        raise PathError("a path starts with a root", 0, _roots())
    root, rest = steps[0].name, steps[1:]
    original = root == "original"
    if original:
        if not rest or not isinstance(rest[0], Name) or rest[0].name not in ("request", "instance"):
            raise PathError("`original.` goes on with `request.` or `instance.`", 9, "`original.request.…` or `original.instance.…`")
        root, rest = rest[0].name, rest[1:]
    if root not in ROOTS:
        raise PathError(f"`{root}` is no root of a path", 0, _roots())
    return path_of(root, rest, original)


def path_of(root: str, steps: tuple[Step, ...], original: bool = False) -> Path:
    """The path of these steps, its elements found and canonical."""
    at = _element_at(root, steps)
    return Path(root, steps[:at] + tuple(map(_canonical, steps[at:])), original, at)


def parse_elements(text: str) -> tuple[Step, ...]:
    """``text`` as steps inside a data set (below ``item:``, in ``keep_only``). Raises :class:`PathError`."""
    return tuple(map(_canonical, _steps(text)))


def _steps(text: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    at = 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            raise PathError("a name is missing or has a character that needs quotes", at, 'a name, `(gggg,eeee)` or `"a quoted name"`')
        steps.append(_step(match))
        at = match.end()
        while (item := _ITEM.match(text, at)) is not None:
            steps.append(Item(None if item["index"] is None else int(item["index"])))
            at = item.end()
        if at == len(text):
            return tuple(steps)
        if text[at] != ".":
            raise PathError(f"`{text[at]}` is unexpected in a path", at, "`.`, `[n]`, `[*]` or the end")
        at += 1


def _step(match: re.Match[str]) -> Step:
    if match["name"] is not None:
        return Name(match["name"])
    if match["quoted"] is not None:
        return Name(match["quoted"].replace('""', '"'))
    if match["creator"] is not None:
        return PrivateTag(int(match["pgroup"], 16), match["creator"].strip(), int(match["pelement"], 16))
    if match["group"] is not None:
        return Tag(match["group"].upper().replace("X", "x"), match["element"].upper().replace("X", "x"))
    return Deep()


def _element_at(root: str, steps: tuple[Step, ...]) -> int:
    """Where the data set begins: ``instance`` at once, ``request.Identifier`` after one name, …"""
    head = steps[0].name if steps and isinstance(steps[0], Name) else None
    if root == "instance":
        return 0
    if root == "resource":
        # a lower-case name is an attribute of the API or a count, a PS3.6 keyword is an element
        return 0 if head is None or head[:1].isupper() else len(steps)
    if root == "request" and head in DATA_SETS:
        return 1
    if root == "request" and head == "updates":
        return min(2, len(steps))
    return len(steps)


def _canonical(step: Step) -> Step:
    """A standard element by its keyword, however it was spelled."""
    if isinstance(step, Tag) and "x" not in step.group + step.element:
        tag = int(step.group + step.element, 16)
        keyword = keyword_for_tag(tag)
        # a repeating group has one keyword for all its tags: it names none of them
        return Name(keyword) if keyword and tag_for_keyword(keyword) == tag else step
    if step == Name("private"):
        return Private()
    return step


def is_keyword(name: str) -> bool:
    """Whether PS3.6 names an element so."""
    return tag_for_keyword(name) is not None


def _roots() -> str:
    return ", ".join(f"`{root}.`" for root in (*ROOTS, "original"))
