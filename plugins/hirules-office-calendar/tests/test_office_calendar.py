from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hirules_office_calendar import CLOSED, VARIABLE, OfficeCalendar, read_calendar

import hirules
from hirules.assemble import build
from hirules.gate import Gate, now_of_caller
from hirules.settings import Settings

CHRISTMAS = date(2026, 12, 25)
README = Path(__file__).parents[1] / "README.md"
POLICY = next(block for block in README.read_text(encoding="utf-8").split("```yaml\n")[1:] if block.startswith("hirules: 1")).partition("```")[0]


def _gate(folder: Path, plugin: object) -> Gate:
    (folder / "closed-days.yaml").write_text(POLICY, encoding="utf-8")
    return build(folder, Settings(), plugins=[plugin], now=now_of_caller)


def _request(action: str, now: str) -> hirules.Request:
    return hirules.Request(action, context={"now": now})


def test_on_a_working_day_it_is_allowed(tmp_path: Path) -> None:
    decision = _gate(tmp_path, OfficeCalendar([CHRISTMAS])).check(_request("c-move", "2026-12-24T10:00:00+01:00"))
    assert decision.allowed
    assert decision.by == ("closed-days/retrieve",)
    assert decision.notes == ()


def test_on_a_closed_day_it_is_denied_and_noted(tmp_path: Path) -> None:
    decision = _gate(tmp_path, OfficeCalendar([CHRISTMAS])).check(_request("c-move", "2026-12-25T10:00:00+01:00"))
    assert not decision.allowed
    assert decision.by == ("closed-days/no-release-on-closed-days",)
    assert [(note.source, note.severity) for note in decision.notes] == [("plugin:OfficeCalendar", "medium")]


def test_the_operator_alone_decides_a_c_get(tmp_path: Path) -> None:
    gate = _gate(tmp_path, OfficeCalendar([CHRISTMAS]))
    assert gate.check(_request("c-get", "2026-12-24T10:00:00+01:00")).allowed
    assert not gate.check(_request("c-get", "2026-12-25T10:00:00+01:00")).allowed


def test_a_fact_is_given_only_where_a_rule_needs_it() -> None:
    calendar = OfficeCalendar([CHRISTMAS])
    assert calendar.hirules_facts(request=_request("c-move", ""), needed=frozenset({"resource.PatientID"})) is None
    with pytest.raises(TypeError):
        calendar.hirules_facts(request=_request("c-move", ""), needed=frozenset({CLOSED}))


def test_a_plugin_that_fails_opens_nothing(tmp_path: Path) -> None:
    class Broken(OfficeCalendar):
        @hirules.hookimpl
        def hirules_facts(self, request: hirules.Request, needed: frozenset[str]) -> hirules.Facts | None:
            raise RuntimeError("the calendar's server is down")

    decision = _gate(tmp_path, Broken([CHRISTMAS])).check(_request("c-move", "2026-12-24T10:00:00+01:00"))
    assert not decision.allowed
    assert decision.by == ("closed-days/no-release-on-closed-days",)
    assert "plugin:Broken" in {error.source for error in decision.errors}


def test_a_calendar_is_read() -> None:
    assert list(read_calendar("# closed\n2026-12-25  # Christmas Day\n\n2026-12-26\n")) == [CHRISTMAS, date(2026, 12, 26)]
    with pytest.raises(ValueError, match="line 2"):
        list(read_calendar("2026-12-25\nChristmas\n"))


def test_without_a_calendar_the_set_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(hirules.PolicyError, match="names no calendar"):
        _gate(tmp_path, OfficeCalendar())
    (tmp_path / "days.txt").write_text("2026-12-25\n", encoding="utf-8")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "days.txt"))
    set_folder = tmp_path / "set"
    set_folder.mkdir()
    assert not _gate(set_folder, OfficeCalendar()).check(_request("c-move", "2026-12-25T10:00:00+01:00")).allowed
