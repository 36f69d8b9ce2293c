"""Identifiers are read in one way only, or refused."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from hirules.dimse.identifier import MAX_INFLATED, IdentifierError, read, write
from hirules.model.dataset import DatasetView, dataset_of
from tests.peers.objects import FOLDER

STUDY, PATIENT_ID, NAME, LEVEL = 0x0020000D, 0x00100020, 0x00100010, 0x00080052
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def implicit(*elements: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, value in elements)


def explicit(*elements: tuple[int, str, bytes]) -> bytes:
    parts = []
    for tag, vr, value in elements:
        length = struct.pack("<xxL", len(value)) if vr in ("SQ", "UN", "OB", "UT", "OW") else struct.pack("<H", len(value))
        parts.append(struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + length + value)
    return b"".join(parts)


def item(content: bytes, length: int | None = None) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content) if length is None else length) + content


ITEM_END = struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
REFERENCED = 0x00081110
"""ReferencedStudySequence."""


def refused(data: bytes, syntax: str = ImplicitVRLittleEndian, **options: bool) -> IdentifierError:
    with pytest.raises(IdentifierError) as raised:
        read(data, syntax, **options)
    assert len(str(raised.value)) <= 64
    assert raised.value.status == 0xA900
    return raised.value


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_pynetdicom_writes_is_read(syntax: str) -> None:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.QueryRetrieveLevel = "STUDY"
    dataset.PatientName = "Müller^*"
    dataset.PatientID = ""
    dataset.StudyInstanceUID = ["1.2.3", "1.2.4"]
    dataset.StudyDate = "20250101-"
    dataset.SeriesNumber = "7"
    dataset.Rows = 5
    requested = Dataset()
    requested.ScheduledStationAETitle = "CT1"
    dataset.ScheduledProcedureStepSequence = [requested]
    encoded = encode(dataset, syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian, syntax == DeflatedExplicitVRLittleEndian)
    assert encoded is not None
    view = DatasetView(read(encoded, syntax))
    assert {name: value for name, value in view.items() if name != "ScheduledProcedureStepSequence"} == {
        "SpecificCharacterSet": "ISO_IR 100",
        "QueryRetrieveLevel": "STUDY",
        "PatientName": "Müller^*",
        "PatientID": "",
        "StudyInstanceUID": ["1.2.3", "1.2.4"],
        "StudyDate": "20250101-",
        "SeriesNumber": 7,
        "Rows": 5,
    }
    assert dict(view["ScheduledProcedureStepSequence"][0]) == {"ScheduledStationAETitle": "CT1"}  # type: ignore[index]


@pytest.mark.parametrize(("first", "second"), [(b"1.2.3\0", b"1.2.99"), (b"1.2.99", b"1.2.3\0"), (b"1.2.3\0", b"1.2.3\0")])
def test_a_study_instance_uid_twice(first: bytes, second: bytes) -> None:
    """pydicom reads the last, Orthanc delivers the first."""
    assert refused(implicit((LEVEL, b"STUDY "), (STUDY, first), (STUDY, second))).tags == (STUDY,)
    twice = explicit((LEVEL, "CS", b"STUDY "), (STUDY, "UI", first), (STUDY, "UI", second))
    assert refused(twice, ExplicitVRLittleEndian).tags == (STUDY,)


def test_out_of_order() -> None:
    assert refused(implicit((STUDY, b"1.2.3\0"), (LEVEL, b"STUDY "))).tags == (LEVEL,)


def test_repeated_inside_an_item() -> None:
    inner = implicit((0x00081155, b"1.2\0"), (0x00081155, b"1.3\0"))
    assert refused(implicit((REFERENCED, item(inner)))).tags == (REFERENCED,)


@pytest.mark.parametrize(
    "data",
    [
        implicit((LEVEL, b"STUDY ")) + b"\0",
        implicit((LEVEL, b"STUDY ")) + b"\0" * 7,
        implicit((LEVEL, b"STUDY "))[:-1],
        struct.pack("<HHL", 0x20, 0xD, 0x7FFFFFFF) + b"1.2.3\0",
        struct.pack("<HHL", 0x20, 0xD, 0xFFFFFFFF) + b"1.2.3\0",
        implicit((LEVEL, b"STUDY")),
        implicit((0x00000002, b"1.2\0")),
        implicit((0x00020010, b"1.2\0")),
        implicit((0xFFFEE000, b"")),
        implicit((0xFFFFFFFF, b"")),
        implicit((REFERENCED, b"1.2.3\0\0\0\0\0")),
        implicit((REFERENCED, item(b"") + b"\0\0")),
        implicit((REFERENCED, item(b"", length=8))),
        implicit((REFERENCED, item(b"", length=0xFFFFFFFF))),
        struct.pack("<HHL", 0x0008, 0x1110, 0xFFFFFFFF) + item(b""),
        implicit((LEVEL, b"STUDY "))[:6],
    ],
    ids=[
        "one byte over", "seven bytes over", "cut", "overlong", "undefined length", "odd", "group 0000", "group 0002", "group FFFE", "group FFFF",
        "no item", "bytes after an item", "item too long", "item without end", "sequence without end", "no header",
    ],
)  # fmt: skip
def test_malformed_structure(data: bytes) -> None:
    refused(data)


def test_sequences_of_undefined_length() -> None:
    inner = implicit((0x00081155, b"1.2\0"))
    data = struct.pack("<HHL", 0x0008, 0x1110, 0xFFFFFFFF) + item(inner, 0xFFFFFFFF) + ITEM_END + SEQUENCE_END + implicit((STUDY, b"1.2\0"))
    dataset = read(data, ImplicitVRLittleEndian)
    assert dataset.ReferencedStudySequence[0].ReferencedSOPInstanceUID == "1.2"
    assert dataset.StudyInstanceUID == "1.2"


def test_nesting() -> None:
    def nested(depth: int) -> bytes:
        return implicit((REFERENCED, item(nested(depth - 1)))) if depth else b""

    read(nested(8), ImplicitVRLittleEndian)
    refused(nested(9))
    refused(nested(500))


def test_a_sequence_key_has_one_item() -> None:
    data = implicit((REFERENCED, item(b"") + item(b"")))
    assert refused(data).tags == (REFERENCED,)
    assert len(read(data, ImplicitVRLittleEndian, keys=False).ReferencedStudySequence) == 2


@pytest.mark.parametrize(
    ("tag", "value", "good"),
    [
        (PATIENT_ID, b"A\\B ", False),
        (LEVEL, b"STUDY\\SERIES", False),
        (STUDY, b"1.2\\1.3 ", True),
        (0x00080061, b"CT\\MR ", True),  # ModalitiesInStudy, 1-n
        (0x00180050, b"1\\2 ", False),  # SliceThickness
        (0x00104000, b"a\\b ", True),  # PatientComments, LT: a backslash is a character
        (0x00280010, b"\1\0\2\0", False),  # Rows
        (0x00200032, b"1\\2\\3\\4 ", False),  # ImagePositionPatient, 3
    ],
)
def test_multiplicity(tag: int, value: bytes, good: bool) -> None:
    if good:
        read(implicit((tag, value)), ImplicitVRLittleEndian)
    else:
        assert refused(implicit((tag, value))).tags == (tag,)


def test_only_keys_are_lists_of_uids() -> None:
    refused(implicit((STUDY, b"1.2\\1.3 ")), keys=False)


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x00280010, b"\1\0\2"),
        (0x00280010, b"\1\0\2\0\3\0"[:2] + b"\0\0"),
        (PATIENT_ID, b"A\0B "),
        (STUDY, b"1.2\0junk"),
        (STUDY, b"1.2 ; "),
        (STUDY, b"1" * 66),
        (0x00080054, b"A" * 18),
        (NAME, b"M\xfcller"),
        (PATIENT_ID, b"\xff\xfe"),
        (NAME, b"\x1b$B0\x1b "),
        (0x00720026, b"\1\0\2\0\3\0"),
        (PATIENT_ID, b"VIP1\n "),
        (PATIENT_ID, b"\tVIP"),
        (PATIENT_ID, b"VIP\x7f"),
    ],
    ids=[
        "US",
        "several",
        "NUL",
        "UID with NUL",
        "no UID",
        "long UID",
        "long AE title",
        "Latin-1 undeclared",
        "undeclared",
        "escape",
        "AT",
        "line feed",
        "tab",
        "delete",
    ],
)
def test_values_that_peers_read_differently(tag: int, value: bytes) -> None:
    value += b" " * (len(value) % 2) if tag == NAME else b""
    assert refused(implicit((tag, value))).tags in ((tag,), ())


def test_control_characters_stay_in_long_texts_and_in_what_is_stored() -> None:
    assert read(implicit((0x00104000, b"two\r\nlines")), ImplicitVRLittleEndian).PatientComments == "two\r\nlines"
    assert read(implicit((PATIENT_ID, b"VIP\n")), ImplicitVRLittleEndian, keys=False).PatientID == "VIP\n"


@pytest.mark.parametrize(
    ("charset", "name", "text"),
    [
        (b"ISO_IR 192", "Müller^Zoë".encode(), "Müller^Zoë"),
        (b"ISO_IR 100", b"M\xfcller", "Müller"),
        (b"GB18030 ", "王^小东".encode("gb18030"), "王^小东"),
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
    ],
)
def test_character_sets(charset: bytes, name: bytes, text: str) -> None:
    data = implicit((0x00080005, charset + b" " * (len(charset) % 2)), (NAME, name + b" " * (len(name) % 2)))
    dataset = read(data, ImplicitVRLittleEndian)
    assert DatasetView(dataset)["PatientName"] == text
    assert DatasetView(read(write(dataset, ImplicitVRLittleEndian), ImplicitVRLittleEndian))["PatientName"] == text


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        (b"ISO_IR 192", b"M\xfcller"),
        (b"ISO_IR 999", b"Muller"),
        (b"ISO_IR 192\\ISO 2022 IR 87 ", b"Muller"),
        (b"latin1", b"Muller"),
        (b"\\ISO 2022 IR 87", b"M\xfcller"),
    ],
)
def test_bad_character_sets(charset: bytes, name: bytes) -> None:
    refused(implicit((0x00080005, charset + b" " * (len(charset) % 2)), (NAME, name)))


@pytest.mark.parametrize(
    ("tag", "vr", "good"),
    [(STUDY, "UI", True), (STUDY, "LO", False), (STUDY, "UN", False), (STUDY, "??", False), (0x00091001, "LO", True), (0x00280106, "SS", True)],
)
def test_an_explicit_value_representation(tag: int, vr: str, good: bool) -> None:
    data = explicit((tag, vr, b"1\0"))
    if good:
        read(data, ExplicitVRLittleEndian)
    else:
        assert refused(data, ExplicitVRLittleEndian).tags == (tag,)


def test_group_lengths() -> None:
    level = implicit((LEVEL, b"STUDY "))
    good = implicit((0x00080000, struct.pack("<L", len(level)))) + level + implicit((STUDY, b"1.2\0"))
    assert list(DatasetView(read(good, ImplicitVRLittleEndian))) == ["QueryRetrieveLevel", "StudyInstanceUID"]
    refused(implicit((0x00080000, struct.pack("<L", len(level) + 8))) + level + implicit((STUDY, b"1.2\0")))
    refused(implicit((0x00080000, struct.pack("<L", len(level) - 8))) + level)
    refused(implicit((0x00080000, b"\0\0")) + level)


def test_deflated() -> None:
    plain = explicit((LEVEL, "CS", b"STUDY "), (STUDY, "UI", b"1.2\0"))
    deflate = zlib.compressobj(wbits=-15)
    data = deflate.compress(plain) + deflate.flush()
    assert read(data, DeflatedExplicitVRLittleEndian).StudyInstanceUID == "1.2"
    assert read(data + b"\0", DeflatedExplicitVRLittleEndian).StudyInstanceUID == "1.2"
    refused(data + b"more", DeflatedExplicitVRLittleEndian)
    refused(data[:-3], DeflatedExplicitVRLittleEndian)
    refused(b"\xff" + data, DeflatedExplicitVRLittleEndian)
    bomb = zlib.compressobj(wbits=-15)
    refused(bomb.compress(b"\0" * (MAX_INFLATED + 1)) + bomb.flush(), DeflatedExplicitVRLittleEndian)


def test_private_elements() -> None:
    data = implicit((0x00090010, b"GEMS_IDEN_01"), (0x00091001, b"text"), (0x00111001, b"\1\2"))
    view = DatasetView(read(data, ImplicitVRLittleEndian))
    assert '(0009,"GEMS_IDEN_01",01)' in view
    assert view["(0011,1001)"] == b"\1\2"


def test_text_outside_the_character_set_is_not_written() -> None:
    with pytest.raises(ValueError, match="outside its character set"):
        write(dataset_of({"PatientName": "Müller"}), ImplicitVRLittleEndian)
    with pytest.raises(ValueError, match="outside its character set"):
        write(dataset_of({"SpecificCharacterSet": "ISO_IR 100", "PatientName": "王"}), ImplicitVRLittleEndian)


@pytest.mark.parametrize("fields", [{"Rows": 70000}, {"StudyDate": "Ä"}, {"SeriesNumber": "王"}])
def test_a_value_that_cannot_be_encoded_is_not_written_and_not_quoted(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"does not fit|outside its character set") as raised:
        write(dataset_of(fields), ImplicitVRLittleEndian)
    assert not any(str(value) in str(raised.value) for value in fields.values())


def test_no_message_quotes_a_value() -> None:
    error = refused(implicit((PATIENT_ID, b"SECRET\\SECRET2 ")))
    assert "SECRET" not in repr(error)


@given(st.binary(max_size=200), st.sampled_from(SYNTAXES))
def test_any_bytes_are_read_or_refused(data: bytes, syntax: str) -> None:
    try:
        dataset = read(data, syntax)
    except IdentifierError:
        return
    dict(DatasetView(dataset))


@given(st.data())
def test_a_damaged_identifier_is_read_as_pydicom_reads_it_or_refused(data: st.DataObject) -> None:
    good = implicit((LEVEL, b"STUDY "), (REFERENCED, item(implicit((0x00081155, b"1.2\0")))), (PATIENT_ID, b"P1"), (STUDY, b"1.2.3\0"))
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = bytearray(good)
    damaged[at] = data.draw(st.integers(0, 255))
    try:
        dataset = read(bytes(damaged), ImplicitVRLittleEndian)
    except IdentifierError:
        return
    # what is accepted is written back with the same elements and values
    again = read(write(dataset, ImplicitVRLittleEndian), ImplicitVRLittleEndian)
    assert again == dataset


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.dcm")), ids=lambda path: path.name)
def test_headers_of_real_files_are_read_as_pydicom_reads_them_or_refused(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(path, stop_before_pixels=True)
            keys = Dataset()
            for name in ("PatientID", "PatientName", "SpecificCharacterSet", "StudyInstanceUID", "StudyDate", "Modality", "SeriesNumber", "ImageType"):
                if name in dataset:
                    keys.add(dataset[name])
            encoded = encode(keys, False, True)
        except (InvalidDicomError, AttributeError, NotImplementedError):
            return
        assert encoded is not None
        try:
            view = DatasetView(read(encoded, ExplicitVRLittleEndian, keys=False))
        except IdentifierError:
            return
        theirs = DatasetView(keys)
        assert dict(view) == {name: theirs[name] for name in theirs}


@pytest.mark.parametrize("name", [b"Yamada=\x1b$B;3ED\x1b(B\xc3", b"Yamada\xc3=\x1b$B;3ED\x1b(B"], ids=["behind an escape to ASCII", "at the beginning"])
def test_other_bytes_where_only_ascii_is_in_force(name: bytes) -> None:
    """pydicom takes them for Latin-1, others for something else; found by the fuzzer of messages."""

    def element(tag: bytes, vr: bytes, value: bytes) -> bytes:
        value += b" " * (len(value) % 2)
        return tag + vr + len(value).to_bytes(2, "little") + value

    character_set = element(b"\x08\0\x05\0", b"CS", b"\\ISO 2022 IR 87")
    fine = element(b"\x10\0\x10\0", b"PN", b"Yamada=\x1b$B;3ED\x1b(B")
    assert read(character_set + fine, ExplicitVRLittleEndian).PatientName == "Yamada=山田"
    with pytest.raises(IdentifierError, match="does not fit its character set"):
        read(character_set + element(b"\x10\0\x10\0", b"PN", name), ExplicitVRLittleEndian)
