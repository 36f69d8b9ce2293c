"""What was decided beside what was expected: every difference, as texts for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from hirules.model.decision import AssociateStatus, Decision, Error, Status
from hirules.model.path import PathError, parse_path
from hirules.model.request import plain
from hirules.model.scalars import Type, read
from hirules.model.vocabulary import Vocabulary
from hirules.policy.find import is_nothing
from hirules.policy.suite import Case, Entry


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not as expected. ``what`` is a key of `expect`; both sides are lines for people."""

    what: str
    expected: tuple[str, ...]
    actual: tuple[str, ...]


def differences(case: Case, decision: Decision, vocabulary: Vocabulary) -> tuple[Difference, ...]:
    """Everything in which ``decision`` is not what the test expects."""
    return tuple(_differences(case, decision, vocabulary))


def _differences(case: Case, decision: Decision, vocabulary: Vocabulary) -> Iterator[Difference]:
    expected, stated = case.expected, case.expected.stated
    if decision.decision != expected.decision:
        yield Difference("decision", (expected.decision,), (decision.decision,))
    if "by" in stated and decision.by != expected.by:
        yield Difference("by", expected.by or ("(no rule: `combining`)",), decision.by or ("(no rule: `combining`)",))
    if "status" in stated and decision.status != expected.status:
        yield Difference("status", (status_text(expected.status),), (status_text(decision.status),))
    for name in ("reason", "full_reason"):
        if name in stated and getattr(decision, name) != getattr(expected, name):
            yield Difference(name, (getattr(expected, name) or "(none)",), (getattr(decision, name) or "(none)",))
    if "no_match" in stated and decision.no_match != expected.no_match:
        yield Difference("no_match", (_truth(expected.no_match),), (_truth(decision.no_match),))
    yield from _rewritten(expected.rewritten, decision.rewritten, vocabulary)
    for name in ("notes", "shadow", "exceptions"):
        if name in stated:
            yield from _listed(name, getattr(expected, name), getattr(decision, name))
    yield from _errors(expected.errors, decision.errors)


def status_text(status: Status) -> str:
    """A status as policies write it."""
    if isinstance(status, int):
        return f"0x{status:04X}"
    if isinstance(status, AssociateStatus):
        return f"{{result: {status.result}, source: {status.source}, reason: {status.reason}}}"
    return status or "(none)"


def _truth(value: bool) -> str:
    return "true" if value else "false"


# Rewrites.


def _rewritten(expected: Mapping[str, object], actual: Mapping[str, object], vocabulary: Vocabulary) -> Iterator[Difference]:
    """Every path that was not changed as expected; a change that nobody expected, too."""
    paths = [path for path in sorted({*expected, *actual}) if not _as_expected(path, expected, actual, vocabulary)]
    if paths:
        yield Difference("rewritten", tuple(_change(path, expected) for path in paths), tuple(_change(path, actual) for path in paths))


def _as_expected(path: str, expected: Mapping[str, object], actual: Mapping[str, object], vocabulary: Vocabulary) -> bool:
    return path in expected and path in actual and _same(_type(path, vocabulary), expected[path], actual[path])


def _change(path: str, changes: Mapping[str, object]) -> str:
    if path not in changes:
        return f"{path} is not changed"
    value = changes[path]
    return f"{path} is removed" if value is None else f"{path}: {value_text(value)}"


def value_text(value: object) -> str:
    """A value on one line."""
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key}: {value_text(item)}' for key, item in value.items())}}}"
    return '""' if value == "" else str(value)


def _type(path: str, vocabulary: Vocabulary) -> Type:
    try:
        attribute = vocabulary.lookup(parse_path(path))
    except PathError:
        return Type.STRING
    return Type.STRING if attribute is None else attribute.type


def _same(type_: Type, expected: object, actual: object) -> bool:
    """Whether two values mean the same to a rule: those of the test are source text."""
    if expected is None or actual is None or is_nothing(expected) or is_nothing(actual):
        return (expected is None) == (actual is None) and is_nothing(expected) == is_nothing(actual)
    if isinstance(expected, Mapping) or isinstance(actual, Mapping):
        return _texts(plain(expected)) == _texts(plain(actual))
    if isinstance(expected, list | tuple) or isinstance(actual, list | tuple):
        several, others = _members(expected), _members(actual)
        return len(several) == len(others) and all(_same(type_, one, other) for one, other in zip(several, others, strict=True))
    try:
        return read(type_, expected) == read(type_, actual)
    except (ValueError, TypeError, ArithmeticError):
        return _texts(expected) == _texts(actual)


def _members(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else (value,)


def _texts(value: object) -> object:
    """Plain data with every scalar its text."""
    if isinstance(value, Mapping):
        return {key: _texts(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_texts(item) for item in value]
    return _truth(value) if isinstance(value, bool) else str(value)


# Notes, shadow results, exceptions, errors.


def _listed(name: str, expected: Sequence[Entry], actual: Sequence[msgspec.Struct]) -> Iterator[Difference]:
    """Every expected entry must have been there, and every one that was there must be expected."""
    missing = [entry for entry in expected if not any(_fits(entry, one) for one in actual)]
    surplus = [one for one in actual if not any(_fits(entry, one) for entry in expected)]
    if missing or surplus:
        yield Difference(name, _lines(map(_entry, missing)), _lines(_entry(_fields(one)) for one in surplus))


def _errors(expected: Sequence[Entry], actual: Sequence[Error]) -> Iterator[Difference]:
    missing = [entry for entry in expected if not any(_fits(entry, one) for one in actual)]
    surplus = [one for one in actual if not any(_fits(entry, one) for entry in expected)]
    if missing or surplus:
        yield Difference("errors", _lines(map(_entry, missing)), _lines(map(_unexpected, surplus)))


def _unexpected(error: Error) -> str:
    if error.path is None:
        return f"{error.source}: {error.message}"
    return f"{error.source} needs `{error.path}`, which is unknown: {error.message}"


def _fits(entry: Entry, one: msgspec.Struct) -> bool:
    return all(_texts(plain(value)) == _texts(plain(getattr(one, name))) for name, value in entry.items())


def _fields(one: msgspec.Struct) -> Entry:
    return {name: value for name in one.__struct_fields__ if (value := getattr(one, name)) not in (None, "", (), {})}


def _entry(entry: Entry) -> str:
    return ", ".join(f"{name}: {value_text(plain(value))}" for name, value in entry.items())


def _lines(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(texts) or ("(none)",)
