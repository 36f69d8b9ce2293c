from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from msgspec.structs import replace
from pydicom.dataelem import convert_raw_data_element
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hirules.dimse import flat
from hirules.dimse import release as release_module
from hirules.dimse.elements import DEFLATED, Malformed, Scan, deflated, spliced
from hirules.dimse.identifier import write
from hirules.dimse.release import Held, HeldView, carried_out, disclosure, header_of, held
from hirules.dimse.translate import same
from hirules.model.dataset import DatasetView, dataset_of, keyword_of, tag_of
from hirules.model.decision import Decision
from hirules.model.reading import Fields, Unknown
from hirules.model.request import Request
from hirules.policy.evaluate import evaluate
from tests.dimse.leaving import SAMPLES, decoded, encoded, gate_of

CAP = 1 << 28
ASKED = Request("c-get", subject={"ae_title": "RES"}, request={"MessageID": 1, "Priority": 0}, context={"now": datetime(2026, 11, 21, tzinfo=UTC)}, id="1")
NOW = datetime(2026, 11, 21, tzinfo=UTC)
PERMITTED = Decision("allow", ASKED)
REWRITING = """
  - {id: born, on: release, rewrite: [remove: instance.PatientBirthDate]}
  - {id: name, on: release, rewrite: [set: {instance.PatientName: Nobody^At All}]}
  - {id: study, on: release, rewrite: [default: {instance.AccessionNumber: A1}]}
  - {id: device, on: release, rewrite: [set: {instance.InstitutionName: X}]}
"""
ALLOWING = "  - {id: may, on: answer, allow: {}}\n"
PRIVATE = "  - {id: all, on: release, rewrite: [remove: instance.private]}\n"


def release(gate: object, came: Held, *, whole: bool) -> tuple[Decision, bytes | None]:
    view = HeldView(came, header=not whole)
    assert dict(view).keys() == {*DatasetView(came.dataset), *(("PixelData",) if not whole else ())}
    assert whole or isinstance(view["PixelData"], Unknown)
    assert all(view[name] == value for name, value in DatasetView(came.dataset).items())
    view = HeldView(came, header=not whole)
    decision = gate.check(disclosure("release", PERMITTED, ASKED, view))  # type: ignore[attr-defined]
    return decision, carried_out(decision, came, view) if decision.allowed else None


def samples() -> list[Path]:
    found = []
    for path in sorted(SAMPLES.rglob("*.dcm")):
        with path.open("rb") as file:
            if file.read(132)[128:] == b"DICM":
                found.append(path)
    return found


def collected(data: bytes, syntax: str) -> tuple[Held, bytes]:
    scan = Scan(syntax, 0x7FE00000)
    scan.finish(data)
    assert scan.header is not None
    return header_of(data, scan, syntax), data[scan.header :]


@pytest.mark.parametrize("path", samples(), ids=lambda path: path.stem)
@pytest.mark.parametrize("rules", [REWRITING, PRIVATE], ids=["elements", "private"])
@pytest.mark.filterwarnings("ignore")
def test_what_leaves_is_the_effective_instance(path: Path, rules: str) -> None:
    data, syntax = encoded(path)
    gate = gate_of(rules)
    try:
        if syntax == DEFLATED or rules is PRIVATE:
            came, rest = held(data, syntax, CAP), b""
        else:
            came, rest = collected(data, syntax)
    except Malformed:
        pytest.skip("it has no exact framing, and is not released")
    decision, left = release(gate, came, whole=not rest)
    if left is None:
        # an edit meets an element that cannot be decoded: it fails, and the instance stays
        assert not decision.allowed
        assert decision.by
        return
    again = decoded(left + rest, syntax)
    view = DatasetView(again)
    wanted = {name: value for name, value in (decision.effective.instance or {}).items() if value is not None}
    for name, value in wanted.items():
        tag = tag_of(name, again)
        if isinstance(value, Unknown) or (tag is not None and not tag & 0xFFFF):
            continue
        only = Dataset()
        assert tag is not None
        only.add(again[tag])
        assert view[name] == value or same(DatasetView(only), {name: value}) or tag >> 16 & 1, name
    assert not rest or (left + rest).endswith(rest)
    if rules is REWRITING:
        assert not again.get("PatientBirthDate")
        assert str(again.PatientName) == "Nobody^At All"
        assert again.InstitutionName == "X"
    else:
        # what is zero-length is absent: `remove` leaves it, and the creator of its block
        assert not [element.tag for element in again.iterall() if element.tag.is_private and not element.is_empty and element.tag.element >= 0x1000]
    uids = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")
    before = decoded(data, syntax)
    assert [again.get(uid) for uid in uids] == [before.get(uid) for uid in uids]
    # every element that no rule named is the very bytes that came
    names = {"PatientBirthDate", "PatientName", "AccessionNumber", "InstitutionName"}
    came_bytes, left_bytes = parts(came.data, came.transfer_syntax), parts(held(left, syntax, CAP).data, came.transfer_syntax)
    for tag, content in came_bytes.items():
        if tag & 0xFFFF and keyword_of(tag) not in names and (rules is REWRITING or (not tag >> 16 & 1 and not private_below(before, tag))):
            assert left_bytes[tag] == content


def parts(data: bytes, syntax: str) -> dict[int, bytes]:
    return {tag: data[start:end] for tag, (start, end) in held(data, syntax, CAP).elements.items()}


def private_below(dataset: Dataset, tag: int) -> bool:
    return dataset[tag].VR == "SQ" and any(element.tag.is_private for item in dataset[tag].value for element in item.iterall())


@pytest.mark.parametrize("syntax", [str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian), DEFLATED])
def test_character_sets_private_blocks_and_group_lengths(syntax: str) -> None:
    dataset = dataset_of(
        {
            "SpecificCharacterSet": ["", "ISO 2022 IR 87"],
            "SOPInstanceUID": "1.2.3",
            "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
            "PatientBirthDate": "19700101",
            '(0009,"ACME",01)': "kept",
            "ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2"}],
            "StudyDescription": "old",
        }
    )
    data = write(dataset, syntax)
    came = held(data, syntax, CAP)
    gate = gate_of(
        """
  - {id: born, on: release, rewrite: [remove: instance.PatientBirthDate]}
  - {id: study, on: release, rewrite: [set: {instance.StudyDescription: 検査}]}
"""
    )
    decision, left = release(gate, came, whole=True)
    assert decision.allowed
    assert left is not None
    again = decoded(left, syntax)
    assert str(again.PatientName) == "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert again.StudyDescription == "検査"
    assert again.private_block(0x0009, "ACME")[1].value in ("kept", b"kept")
    assert "PatientBirthDate" not in again
    assert again.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2"


def test_group_lengths_follow() -> None:
    body = write(dataset_of({"SOPInstanceUID": "1.2.3", "StudyDescription": "a long description"}), str(ExplicitVRLittleEndian))
    data = b"\x08\x00\x00\x00UL\x04\x00" + len(body).to_bytes(4, "little") + body
    gate = gate_of("  - {id: study, on: release, rewrite: [set: {instance.StudyDescription: short}]}\n")
    _, left = release(gate, held(data, str(ExplicitVRLittleEndian), CAP), whole=True)
    assert left is not None
    assert int.from_bytes(left[8:12], "little") == len(left) - 12


def test_text_outside_the_character_set_does_not_leave() -> None:
    came = held(write(dataset_of({"SOPInstanceUID": "1.2.3"}), str(ImplicitVRLittleEndian)), str(ImplicitVRLittleEndian), CAP)
    gate = gate_of("  - {id: study, on: release, rewrite: [set: {instance.StudyDescription: 検査}]}\n")
    with pytest.raises(ValueError, match="character set"):
        release(gate, came, whole=True)


def test_pixels_that_were_not_waited_for_are_unknown() -> None:
    came = held(write(dataset_of({"SOPInstanceUID": "1.2.3"}), str(ImplicitVRLittleEndian)), str(ImplicitVRLittleEndian), CAP)
    gate = gate_of("  - {id: pixels, on: release, when: {instance.PixelData: {exists: true}}, deny: {}}\n")
    assert not release(gate, came, whole=False)[0].allowed
    assert release(gate, came, whole=True)[0].allowed
    gate = gate_of("  - {id: only, on: release, rewrite: [keep_only: {instance: [SOPInstanceUID]}]}\n")
    assert not release(gate, came, whole=False)[0].allowed
    assert release(gate, came, whole=True)[0].allowed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert repr(came) == "Held(1 elements)"


EDITS = {
    "set": "[{set: {instance.PatientName: Nobody^At All}}]",
    "set-new": "[{set: {instance.ClinicalTrialSponsorName: X}}, {remove: instance.PatientID}]",
    "set-same": "[{set: {instance.PatientSex: O}}]",
    "default": "[{default: {instance.AccessionNumber: A1}}]",
    "remove": "[{remove: [instance.PatientBirthDate, instance.PatientID, instance.StudyTime]}]",
    "map": "[{map: {instance.PatientSex: {M: O, F: O, O: O}}}]",
    "replace": "[{replace: {instance.PatientID: {regex: '(.*)', with: 'X\\1'}}}]",
    "keep-list": "[{keep_only: {instance.ImageType: [ORIGINAL, DERIVED]}}]",
    "keep-data-set": "[{keep_only: {instance: [PatientID, Modality, ReferencedImageSequence, PixelData]}}]",
    "add": "[{add: {instance.OtherPatientNames: Other^Name}}]",
    "drop": "[{drop: {instance.ImageType: ORIGINAL}}]",
    "numbers": "[{set: {instance.Rows: 7}}, {set: {instance.InstanceNumber: 5}}]",
    "choice": "[{set: {instance.SmallestImagePixelValue: 3}}]",
    "sign": "[{set: {instance.PixelRepresentation: 1}}]",
    "characters": "[{set: {instance.SpecificCharacterSet: ISO_IR 192}}]",
    "text": "[{set: {instance.InstitutionName: Universit\u00e4t}}]",
    "in-item": "[{set: {'instance.ReferencedImageSequence[0].ReferencedSOPInstanceUID': 1.2.3}}]",
    "in-items": "[{remove: 'instance.ReferencedImageSequence[*].ReferencedSOPInstanceUID'}]",
    "below": "[{remove: instance.**.ReferencedSOPInstanceUID}]",
    "names-below": "[{remove: [instance.**.PersonName, instance.**.CodeMeaning]}]",
    "sequence": "[{remove: [instance.ReferencedImageSequence, instance.RequestAttributesSequence, instance.BeamSequence]}]",
    "item": "[{remove: 'instance.ReferencedImageSequence[0]'}]",
    "private": "[{remove: instance.private}]",
    "one-private": "[{remove: 'instance.(0009,\"GEMS_IDEN_01\",01)'}]",
    "creator": "[{remove: 'instance.(0009,0010)'}]",
    "set-private": "[{set: {'instance.(0009,\"GEMS_IDEN_01\",02)': X}}]",
    "group": "[{remove: 'instance.(60xx,3000)'}]",
}


def edit(text: str) -> str:
    return f"  - {{id: edit, on: release, rewrite: {text}}}\n"


def carried(decision: Decision, came: Held, before: Fields) -> bytes | None:
    try:
        return carried_out(decision, came, before)
    except ValueError:
        return None


@pytest.mark.parametrize("text", EDITS.values(), ids=EDITS.keys())
@pytest.mark.filterwarnings("ignore")
def test_a_rewritten_data_set_is_as_if_all_of_it_had_been_decoded(text: str) -> None:
    """What is decided, and what leaves, of every sample: by an overlay that decodes little, and by a dict that holds all values."""
    policies = gate_of(edit(text)).policies
    left = 0
    for path in samples():
        data, syntax = encoded(path)
        try:
            came = collected(data, syntax)[0] if syntax != DEFLATED else held(data, syntax, CAP)
        except Malformed:
            continue
        view = HeldView(came)
        lazy = evaluate(policies, disclosure("release", PERMITTED, ASKED, view), NOW)
        whole = dict(HeldView(came))
        eager = evaluate(policies, disclosure("release", PERMITTED, ASKED, whole), NOW)
        assert (lazy.decision, lazy.rewritten, lazy.errors) == (eager.decision, eager.rewritten, eager.errors), path.stem
        if not lazy.allowed or eager.effective.instance is whole:
            assert lazy.effective.instance is view or not lazy.allowed
            continue
        wanted = dict(eager.effective.instance or {})
        again = carried(lazy, came, view)
        assert again == carried(replace(lazy, effective=replace(lazy.effective, instance=wanted)), came, whole), path.stem
        assert lazy.effective.instance == wanted, path.stem
        left += again is not None
    assert left, "no sample has it"


class Decoding:
    """The elements that pydicom, or the reader of plain ones, decodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tags: list[int] = []
        monkeypatch.setattr(pydicom.dataset, "convert_raw_data_element", self._pydicom(convert_raw_data_element))
        monkeypatch.setattr(flat, "read", self._flat(flat.read))

    def _pydicom(self, convert: Any) -> Any:
        def counted(raw: Any, *args: Any, **more: Any) -> Any:
            self.tags.append(int(raw.tag))
            return convert(raw, *args, **more)

        return counted

    def _flat(self, read: Any) -> Any:
        def counted(data: bytes, syntax: str) -> Any:
            self.tags += parts(data, syntax)
            return read(data, syntax)

        return counted


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ("[{remove: instance.PatientBirthDate}]", {0x00100030}),
        ("[{remove: [instance.PatientBirthDate, instance.PatientWeight, instance.Rows]}]", {0x00100030, 0x00101030, 0x00280010}),
        ("[{set: {instance.PatientName: Nobody}}]", {0x00100010}),
        ("[{set: {instance.Rows: 7}}]", {0x00280010}),
        ("[{default: {instance.AccessionNumber: A1}}]", {0x00080050}),
        ("[{remove: 'instance.OtherPatientIDsSequence[0].TypeOfPatientID'}]", {0x00101002, 0x00100020, 0x00100022}),
    ],
)
@pytest.mark.parametrize("syntax", [str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian), DEFLATED])
def test_no_element_is_decoded_that_the_rules_do_not_name(text: str, tags: set[int], syntax: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, came_in = encoded(SAMPLES / "CT_small.dcm")
    dataset = decoded(data, came_in)
    dataset.PatientBirthDate = "19700101"
    came = held(write(dataset_of({name: value for name, value in DatasetView(dataset).items() if name != "PixelData"}), syntax), syntax, CAP)
    gate = gate_of(edit(text))
    decoding = Decoding(monkeypatch)
    view = HeldView(came)
    decision = gate.check(disclosure("release", PERMITTED, ASKED, view))
    left = carried_out(decision, came, view)
    assert left != (deflated(came.data) if came.deflated else came.data)
    # the character set, and whether numbers are signed, say how others are read
    assert set(decoding.tags) - tags <= {0x00080005, 0x00280103}
    assert decoding.tags


def test_what_says_how_others_are_read_is_looked_at_with_all_of_them() -> None:
    """In implicit VR a number is signed where Pixel Representation says so: changing it changes what others say."""
    for value, leaves in ((3, True), (0xFFFF, False)):
        dataset = dataset_of({"SOPInstanceUID": "1.2.3", "PixelRepresentation": 0})
        dataset.add_new(0x00280106, "US", value)
        gate = gate_of(edit("[{set: {instance.PixelRepresentation: 1}}]"))
        for syntax in (str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian)):
            came = held(write(dataset, syntax), syntax, CAP)
            view = HeldView(came)
            decision = gate.check(disclosure("release", PERMITTED, ASKED, view))
            assert decision.allowed
            assert (carried(decision, came, view) is not None) == (leaves or syntax == str(ExplicitVRLittleEndian))


def test_a_sequence_is_read_alone_as_it_is_read_with_the_others() -> None:
    """Numbers in its items are signed as the data set around it says."""
    item = Dataset()
    item.add_new(0x00280106, "SS", -2)
    dataset = dataset_of({"SOPInstanceUID": "1.2.3", "PixelRepresentation": 1})
    dataset.add_new(0x00081140, "SQ", [item])
    came = held(write(dataset, str(ImplicitVRLittleEndian)), str(ImplicitVRLittleEndian), CAP)
    items = HeldView(came)["ReferencedImageSequence"]
    assert isinstance(items, tuple)
    assert [one["SmallestImagePixelValue"] for one in items] == [-2]


@pytest.mark.parametrize(
    "break_it",
    [
        pytest.param(lambda data: data[:-1] + b"X", id="a byte of another element"),
        pytest.param(lambda data: data + dataset_bytes({"StudyTime": "12"}), id="an element more"),
        pytest.param(lambda data: data[: -len(dataset_bytes({"StudyID": "S1"}))], id="an element less"),
        pytest.param(lambda data: data[:-2], id="cut"),
        pytest.param(lambda data: data.replace(b"Nobody", b"Nobodz"), id="another value"),
    ],
)
def test_what_is_not_as_it_was_decided_does_not_leave(break_it: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    came = held(dataset_bytes({"SOPInstanceUID": "1.2.3", "PatientName": "Doe", "StudyID": "S1"}), str(ImplicitVRLittleEndian), CAP)
    view = HeldView(came)
    decision = gate_of(edit("[{set: {instance.PatientName: Nobody}}]")).check(disclosure("release", PERMITTED, ASKED, view))
    assert carried_out(decision, came, view)
    monkeypatch.setattr(release_module, "spliced", lambda *args: break_it(spliced(*args)))
    with pytest.raises(ValueError, match="cannot be encoded"):
        carried_out(decision, came, view)


@pytest.mark.parametrize("text", ["[{set: {instance.PatientName: Nobody}}]", "[{remove: instance.PatientName}]", "[{remove: instance.StudyID}]"])
@pytest.mark.parametrize("syntax", [str(ImplicitVRLittleEndian), str(ExplicitVRBigEndian), DEFLATED])
def test_what_only_rules_asked_for_is_taken_out_again(text: str, syntax: str) -> None:
    fields: dict[str, object] = {"SOPInstanceUID": "1.2.3", "PatientName": "Doe", "PatientID": "P", "StudyID": "S1"}
    came = held(write(dataset_of(fields), syntax), syntax, CAP)
    strip = {tag for name in ("PatientName", "PatientID", "StationName") if (tag := tag_of(name))}
    view = HeldView(came)
    for rules in (edit(text), ALLOWING):
        decision = gate_of(rules).check(disclosure("answer" if rules is ALLOWING else "release", PERMITTED, ASKED, view))
        left = carried_out(decision, came, view, strip)
        kept = {
            name: value for name, value in fields.items() if name in ("SOPInstanceUID", *(() if "StudyID" in text and rules is not ALLOWING else ("StudyID",)))
        }
        assert dict(DatasetView(decoded(left, syntax))) == kept


@pytest.mark.filterwarnings("ignore:Unknown encoding")
def test_to_take_an_element_out_nothing_is_encoded() -> None:
    """So it does not matter in which character set the others are: they are the bytes that came."""
    plain = dataset_bytes({"SpecificCharacterSet": "ISO_IR 100", "SOPInstanceUID": "1.2.3", "PatientID": "P", "StudyID": "S1"})
    came = held(plain.replace(b"ISO_IR 100", b"ISO_IR 999"), str(ImplicitVRLittleEndian), CAP)
    for text, leaves in (("[{remove: instance.PatientID}]", True), ("[{set: {instance.PatientID: Q}}]", False)):
        view = HeldView(came)
        decision = gate_of(edit(text)).check(disclosure("release", PERMITTED, ASKED, view))
        assert decision.allowed
        assert (carried(decision, came, view) is not None) == leaves


def test_both_blocks_of_one_creator_are_meant() -> None:
    """The element of the first has the name, that of the other its number: both are the creator's."""
    dataset = dataset_of({"SOPInstanceUID": "1.2.3"})
    for tag, value in ((0x00090010, "ACME"), (0x00090011, "ACME"), (0x00091001, "first"), (0x00091101, "other"), (0x00091102, "kept")):
        dataset.add_new(tag, "LO", value)
    came = held(write(dataset, str(ExplicitVRLittleEndian)), str(ExplicitVRLittleEndian), CAP)
    view = HeldView(came)
    decision = gate_of(edit("[{remove: 'instance.(0009,\"ACME\",01)'}]")).check(disclosure("release", PERMITTED, ASKED, view))
    left = decoded(carried_out(decision, came, view), str(ExplicitVRLittleEndian))
    assert {element.tag: element.value for element in left if element.tag.is_private} == {0x00090010: "ACME", 0x00090011: "ACME", 0x00091102: "kept"}


def dataset_bytes(fields: Fields) -> bytes:
    return write(dataset_of(fields), str(ImplicitVRLittleEndian))
