"""The pytest fixture ``hirules_gate``: policies and plugins in a project's own tests (docs/testing.md).

It is known to every pytest of the environment, so nothing of hirules is imported until a test asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hirules.gate import Gate

GateOf = Callable[..., "Gate"]


@pytest.fixture
def hirules_gate() -> Iterator[GateOf]:
    """Makes gates of policy sets: ``hirules_gate(path, *, plugins=(), now=None)``.

    ``path``     the set's folder
    ``plugins``  names of installed plugins, or objects
    ``now``      the time of the requests that do not bring one in ``context.now``: a ``datetime`` or RFC 3339 text, with offset. Without it
                 the clock of the machine

    Nothing is recorded, and the gate is closed after the test. Raises ``PolicyError`` with every finding, and ``ValueError`` for a time without offset.
    """
    with ExitStack() as gates:

        def make(path: str | os.PathLike[str], *, plugins: Iterable[str | object] = (), now: datetime | str | None = None) -> Gate:
            from hirules.assemble import build
            from hirules.gate import now_of_caller
            from hirules.settings import Settings

            moment = datetime.fromisoformat(now) if isinstance(now, str) else now
            if moment is not None and moment.tzinfo is None:
                raise ValueError("`now` has no offset")
            clock = now_of_caller if moment is None else lambda request: now_of_caller(request) if "now" in request.context else moment
            gate = build(path, Settings(), plugins=plugins, now=clock)
            gates.callback(gate.close)
            return gate

        yield make
