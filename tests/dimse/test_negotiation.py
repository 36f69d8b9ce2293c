from __future__ import annotations

import msgspec
import pytest

from hirules.dimse.association import decode_request
from hirules.dimse.negotiation import acceptance_downstream, calls_us, canonical_ae_title, request_upstream
from hirules.dimse.options import Options
from tests.dimse.associations import CT, FIND, GET, acceptance, extended, request, window
from tests.dimse.wire import OPTIONS


def upstream(pdu: bytes, options: Options = OPTIONS) -> bytes:
    return request_upstream(pdu, decode_request(pdu), options)


def changed(before: bytes, after: bytes) -> set[int]:
    assert len(before) == len(after)
    return {at for at in range(len(before)) if before[at] != after[at]}


def test_only_the_ae_titles_of_a_plain_request_are_patched() -> None:
    pdu = request(calling="client")
    patched = upstream(pdu)
    assert patched[10:26] == b"PACS            "
    assert patched[26:42] == b"CLIENT          "
    assert patched[:10] + patched[42:] == pdu[:10] + pdu[42:]


def test_the_upstream_may_see_the_gateways_own_title_or_the_clients_spelling() -> None:
    assert upstream(request(), msgspec.structs.replace(OPTIONS, calling_ae_title="PROXY"))[26:42] == b"PROXY           "
    assert upstream(request(calling="Client"), msgspec.structs.replace(OPTIONS, preserve_ae_title_case=True))[26:42] == b"Client          "
    assert canonical_ae_title(" a b ", OPTIONS) == "A B"


def test_the_asynchronous_window_is_one_each_way() -> None:
    asked = decode_request(upstream(request(window(0, 8))))
    assert asked.asynchronous_window == (1, 1)
    assert decode_request(upstream(request())).asynchronous_window is None


@pytest.mark.parametrize(
    ("uid", "sent", "left", "options"),
    [
        (FIND, b"\1\1\1\1\1", b"\0\0\0\1\1", {}),
        (FIND, b"\1\1\1", b"\1\0\0", {"allow_relational": True}),
        (FIND, b"\1\1\1", b"\0\1\0", {"allow_combined_date_time": True}),
        (FIND, b"\1\1\1", b"\0\0\1", {"allow_fuzzy": True}),
        (FIND, b"\1", b"\0", {}),
        (GET, b"\1\1", b"\0\1", {}),
        (GET, b"\1\1", b"\1\1", {"allow_relational": True}),
        (CT, b"\1\1\1\1\1\1", b"\1\1\1\1\1\1", {}),
    ],
)
def test_query_options_are_cleared_in_place_unless_allowed(uid: str, sent: bytes, left: bytes, options: dict[str, bool]) -> None:
    pdu = request(extended(uid, sent))
    patched = upstream(pdu, msgspec.structs.replace(OPTIONS, **options))
    (negotiation,) = decode_request(patched).extended
    assert negotiation.information == left
    assert changed(pdu, patched) <= {*range(10, 42), *range(negotiation.offset, negotiation.offset + len(sent))}


def test_the_client_gets_the_acceptance_with_its_own_titles() -> None:
    pdu, accepted = request(), acceptance()
    handed = acceptance_downstream(accepted, pdu)
    assert handed[10:42] == pdu[10:42]
    assert changed(accepted, handed) <= set(range(10, 42))


def test_only_our_own_title_is_called() -> None:
    assert calls_us(decode_request(request(called="gate")), OPTIONS)
    assert not calls_us(decode_request(request(called="GATE2")), OPTIONS)
