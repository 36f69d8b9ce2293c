"""The pages for plugin authors and embedders: their tables are those of the code, their programs run."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import hirules
from hirules.hooks import spec
from hirules.model.decision import Decision
from hirules.model.request import Request
from tests.test_documentation import ROOT, blocks

PLUGINS = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
EMBEDDING = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
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
    (program,) = blocks(EMBEDDING, "python")
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
