from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hirules.dimse.elements import Malformed, Scan, inflated, scanned, spliced
from hirules.dimse.identifier import write
from hirules.model.dataset import dataset_of

PLAIN = [str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian)]
PIXELS = 0x7FE00000
DATASET = dataset_of(
    {
        "SOPInstanceUID": "1.2.3",
        "ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2", "PurposeOfReferenceCodeSequence": [{"CodeValue": "X"}]}, {}],
        "PatientID": "P1",
        "RequestAttributesSequence": [],
    }
)


def pieces(data: bytes, seed: int) -> list[int]:
    chance, ends = random.Random(seed), [0]
    while ends[-1] < len(data):
        ends.append(min(len(data), ends[-1] + chance.randint(1, 9)))
    return ends


@pytest.mark.parametrize("syntax", PLAIN)
@pytest.mark.parametrize("undefined", [False, True])
def test_the_elements_are_found_however_they_come(syntax: str, undefined: bool) -> None:
    DATASET["ReferencedStudySequence"].is_undefined_length = undefined
    for item in DATASET.ReferencedStudySequence:
        item.is_undefined_length_sequence_item = undefined
    data = write(DATASET, syntax)
    scan = Scan(syntax, PIXELS)
    for end in pieces(data, 1):
        assert not scan.advance(data[:end])
    scan.finish(data)
    assert scan.header == len(data)
    assert list(scan.elements) == [int(element.tag) for element in DATASET]
    assert b"".join(data[start:end] for start, end in scan.elements.values()) == data


def test_the_header_ends_where_the_pixels_begin_and_not_later() -> None:
    data = write(DATASET, PLAIN[1])
    pixels = b"\xe0\x7f\x10\x00OW\0\0\x00\x10\x00\x00"
    scan = Scan(PLAIN[1], PIXELS)
    assert not scan.advance(data + pixels[:7])
    assert scan.advance(data + pixels[:8])
    assert scan.header == len(data)


ELEMENT = b"\x10\x00\x20\x00LO\x02\x00P1"


@pytest.mark.parametrize(
    "data",
    [
        ELEMENT * 2,
        ELEMENT + b"\x08\x00\x18\x00UI\x02\x001\0",
        b"\x10\x00\x20\x00LO\x03\x00P12",
        b"\x10\x00\x20\x00LO\x04\x00P1",
        b"\x10\x00\x20\x00??\x02\x00P1",
        b"\x02\x00\x10\x00UI\x02\x001\0",
        b"\x10\x00\x20\x00LT\xff\xff",
        b"\x10\x00\x20\x00UT\0\0\xff\xff\xff\xff",
        ELEMENT + b"\x10",
        b"\x08\x00\x10\x11SQ\0\0\x08\0\0\0\xfe\xff\x00\xe0\x10\0\0\0",
        b"\x08\x00\x10\x11SQ\0\0\x04\0\0\0\xfe\xff\x00\xe0",
        b"\x08\x00\x10\x11SQ\0\0\x1c\0\0\0\xfe\xff\x00\xe0\x14\0\0\0" + ELEMENT * 2,
        b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\0\0\0",
        b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x0d\xe0\x00\0\0\0",
    ],
)
def test_what_could_be_read_in_two_ways_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        scanned(data, PLAIN[1])


def test_an_implicit_element_that_readers_could_take_for_explicit_is_malformed() -> None:
    with pytest.raises(Malformed):
        scanned(b"\x08\x00\x05\x00CS\0\0" + b" " * 0x5343, PLAIN[0])


def test_sequences_nested_too_deep_are_malformed() -> None:
    with pytest.raises(Malformed):
        scanned((b"\x08\x00\x10\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff") * 40, PLAIN[1])


def test_a_damaged_or_large_deflated_data_set_is_malformed() -> None:
    data = write(DATASET, "1.2.840.10008.1.2.1.99")
    assert inflated(data, 1 << 20) == write(DATASET, PLAIN[1])
    for damaged, cap in ((data[:-4], 1 << 20), (data, 10), (b"\xff" * 20, 1 << 20), (data + b"more", 1 << 20)):
        with pytest.raises(Malformed):
            inflated(damaged, cap)


@given(st.binary(max_size=200), st.sampled_from(PLAIN), st.integers(0, 5))
def test_whatever_comes_a_scan_ends_and_says_the_same_in_pieces(noise: bytes, syntax: str, where: int) -> None:
    data = write(DATASET, syntax)
    at = where * len(data) // 5
    data = data[:at] + noise + data[at:]
    whole, parts = Scan(syntax, PIXELS), Scan(syntax, PIXELS)
    found: list[object] = []
    for scan, ends in ((whole, [len(data)]), (parts, pieces(data, where))):
        try:
            for end in ends:
                scan.advance(data[:end])
            scan.finish(data)
            found.append((scan.header, scan.elements))
        except Malformed:
            found.append("malformed")
    assert found[0] == found[1]


def test_elements_are_replaced_added_and_taken_out() -> None:
    data = write(dataset_of({"SOPInstanceUID": "1.2.3", "PatientID": "P1", "PatientName": "A^B"}), PLAIN[1])
    elements = scanned(data, PLAIN[1]).elements
    other = write(dataset_of({"PatientID": "another", "PatientSex": "F"}), PLAIN[1])
    new = {tag: other[start:end] for tag, (start, end) in scanned(other, PLAIN[1]).elements.items()}
    left = spliced(data, elements, {**new, 0x00100010: None}, PLAIN[1])
    assert left == write(dataset_of({"SOPInstanceUID": "1.2.3", "PatientID": "another", "PatientSex": "F"}), PLAIN[1])
