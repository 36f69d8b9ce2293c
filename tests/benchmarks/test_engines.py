"""Every form of a tiny workload decides like the reference evaluator. A peer is skipped only where its package is not installed."""

from __future__ import annotations

import pytest

from benchmarks import machine
from benchmarks.engines import ENGINES, Engine, NotAvailable, load
from benchmarks.workload import Workload, generate

REFERENCE = next(engine for engine in ENGINES if engine.name == "hirules, reference")


@pytest.fixture(scope="module", params=[10, 60])
def workload(request: pytest.FixtureRequest) -> Workload:
    return generate(request.param, 300)


@pytest.fixture(scope="module")
def expected(workload: Workload) -> list[bool]:
    return decisions(REFERENCE, workload)


def decisions(engine: Engine, workload: Workload) -> list[bool]:
    opened = load(engine, workload)
    try:
        return [opened.allowed(opened.decide(opened.prepare(query))) for query in workload.queries]
    finally:
        opened.close()


def test_the_requests_are_decided_both_ways(expected: list[bool]) -> None:
    assert 0.2 < sum(expected) / len(expected) < 0.8


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine is not REFERENCE], ids=lambda engine: engine.name)
def test_decides_like_the_reference(engine: Engine, workload: Workload, expected: list[bool]) -> None:
    if engine.needs and "not installed" in (machine.version(engine.needs), machine.version(engine.client or engine.needs)):
        pytest.skip(f"{engine.needs} is not installed (the extra `bench`)")
    found = decisions(engine, workload)
    differing = [(query, allowed) for query, allowed, right in zip(workload.queries, found, expected, strict=True) if allowed != right]
    assert not differing


def test_an_engine_that_cannot_be_imported_is_not_available(workload: Workload) -> None:
    with pytest.raises(NotAvailable, match=r"`benchmarks\.peers\.nobody` is not installed"):
        load(Engine("nobody", "benchmarks.peers.nobody:rules", "nobody"), workload)


def test_names_are_unique() -> None:
    assert len({engine.name for engine in ENGINES}) == len(ENGINES)
