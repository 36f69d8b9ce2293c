"""The reader of plain identifiers says what pydicom says and what the strict reader says, or nothing."""

from __future__ import annotations

import random
import struct
import warnings
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

import pydicom
import pynetdicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.dsutils import decode

from hirules.dimse import flat, identifier
from hirules.dimse.retrieve import QUERIES, RETRIEVES, UNIQUE_KEYS, check_query, check_retrieve
from hirules.model.dataset import DatasetView, dataset_of, keyword_of

SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian]
PACKAGES = [Path(str(package.__file__)).parent for package in (pydicom, pynetdicom)]
FILES = sorted(path for package in PACKAGES for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
"""Whatever lies in the two packages: what is no DICOM file is left out where it is read."""
PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1", "1.2.840.10008.5.1.4.1.2.2"
SERVICES = [("c-find", uid) for uid in ("1.2.840.10008.5.1.4.31", *QUERIES)] + [(action, uid) for action, uids in RETRIEVES.items() for uid in uids]
MOVE = ("c-move", PATIENT_ROOT + ".2")


def implicit(*elements: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value for tag, value in elements)


def exactly(fields: object) -> str:
    """Values with their types and their order."""
    return repr(fields)


def pydicoms(data: bytes, syntax: str) -> dict[str, object]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        view = DatasetView(decode(BytesIO(data), syntax == ImplicitVRLittleEndian, True))
        return {name: view[name] for name in view}


def strict_readers(data: bytes, syntax: str, service: tuple[str, str] | None, *, strict: bool) -> tuple[dict[str, object], tuple[str, ...]]:
    dataset, removed = identifier.read(data, syntax), tuple[str, ...]()
    if service is not None and service[0] == "c-find":
        check_query(service[1], dataset)
    elif service is not None:
        checked = check_retrieve(*service, dataset, strict=strict)
        dataset, removed = checked.dataset, checked.removed
    return dict(DatasetView(dataset)), removed


def answered(data: bytes, syntax: str, services: Iterable[tuple[str, str]] = (MOVE,)) -> list[tuple[str, str]]:
    """Compares the readers, and tells for which services the plain one had an answer."""
    fields = flat.read(data, syntax)
    if fields is None:
        return []
    before = exactly(fields)
    assert before == exactly(pydicoms(data, syntax))
    assert before == exactly(strict_readers(data, syntax, None, strict=False)[0])
    found = []
    for service in services:
        for strict in (False, True):
            reached = flat.reach(*service, fields, strict=strict)
            if reached is not None:
                assert exactly(reached) == exactly(strict_readers(data, syntax, service, strict=strict))
                found.append(service)
    assert exactly(fields) == before
    return found


# -- what it is for ---------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("service", "fields"),
    [
        (MOVE, {"QueryRetrieveLevel": "PATIENT", "PatientID": "P 1^"}),
        (MOVE, {"QueryRetrieveLevel": "STUDY", "PatientID": "P1", "StudyInstanceUID": ["1.2", "1.3"]}),
        (MOVE, {"QueryRetrieveLevel": "SERIES", "PatientID": "P1", "StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.3"}),
        (("c-get", STUDY_ROOT + ".3"), {"SpecificCharacterSet": "ISO_IR 100", "QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}),
        (("c-find", STUDY_ROOT + ".1"), {"QueryRetrieveLevel": "STUDY", "PatientName": "A^B*", "StudyDate": "20250101-", "NumberOfStudyRelatedSeries": ""}),
        (("c-find", "1.2.840.10008.5.1.4.31"), {"PatientID": "", "PatientWeight": "70.5", "InstanceNumber": 7}),
    ],
)
def test_common_identifiers_are_answered(syntax: str, service: tuple[str, str], fields: dict[str, object]) -> None:
    data = identifier.write(dataset_of(fields), syntax)
    assert service in answered(data, syntax, [service])
    assert flat.read(data, syntax) == fields
    assert flat.reach(*service, fields, strict=True) == (fields, ())


def test_keys_that_a_retrieve_has_not_are_taken_out() -> None:
    fields: dict[str, object] = {"StudyDate": "", "QueryRetrieveLevel": "STUDY", "PatientName": "", "PatientID": "P1", "StudyInstanceUID": "1.2"}
    data = identifier.write(dataset_of(fields), ImplicitVRLittleEndian)
    kept = {"QueryRetrieveLevel": "STUDY", "PatientID": "P1", "StudyInstanceUID": "1.2"}
    assert answered(data, ImplicitVRLittleEndian)
    assert flat.reach(*MOVE, fields, strict=False) == (kept, ("StudyDate", "PatientName"))
    assert flat.reach(*MOVE, fields, strict=True) is None


# -- where it steps aside ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        implicit((0x00100020, b"A\\B ")),
        implicit((0x00100020, b"\xc4 ")),
        implicit((0x00100020, b"A\0B ")),
        implicit((0x00100020, b"A\x1bB ")),
        implicit((0x00100020, b"odd")),
        implicit((0x00100020, b"A "), (0x00100020, b"A ")),
        implicit((0x00100020, b"A "), (0x00100010, b"B ")),
        implicit((0x00100020, b"A ")) + b"\0",
        implicit((0x00100020, b"A "))[:-1],
        implicit((0x00081110, b"")),
        implicit((0x00091001, b"A ")),
        implicit((0x00080000, b"\0\0\0\0")),
        implicit((0x00020002, b"1.2\0")),
        implicit((0x00080005, b"ISO 2022 IR 87")),
        implicit((0x00080005, b"ISO_IR 13 ")),
        implicit((0x0020000D, b"1.2*")),
        implicit((0x0020000D, b"1" * 66)),
        implicit((0x0020000D, b"1" * 65 + b"\\1.22")),
        implicit((0x0020000D, b"1.2\\")),
        implicit((0x00280010, b"\x01\0")),
        implicit((0x00100010, b"A=B ")),
        implicit((0x00080054, b"A" * 18)),
        implicit((0x00200013, b"1-3 ")),
        implicit((0x00101030, b"70,5")),
        implicit((0x00999999, b"A ")),
    ],
)
def test_what_needs_judgement_is_left_to_the_other_reader(data: bytes) -> None:
    assert flat.read(data, ImplicitVRLittleEndian) is None


@pytest.mark.parametrize("syntax", [ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, None])
def test_other_transfer_syntaxes_are_left_to_it_too(syntax: str | None) -> None:
    assert flat.read(b"", syntax) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"StudyInstanceUID": "1.2", "PatientID": "P1"},
        {"QueryRetrieveLevel": "study", "StudyInstanceUID": "1.2", "PatientID": "P1"},
        {"QueryRetrieveLevel": "FRAME", "SOPInstanceUID": "1.2"},
        {"QueryRetrieveLevel": "PATIENT", "PatientID": ["P1", "P2"]},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", "PatientID": "P*"},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", "PatientID": "P?"},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", "PatientID": " "},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "PatientID": "P1"},
        {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.3", "StudyInstanceUID": ["1.2", "1.3"], "PatientID": "P1"},
    ],
)
def test_what_is_not_plainly_valid_is_left_to_it_too(fields: dict[str, object]) -> None:
    assert flat.reach(*MOVE, fields, strict=False) is None


# -- the same as the others -------------------------------------------------------------------------


def small_elements(path: Path) -> Dataset:
    """The small elements at the top of a real data set, as an identifier could have them."""
    kept = Dataset()
    try:
        dataset = dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError, AttributeError, NotImplementedError, EOFError):
        return kept
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR not in ("OB", "OW", "UN") and len(str(element.value)) < 500:
                kept.add(element)
        except (ValueError, NotImplementedError, AttributeError, TypeError):
            continue
    return kept


def chosen(dataset: Dataset, *names: str, **more: str) -> Dataset:
    found = Dataset()
    for name in names:
        if name in dataset:
            found.add(dataset[name])
    for name, value in more.items():
        setattr(found, name, value)
    return found


@pytest.mark.filterwarnings("ignore")
def test_real_data_sets() -> None:
    files = whole = elements = retrieves = 0
    seen: set[tuple[bytes, str]] = set()
    for path in FILES:
        dataset = small_elements(path)
        files += bool(len(dataset))
        texts = [element.keyword for element in dataset if element.VR in ("AE", "CS", "DA", "LO", "PN", "SH", "TM", "UI")]
        for syntax in SYNTAXES:
            whole += _compared(chosen(dataset, *texts), syntax, SERVICES[:1], seen)
            elements += sum(_compared(chosen(dataset, element.keyword), syntax, SERVICES[:1], seen) for element in dataset if element.keyword)
            for level in UNIQUE_KEYS:
                keys = chosen(dataset, "SpecificCharacterSet", *UNIQUE_KEYS.values(), "StudyDate", "ImageType", QueryRetrieveLevel=level)
                retrieves += _compared(keys, syntax, SERVICES, seen)
                no_lists = chosen(dataset, *UNIQUE_KEYS.values(), "StudyDate", QueryRetrieveLevel=level)
                retrieves += _compared(no_lists, syntax, SERVICES, seen)
    assert files > 100
    assert min(whole, elements, retrieves) > 50, (whole, elements, retrieves)


def _compared(dataset: Dataset, syntax: str, services: list[tuple[str, str]], seen: set[tuple[bytes, str]]) -> int:
    """Whether it is a new one that was answered."""
    try:
        data = identifier.write(dataset, syntax)
    except ValueError:
        return 0
    if (data, syntax) in seen:
        return 0
    seen.add((data, syntax))
    return bool(answered(data, syntax, services))


_TAGS = [
    *(tag for name in (*UNIQUE_KEYS.values(), "QueryRetrieveLevel", "SpecificCharacterSet", "QueryRetrieveView") if (tag := tag_for_keyword(name))),
    0x00080000, 0x00080020, 0x00080030, 0x00080054, 0x00080061, 0x00081110, 0x00100010, 0x00101010, 0x00101030, 0x00200013, 0x00201206, 0x00280010,
    0x00090010, 0x00091001, 0x0008103E, 0x00104000, 0x60000010, 0x00999999, 0xFFFEE000, 0x00020002, 0x0020000D, 0x00100020, 0x00080052,
]  # fmt: skip
_VALUES = [
    b"", b"STUDY ", b"SERIES", b"IMAGE ", b"PATIENT ", b"1.2.3\0", b"1.2.3 ", b"1.2\\1.3\0", b"1.2\\\\1.3", b"1.*\0", b"P1", b" P1 ", b"  ", b"\0\0",
    b"P1\0\0", b"P\\1 ", b"\xc4\xd6", b"\xc3\x84", b"a\x1b$B", b"ISO_IR 100", b"ISO_IR 192", b"ISO_IR 6", b"ISO 2022 IR 87", b"\\ISO 2022 IR 87",
    b"20250101", b"-20250101 ", b"odd", b"12", b" 12 ", b"+12 ", b"1-2 ", b"1.5e3 ", b" 1.5", b"1,5 ", b"nan ", b"A^B ", b"A^B=C^D ", b"A^B^^", b"A" * 18,
    b"1" * 64, b"1" * 66, b"A*?", b"A*?B", b"\x01\x02", b"\t\t", b"a\r\nb", b"~}|`", b"1_0 ", b"\xb2\xb9", b"00", b"-0", b". ", b"..",
]  # fmt: skip


@st.composite
def _identifiers(draw: st.DrawFn) -> tuple[bytes, str]:
    """Elements of a pool, most of them as they should be."""
    syntax = draw(st.sampled_from(SYNTAXES))
    tags = draw(st.lists(st.sampled_from(_TAGS), max_size=6))
    if draw(st.integers(0, 9)):
        tags = sorted(set(tags))
    data = b""
    for tag in tags:
        value = draw(st.sampled_from(_VALUES))
        length = len(value) + draw(st.sampled_from([0] * 20 + [1, 2, -1, 0xFFFF]))
        header = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        if syntax == ImplicitVRLittleEndian:
            data += header + struct.pack("<L", max(0, length)) + value
        else:
            vr = draw(st.sampled_from([_vr(tag)] * 20 + ["LO", "UI", "CS", "UN", "SQ", "??"]))
            data += header + vr.encode() + struct.pack("<H", max(0, length) & 0xFFFF) + value
    return data, syntax


def _vr(tag: int) -> str:
    try:
        return dictionary_VR(tag)[:2]
    except KeyError:
        return "LO"


@pytest.mark.filterwarnings("ignore")
@given(_identifiers())
def test_made_up_identifiers(made: tuple[bytes, str]) -> None:
    answered(*made, SERVICES)


@pytest.mark.filterwarnings("ignore")
def test_every_value_at_every_text_element() -> None:
    found = 0
    tags = [tag for tag in _TAGS if keyword_of(tag)]
    for tag in tags:
        for value in _VALUES:
            found += answered(implicit((tag, value)), ImplicitVRLittleEndian, [SERVICES[0]]) != []
    assert found > 100


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_damaged_identifiers(syntax: str) -> None:
    dice = random.Random(4)
    fields = {
        "SpecificCharacterSet": "ISO_IR 100",
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "PACS",
        "PatientName": "A^B",
        "PatientID": "P1",
        "PatientWeight": "70.5",
        "StudyInstanceUID": ["1.2", "1.3"],
        "InstanceNumber": 7,
    }
    good = identifier.write(dataset_of(fields), syntax)
    assert answered(good, syntax, SERVICES)
    found = 0
    for _ in range(6000):
        damaged = bytearray(good)
        for _ in range(dice.choice((1, 1, 1, 2, 4))):
            at = dice.randrange(len(damaged))
            match dice.randrange(4):
                case 0:
                    damaged[at] = dice.randrange(256)
                case 1:
                    damaged[at] = dice.choice(b"\0 \\=*?.19AZ~\x1b\x80\xff")
                case 2:
                    del damaged[at : at + dice.randrange(1, 12)]
                case _:
                    damaged[at:at] = damaged[dice.randrange(len(damaged)) :][: dice.randrange(1, 12)]
            damaged = damaged or bytearray(b"\0")
        found += bool(answered(bytes(damaged), syntax, [SERVICES[0], SERVICES[1], MOVE]))
    assert found > 200
