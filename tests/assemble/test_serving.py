from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

import hirules
from hirules.assemble.serving import serving
from hirules.policy import load_set
from hirules.settings import AuditSettings, DimseSettings, Settings

POLICY = "hirules: 1\npolicy: p\nrules:\n  - {id: all, on: c-find, when: {subject.ae_title: A}, allow: {}}\n"


def _settings(folder: Path, policy: str = POLICY) -> Settings:
    for name in ("policies", "files"):
        (folder / name).mkdir()
    (folder / "policies" / "p.yaml").write_text(policy, encoding="utf-8")
    dimse = DimseSettings(listen="GATE@127.0.0.1:0", upstream=f"embedded:{folder / 'files'}", drain_timeout=0.0)
    return Settings(policies=str(folder / "policies"), audit=AuditSettings(file=str(folder / "audit.jsonl")), dimse=dimse)


def test_a_gateway_on_the_embedded_upstream_answers(tmp_path: Path) -> None:
    parts = serving(_settings(tmp_path))
    host, port = parts.gateway.start()
    try:
        ae = AE("A")
        ae.add_requested_context(Verification)
        association = ae.associate(host, port, ae_title="GATE")
        assert association.is_established
        assert association.send_c_echo().Status == 0
        association.release()
    finally:
        parts.gateway.stop()
        parts.close()
    assert '"action":"associate"' in (tmp_path / "audit.jsonl").read_text(encoding="utf-8")


def test_it_does_not_start_on_what_it_cannot_enforce(tmp_path: Path) -> None:
    policy = POLICY + "  - {id: arriving, on: c-store, when: {instance.PatientID: A}, deny: {}}\n"
    with pytest.raises(hirules.PolicyError, match=r"p\.yaml:5:\d+: error\[not-enforceable\]: the gateway cannot enforce `p/arriving`"):
        serving(_settings(tmp_path, policy))


def test_it_does_not_start_on_a_folder_that_is_not_there(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    assert settings.dimse is not None
    elsewhere = msgspec.structs.replace(settings, dimse=msgspec.structs.replace(settings.dimse, upstream="embedded:/nowhere"))
    with pytest.raises(hirules.PolicyError, match="`/nowhere` is no folder"):
        serving(elsewhere)


def test_it_needs_both_sides(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`policies` and `dimse`"):
        serving(Settings(policies=str(tmp_path)))


@pytest.mark.parametrize(
    ("rule", "decided"),
    [
        ("", False),
        ("  - {id: r, on: c-store, when: {subject.ae_title: A}, allow: {}}\n", False),
        ("  - {id: r, on: c-store, deny: {}, mode: off}\n", False),
        ("  - {id: r, on: c-store, when: {subject.ae_title: A}, deny: {}}\n", True),
        ("  - {id: r, on: [c-find, c-store], audit: {note: n}, mode: shadow}\n", True),
    ],
    ids=["none", "allow", "off", "deny", "shadow"],
)
def test_sub_operations_are_decided_where_a_rule_could_narrow_them(tmp_path: Path, rule: str, decided: bool) -> None:
    parts = serving(_settings(tmp_path, POLICY + rule))
    parts.close()
    asked = parts.options.decide_suboperations
    assert callable(asked)
    assert asked() is decided


def test_sub_operations_follow_the_policies(tmp_path: Path) -> None:
    parts = serving(_settings(tmp_path))
    asked = parts.options.decide_suboperations
    assert callable(asked)
    assert not asked()
    rules = POLICY + "  - {id: r, on: c-store, when: {subject.ae_title: A}, deny: {}}\n"
    parts.gate.swap(parts.gate.edition(load_set({"p.yaml": rules.encode()}).required()))
    assert asked()
    parts.close()


def test_sub_operations_are_decided_where_a_plugin_could_refuse_them(tmp_path: Path) -> None:
    parts = serving(_settings(tmp_path), plugins=[Silent()])
    parts.close()
    asked = parts.options.decide_suboperations
    assert callable(asked)
    assert asked()


class Silent:
    """A plugin without an opinion."""

    __name__ = "silent"

    @hirules.hookimpl
    def hirules_verdict(self) -> None:
        return None
