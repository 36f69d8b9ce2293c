from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ, P_DATA_TF

from hirules.dimse.pdu import abort_pdu, data_pdus, message_pdus, reject_pdu


def read(kind: Any, pdu: bytes) -> Any:
    made = kind()
    made.decode(pdu)
    return made


@given(st.binary(max_size=3000), st.sampled_from([0, 1]), st.sampled_from([0, 7, 64, 100, 16384]))
def test_fragments_fit_the_receiver_and_make_the_data_again(data: bytes, kind: int, max_length: int) -> None:
    found, pdus = b"", list(data_pdus(3, kind, data, max_length))
    for pdu in pdus:
        (item,) = read(P_DATA_TF, pdu).presentation_data_value_items
        assert item.context_id == 3
        assert item.presentation_data_value[0] == kind | (2 if pdu is pdus[-1] else 0)
        assert max_length == 0 or len(pdu) - 6 <= max(max_length, 8)
        found += item.presentation_data_value[1:]
    assert found == data


def test_a_message_without_data_set_is_its_command_set() -> None:
    assert message_pdus(1, b"ab", None, 0) == b"\x04\x00\x00\x00\x00\x08\x00\x00\x00\x04\x01\x03ab"


def test_pynetdicom_reads_a_rejection_and_an_abort() -> None:
    rejection = read(A_ASSOCIATE_RJ, reject_pdu(2, 3, 2))
    assert (rejection.result, rejection.source, rejection.reason_diagnostic) == (2, 3, 2)
    abort = read(A_ABORT_RQ, abort_pdu(6))
    assert (abort.source, abort.reason_diagnostic) == (2, 6)
    assert abort_pdu(6, source=0)[-2:] == b"\0\0"
