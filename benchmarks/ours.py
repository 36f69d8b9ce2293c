"""hirules' own figures: the indexed evaluator, the whole public path without a store, and the reference evaluator."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import hirules
from benchmarks import policies
from benchmarks.engines import Opened
from benchmarks.workload import Workload
from hirules import Decision, Gate, Request
from hirules.policy.evaluate import evaluate

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def load(workload: Workload) -> Gate:
    """The workload's policies, read from a folder as anybody's are; nothing is recorded."""
    with tempfile.TemporaryDirectory() as folder:
        return hirules.load(policies.write(workload, Path(folder) / "policies"))


def indexed(workload: Workload) -> Opened:
    """The bare evaluator that serves: the decision that a request shares with others. To put the request on it is the gate's."""
    from hirules.policy.index import Index  # here, since the other two engines do without it

    index = Index(load(workload).policies)

    def decide(request: Request) -> Decision:
        return index.shared(request, NOW) or index.decide(request, NOW)

    return Opened(policies.request, decide, _allowed)


def gate(workload: Workload) -> Opened:
    """Request in, decision with its rules out: ``gate.check``."""
    return Opened(policies.request, load(workload).check, _allowed)


def reference(workload: Workload) -> Opened:
    """The evaluator that is the language page in code; every rule is looked at."""
    loaded = load(workload).policies

    def decide(request: Request) -> Decision:
        return evaluate(loaded, request, NOW)

    return Opened(policies.request, decide, _allowed)


def _allowed(decision: Decision) -> bool:
    # a decision that met an error is none that the peers could agree with
    return decision.allowed and not decision.errors
