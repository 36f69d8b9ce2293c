"""The fuzzers in short: seeds and regression cases, seeded mutations, and some seconds of each by coverage where atheris is installed."""

from __future__ import annotations

import importlib
import os
import random
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hirules.dimse.exchange import Exchange
from hirules.dimse.message import Command, encode_command
from hirules.dimse.outputs import Ruling
from tests.fuzz import fuzz_message, fuzz_policy, fuzz_relay, fuzz_update
from tests.fuzz.minimise import breach, smaller
from tests.fuzz.mutation import NOUNS, inputs, mutated, words

SECONDS = int(os.environ.get("HIRULES_FUZZ_SECONDS", "60"))
MUTATIONS = 300
ONE: dict[str, Callable[[bytes], None]] = {noun: importlib.import_module(f"tests.fuzz.fuzz_{noun}").one for noun in NOUNS}


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    """pydicom warns of what the inputs are made of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("noun", NOUNS)
def test_seeds_and_regression_cases(noun: str) -> None:
    found = inputs(noun)
    assert len(found) >= 10
    for data in found:
        ONE[noun](data)


@pytest.mark.parametrize("noun", NOUNS)
def test_seeded_mutations(noun: str) -> None:
    dice, seeds, dictionary = random.Random(7), inputs(noun), words(noun)
    for number in range(MUTATIONS):
        data = mutated(dice, seeds, dictionary)
        wrong = breach(ONE[noun], data)
        assert wrong is None, f"{noun}, mutation {number}: {wrong}: {data!r}"


@pytest.mark.parametrize("noun", NOUNS)
def test_some_seconds_of_fuzzing(noun: str, tmp_path: Path) -> None:
    # the same seed in CI: what fails there is the change's own, as far as a time limit allows
    seed = "1" if os.environ.get("CI") else "0"
    command = [sys.executable, "-m", "tests.fuzz", noun, "--seconds", str(SECONDS), "--seed", seed, "--work", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS + 150, errors="replace")
    left = [(path.name, path.read_bytes()) for path in (tmp_path / "findings").glob("*")]
    assert done.returncode == 0, f"{done.stderr}\n{left}"
    assert left == []
    assert "no finding" in done.stdout


# -- each fuzzer sees what it is there for --------------------------------------------------------------


def broken_by(noun: str) -> int:
    """How many of the seeds break a law."""
    return sum(breach(ONE[noun], data) is not None for data in inputs(noun))


def test_a_relay_that_forwards_without_asking_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(self: Exchange, command: Command, data: bytes | None) -> Any:
        yield from self.flush()
        return Ruling(command=command.raw, data=data)

    monkeypatch.setattr(Exchange, "_ask", ask)
    assert broken_by("relay") > 5


def test_a_relay_whose_output_depends_on_the_chunks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_relay, "chunks", lambda data, dice, cut: iter([data[: len(data) - bool(cut)]]))
    assert broken_by("relay") > 5


def test_an_encoder_that_loses_an_element_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode_command
    monkeypatch.setattr(fuzz_message, "encode_command", lambda values: whole({name: value for name, value in values.items() if name != "Priority"}))
    assert broken_by("message") > 5


def test_a_patch_that_ignores_the_decision_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz_update, "patched", lambda params, decision: dict(params))
    assert broken_by("update") > 5


def test_an_evaluator_that_raises_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: object) -> Any:
        raise KeyError("PatientID")

    monkeypatch.setattr(fuzz_policy, "evaluate", raising)
    assert broken_by("policy") > 5


def test_a_finding_becomes_small() -> None:
    def one(data: bytes) -> None:
        assert b"\xff" not in data or b"needle" not in data

    assert sorted(smaller(one, b"hay\xff" * 9 + b"stack needle in hay")) == sorted(b"\xffneedle")
    assert breach(one, b"hay") is None


def test_a_dictionary_is_read_as_it_was_meant() -> None:
    assert b"\x04\0\0\0\0" in words("relay")
    assert b"%% set.yaml\n" in words("policy")
    assert b'"PatientID"' in words("update")
