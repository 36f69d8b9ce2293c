"""A short form of the soak, and what judges it: a run of two minutes finds what is broken, the long one by hand what leaks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.soak.clients import Done
from tests.soak.judged import forbidden, hashed, lost, read_record
from tests.soak.measure import MIB, Size, size, trend
from tests.soak.site import STUDIES, THROUGH, VIP, Arrival
from tests.soak.soaking import soak


@pytest.mark.timeout(400)
def test_a_short_soak(tmp_path: Path) -> None:
    report = soak(tmp_path, seconds=105, seed=int(os.environ.get("SOAK_SEED", "1")))
    # two minutes are all warm-up: whether memory is flat is told by the long run
    assert [problem for problem in report.problems if "memory grew" not in problem] == []
    assert {each.family for each in report.done if each.answered} >= {"dcmtk", "pynetdicom", "dcmjs"}
    assert report.arrivals
    assert report.reloads > 1
    assert all(found.grown < 64 for found in report.trends.values())
    assert "| dcmtk: " in report.table()


# -- memory ---------------------------------------------------------------------------------------


def sizes(mebibytes: list[float]) -> list[Size]:
    return [Size(float(number), int(each * MIB), 5, 7) for number, each in enumerate(mebibytes)]


@pytest.mark.parametrize(
    ("mebibytes", "flat"),
    [
        ([80.0] * 100, True),
        ([80 + (number % 7) for number in range(100)], True),
        ([60 + number for number in range(30)] + [90.0] * 70, True),
        ([80 + number / 10 for number in range(100)], False),
        ([80.0] * 95 + [200.0] * 5, True),
    ],
    ids=["level", "uneven", "warming up", "a leak", "a peak"],
)
def test_memory_is_flat(mebibytes: list[float], flat: bool) -> None:
    assert trend(sizes(mebibytes), warm_up=33).flat is flat


def test_what_a_process_holds() -> None:
    own = size(os.getpid(), 0.0)
    assert own.rss > 10 * MIB
    assert own.threads >= 1
    assert own.files > 3


# -- the record -----------------------------------------------------------------------------------

STRICT = "sha256:strict"
DECISION: dict[str, Any] = {"entry": "decision", "id": "1", "action": "c-get", "subject": {"ae_title": "S1"}, "policies": STRICT, "decision": "allow"}
OUTCOME: dict[str, Any] = {"entry": "outcome", "id": "1", "outcome": {"Status": 0}}
UID = f"{STUDIES['P1']}.9.1"
INSTANCE: dict[str, Any] = {"entry": "instance", "id": "1", "instance": hashed(UID)}


def judged(tmp_path: Path, lines: list[dict[str, Any]], done: list[Done], arrivals: list[Arrival]) -> tuple[list[str], list[str]]:
    path = tmp_path / "audit.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    record = read_record(path)
    return lost(record, done, arrivals), forbidden(record, done, arrivals)


def got(**more: object) -> Done:
    return Done("S1", "pynetdicom", "get", "P1", **{"status": 0, "instances": [UID], **more})  # type: ignore[arg-type]


def test_a_whole_record(tmp_path: Path) -> None:
    assert judged(tmp_path, [DECISION, INSTANCE, OUTCOME], [got()], []) == ([], [])


@pytest.mark.parametrize(
    ("lines", "done", "says"),
    [
        ([], got(), "has no decision"),
        ([DECISION, INSTANCE], got(), "has no outcome"),
        ([DECISION, INSTANCE, OUTCOME], got(status=0xB000), "the outcome says"),
        ([DECISION, OUTCOME], got(), "an instance came and is not in the record"),
    ],
)
def test_a_lost_line_is_noticed(tmp_path: Path, lines: list[dict[str, Any]], done: Done, says: str) -> None:
    found, _ = judged(tmp_path, lines, [done], [])
    assert any(says in each for each in found), found


def test_an_arrival_without_a_line_is_noticed(tmp_path: Path) -> None:
    found, _ = judged(tmp_path, [DECISION | {"action": "c-move"}, OUTCOME], [], [Arrival(THROUGH, "S1", UID, "P1", False)])
    assert found == ["S1: an instance arrived through the gateway and is not in the record"]


@pytest.mark.parametrize(
    ("done", "arrival", "says"),
    [
        (got(births=1), None, "dates of birth"),
        (got(instances=[f"{STUDIES[VIP]}.9.1"]), None, "came by a C-GET"),
        (got(instances=[f"{STUDIES['P1']}.9.12"]), None, "came by a C-GET"),
        (got(), Arrival("DIRECT", "S1", f"{STUDIES[VIP]}.9.1", VIP, False), "a VIP arrived"),
        (got(), Arrival(THROUGH, "S1", UID, "P1", True), "date of birth: True"),
    ],
)
def test_what_is_forbidden_is_noticed(tmp_path: Path, done: Done, arrival: Arrival | None, says: str) -> None:
    move = {**DECISION, "id": "2", "action": "c-move"}
    _, found = judged(tmp_path, [DECISION, INSTANCE, OUTCOME, move, {**OUTCOME, "id": "2"}], [done], [arrival] if arrival else [])
    assert any(says in each for each in found), found
