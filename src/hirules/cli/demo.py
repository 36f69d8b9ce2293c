"""Run the main job on real DICOM files, with an archive and a HealthImaging of its own, and show what was decided."""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from importlib.resources import as_file, files
from itertools import zip_longest
from pathlib import Path

import msgspec

from hirules.assemble import load
from hirules.assemble.serving import serving
from hirules.cli.demo_clients import Client, Curator, Receiver
from hirules.healthimaging.standin import StandIn
from hirules.policy.ast import PolicySet, Rewrite
from hirules.settings import AuditSettings, DimseSettings, Settings

CLIENT, GATEWAY = "WARD_1", "GATE"
DICOM_FILES = ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm", "waveform_ecg.dcm")
"""Of the pydicom wheel: two patients with images, one with a dose, one with an ECG."""


WIDTHS = (38, 8, 34, 36)
"""Of the table's columns, in characters."""


class Row(msgspec.Struct, frozen=True):
    """One line of the table. ``expected`` says whether the step did what it should."""

    asked: str
    decision: str
    rules: list[str]
    happened: str
    expected: bool


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--keep", metavar="DIR", help="keep the files of the demo here: the policies, the archive, what was received, the record")
    parser.epilog = "needs no PACS, no root and no network; takes free ports of this machine. exit: 0 every step did what it should, else 1"


def run(arguments: argparse.Namespace) -> int:
    """Run every step and print the table."""
    with ExitStack() as stack:
        folder = Path(arguments.keep) if arguments.keep else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hirules-demo-")))
        folder.mkdir(parents=True, exist_ok=True)
        rows = [*_dimse(stack, folder), *_healthimaging(stack, folder)]
        records = [json.loads(line) for line in (folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
        rows.append(_record(records))
    print(table(rows))
    print(_entry(records))
    failed = [row for row in rows if not row.expected]
    print(f"\n{len(rows) - len(failed)} of {len(rows)} steps did what they should." + (f" Files are in {folder}." if arguments.keep else ""))
    return 1 if failed else 0


def _dimse(stack: ExitStack, folder: Path) -> Iterator[Row]:
    archive = folder / "archive"
    archive.mkdir(exist_ok=True)
    source = files("pydicom") / "data" / "test_files"
    for name in DICOM_FILES:
        with as_file(source / name) as path:
            shutil.copyfile(path, archive / name)
    receiver = Receiver("PACS_MAIN", folder / "received")
    stack.callback(receiver.stop)
    host, port = receiver.start()
    settings = Settings(
        policies=str(_policies(folder)),
        audit=AuditSettings(file=str(folder / "audit.jsonl")),
        dimse=DimseSettings(
            listen=f"{GATEWAY}@127.0.0.1:0", upstream=f"embedded:{archive}", destinations={"main": f"PACS_MAIN@{host}:{port}"}, drain_timeout=1.0
        ),
    )
    parts = serving(settings)
    stack.callback(parts.close)
    stack.callback(parts.gateway.stop)
    client = Client(CLIENT, GATEWAY, *parts.gateway.start())
    audit = Audit(folder / "audit.jsonl", parts.gate.policies)

    found = client.find("STUDY", PatientID="1CT1")
    yield audit.row(f"{CLIENT} looks for the studies of a patient (C-FIND)", f"{found.matches} match", "allow", found.status == 0 and found.matches == 1)
    got = client.get(study := found.study)
    yield audit.row(
        f"{CLIENT} fetches the study itself (C-GET)", f"{len(got.instances)} instance delivered", "allow",
        got.status == 0 and len(got.instances) == 1, action="c-get",
    )  # fmt: skip
    moved = client.move("NOWHERE", study)
    yield audit.row(
        f"{CLIENT} has it sent to NOWHERE (C-MOVE)", f"status 0x{moved.status:04X}: {moved.comment}", "deny",
        moved.status == 0xA801 and receiver.count == 0,
    )  # fmt: skip
    moved = client.move("OLD_PACS", study)
    yield audit.row(
        f"{CLIENT} has it sent to OLD_PACS (C-MOVE)", f"{receiver.count} instance arrived at {receiver.ae_title}", "rewrite",
        moved.status == 0 and receiver.count == 1,
    )  # fmt: skip
    printer = client.printer_attributes("PrinterStatus", "PrinterName", "DeviceSerialNumber")
    yield audit.row(
        f"{CLIENT} reads a printer's status, name and serial number (N-GET)", f"{', '.join(printer.names) or 'nothing'} came back", "rewrite",
        printer.status == 0 and printer.names == ("PrinterStatus",),
    )  # fmt: skip


def _healthimaging(stack: ExitStack, folder: Path) -> Iterator[Row]:
    service = stack.enter_context(StandIn())
    (image_set,) = service.load([folder / "archive" / "CT_small.dcm"], primary=False)
    # the same record as the gateway's: both append whole lines
    gate = load(_policies(folder), audit=folder / "audit.jsonl")
    stack.callback(gate.close)
    ada = Curator("ada", gate, service.url, service.datastore_id, image_set)
    audit = Audit(folder / "audit.jsonl", gate.policies)

    refused = ada.revert(to="1")
    sent = service.counts["UpdateImageSetMetadata"]
    yield audit.row("ada goes back to an earlier version of an image set (boto3)", f"{refused}, {sent} calls sent", "deny",
                    refused == "AccessDeniedException" and sent == 0)  # fmt: skip
    changed = ada.update({"Study": {"DICOM": {"StudyDescription": "spoke with the patient's brother"}}})
    service.settle()
    description = service.metadata(image_set)["Study"]["DICOM"].get("StudyDescription")
    yield audit.row("ada writes free text into a study description (boto3)", f"{changed}, the description is now {description}", "rewrite",
                    changed == "carried out" and description == "CORRECTED")  # fmt: skip


def _policies(folder: Path) -> Path:
    """The demo's policies as a folder, also where the package is a zip."""
    target = folder / "policies"
    if not target.exists():
        with as_file(files("hirules.cli") / "demo_policies") as source:
            shutil.copytree(source, target)
    return target


class Audit:
    """What the record says of each step: the table tells what was written, not what was meant."""

    def __init__(self, path: Path, policies: PolicySet) -> None:
        self._path, self._policies = path, policies
        self._seen = len(self._lines())

    def row(self, asked: str, happened: str, decision: str, worked: bool, *, action: str | None = None) -> Row:
        """The row of the step that was just taken; its decision is that of the newest record (of ``action``)."""
        lines = self._lines()
        new = [line for line in lines[self._seen :] if line["entry"] == "decision" and line["action"] not in ("associate", "c-store", "get-image-set")]
        self._seen = len(lines)
        record = next((line for line in new if action in (None, line["action"])), None)
        if record is None:
            return Row(asked, "not recorded", [], happened, expected=False)
        said = "rewrite" if record["decision"] == "allow" and record["rewritten"] else str(record["decision"])
        rules = [*self._rewriting(record), *_strings(record["by"])]
        return Row(asked, said, rules, happened, worked and said == decision and bool(rules))

    def _rewriting(self, record: dict[str, object]) -> list[str]:
        """The rules that changed what the record says was changed."""
        changed = set(_strings(record["rewritten"]))
        return [
            rule.id
            for rule in self._policies.rules
            if isinstance(rule.effect, Rewrite) and record["action"] in rule.on and any(edit.path.text in changed for edit in rule.effect.edits)
        ]

    def _lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()] if self._path.exists() else []


def _strings(names: object) -> list[str]:
    return [str(name) for name in names] if isinstance(names, list) else []


def _record(records: list[dict[str, object]]) -> Row:
    noted = [record for record in records if record.get("notes")]
    outcomes = {record["id"] for record in records if record["entry"] == "outcome"}
    decided = [record for record in records if record["entry"] == "decision"]
    completed = sum(record["id"] in outcomes for record in decided)
    text = json.dumps(records)
    silent = "1CT1" not in text and "CompressedSamples" not in text and "brother" not in text
    happened = f"{len(decided)} decisions, {completed} with their outcome, " + ("no value of a patient" if silent else "VALUES OF A PATIENT")
    return Row("the record of all this is read (audit.jsonl)", "audit", ["retrieval/watch-moves"], happened, bool(noted) and completed > 0 and silent)


def _entry(records: list[dict[str, object]]) -> str:
    """One entry of the record, as it stands there, without its empty fields."""
    noted = next((record for record in records if record.get("notes")), records[0] if records else {})
    shown = {name: value for name, value in noted.items() if value not in ([], {}, None, "")}
    return "\nOne entry of the record:\n" + json.dumps(shown, indent=2, ensure_ascii=False)


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    words = {"allow": "allowed", "deny": "refused", "rewrite": "changed", "audit": "recorded"}
    cells = [("What was asked", "Decision", "Because of the rule", "What happened")]
    for row in rows:
        happened = row.happened if row.expected else f"NOT AS IT SHOULD BE: {row.happened}"
        cells.append((row.asked, words.get(row.decision, row.decision), "\n".join(row.rules) or "-", happened))
    lines = [_line(row) for row in cells]
    lines.insert(1, "-" * (sum(WIDTHS) + 2 * len(WIDTHS) + 2))
    return "\n".join(f"{'' if number < 2 else number - 1:>2}  {line}" if number != 1 else line for number, line in enumerate(lines))


def _line(cells: Sequence[str]) -> str:
    """One row of cells, each wrapped to the width of its column."""
    wrapped = [[part for line in cell.split("\n") for part in textwrap.wrap(line, width) or [""]] for cell, width in zip(cells, WIDTHS, strict=True)]
    parts = ["  ".join(f"{part:<{width}}" for part, width in zip(row, WIDTHS, strict=True)).rstrip() for row in zip_longest(*wrapped, fillvalue="")]
    return "\n    ".join(parts)
