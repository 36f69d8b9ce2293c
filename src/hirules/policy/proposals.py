"""What rewrites propose, place by place, and what comes of several at one place (LANGUAGE: How a request is decided, 1).

propose   an edit of a rule at one entity → one proposal for each place, operands resolved
settle    the proposals of one place → one change; drops and adds unite, keep_onlys intersect, results must be equal
overlaps  places that lie within each other
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from hirules.model.path import Name, Path, Step
from hirules.model.reading import ABSENT, EVERYTHING, Reading
from hirules.model.vocabulary import FIXED_ELEMENTS, Attribute
from hirules.policy.ast import Edit, ListOperand, PathOperand, Today, Value
from hirules.policy.conditions import resolve
from hirules.policy.derive import NO_KEYS, asking_action
from hirules.policy.edits import Combining, EditArgument, EditFailed, EditKind
from hirules.policy.members import same
from hirules.policy.places import ABSENT_VALUE, Place, at, places
from hirules.policy.prune import pruned
from hirules.policy.read import View, reading_of
from hirules.policy.spelling import spelled


class Proposal(msgspec.Struct, frozen=True):
    """One edit at one place: ``source`` is the rule or plugin that proposes it."""

    source: str
    place: Place
    kind: EditKind
    argument: object
    path: Path
    attribute: Attribute

    def __repr__(self) -> str:
        return f"Proposal({self.source!r}, {self.kind.name} {self.path.text})"


class Change(msgspec.Struct, frozen=True):
    """What will be at a place: ``value`` is the raw value, or ``ABSENT_VALUE``. ``removed``: subtrees that go, of a data set."""

    place: Place
    value: object
    changed: bool
    selects: bool = False
    removed: tuple[Place, ...] = ()

    def __repr__(self) -> str:
        return f"Change({self.place!r}, changed={self.changed})"


def propose(source: str, edit: Edit, kind: EditKind, view: View) -> Iterator[Proposal]:
    """One edit at each of its places. Raises :class:`EditFailed`."""
    argument = _argument(edit, kind, view)
    for place in places(edit.path, view.original):
        yield Proposal(source, place, kind, argument, edit.path, edit.attribute)


def _argument(edit: Edit, kind: EditKind, view: View) -> object:
    if kind.argument is EditArgument.NAMES and isinstance(edit.argument, tuple):
        return tuple((name,) if isinstance(name, Step) else name for name in edit.argument)
    if kind.argument not in (EditArgument.VALUE, EditArgument.MEMBERS):
        return edit.argument
    operands = edit.argument if isinstance(edit.argument, tuple) else (edit.argument,)
    values = tuple(value for operand in operands for value in _operand_values(operand, edit.attribute, view))
    if len(values) > 1 and not edit.attribute.many:
        raise EditFailed("several values for a single-valued attribute")
    return values


def _operand_values(operand: object, attribute: Attribute, view: View) -> tuple[object, ...]:
    if not isinstance(operand, Value | PathOperand | Today | ListOperand):
        return (operand,)
    reading = resolve(operand, attribute, view)
    name = operand.path.text if isinstance(operand, PathOperand) else "the value"
    if reading.unknown is not None:
        raise EditFailed(f"`{name}` is unknown: {reading.unknown}")
    if not reading.values:
        raise EditFailed(f"`{name}` is absent")
    return reading.values


def settle(proposals: Sequence[Proposal], view: View) -> Change | None:
    """The one change that the proposals of one place make together; ``None``: a conflict. Raises :class:`EditFailed`."""
    first = proposals[0]
    raw = at(view.original, first.place)
    if _is_data_set(raw, first):
        return _settle_data_set(proposals, raw)
    current = _current(raw, first, view)
    results = [_applied(kind, argument, current, first.attribute) for kind, argument in _combined(proposals)]
    if any(not _equal(result, results[0]) for result in results[1:]):
        return None
    result = results[0]
    if first.attribute.empty_means_everything and not result.values and not result.everything:
        raise EditFailed("nothing would be left where empty means everything")
    if current.values and not result.values and first.path.names[:1] == ("Identifier",) and any(one.kind.name != "remove" for one in proposals):
        # a key without a value matches everything (PS3.4 §C.2.2.2.3): whoever means that says `remove`
        raise EditFailed("nothing would be left of the key, which would match everything")
    if _equal(result, current):
        return Change(first.place, raw, changed=False)
    if result.values and any(isinstance(key, int) and at(view.original, first.place[: number + 1]) is ABSENT_VALUE for number, key in enumerate(first.place)):
        raise EditFailed("it would need a sequence item that is not there")
    return Change(first.place, _raw(result, raw, first), True, any(one.attribute.selects for one in proposals))


_ALWAYS_KEPT: Mapping[Place, frozenset[str]] = {("request", "Identifier"): NO_KEYS, ("instance",): NO_KEYS | FIXED_ELEMENTS}
"""What says how the others are read, and what an instance is: no keys, and nothing that an edit may take away."""


def _is_data_set(raw: object, proposal: Proposal) -> bool:
    if proposal.kind.argument is EditArgument.NAMES and isinstance(proposal.argument, tuple):
        return bool(proposal.argument) and all(isinstance(name, tuple) for name in proposal.argument)
    return isinstance(raw, Mapping)


def _settle_data_set(proposals: Sequence[Proposal], raw: object) -> Change | None:
    place, selects = proposals[0].place, any(one.attribute.selects for one in proposals)
    if all(one.kind.name == "remove" for one in proposals):
        return Change(place, ABSENT_VALUE, raw is not ABSENT_VALUE, selects)
    if any(one.kind.name != "keep_only" for one in proposals):
        if len({one.kind.name for one in proposals}) > 1:
            return None
        raise EditFailed(f"`{proposals[0].kind.name}` does not fit a data set")
    if raw is ABSENT_VALUE:
        return Change(place, raw, changed=False)
    if not isinstance(raw, Mapping):
        raise EditFailed("its place has another structure than expected")
    always = _ALWAYS_KEPT.get(place, frozenset())
    names = [(*(one.argument if isinstance(one.argument, tuple) else ()), *((Name(name),) for name in always)) for one in proposals]
    kept, removed = pruned(raw, names)
    # an empty identifier asks for everything; one empty level of an update does not empty its document
    if removed and not set(kept) - always and place[:2] != ("request", "updates"):
        raise EditFailed("nothing would be left of the data set")
    if not removed:
        return Change(place, raw, changed=False)
    return Change(place, kept, True, selects, tuple((*place, *below) for below in removed))


def _current(raw: object, proposal: Proposal, view: View) -> Reading:
    attribute = proposal.attribute
    reading = ABSENT if raw is ABSENT_VALUE else reading_of([raw], proposal.path, attribute, view, None)
    if raw is not ABSENT_VALUE and reading.absent and proposal.path.names[:1] == ("Identifier",) and asking_action(view.original) == "c-find":
        return Reading(present=True)
    if not reading.absent:
        return reading
    if attribute.default is not None:
        return Reading((attribute.default,), present=True)
    return EVERYTHING if attribute.empty_means_everything else reading


def _combined(proposals: Sequence[Proposal]) -> Iterator[tuple[EditKind, object]]:
    """The arguments to apply: those that unite or intersect as one, the others each."""
    by_kind: dict[str, list[Proposal]] = {}
    for proposal in proposals:
        by_kind.setdefault(proposal.kind.name, []).append(proposal)
    for same_kind in by_kind.values():
        kind, arguments = same_kind[0].kind, [one.argument for one in same_kind]
        if kind.combining is Combining.UNITE:
            yield kind, tuple(sorted((value for argument in arguments if isinstance(argument, tuple) for value in argument), key=str))
        elif kind.combining is Combining.INTERSECT:
            yield kind, _intersection([argument for argument in arguments if isinstance(argument, tuple)])
        else:
            yield from ((kind, argument) for argument in arguments)


def _intersection(arguments: Sequence[tuple[object, ...]]) -> tuple[object, ...]:
    return tuple(sorted((value for value in arguments[0] if all(any(same(value, other) for other in argument) for argument in arguments)), key=str))


def _applied(kind: EditKind, argument: object, current: Reading, attribute: Attribute) -> Reading:
    try:
        return kind.apply(current, argument, attribute)
    except EditFailed:
        raise
    except Exception as error:
        raise EditFailed(f"`{kind.name}` raised {type(error).__name__}") from error


def _equal(one: Reading, other: Reading) -> bool:
    """Whether two results are the same. Of a list the order does not count: it is that of the policy's text."""
    if one.unknown is not None or other.unknown is not None or (one.everything, one.present) != (other.everything, other.present):
        return False
    return len(one.values) == len(other.values) and _within(one.values, other.values) and _within(other.values, one.values)


def _within(values: Iterable[object], others: Sequence[object]) -> bool:
    return all(any(same(value, other) for other in others) for value in values)


def _raw(result: Reading, before: object, proposal: Proposal) -> object:
    if result.everything or (not result.values and not result.present):
        return ABSENT_VALUE
    dicom = bool(proposal.path.elements)
    values: list[object] = [spelled(value, dicom) for value in result.values]
    if dicom and not values:
        return ""
    listed = isinstance(before, list | tuple) or not dicom
    return values if proposal.attribute.many and (listed or len(values) > 1) else values[0]


def overlaps(proposals: Iterable[Proposal]) -> set[str]:
    """The sources of proposals whose places lie within each other."""
    sources: dict[Place, set[str]] = {}
    for proposal in proposals:
        sources.setdefault(proposal.place, set()).add(proposal.source)
    found: set[str] = set()
    for place, of_place in sources.items():
        for outer in (place[:length] for length in range(1, len(place))):
            if outer in sources:
                found |= of_place | sources[outer]
    return found
