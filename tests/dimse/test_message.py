from __future__ import annotations

import random
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from hirules.dimse import message
from hirules.dimse.message import ELEMENTS, NUMBERS, CommandError, encode_command, parse_command, with_number, with_originator
from hirules.model.status import MISTYPED_ARGUMENT, PROCESSING_FAILURE

MOVE = {
    "AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.2.2.2",
    "CommandField": 0x21,
    "MessageID": 7,
    "Priority": 2,
    "CommandDataSetType": 1,
    "MoveDestination": "DEST",
}
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "US": st.integers(0, 0xFFFF),
    "AT": st.lists(st.integers(0, 0xFFFFFFFF), max_size=5).map(tuple),
    "UI": st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,5})){0,8}", fullmatch=True),
    "AE": st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_ ]{0,14}[A-Za-z0-9_]", fullmatch=True),
    "LO": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 ]{0,40}[A-Za-z0-9]", fullmatch=True),
}
COMMANDS = st.fixed_dictionaries({}, optional={keyword: VALUES[vr] for keyword, vr in ELEMENTS.values() if vr != "UL"})


def element(number: int, value: bytes, group: int = 0) -> bytes:
    return group.to_bytes(2, "little") + number.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value


def command_set(*elements: bytes) -> bytes:
    body = b"".join(elements)
    return element(0, len(body).to_bytes(4, "little")) + body


@given(COMMANDS)
def test_what_was_encoded_is_read_again(values: dict[str, object]) -> None:
    raw = encode_command(values)
    read = parse_command(raw)
    assert {name: value for name, value in read.values.items() if name != "CommandGroupLength"} == values
    assert read.raw == raw
    assert parse_command(raw, lenient=True) == read


@given(COMMANDS)
def test_pydicom_reads_the_same(values: dict[str, object]) -> None:
    dataset = decode(BytesIO(encode_command(values)), True, True)
    for name, value in values.items():
        theirs = dataset[name].value
        tags = ELEMENTS[NUMBERS[name]][1] == "AT"
        assert (tuple([theirs] if isinstance(theirs, int) else theirs or ()) if tags else theirs) == value


def test_it_is_what_pynetdicom_writes() -> None:
    dataset = Dataset()
    for name, value in MOVE.items():
        setattr(dataset, name, value)
    written = encode(dataset, True, True)
    assert written is not None
    assert command_set(written) == encode_command(MOVE)


def test_a_data_set_is_announced_by_anything_but_0101() -> None:
    assert parse_command(encode_command(MOVE)).has_data_set
    assert not parse_command(encode_command({**MOVE, "CommandDataSetType": 0x0101})).has_data_set


FIELD, MESSAGE = element(0x100, b"\x20\0"), element(0x110, b"\x01\0")


@pytest.mark.parametrize(
    ("data", "says", "status"),
    [
        (command_set(FIELD, FIELD, MESSAGE), "repeated or out of order", PROCESSING_FAILURE),
        (command_set(MESSAGE, FIELD), "repeated or out of order", PROCESSING_FAILURE),
        (command_set(FIELD, MESSAGE) + b"\0", "left over", PROCESSING_FAILURE),
        (command_set(FIELD, MESSAGE) + b"\0" * 7, "left over", PROCESSING_FAILURE),
        (command_set(FIELD, MESSAGE) + element(0x700, b"\0\0"), "group length", PROCESSING_FAILURE),
        (command_set(FIELD, MESSAGE)[:-1], "longer than the command set", PROCESSING_FAILURE),
        (FIELD + MESSAGE, "group length", PROCESSING_FAILURE),
        (command_set(FIELD, element(0x110, b"\x01\0\0\0")), "a wrong element length in MessageID", MISTYPED_ARGUMENT),
        (command_set(FIELD, element(0x110, b"")), "a wrong element length in MessageID", MISTYPED_ARGUMENT),
        (command_set(FIELD, element(0x1005, b"\0\0")), "a wrong element length in AttributeIdentifierList", MISTYPED_ARGUMENT),
        (command_set(element(0x02, b"1.2\\1.3 ")), "no single UID in AffectedSOPClassUID", MISTYPED_ARGUMENT),
        (command_set(element(0x02, b"1.2\x001.34")), "no single UID in AffectedSOPClassUID", MISTYPED_ARGUMENT),
        (command_set(FIELD, element(0x1000, b"1" * 66)), "no single UID in AffectedSOPInstanceUID", MISTYPED_ARGUMENT),
        (command_set(element(0x02, b"1.2")), "an odd element length in AffectedSOPClassUID", MISTYPED_ARGUMENT),
        (command_set(element(0x600, b"A\\B ")), "no single AE title in MoveDestination", MISTYPED_ARGUMENT),
        (command_set(element(0x600, b"A\0B ")), "no single AE title in MoveDestination", MISTYPED_ARGUMENT),
        (command_set(element(0x600, b"\xc4\xd6")), "outside ASCII in MoveDestination", MISTYPED_ARGUMENT),
        (command_set(element(0x902, b"a\\b ")), "several values in ErrorComment", MISTYPED_ARGUMENT),
        (command_set(FIELD, element(0x4000, b"ab")), "no command element", PROCESSING_FAILURE),
        (command_set(FIELD, element(0x10, b"ab", group=8)), "outside group 0000", PROCESSING_FAILURE),
        (b"", "group length", PROCESSING_FAILURE),
    ],
)
def test_what_can_be_read_in_two_ways_is_an_error(data: bytes, says: str, status: int) -> None:
    with pytest.raises(CommandError, match=says) as caught:
        parse_command(data)
    assert caught.value.status == status


def test_the_error_brings_what_could_be_read_and_what_was_there_twice() -> None:
    with pytest.raises(CommandError) as caught:
        parse_command(command_set(FIELD, FIELD, MESSAGE))
    assert caught.value.values == {"CommandGroupLength": 30, "CommandField": 0x20, "MessageID": 1}
    assert caught.value.ambiguous == {"CommandField"}


def test_a_response_may_have_more_than_the_standard_lists_but_no_other_framing() -> None:
    raw = command_set(FIELD, element(0x902, b"odd"), element(0x4000, b"ab"))
    with pytest.raises(CommandError):
        parse_command(raw)
    assert parse_command(raw, lenient=True).values == {"CommandGroupLength": 31, "CommandField": 0x20, "ErrorComment": "odd"}
    with pytest.raises(CommandError, match="repeated"):
        parse_command(command_set(FIELD, FIELD), lenient=True)


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, lenient: bool) -> None:
    try:
        command = parse_command(data, lenient=lenient)
    except CommandError:
        return
    assert command.raw == data


def outcome(data: bytes, *, lenient: bool) -> object:
    try:
        return list(parse_command(data, lenient=lenient).values.items())
    except CommandError as error:
        return (str(error), error.status, error.values, error.ambiguous)


def test_a_command_set_without_a_mistake_is_read_in_one_pass_as_it_is_element_by_element() -> None:
    dice = random.Random(7)
    store = {"MoveOriginatorApplicationEntityTitle": "MOVE ", "MoveOriginatorMessageID": 1, "AffectedSOPInstanceUID": "1.2.3"}
    answer = {"ErrorComment": "odd", "Status": 0xFF00, "AttributeIdentifierList": (1, 2)}
    good = [encode_command({**MOVE, **more}) for more in ({}, store, answer)]
    cases = [*good]
    for _ in range(5000):
        damaged = bytearray(dice.choice(good))
        for _ in range(dice.choice((1, 1, 2, 4))):
            at = dice.randrange(len(damaged))
            match dice.randrange(4):
                case 0:
                    damaged[at] = dice.randrange(256)
                case 1:
                    damaged[at] = dice.choice(b"\0\1\2 .19AZ\\\x80\xff")
                case 2:
                    del damaged[at : at + dice.randrange(1, 12)]
                case _:
                    damaged[at:at] = damaged[dice.randrange(len(damaged)) :][: dice.randrange(1, 12)]
            if len(damaged) < 12 or dice.randrange(4):
                damaged[8:12] = max(0, len(damaged) - 12).to_bytes(4, "little")
        cases.append(bytes(damaged))
        cases += [cases[-1][:at] + bytes((dice.randrange(256),)) + cases[-1][at + 1 :] for at in (58, 59, 60, 61) if at < len(cases[-1])]
    plain = [message._plain(data) for data in cases]
    assert sum(values is not None for values in plain) > 100
    found = [outcome(data, lenient=lenient) for data in cases for lenient in (False, True)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(message, "_plain", lambda _: None)
        patched.setattr(message, "_seen", {})
        assert [outcome(data, lenient=lenient) for data in cases for lenient in (False, True)] == found


def test_a_command_set_that_differs_in_its_message_id_only_is_known() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(message, "_seen", {})
        first = parse_command(encode_command(MOVE))
        patched.setattr(message, "_plain", None)
        for number in (0, 255, 256, 65535):
            raw = encode_command({**MOVE, "MessageID": number})
            assert list(parse_command(raw).values.items()) == list({**first.values, "MessageID": number}.items())
            assert parse_command(raw).raw is raw
        for other in (first.raw[:-1], first.raw + b"\0", encode_command({**MOVE, "Priority": 1})):
            with pytest.raises(TypeError):
                parse_command(other)


@pytest.mark.parametrize("end", [{"MessageID": 1}, {"MessageID": 1, "Priority": 0}])
def test_a_command_set_cut_behind_or_in_its_message_id_is_not_a_known_one(end: dict[str, object]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(message, "_seen", {})
        whole = encode_command({"AffectedSOPClassUID": "1.2.34", "CommandField": 0x21, **end})
        parse_command(whole)
        for size in range(len(whole)):
            with pytest.raises(CommandError):
                parse_command(whole[:size])


@pytest.mark.parametrize(
    "make",
    [
        lambda number: command_set(element(0x02, b"1.2\0"), element(0x902, b"__" + MESSAGE[:8] + number)),
        lambda number: command_set(element(0x902, b"_" * 8 + FIELD + MESSAGE[:8] + number + b"_" * (256 + 8 - 28))),
    ],
)
def test_a_comment_that_looks_like_a_message_id_is_none(make: Callable[[bytes], bytes]) -> None:
    for number in (b"ab", b"cd"):
        values = parse_command(make(number)).values
        assert "MessageID" not in values
        assert number.decode() in str(values["ErrorComment"])


def test_few_command_sets_are_known() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(message, "_seen", {})
        for number in range(2000):
            parse_command(encode_command({**MOVE, "MoveDestination": f"DEST{number}"}))
            assert len(message._seen) <= 256


def test_all_but_the_padding_of_an_ae_title_stays_so_that_the_canonical_form_differs() -> None:
    def title(value: bytes) -> object:
        return parse_command(command_set(element(0x600, value))).values["MoveDestination"]

    assert [title(b"DEST"), title(b"ODD "), title(b" DEST   "), title(b"OD\0\0")] == ["DEST", "ODD", " DEST  ", "OD\0\0"]


def test_the_repr_shows_no_value() -> None:
    assert "DEST" not in repr(parse_command(encode_command(MOVE)))


def test_a_number_is_replaced_and_nothing_else() -> None:
    unlisted = element(0x0003, b"1.2\0") + element(0x5110, b"x ")
    raw = command_set(element(0x0100, b"\x21\x80"), element(0x0120, b"\x07\x00"), unlisted)
    assert with_number(raw, "MessageIDBeingRespondedTo", 0x1234) == raw.replace(b"\x07\x00", b"\x34\x12")
    with pytest.raises(ValueError, match="MessageID"):
        with_number(raw, "MessageID", 1)


@pytest.mark.parametrize("title", ["CLIENT", "ODD", "SIXTEEN_LETTERS_"])
def test_an_originator_is_replaced(title: str) -> None:
    values = {"CommandField": 1, "MessageID": 3, "AffectedSOPInstanceUID": "1.2.3", "CommandDataSetType": 1}
    came = encode_command({**values, "MoveOriginatorApplicationEntityTitle": "PACS_X", "MoveOriginatorMessageID": 65535})
    expected = encode_command({**values, "MoveOriginatorApplicationEntityTitle": title, "MoveOriginatorMessageID": 9})
    assert with_originator(came, title, 9) == expected
    assert parse_command(expected).values["MoveOriginatorApplicationEntityTitle"] == title
    with pytest.raises(ValueError, match="Move Originator"):
        with_originator(encode_command(values), title, 9)
