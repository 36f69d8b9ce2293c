"""One association of a pynetdicom program that is guarded: whether it is made, and what becomes of its requests.

It goes with pynetdicom's association object, as an attribute of it. ``hirules.dimse.pynetdicom_seam`` calls it.
"""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, NamedTuple
from weakref import WeakSet

import msgspec
from pynetdicom import evt

from hirules.dimse import pynetdicom_seam
from hirules.dimse.asking import Asking, SubjectOf
from hirules.dimse.association import Association, AssociationError, Context, UserIdentity, decode_request
from hirules.dimse.conversation import CANCELLABLE, COUNTS, PENDING, Conversation, Mistake, Outstanding, too_large
from hirules.dimse.handed import BRINGS, Handed
from hirules.dimse.message import C_CANCEL_RQ, C_ECHO_RQ, C_GET_RQ, RESPONSE, Command, CommandError, parse_command
from hirules.dimse.options import Options
from hirules.dimse.outputs import Completed, Message, Refused, Ruling
from hirules.dimse.pdu import A_ASSOCIATE_RQ
from hirules.dimse.pynetdicom_seam import Received
from hirules.dimse.response import response
from hirules.dimse.ruling import REJECTED, Desk, Rejection, decide_association, place_of
from hirules.dimse.tls import read_certificate
from hirules.dimse.translate import SERVICES
from hirules.gate import Gate
from hirules.model.decision import AssociateStatus, Decision
from hirules.model.reading import Unknown
from hirules.model.request import Lookup
from hirules.model.status import PROCESSING_FAILURE

log = logging.getLogger("hirules.dimse")

LookupFor = Callable[[Any], Lookup]
"""``lookup(association)`` gives the look-up for the requests of a pynetdicom association."""

EVENTS: Mapping[str, str] = {f"EVT_{service.action.upper().replace('-', '_')}": service.action for service in SERVICES.values()}
"""The intervention events that are requests, and their actions."""
HANDLERS: WeakSet[Callable[..., Any]] = WeakSet()
"""The handlers that are guarded: what they give is decided."""
_FIELD_OF = {service.action: field for field, service in SERVICES.items()}
_EVENT_OF = {action: getattr(evt, name) for name, action in EVENTS.items()}


class NotDecided(RuntimeError):
    """A guarded handler was called for a request that nobody decided."""


class Choices(msgspec.Struct, frozen=True):
    """What the program chose when it called :func:`guard`."""

    lookup: LookupFor | None = None
    subject: SubjectOf | None = None
    strict_identifier: bool = False
    strict_status: bool = False
    preserve_ae_title_case: bool = False


class Allowed(msgspec.Struct, frozen=True):
    """What goes with a decided request to its handler."""

    action: str
    handed: Handed | None


class _Table(NamedTuple):
    """``requests`` are those that the peer makes, ``stores`` those that it makes for a C-GET of the program."""

    desk: Desk
    requests: Conversation
    stores: Conversation


class Guarded:
    """One association. Its requests are served one after the other, but for an N-EVENT-REPORT, which pynetdicom serves beside them."""

    def __init__(self, association: Any, gate: Gate, choices: Choices) -> None:
        self._association = association
        self._choices = choices
        self._asking = Asking(association, gate, choices.subject)
        self._pdu = b""
        self._agreed: tuple[Association, Options] | None = None
        self._made: _Table | None = None
        self._making = threading.Lock()
        self._decision: Decision | None = None
        self._handed: dict[int, Handed] = {}
        """By message id, of the requests that are being carried out."""
        self.verified = False
        """The program's handler of ``EVT_USER_ID`` verified the user identity."""

    # -- the association --------------------------------------------------------------------------

    def requested(self, pdu: bytes) -> None:
        """The A-ASSOCIATE-RQ, as it came."""
        self._pdu = pdu

    def rejection(self) -> AssociateStatus | None:
        """Why the association is rejected; ``None``: it is accepted."""
        try:
            decision = self._decide_association()
        except AssociationError as error:
            log.info("an association is not made: %s", error)
            return AssociateStatus(1, error.source, error.reason)
        except Exception as error:  # noqa: BLE001 - whatever fails before the decision, there is no association
            log.error("an association could not be decided: %s", place_of(error))
            return REJECTED
        if isinstance(decision, Rejection):
            log.info("an association is not made: %s", decision.why)
            return decision.status
        self._decision = decision
        return None

    def accepted(self) -> None:
        """The A-ASSOCIATE-AC was sent."""
        if self._made is not None and self._decision is not None:
            self._made.desk.complete(Completed(self._decision, {"accepted": True}))

    def _decide_association(self) -> Decision | Rejection:
        pdu, self._pdu = self._pdu, b""  # a passcode may be in it
        requestor = self._association.requestor
        if pdu[:1] != bytes([A_ASSOCIATE_RQ]):
            raise AssociationError("no A-ASSOCIATE-RQ")
        asked = decode_request(pdu, requestor.address, requestor.port)
        contexts = dict(asked.contexts)
        for accepted in self._association.accepted_contexts:
            # the roles are the acceptor's there, and the requestor's here
            contexts[accepted.context_id] = msgspec.structs.replace(
                contexts[accepted.context_id], transfer_syntax=str(accepted.transfer_syntax[0]), scu_role=accepted.as_scp, scp_role=accepted.as_scu
            )
        encrypted = pynetdicom_seam.encrypted(self._association)
        association = msgspec.structs.replace(
            asked, contexts=contexts, accepted=True, transport="dimse+tls" if encrypted is not None else "dimse",
            user_identity=_without_secrets(asked.user_identity), proven={**_certified(encrypted), **self._verified(asked.user_identity)},
        )  # fmt: skip
        self._agreed = association, self._options(asked.called_ae_title, "", "")
        self._table()  # a look-up that cannot be made must show before the association stands
        return decide_association(self._asking, *self._agreed)

    def _verified(self, stated: UserIdentity | None) -> Mapping[str, object]:
        if not self.verified or stated is None or stated.type not in (1, 2):
            return {}
        try:
            return {"user": stated.primary.decode("utf-8")}  # PS3.7 §D.3.3.7
        except UnicodeDecodeError:
            return {"user": Unknown("the user identity is no UTF-8")}

    def _table(self) -> _Table:
        """Where requests are ruled on; made when the association stands."""
        with self._making:
            if self._made is not None:
                return self._made
            if self._agreed is None:
                if self._association.is_acceptor:
                    raise NotDecided("an association that was not decided")
                self._agreed = self._requested_by_us()
            association, options = self._agreed
            lookup = None if self._choices.lookup is None else self._choices.lookup(self._association)
            by_us = not self._association.is_acceptor
            requests, stores = _conversation(association, options, by_us), _conversation(association, options, by_us)
            # PS3.4 §C.4.3: the peer stores what the program asked for by a C-GET on this association
            stores.other.getting = Outstanding(C_GET_RQ, 0, None)
            self._made = _Table(Desk(self._asking, options, association, lookup), requests, stores)
            return self._made

    def _requested_by_us(self) -> tuple[Association, Options]:
        """An association that the program itself asked for: its peer is what the gateway calls the upstream."""
        requestor, acceptor = self._association.requestor, self._association.acceptor
        contexts = {
            accepted.context_id: Context(
                accepted.context_id, str(accepted.abstract_syntax), str(accepted.transfer_syntax[0]), (), bool(accepted.as_scu), bool(accepted.as_scp)
            )
            for accepted in self._association.accepted_contexts
        }
        association = Association(
            requestor.ae_title, acceptor.ae_title, contexts, requestor.address, requestor.port, upstream_ae_title=acceptor.ae_title, accepted=True
        )
        return association, self._options(requestor.ae_title, acceptor.ae_title, acceptor.address)

    def _options(self, ae_title: str, peer: str, host: str) -> Options:
        choices = self._choices
        return Options(
            ae_title=ae_title, upstream_ae_title=peer, upstream_host=host, upstream_port=0, strict_identifier=choices.strict_identifier,
            strict_status=choices.strict_status, preserve_ae_title_case=choices.preserve_ae_title_case, decide_suboperations=True,
            disclosed=self._asking.disclosed,
        )  # fmt: skip

    # -- its requests -----------------------------------------------------------------------------

    def serve(self, received: Received | None, primitive: Any, context: int, carry_out: Callable[[], None], *, retrieving: bool) -> None:
        """Decide, then answer or ``carry_out``."""
        try:
            self._serve(received, primitive, context, carry_out, retrieving)
        except Exception as error:  # noqa: BLE001 - it is pynetdicom's thread: what is raised there would end it without an answer
            log.error("association %s: a request could not be served: %s", self._association.name, place_of(error))
            self._association.abort()

    def _serve(self, received: Received | None, primitive: Any, context: int, carry_out: Callable[[], None], retrieving: bool) -> None:
        table = self._table()
        conversation = table.stores if retrieving else table.requests
        if received is None:
            log.warning("association %s: a response without a request is dropped", self._association.name)
            return
        try:
            command, mistake = parse_command(received.command), None
        except CommandError as error:
            if {"CommandField", "CommandDataSetType", "MessageID"} & error.ambiguous:
                raise
            command, mistake = Command(error.values, received.command), Mistake(error.status, str(error))
        if command.field & RESPONSE or command.field == C_CANCEL_RQ:
            log.warning("association %s: a message that is no request is dropped", self._association.name)
            return
        if "MessageID" not in command.values or "CommandDataSetType" not in command.values or not conversation.usable(context):
            raise NotDecided("a request that cannot be answered")
        message = Message(command, conversation.contexts[context], received.data if command.has_data_set else None, conversation.from_upstream, retrieving)
        mistake = mistake or conversation.mistake(command, context)
        if mistake is None and len(received.data) > conversation.cap(command):
            mistake = too_large(command)
        if mistake is not None:
            table.desk.refused(Refused(message, mistake.status, mistake.why))
            pynetdicom_seam.answer(self._association, primitive, response(command, mistake.status, mistake.why), context)
        elif command.field == C_ECHO_RQ:
            carry_out()
        else:
            self._decide(message, primitive, carry_out, conversation)

    def _decide(self, message: Message, primitive: Any, carry_out: Callable[[], None], conversation: Conversation) -> None:
        desk = self._table().desk
        command, context = message.command, message.context.id
        service = SERVICES[command.field]
        ruling = desk.rule(message if service.held else msgspec.structs.replace(message, data=None))
        if ruling.command is not None:
            ruling = self._rewritten(ruling, message, primitive)
        if ruling.command is None:
            assert ruling.answer is not None
            pynetdicom_seam.answer(self._association, primitive, ruling.answer, context)
            if ruling.decision is not None:
                desk.complete(Completed(ruling.decision, ruling.outcome))
            return
        handed = self._handed.get(command.number)
        pynetdicom_seam.mark(primitive, Allowed(service.action, handed))
        conversation.register(command, context, ruling.decision)
        try:
            carry_out()
        finally:
            finished = conversation.over(command.number)
            assert finished is not None  # INVARIANT: it was registered above, and one thread carries it out
            self._handed.pop(command.number, None)
            if handed is not None:
                finished.told = {**finished.told, **handed.told}
            if ruling.decision is not None:
                desk.complete(Completed(ruling.decision, finished.outcome("" if finished.status is not None else "without a final response")))

    def _rewritten(self, ruling: Ruling, message: Message, primitive: Any) -> Ruling:
        """``ruling`` with the primitive made what it forwards; a refusal where pynetdicom does not take that."""
        assert ruling.command is not None
        service = SERVICES[message.command.field]
        try:
            pynetdicom_seam.rewrite(primitive, message.command.raw, ruling.command)
            if service.data_set is not None and ruling.data is not message.data:
                setattr(primitive, service.data_set, BytesIO(ruling.data or b""))
            if service.action in BRINGS and ruling.decision is not None:
                self._hand_over(message, ruling, ruling.decision)
        except Exception as error:  # noqa: BLE001 - pynetdicom's setters; half of it may have been set, and nobody sees it
            why = "the rewritten request cannot be made"
            log.warning("association %s: %s: %s", self._association.name, why, place_of(error))
            answer = response(message.command, PROCESSING_FAILURE, why)
            return Ruling(decision=ruling.decision, answer=answer, status=PROCESSING_FAILURE, why=why)
        return ruling

    def _hand_over(self, message: Message, ruling: Ruling, decision: Decision) -> None:
        """Get ready to decide what the handler will give. Raises what stands in the way."""
        action = decision.effective.action
        handed = Handed(self._asking, decision, ruling.asked or decision.effective, ruling.added)
        if handed.applies:
            bound = self._association.get_handlers(_EVENT_OF[action])
            if bound[0] not in HANDLERS or ruling.asked is None:
                raise NotDecided("what would be given could not be decided")
        self._handed[message.command.number] = handed

    def responding(self, primitive: Any, context: int) -> None:
        """Make a response say what became of what was handed over."""
        handed = self._handed.get(primitive.MessageIDBeingRespondedTo)
        if handed is None or self._made is None or pynetdicom_seam.FIELDS.get(type(primitive).__name__) != _FIELD_OF[handed.action]:
            return
        try:
            handed.responding(primitive, self._made.requests.contexts[context].transfer_syntax or "")
        except Exception as error:  # noqa: BLE001 - the response goes out, with no list of instances that may be hidden ones
            log.error("association %s: the counts of a response are not those of what left: %s", self._association.name, place_of(error))
            primitive.Identifier = None

    def responded(self, primitive: Any) -> None:
        """Take a response into account."""
        field = pynetdicom_seam.FIELDS.get(type(primitive).__name__)
        number = primitive.MessageIDBeingRespondedTo
        found = () if self._made is None else (self._made.requests.sent.get(number), self._made.stores.sent.get(number))
        request = next((one for one in found if one is not None and one.field == field), None)
        if request is None:
            return
        if primitive.Status in PENDING and field in CANCELLABLE:
            request.matches += 1
            return
        request.status = primitive.Status
        request.counts = {name: value for name in COUNTS if (value := getattr(primitive, name, None)) is not None}
        request.instances = sum(request.counts.get(f"NumberOf{kind}Suboperations", 0) for kind in ("Completed", "Warning"))


def _conversation(association: Association, options: Options, by_us: bool) -> Conversation:
    conversation = Conversation(association, options, from_upstream=by_us)
    conversation.other = Conversation(association, options, from_upstream=not by_us)
    return conversation


def _without_secrets(stated: UserIdentity | None) -> UserIdentity | None:
    """A ticket, an assertion or a token is one as a whole."""
    if stated is None:
        return None
    return msgspec.structs.replace(stated, primary=stated.primary if stated.type in (1, 2) else b"", secondary=b"")


def _certified(encrypted: ssl.SSLSocket | None) -> Mapping[str, object]:
    """What the certificate of a client says, which the program's own context has verified: else the client is not asked for one."""
    der = encrypted.getpeercert(binary_form=True) if encrypted is not None else None
    if der is None:
        return {}
    try:
        certificate = read_certificate(der)
    except ImportError:  # of the extra `tls`
        unread = Unknown("without `cryptography` no certificate can be read")
        return {"tls": dict.fromkeys(("subject", "cn", "san", "fingerprint"), unread)}
    return {"tls": certificate.fields()}
