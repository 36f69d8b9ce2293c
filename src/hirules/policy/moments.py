"""Comparing dates and times: ages by the calendar, times of day, days of the week, ranges of dates.

Ages of dates count calendar days in the time zone; ages of a date and time count exact spans. A
year is a calendar year in both; 29 February plus a year is 28 February.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from hirules.model.reading import Reading
from hirules.model.scalars import Partial, Type, read
from hirules.policy.ast import Age, Duration, Weekdays, Window
from hirules.policy.members import in_zone, some
from hirules.policy.patterns import matches_everything
from hirules.policy.truth import Scope, Truth

Moment = TypeVar("Moment", date, datetime)

_SPANS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def shift(moment: Moment, duration: Duration, sign: int = 1) -> Moment:
    """``moment`` moved by a duration. Raises ``OverflowError`` or ``ValueError`` beyond the calendar."""
    amount = duration.amount * sign
    if duration.unit == "y":
        year = moment.year + amount
        return moment.replace(year=year, day=min(moment.day, monthrange(year, moment.month)[1]))
    return moment + _SPANS[duration.unit] * amount


def today(now: datetime, zone: ZoneInfo, offset: Duration) -> date:
    """The date of ``now`` in the zone, moved by an offset."""
    return shift(now.astimezone(zone).date(), offset)


def _zone(name: str | None, scope: Scope) -> ZoneInfo:
    return scope.zone if name is None else ZoneInfo(name)


def older_than(reading: Reading, argument: Age, scope: Scope) -> Truth:
    """One date lies more than the duration before now."""
    return _aged(reading, argument, scope, lambda border, current: border < current)


def newer_than(reading: Reading, argument: Age, scope: Scope) -> Truth:
    """One date lies less than the duration before now, or after now."""
    return _aged(reading, argument, scope, lambda border, current: border > current)


def _aged(reading: Reading, argument: Age, scope: Scope, holds: Callable[[date, date], bool]) -> Truth:
    zone = _zone(argument.zone, scope)

    def test(value: object) -> Truth:
        try:
            if isinstance(value, datetime):
                # UTC on both sides: within one zone Python compares clock readings, not instants
                moved = shift(value, argument.duration)
                return holds(moved.astimezone(_UTC), scope.now.astimezone(_UTC))
            if isinstance(value, date):
                return holds(shift(value, argument.duration), scope.now.astimezone(zone).date())
        except (OverflowError, ValueError):  # beyond the calendar
            return None
        return None

    return some(reading, test)


_UTC = ZoneInfo("UTC")


def time_between(reading: Reading, argument: Window, scope: Scope) -> Truth:
    """One time of day is at or after the start and before the end, past midnight where the end comes first."""
    zone, start, end = _zone(argument.zone, scope), argument.start, argument.end

    def test(value: object) -> Truth:
        clock = value.astimezone(zone).time() if isinstance(value, datetime) else value
        if not (isinstance(clock, time) and isinstance(start, time) and isinstance(end, time)) or start == end:
            return None  # a window of no length might be none or the whole day
        return start <= clock < end if start < end else clock >= start or clock < end

    return some(reading, test)


def weekday(reading: Reading, argument: Weekdays, scope: Scope) -> Truth:
    """One date is one of the days."""
    zone = _zone(argument.zone, scope)

    def test(value: object) -> Truth:
        if isinstance(value, datetime):
            return value.astimezone(zone).weekday() in argument.days
        return value.weekday() in argument.days if isinstance(value, date) else None

    return some(reading, test)


def range_wider_than(reading: Reading, argument: Age, scope: Scope) -> Truth:
    """The range covers more than the duration. 1 January to 31 January are 31 days, and not wider than ``31d``."""
    if matches_everything(reading):
        return True
    return some(reading, lambda value: _wider(str(value).strip(), argument.duration, scope))


def _wider(text: str, duration: Duration, scope: Scope) -> Truth:
    if "*" in text or "?" in text or text.startswith("-") or text.endswith("-"):
        return True
    type_ = scope.attribute.type
    try:
        ends = [text, text] if (whole := _complete(type_, text, scope)) is not None else _split(text)
        low, high = (_complete(type_, end, scope) for end in ends) if whole is None else (whole, whole)
        if low is None or high is None or high < low:
            return None
        return high > low and shift(low, duration) < high if isinstance(low, datetime) else shift(low, duration) <= high
    except (OverflowError, ValueError):
        return None


def _split(text: str) -> list[str]:
    # PS3.5 §6.2, DT: a hyphen may also begin an offset of four digits; a range of two dates has one hyphen in its middle
    found = re.fullmatch(r"(\d{4,14}(?:\.\d{1,6})?(?:[+-]\d{4})?)-(\d{4,14}(?:\.\d{1,6})?(?:[+-]\d{4})?)", text)
    if found is None:
        raise ValueError("not a range")
    return [found[1], found[2]]


def _complete(type_: Type, text: str, scope: Scope) -> date | None:
    try:
        value = in_zone(read(type_, text), scope.zone)
    except ValueError:
        return None
    return None if isinstance(value, Partial) or not isinstance(value, date) else value
