"""A program that serves: started on a free port, its output kept in a file, stopped for certain."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
ATTEMPTS = 5
"""How often a server is started anew when another program was quicker on its port."""


class PeerFailed(Exception):
    """A peer is not installed, or did not do what it was started for."""


def program(path: str) -> str:
    """``path``, which exists. The full path, since pynetdicom installs scripts under the names of DCMTK's programs."""
    if not os.access(path, os.X_OK):
        raise PeerFailed(f"`{path}` is not installed: run `make peers`")
    return path


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass
class Server:
    """A running program."""

    aet: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    folder: Path
    started: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """``AET@HOST:PORT``, as the command line of hirules takes it."""
        return f"{self.aet}@{HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """The program has not ended."""
        return self.process.poll() is None

    def text(self) -> str:
        """All that the program has printed until now."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Waits until ``condition`` holds. Raises :class:`PeerFailed` with the end of the log."""
        end = time.monotonic() + seconds
        while not condition():
            if not self.running:
                raise PeerFailed(f"{self.process.args!r} ended with {self.process.returncode} before {what}:\n{self.text()[-3000:]}")
            if time.monotonic() > end:
                raise PeerFailed(f"{self.process.args!r}: no {what} after {seconds} s:\n{self.text()[-3000:]}")
            time.sleep(0.02)

    def stop(self, seconds: float = 30) -> int:
        """Ends the program and all that it forked, and waits for it. Answers its exit code."""
        if self.running:
            self.process.terminate()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self._kill_group()
        self.process.wait(seconds)
        return code

    def _kill_group(self) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # nothing is left of the group, which is what was wanted


def start(
    aet: str,
    folder: Path,
    command: Callable[[int], Sequence[str | Path]],
    ready: Callable[[Server], bool],
    *,
    environment: dict[str, str] | None = None,
    port: int | None = None,
    seconds: float = 60,
) -> Server:
    """Starts ``command(port)`` on a free port (or the given one), and waits until it is ``ready``."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "log.txt"
    failure: PeerFailed | None = None
    for _ in range(1 if port else ATTEMPTS):
        chosen = port or free_port()
        arguments = [str(argument) for argument in command(chosen)]
        with log.open("wb") as output:
            # TCP_NODELAY is read by DCMTK, and so by Orthanc: without it each message may wait 40 ms.
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"TCP_NODELAY": "1"} | (environment or {}),
                cwd=folder,
                start_new_session=True,
            )
        server = Server(aet, chosen, process, log, folder)
        try:
            server.wait_for(lambda server=server: ready(server), "answer", seconds)  # type: ignore[misc]
        except PeerFailed as error:
            ended_by_itself = not server.running
            server.stop()
            failure = error
            if not ended_by_itself:
                break
        else:
            return server
    assert failure is not None
    raise failure


def listening(server: Server) -> bool:
    """Something accepts connections on the server's port."""
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex((HOST, server.port)) == 0
