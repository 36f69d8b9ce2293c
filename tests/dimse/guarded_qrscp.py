"""pynetdicom's own archive, ``qrscp``, as it is, with its handlers guarded.

python guarded_qrscp.py POLICIES AUDIT [qrscp's arguments]
"""

from __future__ import annotations

import sys
from typing import Any

from pynetdicom import AE
from pynetdicom.apps.qrscp import qrscp

import hirules


class Guarded(AE):
    """Guards whatever handlers it is started with."""

    def start_server(self, address: Any, *, evt_handlers: Any, **more: Any) -> Any:  # type: ignore[override]
        gate = hirules.load(sys.argv[1], audit=sys.argv[2])
        return super().start_server(address, evt_handlers=hirules.dimse.guard(evt_handlers, gate), **more)


if __name__ == "__main__":
    application: Any = qrscp
    application.AE = Guarded
    application.main(sys.argv[3:])
