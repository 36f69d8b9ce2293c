"""TLS on every leg (PS3.15 §B, BCP 195 = RFC 9325): what is configured, the contexts, and what a peer's certificate says.

    ServerTls, ClientTls ─▶ Contexts ─each handshake: have the files changed?─▶ SSLContext ─▶ Encrypted ─▶ Certificate

TLS 1.2 with ephemeral keys and AEAD ciphers, or 1.3. No tickets, no compression, no renegotiation: each
association proves itself anew, so a certificate that was revoked or has expired opens no later one.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from hirules.dimse.encrypted import Encrypted
from hirules.dimse.watched import Watched
from hirules.model.reading import Unknown

log = logging.getLogger("hirules.dimse")

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2 (RFC 9325 §4.2); all of TLS 1.3 are AEAD."""
Version = Literal["1.2", "1.3"]
Text = Annotated[str, Meta(min_length=1)]


class ServerTls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards clients."""

    certificate: Annotated[Text, Meta(description="the gateway's certificate and the chain above it, PEM")]
    key: Annotated[Text, Meta(description="its private key, PEM, not encrypted")]
    clients: Annotated[Text | None, Meta(description="PEM of the authorities whose clients may connect; left out: no client certificate is asked for")] = None
    client_certificate: Annotated[
        Literal["required", "optional"], Meta(description="`optional`: a client without one is let in, and `subject.tls` is absent")
    ] = "required"
    revoked: Annotated[Text | None, Meta(description="PEM of the authorities' revocation lists; a list that is missing or too old rejects")] = None
    minimum: Annotated[Version, Meta(description="the oldest version of TLS")] = "1.2"

    @property
    def files(self) -> tuple[str, ...]:
        """What is read, and read again when it changes."""
        return tuple(file for file in (self.certificate, self.key, self.clients, self.revoked) if file is not None)


class ClientTls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """TLS towards an upstream, or a destination of C-MOVEs."""

    authorities: Annotated[Text | None, Meta(description="PEM of the authorities that vouch for the peer; left out: those of the system")] = None
    name: Annotated[Text | None, Meta(description="the name in the peer's certificate; left out: the host of its address")] = None
    certificate: Annotated[Text | None, Meta(description="the gateway's own certificate for it, PEM")] = None
    key: Annotated[Text | None, Meta(description="its private key, PEM, not encrypted")] = None
    minimum: Annotated[Version, Meta(description="the oldest version of TLS")] = "1.2"

    @property
    def files(self) -> tuple[str, ...]:
        """What is read, and read again when it changes."""
        return tuple(file for file in (self.authorities, self.certificate, self.key) if file is not None)


class Certificate(msgspec.Struct, frozen=True):
    """What a verified certificate says of a peer (``subject.tls``)."""

    subject: str
    """RFC 4514."""
    names: tuple[str, ...]
    """The common names; a certificate should have one."""
    san: tuple[str, ...]
    fingerprint: str
    """SHA-256, hex digits in lower case."""
    begins: datetime
    expires: datetime

    def fields(self) -> dict[str, object]:
        """By the names below ``subject.tls.``."""
        cn: object = self.names[0] if len(self.names) == 1 else Unknown("the certificate has several common names") if self.names else None
        return {"subject": self.subject, "cn": cn, "san": self.san or None, "fingerprint": self.fingerprint}


class TlsFailed(ConnectionError):
    """A handshake that came to nothing; the text says why, and is not about a patient."""


class Contexts(Watched[ssl.SSLContext]):
    """The context of one leg, made anew when one of its files has changed."""

    def __init__(self, files: Iterable[str], make: Callable[[], ssl.SSLContext]) -> None:
        """Raises ``OSError`` (``ssl.SSLError`` too) where the files do not make one."""
        super().__init__(files, make, _told)


def _told(error: OSError | ValueError | None) -> None:
    if error is None:
        log.info("the changed files of TLS are used from now on")
    else:
        log.error("the changed files of TLS are not used, the last ones still are: %s", why(error))


def server_contexts(tls: ServerTls) -> Contexts:
    """For the listener. Raises ``OSError`` where a file cannot be read or is none of TLS, :class:`ImportError` without the extra ``tls``."""
    from cryptography import x509  # noqa: F401 - of the extra `tls`: better missed now than at the first handshake

    def make() -> ssl.SSLContext:
        context = _context(ssl.PROTOCOL_TLS_SERVER, tls.minimum)
        context.load_cert_chain(tls.certificate, tls.key, password="")  # else OpenSSL would ask for one
        context.num_tickets = 0
        if tls.clients is not None:
            context.load_verify_locations(tls.clients)
            context.verify_mode = ssl.CERT_REQUIRED if tls.client_certificate == "required" else ssl.CERT_OPTIONAL
        if tls.revoked is not None:
            context.load_verify_locations(tls.revoked)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        return context

    return Contexts(tls.files, make)


def client_contexts(tls: ClientTls) -> Contexts:
    """For an upstream, or a destination. Raises as :func:`server_contexts`."""
    from cryptography import x509  # noqa: F401 - as above

    def make() -> ssl.SSLContext:
        context = _context(ssl.PROTOCOL_TLS_CLIENT, tls.minimum)
        if tls.authorities is None:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        else:
            context.load_verify_locations(tls.authorities)
        if tls.certificate is not None:
            context.load_cert_chain(tls.certificate, tls.key, password="")  # else OpenSSL would ask for one
        return context

    return Contexts(tls.files, make)


def _context(protocol: int, minimum: Version) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if minimum == "1.3" else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def accept(peer: socket.socket, contexts: Contexts, deadline: float) -> tuple[Encrypted, Certificate | None]:
    """The handshake with a client, and its certificate. Raises :class:`TlsFailed`, ``OSError``."""
    return _shake(Encrypted(peer, contexts.current(), server_side=True), deadline)


def connect(peer: socket.socket, contexts: Contexts, name: str, deadline: float) -> tuple[Encrypted, Certificate | None]:
    """The handshake with a peer whose certificate must have ``name``. Raises as :func:`accept`."""
    try:
        return _shake(Encrypted(peer, contexts.current(), server_side=False, name=name), deadline)
    except TlsFailed:
        raise
    except ConnectionError:
        # so does a peer that speaks no TLS
        raise TlsFailed("the peer ended the handshake") from None


def _shake(made: Encrypted, deadline: float) -> tuple[Encrypted, Certificate | None]:
    try:
        made.handshake(deadline)
    except ssl.SSLError as error:
        raise TlsFailed(why(error)) from None
    except TimeoutError:
        raise TlsFailed("no handshake in time") from None
    der = made.certificate
    if der is None:
        return made, None
    try:
        certificate = read_certificate(der)
    except ValueError as error:
        raise TlsFailed("the peer's certificate cannot be read") from error
    if not certificate.begins <= datetime.now(UTC) <= certificate.expires:
        # a session that TLS 1.2 resumes is not verified again
        raise TlsFailed("the peer's certificate is not valid now")
    return made, certificate


def read_certificate(der: bytes) -> Certificate:
    """What the certificate in ``der`` says. Raises ``ValueError``."""
    from cryptography import x509

    read = x509.load_der_x509_certificate(der)
    general: Iterable[x509.GeneralName]
    try:
        general = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        general = ()
    names = tuple(str(each.value) for each in read.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME))
    san = tuple(_general_name(each) for each in general)
    return Certificate(
        read.subject.rfc4514_string(), names, san, hashlib.sha256(der).hexdigest(), read.not_valid_before_utc, read.not_valid_after_utc
    )  # fmt: skip


def _general_name(name: object) -> str:
    value = getattr(name, "value", None)
    text = getattr(value, "rfc4514_string", None)
    return str(text()) if callable(text) else str(value)


def why(error: OSError | ValueError) -> str:
    """What is wrong, for the log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "a failure of TLS").lower().replace("_", " ")
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
