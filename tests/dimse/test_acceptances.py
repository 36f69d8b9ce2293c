"""What several destinations accept, in one A-ASSOCIATE-AC."""

from __future__ import annotations

from hirules.dimse.acceptances import merged
from hirules.dimse.association import decode_acceptance, decode_request
from tests.dimse.associations import acceptance, request

ASKED = decode_request(request())


def with_length(pdu: bytes, length: int) -> bytes:
    item = b"\x51\x00\x00\x04" + (32768).to_bytes(4, "big")
    assert pdu.count(item) == 1
    return pdu.replace(item, item[:4] + length.to_bytes(4, "big"))


def test_one_is_handed_on_as_it_came() -> None:
    assert merged([acceptance()]) == acceptance()


def test_a_context_is_accepted_that_one_of_them_accepts() -> None:
    made = decode_acceptance(merged([acceptance(rejected=(1, 3)), acceptance(rejected=(3, 5))]), ASKED)
    assert [context.id for context in made.contexts.values() if context.accepted] == [1, 5]


def test_the_first_that_accepts_says_the_transfer_syntax() -> None:
    implicit, explicit = acceptance(), acceptance()
    for_all = b"\x40\x00\x00\x111.2.840.10008.1.2"
    assert for_all in explicit
    explicit = explicit.replace(for_all, b"\x40\x00\x00\x111.2.840.10008.1.9")
    assert {context.transfer_syntax for context in decode_acceptance(merged([explicit, implicit]), ASKED).contexts.values()} == {"1.2.840.10008.1.9"}
    assert {context.transfer_syntax for context in decode_acceptance(merged([implicit, explicit]), ASKED).contexts.values()} == {"1.2.840.10008.1.2"}


def test_pdus_are_as_short_as_the_shortest_needs() -> None:
    assert decode_acceptance(merged([with_length(acceptance(), 0), with_length(acceptance(), 4096), acceptance()]), ASKED).acceptor_max_length == 4096
    assert decode_acceptance(merged([with_length(acceptance(), 0), with_length(acceptance(), 0)]), ASKED).acceptor_max_length == 0
