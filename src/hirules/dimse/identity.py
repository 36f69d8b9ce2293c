"""Who asks (PS3.7 §D.3.3.7): the user identity of an A-ASSOCIATE-RQ, verified where somebody is there to do it.

type 2, `users`  ─▶ the file of argon2 hashes        ┐
type 5, `tokens` ─▶ signature, issuer, audience, time ├▶ Identity, or IdentityFailed: the association is rejected
any other        ─▶ the plugins                      ┘
nobody to do it  ─▶ None: merely stated; with `required` rejected too
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from hirules.dimse.tokens import TokenFailed, Tokens, TokenSettings
from hirules.model.identity import Identity, StatedIdentity

if TYPE_CHECKING:
    from hirules.dimse.users import Users

NAME_AND_PASSCODE, TOKEN = 2, 5
Ask = Callable[[StatedIdentity], Identity | None]


class IdentitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """User identity."""

    required: Annotated[bool, Meta(description="reject an association without a verified user")] = False
    users: Annotated[
        Annotated[str, Meta(min_length=1)] | None, Meta(description="users and argon2 hashes of their passcodes: `user:hash:role,role`, a line each")
    ] = None
    tokens: Annotated[TokenSettings | None, Meta(description="JSON web tokens")] = None
    forward: Annotated[bool, Meta(description="send the user identity, passcode or token included, on to the upstream")] = False


class IdentityFailed(Exception):
    """The identity is false, or one is required; the text quotes nothing of it."""


class Verifier:
    """Verifies what associations state. Thread safe."""

    def __init__(self, settings: IdentitySettings, plugins: Ask | None = None) -> None:
        """``plugins`` answers ``None`` where none of them is there for it. Raises ``OSError``, ``ValueError``, ``ImportError`` for what cannot be used."""
        self._required, self._plugins = settings.required, plugins
        self._users = _users(settings.users) if settings.users is not None else None
        self._tokens = Tokens(settings.tokens) if settings.tokens is not None else None

    def verify(self, stated: StatedIdentity | None) -> Identity | None:
        """Who it is; ``None``: merely stated, or nobody. Raises :class:`IdentityFailed`."""
        found = self._found(stated) if stated is not None else None
        if found is None and self._required:
            raise IdentityFailed("a verified user is required")
        return found

    def _found(self, stated: StatedIdentity) -> Identity | None:
        if stated.type == NAME_AND_PASSCODE and self._users is not None:
            found = self._users.verify(stated.primary, stated.secondary)
            if found is None:
                raise IdentityFailed("no such user and passcode")
            return found
        if stated.type == TOKEN and self._tokens is not None:
            try:
                return self._tokens.verify(stated.primary)
            except TokenFailed as error:
                raise IdentityFailed(str(error)) from None
        if self._plugins is None:
            return None
        try:
            return self._plugins(stated)
        except Exception as error:
            # whatever it raises, the plugin did not find the identity to be true
            raise IdentityFailed(f"a plugin raised {type(error).__name__}") from error


def _users(path: str) -> Users:
    from hirules.dimse.users import Users  # argon2-cffi, of the extra `identity`

    return Users(path)
