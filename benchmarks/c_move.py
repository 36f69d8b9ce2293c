"""From the bytes of a C-MOVE to its decision: command set and identifier read, the request made, `gate.check` without a record.

Every rule reads two elements of the identifier, the level and the patient. The study is another one in each message; the
patients are either a few hundred that come again and again, or one that was never seen before in each message.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom.uid import ImplicitVRLittleEndian

import hirules
from benchmarks.measure import overhead, percentile, turn
from hirules import Decision, Gate
from hirules.dimse.association import Association, Context
from hirules.dimse.identifier import write
from hirules.dimse.message import C_MOVE_RQ, encode_command, parse_command
from hirules.dimse.options import Options
from hirules.dimse.translate import Refusal, request_of
from hirules.model.dataset import dataset_of

MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
CONTEXT = Context(1, MOVE, str(ImplicitVRLittleEndian))
ASSOCIATION = Association("WS_1", "GATE", {1: CONTEXT}, "10.1.2.3", implementation_class_uid="1.2.3.4", accepted=True)
OPTIONS = Options(ae_title="GATE", upstream_ae_title="PACS", upstream_host="127.0.0.1", upstream_port=104)
PATIENTS = 300
"""That come again and again: what a busy day has."""
MESSAGES = 2000

Message = tuple[bytes, bytes]
"""Command set and identifier."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of messages: percentiles in µs, and the share of them that was allowed."""

    what: str
    rules: int
    p50: float
    p90: float
    allowed: float


def run(sizes: Sequence[int] = (10, 1_000), rounds: int = 5, count: int = MESSAGES) -> list[Row]:
    """Each kind of messages against each number of rules, in turns."""
    rows = []
    for size in sizes:
        gate = load(size)
        kinds: dict[str, Callable[[random.Random, int], Message]] = {
            "patients that come again": lambda draw, number: message(number, f"P{draw.randrange(PATIENTS):05}"),
            "a new patient each time": lambda _, number: message(number, f"N{number:07}"),
            "an identifier for the strict reader": lambda draw, number: message(number, f"P{draw.randrange(PATIENTS):05}", "Müller"),
        }
        times: dict[str, list[int]] = {what: [] for what in kinds}
        allowed: dict[str, list[bool]] = {what: [] for what in kinds}
        cost = overhead()
        for turned in range(rounds + 1):
            for what, made in kinds.items():
                draw = random.Random(f"{what}/{turned}")
                messages = [made(draw, turned * count + number) for number in range(count)]
                done = turn(partial(decide, gate), lambda decision: decision.allowed, messages, cost, 60.0)
                if turned:  # the first turn warms up
                    times[what] += done.times
                    allowed[what] += done.allowed
        rows += [Row(what, size, percentile(times[what], 0.5), percentile(times[what], 0.9), sum(allowed[what]) / len(allowed[what])) for what in kinds]
    return rows


def decide(gate: Gate, message: Message) -> Decision:
    """What is timed."""
    raw, identifier = message
    request = request_of(parse_command(raw), identifier, CONTEXT, ASSOCIATION, False, OPTIONS)
    if isinstance(request, Refusal):
        raise ValueError(request.comment)
    return gate.check(request)


def message(number: int, patient: str, name: str = "") -> Message:
    """A C-MOVE at STUDY level. With a ``name`` beyond ASCII the identifier needs the strict reader."""
    command = {
        "AffectedSOPClassUID": MOVE, "CommandField": C_MOVE_RQ, "MessageID": number % 65535 + 1, "MoveDestination": f"WS_{number % 20}", "Priority": 0,
        "CommandDataSetType": 1,
    }  # fmt: skip
    identifier = {"QueryRetrieveLevel": "STUDY", "PatientID": patient, "StudyInstanceUID": f"1.2.840.113619.2.55.3.604688119.971.{1136535214 + number}.501"}
    if name:
        identifier |= {"SpecificCharacterSet": "ISO_IR 100", "PatientName": name}
    return encode_command(command), write(dataset_of(identifier), ImplicitVRLittleEndian)


def load(size: int) -> Gate:
    """A gate without a record, with ``size`` rules for the two elements: half of them allow a patient each, some by a pattern."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "patients.yaml").write_text("\n".join(_policy(size)) + "\n")
        return hirules.load(folder)


def _policy(size: int) -> Iterator[str]:
    yield from ("hirules: 1", "policy: patients", "title: Which patients a workstation may move", "owner: privacy-office", "rules:")
    for number in range(size):
        patient = f"P{number % PATIENTS:05}" if number % 10 else f'{{glob: "N{number:03}*"}}'
        effect = "allow: {}" if number % 2 == 0 or number < PATIENTS // 2 else "deny: {reason: not agreed}"
        level = "[STUDY, SERIES]" if number % 3 else "STUDY"
        yield f"  - id: rule-{number}"
        yield "    on: c-move"
        yield f"    when: {{request.Identifier.QueryRetrieveLevel: {level}, request.Identifier.PatientID: {patient}}}"
        yield f"    {effect}"


def markdown(rows: Sequence[Row]) -> str:
    """The page."""
    return "\n".join(
        [
            "# From bytes to decision",
            "",
            "<!-- written by `make bench`; do not edit -->",
            "",
            "A C-MOVE at STUDY level, from its command set and identifier to the decision of `gate.check` without a record.",
            "Every rule reads the level and the patient; every message is about another study.",
            "",
            "| identifiers | rules | p50, µs | p90, µs | allowed |",
            "|---|---|---|---|---|",
            *(f"| {row.what} | {row.rules:,} | {row.p50:.1f} | {row.p90:.1f} | {row.allowed:.0%} |" for row in rows),
        ]
    )
