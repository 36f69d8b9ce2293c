"""A TLS connection that is read by one thread and written by another."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hirules.dimse.encrypted import Encrypted
from hirules.dimse.transport import drain, finish_sending, receive_pdu, send
from tests.dimse.certificates import Authority

SIZE = 8_000_000


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = Authority(Path(tmp_path_factory.mktemp("authority")))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(*authority.issue("server"))
    return server, ssl.create_default_context(cafile=str(authority.file))


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def pair(request: pytest.FixtureRequest, contexts: tuple[ssl.SSLContext, ssl.SSLContext]) -> Iterator[tuple[Encrypted, Encrypted]]:
    contexts[0].maximum_version = request.param
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    ends = Encrypted(one, contexts[1], server_side=False, name="localhost"), Encrypted(other, contexts[0], server_side=True)
    shaking = threading.Thread(target=ends[1].handshake, args=(time.monotonic() + 20,))
    shaking.start()
    ends[0].handshake(time.monotonic() + 20)
    shaking.join(20)
    for end in ends:
        end.settimeout(20)
    yield ends
    for end in ends:
        end.close()


def test_both_directions_at_once(pair: tuple[Encrypted, Encrypted]) -> None:
    """Four threads, two on each end; every byte arrives once and in its place."""
    received: dict[int, bytearray] = {0: bytearray(), 1: bytearray()}

    def read(end: int) -> None:
        buffer = bytearray(256 * 1024)
        while len(received[end]) < SIZE:
            size = pair[end].recv_into(buffer)
            assert size
            received[end] += buffer[:size]

    def write(end: int) -> None:
        data = bytes((index + end) % 251 for index in range(1000)) * (SIZE // 1000)
        for at in range(0, SIZE, 300_000):
            send(pair[end], [memoryview(data)[at : at + 100_000], memoryview(data)[at + 100_000 : at + 300_000]])

    threads = [threading.Thread(target=work, args=(end,), daemon=True) for work in (read, write) for end in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for end in (0, 1):
        sent_by = 1 - end
        assert bytes(received[end]) == bytes((index + sent_by) % 251 for index in range(1000)) * (SIZE // 1000)
    assert pair[0].version in ("TLSv1.2", "TLSv1.3")


def test_one_pdu_and_not_a_byte_more(pair: tuple[Encrypted, Encrypted]) -> None:
    pdu = b"\x07\0\0\0\0\x04\0\0\0\0"
    pair[0].sendall(pdu + b"rest")
    assert receive_pdu(pair[1], 100, time.monotonic() + 20) == pdu
    pair[1].settimeout(20)
    assert pair[1].recv(10) == b"rest"


def test_the_end_is_seen_and_what_was_sent_before_it(pair: tuple[Encrypted, Encrypted]) -> None:
    pair[0].send(b"the last", socket.MSG_DONTWAIT)
    finish_sending(pair[0])
    assert pair[1].recv(100) == b"the last"
    assert pair[1].recv(100) == b""
    pair[1].sendall(b"an answer that nobody reads")
    finish_sending(pair[1])
    drain(pair[0], time.monotonic() + 20)


def test_a_cut_stream_is_an_end(pair: tuple[Encrypted, Encrypted]) -> None:
    pair[0].socket.shutdown(socket.SHUT_WR)
    assert pair[1].recv(100) == b""


def test_who_drips_does_not_stretch_the_time(pair: tuple[Encrypted, Encrypted]) -> None:
    stop = threading.Event()

    def drip() -> None:
        # the header of a record that never ends
        for byte in b"\x17\x03\x03\x40\x00" + bytes(200):
            if stop.wait(0.05):
                return
            pair[0].socket.sendall(bytes((byte,)))

    dripping = threading.Thread(target=drip, daemon=True)
    dripping.start()
    pair[1].settimeout(0.5)
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        pair[1].recv(100)
    stop.set()
    dripping.join(20)
    assert time.monotonic() - begun < 8  # dripping goes on for ten


def test_records_that_are_changed_on_the_way_are_an_error(pair: tuple[Encrypted, Encrypted]) -> None:
    pair[0].socket.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError):
        pair[1].recv(100)


def test_a_peer_that_does_not_read_does_not_keep_others_from_reading(pair: tuple[Encrypted, Encrypted]) -> None:
    """Its writer waits with the sending lock; its reader goes on."""
    writing = threading.Thread(target=_write_until_it_fails, args=(pair[0],), daemon=True)
    writing.start()
    time.sleep(0.3)
    pair[1].sendall(b"read this")
    assert pair[0].recv(100) == b"read this"
    pair[0].socket.shutdown(socket.SHUT_RDWR)
    writing.join(20)
    assert not writing.is_alive()


def _write_until_it_fails(peer: Encrypted) -> None:
    try:
        for _ in range(100):
            peer.sendall(bytes(1_000_000))
    except OSError:
        return
