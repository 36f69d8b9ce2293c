"""The answer to an N-GET is decided before it leaves: dcmprscp's printer through `hirules serve`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.gateway import serve
from tests.e2e.test_printer import n_get
from tests.peers.process import Server

POLICY = """\
hirules: 1
policy: printers
title: What a printer tells
owner: the tests
rules:
  - {id: may, on: n-get, when: {subject.ae_title: {in: [CLIENT, STRICT, HIDDEN]}}, allow: {}}
  - {id: strict, on: release, when: {subject.ae_title: STRICT, instance.PrinterStatus: NORMAL}, deny: {}}
  - {id: hidden, on: release, when: {subject.ae_title: HIDDEN, instance.PrinterStatus: NORMAL}, deny: {respond: no-match}}
  - {id: unnamed, on: release, when: {subject.ae_title: CLIENT}, rewrite: [{remove: instance.PrinterStatusInfo}]}
"""


@pytest.fixture(scope="module")
def printer(dcmprscp: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = serve(tmp_path_factory.mktemp("gateway"), dcmprscp, POLICY)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, server.text()[-3000:]


@pytest.mark.parametrize("keywords", [[], ["PrinterStatusInfo"], ["PrinterStatus"]])
def test_an_attribute_list_that_is_not_asked_for_decides_and_does_not_leave(printer: Server, dcmprscp: Server, keywords: list[str]) -> None:
    for title, said in (("STRICT", 0x0124), ("HIDDEN", 0x0112)):
        status, attributes = n_get(printer, title, keywords)
        assert (status.Status, attributes) == (said, None)
    _, without = n_get(dcmprscp, "CLIENT", keywords)
    status, attributes = n_get(printer, "CLIENT", keywords)
    assert without is not None
    assert status.Status == 0
    left = [] if attributes is None else [element.keyword for element in attributes]
    assert left == [element.keyword for element in without if element.keyword != "PrinterStatusInfo"]
