from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

import hirules
from hirules.assemble.gates import check_set
from hirules.healthimaging.standin import StandIn
from hirules.settings import HealthImagingSettings, Settings

POLICY = "hirules: 1\npolicy: p\nrules:\n  - {id: all, on: c-find, when: {subject.ae_title: A}, allow: {}}\n"


def test_a_folder_becomes_a_gate(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    gate = hirules.load(tmp_path)
    assert gate.check(hirules.Request("c-find", subject={"ae_title": "A"})).allowed
    assert not gate.check(hirules.Request("c-find", subject={"ae_title": "B"})).allowed


def test_every_finding_is_in_the_error(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY.replace("c-find", "c-fnd").replace("allow: {}", "alow: {}"), encoding="utf-8")
    (tmp_path / "set.yaml").write_text("hirules-set: 2\n", encoding="utf-8")
    with pytest.raises(hirules.PolicyError) as raised:
        hirules.load(tmp_path)
    assert len({found.code for found in raised.value.findings}) >= 3
    assert raised.value.findings == check_set(tmp_path)


def test_no_folder_is_an_error() -> None:
    with pytest.raises(hirules.PolicyError, match="is no folder"):
        hirules.load("/nowhere")


def test_a_requirement_that_is_not_met_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "set.yaml").write_text("hirules-set: 1\nrequires: [office-calendar]\n", encoding="utf-8")
    with pytest.raises(hirules.PolicyError, match="requires `office-calendar`, which is not loaded"):
        hirules.load(tmp_path)


def test_the_configuration_says_plugins_and_audit(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "p.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "c.yaml").write_text("audit: {file: audit.jsonl}\n", encoding="utf-8")
    hirules.load(policies, config=tmp_path / "c.yaml").check(hirules.Request("c-find", subject={"ae_title": "A"}))
    assert (tmp_path / "audit.jsonl").read_text(encoding="utf-8").count("\n") == 1
    hirules.load(policies, config=tmp_path / "c.yaml", audit=tmp_path / "other.jsonl").check(hirules.Request("c-find"))
    assert (tmp_path / "other.jsonl").exists()
    with pytest.raises(hirules.PolicyError, match="`nothing` is not installed"):
        hirules.load(policies, config=Settings(plugins=("nothing",)))


def test_an_audit_file_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    with pytest.raises(hirules.PolicyError, match="cannot write the record"):
        hirules.load(tmp_path, audit=tmp_path / "nowhere" / "audit.jsonl")


def test_warnings_do_not_keep_a_set_from_loading(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "p.yaml").write_text(POLICY.replace("when: {subject.ae_title: A}, ", ""), encoding="utf-8")
    with caplog.at_level(logging.INFO, logger="hirules"):
        hirules.load(tmp_path)
    assert "p.yaml:4:5" in caplog.text
    assert [found.severity for found in check_set(tmp_path)] == ["warning"]


def test_the_guard_takes_what_the_configuration_says_of_other_operations(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY, encoding="utf-8")
    settings = Settings(healthimaging=HealthImagingSettings(unlisted_operations=("GetDatastore",)))
    for config, passes in ((Settings(), False), (settings, True)):
        with StandIn() as service:
            client: Any = boto3.client(
                "medical-imaging", region_name="us-east-1", endpoint_url=service.url, aws_access_key_id="x", aws_secret_access_key="x",
                config=Config(inject_host_prefix=False),
            )  # fmt: skip
            hirules.healthimaging.guard(client, hirules.load(tmp_path, config=config))
            if passes:
                client.get_datastore(datastoreId=service.datastore_id)
            else:
                with pytest.raises(client.exceptions.AccessDeniedException):
                    client.get_datastore(datastoreId=service.datastore_id)
            assert service.counts["GetDatastore"] == int(passes)
