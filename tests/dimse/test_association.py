from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hirules.dimse import association
from hirules.dimse.association import AssociationError, ExtendedNegotiation, UserIdentity, decode_acceptance, decode_request
from tests.dimse.associations import CT, FIND, GET, PRIVATE, SYNTAXES, acceptance, extended, identity, request, window


def with_items(pdu: bytes, *items: bytes) -> bytes:
    """``pdu`` with items at the end of its user information, which is its last item."""
    user = pdu.index(b"\x50\x00", 74)
    more = b"".join(items)
    length = int.from_bytes(pdu[user + 2 : user + 4], "big") + len(more)
    grown = pdu[: user + 2] + length.to_bytes(2, "big") + pdu[user + 4 :] + more
    return grown[:2] + (len(grown) - 6).to_bytes(4, "big") + grown[6:]


def item(kind: int, value: bytes) -> bytes:
    return bytes((kind, 0)) + len(value).to_bytes(2, "big") + value


def with_version(pdu: bytes, version: bytes) -> bytes:
    """``pdu`` with another implementation version name."""
    own = item(0x55, b"TEST_1")
    at, user = pdu.index(own), pdu.index(b"\x50\x00", 74)
    length = int.from_bytes(pdu[user + 2 : user + 4], "big") - len(own)
    shorter = pdu[: user + 2] + length.to_bytes(2, "big") + pdu[user + 4 : at] + pdu[at + len(own) :]
    return with_items(shorter, item(0x55, version))


def test_a_request_is_read_as_pynetdicom_wrote_it() -> None:
    asked = decode_request(request(extended(FIND, b"\1\1\1"), window(5, 0), identity(2, b"who", b"secret")), "10.0.0.9", 4321)
    assert (asked.calling_ae_title, asked.called_ae_title, asked.address, asked.port) == ("client", "GATE", "10.0.0.9", 4321)
    assert (asked.implementation_class_uid, asked.implementation_version_name, asked.requestor_max_length) == ("1.2.3.4", "TEST_1", 32768)
    assert {number: context.abstract_syntax for number, context in asked.contexts.items()} == {1: FIND, 3: GET, 5: CT}
    assert asked.contexts[1].proposed == tuple(SYNTAXES)
    assert not any(context.accepted for context in asked.contexts.values())
    assert asked.asynchronous_window == (5, 0)
    assert asked.user_identity == UserIdentity(2, b"who", b"secret", False)
    assert [msgspec.structs.replace(each, offset=0) for each in asked.extended] == [ExtendedNegotiation(FIND, b"\1\1\1", 0)]


def test_an_acceptance_says_which_contexts_and_roles_hold() -> None:
    agreed = decode_acceptance(acceptance(rejected=(3,)), decode_request(request()))
    assert {number: context.transfer_syntax for number, context in agreed.contexts.items()} == {1: SYNTAXES[0], 3: None, 5: SYNTAXES[0]}
    assert (agreed.contexts[5].scu_role, agreed.contexts[5].scp_role) == (False, True)
    assert (agreed.contexts[1].scu_role, agreed.contexts[1].scp_role) == (True, False)
    assert agreed.acceptor_max_length == 32768
    assert agreed.accepted


def test_a_role_that_was_not_proposed_cannot_be_accepted() -> None:
    agreed = decode_acceptance(acceptance(), decode_request(request(contexts=[FIND, GET, CT])))
    assert agreed.contexts[5].accepted
    assert not agreed.contexts[5].scp_role


def test_what_comes_again_is_read_as_the_first_time_with_its_own_titles() -> None:
    first = decode_request(request(window(5, 0)), "10.0.0.9")
    again = decode_request(request(window(5, 0), calling="OTHER", called="GATE2"), "10.0.0.8")
    assert again == msgspec.structs.replace(first, calling_ae_title="OTHER", called_ae_title="GATE2", address="10.0.0.8")
    asked = decode_request(request(contexts=[FIND, GET, CT]))
    assert decode_acceptance(acceptance(), first).contexts[5].scp_role
    assert not decode_acceptance(acceptance(), asked).contexts[5].scp_role


def test_a_passcode_is_not_kept_nor_the_answer_to_it() -> None:
    before = len(association._requests), len(association._acceptances)
    decode_request(request(identity(2, b"who", b"unheard of secret")))
    decode_acceptance(with_items(acceptance(), item(0x59, b"\0\6ticket")), decode_request(request()))
    kept = [*association._requests, *association._acceptances]
    assert not any(b"unheard of secret" in key or b"ticket" in key for key in kept)
    assert before[1] == len(association._acceptances)


def test_what_is_kept_is_bounded() -> None:
    for number in range(3 * association._REMEMBERED):
        decode_request(request(contexts=[f"1.2.3.{number}"]))
    assert len(association._requests) <= association._REMEMBERED


def test_a_private_sop_class_is_a_context_like_any_other() -> None:
    assert decode_request(request(contexts=[PRIVATE])).contexts[1].abstract_syntax == PRIVATE


def test_the_same_role_for_two_contexts_may_be_there_twice() -> None:
    role = item(0x54, len(CT).to_bytes(2, "big") + CT.encode() + b"\1\1")
    assert decode_request(with_items(request(), role)).contexts.keys() == {1, 3, 5}
    with pytest.raises(AssociationError, match="0x54 is repeated"):
        decode_request(with_items(request(), role[:-1] + b"\0"))


def user_item_removed(pdu: bytes) -> bytes:
    user = pdu.index(b"\x50\x00", 74)
    return pdu[:user]


@pytest.mark.parametrize(
    ("pdu", "says", "source", "reason"),
    [
        (with_items(request(), item(0x5A, b"what")), "unknown item", 2, 1),
        (with_items(request(), item(0x51, b"\0\0\1\0")), "0x51 is repeated", 2, 1),
        (with_items(request(identity(1, b"a")), item(0x58, b"\1\0\0\1b\0\0")), "0x58 is repeated", 2, 1),
        (with_items(request(), item(0x58, b"\1\0\0\xffb\0\0")), "user identity is malformed", 2, 1),
        (with_items(request(), item(0x53, b"\0\1")), "wrong length", 2, 1),
        (with_items(request(), item(0x56, b"\0\xff1.2")), "longer than its item", 2, 1),
        (with_items(request(), item(0x54, b"\0\x031.2\1\1")), "a role for a SOP class without", 2, 1),
        (with_items(request(), item(0x54, b"\0\x031.2\0\2")), "neither 0 nor 1", 2, 1),
        (request().replace(item(0x55, b"TEST_1"), item(0x55, b"TEST\n1")), "version name is malformed", 2, 1),
        (with_version(request(), b"A" * 17), "version name is malformed", 2, 1),
        (request() + b"\x20\0", "left over", 2, 1),
        (request() + item(0x20, b"\1\0\0\0" + item(0x30, b"1.2") + item(0x40, b"1.2")), "id is repeated", 2, 1),
        (request() + item(0x20, b"\2\0\0\0" + item(0x30, b"1.2") + item(0x40, b"1.2")), "malformed", 2, 1),
        (request() + item(0x20, b"\x09\0\0\0" + item(0x30, b"1.2") * 2 + item(0x40, b"1.2")), "malformed", 2, 1),
        (request() + item(0x20, b"\x09\0\0\0" + item(0x30, b"1.2")), "malformed", 2, 1),
        (request() + item(0x21, b"\x09\0\0\0"), "0x21 is unknown or repeated", 2, 1),
        (request()[:-5], "longer than what holds it", 2, 1),
        (request()[:60], "too short", 2, 1),
        (user_item_removed(request()), "no user information", 2, 1),
        (request().replace(b"1.2.840.10008.3.1.1.1", b"1.2.840.10008.3.1.1.2"), "another application context", 1, 2),
        (request()[:6] + b"\0\2" + request()[8:], "protocol version", 2, 2),
        (request()[:26] + b"\xc4CLIENT         " + request()[42:], "outside ASCII", 2, 1),
        (request()[:26] + b" " * 16 + request()[42:], "AE title", 1, 3),
        (request()[:10] + b"GA\\TE           " + request()[26:], "AE title", 1, 7),
        (request()[:10] + b"GA\x07TE           " + request()[26:], "AE title", 1, 7),
    ],
)
def test_what_can_be_read_in_two_ways_is_rejected(pdu: bytes, says: str, source: int, reason: int) -> None:
    with pytest.raises(AssociationError, match=says) as caught:
        decode_request(pdu)
    assert (caught.value.source, caught.value.reason) == (source, reason)


def test_an_acceptance_of_what_was_not_proposed_is_an_error() -> None:
    with pytest.raises(AssociationError, match="not proposed"):
        decode_acceptance(acceptance(), decode_request(request(contexts=[FIND])))
    accepted = acceptance()
    twice = accepted + item(0x21, b"\1\0\0\0" + item(0x40, b"1.2.840.10008.1.2"))
    with pytest.raises(AssociationError, match="not proposed"):
        decode_acceptance(twice, decode_request(request()))
    with pytest.raises(AssociationError, match="not one transfer syntax"):
        decode_acceptance(accepted.replace(item(0x40, SYNTAXES[0].encode()), item(0x41, SYNTAXES[0].encode()), 1), decode_request(request()))


@given(st.integers(0, 600), st.binary(min_size=1, max_size=4))
def test_a_damaged_request_is_read_or_rejected(at: int, noise: bytes) -> None:
    pdu = request(extended(FIND, b"\1\1\1"), identity(2, b"who", b"secret"))
    try:
        decode_request(pdu[:at] + noise + pdu[at + len(noise) :])
    except AssociationError:
        return


def test_reprs_show_no_credentials() -> None:
    asked = decode_request(request(identity(2, b"who", b"secret")))
    assert "who" not in repr(asked) + repr(asked.user_identity)
