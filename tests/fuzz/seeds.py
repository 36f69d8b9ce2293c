"""Where the fuzzers begin: ``python -m tests.fuzz.seeds`` writes tests/fuzz/corpus and tests/fuzz/dictionaries again.

Everything is derived: policies from the demo and the cases of the tests, data sets and updates from the real DICOM files of the pydicom wheel,
messages and streams from the tests' own clients.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.valuerep import VR

from hirules.dimse.identifier import write
from hirules.dimse.message import NUMBERS, encode_command
from hirules.dimse.translate import SERVICES
from hirules.model.actions import ACTIONS
from hirules.model.dataset import DatasetView, dataset_of
from hirules.model.levels import level_of
from hirules.policy.edits import EDITS
from hirules.policy.operators import OPERATORS
from tests.dimse import wire
from tests.fuzz.fuzz_message import FROM_UPSTREAM, KEYS, NUMBERED, STRICT, SYNTAXES
from tests.laws.differential import Generator
from tests.peers.objects import FOLDER

VRS = frozenset(str(vr.value) for vr in VR if len(vr.value) == 2)
HERE = Path(__file__).parent
CASES = HERE.parent / "cases"
DEMO = HERE.parents[1] / "src" / "hirules" / "cli" / "demo_policies"
FILES = (
    "test_files/CT_small.dcm",
    "test_files/MR_small.dcm",
    "test_files/rtplan.dcm",
    "charset_files/chrH31.dcm",
    "charset_files/chrFrenMulti.dcm",
    "test_files/reportsi.dcm",
)


def main() -> None:
    """Write all of it."""
    for noun, seeds in {"policy": policies(), "relay": relays(), "message": messages(), "update": updates()}.items():
        folder = HERE / "corpus" / noun
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for seed in seeds:
            (folder / hashlib.sha256(seed).hexdigest()[:12]).write_bytes(seed)
    for noun, words in dictionaries().items():
        lines = [f'"{_escaped(word)}"' for word in dict.fromkeys(words)]
        (HERE / "dictionaries" / f"{noun}.dict").write_text("\n".join(lines) + "\n", encoding="ascii")


def _escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)


# -- policies --------------------------------------------------------------------------------------


def policies() -> Iterator[bytes]:
    """The demo, the broken cases, a policy of each operator's and each edit's cases, and two generated sets."""
    yield _folder({path.relative_to(DEMO).as_posix(): path.read_bytes() for path in sorted(DEMO.rglob("*")) if path.suffix in (".yaml", ".csv")})
    yield from (path.read_bytes() for path in sorted((CASES / "broken").glob("*.yaml")))
    for conditions in _cases("operators.yaml").values():
        texts = [case[0] for case in conditions if isinstance(case, list)]
        yield _policy(f"- {{id: r{number}, on: c-move, when: {text}, deny: {{}}}}" for number, text in enumerate(dict.fromkeys(texts)) if number < 6)
    for seed in (1, 2):
        yield _folder(Generator(seed).files(4))
    yield _policy(
        ["- {id: a, on: c-move, rewrite: [{set: {request.MoveDestination: A}}, {map: {request.MoveDestination: {A: B}}}]}",
         "- {id: b, on: release, rewrite: [{remove: instance.PatientName}, {keep_only: [instance.PatientID, instance.private]}]}",
         "- {id: c, on: update-image-set-metadata, rewrite: [{replace: {request.updates.Patient.PatientName: {regex: '(.*)', with: '\\1'}}}]}",
         "- {id: d, on: n-get, valid: {from: 2026-01-01T00:00:00Z}, mode: shadow, rewrite: [{drop: {request.AttributeIdentifierList: [PrinterName]}}]}",
         "- {id: e, on: [c-find, c-get], audit: {severity: high, note: x, sample: 5%, include: [subject.ae_title]}}"]
    )  # fmt: skip


def _folder(files: Mapping[str, bytes]) -> bytes:
    return b"".join(b"%% " + name.encode() + b"\n" + content.rstrip(b"\n") + b"\n" for name, content in files.items())


def _policy(rules: Iterable[str]) -> bytes:
    head = "hirules: 1\npolicy: p\ntitle: t\nlists:\n  clinical: [PACS_MAIN, PACS_DR]\n  pairs: {file: pairs.csv, column: ae_title}\nrules:\n"
    return _folder({"p.yaml": (head + "".join(f"  {rule}\n" for rule in rules)).encode(), "pairs.csv": b"peer,ae_title\nR1,WS1\n"})


def _cases(name: str) -> Any:
    return yaml.safe_load((CASES / name).read_text(encoding="utf-8"))


# -- streams ---------------------------------------------------------------------------------------


def relays() -> Iterator[bytes]:
    """Dialogues, as they are on the wire and as messages of the table."""
    dialogues = {
        "find": [(0, 0, 1), (1, 6, 1), (1, 6, 1), (1, 7, 1)],
        "cancelled": [(0, 0, 1), (1, 6, 1), (0, 3, 1), (1, 7, 1)],
        "get": [(0, 1, 2), (1, 2, 1), (0, 10, 1), (1, 8, 2), (1, 9, 2)],
        "move": [(0, 5, 3), (1, 11, 3)],
        "store and release": [(0, 2, 1), (1, 10, 1), (0, 14, 0), (1, 15, 0)],
        "report": [(1, 12, 1), (0, 4, 1), (0, 13, 2)],
        "abort": [(0, 2, 1), (0, 16, 0)],
    }
    for number, dialogue in enumerate(dialogues.values()):
        for ruling in (0, 8, 16):
            yield bytes([number * 4 & 63]) + b"".join(bytes([upstream | 6 | ruling, 2, known, identity]) for upstream, known, identity in dialogue)
    raw: list[list[tuple[int, bytes]]] = [
        [(0, wire.find()), (1, wire.message(1, wire.reply(0x20, status=0xFF00, data=True), wire.IDENTIFIER)), (1, wire.message(1, wire.reply(0x20)))],
        [(0, wire.get()), (1, wire.store(9, b"\1" * 90, max_length=80))],
        [(0, wire.pdvs((1, 1, wire.command(0x20, data=True)[:40]), (1, 3, wire.command(0x20, data=True)[40:]), (1, 2, wire.IDENTIFIER)))],
        [(0, wire.find(1)), (0, wire.find(2)), (0, wire.cancel(2)), (0, wire.RELEASE_RQ)],
    ]
    for steps in raw:
        yield b"\0" + b"".join(_raw(upstream, stream) for upstream, stream in steps)
        yield b"\x15" + b"".join(
            bytes([upstream | 2, len(piece) + 2, 1, control]) + piece for upstream, stream in steps for control, piece in [(3, stream[12:80])]
        )


def _raw(upstream: int, stream: bytes) -> bytes:
    return b"".join(bytes([upstream, len(stream[at : at + 255])]) + stream[at : at + 255] for at in range(0, len(stream), 255))


# -- messages --------------------------------------------------------------------------------------


def messages() -> Iterator[bytes]:
    """Every service with a data set of a real file, in every transfer syntax."""
    identifiers = [*map(_query, FILES)]
    for number, (field, service) in enumerate(sorted(SERVICES.items())):
        values: dict[str, object] = {
            name: {"Priority": 0, "MessageID": 1, "MoveDestination": "OLDPACS", "ActionTypeID": 1, "EventTypeID": 1}.get(name, "1.2.840.10008.5.1.4.1.2.2.2")
            for name in service.required
        }
        if field == 0x0110:
            values["AttributeIdentifierList"] = (0x00100010, 0x21100010)
        sop_class = {0x20: "1.2.840.10008.5.1.4.1.2.2.1", 0x10: "1.2.840.10008.5.1.4.1.2.2.3"}.get(field)
        if sop_class:
            values["AffectedSOPClassUID"] = sop_class
        command = encode_command({"CommandField": field, "CommandDataSetType": 1 if service.data_set else 0x0101, **values})
        for syntax in range(4):
            dataset = identifiers[(number + syntax) % len(identifiers)]
            data = write(dataset, SYNTAXES[syntax]) if service.data_set else b""
            chosen = syntax | (KEYS if field < 0x100 else 0) | (STRICT if syntax == 1 else 0) | (FROM_UPSTREAM if field == 1 else 0)
            yield bytes([chosen | NUMBERED, len(command) - 12]) + command[12:] + data
    for syntax in range(3):
        yield bytes([syntax, 0]) + write(_rich(), SYNTAXES[syntax])


def _query(name: str) -> Dataset:
    """An identifier that asks for a study of this file, and for some of what it holds."""
    source = DatasetView(dcmread(FOLDER.parent / name, stop_before_pixels=True))
    asked = ("SpecificCharacterSet", "StudyDate", "StudyTime", "PatientName", "PatientID", "StudyInstanceUID", "PatientBirthDate", "PatientWeight")
    found = {keyword: source[keyword] for keyword in asked if keyword in source}
    return dataset_of({"QueryRetrieveLevel": "STUDY", "ModalitiesInStudy": "", "StudyInstanceUID": "1.2.3", **found})


def _rich() -> Dataset:
    """An N service's data set: sequences, private blocks, numbers, long texts."""
    source = DatasetView(dcmread(FOLDER / "nested_priv_SQ.dcm", stop_before_pixels=True))
    found = {name: source[name] for name in source}
    more = {
        "ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2.3", "ReferencedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, {}],
        "SpecificCharacterSet": ["", "ISO 2022 IR 87"], "PatientName": "Yamada^Tarou=山田^太郎", "Rows": 512, "PixelSpacing": ["0.5", "0.25"],
        "TextValue": "a\\b", "FrameIncrementPointer": "FrameTime", '(0009,"GEMS_IDEN_01",01)': "x",
    }  # fmt: skip
    return dataset_of({**found, **more})


# -- updates ---------------------------------------------------------------------------------------


def updates() -> Iterator[bytes]:
    """Documents of what real files hold, each attribute at its level; removals; private elements."""
    for name in FILES:
        levels: dict[str, dict[str, object]] = {}
        view = DatasetView(dcmread(FOLDER.parent / name, stop_before_pixels=True))
        for keyword in view:
            value = view[keyword]
            if re.fullmatch("[A-Za-z]+", keyword) and isinstance(value, str | int | float) and value != "" and "\\" not in str(value):
                level = levels.setdefault(level_of(keyword), {})
                if len(level) < 4:
                    level[keyword] = value
        series = {"DICOM": levels.get("Series", {}), "Instances": {"1.2.3.1": {"DICOM": levels.get("Instance", {})}, "1.2.3.2": {"DICOM": {"Rows": 1}}}}
        tree = {"SchemaVersion": 1.1, "Patient": {"DICOM": levels.get("Patient", {})}, "Study": {"DICOM": levels.get("Study", {}), "Series": {"1.2.3": series}}}
        yield _json(tree)
        yield _json({"Patient": {"DICOM": levels.get("Patient", {})}}) + b"\0" + _json({"Study": {"DICOM": levels.get("Study", {"StudyID": ""})}})
    yield _json({"Study": {"Series": {"1.2": {"Instances": {"1.2.3": {"DICOM": {"001910F9": "97"}, "DICOMVRs": {"001910F9": "DS"}}}}}}})
    yield _json(
        {"Study": {"DICOM": {"ProcedureCodeSequence": [{"CodeValue": "1", "CodeMeaning": "ü"}]}, "Series": {"1": {"DICOM": {"Manufacturer": ["A", 1.5]}}}}}
    )
    yield _json({"Patient": {"DICOM": {"PatientName": "A"}}}) + b"\0" + _json({"Study": {"Series": {"1.2": {"Instances": {"1.2.3": {}}}}}})


def _json(tree: object) -> bytes:
    return json.dumps(tree, ensure_ascii=False).encode()


# -- words -----------------------------------------------------------------------------------------


def dictionaries() -> dict[str, list[bytes]]:
    """Words that a mutation would not find by itself."""
    keys = "hirules policy title owner references lists rules exceptions id on when unless allow deny rewrite audit mode valid from until severity tags"
    keys += " reason status offending respond note include sample of approved_by expires file column share all any not path today tz item every match list"
    keys += " hirules-set combining time_zone requires on_unknown no-match deny-unless-permit permit-unless-deny enforce shadow off with regex"
    roots = "subject.ae_title subject.claims request.Identifier.PatientID request.Identifier.StudyDate request.MoveDestination request.keys resource.PatientID"
    roots += " resource.count instance.**.PatientName instance.private instance.(60xx,3000) original.request.Priority context.now request.updates.Patient"
    roots += (
        ' ReferencedSeriesSequence[*] [0] (0009,"GEMS_IDEN_01",01) (0010,0020) $clinical {path: {today: -31d} 0xA801 90d 20:00 2026-03-02T10:00:00+01:00 mon'
    )
    policy = [f"{word}: " for word in [*keys.split(), *OPERATORS, *EDITS]] + [action.name for action in ACTIONS] + roots.split(" ")
    yaml_words = [
        b"%% set.yaml\n",
        b"%% q.yaml\n",
        b"%% x.csv\n",
        b"&a ",
        b"*a",
        b"!!str ",
        b"<<: ",
        b"? ",
        b"--- ",
        b"- ",
        b"|\n ",
        b">-\n ",
        b"''",
        b'""',
        b"~",
        b"\xe2\x80\xae",
    ]
    elements = [number.to_bytes(2, "little") for number in NUMBERS.values()]
    fields = (
        [field.to_bytes(2, "little") for field in SERVICES]
        + [(field | 0x8000).to_bytes(2, "little") for field in SERVICES]
        + [b"\xff\x0f", b"\x30\0", b"\x01\x01"]
    )
    tags = [tag.to_bytes(4, "big") for tag in (0x00100010, 0x00100020, 0x0020000D, 0x00080052, 0x00080005, 0x00081110, 0x00090010, 0x00091001, 0x00280010)]
    tags = [each[1::-1] + each[3:1:-1] for each in tags] + tags + [b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\xff\xff\xff\xff", b"\0\0"]
    vrs = [vr.encode() for vr in sorted(VRS)]
    texts = [b"STUDY ", b"PATIENT ", b"IMAGE ", b"1.2.3\0", b"ISO_IR 192", b"ISO_IR 100", b"ISO 2022 IR 87", b"\\", b"\x1b$B", b"*", wire.FIND_PADDED]
    headers = [b"\4\0\0\0\0", b"\5\0\0\0\0\4\0\0\0\0", b"\6\0\0\0\0\4\0\0\0\0", b"\7\0\0\0\0\4\0\0\0\0", b"\1\0", b"\x0f\0", b"\0\0\0\0\4\0\0\0"]
    names = [
        "PatientID",
        "PatientName",
        "StudyDate",
        "StudyID",
        "Manufacturer",
        "Rows",
        "ProcedureCodeSequence",
        "CodeValue",
        "00191001",
        "00191001",
        "(0019,1001)",
    ]
    levels = ["SchemaVersion", "Patient", "Study", "Series", "Instances", "DICOM", "DICOMVRs"]
    update = [json.dumps(name).encode() for name in [*names, *levels]] + [
        b"1e5",
        b"-0",
        b"1.50",
        b"null",
        b"true",
        b"NaN",
        b"\\ud800",
        b"\\u0000",
        b"{}",
        b"[]",
        b"\0",
        b"\xef\xbb\xbf",
    ]
    return {
        "policy": [word.encode() for word in policy] + yaml_words,
        "relay": [*headers, *fields, *[b"\0\0" + each for each in elements], wire.FIND_PADDED, wire.IDENTIFIER],
        "message": [*[b"\0\0" + each for each in elements], *fields, *tags, *vrs, *texts],
        "update": update,
    }


if __name__ == "__main__":
    main()
