"""The relay benchmarks time what they say: the TCP relay relays, the archive of matches answers, every instance leaves, figures are read right."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import relay, relay_find, relay_profile, relay_report, relay_tcp, relay_wire
from benchmarks.relay_site import PLAIN
from benchmarks.relay_work import NotMeant, Work, works
from tests.peers.clients import after_meta
from tests.peers.objects import FOLDER, read
from tests.peers.process import HOST, Server


class Here(Server):
    """A server in this process, for what is asked of one."""

    def __init__(self, aet: str, port: int) -> None:
        super().__init__(aet, port, subprocess.Popen([sys.executable, "-c", ""]), Path(), Path())
        self.process.wait()


@pytest.fixture
def finder() -> Iterator[Server]:
    found = relay_find.matches(30)
    with socket.create_server((HOST, 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                relay_find.serve(client, found)

        threading.Thread(target=accept, daemon=True).start()
        yield Here("FINDER", listener.getsockname()[1])


def test_the_archive_of_matches_sends_all_of_them(finder: Server) -> None:
    command = ["/usr/bin/findscu", "-S", "-v", "-aec", "FINDER", "-k", "QueryRetrieveLevel=IMAGE", "-k", "StudyInstanceUID=1.2", HOST, str(finder.port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert (done.stdout + done.stderr).count("Find Response:") == 30
    assert "P00029" in done.stdout + done.stderr


def test_latencies_are_of_answers_that_came(finder: Server) -> None:
    assert len(relay_wire.echoes(finder)) == relay_wire.TIMES
    assert all(seconds > 0 for seconds in relay_wire.associations(finder))
    with pytest.raises(ConnectionError, match="status 0x0000"):
        relay_wire.refusals(finder, "1.2.3")  # it refuses nothing


def test_the_tcp_relay_relays_both_ways_and_ends() -> None:
    sent = bytes(range(256)) * 4096
    with socket.create_server((HOST, 0)) as upstream:

        def echo() -> None:
            peer, _ = upstream.accept()
            with peer:
                got = b""
                while piece := peer.recv(65536):
                    got += piece
                peer.sendall(got[::-1])

        threading.Thread(target=echo, daemon=True).start()
        with socket.create_server((HOST, 0)) as listener:
            near = socket.create_connection(listener.getsockname(), timeout=30)
            far, _ = listener.accept()
        threading.Thread(target=relay_tcp.serve, args=(far, upstream.getsockname()[1]), daemon=True).start()
        with near:

            def write() -> None:
                near.sendall(sent)
                near.shutdown(socket.SHUT_WR)

            writer = threading.Thread(target=write)
            writer.start()
            got = b""
            while piece := near.recv(65536):
                got += piece
            writer.join()
    assert got == sent[::-1]


def test_the_profile_is_of_instances_that_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_profile, "INSTANCES", 5)
    monkeypatch.setattr(relay_profile, "TURNS", 1)
    file = FOLDER / "CT_small.dcm"
    costs = relay_profile.run(file)
    assert [cost.way for cost in costs] == ["gateway", "header", "rewrite"]
    assert all(cost.microseconds > 0 and cost.functions for cost in costs)
    assert any("ruling.judge" in name for name, _, _ in costs[1].functions)
    withheld = "  - {id: none, on: release, when: {instance.Modality: CT}, deny: {}}\n"
    with pytest.raises(NotMeant):
        relay_profile.cost("none", PLAIN + withheld, after_meta(file.read_bytes()), read(file).uid)


def test_ratios_are_of_the_same_round_and_the_better_relay_is_the_quicker_one() -> None:
    work = Work("a C-GET", lambda site, way: 0.0, ("direct", "haproxy", "tcp", "gateway"), {"gateway": 1.2}, 1.15)
    times = {"direct": [1.0, 2.0, 4.0], "haproxy": [2.0, 2.0, 4.0], "tcp": [1.0, 4.0, 4.0], "gateway": [1.1, 2.2, 4.8]}
    lines = relay._lines(work, times)
    assert lines[3].ratios == pytest.approx((1.1, 1.1, 1.2))
    assert (lines[3].median, lines[3].ratio) == pytest.approx((2200, 1.1))
    versus = relay._versus(work, times)
    assert versus is not None
    assert versus.relay == "haproxy"
    assert versus.ratios == pytest.approx((0.55, 1.1, 1.2))
    result = relay.Result(3, tuple(lines), (versus,), (), {}, {}, (), 60.0)
    page = relay_report.markdown(result, {"date": "today"}, plotted=False)
    assert "| **gateway** | 2200 | 1.10 (1.10–1.15) | ≤ 1.2 | met |" in page
    assert "1.10 (0.83–1.15), haproxy | ≤ 1.15 | met |" in page


def test_what_is_asked_is_asked_of_ways_that_are_timed() -> None:
    for work in works():
        assert work.asked.keys() <= set(work.ways)
        assert work.ways[0] == "direct"
        assert work.of_tcp is None or {"haproxy", "tcp", "gateway"} <= set(work.ways)
