"""How many: associations of each caller, which are limited, and what the metrics tell of all of them.

No caller is named outside of it: its AE title is what a stranger chose.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec

Cause = Literal["limit", "tls", "timeout", "malformed", "title", "identity", "policy", "upstream", "client"]
"""Why a connection became no association."""
Side = Literal["client", "upstream", "destination"]


class Counts(msgspec.Struct, frozen=True):
    """As they are at one moment: ``connections`` and ``associations`` now, the others since the start. ``received`` is bytes, by who sent them."""

    connections: int
    associations: int
    made: int
    rejected: Mapping[str, int]
    received: Mapping[str, int]


class Tally:
    """Thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._addresses, self._titles = Counter[str](), Counter[str]()
        self._associations = self._made = 0
        self._rejected = Counter[str]()
        self._received = Counter[str]()

    def arrives(self, address: str, limit: int) -> bool:
        """A connection from ``address``: whether it is one of at most ``limit``. If so it :meth:`leaves` once."""
        return self._enters(self._addresses, address, limit)

    def leaves(self, address: str) -> None:
        """It is closed."""
        self._gone(self._addresses, address)

    def admits(self, title: str, limit: int) -> bool:
        """An association of the AE title: whether it is one of at most ``limit``. If so it is :meth:`dismissed` once."""
        return self._enters(self._titles, title.upper(), limit)

    def dismissed(self, title: str) -> None:
        """It is over, or was not made."""
        self._gone(self._titles, title.upper())

    def made(self) -> None:
        """An association was accepted; it is :meth:`ended` once."""
        with self._lock:
            self._made += 1
            self._associations += 1

    def ended(self) -> None:
        """It is over."""
        with self._lock:
            self._associations -= 1

    def rejected(self, cause: Cause) -> None:
        """A connection became no association."""
        with self._lock:
            self._rejected[cause] += 1

    def received(self, side: Side, size: int) -> None:
        """``size`` bytes came from ``side``."""
        with self._lock:
            self._received[side] += size

    def counts(self) -> Counts:
        """As they are now."""
        with self._lock:
            return Counts(self._addresses.total(), self._associations, self._made, dict(self._rejected), dict(self._received))

    def _enters(self, callers: Counter[str], caller: str, limit: int) -> bool:
        with self._lock:
            if callers[caller] >= limit:
                return False
            callers[caller] += 1
            return True

    def _gone(self, callers: Counter[str], caller: str) -> None:
        with self._lock:
            callers[caller] -= 1
            if callers[caller] <= 0:
                del callers[caller]  # else it would grow with every address that ever came
