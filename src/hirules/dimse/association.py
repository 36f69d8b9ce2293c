"""What was negotiated: A-ASSOCIATE-RQ and -AC, read from their bytes (PS3.8 §9.3.2, §9.3.3, PS3.7 §D.3.3).

The bytes themselves are what goes to the other side (``hirules.dimse.negotiation``): nothing here is
encoded again. Rule: what cannot be read in one way only (an item twice, bytes left over, a context id
twice, an item that these standards do not list) is an :class:`AssociationError`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TypeVar

import msgspec

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"

_ITEM = struct.Struct(">BxH")
_FIXED = 74
"""Length of an A-ASSOCIATE-RQ or -AC up to its first item."""
_DEFAULT_ROLES = (True, False)


class Context(msgspec.Struct, frozen=True):
    """A presentation context: ``transfer_syntax`` is the accepted one, ``None`` where it was not accepted.

    ``scu_role`` and ``scp_role`` are the requestor's (PS3.7 §D.3.3.4), proposed and then accepted; without
    negotiation it is the SCU.
    """

    id: int
    abstract_syntax: str
    transfer_syntax: str | None = None
    proposed: tuple[str, ...] = ()
    scu_role: bool = True
    scp_role: bool = False

    @property
    def accepted(self) -> bool:
        """Whether messages may use it."""
        return self.transfer_syntax is not None


class UserIdentity(msgspec.Struct, frozen=True):
    """PS3.7 §D.3.3.7: what the requestor states. ``type`` 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5 JWT."""

    type: int
    primary: bytes
    secondary: bytes
    response_requested: bool

    def __repr__(self) -> str:
        return f"UserIdentity(type={self.type})"


class ExtendedNegotiation(msgspec.Struct, frozen=True):
    """PS3.7 §D.3.3.5: application information of a SOP class, and where in the PDU it begins."""

    sop_class: str
    information: bytes
    offset: int


class Association(msgspec.Struct, frozen=True):
    """An association as requested, and once ``accepted`` also as accepted.

    AE titles are without outer spaces, in the case that was sent. ``max_length`` is what the side can
    receive in one P-DATA-TF; 0 is no limit (PS3.8 §D.1).
    """

    calling_ae_title: str
    called_ae_title: str
    contexts: Mapping[int, Context]
    address: str = ""
    port: int = 0
    upstream_ae_title: str = ""
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    requestor_max_length: int = 0
    acceptor_max_length: int = 0
    asynchronous_window: tuple[int, int] | None = None
    window_offset: int = 0
    user_identity: UserIdentity | None = None
    """Without its secrets once it was verified."""
    extended: tuple[ExtendedNegotiation, ...] = ()
    accepted: bool = False
    upstream: str = ""
    """The name of the upstream that it goes to."""
    transport: str = "dimse"
    """``dimse`` or ``dimse+tls``."""
    proven: Mapping[str, object] = {}
    """What was verified of the client, by the names below ``subject.``: ``tls``, ``user``, ``roles``, ``claims``."""

    def __repr__(self) -> str:
        return f"Association({self.calling_ae_title!r}, {len(self.contexts)} contexts)"


class AssociationError(ValueError):
    """A PDU that is rejected: ``source`` and ``reason`` of the A-ASSOCIATE-RJ (PS3.8 §9.3.4)."""

    def __init__(self, message: str, source: int = 2, reason: int = 1) -> None:
        super().__init__(message)
        self.source = source
        self.reason = reason


class _User(msgspec.Struct):
    """The user information while it is read."""

    max_length: int = 0
    class_uid: str = ""
    version_name: str = ""
    window: tuple[int, int] | None = None
    window_offset: int = 0
    identity: UserIdentity | None = None
    roles: dict[str, tuple[bool, bool]] = {}
    extended: tuple[ExtendedNegotiation, ...] = ()
    secret: bool = False
    """It brings a user identity, or the answer to one."""


Known = TypeVar("Known")
_REMEMBERED = 64
_LONGEST = 32 * 1024
_requests: dict[bytes, tuple[_User, dict[int, Context]]] = {}
_acceptances: dict[bytes, tuple[_User, list[tuple[int, str | None]]]] = {}
"""What was read of PDUs without a mistake. INVARIANT: nothing of it is changed any more, and none has a user identity or the answer to one."""


def decode_request(pdu: bytes, address: str = "", port: int = 0) -> Association:
    """The A-ASSOCIATE-RQ in ``pdu``. Raises :class:`AssociationError`."""
    key = _alike(pdu)
    known = _requests.get(key)
    if known is None:
        known = user, contexts = _request(pdu)
        if not user.secret:
            _remember(_requests, key, known)
    user, contexts = known
    return Association(
        calling_ae_title=_ae_title(pdu, 26),
        called_ae_title=_ae_title(pdu, 10),
        contexts=contexts,
        address=address,
        port=port,
        implementation_class_uid=user.class_uid,
        implementation_version_name=user.version_name,
        requestor_max_length=user.max_length,
        asynchronous_window=user.window,
        window_offset=user.window_offset,
        user_identity=user.identity,
        extended=user.extended,
    )


def decode_acceptance(pdu: bytes, requested: Association) -> Association:
    """``requested`` as the A-ASSOCIATE-AC in ``pdu`` accepts it. Raises :class:`AssociationError`."""
    key = _alike(pdu)
    known = _acceptances.get(key)
    if known is None:
        user, items = _read(pdu, 0x21)
        known = user, [_answered(pdu, offset, end) for offset, end in items]
        if not user.secret:
            _remember(_acceptances, key, known)
    user, answers = known
    contexts = dict(requested.contexts)
    answered: set[int] = set()
    for number, transfer_syntax in answers:
        context = requested.contexts.get(number)
        if context is None or number in answered:
            raise AssociationError("an answer to a presentation context that was not proposed")
        answered.add(number)
        scu, scp = user.roles.get(context.abstract_syntax, _DEFAULT_ROLES)
        # the acceptor cannot give a role that was not proposed
        contexts[number] = msgspec.structs.replace(context, transfer_syntax=transfer_syntax, scu_role=scu, scp_role=scp and context.scp_role)
    return msgspec.structs.replace(requested, contexts=contexts, acceptor_max_length=user.max_length, accepted=True)


def _alike(pdu: bytes) -> bytes:
    """What a PDU says beside its AE titles. A peer's differ in no more, from one association to the next."""
    return pdu[6:8] + pdu[_FIXED:]


def _remember(seen: dict[bytes, Known], key: bytes, known: Known) -> None:
    if len(key) > _LONGEST:
        return
    if len(seen) >= _REMEMBERED:
        seen.clear()
    seen[key] = known


def _request(pdu: bytes) -> tuple[_User, dict[int, Context]]:
    contexts: dict[int, Context] = {}
    user, items = _read(pdu, 0x20)
    for offset, end in items:
        context = _proposed(pdu, offset, end, user.roles)
        if context.id in contexts:
            raise AssociationError("a presentation context id is repeated")
        contexts[context.id] = context
    if not contexts:
        raise AssociationError("no presentation context")
    if not user.roles.keys() <= {context.abstract_syntax for context in contexts.values()}:
        raise AssociationError("a role for a SOP class without a presentation context")
    return user, contexts


def _read(pdu: bytes, context_type: int) -> tuple[_User, list[tuple[int, int]]]:
    """The user information, and begin and end of every presentation context item."""
    if len(pdu) < _FIXED:
        raise AssociationError("the PDU is too short")
    if not int.from_bytes(pdu[6:8], "big") & 1:
        raise AssociationError("no common protocol version", 2, 2)
    user: _User | None = None
    application: str | None = None
    contexts: list[tuple[int, int]] = []
    for kind, offset, end in _items(pdu, _FIXED, len(pdu)):
        if kind == 0x10 and application is None:
            application = _uid(pdu, offset, end)
        elif kind == context_type:
            contexts.append((offset, end))
        elif kind == 0x50 and user is None:
            user = _user_information(pdu, offset, end)
        else:
            raise AssociationError(f"item 0x{kind:02X} is unknown or repeated")
    if application != APPLICATION_CONTEXT:
        raise AssociationError("another application context", 1, 2)
    if user is None:
        raise AssociationError("no user information")
    return user, contexts


def _items(pdu: bytes, offset: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Type, begin and end of the value of each item."""
    while offset < end:
        if end - offset < 4:
            raise AssociationError("bytes left over after the last item")
        kind, length = _ITEM.unpack_from(pdu, offset)
        offset += 4
        if length > end - offset:
            raise AssociationError("an item is longer than what holds it")
        yield kind, offset, offset + length
        offset += length


def _proposed(pdu: bytes, offset: int, end: int, roles: Mapping[str, tuple[bool, bool]]) -> Context:
    """PS3.8 Table 9-13."""
    if end - offset < 4:
        raise AssociationError("a presentation context is too short")
    number = pdu[offset]
    abstract: list[str] = []
    transfer: list[str] = []
    for kind, begin, stop in _items(pdu, offset + 4, end):
        if kind not in (0x30, 0x40):
            raise AssociationError(f"item 0x{kind:02X} in a presentation context")
        (abstract if kind == 0x30 else transfer).append(_uid(pdu, begin, stop))
    if len(abstract) != 1 or not transfer or not number % 2:
        raise AssociationError("a presentation context is malformed")
    scu, scp = roles.get(abstract[0], _DEFAULT_ROLES)
    return Context(number, abstract[0], proposed=tuple(transfer), scu_role=scu, scp_role=scp)


def _answered(pdu: bytes, offset: int, end: int) -> tuple[int, str | None]:
    """PS3.8 Table 9-18: id, and the transfer syntax where it was accepted (result 0)."""
    if end - offset < 4:
        raise AssociationError("a presentation context is too short")
    if pdu[offset + 2]:
        # §9.3.3.2: the transfer syntax of a context that was not accepted is not significant
        return pdu[offset], None
    transfer = [_uid(pdu, begin, stop) for kind, begin, stop in _items(pdu, offset + 4, end) if kind == 0x40]
    if len(transfer) != 1 or not transfer[0]:
        raise AssociationError("an accepted presentation context has not one transfer syntax")
    return pdu[offset], transfer[0]


def _user_information(pdu: bytes, offset: int, end: int) -> _User:
    """PS3.8 §D.1 and PS3.7 §D.3.3; each item at most once, but roles and extended negotiation once a SOP class."""
    user = _User(roles={})
    seen: dict[object, bytes] = {}
    for kind, begin, stop in _items(pdu, offset, end):
        by_class = kind in (0x54, 0x56, 0x57)
        key = (kind, _sub_uid(pdu, begin, stop)[0]) if by_class else kind
        # DCMTK repeats a role for each context of the SOP class: the same bytes can be read in one way only
        if key in seen and not (by_class and seen[key] == pdu[begin:stop]):
            raise AssociationError(f"item 0x{kind:02X} is repeated")
        seen[key] = pdu[begin:stop]
        _USER_ITEMS.get(kind, _unknown)(user, pdu, begin, stop)
    return user


def _unknown(user: _User, pdu: bytes, begin: int, end: int) -> None:
    # what it negotiates cannot be known, so it cannot be decided
    raise AssociationError("an unknown item of the user information")


def _maximum_length(user: _User, pdu: bytes, begin: int, end: int) -> None:
    _length(begin, end, 4)
    user.max_length = int.from_bytes(pdu[begin:end], "big")


def _class_uid(user: _User, pdu: bytes, begin: int, end: int) -> None:
    user.class_uid = _uid(pdu, begin, end)


def _version_name(user: _User, pdu: bytes, begin: int, end: int) -> None:
    """PS3.7 §D.3.3.2.3: 16 characters at most; a peer that takes it seriously cannot read a longer one."""
    user.version_name = _ascii(pdu[begin:end])
    if len(user.version_name) > 16 or "\\" in user.version_name or not user.version_name.isprintable():
        raise AssociationError("the implementation version name is malformed")


def _window(user: _User, pdu: bytes, begin: int, end: int) -> None:
    """PS3.7 §D.3.3.3."""
    _length(begin, end, 4)
    user.window, user.window_offset = struct.unpack_from(">HH", pdu, begin), begin


def _role(user: _User, pdu: bytes, begin: int, end: int) -> None:
    """PS3.7 §D.3.3.4: 0 or 1; any other value is a role to some readers, none to others, and not readable to pynetdicom."""
    uid, at = _sub_uid(pdu, begin, end)
    _length(at, end, 2)
    if max(pdu[at:end]) > 1:
        raise AssociationError("a role is neither 0 nor 1")
    user.roles[uid] = (bool(pdu[at]), bool(pdu[at + 1]))


def _extended(user: _User, pdu: bytes, begin: int, end: int) -> None:
    uid, at = _sub_uid(pdu, begin, end)
    user.extended += (ExtendedNegotiation(uid, pdu[at:end], at),)


def _common_extended(user: _User, pdu: bytes, begin: int, end: int) -> None:
    """PS3.7 §D.3.3.6: names the service class of a SOP class; nothing here depends on it."""


def _identity(user: _User, pdu: bytes, begin: int, end: int) -> None:
    """PS3.7 §D.3.3.7."""
    if end - begin < 6:
        raise AssociationError("the user identity is too short")
    first = begin + 4 + int.from_bytes(pdu[begin + 2 : begin + 4], "big")
    second = first + 2 + int.from_bytes(pdu[first : first + 2], "big") if first + 2 <= end else -1
    if second != end:
        raise AssociationError("the user identity is malformed")
    user.secret = True
    user.identity = UserIdentity(pdu[begin], pdu[begin + 4 : first], pdu[first + 2 : end], bool(pdu[begin + 1]))


def _identity_response(user: _User, pdu: bytes, begin: int, end: int) -> None:
    """PS3.7 §D.3.3.7.2: the upstream's answer belongs to the client and passes unread."""
    user.secret = True


_USER_ITEMS = {
    0x51: _maximum_length,
    0x52: _class_uid,
    0x53: _window,
    0x54: _role,
    0x55: _version_name,
    0x56: _extended,
    0x57: _common_extended,
    0x58: _identity,
    0x59: _identity_response,
}


def _length(begin: int, end: int, expected: int) -> None:
    if end - begin != expected:
        raise AssociationError("an item of the user information has a wrong length")


def _sub_uid(pdu: bytes, begin: int, end: int) -> tuple[str, int]:
    """A UID with its own length before it, and where it ends."""
    at = begin + 2 + int.from_bytes(pdu[begin : begin + 2], "big")
    if end - begin < 2 or at > end:
        raise AssociationError("a UID is longer than its item")
    return _uid(pdu, begin + 2, at), at


def _uid(pdu: bytes, begin: int, end: int) -> str:
    return _uid_of(pdu[begin:end])


@lru_cache(maxsize=1024)
def _uid_of(value: bytes) -> str:
    text = _ascii(value)
    if len(text) > 64 or not text or text.strip("0123456789."):
        raise AssociationError("no UID where one is needed")
    return text


def _ascii(value: bytes) -> str:
    try:
        return value.decode("ascii").strip(" \0")
    except UnicodeDecodeError:
        raise AssociationError("a character outside ASCII") from None


def _ae_title(pdu: bytes, offset: int) -> str:
    """PS3.8 Table 9-11: 16 characters, the outer spaces not significant. A NUL or backslash is read differently by peers."""
    title = _ascii(pdu[offset : offset + 16])
    if not title or "\\" in title or not title.isprintable():
        raise AssociationError("an AE title is empty or malformed", 1, 3 if offset == 26 else 7)
    return title
