from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from hirules.dimse.transport import TooLong, acknowledge_now, cut, drain, established, finish_sending, low_latency, receive_more, receive_pdu, send
from tests.dimse.wire import OPTIONS


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    with one, other:
        yield one, other


def soon() -> float:
    return time.monotonic() + 20


@pytest.mark.parametrize("sizes", [[10], [10, 20, 0, 30], [200_000], [60_000, 60_000, 1], [1] * 500, [3_000_000, 12, 3_000_000, 5, 1_000_000], [70_000] * 100])
def test_all_pieces_arrive_in_order(pair: tuple[socket.socket, socket.socket], sizes: list[int]) -> None:
    pieces = [memoryview(bytes([index % 256]) * size) for index, size in enumerate(sizes)]
    expected = b"".join(pieces)
    received = bytearray()

    def read() -> None:
        while len(received) < len(expected):
            received.extend(pair[1].recv(65536))

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    send(pair[0], pieces)
    reading.join(30)
    assert bytes(received) == expected


def test_one_pdu_is_read_and_not_a_byte_more(pair: tuple[socket.socket, socket.socket]) -> None:
    pdu = b"\x07\0\0\0\0\x04\0\0\0\0"
    pair[0].sendall(pdu + b"rest")
    assert receive_pdu(pair[1], 100, soon()) == pdu
    assert pair[1].recv(10) == b"rest"


def test_a_pdu_that_is_too_long_late_or_cut_is_none(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(TimeoutError):
        receive_pdu(pair[1], 100, time.monotonic() + 0.05)
    pair[0].sendall(b"\x01\0\0\0\1\0")
    with pytest.raises(TooLong):
        receive_pdu(pair[1], 255, soon())
    pair[0].sendall(b"\x01\0\0\0\0\x10abc")
    finish_sending(pair[0])
    assert receive_pdu(pair[1], 255, soon()) == b""
    assert receive_pdu(pair[1], 255, soon()) == b""


def test_an_established_connection_has_the_kernels_time_outs(pair: tuple[socket.socket, socket.socket]) -> None:
    low_latency(pair[0])
    acknowledge_now(pair[0])
    established(pair[0], OPTIONS)
    assert pair[0].getblocking()
    assert pair[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert struct.unpack("ll", pair[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)) == (OPTIONS.idle_timeout, 0)


def test_draining_ends_with_the_peer_or_with_the_time(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[0].sendall(b"x" * 100_000)
    drain(pair[1], time.monotonic() + 0.2)
    pair[0].sendall(b"y" * 100)
    finish_sending(pair[0])
    drain(pair[1], soon())
    assert pair[1].recv(10) == b""


def test_a_peer_that_is_given_up_does_not_wait_for_room(pair: tuple[socket.socket, socket.socket]) -> None:
    """It is blocked in sending, and what it sent is read after the shutdown, which makes no room for more."""
    blocked, given_up = pair
    blocked.settimeout(0.5)
    with pytest.raises(TimeoutError):
        blocked.sendall(bytes(1 << 26))
    cut(given_up, reset=True)
    assert drain(given_up, soon())
    given_up.close()
    blocked.settimeout(20)
    with pytest.raises(ConnectionError):
        blocked.send(bytes(1 << 23))


def test_more_is_what_is_here_or_comes(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    buffer = bytearray(64)
    far.sendall(b"here")
    time.sleep(0.05)
    assert bytes(buffer[: receive_more(near, buffer)]) == b"here"
    threading.Timer(0.1, far.sendall, (b"later",)).start()
    assert bytes(buffer[: receive_more(near, buffer)]) == b"later"
    near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 50_000))
    with pytest.raises(BlockingIOError):  # the kernel's time-out
        receive_more(near, buffer)
    far.close()
    assert receive_more(near, buffer) == 0
