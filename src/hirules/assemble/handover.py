"""A policy set from one process to another, in pieces that are small enough to be taken over beside decisions.

    child   PolicySet ─▶ shared values, policies, rules by the dozen, each a pickle of its own ─▶ pipe
    parent  pipe ─▶ pieces, one at a time ─▶ PolicySet

One pickle of 10,000 rules would hold the interpreter for 140 ms. What many rules have in common (paths, attributes, lists, sets of actions)
goes over once; what the running vocabulary has is named and not copied, and operators and edits are names in any case.

The pieces are pickles, which could do anything: they are read only from a process that this one has started on its own code.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO, cast

import msgspec

from hirules.model.actions import Action
from hirules.model.attributes import Attribute
from hirules.model.path import Path
from hirules.model.vocabulary import Vocabulary
from hirules.policy.ast import ExceptionRule, ListOperand, NamedList, Policy, PolicySet, Rule

RULES = 12
"""Rules in one piece."""
LONG = 500
"""Members of a tuple, set or mapping that goes over in parts of that many."""
_LENGTH = struct.Struct("!I")
_SHARED = frozenset({Path, Attribute, Action, Vocabulary, ListOperand, NamedList, ExceptionRule, tuple, frozenset, dict})
"""Types of what may be given once; of a tuple or a mapping only long ones are."""


class Broken(Exception):
    """The pieces end before the set does, or do not fit together."""


def write(stream: BinaryIO, piece: object) -> None:
    """A piece that refers to no other."""
    _put(stream, pickle.dumps(piece, pickle.HIGHEST_PROTOCOL))


def read(stream: BinaryIO) -> Any:
    """The next piece that refers to no other. Raises :class:`Broken`."""
    return pickle.loads(_taken(stream))


def give(stream: BinaryIO, policies: PolicySet, vocabulary: Vocabulary) -> None:
    """Write ``policies``. The other side has ``vocabulary`` too."""
    giver = _Giver(stream, vocabulary)
    for policy in policies.policies:
        for rules in _parts(policy.rules, RULES):
            giver.put("rules", rules)
        giver.put("policy", msgspec.structs.replace(policy, rules=()))
    giver.put("end", msgspec.structs.replace(policies, policies=()))


def take(stream: BinaryIO, vocabulary: Vocabulary, between: Callable[[], None]) -> PolicySet:
    """The set that the other side gives; ``between`` is called after each piece. Raises :class:`Broken`."""
    known = _by_name(vocabulary)
    shared: list[object] = []
    policies: list[Policy] = []
    rules: list[Rule] = []
    parts: list[Any] = []
    while True:
        kind, value = _Taker(_taken(stream), known, shared).load()
        between()
        match kind:
            case "rules":
                rules += value
            case "policy":
                policies.append(msgspec.structs.replace(value, rules=tuple(rules)))
                rules = []
            case "shared":
                shared.append(value)
            case "part":
                parts.append(value)
            case "tuple" | "frozenset" | "dict":
                shared.append(_joined(kind, parts, between))
                parts = []
            case "end":
                return msgspec.structs.replace(cast(PolicySet, value), policies=tuple(policies))
            case _:
                raise Broken(f"a piece of kind `{kind}`")


class _Giver:
    """Writes pieces, and before each what it shares with others and was not yet given."""

    def __init__(self, stream: BinaryIO, vocabulary: Vocabulary) -> None:
        self._stream = stream
        self._names: dict[int, object] = {id(value): name for name, value in _by_name(vocabulary).items()}
        self._numbers: dict[object, int] = {}
        self._given = 0

    def put(self, kind: str, value: object) -> None:
        """Write one piece."""
        buffer = io.BytesIO()
        _Pickler(buffer, self, value).dump((kind, value))
        _put(self._stream, buffer.getvalue())

    def reference(self, value: object) -> object:
        """How a piece refers to ``value``; ``None`` where it holds it itself."""
        if type(value) not in _SHARED:
            return None
        name = self._names.get(id(value))
        if name is not None:
            return name
        long = isinstance(value, tuple | frozenset | dict) and len(value) > LONG
        if isinstance(value, tuple | dict) and not long:
            return None
        # a path, and the names of actions, are shared where they are equal. Not so other values: 1 equals true, and is not the same
        equal = isinstance(value, Path) or (isinstance(value, frozenset) and not long and all(type(member) is str for member in value))
        key: object = value if equal else id(value)
        if key not in self._numbers:
            self._give(value, long)
            self._numbers[key] = self._given
            self._given += 1
        return self._numbers[key]

    def _give(self, value: Any, long: bool) -> None:
        if not long:
            self.put("shared", value)
            return
        for part in _parts(value.items() if isinstance(value, dict) else value, LONG):
            self.put("part", part)
        self.put(type(value).__name__, None)


class _Pickler(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, giver: _Giver, whole: object) -> None:
        super().__init__(buffer, pickle.HIGHEST_PROTOCOL)
        self._giver = giver
        self._whole = whole

    def persistent_id(self, value: Any) -> Any:
        return None if value is self._whole else self._giver.reference(value)


class _Taker(pickle.Unpickler):
    def __init__(self, piece: bytes, known: Mapping[object, object], shared: list[object]) -> None:
        super().__init__(io.BytesIO(piece))
        self._known = known
        self._shared = shared

    def persistent_load(self, name: Any) -> Any:
        try:
            return self._shared[name] if isinstance(name, int) else self._known[name]
        except LookupError as error:
            raise Broken("a piece refers to one that was not given") from error


def _by_name(vocabulary: Vocabulary) -> Mapping[object, object]:
    """What both sides have, by a name that is the same on both."""
    known: dict[object, Action | Attribute | object] = {"vocabulary": vocabulary, "groups": vocabulary.groups}
    known |= {("action", name): action for name, action in vocabulary.actions.items()}
    return known | {("attribute", name): attribute for name, attribute in vocabulary.attributes.items()}


def _parts(values: Any, size: int) -> Iterator[list[Any]]:
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part


def _joined(kind: str, parts: list[Any], between: Callable[[], None]) -> object:
    """A long value; a set and a mapping are filled in steps, and a copy of a set hashes nothing again."""
    if kind == "tuple":
        return tuple(value for part in parts for value in part)
    whole: Any = set() if kind == "frozenset" else {}
    for part in parts:
        whole.update(part)
        between()
    return frozenset(whole) if kind == "frozenset" else whole


def _put(stream: BinaryIO, data: bytes) -> None:
    stream.write(_LENGTH.pack(len(data)))
    stream.write(data)


def _taken(stream: BinaryIO) -> bytes:
    length = _exactly(stream, _LENGTH.size)
    return _exactly(stream, _LENGTH.unpack(length)[0])


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Broken("the pieces end too early")
    return data
