"""The sites, each shared by the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.site import Site
from tests.peers import servers


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """In front of DCMTK's archive."""
    yield from _running(Site(tmp_path_factory.mktemp("dcmqrscp")))


@pytest.fixture(scope="module")
def orthanc_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """In front of Orthanc."""
    yield from _running(Site(tmp_path_factory.mktemp("orthanc"), servers.orthanc))


def _running(site: Site) -> Iterator[Site]:
    try:
        for way in ("get", "through"):
            site.works(way)  # what is made only once is there
        yield site
    finally:
        code = site.stop()
    assert code == 0, site.gateway.text()[-3000:]
