"""An engine in a process of its own: its answers come through, and so does whatever goes wrong; no process stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import decisions
from benchmarks.alone import Alone, Ended
from benchmarks.engines import Engine, NotAvailable, Opened
from benchmarks.machine import mebibytes
from benchmarks.workload import Query, Workload

HOLDS = 64


def level(workload: Workload) -> Opened:
    return Opened(lambda query: query, lambda query: query, lambda query: query.level is not None)


def pid(workload: Workload) -> Opened:
    """Allows where the request is decided in another process than this test's, which the workload cannot say."""
    return Opened(lambda query: query, lambda query: os.getpid(), lambda found: found != int(os.environ["TEST_OF_ALONE"]))


def holding(workload: Workload) -> Opened:
    held = bytearray(os.urandom(1)) * (HOLDS << 20)
    return Opened(lambda query: query, lambda query: held[0], lambda found: True)


def unavailable(workload: Workload) -> Opened:
    raise NotAvailable("its server is not here")


def unreadable(workload: Workload) -> Opened:
    raise ValueError("it has no form for these rules")


def failing(workload: Workload) -> Opened:
    def decide(query: Query) -> bool:
        raise ValueError("it does not know that level")

    return Opened(lambda query: query, decide, bool)


def dying(workload: Workload) -> Opened:
    def decide(query: Query) -> bool:
        os.kill(os.getpid(), signal.SIGKILL)
        return True

    return Opened(lambda query: query, decide, bool)


def serving(workload: Workload) -> Opened:
    """Starts a process of its own, as Cerbos does, and dies without ending it."""
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["TEST_OF_ALONE"]).write_text(str(server.pid))
    return Opened(lambda query: query, lambda query: time.sleep(600), bool, server.kill)


def engine(opener: Callable[[Workload], Opened]) -> Engine:
    return Engine(opener.__name__, f"{__name__}:{opener.__name__}", "a-peer")


def test_a_turn_is_taken_in_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_OF_ALONE", str(os.getpid()))
    alone = Alone(engine(pid), 10, 20)
    try:
        done = alone.turn([3, 1, 4], 0, 10)
    finally:
        alone.close()
    assert done.allowed == [True, True, True]
    assert len(done.times) == 3
    assert alone.load.seconds > 0


def test_memory_is_what_loading_took() -> None:
    for opener, least, most in ((level, -1, HOLDS / 2), (holding, HOLDS - 1, 2 * HOLDS)):
        alone = Alone(engine(opener), 10, 20)
        alone.close()
        assert least < alone.load.mebibytes < most


def test_memory_counts_what_was_started() -> None:
    before = mebibytes()
    with subprocess.Popen(
        [sys.executable, "-c", "held = bytearray(b'x') * (64 << 20); print('held', flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        assert mebibytes() - before > HOLDS
        other.communicate(b"\n")


def test_an_engine_that_is_not_available_says_why() -> None:
    with pytest.raises(NotAvailable, match="its server is not here"):
        Alone(engine(unavailable), 10, 20)


def test_what_goes_wrong_in_the_process_is_told() -> None:
    with pytest.raises(Ended, match=r"(?s)unreadable: .*ValueError: it has no form for these rules"):
        Alone(engine(unreadable), 10, 20)


@pytest.mark.parametrize(("opener", "told"), [(failing, "(?s)failing: .*ValueError: it does not know that level"), (dying, "dying: its process ended with -9")])
def test_a_run_ends_with_an_engine_that_does(opener: Callable[[Workload], Opened], told: str) -> None:
    """It says which and why, and the other engines' processes end, too."""
    with pytest.raises(Ended, match=told):
        decisions.run([10], rounds=1, seconds=10, engines=[engine(level), engine(opener)], say=lambda line: None)
    assert not _children()


def test_a_process_that_hangs_is_killed_with_what_it_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.alone.SECONDS_TO_ANSWER", 5)
    monkeypatch.setattr("benchmarks.alone.SECONDS_TO_END", 0.5)
    monkeypatch.setenv("TEST_OF_ALONE", str(tmp_path / "pid"))
    alone = Alone(engine(serving), 10, 20)
    server = int((tmp_path / "pid").read_text())
    assert _runs(server)
    with pytest.raises(Ended, match="serving: no answer within 5 s"):
        alone.turn([0], 0, 10)
    alone.close()
    deadline = time.monotonic() + 30
    while _runs(server):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _children() -> list[int]:
    """The processes with this one as their parent that run engines."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"benchmarks import alone" in (folder / "cmdline").read_bytes() and f"PPid:\t{os.getpid()}\n" in (folder / "status").read_text():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _runs(process: int) -> bool:
    """Whether it is there and no zombie."""
    try:
        return ") Z " not in (Path("/proc") / str(process) / "stat").read_text()
    except OSError:
        return False
