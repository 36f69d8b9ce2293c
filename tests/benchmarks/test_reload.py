"""Reloads are measured in a process of its own, on the folder that the workload is written to."""

from __future__ import annotations

from benchmarks import reload


def test_each_reload_comes_into_force_beside_the_stream() -> None:
    reloading = reload.run(20, reloads=2)
    assert reloading.rules == 20
    assert len(reloading.seconds) == 2
    for phase in (reloading.idle, reloading.during, reloading.after):
        assert phase.decisions > 100
        assert 0 < phase.p50 <= phase.p99 <= phase.longest
    page = reload.markdown(reloading)
    assert "20 rules are reloaded 2 times" in page
    assert f"{reloading.during.p99:.2f}" in page
