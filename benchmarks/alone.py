"""An engine in a process of its own: opened there, and asked in turns that are commanded over a pipe.

    parent  Alone(engine, size, count) ──▶ turn(numbers, cost, seconds) ──▶ … ──▶ close()
    child   load, prepare, collect, freeze ─▶ sleeps in a read ─▶ a turn ─▶ sleeps …, until the pipe is closed

So each engine has its memory and its caches to itself, as where it is deployed: beside others in one process its objects lie scattered
among theirs. A child ends with its parent, whatever ends that.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
import traceback
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import TypeVar

from benchmarks.engines import Engine, NotAvailable, opener
from benchmarks.machine import mebibytes
from benchmarks.measure import Turn, turn
from benchmarks.workload import generate

Answer = TypeVar("Answer")

SECONDS_TO_ANSWER = 600
"""No command takes longer; a child that does hangs."""
SECONDS_TO_END = 15
"""Then a child is killed, with what it started."""


class Ended(Exception):
    """A child ended, or hangs, where it should have answered; the message says what it said."""


@dataclass(frozen=True, slots=True)
class Load:
    """What it took to open the engine, requests in its form and all, and the memory that the rules hold, its library not counted."""

    seconds: float
    mebibytes: float


@dataclass(frozen=True, slots=True)
class Order:
    """A turn over the requests of these numbers; see :func:`benchmarks.measure.turn`."""

    numbers: array[int]
    cost: int
    seconds: float


class Alone:
    """The child of ``engine`` with the first ``count`` requests of the workload of ``size`` rules, open; ``load`` is what that took.

    Raises :class:`~benchmarks.engines.NotAvailable` where the engine is, and :class:`Ended`.
    """

    def __init__(self, engine: Engine, size: int, count: int) -> None:
        self.engine = engine
        self._pipe, theirs = Pipe()
        child = f"from benchmarks import alone; alone.work({theirs.fileno()})"
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", child],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # to be killed with what it started; Ctrl-C is the parent's, which closes the pipe
            )
        try:
            self.load = self._ask((engine, size, count), Load)
        except BaseException:
            self.close()
            raise

    def turn(self, numbers: Sequence[int], cost: int, seconds: float) -> Turn:
        """A turn in the child."""
        return self._ask(Order(array("L", numbers), cost, seconds), Turn)

    def close(self) -> None:
        """End the child: it closes its engine and ends when the pipe is closed, or it is killed."""
        self._pipe.close()
        try:
            self._process.wait(SECONDS_TO_END)
        except BaseException as stopped:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            if not isinstance(stopped, subprocess.TimeoutExpired):
                raise

    def _ask(self, command: object, kind: type[Answer]) -> Answer:
        try:
            self._pipe.send(command)
            answer = self._pipe.recv() if self._pipe.poll(SECONDS_TO_ANSWER) else f"no answer within {SECONDS_TO_ANSWER} s"
        except (EOFError, OSError):
            answer = f"its process ended with {self._process.wait(SECONDS_TO_END)}"
        if isinstance(answer, NotAvailable):
            raise answer
        if not isinstance(answer, kind):
            raise Ended(f"{self.engine.name}: {answer}")
        return answer


def work(file: int) -> None:
    """The child: answers what comes through the pipe ``file`` until it is closed. What goes wrong is an answer, as text, and the last one."""
    with Connection(file) as pipe:
        try:
            _serve(pipe)
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return  # the parent has closed it, or is no more
        except NotAvailable as reason:
            pipe.send(reason)
        except Exception:  # noqa: BLE001 - whatever an engine raises is told to the parent
            pipe.send(traceback.format_exc())


def _serve(pipe: Connection) -> None:
    engine, size, count = pipe.recv()
    workload = generate(size, count)
    openers = opener(engine)
    before, begin = mebibytes(), time.perf_counter()
    opened = openers(workload)
    try:
        requests = [opened.prepare(query) for query in workload.queries]
        seconds = time.perf_counter() - begin
        del workload
        gc.collect()
        gc.freeze()  # what loading made is not looked through again: as a server does, and for all engines alike
        pipe.send(Load(seconds, mebibytes() - before))
        while True:
            order = pipe.recv()
            pipe.send(turn(opened.decide, opened.allowed, (requests[number] for number in order.numbers), order.cost, order.seconds))
    finally:
        opened.close()
