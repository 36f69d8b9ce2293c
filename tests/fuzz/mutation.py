"""Seeded mutation without feedback: what runs where atheris cannot be installed, and the same on every machine."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
NOUNS = ("policy", "relay", "message", "update")


def inputs(noun: str) -> list[bytes]:
    """The seeds and the regression cases of one fuzzer."""
    return [path.read_bytes() for folder in ("corpus", "regressions") for path in sorted((HERE / folder / noun).glob("*"))]


def words(noun: str) -> list[bytes]:
    """Its dictionary, in the notation of libFuzzer."""
    lines = (HERE / "dictionaries" / f"{noun}.dict").read_text(encoding="ascii").splitlines()
    return [re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes([int(found[1], 16)]), line[1:-1].encode()) for line in lines]


def mutated(dice: random.Random, seeds: Sequence[bytes], dictionary: Sequence[bytes]) -> bytes:
    """One of the seeds, changed in one to eight places."""
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 2, 3, 5, 8))):
        at = dice.randint(0, len(data))
        width = dice.choice((1, 1, 2, 4, 16, 64))
        match dice.randrange(8):
            case 0 if at < len(data):
                data[at] ^= 1 << dice.randrange(8)
            case 1:
                data[at : at + width] = dice.randbytes(width)
            case 2:
                del data[at : at + width]
            case 3:
                data[at:at] = data[at : at + width]
            case 4:
                other = dice.choice(seeds)
                start = dice.randint(0, len(other))
                data[at:at] = other[start : start + dice.choice((8, 64, 512))]
            case 5:
                word = dice.choice(dictionary)
                data[at : at + dice.choice((0, len(word)))] = word
            case 6 if at < len(data):
                data[at] = dice.choice((0, 1, 2, 3, 127, 128, 254, 255, 10, 32))
            case _:
                data[at : at + dice.choice((0, 1))] = bytes([dice.randrange(256)])
    return bytes(data)
