"""JSON web tokens (PS3.7 §D.3.3.7, type 5): verified by the keys of a JSON Web Key Set (RFC 7517), a file or an https URL.

A token is good when one of the pinned algorithms signed it with a key of the set, and issuer, audience and time fit.
There is no ``none`` and no shared secret: the schema of the configuration has neither, and keys of the kind ``oct`` are not read.
"""

from __future__ import annotations

import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hirules.dimse.watched import Watched
from hirules.model.identity import Identity

log = logging.getLogger("hirules.dimse")

Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_FRESH = 300.0
"""Seconds that keys are used before they are asked for again."""
_STALE = 3600.0
"""Seconds that they are used at most, where they cannot be had again."""
_AGAIN = 30.0
"""Seconds between two attempts: a stranger's token with an unknown key must not have the URL asked each time."""
_WAIT = 5.0
_LARGEST = 1024 * 1024


class TokenSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """JSON web tokens as user identity."""

    keys: Annotated[str, Meta(description="the JSON Web Key Set: a file, or an `https:` URL", pattern=r"^(https://[^\s]+|(?![a-zA-Z][a-zA-Z0-9+.-]*://).+)$")]
    issuer: Annotated[str, Meta(description="`iss` of the tokens, exactly", min_length=1)]
    audience: Annotated[str, Meta(description="one of `aud` of the tokens, exactly", min_length=1)]
    algorithms: Annotated[tuple[Algorithm, ...], Meta(description="the signatures that are accepted", min_length=1)] = ("RS256", "ES256")
    user: Annotated[str, Meta(description="the claim that is `subject.user`", min_length=1)] = "sub"
    roles: Annotated[str | None, Meta(description="the claim that is `subject.roles`, a text or a list; dots lead inside: `realm_access.roles`")] = None
    claims: Annotated[tuple[str, ...], Meta(description="the claims that become `subject.claims.<name>`; no others do")] = ()
    leeway: Annotated[float, Meta(description="seconds that clocks may differ", ge=0, le=300)] = 30.0

    @property
    def remote(self) -> bool:
        """The keys are asked for by https."""
        return self.keys.startswith("https://")


class TokenFailed(Exception):
    """A token that is not good; the text quotes nothing of it."""


class Tokens:
    """Verifies tokens. Thread safe."""

    def __init__(self, settings: TokenSettings) -> None:
        """Raises ``OSError`` and ``ValueError`` for a file that is no key set; a URL is asked at the first token."""
        import jwt

        self._jwt, self._settings = jwt, settings
        self._keys = _Remote(settings.keys) if settings.remote else _File(Path(settings.keys))

    def verify(self, token: bytes) -> Identity:
        """Whose token it is. Raises :class:`TokenFailed`."""
        jwt, settings = self._jwt, self._settings
        try:
            header = jwt.get_unverified_header(token)
            algorithm, number = str(header.get("alg")), header.get("kid")
            if algorithm not in settings.algorithms:
                raise TokenFailed("the algorithm is not one of those that are accepted")
            key = jwt.PyJWK(dict(self._key(number, algorithm)), algorithm)
            claims = jwt.decode(
                token, key, algorithms=[algorithm], audience=settings.audience, issuer=settings.issuer, leeway=settings.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            raise TokenFailed(f"the token is not good: {type(error).__name__}") from None
        return self._identity(claims)

    def _key(self, number: object, algorithm: str) -> Mapping[str, Any]:
        """The key that the token names; without a name, the only one that fits."""
        for anew in (False, True):
            fitting = [key for key in self._keys.current(anew=anew) if _fits(key, number, algorithm)]
            if len(fitting) == 1:
                return fitting[0]
            if fitting:
                break
        raise TokenFailed("no key, or several, for the token")

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        settings = self._settings
        user = claims.get(settings.user)
        if not isinstance(user, str) or not user:
            raise TokenFailed("the token names no user")
        roles = _texts(_inside(claims, settings.roles)) if settings.roles is not None else ()
        named = {name: _texts(claims[name]) for name in settings.claims if name in claims}
        return Identity(user=user, roles=roles, claims=named)


def _fits(key: Mapping[str, Any], number: object, algorithm: str) -> bool:
    return (
        key.get("kty") == _KINDS[algorithm[:2]]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (number is None or key.get("kid") == number)
    )


def _inside(claims: Mapping[str, Any], path: str) -> object:
    """The claim of that name, or else the one that the dots lead to."""
    if path in claims:
        return claims[path]
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _texts(value: object) -> tuple[str, ...]:
    """A claim as texts; what is none is not shown as one."""
    items = value if isinstance(value, list) else [value]
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items if isinstance(item, str | bool | int))


def read_keys(data: bytes) -> tuple[Mapping[str, Any], ...]:
    """The keys of a set. Raises ``ValueError``."""
    try:
        found = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError("the key set is no JSON") from error
    keys = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise ValueError("the key set has no list `keys`")
    return tuple(keys)


class _File:
    """Read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._keys = Watched([path], lambda: read_keys(path.read_bytes()), _told)

    def current(self, *, anew: bool) -> tuple[Mapping[str, Any], ...]:
        """The keys; ``anew`` makes no difference, since every change is seen."""
        return self._keys.current()


def _told(error: OSError | ValueError | None) -> None:
    if error is not None:
        log.error("the changed key set is not used, the last one still is: %s", type(error).__name__)


class _Remote:
    """Asked for by https with a deadline, without following redirects, and kept for a while."""

    def __init__(self, url: str) -> None:
        self._url, self._lock = url, threading.Lock()
        self._keys: tuple[Mapping[str, Any], ...] = ()
        self._had = self._tried = float("-inf")
        self._opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler, urllib.request.HTTPSHandler, urllib.request.HTTPErrorProcessor, urllib.request.HTTPDefaultErrorHandler):
            self._opener.add_handler(handler())

    def current(self, *, anew: bool) -> tuple[Mapping[str, Any], ...]:
        """The keys; ``anew``: one that was needed is not among them."""
        with self._lock:
            now = time.monotonic()
            if (anew or now - self._had > _FRESH) and now - self._tried > _AGAIN:
                self._tried = now
                try:
                    self._keys, self._had = self._ask(), now
                except (OSError, ValueError) as error:
                    log.error("the key set could not be had: %s", type(error).__name__)
            return self._keys if now - self._had <= _STALE else ()

    def _ask(self) -> tuple[Mapping[str, Any], ...]:
        with self._opener.open(self._url, timeout=_WAIT) as answer:
            data = answer.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise ValueError("the key set is too large")
        return read_keys(data)
