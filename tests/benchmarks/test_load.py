"""Loading is measured in processes of its own, on the folder that the workload is written to."""

from __future__ import annotations

from pathlib import Path

import hirules
from benchmarks import load, policies
from benchmarks.workload import generate


def test_the_folder_has_the_rules_and_lists_of_the_workload(tmp_path: Path) -> None:
    workload = generate(120, 1)
    found = hirules.load(policies.write(workload, tmp_path / "policies")).policies
    assert [rule.id.partition("/")[2] for rule in found.rules] == [rule.id for rule in workload.rules]
    assert {name: one.texts for name, one in found.policies[0].lists.items()} == workload.lists


def test_time_and_memory_are_those_of_each_process() -> None:
    loading = load.run(20, runs=2)
    assert loading.rules == 20
    assert len(loading.seconds_of_each) == 2
    assert 0 < min(loading.seconds_of_each) <= loading.seconds
    assert loading.imported > 0
    assert "20 rules" in load.markdown(loading)
