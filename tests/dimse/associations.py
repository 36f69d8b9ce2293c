"""A-ASSOCIATE-RQ and -AC PDUs for tests, written by pynetdicom."""

from __future__ import annotations

from typing import Any

from pynetdicom import build_context, build_role
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

FIND, GET = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.3"
CT = "1.2.840.10008.5.1.4.1.1.2"
PRIVATE = "1.2.826.0.1.3680043.9.9999.1"
SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]


def extended(uid: str, information: bytes) -> SOPClassExtendedNegotiation:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid, item.service_class_application_information = uid, information
    return item


def window(invoked: int, performed: int) -> AsynchronousOperationsWindowNegotiation:
    item = AsynchronousOperationsWindowNegotiation()
    item.maximum_number_operations_invoked, item.maximum_number_operations_performed = invoked, performed
    return item


def identity(kind: int, primary: bytes, secondary: bytes = b"") -> UserIdentityNegotiation:
    item = UserIdentityNegotiation()
    item.user_identity_type, item.primary_field, item.secondary_field = kind, primary, secondary
    return item


def _user(*more: Any) -> list[Any]:
    length, uid, version = MaximumLengthNotification(), ImplementationClassUIDNotification(), ImplementationVersionNameNotification()
    length.maximum_length_received = 32768
    uid.implementation_class_uid = "1.2.3.4"
    version.implementation_version_name = "TEST_1"
    return [length, uid, version, *more]


def request(*more: Any, calling: str = "client", called: str = "GATE", contexts: list[str] | None = None) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    proposed = []
    for index, uid in enumerate(contexts or [FIND, GET, CT]):
        context = build_context(uid, SYNTAXES)
        context.context_id = 2 * index + 1
        proposed.append(context)
    primitive.presentation_context_definition_list = proposed
    primitive.user_information = _user(build_role(CT, scu_role=True, scp_role=True), *more) if contexts is None else _user(*more)
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


def acceptance(rejected: tuple[int, ...] = (), *more: Any) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "client", "PACS"
    primitive.result, primitive.result_source = 0, 1
    results = []
    for index, uid in enumerate([FIND, GET, CT]):
        context = build_context(uid, SYNTAXES[:1])
        context.context_id = 2 * index + 1
        context.result = 3 if context.context_id in rejected else 0
        results.append(context)
    primitive.presentation_context_definition_results_list = results
    primitive.user_information = _user(build_role(CT, scu_role=False, scp_role=True), *more)
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())
