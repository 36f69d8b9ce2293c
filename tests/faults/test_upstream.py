"""The archive is killed, stands still, or is slow in mid-retrieve."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.site import ALLOWED, Site, slowly

WAYS = pytest.mark.parametrize("way", ["get", "through"])


@WAYS
def test_it_is_killed(orthanc_site: Site, way: str) -> None:
    with orthanc_site.watched():
        retrieve = orthanc_site.retrieve(way, slowly())
        retrieve.has(3)
        orthanc_site.signal(signal.SIGKILL)
        assert retrieve.ends() != 0
        assert set(retrieve.received) < ALLOWED
        orthanc_site.restarted()
        orthanc_site.works(way)


@WAYS
def test_it_stands_still(orthanc_site: Site, way: str) -> None:
    """The idle time-out ends it; the next one finds the archive again."""
    with orthanc_site.watched():
        retrieve = orthanc_site.retrieve(way, slowly())
        retrieve.has(3)
        orthanc_site.signal(signal.SIGSTOP)
        try:
            assert retrieve.ends() is None
        finally:
            orthanc_site.signal(signal.SIGCONT)
        assert set(retrieve.received) < ALLOWED
        orthanc_site.works(way)


@WAYS
def test_it_is_slow(orthanc_site: Site, way: str) -> None:
    """Slower than the client would wait for: it hears from the gateway, and all comes in the end."""
    with orthanc_site.watched():
        retrieve = orthanc_site.retrieve(way, slowly())
        for instances in (2, 5):
            retrieve.has(instances)
            before = len(retrieve.statuses)
            orthanc_site.signal(signal.SIGSTOP)
            time.sleep(1.5)
            orthanc_site.signal(signal.SIGCONT)
            assert len(retrieve.statuses) > before
        assert retrieve.ends() == 0xB000
        assert set(retrieve.received) == ALLOWED
        retrieve.association.release()


def test_it_does_not_answer_an_association(orthanc_site: Site) -> None:
    """Not while it stands still: the acceptance time-out rejects it; who calls the other archive is served."""
    with orthanc_site.watched():
        orthanc_site.signal(signal.SIGSTOP)
        try:
            association = orthanc_site.associated("WAITS")
            assert association.is_rejected
            assert association.acceptor.primitive.result == 2
        finally:
            orthanc_site.signal(signal.SIGCONT)
        orthanc_site.works("get")
