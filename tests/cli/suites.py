"""A policy set with tests, on disk."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import POLICY

TESTS = """hirules-test: 1
now: 2026-03-02T10:00:00+01:00
fixtures:
  ward: {subject: {ae_title: WARD_1}}
tests:
  - name: a ward moves to the PACS
    on: c-move
    given: ward
    cases:
      - {request: {MoveDestination: PACS_MAIN}, expect: {decision: allow, by: [p/wards]}}
      - {request: {MoveDestination: OLD_PACS}, expect: {decision: allow, rewritten: {request.MoveDestination: PACS_MAIN}}}
  - name: nobody moves elsewhere
    on: c-move
    given: [ward, {request: {MoveDestination: HOME}}]
    expect: {decision: deny, by: [p/agreed], status: 0xA801}
  - name: queries by day and by night
    on: c-find
    given: ward
    cases:
      - {name: by day, request: {Identifier: {PatientID: P-VIP}}, expect: {decision: allow, notes: [p/vip]}}
      - {name: by night, now: 2026-03-02T22:00:00Z, request: {Identifier: {PatientID: P1}}, expect: {decision: deny, by: [p/night]}}
      - {name: of others, subject: {ae_title: X}, expect: {decision: deny, by: []}}
"""
FAILING = """hirules-test: 1
now: 2026-03-02T10:00:00+01:00
tests:
  - name: "100%, <&> or: none"
    on: c-move
    subject: {ae_title: WARD_1}
    request: {MoveDestination: OLD_PACS}
    expect: {decision: deny}
"""


def write(folder: Path, tests: str = TESTS, **more: str) -> Path:
    """The set of the other tests in ``folder``, with these tests; ``more`` files by their names without `_test.yaml`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "p.yaml").write_text(POLICY, encoding="utf-8")
    for name, text in {"p": tests, **more}.items():
        (folder / f"{name}_test.yaml").write_text(text, encoding="utf-8")
    return folder
