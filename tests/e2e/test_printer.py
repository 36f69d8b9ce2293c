"""An N-GET through the gateway: dcmprscp answers it, with the attributes that the rules leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pynetdicom import AE
from pynetdicom.sop_class import BasicGrayscalePrintManagementMeta, Printer, PrinterInstance  # type: ignore[attr-defined]

from tests.e2e.gateway import serve
from tests.peers.process import HOST, Server


@pytest.fixture(scope="module")
def printer(dcmprscp: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`hirules serve` in front of the printer."""
    server = serve(tmp_path_factory.mktemp("gateway"), dcmprscp)
    try:
        yield server
    finally:
        code = server.stop()
    assert code == 0, server.text()[-3000:]


def n_get(server: Server, calling: str, keywords: Sequence[str]) -> tuple[Dataset, Dataset | None]:
    """Status and attribute list of an N-GET on the well-known Printer instance."""
    tags = [tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None]
    assert len(tags) == len(keywords)
    entity = AE(calling)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.add_requested_context(BasicGrayscalePrintManagementMeta)
    association = entity.associate(HOST, server.port, ae_title=server.aet)
    assert association.is_established
    try:
        return association.send_n_get(tags, Printer, PrinterInstance, meta_uid=BasicGrayscalePrintManagementMeta)  # type: ignore[arg-type]
    finally:
        association.release()


@pytest.mark.parametrize("keywords", [[], ["PrinterStatus"], ["PrinterStatus", "PrinterStatusInfo"]])
def test_an_n_get_is_answered_as_without_the_gateway(printer: Server, dcmprscp: Server, keywords: list[str]) -> None:
    status, attributes = n_get(printer, "CLIENT", keywords)
    assert status.Status == 0
    assert attributes is not None
    assert attributes.PrinterStatus == "NORMAL"
    assert (status, attributes) == n_get(dcmprscp, "CLIENT", keywords)


def test_a_rewritten_attribute_list(printer: Server, dcmprscp: Server) -> None:
    asked = ["PrinterStatus", "PrinterStatusInfo"]
    _, without = n_get(dcmprscp, "CUT", asked)
    status, attributes = n_get(printer, "CUT", asked)
    assert without is not None
    assert [element.keyword for element in without] == asked
    assert status.Status == 0
    assert attributes is not None
    assert [element.keyword for element in attributes] == ["PrinterStatus"]


def test_a_refused_n_get_never_reaches_the_printer(printer: Server, dcmprscp: Server) -> None:
    before = dcmprscp.text().count("N-GET RQ")
    status, attributes = n_get(printer, "WATCHED", ["PrinterStatus"])
    assert status.Status == 0x0124
    assert status.ErrorComment == "the printer is not for you"
    assert not attributes
    assert dcmprscp.text().count("N-GET RQ") == before
