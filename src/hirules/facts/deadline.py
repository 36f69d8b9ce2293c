"""A call that answers in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


class LookupFailed(Exception):
    """A look-up that gave no answer. Its text goes to the record: lower case, no values of the request."""


class Deadline:
    """Runs calls on threads of their own and waits ``seconds`` for each.

    A call that is not back by then goes on without anyone listening; at most ``outstanding`` such
    calls exist, and beyond that every further one fails at once instead of piling up.
    """

    def __init__(self, seconds: float, outstanding: int = 64) -> None:
        self._seconds = seconds
        self._slots = threading.BoundedSemaphore(outstanding)

    def call(self, name: str, function: Callable[[], Answer]) -> Answer:
        """``function()``, or :class:`LookupFailed` when it is late. What it raises is raised here."""
        if not self._slots.acquire(blocking=False):
            raise LookupFailed("too many look-ups are waiting for an answer")
        answers: list[Answer] = []
        errors: list[BaseException] = []
        done = threading.Event()

        def run() -> None:
            try:
                answers.append(function())
            except BaseException as error:  # noqa: BLE001 - handed to the thread that asked, which raises it
                errors.append(error)
            finally:
                self._slots.release()
                done.set()

        try:
            # a daemon: a look-up that hangs does not keep the process from ending
            threading.Thread(target=run, name=f"look-up by {name}", daemon=True).start()
        except RuntimeError as error:
            self._slots.release()
            raise LookupFailed("no thread could be started for the look-up") from error
        if not done.wait(self._seconds):
            raise LookupFailed(f"no answer within {self._seconds:g} s")
        if errors:
            raise errors[0]
        return answers[0]
