"""A gateway that is ready to start."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from hirules.assemble.enforceable import not_enforceable
from hirules.assemble.gates import build
from hirules.dimse.archive import Archive
from hirules.dimse.options import Options
from hirules.dimse.server import Gateway
from hirules.gate import Gate
from hirules.policy.ast import PolicySet
from hirules.policy.findings import Finding, PolicyError
from hirules.settings import DimseSettings, Settings, endpoint


class Serving(msgspec.Struct, frozen=True):
    """A gateway that is ready to start, and what it stands on."""

    gate: Gate
    gateway: Gateway
    options: Options
    archive: Archive | None = None

    def close(self) -> None:
        """Let go of the archive and of the record."""
        if self.archive is not None:
            self.archive.stop()
        self.gate.close()


def serving(settings: Settings, *, plugins: Iterable[str | object] = ()) -> Serving:
    """The gateway of ``settings``, which name policies and both sides. Raises :class:`PolicyError`, also for what it could not enforce."""
    if settings.policies is None or settings.dimse is None:
        raise ValueError("a gateway needs `policies` and `dimse`")
    added = tuple(plugins)
    gate = build(settings.policies, settings, plugins=added)
    if findings := not_enforceable(gate.policies):
        gate.close()
        raise PolicyError(findings)
    dimse = settings.dimse
    archive, upstream = None, dimse.upstream
    if upstream.startswith("embedded:"):
        archive, upstream = _embedded(gate, upstream.removeprefix("embedded:"), dimse)
    decides = bool(settings.plugins or added) or _narrows_gets(gate.policies)
    options = msgspec.structs.replace(dimse.options(endpoint(upstream)), decide_suboperations=decides)
    return Serving(gate, Gateway(gate, options), options, archive)


def _narrows_gets(policies: PolicySet) -> bool:
    """Whether a rule could refuse, change or note a C-STORE of a permitted C-GET: then each of them is a decision of its own."""
    return any("c-store" in rule.on and rule.kind != "allow" and rule.mode != "off" for rule in policies.rules)


def _embedded(gate: Gate, folder: str, dimse: DimseSettings) -> tuple[Archive, str]:
    if not Path(folder).is_dir():
        gate.close()
        raise PolicyError([Finding(folder, 1, 1, "unreadable", f"`{folder}` is no folder")])
    destinations = {peer.ae_title: (peer.host, peer.port) for peer in map(endpoint, dimse.destinations.values())}
    archive = Archive(folder, "ARCHIVE", destinations)
    host, port = archive.start()
    return archive, f"ARCHIVE@{host}:{port}"
