"""What lies behind the pixels is in order, however it comes; real data sets are."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hirules.dimse.behind import Behind
from hirules.dimse.elements import DEFLATED, Malformed, Scan
from hirules.facts.disclosed import PIXELS
from tests.dimse.leaving import SAMPLES, encoded

EXPLICIT, IMPLICIT, BIG = str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian), str(ExplicitVRBigEndian)
_LONG = {"OB", "OW", "SQ", "UN", "UT"}


def element(tag: int, vr: str, value: bytes, syntax: str = EXPLICIT, length: int | None = None) -> bytes:
    order, size = ">" if syntax == BIG else "<", len(value) if length is None else length
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT:
        return head + struct.pack("<L", size) + value
    return head + vr.encode() + (struct.pack(order + "HL", 0, size) if vr in _LONG else struct.pack(order + "H", size)) + value


ITEM, END, SEQUENCE_END = (struct.pack("<HH", 0xFFFE, number) for number in (0xE000, 0xE00D, 0xE0DD))
NO_LENGTH = 0xFFFFFFFF
NATIVE = element(PIXELS + 0x10, "OW", bytes(300))
FRAGMENTS = ITEM + bytes(4) + ITEM + struct.pack("<L", 40) + SEQUENCE_END * 10 + ITEM + struct.pack("<L", 2) + b"ab" + SEQUENCE_END + bytes(4)
ENCAPSULATED = element(PIXELS + 0x10, "OB", FRAGMENTS, length=NO_LENGTH)
SIGNED_ITEM = ITEM + struct.pack("<L", NO_LENGTH) + element(0x04000005, "US", b"\1\0") + element(0x00100020, "LO", b"in") + END + bytes(4)
SIGNATURES = element(0xFFFAFFFA, "SQ", SIGNED_ITEM + SEQUENCE_END + bytes(4), length=NO_LENGTH)
BORN = element(0x00100030, "DA", b"19700102")


def look(data: bytes, syntax: str = EXPLICIT, seed: int | None = None) -> None:
    """In one piece, or in many."""
    behind, at, chance = Behind(syntax, 0x00280010), 0, random.Random(seed)
    while at < len(data):
        size = len(data) if seed is None else chance.choice([1, 2, 3, 5, 8, 13, 100])
        behind.take(memoryview(data)[at : at + size])
        at += size


@pytest.mark.parametrize("seed", [None, *range(8)])
@pytest.mark.parametrize(
    "data",
    [
        b"", NATIVE, ENCAPSULATED, NATIVE + SIGNATURES, ENCAPSULATED + element(0xFFFCFFFC, "OB", bytes(9000)), NATIVE + bytes(30), NATIVE[:100],
        element(PIXELS + 0x10, "UN", ITEM + struct.pack("<L", 10) + element(0x00100030, "", b"19", IMPLICIT) + SEQUENCE_END + bytes(4), length=NO_LENGTH)
        + SIGNATURES,
    ],
)  # fmt: skip
def test_what_ascends_passes(data: bytes, seed: int | None) -> None:
    look(data, seed=seed)


@pytest.mark.parametrize("seed", [None, *range(8)])
@pytest.mark.parametrize(
    "data",
    [
        NATIVE + BORN, ENCAPSULATED + BORN, SIGNATURES + BORN, NATIVE + NATIVE, SIGNATURES + NATIVE, NATIVE + bytes(16) + BORN, BORN,
        NATIVE + element(0xFFFEFFFE, "OB", b""), NATIVE + b"\x10\0\x30\0??19700102", element(PIXELS + 0x10, "OB", BORN, length=NO_LENGTH),
        element(PIXELS + 0x10, "OB", FRAGMENTS[:-8] + SEQUENCE_END + bytes(4), length=NO_LENGTH) + BORN,
    ],
)  # fmt: skip
def test_what_a_reader_would_take_for_the_header_does_not(data: bytes, seed: int | None) -> None:
    with pytest.raises(Malformed):
        look(data, seed=seed)


@pytest.mark.parametrize("syntax", [IMPLICIT, BIG])
def test_in_other_transfer_syntaxes(syntax: str) -> None:
    pixels = element(PIXELS + 0x10, "OW", bytes(300), syntax)
    look(pixels + element(0xFFFCFFFC, "OB", bytes(20), syntax), syntax)
    with pytest.raises(Malformed):
        look(pixels + element(0x00100030, "DA", b"19700102", syntax), syntax)


def test_nesting_has_an_end() -> None:
    deep = ITEM + struct.pack("<L", NO_LENGTH) + struct.pack("<HH", 0x0040, 0xA730) + b"SQ\0\0" + struct.pack("<L", NO_LENGTH)
    with pytest.raises(Malformed):
        look(element(0xFFFAFFFA, "SQ", deep * 100, length=NO_LENGTH))


def test_real_data_sets_pass() -> None:
    seen = 0
    for path in sorted(Path(SAMPLES).glob("*.dcm")):
        try:
            data, syntax = encoded(path)
            scan = Scan(syntax, PIXELS)
            if syntax == DEFLATED or not scan.advance(data) or scan.header is None or not scan.elements:
                continue
        except Exception:  # noqa: BLE001, S112 - the samples have files that are no data sets
            continue
        behind = Behind(syntax, next(reversed(scan.elements)))
        behind.take(data[scan.header :])
        seen += 1
    assert seen >= 60
