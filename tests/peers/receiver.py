"""A destination of C-MOVEs in this process: a pynetdicom SCP of every storage class, which does what a test says with each instance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt

from tests.peers.process import HOST


class Receiver:
    """``store`` gets the event of each C-STORE and answers its status. ``strict``: it takes only who calls it by ``title``."""

    def __init__(self, title: str, store: Callable[[Any], int], *, associations: int = 10, strict: bool = False) -> None:
        entity = AE(ae_title=title)
        entity.require_called_aet = strict
        entity.maximum_associations = associations
        entity.network_timeout = 60
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
        server = entity.start_server((HOST, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
        assert server is not None
        assert server.socket is not None
        self._server = server
        self.port = int(server.socket.getsockname()[1])

    def stop(self) -> None:
        """Take nothing more."""
        self._server.shutdown()
