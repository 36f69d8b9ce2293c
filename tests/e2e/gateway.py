"""``hirules serve`` in front of a peer, with the policy set that the end-to-end tests share."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.peers.objects import OTHER_PATIENT, study_of
from tests.peers.process import HOST, Server, listening, start

AET = "GATE"
POLICY = f"""\
hirules: 1
policy: end-to-end
title: What the end-to-end tests allow, change and refuse
owner: the tests
lists:
  destinations: [DEST, SAFE, OLD, ABSENT]
rules:
  - id: clinical
    on: [c-find, c-get, c-move, c-store, n-get]
    when: {{subject.ae_title: {{in: [CLIENT, WATCHED, CUT]}}}}
    allow: {{}}
  - id: no-association
    on: associate
    when: {{subject.ae_title: OUTSIDER}}
    deny: {{reason: this entity may not associate}}
  - id: destinations
    on: c-move
    when: {{request.MoveDestination: {{not_in: $destinations}}}}
    deny: {{status: 0xA801, reason: "`{{request.MoveDestination}}` has no release agreement"}}
  - id: old-destination
    on: c-move
    when: {{request.MoveDestination: OLD}}
    rewrite: [{{set: {{request.MoveDestination: SAFE}}}}]
  - id: sealed-query
    on: c-find
    when: {{request.Identifier.PatientID: {{equals: SEALED}}}}
    deny: {{status: 0xA700, reason: queries for this patient are sealed}}
  - id: narrow-query
    on: c-find
    when: {{subject.ae_title: WATCHED}}
    rewrite: [{{set: {{request.Identifier.PatientID: "{OTHER_PATIENT}"}}}}]
  - id: sealed-study
    on: c-get
    when: {{request.Identifier.StudyInstanceUID: {study_of(OTHER_PATIENT)[0].study}}}
    deny: {{status: 0xA702, reason: the record is sealed}}
  - id: read-only
    on: c-store
    when: {{request.AffectedSOPClassUID: UltrasoundImageStorage}}
    deny: {{reason: no ultrasound here}}
  - id: printer-attributes
    on: n-get
    when: {{subject.ae_title: WATCHED}}
    deny: {{reason: the printer is not for you}}
  - id: printer-status-only
    on: n-get
    when: {{subject.ae_title: CUT}}
    rewrite: [{{drop: {{request.AttributeIdentifierList: [PrinterStatusInfo]}}}}]
"""


def serve(folder: Path, upstream: Server, policy: str = POLICY, *options: str) -> Server:
    """The gateway in front of ``upstream``, listening."""
    policies = folder / "policies"
    policies.mkdir(parents=True)
    (policies / "end-to-end.yaml").write_text(policy, encoding="utf-8")
    hirules = Path(sys.executable).parent / "hirules"

    def command(port: int) -> list[str | Path]:
        address = f"{AET}@{HOST}:{port}"
        return [hirules, "serve", "--policies", policies, "--dimse", address, "--upstream", upstream.name, "--audit", folder / "audit.jsonl", *options]

    return start(AET, folder, command, listening)


def records(gateway: Server) -> list[dict[str, object]]:
    """What the gateway has recorded until now."""
    text = (gateway.folder / "audit.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
