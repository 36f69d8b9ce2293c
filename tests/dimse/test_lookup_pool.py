from __future__ import annotations

import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hirules.dimse.access import Access, PeerTls
from hirules.dimse.lookup_pool import Pool
from hirules.dimse.lookup_query import identifier
from hirules.dimse.lookup_scu import STUDY_ROOT, Node, NotAnswered
from hirules.dimse.tls import ClientTls, client_contexts
from hirules.facts import LookupFailed
from tests.dimse.archives import Archive, archive, matches
from tests.dimse.certificates import Authority
from tests.dimse.peers import until

STUDY = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", "PatientID": "P1"}
QUERY = identifier("STUDY", {"StudyInstanceUID": "1.2"}, {"PatientID"})


def ask(pool: Pool, peer: Archive, calling: str = "LOOKER", seconds: float = 30.0) -> list[bytes]:
    return pool.find(peer.node, calling, STUDY_ROOT, QUERY, 5, time.monotonic() + seconds)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "look-up associations"]


def test_an_association_is_used_again_and_released_when_nobody_needs_it() -> None:
    with archive(matches(STUDY)) as peer:
        pool = Pool(idle=0.2)
        assert [len(ask(pool, peer)) for _ in range(5)] == [1] * 5
        assert peer.titles == ["LOOKER"]
        assert until(lambda: peer.open == 0 and not threads())
        assert len(ask(pool, peer)) == 1
        assert len(peer.titles) == 2
        pool.close()


def test_each_title_has_its_own() -> None:
    with archive(matches(STUDY)) as peer:
        pool = Pool()
        for title in ("A", "B", "A"):
            ask(pool, peer, title)
        assert peer.titles == ["A", "B"]
        pool.close()
        assert until(lambda: peer.open == 0)


def test_there_are_never_more_than_the_bound() -> None:
    most: list[int] = []

    def slow(keys: object):  # type: ignore[no-untyped-def]
        most.append(peer.open)
        time.sleep(0.05)
        yield 0xFF00, STUDY

    with archive(slow) as peer:
        pool = Pool(size=2)
        with ThreadPoolExecutor(8) as executor:
            assert [len(found) for found in executor.map(lambda number: ask(pool, peer, f"T{number % 4}"), range(12))] == [1] * 12
        assert max(most) <= 2
        pool.close()


def test_who_waits_for_a_free_one_waits_until_the_deadline() -> None:
    go_on = threading.Event()

    def blocked(keys: object):  # type: ignore[no-untyped-def]
        go_on.wait(30)
        yield 0xFF00, STUDY

    with archive(blocked) as peer:
        pool = Pool(size=1)
        with ThreadPoolExecutor(1) as executor:
            first = executor.submit(ask, pool, peer)
            assert until(lambda: peer.asked)
            with pytest.raises(LookupFailed, match="free"):
                ask(pool, peer, seconds=0.1)
            go_on.set()
            assert len(first.result(30)) == 1
        pool.close()


def test_one_that_the_archive_ended_is_replaced() -> None:
    with archive(matches(STUDY)) as peer:
        pool = Pool()
        ask(pool, peer)
        peer.end()
        assert len(ask(pool, peer)) == 1
        assert len(peer.titles) == 2
        pool.close()


def test_a_failed_one_is_not_kept_and_nothing_is_left() -> None:
    with archive(lambda keys: iter([(0xFF00, STUDY)] * 9)) as peer:
        pool = Pool(size=1)
        for _ in range(4):
            with pytest.raises(LookupFailed, match="more than 5"):
                ask(pool, peer)
        assert until(lambda: peer.open == 0)
        pool.close()


def test_a_node_that_does_not_answer_comes_last() -> None:
    with archive(matches(STUDY)) as peer:
        pool = Pool()
        away = Node("AWAY", "127.0.0.1", 1)
        assert pool.ordered((away, peer.node)) == (away, peer.node)
        with pytest.raises(NotAnswered):
            pool.find(away, "LOOKER", STUDY_ROOT, QUERY, 5, time.monotonic() + 30)
        assert pool.ordered((away, peer.node)) == (peer.node, away)
        pool.close()


def test_a_closed_pool_asks_nobody() -> None:
    with archive(matches(STUDY)) as peer:
        pool = Pool()
        ask(pool, peer)
        pool.close()
        assert until(lambda: peer.open == 0)
        with pytest.raises(LookupFailed, match="ending"):
            ask(pool, peer)


def test_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("archive"))
    with archive(matches(STUDY), tls=context) as peer:
        trusted = PeerTls(client_contexts(ClientTls(authorities=str(authority.file))), "localhost")
        pool = Pool(idle=0.2, connect=Access(nodes={(peer.node.host, peer.node.port): trusted}).ask)
        assert [len(ask(pool, peer)) for _ in range(5)] == [1] * 5
        assert len(peer.titles) <= 2, "it is used again; what TLS itself sends once may look like an end"
        assert until(lambda: peer.open == 0 and not threads())
        stranger = PeerTls(client_contexts(ClientTls(authorities=str(authority.file))), "another.example")
        wrong = Pool(connect=Access(nodes={(peer.node.host, peer.node.port): stranger}).ask)
        with pytest.raises(NotAnswered, match="reached"):
            ask(wrong, peer)
        pool.close()
        wrong.close()
