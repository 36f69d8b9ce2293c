"""Closed days: the days on which the office that approves releases does not work.

The calendar is a text file, one date a line, ``#`` begins a comment; ``HIRULES_OFFICE_CALENDAR`` names
it. A missing or unreadable calendar keeps the policy set from loading: nobody decides without it.

What it adds
    context.office_closed   whether the request comes on a closed day           (attribute and fact)
    closed_day              whether a date is a closed day                      (operator)
    an audit note           for whatever leaves or changes on a closed day      (verdict)
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date, datetime
from functools import cached_property
from pathlib import Path

from hirules import Attribute, Facts, Request, Verdict, hookimpl
from hirules.model.reading import Reading
from hirules.model.scalars import Type
from hirules.model.vocabulary import VOCABULARY
from hirules.policy.ast import Flag
from hirules.policy.operators import ArgumentKind, Operator
from hirules.policy.truth import Scope, Truth

VARIABLE = "HIRULES_OFFICE_CALENDAR"
CLOSED = "context.office_closed"
NOTED = frozenset(name for group in ("retrieve", "metadata-update") for name in VOCABULARY.expand(group))


class OfficeCalendar:
    """The plugin. Without ``closed`` its days come from the file that the environment names."""

    def __init__(self, closed: Iterable[date] | None = None) -> None:
        self._given = None if closed is None else frozenset(closed)

    @cached_property
    def closed(self) -> frozenset[date]:
        """The closed days. Raises ``ValueError`` or ``OSError`` where the calendar cannot be read."""
        if self._given is not None:
            return self._given
        name = os.environ.get(VARIABLE)
        if not name:
            raise ValueError(f"{VARIABLE} names no calendar")
        return frozenset(read_calendar(Path(name).read_text(encoding="utf-8")))

    @hookimpl
    def hirules_attributes(self) -> list[Attribute]:
        """``context.office_closed``, for every action."""
        self.closed  # noqa: B018 - read now: a set must not load without its calendar
        actions = frozenset(VOCABULARY.actions)
        return [Attribute(CLOSED, Type.BOOLEAN, actions, "whether the request comes on a day on which the office is closed", general=True)]

    @hookimpl
    def hirules_operators(self) -> list[Operator]:
        """``closed_day: true`` on dates."""
        return [
            Operator(
                name="closed_day",
                argument=ArgumentKind.FLAG,
                types=frozenset({Type.DATE, Type.DATETIME}),
                evaluate=self._closed_day,
                schema={"type": "boolean"},
                doc="a date is a day on which the office is closed",
                example="context.now: {closed_day: true}",
            )
        ]

    @hookimpl
    def hirules_facts(self, request: Request, needed: frozenset[str]) -> Facts | None:
        """Whether ``context.now`` is a closed day, if a rule reads it."""
        if CLOSED not in needed:
            return None
        return Facts(context={"office_closed": _day(request.context["now"]) in self.closed})

    @hookimpl
    def hirules_verdict(self, request: Request) -> Verdict | None:
        """A note for the record; what happens to the request is for the rules to say."""
        if request.action in NOTED and _day(request.context["now"]) in self.closed:
            return Verdict(effect="audit", severity="medium", note="on a day on which the office is closed")
        return None

    def _closed_day(self, reading: Reading, argument: Flag, scope: Scope) -> Truth:
        days = [value for value in reading.values if isinstance(value, date)]
        if any((_local(value, scope) in self.closed) for value in days):
            return argument.value
        if reading.unknown is not None or len(days) < len(reading.values):
            return None  # a value that is no full date may have been a closed day
        return not argument.value if days else False


def read_calendar(text: str) -> Iterable[date]:
    """The dates of a calendar. Raises ``ValueError`` with the line."""
    for number, line in enumerate(text.splitlines(), start=1):
        day = line.partition("#")[0].strip()
        if not day:
            continue
        try:
            yield date.fromisoformat(day)
        except ValueError:
            raise ValueError(f"line {number} of the calendar is no date") from None


def _local(value: date, scope: Scope) -> date:
    return value.astimezone(scope.zone).date() if isinstance(value, datetime) else value


def _day(now: object) -> date:
    if not isinstance(now, datetime):
        raise TypeError("the request has no time")
    return now.date()


plugin = OfficeCalendar()
