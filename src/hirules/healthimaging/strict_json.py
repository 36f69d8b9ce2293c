"""JSON read so that no two readers can disagree about it (RFC 8259, with what it leaves open refused).

Refused: anything but UTF-8, a byte order mark, NaN and Infinity, a key twice in one object, a number
that a double would change, an unpaired surrogate, deep nesting. What passes says the same to every
parser: what was decided is what the service reads. Messages never quote the text: it is patient data.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from decimal import Decimal
from typing import NoReturn

MAX_DEPTH = 64
"""The deepest plausible update document has its sequences 24 levels deep; a parser's stack ends near 1,000."""


class JsonError(ValueError):
    """Why a text is not accepted: lower case, without any of its content."""


def read_json(text: bytes) -> object:
    """The value of ``text``. Raises :class:`JsonError`."""
    try:
        characters = text.decode("utf-8")
    except UnicodeDecodeError:
        raise JsonError("is not UTF-8") from None
    try:
        value = json.loads(characters, object_pairs_hook=_object, parse_float=_number, parse_constant=_constant)
    except JsonError:
        raise
    except RecursionError:
        raise JsonError("is nested too deeply") from None
    except ValueError:  # also an integer of more than 4,300 digits
        raise JsonError("is base64 text; pass the JSON itself, boto3 encodes it" if _is_encoded(text) else "is not JSON") from None
    _check(value, 1)
    return value


def write_json(value: object) -> bytes:
    """``value`` as compact UTF-8 JSON, the order of its keys kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise JsonError("has a key twice in one object")
    return fields


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or Decimal(repr(number)) != Decimal(text):
        raise JsonError("has a number that a double cannot hold")
    return number


def _constant(_: str) -> NoReturn:
    raise JsonError("has NaN or Infinity")


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise JsonError("is nested too deeply")
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_text(key)
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)


def _check_text(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text) if not text.isascii() else False:
        raise JsonError("has an unpaired surrogate")


def _is_encoded(text: bytes) -> bool:
    """Whether ``text`` is a JSON object that somebody has base64-encoded already."""
    try:
        return base64.b64decode(text.strip(), validate=True).lstrip()[:1] == b"{"
    except (binascii.Error, ValueError):
        return False
