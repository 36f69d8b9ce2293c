from __future__ import annotations

import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hirules.dimse.elements import DEFLATED, Malformed, Scan
from hirules.dimse.identifier import write
from hirules.dimse.release import Held, HeldView, carried_out, disclosure, header_of, held
from hirules.dimse.translate import same
from hirules.model.dataset import DatasetView, dataset_of, keyword_of, tag_of
from hirules.model.decision import Decision
from hirules.model.reading import Unknown
from hirules.model.request import Request
from tests.dimse.leaving import SAMPLES, decoded, encoded, gate_of

CAP = 1 << 28
ASKED = Request("c-get", subject={"ae_title": "RES"}, request={"MessageID": 1, "Priority": 0}, context={"now": datetime(2026, 11, 21, tzinfo=UTC)}, id="1")
PERMITTED = Decision("allow", ASKED)
REWRITING = """
  - {id: born, on: release, rewrite: [remove: instance.PatientBirthDate]}
  - {id: name, on: release, rewrite: [set: {instance.PatientName: Nobody^At All}]}
  - {id: study, on: release, rewrite: [default: {instance.AccessionNumber: A1}]}
  - {id: device, on: release, rewrite: [set: {instance.InstitutionName: X}]}
"""
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
