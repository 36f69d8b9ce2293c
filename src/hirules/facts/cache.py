"""Answers of look-ups for the many requests of one retrieval. Failures are never kept."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Answer = TypeVar("Answer")

LONGEST = 30.0
"""Seconds that an answer may be old at most: later the archive may tell something else."""


class Cache(Generic[Answer]):
    """At most ``size`` answers, each for ``seconds``; the longest unused one goes first. Thread safe."""

    def __init__(self, seconds: float, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = min(seconds, LONGEST)
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._age = 0
        self._answers: OrderedDict[Hashable, tuple[float, Answer]] = OrderedDict()

    def get(self, key: Hashable) -> Answer | None:
        """The answer that is kept for ``key``, if it is fresh."""
        with self._lock:
            kept = self._answers.get(key)
            if kept is None:
                return None
            until, answer = kept
            if self._clock() >= until:
                del self._answers[key]
                return None
            self._answers.move_to_end(key)
            return answer

    @property
    def age(self) -> int:
        """How often it was emptied: what was asked before belongs to an earlier age."""
        return self._age

    def clear(self) -> None:
        """Forget all: the archive has changed."""
        with self._lock:
            self._age += 1
            self._answers.clear()

    def put(self, key: Hashable, answer: Answer, age: int | None = None) -> None:
        """Keep ``answer``; one that was asked for in an earlier ``age`` is not kept."""
        if self._seconds <= 0 or self._size <= 0:
            return
        with self._lock:
            if age is not None and age != self._age:
                return
            self._answers[key] = (self._clock() + self._seconds, answer)
            self._answers.move_to_end(key)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)
