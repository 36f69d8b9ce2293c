"""The pages for plugin authors and embedders: their tables are those of the code, their programs run."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

import hirules
from hirules.assemble.enforceable import LOOKED_UP, not_enforceable
from hirules.dimse.handlers import guard
from hirules.dimse.lookup_query import ALWAYS_KEPT, level_of
from hirules.dimse.pynetdicom_seam import SUPPORTED
from hirules.hooks import spec
from hirules.model.decision import Decision
from hirules.model.request import Request
from hirules.policy import load_set
from hirules.settings import read_settings
from tests.test_documentation import ROOT, blocks

PLUGINS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
EMBEDDING = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
LOOKUPS = (ROOT / "docs" / "lookups.md").read_text(encoding="utf-8")
POLICY = """
hirules: 1
policy: p
rules:
  - {id: all, on: c-move, allow: {}}
"""


def folder(path: Path) -> Path:
    path.mkdir()
    (path / "p.yaml").write_text(POLICY, encoding="utf-8")
    return path


def test_the_hooks_of_the_page_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| `(hirules_\w+)` \| (.*?) \|", PLUGINS, re.MULTILINE)
    shown = {name: tuple(re.findall(r"`(\w+)`", arguments)) for name, arguments in rows}
    hooks = {name: tuple(inspect.signature(hook).parameters) for name, hook in vars(spec).items() if name.startswith("hirules_")}
    assert shown == hooks


def test_the_plugin_of_the_page_decides(tmp_path: Path) -> None:
    (program,) = blocks(PLUGINS, "python")
    names: dict[str, Any] = {}
    exec(program, names)
    gate = hirules.load(folder(tmp_path / "policies"), plugins=[names["NightWatch"]()])
    assert gate.check(Request("c-move", {"ae_title": "WARD"})).allowed
    refused = gate.check(Request("c-move", {"ae_title": "NIGHT"}))
    assert (refused.allowed, refused.status, len(refused.by)) == (False, 0x0124, 1)


def test_the_program_of_an_embedder_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, _ = blocks(EMBEDDING, "python")
    folder(tmp_path / "policies")
    monkeypatch.chdir(tmp_path)
    carried_out: list[Request] = []
    exec(program, {"carry_out": carried_out.append, "refuse": lambda *_: pytest.fail("refused")})
    assert [request.action for request in carried_out] == ["c-move"]
    assert (tmp_path / "audit.jsonl").read_text(encoding="utf-8").count("\n") == 2


@pytest.mark.parametrize(("of", "title"), [(Request, "A request"), (Decision, "A decision")])
def test_the_fields_of_the_page_are_those_of_the_code(of: Any, title: str) -> None:
    section = EMBEDDING.split(f"## {title}\n")[1].split("\n## ")[0]
    first = re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE)
    shown = {name for cell in first for name in re.findall(r"`(\w+)`", cell)}
    left_out = {"id", "original"} if of is Request else {"decision", "full_reason"}
    fields = set(of.__struct_fields__) | ({"allowed"} if of is Decision else set())
    assert shown == fields - left_out


def test_the_pynetdicom_program_of_the_page_is_guarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, program = blocks(EMBEDDING, "python")
    (tmp_path / "policies").mkdir()
    rule = "  - {id: ward, on: c-find, when: {subject.ae_title: WARD}, allow: {}}\n"
    (tmp_path / "policies" / "p.yaml").write_text(f"hirules: 1\npolicy: p\nrules:\n{rule}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"port": 0, "matches": lambda identifier: [identifier]}
    exec(program, names)
    try:
        for title, statuses in (("WARD", [0xFF00, 0]), ("STRANGER", [0x0124])):
            entity = AE(title)
            entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
            association = entity.associate("127.0.0.1", names["server"].socket.getsockname()[1])
            identifier = Dataset()
            identifier.QueryRetrieveLevel, identifier.PatientID = "STUDY", "P1"
            found = list(association.send_c_find(identifier, StudyRootQueryRetrieveInformationModelFind))
            association.release()
            assert [status.Status for status, _ in found] == statuses
    finally:
        names["archive"].shutdown()
    assert (tmp_path / "audit.jsonl").read_text(encoding="utf-8").count('"entry":"decision"') == 4


def test_the_arguments_and_versions_of_the_page_are_those_of_the_guard() -> None:
    section = EMBEDDING.split("## A pynetdicom program\n")[1]
    shown = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert shown == [name for name, parameter in inspect.signature(guard).parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    assert f"{', '.join(SUPPORTED[:-1])} or {SUPPORTED[-1]}" in section


def test_the_policy_of_the_look_ups_page_is_enforced(tmp_path: Path) -> None:
    (text,) = blocks(LOOKUPS, "yaml policy")
    policies = load_set({"research.yaml": text.encode()})
    assert [found for found in policies.findings if found.is_error] == []
    assert not_enforceable(policies.required()) == ()


def test_the_configuration_of_the_look_ups_page_is_read(tmp_path: Path) -> None:
    (text,) = blocks(LOOKUPS, "yaml configuration")
    (tmp_path / "hirules.yaml").write_text(text, encoding="utf-8")
    dimse = read_settings(tmp_path / "hirules.yaml").dimse
    assert dimse is not None
    named = set(re.findall(r"\blookup_\w+", LOOKUPS))
    assert named == {name for name in dimse.__struct_fields__ if name.startswith("lookup_")}


def test_the_levels_of_the_look_ups_page_are_those_of_the_queries() -> None:
    rows = re.findall(r"^\| (`.*?`) \| (PATIENT|STUDY|SERIES|IMAGE) \|", LOOKUPS, re.MULTILINE)
    shown = {name: level for names, level in rows for name in re.findall(r"`(\w+)`", names)}
    assert len(shown) > 10
    assert {name: level_of(name, "STUDY", patient_root=True) for name in shown} == shown


def test_the_actions_of_the_look_ups_page_are_those_that_are_looked_up() -> None:
    section = LOOKUPS.split("| action |")[1].split("\n\n")[0]
    looked_up = {name for row in section.splitlines() if "nothing:" not in row for name in re.findall(r"`([cn]-\w+)`", row)}
    assert looked_up == LOOKED_UP


def test_the_zero_length_keys_of_the_look_ups_page_are_always_kept() -> None:
    named = set(re.findall(r"\w+", LOOKUPS.split("must keep (")[1].split(")")[0]))
    assert {"PatientID", "PatientName", "StudyDate", "StudyTime", "AccessionNumber", "StudyID", "Modality"} == named & set(ALWAYS_KEPT)
    assert {name for name in ALWAYS_KEPT if name not in named} == {"StudyInstanceUID", "SeriesNumber", "SeriesInstanceUID", "InstanceNumber", "SOPInstanceUID"}
