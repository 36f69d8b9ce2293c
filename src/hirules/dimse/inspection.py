"""An instance on its way: collected as far as rules need it, then judged."""

from __future__ import annotations

from hirules.dimse.behind import Behind
from hirules.dimse.conversation import Outstanding
from hirules.dimse.elements import DEFLATED, Malformed, Scan
from hirules.dimse.message import Command
from hirules.dimse.outputs import Ruling
from hirules.facts.disclosed import PIXELS


class Inspection:
    """The data set of ``command``, which ``ruling`` permits and ``retrieval`` brings. ``cap``: bytes that are held of it."""

    def __init__(self, command: Command, ruling: Ruling, retrieval: Outstanding, transfer_syntax: str, whole: bool, cap: int) -> None:
        self.command = command
        self.ruling = ruling
        self.retrieval = retrieval
        self.over = False
        """Enough has come, or too much."""
        self.is_all = True
        """The header is the whole data set."""
        self._data = bytearray()
        self._cap = cap
        self._scan = None if whole or transfer_syntax == DEFLATED else Scan(transfer_syntax, PIXELS)
        self._transfer_syntax = transfer_syntax
        self.behind: Behind | None = None
        """Looks at what follows the header, once that is known."""
        self.failed = False

    def collect(self, fragment: memoryview) -> None:
        """More of it."""
        self._data += fragment
        if self._scan is not None and not self.failed:
            try:
                self.over = self._scan.advance(self._data)
            except Malformed:
                self.failed = self.over = True
        header = self._scan.header if self._scan is not None else None
        if (len(self._data) if header is None else header) > self._cap:
            self.failed = self.over = True

    def finish(self) -> None:
        """Nothing more is waited for."""
        if self._scan is not None and not self.over:
            try:
                self._scan.finish(self._data)
            except Malformed:
                self.failed = True
        if self._scan is not None and not self.failed:
            assert self._scan.header is not None
            # what lies behind may have come in part only
            self.is_all = not self.over
            self._look_behind(self._scan)

    def _look_behind(self, scan: Scan) -> None:
        self.behind = Behind(self._transfer_syntax, next(reversed(scan.elements), -1))
        try:
            self.behind.take(self.rest)
        except Malformed:
            self.failed = True

    @property
    def scan(self) -> Scan | None:
        """What was found of the header; ``None``: it was not looked for, or is malformed."""
        return None if self.failed else self._scan

    @property
    def header(self) -> bytes:
        """What is judged: nothing, which is no data set, where it is malformed or too long."""
        if self.failed:
            return b""
        end = self._scan.header if self._scan is not None else None
        return bytes(self._data[:end])

    @property
    def rest(self) -> bytes:
        """What has come behind the header."""
        return b"" if self._scan is None or self._scan.header is None else bytes(self._data[self._scan.header :])
