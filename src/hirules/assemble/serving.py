"""A gateway that is ready to start."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path

import msgspec

from hirules.assemble.access import access_of
from hirules.assemble.gates import build
from hirules.assemble.health import Health, Page, text
from hirules.assemble.metrics import Metrics
from hirules.assemble.traces import Traces, traces_of
from hirules.dimse.archive import Archive
from hirules.dimse.demands import demanded
from hirules.dimse.lookup import Archives
from hirules.dimse.options import Options
from hirules.dimse.server import Gateway
from hirules.gate import Gate
from hirules.policy.findings import Finding, PolicyError
from hirules.settings import DimseSettings, Settings, address, endpoint


class Serving(msgspec.Struct, frozen=True):
    """A gateway that is ready to start, and what it stands on."""

    gate: Gate
    gateway: Gateway
    options: Options
    archives: Archives
    archive: Archive | None = None
    health: Health | None = None
    traces: Traces | None = None

    def start(self) -> tuple[str, int]:
        """Listen, and answer where; the embedded upstream may deliver there."""
        host, port = self.gateway.start()
        if self.archive is not None:
            here = "127.0.0.1" if host == "0.0.0.0" else "::1" if host == "::" else host
            self.archive.knows(self.options.move_ae_title or self.options.ae_title, here, port)
        return host, port

    def reload(self) -> None:
        """Look at the policies now, changed or not; a set without errors comes into force when it is ready."""
        if self.gate.reloader is not None:
            self.gate.reloader.check()

    def close(self) -> None:
        """Let go of the page for operators, of the look-ups, of the archive and of the record."""
        if self.health is not None:
            self.health.stop()
        if self.traces is not None:
            self.traces.close()
        self.archives.close()
        if self.archive is not None:
            self.archive.stop()
        self.gate.close()


def serving(settings: Settings, *, plugins: Iterable[str | object] = ()) -> Serving:
    """The gateway of ``settings``, which name policies and both sides. Raises :class:`PolicyError`, also for what it could not enforce."""
    if settings.policies is None or settings.dimse is None:
        raise ValueError("a gateway needs `policies` and `dimse`")
    added = tuple(plugins)
    access = access_of(settings, added)
    gate = build(settings.policies, settings, plugins=added, reload="watch" if settings.reload else "asked", enforced=True)
    dimse = settings.dimse
    archive, upstream = None, dimse.upstream
    if upstream.startswith("embedded:"):
        archive, upstream = _embedded(gate, upstream.removeprefix("embedded:"), dimse)
    options = demanded(dimse.options(endpoint(upstream)), gate)
    archives = Archives(options, settings.facts.deadline, connect=access.ask)

    gateway = Gateway(gate, options, archives.of, access)
    health, traces = _observed(settings, gate, gateway)
    return Serving(gate, gateway, options, archives, archive, health, traces)


def _observed(settings: Settings, gate: Gate, gateway: Gateway) -> tuple[Health | None, Traces | None]:
    """Who watches: the page for operators and the tracer, where they are configured. What cannot be had is told, and the gate closed."""
    try:
        traces = traces_of(settings.traces) if settings.traces is not None else None
        if settings.http is None:
            gate.observers = () if traces is None else (traces,)
            return None, traces
        metrics = Metrics(gate, gateway)
        gate.observers = (metrics,) if traces is None else (metrics, traces)
        return Health(address(settings.http), pages(gateway, metrics)), traces
    except ImportError as error:
        gate.close()
        raise PolicyError([Finding("configuration", 1, 1, "access", f"`traces` needs `{error.name}`", hint="pip install 'hirules[otel]'")]) from error
    except OSError as error:
        gate.close()
        raise PolicyError([Finding("configuration", 1, 1, "access", f"`http`: cannot listen: {(error.strerror or str(error)).lower()}")]) from error


def pages(gateway: Gateway, metrics: Metrics) -> dict[str, Page]:
    """/livez, /readyz and /metrics.

    Ready is who accepts associations: not while it drains. Whether the archive answers is no part of it: it makes associations fail one by one,
    with a reason, where an absent gateway would give none.
    """

    def told(holds: bool, otherwise: str) -> tuple[HTTPStatus, str, bytes]:
        return text(HTTPStatus.OK, "ok") if holds else text(HTTPStatus.SERVICE_UNAVAILABLE, otherwise)

    return {
        "/livez": lambda: told(gateway.alive, "the listener has died"),
        "/readyz": lambda: told(gateway.ready, "no associations are accepted"),
        "/metrics": lambda: (HTTPStatus.OK, metrics.content_type, metrics.page()),
    }


def _embedded(gate: Gate, folder: str, dimse: DimseSettings) -> tuple[Archive, str]:
    if not Path(folder).is_dir():
        gate.close()
        raise PolicyError([Finding(folder, 1, 1, "unreadable", f"`{folder}` is no folder")])
    destinations = {peer.ae_title: (peer.host, peer.port) for peer in map(endpoint, dimse.destinations.values())}
    archive = Archive(folder, "ARCHIVE", destinations)
    host, port = archive.start()
    return archive, f"ARCHIVE@{host}:{port}"
