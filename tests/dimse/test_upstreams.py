from __future__ import annotations

import msgspec
import pytest

from hirules.dimse.association import Association
from hirules.dimse.options import Options, Upstream
from hirules.dimse.upstreams import toward, upstream_called

OPTIONS = Options(
    ae_title="Gate",
    upstream_ae_title="PACS",
    upstream_host="pacs",
    upstream_port=104,
    calling_ae_title="HIRULES",
    lookup_nodes=("A@a:1",),
    upstreams=(
        Upstream(name="research", ae_title="RES", host="res", port=11112, called=("GATE_RES", "Gate_R2 "), lookup_nodes=("B@b:1",)),
        Upstream(name="vna", ae_title="VNA", host="vna", port=11113, calling_ae_title="TO_VNA"),
    ),
)


@pytest.mark.parametrize(
    ("called", "name"),
    [("GATE", "default"), ("gate", "default"), ("gate_res", "research"), ("GATE_R2", "research"), ("RES", None), ("VNA", None), ("OTHER", None)],
)
def test_the_called_title_chooses(called: str, name: str | None) -> None:
    assert upstream_called(Association("C", called, {}), OPTIONS) == name


def test_the_options_of_each() -> None:
    assert toward(OPTIONS, "default") is OPTIONS
    research, vna = toward(OPTIONS, "research"), toward(OPTIONS, "vna")
    assert research is not None
    assert vna is not None
    assert (research.upstream, research.upstream_ae_title, research.upstream_host, research.upstream_port) == ("research", "RES", "res", 11112)
    assert (research.calling_ae_title, vna.calling_ae_title) == ("HIRULES", "TO_VNA")
    assert (research.lookup_nodes, vna.lookup_nodes) == (("B@b:1",), ())
    left = {"upstream", "upstream_ae_title", "upstream_host", "upstream_port", "calling_ae_title", "lookup_nodes"}
    assert all(getattr(research, name) == getattr(OPTIONS, name) for name in Options.__struct_fields__ if name not in left)


@pytest.mark.parametrize("name", ["", "DEFAULT", "pacs", None, 1, ["research"]])
def test_another_name_is_none(name: object) -> None:
    assert toward(OPTIONS, name) is None


def test_one_upstream_needs_no_name() -> None:
    alone = msgspec.structs.replace(OPTIONS, upstreams=())
    assert upstream_called(Association("C", "GATE_RES", {}), alone) is None
