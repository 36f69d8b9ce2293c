"""DIMSE messages as requests, and decided requests as messages again.

    Command, identifier ──request_of──▶ Request (or Refusal)      ──gate──▶ Decision
    Decision, Command, identifier ──forward──▶ Command, identifier

Law: reading what :func:`forward` makes gives ``decision.effective.request``. Where nothing changed it
is the very bytes that came. Whatever cannot be kept true raises ``ValueError``, and the relay refuses.

Parameters have the names of PS3.7 and pynetdicom's primitives. AE titles are canonical: without outer
spaces and in upper case, since peers compare them so; that form is forwarded too (which is no rewrite).
Keys that a retrieve does not have are not in ``request.Identifier``; ``context.removed_keys`` names them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address

import msgspec
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from hirules.dimse import flat
from hirules.dimse.association import Association, Context
from hirules.dimse.identifier import IdentifierError, read, write
from hirules.dimse.message import (
    C_FIND_RQ,
    C_GET_RQ,
    C_MOVE_RQ,
    C_STORE_RQ,
    ELEMENTS,
    N_ACTION_RQ,
    N_CREATE_RQ,
    N_DELETE_RQ,
    N_EVENT_REPORT_RQ,
    N_GET_RQ,
    N_SET_RQ,
    Command,
    encode_command,
    parse_command,
)
from hirules.dimse.options import Options
from hirules.dimse.retrieve import RETRIEVES, check_query, check_retrieve
from hirules.model.dataset import DatasetView, dataset_of, element_of, keyword_of, tag_of
from hirules.model.decision import Decision
from hirules.model.reading import Fields, Unknown
from hirules.model.request import Request, replaced
from hirules.model.scalars import VR_TYPE, Type
from hirules.model.scalars import read as read_scalar
from hirules.model.status import (
    IDENTIFIER_DOES_NOT_MATCH,
    MISTYPED_ARGUMENT,
    PROCESSING_FAILURE,
    SOP_CLASS_NOT_SUPPORTED,
    UNRECOGNIZED_OPERATION,
)

MOVE_DESTINATION_UNKNOWN = 0xA801


class Service(msgspec.Struct, frozen=True):
    """A DIMSE service that is an action: its parameters (PS3.7 §9.1, §10.1), and the name of its data set.

    ``held`` services have their data set read here; that of a C-STORE streams by.
    """

    action: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    data_set: str | None = None
    data_set_required: bool = False
    held: bool = True


_COMPOSITE = ("AffectedSOPClassUID", "MessageID", "Priority")
_AFFECTED = ("AffectedSOPClassUID", "MessageID", "AffectedSOPInstanceUID")
_REQUESTED = ("RequestedSOPClassUID", "MessageID", "RequestedSOPInstanceUID")
_ORIGINATOR = ("MoveOriginatorApplicationEntityTitle", "MoveOriginatorMessageID")

SERVICES: Mapping[int, Service] = {
    C_STORE_RQ: Service("c-store", (*_COMPOSITE, "AffectedSOPInstanceUID"), _ORIGINATOR, held=False),
    C_FIND_RQ: Service("c-find", _COMPOSITE, (), "Identifier", data_set_required=True),
    C_GET_RQ: Service("c-get", _COMPOSITE, (), "Identifier", data_set_required=True),
    C_MOVE_RQ: Service("c-move", (*_COMPOSITE, "MoveDestination"), (), "Identifier", data_set_required=True),
    N_EVENT_REPORT_RQ: Service("n-event-report", (*_AFFECTED, "EventTypeID"), (), "EventInformation"),
    N_GET_RQ: Service("n-get", _REQUESTED, ("AttributeIdentifierList",)),
    N_SET_RQ: Service("n-set", _REQUESTED, (), "ModificationList", data_set_required=True),
    N_ACTION_RQ: Service("n-action", (*_REQUESTED, "ActionTypeID"), (), "ActionInformation"),
    N_CREATE_RQ: Service("n-create", ("AffectedSOPClassUID", "MessageID"), ("AffectedSOPInstanceUID",), "AttributeList"),
    N_DELETE_RQ: Service("n-delete", _REQUESTED),
}
"""By Command Field. C-ECHO and C-CANCEL are no actions; anything else is refused with 0x0211."""

_FRAMING = ("CommandGroupLength", "CommandField", "CommandDataSetType")
_NAMES = {service.action: frozenset({*_FRAMING, *service.required, *service.optional}) for service in SERVICES.values()}
_AE_TITLES = ("MoveDestination", "MoveOriginatorApplicationEntityTitle")
_TAGS = frozenset(keyword for keyword, vr in ELEMENTS.values() if vr == "AT")
_WRITABLE = frozenset({"MoveDestination", "Priority", "AttributeIdentifierList"})


class Refusal(msgspec.Struct, frozen=True):
    """A request that is refused before any rule: what the response says, and the best request for the record."""

    status: int
    comment: str
    """At most 64 characters, without a value of the request."""
    offending: tuple[int, ...]
    request: Request


def title(text: str, options: Options) -> str:
    """An AE title in the form that is decided and forwarded."""
    return _title(text, options.preserve_ae_title_case)


def _title(text: str, keep_case: bool) -> str:
    stripped = text.strip(" \0")
    return stripped if keep_case else stripped.upper()


def associate_request(association: Association, options: Options) -> Request:
    """The request that an A-ASSOCIATE-RQ is."""
    parameters = {"upstream": association.upstream} if association.upstream else {}
    return Request("associate", subject=subject_of(association, options), request=parameters, context=context_of(association))


def context_of(association: Association) -> Fields:
    """What is known of how a request came."""
    return _CONTEXT if association.transport == "dimse" else {"transport": association.transport}


def subject_of(association: Association, options: Options, *, from_upstream: bool = False) -> Fields:
    """Who asks: the client, or the upstream for what it sends over the client's association."""
    keep = options.preserve_ae_title_case
    if from_upstream:
        upstream = association.upstream_ae_title or options.upstream_ae_title
        return dict(_subject(upstream, association.calling_ae_title, options.upstream_host, "", None, keep))
    identity = association.user_identity
    # PS3.7 §D.3.3.7: a user name in UTF-8, for which nobody vouches
    user = identity.primary if identity is not None and identity.type in (1, 2) and "user" not in association.proven else None
    called = association.called_ae_title
    subject = _subject(association.calling_ae_title, called, association.address, association.implementation_class_uid, user, keep)
    return {**subject, **association.proven}


@lru_cache(maxsize=1024)
def _subject(calling: str, called: str, host: str, class_uid: str, user: bytes | None, keep: bool) -> Fields:
    """The same for all messages of an association, and copied for each."""
    subject: dict[str, object] = {"ae_title": _title(calling, keep), "called_ae_title": _title(called, keep), "address": _address(host)}
    if class_uid:
        subject["implementation_class_uid"] = class_uid
    if user is not None:
        try:
            subject["stated_user"] = user.decode("utf-8")
        except UnicodeDecodeError:
            subject["stated_user"] = Unknown("the user identity is no UTF-8")
    return subject


def request_of(
    command: Command,
    identifier: bytes | None,
    context: Context,
    association: Association,
    from_upstream: bool,
    options: Options,
    asking: str | None = None,
) -> Request | Refusal:
    """The request that a message is. ``identifier`` is its data set; a C-STORE's is not read.

    ``asking`` is the action that a sub-operation belongs to: ``request.action`` of its request.
    """
    service = SERVICES.get(command.field)
    subject = subject_of(association, options, from_upstream=from_upstream)
    came = _CONTEXT if from_upstream else context_of(association)
    known = _known.get((command.alike, options.preserve_ae_title_case))
    parameters = _parameters(command, options) if known is None else {**known, "MessageID": command.values["MessageID"]}
    if asking is not None:
        parameters["action"] = asking
    if service is None:
        unknown = Request(f"0x{command.field:04X}", subject=subject, request=parameters, context=came)
        return Refusal(UNRECOGNIZED_OPERATION, "the service is not supported", (), unknown)
    request = Request(service.action, subject=subject, request=parameters, context=came)
    try:
        if known is None:
            _check_parameters(service, command)
            if command.alike and asking is None:
                _remember((command.alike, options.preserve_ae_title_case), dict(parameters))
        if service.data_set is None or not service.held:
            if identifier is not None and service.held:
                raise IdentifierError("the service has no data set", status=MISTYPED_ARGUMENT)
            return request
        if identifier is None:
            if service.data_set_required:
                raise IdentifierError("the data set is missing", status=_identifier_status(service))
            return request
        view, removed = _data_set(service, command.values, identifier, context, options)
    except IdentifierError as error:
        return Refusal(error.status, str(error)[:64], error.tags, request)
    parameters[service.data_set] = view
    return replaced(request, context={**came, "removed_keys": removed}) if removed else request


def forward(decision: Decision, command: Command, identifier: bytes | None, context: Context, options: Options) -> tuple[Command, bytes | None]:
    """The message that carries out ``decision.effective``: the given objects where nothing changed. Raises ``ValueError``, which quotes no value."""
    service = SERVICES.get(command.field)
    if service is None or service.action != decision.effective.action:
        raise ValueError("the decision is about another action")
    effective = decision.effective.request
    new_command = _forward_command(service, command, effective, options)
    if service.data_set is None or not service.held or identifier is None:
        if service.held and service.data_set is not None and effective.get(service.data_set):
            raise ValueError("a data set cannot be added")
        return new_command, identifier
    wanted = effective.get(service.data_set)
    if isinstance(wanted, DatasetView) and wanted.source is identifier:
        return new_command, identifier
    if not isinstance(wanted, Mapping):
        raise ValueError("the data set cannot be removed")
    if type(wanted) is dict and _plain_identifier(service, command.values, identifier, context, options) == (wanted, ()):
        return new_command, identifier
    return new_command, _forward_data_set(service, command, wanted, identifier, context, options)


_CONTEXT: Fields = {"transport": "dimse"}


def _address(host: str) -> object:
    try:
        return str(ip_address(host))
    except ValueError:
        return Unknown("the address is a host name")


_known: dict[tuple[bytes, bool], Fields] = {}
"""The parameters of commands that were found to be right, by what is the same in others like them (``Command.alike``)."""
_KNOWN = 1024


def _remember(like: tuple[bytes, bool], parameters: Fields) -> None:
    if len(_known) >= _KNOWN:
        _known.clear()
    _known[like] = parameters


def _parameters(command: Command, options: Options) -> dict[str, object]:
    """The parameters of the request primitive, canonical."""
    parameters = dict(command.values)
    for name in _FRAMING:
        parameters.pop(name, None)
    for name in _AE_TITLES:
        if (value := parameters.get(name)) is not None:
            parameters[name] = _title(str(value), options.preserve_ae_title_case)
    if not _TAGS.isdisjoint(parameters):
        for name in _TAGS & parameters.keys():
            tags = parameters[name]
            assert isinstance(tags, tuple)  # INVARIANT: `Command.values`
            parameters[name] = tuple(keyword_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in tags)
    return parameters


def _check_parameters(service: Service, command: Command) -> None:
    values = command.values
    if not _NAMES[service.action].issuperset(values):
        raise IdentifierError("the command has a parameter of another service", status=MISTYPED_ARGUMENT)
    for name in service.required:
        value = values.get(name)
        if type(value) is int:
            continue  # as most of them are
        if name == "MoveDestination":
            if not str(value or "").strip(" \0"):
                raise IdentifierError("the move destination is missing", status=MOVE_DESTINATION_UNKNOWN)
        elif value is None or value == "":
            raise IdentifierError(f"the command has no {name}", status=MISTYPED_ARGUMENT)
    if service.action == "c-find" and any(values["AffectedSOPClassUID"] in models for models in RETRIEVES.values()):
        # it has no table of levels, and an archive may go by the command alone
        raise IdentifierError("the SOP class is one of retrieves", status=SOP_CLASS_NOT_SUPPORTED)


def _identifier_status(service: Service) -> int:
    # C-FIND, C-GET and C-MOVE have a status for it (PS3.4 §C.4), N services have none of their own (PS3.7 §10.1)
    return IDENTIFIER_DOES_NOT_MATCH if service.data_set == "Identifier" else PROCESSING_FAILURE


def _data_set(service: Service, values: Mapping[str, object], data: bytes, context: Context, options: Options) -> tuple[Fields, tuple[str, ...]]:
    """The data set as it is decided, and the names of the keys that were taken out. Raises :class:`IdentifierError`."""
    return _plain_identifier(service, values, data, context, options) or _any_data_set(service, values, data, context, options)


def _plain_identifier(service: Service, values: Mapping[str, object], data: bytes, context: Context, options: Options) -> tuple[Fields, tuple[str, ...]] | None:
    """An identifier that can be read in one pass; the rest is for :func:`_any_data_set`, which says the same of it."""
    fields = flat.read(data, context.transfer_syntax) if service.data_set == "Identifier" else None
    return None if fields is None else flat.reach(service.action, values.get("AffectedSOPClassUID"), fields, strict=options.strict_identifier)


def _any_data_set(service: Service, values: Mapping[str, object], data: bytes, context: Context, options: Options) -> tuple[DatasetView, tuple[str, ...]]:
    if context.transfer_syntax is None:
        raise IdentifierError("the presentation context was not accepted", status=_identifier_status(service))
    try:
        dataset = read(data, context.transfer_syntax, keys=service.data_set == "Identifier")
        sop_class = str(values.get("AffectedSOPClassUID", ""))
        if service.action == "c-find":
            check_query(sop_class, dataset)
        elif service.data_set == "Identifier":
            checked = check_retrieve(service.action, sop_class, dataset, strict=options.strict_identifier)
            if checked.removed:
                return DatasetView(checked.dataset), checked.removed
    except IdentifierError as error:
        if error.status == IDENTIFIER_DOES_NOT_MATCH:
            error.status = _identifier_status(service)
        raise
    return DatasetView(dataset, source=data), ()


def _forward_command(service: Service, command: Command, effective: Fields, options: Options) -> Command:
    values = dict(command.values)
    for name in (*service.required, *service.optional):
        value = _wire(name, effective.get(name), options)
        if value == command.values.get(name):
            continue
        if name == "AttributeIdentifierList" and not value:
            raise ValueError("an emptied attribute list would ask for everything")  # PS3.7 §10.1.2.1.6
        if name not in _WRITABLE and name not in _AE_TITLES:
            raise ValueError(f"`request.{name}` cannot be rewritten")
        if value is None:
            del values[name]
        else:
            values[name] = value
    if values == command.values:
        return command
    try:
        changed = parse_command(encode_command(values))
    except (struct.error, UnicodeError):
        raise ValueError("a rewritten parameter cannot be encoded") from None
    expected = {name: value for name, value in values.items() if name != "CommandGroupLength"}
    if {name: value for name, value in changed.values.items() if name != "CommandGroupLength"} != expected:
        raise ValueError("a rewritten parameter cannot be encoded")
    _check_parameters(service, changed)
    return changed


def _wire(name: str, value: object, options: Options) -> object:
    """A parameter as a command set has it."""
    if value is None:
        return None
    if name == "AttributeIdentifierList":
        names = value if isinstance(value, list | tuple) else (value,)
        return tuple(item if isinstance(item, int) else _tag_named(item) for item in names)
    if name in _AE_TITLES:
        return title(str(value), options)
    return read_scalar(Type.UID if name.endswith("UID") else Type.INTEGER, value)


def _tag_named(name: object) -> int:
    try:
        tag = tag_of(str(name)) or tag_of(str(read_scalar(Type.TAG, name)))
    except ValueError:
        tag = None
    if tag is None:
        raise ValueError("`request.AttributeIdentifierList` names no attribute")
    return tag


def _forward_data_set(service: Service, command: Command, wanted: Fields, identifier: bytes, context: Context, options: Options) -> bytes:
    """``identifier`` with what differs from ``wanted`` changed, and nothing else; read again before it leaves."""
    if context.transfer_syntax is None:
        raise ValueError("the presentation context was not accepted")
    keys = service.data_set == "Identifier"
    dataset = read(identifier, context.transfer_syntax, keys=keys)
    if not _merge(dataset, wanted):
        return identifier
    data = write(dataset, context.transfer_syntax)
    view, removed = _any_data_set(service, command.values, data, context, options)
    # INVARIANT: what is forwarded is what was decided; a rewrite that the wire cannot carry is refused
    if removed or not same(view, wanted):
        raise ValueError("the rewritten data set cannot be encoded")
    return data


def _merge(dataset: Dataset, wanted: Fields) -> bool:
    """Make ``dataset`` say what ``wanted`` says, leaving alone what it says already; whether anything changed."""
    view = DatasetView(dataset)
    changed = False
    fields = {name: value for name, value in wanted.items() if value is not None}
    for name, tag in [(name, tag_of(name, dataset)) for name in view]:
        if tag is None or (name not in fields and _is_creator(tag)):
            continue
        if name not in fields:
            del dataset[tag]
            changed = True
            continue
        vr, value = dataset[tag].VR, fields.pop(name)
        if _same_value(vr, view[name], value):
            continue
        changed = True
        items = dataset[tag].value if vr == "SQ" else ()
        if vr == "SQ" and isinstance(value, list | tuple) and len(items) == len(value) and all(isinstance(item, Mapping) for item in value):
            for item, new in zip(items, value, strict=True):
                _merge(item, new)
        else:
            dataset[tag] = element_of(tag, vr, value)
    if fields:
        dataset_of(fields, into=dataset)
    for tag in [tag for tag in dataset.keys() if _is_creator(tag) and f"({tag >> 16:04X},{tag & 0xFFFF:04X})" not in wanted]:  # noqa: SIM118 - iterating decodes
        # PS3.5 §7.8.1: a creator stays as long as its block has elements
        if not any(other >> 8 == (tag >> 16 << 8 | tag & 0xFF) for other in dataset.keys()):  # noqa: SIM118
            del dataset[tag]
            changed = True
    return changed or bool(fields)


def same(view: DatasetView, fields: Fields) -> bool:
    """Whether both say the same, in the sense of canonical scalars; creators of private blocks come along."""
    names = {name for name, value in fields.items() if value is not None}
    extra = set(view) - names
    if names - set(view) or not all(_is_creator(tag_of(name)) for name in extra):
        return False
    return all(_same_value(_vr(name, view.dataset), view[name], fields[name]) for name in names)


def _is_creator(tag: int | None) -> bool:
    return tag is not None and bool(tag >> 16 & 1) and 0x10 <= tag & 0xFFFF <= 0xFF


def _vr(name: str, dataset: Dataset) -> str:
    tag = tag_of(name, dataset)
    if tag is None:
        return "UN"
    return dataset[tag].VR if tag in dataset else dictionary_VR(tag)


def _same_value(vr: str, ours: object, theirs: object) -> bool:
    if vr == "SQ":
        mine, other = _items(ours), _items(theirs)
        return len(mine) == len(other) and all(
            isinstance(one, DatasetView) and isinstance(two, Mapping) and same(one, two) for one, two in zip(mine, other, strict=True)
        )
    return _scalars(vr, ours) == _scalars(vr, theirs)


def _items(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list | tuple) else ()


def _scalars(vr: str, value: object) -> tuple[object, ...]:
    """The values as canonical scalars, or as text where they are none (a wildcard in an IS key)."""
    values = value if isinstance(value, list | tuple) else () if value == "" or value == b"" else (value,)
    type_ = VR_TYPE.get(vr, Type.TEXT)
    found: list[object] = []
    for item in values:
        try:
            found.append(read_scalar(type_, item))
        except ValueError:
            found.append(str(item).strip(" \0"))
    return tuple(found)
