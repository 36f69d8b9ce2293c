from __future__ import annotations

import msgspec
import pytest

from hirules.dimse.association import decode_acceptance, decode_request
from hirules.dimse.negotiation import acceptance_downstream, canonical_ae_title, request_upstream, with_identity_response, without_identity
from hirules.dimse.options import Options
from tests.dimse.associations import CT, FIND, GET, acceptance, extended, identity, request, window
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


PASSCODE = b"a passcode"


@pytest.mark.parametrize("more", [(), (identity(2, b"ada", PASSCODE),), (window(0, 0), identity(5, b"a.b.c"), extended(FIND, b"\1\1"))])
def test_the_identity_is_taken_out_and_nothing_else(more: tuple[object, ...]) -> None:
    pdu = request(*more)
    cleared = without_identity(pdu)
    left = decode_request(cleared)
    assert left.user_identity is None
    assert PASSCODE not in cleared
    assert msgspec.structs.replace(decode_request(pdu), user_identity=None, window_offset=0, extended=()) == msgspec.structs.replace(
        left, window_offset=0, extended=()
    )
    assert len(cleared) == 6 + int.from_bytes(cleared[2:6], "big")
    if not more:
        assert cleared == pdu


def test_a_positive_response_is_added_once() -> None:
    asked = decode_request(request())
    for answer in (b"", b"a server ticket"):
        accepted = with_identity_response(acceptance(), answer)
        assert decode_acceptance(accepted, asked) == decode_acceptance(acceptance(), asked)
        assert accepted.endswith(b"\x59\0" + (len(answer) + 2).to_bytes(2, "big") + len(answer).to_bytes(2, "big") + answer)
        assert with_identity_response(accepted, b"another") == accepted
