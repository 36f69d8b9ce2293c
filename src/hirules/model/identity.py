"""Who a peer says it is, and who it was found to be (PS3.7 §D.3.3.7)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from hirules.model.reading import Fields

_NONE: Mapping[str, object] = {}


class StatedIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """The user identity of an A-ASSOCIATE-RQ, with where it came from.

    ``type``       1 user name, 2 user name and passcode, 3 Kerberos service ticket, 4 SAML assertion, 5 JSON web token
    ``primary``    the name in UTF-8, the ticket, the assertion or the token
    ``secondary``  the passcode; empty but for type 2
    ``subject``    the peer by the names below ``subject.``: AE titles, address, ``tls`` where its certificate was verified

    The repr shows the type only.
    """

    type: int
    primary: bytes
    secondary: bytes = b""
    subject: Fields = _NONE

    def __repr__(self) -> str:
        return f"StatedIdentity(type={self.type})"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A user who was verified.

    ``roles``, ``claims``  become ``subject.roles`` and ``subject.claims.<name>``: texts, or tuples of texts
    ``response``  what a positive response carries: a server ticket or a SAML response (§D.3.3.7.2)
    """

    user: str
    roles: tuple[str, ...] = ()
    claims: Mapping[str, object] = _NONE
    response: bytes = b""

    def fields(self) -> dict[str, object]:
        """By the names below ``subject.``."""
        return {"user": self.user, "roles": self.roles or None, "claims": dict(self.claims) or None}
