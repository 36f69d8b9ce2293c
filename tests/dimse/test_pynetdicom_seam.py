"""The seam into pynetdicom's private API: the versions it was tried with, and that what it replaces is there."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.acse import ACSE
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider

from hirules.dimse import pynetdicom_seam
from hirules.dimse.handlers import guard
from tests.dimse.guarded import Recorded


def test_the_versions_are_those_that_the_tests_have_run_with() -> None:
    """Another one is added here when tests/dimse/test_handlers*.py and test_handed.py have passed with it."""
    assert pynetdicom_seam.SUPPORTED == ("3.0.1", "3.0.3", "3.0.4")
    pynetdicom_seam.check_version()


@pytest.mark.parametrize("version", ["2.1.1", "3.0.0", "3.1.0", "4.0.0"])
def test_another_version_of_pynetdicom_is_refused_by_name(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynetdicom.__version__", version)
    with pytest.raises(pynetdicom_seam.UnsupportedVersion, match=f"the guard needs pynetdicom 3\\.0\\.1, 3\\.0\\.3 or 3\\.0\\.4, not {version}"):
        guard([], Recorded(tmp_path).gate)


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (DULServiceProvider._decode_pdu, ["self", "bytestream"]),
        (ACSE.send_accept, ["self"]),
        (ACSE.negotiate_association, ["self"]),
        (ACSE.send_reject, ["self", "result", "source", "diagnostic"]),
        (DIMSEServiceProvider.receive_primitive, ["self", "primitive"]),
        (DIMSEServiceProvider.send_msg, ["self", "primitive", "context_id"]),
        (Association._serve_request, ["self", "msg", "context_id"]),
        (Association._c_store_scp, ["self", "req"]),
    ],
)
def test_what_is_replaced_takes_what_it_took(function: Any, parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_an_association_is_guarded_once() -> None:
    class Guarded:
        _hirules_watch = object()

    with pytest.raises(RuntimeError):
        pynetdicom_seam.install(Guarded(), Guarded())  # type: ignore[arg-type]
