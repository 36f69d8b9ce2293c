"""OpenTelemetry: a span for each decision, with its action, effect and rules, and nothing that a request brought."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING

from hirules.facts import Answer
from hirules.model.decision import Decision
from hirules.settings import TraceSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

_RULES = 16
"""Of one decision, in its span."""


class Traces:
    """An observer of a gate."""

    def __init__(self, processor: SpanProcessor, share: float = 1.0) -> None:
        """Raises ``ImportError`` without the extra ``otel``."""
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

        self._provider = TracerProvider(resource=Resource.create({"service.name": "hirules"}), sampler=TraceIdRatioBased(share), shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("hirules", version("hirules"))

    def decided(self, decision: Decision, seconds: float) -> None:
        """As :class:`hirules.gate.Observer`."""
        ended = time.time_ns()
        action = decision.effective.action
        span = self._tracer.start_span(
            f"decide {action}",
            start_time=ended - int(seconds * 1e9),
            attributes={
                "hirules.action": action,
                "hirules.effect": "allow" if decision.allowed else "deny",
                "hirules.rules": decision.by[:_RULES],
                "hirules.rewritten": bool(decision.rewritten),
                "hirules.errors": len(decision.errors),
                "hirules.policies": decision.policies,
                "hirules.request": decision.id,
            },
        )
        span.end(end_time=ended)

    def completed(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        """Not told: a span ends with its decision."""

    def looked_up(self, answer: Answer) -> None:
        """Not told: its time is within that of the decision."""

    def not_recorded(self) -> None:
        """Not told: the decision's errors are."""

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def traces_of(settings: TraceSettings) -> Traces:
    """Spans are sent by OTLP over HTTP, in batches, by a thread of OpenTelemetry's. Raises ``ImportError`` without the extra ``otel``."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    return Traces(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.endpoint)), settings.share)
