from datetime import UTC, date, datetime, time
from decimal import Decimal
from ipaddress import ip_address

import pytest

from hirules.model.scalars import Partial, Type, literal, read

SAME = [
    (Type.TEXT, " CT ", "CT"),
    (Type.LONG_TEXT, " a ", " a"),
    (Type.STRING, " a ", " a "),
    (Type.AE_TITLE, " pacs_main ", "PACS_MAIN"),
    (Type.UID, "1.2.3\0", "1.2.3"),
    (Type.UID, "CTImageStorage", "1.2.840.10008.5.1.4.1.1.2"),
    (Type.PERSON_NAME, "Doe^John^^= ", "Doe^John"),
    (Type.INTEGER, "0xA801", 0xA801),
    (Type.INTEGER, " 007 ", 7),
    (Type.NUMBER, "1.50", Decimal("1.5")),
    (Type.NUMBER, 1.5, Decimal("1.5")),
    (Type.DATE, "20260302", date(2026, 3, 2)),
    (Type.DATE, "2026-03-02", date(2026, 3, 2)),
    (Type.DATE, "2026.03.02", date(2026, 3, 2)),
    (Type.DATE, "202603", Partial("202603")),
    (Type.DATE, "*", Partial("*")),
    (Type.NUMBER, " +.5e1 ", Decimal(5)),
    (Type.DATE, "20260101-", Partial("20260101-")),
    (Type.TIME, "20:00", time(20)),
    (Type.TIME, "200000.25", time(20, 0, 0, 250000)),
    (Type.TIME, "2000", Partial("2000")),
    (Type.DATETIME, "2026-03-02T09:00:00Z", datetime(2026, 3, 2, 9, tzinfo=UTC)),
    (Type.DATETIME, "20260302100000.5+0100", datetime(2026, 3, 2, 9, 0, 0, 500000, tzinfo=UTC)),
    (Type.DATETIME, "20260302", Partial("20260302")),
    (Type.BOOLEAN, "true", True),
    (Type.ADDRESS, "::ffff:10.0.0.1", ip_address("10.0.0.1")),
    (Type.TAG, "(0010,0020)", "PatientID"),
    (Type.TAG, 0x00100020, "PatientID"),
    (Type.TAG, "(0011,0001)", "(0011,0001)"),
]


@pytest.mark.parametrize(("type_", "raw", "canonical"), SAME)
def test_what_means_the_same_is_the_same(type_: Type, raw: object, canonical: object) -> None:
    assert read(type_, raw) == canonical
    assert type(read(type_, raw)) is type(canonical) or type_ is Type.ADDRESS


@pytest.mark.parametrize(
    ("type_", "raw"),
    [
        (Type.INTEGER, True), (Type.INTEGER, "1.5"), (Type.NUMBER, "NaN"), (Type.NUMBER, "Infinity"), (Type.DATE, "20260230"),
        (Type.DATE, "yesterday"), (Type.TIME, "25:00"), (Type.BOOLEAN, "yes"), (Type.ADDRESS, "10.0.0"), (Type.TEXT, None), (Type.TEXT, ["a"]),
        (Type.SEQUENCE, "x"), (Type.DATETIME, "2026-13-01T00:00:00Z"), (Type.NUMBER, "1_0"), (Type.NUMBER, "１８"), (Type.INTEGER, "５"),
        (Type.DATE, "２０２60101"), (Type.DATE, "20260101120000"), (Type.DATE, "2026010"), (Type.TIME, "123"), (Type.TIME, "::"), (Type.DATETIME, "2026.1"),
        (Type.TAG, "patientid"), (Type.TAG, "PatientIdd"),
    ],
)  # fmt: skip
def test_what_cannot_be_parsed_raises_without_quoting(type_: Type, raw: object) -> None:
    with pytest.raises(ValueError) as caught:
        read(type_, raw)
    assert str(raw) not in str(caught.value)


def test_a_literal_says_what_was_expected() -> None:
    assert literal(Type.TEXT, "00123") == "00123"
    assert literal(Type.UID, "CTImageStorage") == "1.2.840.10008.5.1.4.1.1.2"
    for type_, text, expected in [
        (Type.UID, "CTImageStorag", "registry"),
        (Type.TAG, "PatientIdd", "keyword"),
        (Type.INTEGER, "many", "an integer"),
        (Type.BINARY, "x", "no value"),
    ]:
        with pytest.raises(ValueError, match=expected):
            literal(type_, text)
