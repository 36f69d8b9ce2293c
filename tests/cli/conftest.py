"""What tests of the command line share."""

from __future__ import annotations

from pathlib import Path

import pytest

POLICY = """hirules: 1
policy: p
rules:
  - id: wards
    on: [c-find, c-move]
    when: {subject.ae_title: {in: [WARD_1, WARD_2]}}
    allow: {}
  - id: agreed
    on: c-move
    when: {request.MoveDestination: {not_in: [PACS_MAIN]}}
    deny: {reason: "`{request.MoveDestination}` has no release agreement", status: 0xA801}
  - id: moved
    on: c-move
    when: {request.MoveDestination: OLD_PACS}
    rewrite:
      - set: {request.MoveDestination: PACS_MAIN}
  - id: vip
    on: c-find
    when: {request.Identifier.PatientID: P-VIP}
    audit: {note: seen}
  - id: night
    on: c-find
    when: {context.now: {time_between: ["20:00", "06:00"]}}
    deny: {}
"""


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """The folder of a small policy set."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "p.yaml").write_text(POLICY, encoding="utf-8")
    return folder
