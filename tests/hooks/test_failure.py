from __future__ import annotations

from hirules.hooks.failure import told


def test_kind_and_place_and_no_text() -> None:
    try:
        raise ValueError("PATIENT-1")
    except ValueError as error:
        said = told(error)
    assert said.startswith("ValueError at test_failure.py:")
    assert "PATIENT" not in said


def test_one_that_was_never_raised() -> None:
    assert told(KeyError("x")) == "KeyError"
