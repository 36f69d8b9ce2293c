"""The file of users: one line for each, ``user:hash`` or ``user:hash:role,role``; the hash is one of argon2.

    # a comment
    ada:$argon2id$v=19$m=65536,t=3,p=4$…:research,physician

The file is read again when it has changed. While it cannot be read, or has a mistake, the users that were
last read stay: a file that is half written shuts nobody out, and lets nobody in that it did not before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from pathlib import Path

import argon2
import msgspec
from argon2.exceptions import InvalidHashError, VerificationError

from hirules.dimse.watched import Watched
from hirules.model.identity import Identity

log = logging.getLogger("hirules.dimse")

_AT_ONCE = 4
"""Passcodes that are hashed at the same time: each takes the memory that its hash says, 64 MiB as argon2-cffi makes them."""


class _User(msgspec.Struct, frozen=True):
    hash: str
    roles: tuple[str, ...]

    def __repr__(self) -> str:
        return "_User()"


class Users:
    """Thread safe."""

    def __init__(self, path: str) -> None:
        """Raises ``OSError``, and ``ValueError`` with the line of the first mistake."""
        self._hasher = argon2.PasswordHasher()
        # for a name that nobody has: it takes as long as one that somebody has
        self._nobody = _User(self._hasher.hash(b""), ())
        self._room = threading.Semaphore(_AT_ONCE)
        file = Path(path)
        self._users = Watched([file], lambda: read_users(file.read_text(encoding="utf-8")), _told)

    def verify(self, name: bytes, passcode: bytes) -> Identity | None:
        """The user of that name and passcode, ``None`` where there is none."""
        try:
            text = name.decode("utf-8")
        except UnicodeDecodeError:
            return None
        user = self._users.current().get(text)
        with self._room:
            try:
                self._hasher.verify((user or self._nobody).hash, passcode)
            except VerificationError:
                return None
        return Identity(user=text, roles=user.roles) if user is not None else None


def _told(error: OSError | ValueError | None) -> None:
    if error is not None:
        why = str(error) if isinstance(error, ValueError) and not isinstance(error, UnicodeError) else type(error).__name__
        log.error("the changed file of users is not used, the last one still is: %s", why)


def read_users(text: str) -> Mapping[str, _User]:
    """The users of a file by their names. Raises ``ValueError``, which names the line and quotes nothing of it."""
    users: dict[str, _User] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, *rest = line.split(":")
        if not name.strip() or len(rest) not in (1, 2):
            raise ValueError(f"line {number}: expected `user:hash` or `user:hash:role,role`")
        if name in users:
            raise ValueError(f"line {number}: the user is there twice")
        try:
            argon2.extract_parameters(rest[0].strip())
        except InvalidHashError:
            raise ValueError(f"line {number}: the hash is none of argon2") from None
        roles = tuple(role.strip() for role in rest[1].split(",")) if len(rest) == 2 else ()
        if not all(roles):
            raise ValueError(f"line {number}: a role is empty")
        users[name] = _User(rest[0].strip(), roles)
    return users
