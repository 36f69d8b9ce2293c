"""The engines that are compared. A new one is one entry in :data:`ENGINES`.

An entry names a function of a module; the module is imported when the engine is opened, so an engine whose package is
not installed is reported as not available, with the reason, and the others run.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.workload import Query, Workload


def nothing() -> None:
    """Most engines hold nothing that has to be closed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine with the rules loaded.

    ``prepare``  a request in the form that the engine takes; not timed
    ``decide``   request in, decision out; timed
    ``allowed``  whether that decision allows; not timed
    ``close``    ends what the engine started
    """

    prepare: Callable[[Query], Any]
    decide: Callable[[Any], Any]
    allowed: Callable[[Any], bool]
    close: Callable[[], None] = nothing


@dataclass(frozen=True, slots=True)
class Engine:
    """``open`` is ``module:function``, which takes a workload and answers :class:`Opened`.

    ``needs`` is the distribution on PyPI, or ``npm:NAME``, whose ``client`` is one; empty for hirules itself. ``sliced`` says that the
    application, not the engine, picks the rules of the action and the calling AE title before it asks.
    """

    name: str
    open: str
    needs: str = ""
    client: str = ""
    sliced: bool = False

    @property
    def ours(self) -> bool:
        """One of hirules' own."""
        return not self.needs


class NotAvailable(Exception):
    """The engine cannot run here; the message says why."""


ENGINES: tuple[Engine, ...] = (
    Engine("hirules, indexed", "benchmarks.ours:indexed"),
    Engine("hirules, gate.check", "benchmarks.ours:gate"),
    Engine("hirules, reference", "benchmarks.ours:reference"),
    Engine("Rego (regorus)", "benchmarks.peers.rego:keyed", "gordon-to-regorus"),
    Engine("casbin, FastEnforcer", "benchmarks.peers.casbin:fast", "casbin"),
    Engine("casbin, standard", "benchmarks.peers.casbin:standard", "casbin"),
    Engine("CLIPS", "benchmarks.peers.clips:rules", "clipspy"),
    Engine("zen, decision table", "benchmarks.peers.zen:table", "zen-engine"),
    Engine("Cedar, one policy set", "benchmarks.peers.cedar:whole", "cedarpy"),
    Engine("Cedar, sliced", "benchmarks.peers.cedar:sliced", "cedarpy", sliced=True),
    Engine("CEL, one program", "benchmarks.peers.cel:whole", "common-expression-language"),
    Engine("CEL, sliced", "benchmarks.peers.cel:sliced", "common-expression-language", sliced=True),
    Engine("Cerbos, gRPC", "benchmarks.peers.cerbos:served", "npm:cerbos", "cerbos"),
)


Opener = Callable[[Workload], Opened]


def load(engine: Engine, workload: Workload) -> Opened:
    """``engine`` with the rules of ``workload``; :class:`NotAvailable` where its package is not there."""
    return opener(engine)(workload)


def opener(engine: Engine) -> Opener:
    """What opens ``engine``, its package imported; :class:`NotAvailable` where that is not there."""
    module, _, function = engine.open.partition(":")
    try:
        found: Opener = getattr(importlib.import_module(module), function)
    except ImportError as missing:
        raise NotAvailable(f"`{missing.name}` is not installed") from missing
    return found
