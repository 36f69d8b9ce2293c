"""All that :func:`hirules.dimse.guard` uses of pynetdicom's private API.

    A-ASSOCIATE-RQ ─▶ dul._decode_pdu        keeps its bytes
                   ─▶ acse.send_accept       asks ``Watch.rejection`` where pynetdicom itself is about to accept
    P-DATA         ─▶ dimse.receive_primitive  keeps the bytes of a request beside the primitive made of them
    request        ─▶ _serve_request, _c_store_scp  ask ``Watch.serve`` before a service class sees it
    response       ─▶ dimse.send_msg         tells ``Watch.responding`` and ``Watch.responded``

They are put on the association object itself, as its own attributes, and go with it. pynetdicom's events
would not do: what an ``EVT_…`` notification raises is only logged, and a C-MOVE cannot be refused from its
handler without a connection to the destination. Private API may change with any release, so the versions
that the tests have run with are listed, and no other is taken.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
import pynetdicom
from pynetdicom import _config, evt
from pynetdicom.dimse_messages import DIMSEMessage

from hirules.dimse.message import (
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    N_ACTION_RQ,
    N_CREATE_RQ,
    N_DELETE_RQ,
    N_EVENT_REPORT_RQ,
    N_GET_RQ,
    N_SET_RQ,
    parse_command,
)
from hirules.model.decision import AssociateStatus

log = logging.getLogger("hirules.dimse")

SUPPORTED = ("3.0.1", "3.0.3", "3.0.4")
"""Those that tests/dimse/test_handlers.py has run with."""

Association = Any
"""pynetdicom's: its attributes are replaced here, which its types do not allow for."""
Primitive = Any

FIELDS = {
    "C_STORE": C_STORE_RQ,
    "C_FIND": C_FIND_RQ,
    "C_GET": C_GET_RQ,
    "C_MOVE": C_MOVE_RQ,
    "N_EVENT_REPORT": N_EVENT_REPORT_RQ,
    "N_GET": N_GET_RQ,
    "N_SET": N_SET_RQ,
    "N_ACTION": N_ACTION_RQ,
    "N_CREATE": N_CREATE_RQ,
    "N_DELETE": N_DELETE_RQ,
}
"""The Command Field of a request by the class of its primitive, which is that of its response too."""

_FRAMING = frozenset({"CommandGroupLength", "CommandField", "CommandDataSetType"})


class UnsupportedVersion(RuntimeError):
    """The installed pynetdicom is none of those that the guard is tested with."""


class Received(msgspec.Struct, frozen=True):
    """The bytes of a request. ``data`` is its data set, empty for a C-STORE, which is not read."""

    command: bytes
    data: bytes

    def __repr__(self) -> str:
        return f"Received({len(self.command)}, {len(self.data)})"


class Watch(Protocol):
    """What decides for one association."""

    def requested(self, pdu: bytes) -> None:
        """The first PDU, as it came."""

    def rejection(self) -> AssociateStatus | None:
        """Why the association, which pynetdicom would accept, is rejected; ``None``: it is accepted. Never raises."""

    def accepted(self) -> None:
        """The A-ASSOCIATE-AC was sent."""

    def serve(self, received: Received | None, primitive: Primitive, context: int, carry_out: Callable[[], None], *, retrieving: bool) -> None:
        """Answer the request, or let pynetdicom carry it out. Never raises. Without ``received`` it is no request."""

    def responding(self, primitive: Primitive, context: int) -> None:
        """A response is about to be sent, and may be changed. Never raises."""

    def responded(self, primitive: Primitive) -> None:
        """It was sent. Never raises."""


def check_version() -> None:
    """Raises :class:`UnsupportedVersion`."""
    if pynetdicom.__version__ not in SUPPORTED:
        raise UnsupportedVersion(f"the guard needs pynetdicom {', '.join(SUPPORTED[:-1])} or {SUPPORTED[-1]}, not {pynetdicom.__version__}")


def log_no_identifiers() -> None:
    """pynetdicom logs identifiers by default: patient data."""
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False


def install(association: Association, watch: Watch) -> None:
    """Put ``watch`` on an association whose connection has just been opened. Raises ``RuntimeError`` where there is one."""
    if watch_of(association) is not None:
        raise RuntimeError("the association is guarded already")
    association._hirules_watch = watch
    if association.is_acceptor:
        _watch_negotiation(association, watch)
    _keep_bytes(association.dimse)
    _watch_requests(association, watch)
    _watch_responses(association.dimse, watch)


def watch_of(association: Association) -> Any:
    """What was installed; ``None`` without."""
    return getattr(association, "_hirules_watch", None)


def mark(primitive: Primitive, decided: object) -> None:
    """The request is allowed; ``decided`` goes with it to its handler."""
    primitive._hirules_decided = decided


def marked(primitive: Primitive) -> Any:
    """What was given to :func:`mark`; ``None`` without."""
    return getattr(primitive, "_hirules_decided", None)


def rewrite(primitive: Primitive, before: bytes, after: bytes) -> None:
    """Make ``primitive``, which came as the command set ``before``, what ``after`` says. Raises what pynetdicom's setters raise."""
    wanted = parse_command(after).values
    for name in {*parse_command(before).values, *wanted} - _FRAMING:
        value = wanted.get(name)
        # also where the bytes are the same: pynetdicom may have read them otherwise
        if (getattr(primitive, name, None) or None) != (value or None):
            setattr(primitive, name, list(value) if isinstance(value, tuple) else value)


def answer(association: Association, primitive: Primitive, command: bytes, context: int) -> None:
    """Send the response that ``command`` is, to the request that ``primitive`` is. It has no data set."""
    response = type(primitive)()
    for name, value in parse_command(command).values.items():
        if name not in _FRAMING:
            setattr(response, name, list(value) if isinstance(value, tuple) else value)
    association.dimse.send_msg(response, context)


def encrypted(association: Association) -> ssl.SSLSocket | None:
    """The connection, where it is one of TLS."""
    found = getattr(association.dul.socket, "socket", None)
    return found if isinstance(found, ssl.SSLSocket) else None


class _Rejected(Exception):
    """Leaves pynetdicom's negotiation before it accepts."""

    def __init__(self, status: AssociateStatus) -> None:
        super().__init__("rejected")
        self.status = status


def _watch_negotiation(association: Association, watch: Watch) -> None:
    acse, dul = association.acse, association.dul
    accept, negotiate = acse.send_accept, acse.negotiate_association

    def decode_pdu(pdu: bytearray) -> Any:
        del dul._decode_pdu  # only the first: data PDUs take pynetdicom's own way again
        watch.requested(bytes(pdu))
        return dul._decode_pdu(pdu)

    def send_accept() -> None:
        status = watch.rejection()
        if status is not None:
            raise _Rejected(status)
        accept()
        watch.accepted()

    def negotiate_association() -> None:
        try:
            negotiate()
        except _Rejected as rejected:
            # as pynetdicom does for its own reasons, ACSE._negotiate_as_acceptor
            acse.send_reject(rejected.status.result, rejected.status.source, rejected.status.reason)
            evt.trigger(association, evt.EVT_REJECTED, {})
            association.kill()

    dul._decode_pdu, acse.send_accept, acse.negotiate_association = decode_pdu, send_accept, negotiate_association


def _keep_bytes(dimse: Any) -> None:
    receive = dimse.receive_primitive

    def receive_primitive(primitive: Any) -> None:
        if dimse.message is None:
            dimse.message = _keeping()
        try:
            receive(primitive)
        except Exception as error:  # noqa: BLE001 - of a command that it cannot read pydicom or pynetdicom raises anything, and its thread would end
            log.warning("a message cannot be read: %s", type(error).__name__)
            dimse.message = None
            dimse.dul.event_queue.put("Evt19")  # as pynetdicom does for other invalid messages: A-ABORT

    dimse.receive_primitive = receive_primitive


def _keeping() -> Any:
    """A message to be received, whose primitive carries its bytes. Its class changes on the way, so it is the object that is changed."""
    message: Any = DIMSEMessage()

    def message_to_primitive() -> Primitive:
        del message.message_to_primitive
        primitive = message.message_to_primitive()
        kind = type(message).__name__
        if kind.endswith("_RQ"):
            stored = kind == "C_STORE_RQ" or message.data_set is None
            primitive._hirules_received = Received(message.encoded_command_set.getvalue(), b"" if stored else message.data_set.getvalue())
        return primitive

    message.message_to_primitive = message_to_primitive
    return message


def _watch_requests(association: Association, watch: Watch) -> None:
    serve, store = association._serve_request, association._c_store_scp

    def serve_request(primitive: Primitive, context: int) -> None:
        if association._sent_release:
            serve(primitive, context)  # which ignores it
        else:
            watch.serve(_received(primitive), primitive, context, lambda: serve(primitive, context), retrieving=False)

    def c_store_scp(primitive: Primitive) -> None:
        watch.serve(_received(primitive), primitive, primitive._context_id, lambda: store(primitive), retrieving=True)

    association._serve_request, association._c_store_scp = serve_request, c_store_scp


def _received(primitive: Primitive) -> Received | None:
    return getattr(primitive, "_hirules_received", None)


def _watch_responses(dimse: Any, watch: Watch) -> None:
    send = dimse.send_msg

    def send_msg(primitive: Primitive, context: int) -> None:
        answers = primitive.MessageIDBeingRespondedTo is not None
        if answers:
            watch.responding(primitive, context)
        send(primitive, context)
        if answers:
            watch.responded(primitive)

    dimse.send_msg = send_msg
