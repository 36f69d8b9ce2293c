"""What Prometheus reads of a gateway (/metrics).

No label holds what a stranger or a patient brought: actions and rules are those of the policy set, causes and classes of
status a closed list. Rules of reloaded sets add up; beyond ``_RULES`` they are counted as ``other``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hirules.dimse.server import Gateway
from hirules.facts import Answer
from hirules.gate import Gate
from hirules.model.decision import Decision

_DECIDING = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_RULES = 2000
OTHER = "other"


class Metrics:
    """An observer of a gate, and the page. Thread safe."""

    content_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, gate: Gate, gateway: Gateway) -> None:
        self._gate = gate
        self._registry = registry = CollectorRegistry()
        self._decisions = Counter("hirules_decisions", "requests that were decided, releases among them", ("action", "effect"), registry=registry)
        self._rules = Counter("hirules_determining_rules", "decisions by each rule that determined them", ("action", "effect", "rule"), registry=registry)
        self._seconds = Histogram(
            "hirules_decision_seconds", "from the request to the recorded decision, look-ups included", ("action",), registry=registry, buckets=_DECIDING
        )
        self._outcomes = Counter("hirules_outcomes", "how requests ended, by class of their final status", ("action", "outcome"), registry=registry)
        self._instances = Counter("hirules_instances", "instances that retrieves delivered", ("action",), registry=registry)
        self._lookups = Counter("hirules_lookups", "look-ups of facts", ("source", "result"), registry=registry)
        self._lookup_seconds = Histogram("hirules_lookup_seconds", "look-ups that were not answered from the cache", ("source",), registry=registry)
        self._unrecorded = Counter("hirules_record_failures", "what could not be written into the record", registry=registry)
        registry.register(_Now(gate, gateway))
        self._seen: set[str] = set()

    def page(self) -> bytes:
        """All of it, in the text format of Prometheus."""
        return generate_latest(self._registry)

    # -- what the gate tells ----------------------------------------------------------------------

    def decided(self, decision: Decision, seconds: float) -> None:
        """As :class:`hirules.gate.Observer`."""
        action, effect = self._action(decision), "allow" if decision.allowed else "deny"
        self._decisions.labels(action, effect).inc()
        self._seconds.labels(action).observe(seconds)
        for rule in decision.by or ("default",):
            self._rules.labels(action, effect, self._rule(rule)).inc()

    def completed(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        """As :class:`hirules.gate.Observer`."""
        action = self._action(decision)
        self._outcomes.labels(action, class_of(outcome)).inc()
        instances = outcome.get("instances")
        if isinstance(instances, int) and instances > 0:
            self._instances.labels(action).inc(instances)

    def looked_up(self, answer: Answer) -> None:
        """As :class:`hirules.gate.Observer`."""
        self._lookups.labels(answer.source, "failed" if answer.error is not None else "cached" if answer.cached else "answered").inc()
        if not answer.cached:
            self._lookup_seconds.labels(answer.source).observe(answer.milliseconds / 1000)

    def not_recorded(self) -> None:
        """As :class:`hirules.gate.Observer`."""
        self._unrecorded.inc()

    def _action(self, decision: Decision) -> str:
        # a command field that is no action is the caller's choice
        return decision.effective.action if decision.effective.action in self._gate.policies.vocabulary.actions else OTHER

    def _rule(self, rule: str) -> str:
        if rule not in self._seen:
            if len(self._seen) >= _RULES:
                return OTHER
            self._seen.add(rule)
        return rule


def class_of(outcome: Mapping[str, object]) -> str:
    """Of the final status (PS3.7 Annex C): ``success``, ``warning``, ``cancelled``, ``failure``; ``unfinished`` where there was none."""
    if "accepted" in outcome:
        return "success" if outcome["accepted"] else "failure"
    status = outcome.get("Status")
    if not isinstance(status, int):
        return "unfinished"
    if status == 0:
        return "success"
    if status == 0xFE00:
        return "cancelled"
    return "warning" if status in (0x0001, 0x0107, 0x0116) or status >> 12 == 0xB else "failure"


class _Now(Collector):
    """What is read when it is asked for."""

    def __init__(self, gate: Gate, gateway: Gateway) -> None:
        self._gate, self._gateway = gate, gateway

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks."""
        counts = self._gateway.tally.counts()
        yield GaugeMetricFamily("hirules_connections", "connections of clients", value=counts.connections)
        yield GaugeMetricFamily("hirules_associations", "associations that are relayed now", value=counts.associations)
        yield CounterMetricFamily("hirules_associations_made", "associations that were accepted", value=counts.made)
        rejected = CounterMetricFamily("hirules_associations_rejected", "connections that became no association", labels=("cause",))
        for cause, number in counts.rejected.items():
            rejected.add_metric((cause,), number)
        yield rejected
        received = CounterMetricFamily("hirules_received_bytes", "bytes of associations, by who sent them", labels=("side",))
        for side, size in counts.received.items():
            received.add_metric((side,), size)
        yield received
        yield from self._policies()

    def _policies(self) -> Iterator[Metric]:
        policies = GaugeMetricFamily("hirules_policies", "1 for the digest of the set that decides", labels=("digest",))
        policies.add_metric((self._gate.policies.digest,), 1)
        yield policies
        yield GaugeMetricFamily("hirules_rules", "rules of the set that decides", value=sum(1 for _ in self._gate.policies.rules))
        reloader = self._gate.reloader
        if reloader is not None:
            status = reloader.status
            yield GaugeMetricFamily(
                "hirules_reload_failed", "1: the policies on disk have an error, and the last good ones decide", value=status.error is not None
            )
            yield CounterMetricFamily("hirules_reload_checks", "how often changed policies were checked", value=status.checks)
            if status.swapped is not None:
                yield GaugeMetricFamily("hirules_reload_timestamp_seconds", "when policies last came into force by a reload", value=status.swapped.timestamp())
