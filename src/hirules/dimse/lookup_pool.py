"""The associations on which archives are asked: few, kept for a moment, and none of them a thread's.

    find ─▶ an idle association of this node and title, else a new one, else wait ─▶ back to the idle ones, or aborted

Rule: at most ``size`` associations exist. Whoever waits for one does so until its own deadline. Idle ones are released after
``idle`` seconds by a thread that lives only as long as there are any.
"""

from __future__ import annotations

import threading
import time

from hirules.dimse.lookup_scu import Connect, Gone, Node, NotAnswered, QueryAssociation, connect
from hirules.facts import LookupFailed

_AVOIDED = 10.0
"""Seconds that a node which did not answer comes after those that may."""

Key = tuple[Node, str]
"""The node, and the AE title under which it is asked: an archive may show each title something else."""


class Pool:
    """See the module's own page. ``connect`` makes the connections."""

    def __init__(self, size: int = 8, idle: float = 5.0, connect: Connect = connect) -> None:
        self._size = size
        self._idle_seconds = idle
        self._connect = connect
        self._changed = threading.Condition()
        self._count = 0
        self._idle: list[tuple[float, Key, QueryAssociation]] = []
        """The oldest first."""
        self._reaper: threading.Thread | None = None
        self._away: dict[Node, float] = {}
        self._closed = False

    def find(self, node: Node, calling: str, sop_class: str, identifier: bytes, limit: int, deadline: float) -> list[bytes]:
        """The data sets of all matches. Raises :class:`LookupFailed`."""
        key = (node, calling)
        try:
            while True:
                association, reused = self._taken(key, deadline)
                try:
                    found = association.find(sop_class, identifier, limit, deadline)
                except Gone:
                    # it was idle, and the archive may have ended it just now
                    if not reused:
                        raise
                    continue
                finally:
                    self._give(key, association)
                self._away.pop(node, None)
                return found
        except NotAnswered:
            self._away[node] = time.monotonic() + _AVOIDED
            raise

    def ordered(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """``nodes`` in the order in which to ask them: those that lately did not answer last."""
        now = time.monotonic()
        return tuple(sorted(nodes, key=lambda node: self._away.get(node, 0.0) > now))

    def close(self) -> None:
        """Release what is idle; what is in use ends with its question."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._release(time.monotonic() + self._idle_seconds + 1)

    def _taken(self, key: Key, deadline: float) -> tuple[QueryAssociation, bool]:
        """An association for ``key``, and whether it was used before."""
        while True:
            idle = self._reserved(key, deadline)
            if idle is None:
                break
            if not idle.stale():
                return idle, True
            self._drop(idle)
        try:
            return QueryAssociation.open(key[0], key[1], deadline, self._connect), False
        except BaseException:
            self._let_go()
            raise

    def _reserved(self, key: Key, deadline: float) -> QueryAssociation | None:
        """An idle association, or ``None`` and the right to make one. Raises :class:`LookupFailed`."""
        while True:
            other: QueryAssociation | None = None
            with self._changed:
                while True:
                    if self._closed:
                        raise LookupFailed("the gateway is ending")
                    for at in range(len(self._idle) - 1, -1, -1):
                        if self._idle[at][1] == key:
                            return self._idle.pop(at)[2]
                    if self._count < self._size:
                        self._count += 1
                        return None
                    if self._idle:
                        other = self._idle.pop(0)[2]
                        break
                    if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                        raise LookupFailed("no association to the archive is free")
            # of another node or title: it makes room
            self._drop(other)

    def _give(self, key: Key, association: QueryAssociation) -> None:
        if not association.usable:
            self._drop(association)
            return
        with self._changed:
            if not self._closed:
                self._idle.append((time.monotonic() + self._idle_seconds, key, association))
                self._changed.notify()
                self._watch()
                return
        self._drop(association)

    def _drop(self, association: QueryAssociation) -> None:
        association.abort()
        self._let_go()

    def _let_go(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify()

    def _watch(self) -> None:
        if self._reaper is None:
            thread = threading.Thread(target=self._reap, name="look-up associations", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # no more threads: the next one to become idle tries again
            self._reaper = thread

    def _reap(self) -> None:
        """Release idle associations as their time comes, until there is none."""
        while True:
            with self._changed:
                if self._closed or not self._idle:
                    self._reaper = None
                    return
                left = self._idle[0][0] - time.monotonic()
            if left > 0:
                time.sleep(left)
            self._release(time.monotonic())

    def _release(self, now: float) -> None:
        with self._changed:
            due = [association for until, _, association in self._idle if until <= now]
            self._idle = [each for each in self._idle if each[0] > now]
        for association in due:
            association.release()
            self._let_go()
