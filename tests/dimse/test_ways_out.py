"""Ways by which something forbidden could leave, or be read otherwise than it was decided: what an archive may hold, or say."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pydicom import config
from pydicom.uid import ExplicitVRLittleEndian

from hirules.dimse.identifier import read, write
from hirules.dimse.server import Gateway
from hirules.model.dataset import dataset_of
from tests.dimse.leaving import decoded, gate_of
from tests.dimse.test_leaving import Driven, cut, image, messages, stored
from tests.dimse.wire import CT, FIND, GET, IDENTIFIER, IMPLICIT, ON, OPTIONS, VERIFICATION, command, find, get, message, reply

RULES = """
  - {id: allow, on: [c-find, c-get], when: {subject.ae_title: CLIENT}, allow: {}}
  - {id: vip, on: [release, answer], when: {instance.PatientID: VIP}, deny: {}}
  - {id: other-id, on: release, when: {instance.OtherPatientIDsSequence: {item: {PatientID: VIP}}}, deny: {}}
  - {id: born, on: [release, answer], rewrite: [remove: instance.PatientBirthDate]}
"""
EXPLICIT = str(ExplicitVRLittleEndian)
PATIENT_ID, OTHER_IDS, PIXELS = 0x00100020, 0x00101002, 0x7FE00010
_LONG = {"OB", "OW", "SQ", "UN", "UT"}


def plain(tag: int, value: bytes) -> bytes:
    """An element in implicit VR."""
    return struct.pack("<HHL", tag >> 16, tag & 0xFFFF, len(value)) + value


def explicit(tag: int, vr: str, value: bytes) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    return head + (struct.pack("<HL", 0, len(value)) if vr in _LONG else struct.pack("<H", len(value))) + value


def undefined(tag: int, vr: str, value: bytes) -> bytes:
    """In explicit VR, of undefined length."""
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr.encode() + b"\0\0\xff\xff\xff\xff" + value + b"\xfe\xff\xdd\xe0\0\0\0\0"


def item(value: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<L", len(value)) + value


def in_plain(*elements: bytes) -> bytes:
    """A data set in implicit VR with these elements between its UIDs and its pixels."""
    return plain(0x00080016, CT.encode() + b"\0") + plain(0x00080018, b"1.2.3.1\0") + b"".join(elements) + plain(PIXELS, bytes(64))


def in_explicit(*elements: bytes) -> bytes:
    uids = explicit(0x00080016, "UI", CT.encode() + b"\0") + explicit(0x00080018, "UI", b"1.2.3.1\0")
    return uids + b"".join(elements) + explicit(PIXELS, "OW", bytes(64))


def leaves(data: bytes, syntax: str = IMPLICIT) -> bool:
    driven = Driven(RULES, syntax=syntax)
    driven.client(get())
    left = driven.upstream(cut(stored(data), 3))
    assert not driven.aborted
    return bool(left)


# -- one data set, two readers --------------------------------------------------------------------


@pytest.mark.parametrize("patient", [b"P1", b"P2  ", b" P3 ", b"P4\0\0"], ids=str)
def test_another_patient_leaves(patient: bytes) -> None:
    assert leaves(in_plain(plain(PATIENT_ID, patient)))
    assert leaves(in_explicit(explicit(PATIENT_ID, "LO", patient)), EXPLICIT)


@pytest.mark.parametrize(
    "patient",
    [
        b"VIP ", b" VIP", b"VIP\0", b"VIP\0XX", b"VIP\t", b"\tVIP", b"VIP\r\n ", b"P1\\VIP", b"VIP\\", b"\x1b(BVIP",
        # as a length these are the letters of a value representation: DA, LO, UI
        b"VIP".ljust(0x4144), b"VIP".ljust(0x4F4C), b"VIP".ljust(0x4956),
    ],
    ids=lambda value: f"{value[:8]!r} {len(value)}",
)  # fmt: skip
def test_a_patient_that_some_reader_takes_for_the_vip_stays(patient: bytes) -> None:
    assert not leaves(in_plain(plain(PATIENT_ID, patient)))
    assert not leaves(in_plain(plain(0x00080060, b"CT"), plain(0x00100010, b"A^B "), plain(PATIENT_ID, patient)))
    assert not leaves(in_explicit(explicit(PATIENT_ID, "LO", patient)), EXPLICIT)


@pytest.mark.parametrize("vr", ["LO", "SH", "UT", "UN", "OB", "SQ", "AT", "FD", "FL", "US", "SL", "IS"])
def test_the_vips_id_stays_in_whatever_value_representation(vr: str) -> None:
    value = {"SQ": b"", "FD": b"VIP     ", "FL": b"VIP ", "SL": b"VIP "}.get(vr, b"VIP ")
    assert not leaves(in_explicit(explicit(PATIENT_ID, vr, value)), EXPLICIT)


@pytest.mark.parametrize("vr", ["UN", "OB"])
def test_nor_does_it_leave_without_a_length(vr: str) -> None:
    assert not leaves(in_explicit(undefined(PATIENT_ID, vr, b"")), EXPLICIT)
    assert not leaves(in_explicit(undefined(PATIENT_ID, vr, item(b"VIP "))), EXPLICIT)


def test_a_character_set_that_is_longer_than_letters_does_not_hide_the_vip() -> None:
    assert not leaves(plain(0x00080005, b"ISO_IR 100".ljust(0x4144)) + in_plain(plain(PATIENT_ID, b"VIP ")))


@pytest.mark.parametrize("vr", ["SQ", "UN", "OB", "LO", "UT"])
def test_a_sequence_is_looked_into_or_unknown(vr: str) -> None:
    inside = explicit(PATIENT_ID, "LO", b"VIP ") if vr == "SQ" else plain(PATIENT_ID, b"VIP ")
    assert not leaves(in_explicit(explicit(PATIENT_ID, "LO", b"P1"), explicit(OTHER_IDS, vr, item(inside))), EXPLICIT)


def test_a_sequence_that_is_un_is_framed_as_exactly_as_any() -> None:
    first = explicit(PATIENT_ID, "LO", b"P1")
    assert leaves(in_explicit(first, explicit(OTHER_IDS, "UN", item(plain(PATIENT_ID, b"P1")))), EXPLICIT)
    twice = item(plain(PATIENT_ID, b"VIP ") + plain(PATIENT_ID, b"P1"))
    assert not leaves(in_explicit(first, explicit(OTHER_IDS, "UN", twice)), EXPLICIT)
    cut_off = item(plain(PATIENT_ID, b"P1")) + b"\xfe\xff\x00\xe0\x20\0\0\0"
    assert not leaves(in_explicit(first, explicit(OTHER_IDS, "UN", cut_off)), EXPLICIT)


# -- the command and its data set -----------------------------------------------------------------


@pytest.mark.parametrize("data", [image(number=9), image(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11"), image(SOPInstanceUID=None), image(SOPClassUID=None)])
def test_an_instance_that_its_command_does_not_name_stays(data: Any) -> None:
    driven = Driven(RULES)
    driven.client(get())
    assert driven.upstream(stored(write(data, IMPLICIT))) == b""
    assert driven.upstream(stored(write(image(number=2), IMPLICIT), 2, 2)) != b""


def test_a_command_without_its_instance_is_refused() -> None:
    driven = Driven("  - {id: allow, on: c-get, when: {subject.ae_title: CLIENT}, allow: {}}\n")
    driven.client(get())
    raw = command(0x01, data=True, Priority=0, AffectedSOPClassUID=CT)
    assert driven.upstream(message(ON[CT], raw, write(image(), IMPLICIT))) == b""
    ((answer, _),) = [one for one in messages(bytes(driven.sides["upstream"])) if one[0].field == 0x8001]
    assert answer.values["Status"] == 0x0212


def test_a_second_c_get_waits_for_the_first() -> None:
    """The instances of two would not say which of them they belong to, and so by which they are decided."""
    driven = Driven(RULES)
    assert driven.client(get()) != b""
    assert driven.client(get(2)) == b""
    assert [one.values["Status"] for one, _ in messages(bytes(driven.sides["client"]))] == [0xA702]
    driven.upstream(message(ON[GET], reply(0x10)))
    assert driven.client(get(3)) != b""


# -- responses that bring what no rule looks at ---------------------------------------------------

VIP_MATCH = write(dataset_of({"QueryRetrieveLevel": "STUDY", "PatientID": "VIP", "PatientBirthDate": "19700102"}), IMPLICIT)


@pytest.mark.parametrize("status", [0xFF00, 0xFF01])
def test_a_match_is_decided_in_either_pending_status(status: int) -> None:
    driven = Driven(RULES)
    driven.client(find())
    assert driven.upstream(message(ON[FIND], reply(0x20, status=status, data=True), VIP_MATCH)) == b""


@pytest.mark.parametrize("status", [0x0000, 0xB001, 0xFE00, 0xC001, 0xFF02])
def test_a_final_response_to_a_query_brings_no_match(status: int) -> None:
    """DCMTK takes 0xFF02 for pending, too."""
    driven = Driven(RULES)
    driven.client(find())
    left = driven.upstream(cut(message(ON[FIND], reply(0x20, status=status, data=True), VIP_MATCH), 5))
    assert [(one.values["Status"], data) for one, data in messages(left)] == [(status, None)]
    assert driven.outcomes[-1] == ("c-find", {"Status": status, "matches": 0})
    assert driven.client(find(2)) != b""


@pytest.mark.parametrize("status", [0xFF00, 0xB000, 0x0000, 0xA702])
def test_a_response_to_a_retrieve_brings_only_what_failed(status: int) -> None:
    driven = Driven(RULES)
    driven.client(get())
    data = write(dataset_of({"PatientID": "VIP", "FailedSOPInstanceUIDList": ["1.2", "1.3"]}), IMPLICIT)
    ((told, listed),) = messages(driven.upstream(message(ON[GET], reply(0x10, status=status, data=True), data)))
    assert told.values["Status"] == status
    if status == 0xFF00:
        assert listed is None
        return
    assert listed is not None
    found = read(listed, IMPLICIT)
    assert [element.keyword for element in found] == ["FailedSOPInstanceUIDList"]
    assert list(found.FailedSOPInstanceUIDList) == ["1.2", "1.3"]


def test_without_a_failure_there_is_no_identifier() -> None:
    driven = Driven(RULES)
    driven.client(get())
    ((told, listed),) = messages(driven.upstream(message(ON[GET], reply(0x10, data=True), write(dataset_of({"PatientID": "VIP"}), IMPLICIT))))
    assert (told.has_data_set, listed) == (False, None)


def test_a_response_to_an_echo_brings_nothing() -> None:
    driven = Driven(RULES)
    driven.client(message(ON[VERIFICATION], command(0x30)))
    left = driven.upstream(message(ON[VERIFICATION], reply(0x30, data=True), VIP_MATCH))
    assert [(one.values["Status"], data) for one, data in messages(left)] == [(0, None)]


def test_instances_outside_of_a_retrieve_stay() -> None:
    driven = Driven(RULES)
    assert driven.upstream(stored(write(image(), IMPLICIT))) == b""
    driven.client(get())
    driven.upstream(message(ON[GET], reply(0x10)))
    assert driven.upstream(stored(write(image(), IMPLICIT))) == b""
    assert [one.values["Status"] for one, _ in messages(bytes(driven.sides["upstream"])) if one.field == 0x8001] == [0x0124, 0x0124]


def test_a_query_by_the_command_of_a_retrieve_is_refused() -> None:
    driven = Driven(RULES)
    assert driven.client(message(ON[GET], command(0x20, data=True, Priority=0, AffectedSOPClassUID=GET), IDENTIFIER)) == b""
    assert driven.client(message(ON[FIND], command(0x10, 2, data=True, Priority=0, AffectedSOPClassUID=FIND), IDENTIFIER)) == b""


def test_what_leaves_is_what_was_decided_however_it_is_cut() -> None:
    data = write(image(), IMPLICIT)
    for seed in range(12):
        driven = Driven(RULES)
        driven.client(get())
        ((_, found),) = messages(driven.upstream(cut(stored(data, max_length=60 + 2 * seed), seed)))
        assert found is not None
        again = decoded(found, IMPLICIT)
        assert "PatientBirthDate" not in again
        assert again.PatientID == "P1"


# -- behind the pixels ----------------------------------------------------------------------------

BORN, MANY = plain(0x00100030, b"19700102"), bytes(60_000)


@pytest.mark.parametrize("behind", [BORN, plain(PATIENT_ID, b"VIP "), plain(PATIENT_ID, b"VIP ") + BORN], ids=["birth date", "patient", "both"])
def test_what_follows_the_pixels_of_a_small_instance_is_looked_at_before(behind: bytes) -> None:
    """pydicom takes the second of two patients, and both it and DCMTK a birth date wherever it stands."""
    assert leaves(in_plain(plain(PATIENT_ID, b"P1"), BORN))
    assert leaves(in_plain(plain(PATIENT_ID, b"P1")) + plain(0xFFFCFFFC, bytes(10)))
    assert not leaves(in_plain(plain(PATIENT_ID, b"P1")) + behind)


def ended(pdus: bytes) -> bool:
    """Whether the last fragment of a data set is there, whole."""
    while pdus:
        length = int.from_bytes(pdus[2:6], "big")
        if 6 + length > len(pdus):
            return False
        control, pdus = pdus[11], pdus[6 + length :]
    return control == 2


@pytest.mark.parametrize("size", [100, 4096, 16384])
def test_what_follows_the_pixels_of_a_large_one_does_not_arrive(size: int) -> None:
    whole = in_plain(plain(PATIENT_ID, b"P1")).replace(plain(PIXELS, bytes(64)), plain(PIXELS, MANY))
    for seed in range(4):
        driven = Driven(RULES)
        driven.client(get())
        left = driven.upstream(cut(stored(whole + BORN, max_length=size), seed))
        assert len(left) > 30_000
        assert b"19700102" not in left
        assert driven.aborted == "an instance that is on its way: an element behind the pixels is repeated or out of order"
        assert not ended(left)  # so nobody has it
        driven = Driven(RULES)
        driven.client(get())
        data = whole + plain(0xFFFCFFFC, bytes(10))
        left = driven.upstream(cut(stored(data, max_length=size) + stored(write(image(number=2), IMPLICIT), 2, 2), seed))
        assert ended(left)
        first, second = messages(left)
        assert first[1] == data
        assert second[1] is not None
        assert not driven.aborted


# -- what a zero length says ----------------------------------------------------------------------


@pytest.mark.parametrize(("level", "leaves_there"), [("STUDY", True), ("SERIES", False), ("IMAGE", False)])
def test_a_patient_that_an_archive_leaves_empty_below_its_level_is_unknown(level: str, leaves_there: bool) -> None:
    """PS3.4 §C.4.1.3.1.1: of the levels above, an archive need not answer but the unique keys."""
    keys = {"STUDY": {}, "SERIES": {"SeriesInstanceUID": ""}, "IMAGE": {"SeriesInstanceUID": "1.2.4", "SOPInstanceUID": ""}}[level]
    asked = {"QueryRetrieveLevel": level, "StudyInstanceUID": "1.2.3", **keys}
    for more in ({}, {"PatientID": "", "PatientBirthDate": ""}):
        driven = Driven(RULES)
        driven.client(find(identifier=write(dataset_of({**asked, **more}), IMPLICIT)))
        match = write(dataset_of({**asked, "SeriesInstanceUID": "1.2.4", "PatientID": ""}), IMPLICIT)
        left = driven.upstream(message(ON[FIND], reply(0x20, status=0xFF00, data=True), match))
        assert bool(left) == leaves_there


# -- policies that change while something is under way --------------------------------------------

ALLOW = "  - {id: allow, on: [c-find, c-get], when: {subject.ae_title: CLIENT}, allow: {}}\n"


def put_in_force(driven: Driven, rules: str) -> None:
    driven.gate.swap(driven.gate.edition(gate_of(rules).policies))


def test_each_instance_is_decided_by_the_newest_set() -> None:
    driven = Driven(ALLOW)
    driven.client(get())
    first, second, third = (stored(write(image("VIP", number), IMPLICIT), number, number) for number in (1, 2, 3))
    assert driven.upstream(first) == first
    put_in_force(driven, RULES)
    assert driven.upstream(second) == b""
    put_in_force(driven, ALLOW)
    assert driven.upstream(third) == third


def test_an_instance_that_is_on_its_way_when_rules_begin_to_read_all_of_it_stays() -> None:
    driven = Driven(RULES)
    driven.client(get())
    stream = stored(write(image(), IMPLICIT))
    left = driven.upstream(stream[:200])
    put_in_force(driven, RULES + "  - {id: private, on: release, when: {instance.private: {exists: true}}, deny: {}}\n")
    assert left + driven.upstream(stream[200:]) == b""


def test_matches_of_a_query_that_did_not_ask_for_what_new_rules_read_stay() -> None:
    driven = Driven(ALLOW)
    driven.client(find())
    match = message(ON[FIND], reply(0x20, status=0xFF00, data=True), write(dataset_of({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"}), IMPLICIT))
    assert driven.upstream(match) == match
    put_in_force(driven, RULES)
    assert driven.upstream(match) == b""


def test_what_former_rules_asked_for_is_taken_out_all_the_same() -> None:
    driven = Driven(RULES)
    driven.client(find())
    put_in_force(driven, ALLOW)
    data = write(dataset_of({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3", "PatientID": "P1", "PatientBirthDate": "19700102"}), IMPLICIT)
    ((_, left),) = messages(driven.upstream(message(ON[FIND], reply(0x20, status=0xFF00, data=True), data)))
    assert left is not None
    assert [element.keyword for element in read(left, IMPLICIT)] == ["QueryRetrieveLevel", "StudyInstanceUID"]


# -- what a library would say of it ---------------------------------------------------------------


@pytest.mark.parametrize("mode", [config.WARN, config.IGNORE, config.RAISE])
def test_no_warning_quotes_a_value(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture, mode: int) -> None:
    monkeypatch.setattr(config.settings, "reading_validation_mode", mode)
    Gateway(gate_of(RULES), OPTIONS)
    assert not leaves(in_explicit(explicit(PATIENT_ID, "IS", b"VIP ")), EXPLICIT)
    leaves(in_explicit(explicit(PATIENT_ID, "IS", b"SECRET")), EXPLICIT)
    assert not leaves(in_explicit(explicit(PATIENT_ID, "LO", b"SECRET\t"), explicit(0x00100030, "DA", b"SECRET")), EXPLICIT)
    said = [str(warning.message) for warning in recwarn] + [record.getMessage() for record in caplog.records]
    assert not [text for text in said if "SECRET" in text]
