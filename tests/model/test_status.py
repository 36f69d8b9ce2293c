"""The status table against the standard as pynetdicom has it, and the laws of a refusal."""

from __future__ import annotations

from itertools import pairwise

import pytest
from pynetdicom import status as theirs

from hirules.model.actions import ACTIONS
from hirules.model.decision import AssociateStatus
from hirules.model.status import (
    HTTP_STATUS,
    STATUSES,
    conflict_status,
    default_status,
    rejection_of,
    status_row,
    statuses,
    valid_status,
)

DIMSE = [action.name for action in ACTIONS if action.service == "dimse"]
HEALTHIMAGING = [action.name for action in ACTIONS if action.service == "healthimaging"]

FIND = {
    **theirs.SUBSTANCE_ADMINISTRATION_SERVICE_CLASS_STATUS,
    **theirs.RELEVANT_PATIENT_SERVICE_CLASS_STATUS,
    **theirs.MODALITY_WORKLIST_SERVICE_CLASS_STATUS,
    **theirs.QR_FIND_SERVICE_CLASS_STATUS,
}
N_SERVICE = {
    **theirs.PROCEDURE_STEP_STATUS,
    **theirs.PRINT_JOB_MANAGEMENT_SERVICE_CLASS_STATUS,
    **theirs.RT_MACHINE_VERIFICATION_SERVICE_CLASS_STATUS,
    **theirs.APPLICATION_EVENT_LOGGING_SERVICE_CLASS_STATUS,
}
PYNETDICOM = {
    "c-store": theirs.STORAGE_SERVICE_CLASS_STATUS,
    "c-find": FIND,
    "c-get": theirs.QR_GET_SERVICE_CLASS_STATUS,
    "c-move": theirs.QR_MOVE_SERVICE_CLASS_STATUS,
    "n-get": N_SERVICE,
    "n-set": N_SERVICE,
    "n-create": N_SERVICE,
    "n-action": {**N_SERVICE, **theirs.MEDIA_CREATION_MANAGEMENT_SERVICE_CLASS_STATUS},
}


@pytest.mark.parametrize("action", PYNETDICOM)
def test_every_status_of_pynetdicom_is_known_with_its_category(action: str) -> None:
    own = {code: row for code, row in PYNETDICOM[action].items() if code not in theirs.GENERAL_STATUS}
    assert own
    for code, (category, _) in own.items():
        row = status_row(action, code)
        assert row is not None, hex(code)
        assert row.category == category.lower(), hex(code)


@pytest.mark.parametrize("action", STATUSES)
def test_general_statuses_have_the_category_of_pynetdicom(action: str) -> None:
    shared = [row for row in statuses(action) if row.first == row.last and row.first in theirs.GENERAL_STATUS]
    assert shared
    for row in shared:
        assert row.category == theirs.GENERAL_STATUS[row.first][0].lower(), hex(row.first)


@pytest.mark.parametrize("action", STATUSES)
def test_rows_do_not_overlap(action: str) -> None:
    rows = sorted(statuses(action), key=lambda row: row.first)
    for before, after in pairwise(rows):
        assert before.last < after.first, (before, after)


@pytest.mark.parametrize("action", DIMSE)
def test_only_a_failure_refuses(action: str) -> None:
    refusing = {code for code in range(0x10000) if valid_status(action, code)}
    assert 0x0124 in refusing
    assert not refusing & {0x0000, 0x0001, 0x0107, 0x0116, 0xFE00, 0xFF00, 0xFF01, 0xB000, 0xB001, 0xB006}
    assert 0xC000 in refusing
    assert not valid_status(action, "AccessDenied")
    assert not valid_status(action, True)
    assert not valid_status(action, None)


@pytest.mark.parametrize(
    ("action", "code", "valid"),
    [
        ("c-move", 0xA801, True),
        ("c-get", 0xA801, False),
        ("c-find", 0xA801, False),
        ("c-find", 0xA701, False),
        ("c-find", 0xA900, True),
        ("c-get", 0xA702, True),
        ("c-store", 0xA7FF, True),
        ("c-store", 0xA9FF, True),
        ("c-store", 0xA800, False),
        ("n-get", 0x0112, True),
        ("n-get", 0xC307, True),
        ("n-get", 0x0111, False),
        ("n-create", 0x0111, True),
        ("n-event-report", 0x0113, True),
        ("n-get", 0x0113, False),
        ("c-move", 0xD000, False),
        ("c-move", -1, False),
        ("c-move", 0x10124, False),
        ("answer", 0x0124, True),
        ("release", 0xA900, False),
        ("no-such-action", 0xC000, False),
    ],
)
def test_the_status_of_a_deny(action: str, code: int, valid: bool) -> None:
    assert valid_status(action, code) is valid


def test_associate_takes_the_three_of_a_rejection() -> None:
    assert valid_status("associate", AssociateStatus(1, 1, 3))
    assert valid_status("associate", (2, 3, 2))
    assert valid_status("associate", {"result": 1, "source": 1, "reason": 7})
    assert not valid_status("associate", AssociateStatus(1, 1, 4))  # reserved
    assert not valid_status("associate", AssociateStatus(0, 1, 1))
    assert not valid_status("associate", (1, 3, 3))
    assert not valid_status("associate", (1, 1))
    assert not valid_status("associate", 0x0124)
    assert rejection_of([1, 1, True]) is None


@pytest.mark.parametrize("action", HEALTHIMAGING)
def test_healthimaging_takes_error_codes(action: str) -> None:
    assert all(valid_status(action, name) for name in HTTP_STATUS)
    assert not valid_status(action, "AccessDeniedException")
    assert not valid_status(action, 403)
    assert default_status(action) == conflict_status(action) == "AccessDenied"


@pytest.mark.parametrize("action", [action.name for action in ACTIONS])
def test_defaults_are_valid(action: str) -> None:
    assert valid_status(action, default_status(action))
    assert valid_status(action, default_status(action, strict=True))
    assert valid_status(action, conflict_status(action))


def test_the_defaults() -> None:
    assert {default_status(action) for action in DIMSE} == {0x0124}
    assert default_status("c-find", strict=True) == 0xC000
    assert default_status("c-get", strict=True) == 0x0124
    assert {conflict_status(action) for action in DIMSE} == {0xC000}
    assert default_status("associate") == AssociateStatus(1, 1, 1)
