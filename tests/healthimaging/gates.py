"""A gate for tests: a function decides; what was asked and what became of it is kept."""

from collections.abc import Callable, Mapping
from typing import Any

from hirules.model.decision import Decision
from hirules.model.request import Request, replaced


class FunctionGate:
    def __init__(self, decide: Callable[[Request], Decision] | None = None) -> None:
        self.decide = decide or allow
        self.requests: list[Request] = []
        self.outcomes: list[dict[str, object]] = []

    def check(self, request: Request) -> Decision:
        self.requests.append(request)
        return self.decide(replaced(request, id=f"request-{len(self.requests)}"))

    def complete(self, decision: Decision, outcome: Mapping[str, object]) -> None:
        self.outcomes.append({"id": decision.id, **outcome})


def allow(request: Request) -> Decision:
    return Decision("allow", request)


def deny(request: Request) -> Decision:
    return Decision("deny", request, by=("policy/rule",), reason="not here")


def hide(request: Request) -> Decision:
    return Decision("deny", request, by=("policy/rule",), no_match=True)


def rewriting(**changes: Any) -> Callable[[Request], Decision]:
    """Allows with other parameters."""

    def decide(request: Request) -> Decision:
        effective = replaced(request, request={**request.request, **changes})
        return Decision("allow", effective, rewritten={f"request.{name}": value for name, value in changes.items()})

    return decide
