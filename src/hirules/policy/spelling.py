"""Canonical scalars as a request carries them: DICOM text below a data set (PS3.5 §6.2), JSON elsewhere."""

from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address

from hirules.model.reading import Reading
from hirules.model.scalars import Partial


def spelled(value: object, dicom: bool) -> object:
    """One canonical scalar as plain data; INTEGER and BOOLEAN stay what they are."""
    match value:
        case datetime():
            return _dicom_datetime(value) if dicom else value.isoformat()
        case date():
            return value.strftime("%Y%m%d") if dicom and value.year >= 1000 else f"{value.year:04d}{value:%m%d}" if dicom else value.isoformat()
        case time():
            return value.strftime("%H%M%S.%f" if value.microsecond else "%H%M%S") if dicom else value.isoformat()
        case Decimal() | Partial() | IPv4Address() | IPv6Address():
            return str(value)
        case _:
            return value


def _dicom_datetime(value: datetime) -> str:
    return f"{value.year:04d}" + value.strftime("%m%d%H%M%S.%f%z" if value.microsecond else "%m%d%H%M%S%z")


def quoted(reading: Reading) -> str:
    """A reading in a text: absent ``-``, unknown ``?``, several values with commas."""
    if reading.unknown is not None:
        return "?"
    return ", ".join(str(spelled(value, dicom=False)) for value in reading.values) or "-"


def recorded(reading: Reading) -> object:
    """A reading in the record: ``None`` where absent, ``?`` where unknown, a list of several."""
    if reading.unknown is not None:
        return "?"
    values = [spelled(value, dicom=True) for value in reading.values]
    return values[0] if len(values) == 1 else values or None
