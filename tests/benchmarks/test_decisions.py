"""A whole small run with engines of our own: what differs is counted, what is not there is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import decisions, report
from benchmarks.decisions import Result
from benchmarks.engines import Engine, Opened
from benchmarks.workload import Workload

SIZE = 10


def always(workload: Workload) -> Opened:
    return Opened(lambda query: query, lambda query: query, lambda query: query.level is not None)


def contrary(workload: Workload) -> Opened:
    return Opened(lambda query: query, lambda query: query, lambda query: query.caller == "STRANGER" or query.level is not None)


@pytest.fixture
def result() -> Result:
    engines = [
        Engine("hirules, indexed", f"{__name__}:always"),
        Engine("agreeing", f"{__name__}:always", "agreeing"),
        Engine("contrary", f"{__name__}:contrary", "contrary"),
        Engine("nobody", "benchmarks.peers.nobody:rules", "nobody"),
    ]
    return decisions.run([SIZE], rounds=2, seconds=10, engines=engines, say=lambda line: None)


def test_differing_answers_are_counted(result: Result) -> None:
    by_name = {line.engine: line for line in result.figures}
    asked = decisions.REPEATED + 2 * decisions.NEW_A_ROUND
    assert {name: line.compared for name, line in by_name.items()} == {"hirules, indexed": asked, "agreeing": asked, "contrary": asked}
    assert by_name["agreeing"].mismatches == 0
    assert 0 < by_name["contrary"].mismatches < asked


def test_what_is_not_there_is_told_and_has_no_figures(result: Result) -> None:
    assert result.unavailable == {"nobody": "`benchmarks.peers.nobody` is not installed"}
    assert "nobody" not in {line.engine for line in result.figures}


def test_every_timed_decision_counts(result: Result) -> None:
    assert {line.decisions for line in result.figures} == {2 * ((1 + decisions.TIMES) * decisions.REPEATED + decisions.NEW_A_ROUND)}
    assert all(len(line.rounds_p50) == 2 for line in result.figures)


def test_the_page_tells_all_of_it(result: Result) -> None:
    page = report.markdown(result, {"processor": "a machine"})
    assert "| **hirules, indexed** |" in page
    assert "- nobody: `benchmarks.peers.nobody` is not installed" in page
    assert "- processor: a machine" in page


def test_the_figures_are_written_as_json_too(result: Result, tmp_path: Path) -> None:
    report.write(result, {"processor": "a machine"}, tmp_path)
    written = json.loads((tmp_path / "decisions.json").read_text())
    assert [line["engine"] for line in written["figures"]] == ["hirules, indexed", "agreeing", "contrary"]
    assert ("decisions.svg)" in (tmp_path / "decisions.md").read_text()) == (tmp_path / "decisions.svg").exists()
