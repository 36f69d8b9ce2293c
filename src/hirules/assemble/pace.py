"""Working beside threads that must answer: a little, then a rest in which they run.

CPython lets one thread run at a time. One that computes keeps the others waiting for the interpreter's switch interval (5 ms), and
longer within one call into C. So what a reload has to do here is done in slices: work for about a millisecond, then sleep, which
hands the interpreter over. The switch interval itself is left alone: it belongs to the whole process.
"""

from __future__ import annotations

import time
from collections.abc import Callable

WORK = 0.0008
REST = 0.001
"""Seconds."""


class Pace:
    """Called between small steps, each well below a millisecond: rests where it is time. ``stopped`` ends the work by :class:`Stopped`."""

    def __init__(self, stopped: Callable[[], bool] = lambda: False) -> None:
        self._stopped = stopped
        self._begun = time.perf_counter()

    def __call__(self) -> None:
        """Rest, where the slice is used up."""
        if time.perf_counter() - self._begun >= WORK:
            self.rest()

    def rest(self) -> None:
        """Let others run, now."""
        if self._stopped():
            raise Stopped
        time.sleep(REST)
        self._begun = time.perf_counter()


class Stopped(Exception):
    """Nobody waits for the work any more."""
