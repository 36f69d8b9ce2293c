from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from hirules.assemble import health
from hirules.assemble.health import Health, text


@pytest.fixture
def served() -> Iterator[tuple[str, int]]:
    made = Health(("127.0.0.1", 0), {"/livez": lambda: text(HTTPStatus.OK, "ok"), "/readyz": lambda: text(HTTPStatus.SERVICE_UNAVAILABLE, "no")})
    address = made.start()
    yield address
    made.stop()


def ask(address: tuple[str, int], path: str, method: str = "GET") -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address[0]}:{address[1]}{path}", method=method), timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def raw(address: tuple[str, int], sent: bytes) -> bytes:
    with socket.create_connection(address, 20) as peer:
        peer.sendall(sent)
        data = b""
        try:
            while chunk := peer.recv(10_000):
                data += chunk
        except ConnectionError:
            return data
        return data


def test_the_pages(served: tuple[str, int]) -> None:
    assert ask(served, "/livez") == (200, b"ok\n")
    assert ask(served, "/livez?verbose") == (200, b"ok\n")
    assert ask(served, "/readyz") == (503, b"no\n")
    assert ask(served, "/livez", "HEAD") == (200, b"")
    assert ask(served, "/") == (404, b"not found\n")
    assert ask(served, "/../livez")[0] == 404


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /livez HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 501),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /livez HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
        (b"\x01\x00\x00\x00\x00\x04\r\n\r\n", 400),
    ],
)
def test_what_is_too_much_is_refused(served: tuple[str, int], sent: bytes, status: int) -> None:
    answer = raw(served, sent)
    assert not answer or str(status).encode() in answer  # it may be reset: what was sent is not read to its end
    assert ask(served, "/livez")[0] == 200


def test_who_says_nothing_is_cut_off_and_too_many_are_closed(served: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_SECONDS", 1.0)
    silent = [socket.create_connection(served, 20) for _ in range(20)]
    try:
        for number, peer in enumerate(silent):
            peer.settimeout(20)
            if number % 2:
                _drip(peer)
        assert all(_ended(peer) for peer in silent)
    finally:
        for peer in silent:
            peer.close()
    assert ask(served, "/livez")[0] == 200


def _drip(peer: socket.socket) -> None:
    def drip() -> None:
        try:
            for _ in range(60):
                peer.sendall(b"x")
                threading.Event().wait(0.1)
        except OSError:
            return

    threading.Thread(target=drip, daemon=True).start()


def _ended(peer: socket.socket) -> bool:
    try:
        return peer.recv(10) == b""
    except ConnectionError:
        return True


def test_no_thread_is_left() -> None:
    made = Health(("127.0.0.1", 0), {})
    made.start()
    made.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "http"]
    never = Health(("127.0.0.1", 0), {})
    never.stop()


def test_an_address_that_is_taken(served: tuple[str, int]) -> None:
    with pytest.raises(OSError, match=r"in use"):
        Health(served, {})
