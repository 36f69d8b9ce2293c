"""A policy engine in front of DICOM archives and AWS HealthImaging.

    gate = hirules.load("policies/")
    decision = gate.check(hirules.Request("c-move", subject={"ae_title": "RES_1"}, request={"MoveDestination": "NOWHERE"}))

``hirules.healthimaging.guard(client, gate)`` decides the calls of a boto3 client; ``hirules.dimse`` is the gateway.
Plugins: the entry-point group ``hirules``, ``from hirules import hookimpl``.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hirules import dimse, healthimaging
    from hirules.assemble import load
    from hirules.gate import Gate
    from hirules.hooks import Facts, hookimpl
    from hirules.model.actions import Action
    from hirules.model.attributes import Attribute
    from hirules.model.decision import Decision
    from hirules.model.identity import Identity, StatedIdentity
    from hirules.model.request import Request
    from hirules.policy.findings import Finding, PolicyError
    from hirules.policy.verdict import Verdict

try:
    __version__ = version("hirules")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"

# found when first asked for: `import hirules` costs nothing, boto3 and pynetdicom are loaded by who uses them
_WHERE = {
    "Action": "hirules.model.actions",
    "Attribute": "hirules.model.attributes",
    "Decision": "hirules.model.decision",
    "Facts": "hirules.hooks",
    "Finding": "hirules.policy.findings",
    "Gate": "hirules.gate",
    "Identity": "hirules.model.identity",
    "PolicyError": "hirules.policy.findings",
    "Request": "hirules.model.request",
    "StatedIdentity": "hirules.model.identity",
    "Verdict": "hirules.policy.verdict",
    "hookimpl": "hirules.hooks",
    "load": "hirules.assemble",
}
_PACKAGES = ("dimse", "healthimaging")

__all__ = [
    "Action", "Attribute", "Decision", "Facts", "Finding", "Gate", "Identity", "PolicyError", "Request", "StatedIdentity", "Verdict", "__version__",
    "dimse", "healthimaging", "hookimpl", "load",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
    elif name in _PACKAGES:
        value = importlib.import_module(f"hirules.{name}")
    else:
        raise AttributeError(f"module `hirules` has no attribute `{name}`")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
