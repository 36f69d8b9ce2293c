"""Messages as requests and back. The law: reading what `forward` makes gives the effective request."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hirules.dimse import flat, message, translate
from hirules.dimse.association import Association, Context, UserIdentity
from hirules.dimse.identifier import read as read_data_set
from hirules.dimse.identifier import write
from hirules.dimse.message import Command, encode_command, parse_command
from hirules.dimse.options import Options
from hirules.dimse.translate import SERVICES, Refusal, associate_request, forward, request_of, same, title
from hirules.model.actions import ACTIONS
from hirules.model.dataset import DatasetView, dataset_of
from hirules.model.decision import Decision
from hirules.model.reading import Unknown
from hirules.model.request import Request, replaced
from hirules.model.vocabulary import VOCABULARY

OPTIONS = Options(ae_title="GATE", upstream_ae_title="pacs", upstream_host="10.0.0.9", upstream_port=104)
STUDY_FIND, STUDY_MOVE, STUDY_GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))
CONTEXT = Context(1, STUDY_FIND, ExplicitVRLittleEndian)
ASSOCIATION = Association("res_1 ", "Gate", {}, "10.1.2.3", implementation_class_uid="1.2.9")
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def command(field: int, **values: object) -> Command:
    composite = {"AffectedSOPClassUID": STUDY_FIND, "Priority": 0} if field < 0x0100 else {}
    data_set = 0x0101 if field in (message.N_GET_RQ, message.N_DELETE_RQ) else 1
    merged = {"CommandField": field, "MessageID": 1, "CommandDataSetType": data_set, **composite, **values}
    return parse_command(encode_command({name: value for name, value in merged.items() if value is not None}))


def encoded(syntax: str = ExplicitVRLittleEndian, **fields: object) -> bytes:
    return write(dataset_of(fields), syntax)


def translated(command_: Command, data: bytes | None = None, options: Options = OPTIONS, context: Context = CONTEXT, upstream: bool = False) -> Request:
    request = request_of(command_, data, context, ASSOCIATION, upstream, options)
    assert isinstance(request, Request), request
    return request


def refused(command_: Command, data: bytes | None = None, options: Options = OPTIONS, context: Context = CONTEXT) -> Refusal:
    refusal = request_of(command_, data, context, ASSOCIATION, False, options)
    assert isinstance(refusal, Refusal)
    assert len(refusal.comment) <= 64
    return refusal


def allowed(request: Request, **parameters: object) -> Decision:
    """The decision that makes ``request`` have these parameters; ``None`` takes one out."""
    merged = {name: value for name, value in {**request.request, **parameters}.items() if value is not None}
    return Decision("allow", replaced(request, request=merged))


MOVE = command(message.C_MOVE_RQ, AffectedSOPClassUID=STUDY_MOVE, MoveDestination="OLDPACS")
STUDY = encoded(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
FIND = command(message.C_FIND_RQ)


def test_a_move() -> None:
    request = translated(MOVE, STUDY)
    assert request.action == "c-move"
    assert request.subject == {"ae_title": "RES_1", "called_ae_title": "GATE", "address": "10.1.2.3", "implementation_class_uid": "1.2.9"}
    identifier = request.request["Identifier"]
    assert {**request.request, "Identifier": dict(identifier)} == {  # type: ignore[call-overload]
        "AffectedSOPClassUID": STUDY_MOVE,
        "MessageID": 1,
        "Priority": 0,
        "MoveDestination": "OLDPACS",
        "Identifier": {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2.3"},
    }
    assert request.context == {"transport": "dimse"}


def test_every_dimse_action_is_a_service_and_its_parameters_are_in_the_vocabulary() -> None:
    assert {service.action for service in SERVICES.values()} == {action.name for action in ACTIONS if action.service == "dimse"}
    for service in SERVICES.values():
        names = VOCABULARY.names_below("request", service.action)
        data_set = {service.data_set} if service.data_set else set()
        assert {*service.required, *service.optional} | data_set <= names, service.action


def test_the_association() -> None:
    identity = UserIdentity(2, b"jane", b"secret", False)
    request = associate_request(msgspec.structs.replace(ASSOCIATION, user_identity=identity), OPTIONS)
    assert request.action == "associate"
    assert request.subject["stated_user"] == "jane"
    assert "user" not in request.subject
    assert "secret" not in str(request.subject)
    broken = associate_request(msgspec.structs.replace(ASSOCIATION, user_identity=UserIdentity(1, b"\xff", b"", False)), OPTIONS)
    assert isinstance(broken.subject["stated_user"], Unknown)
    token = associate_request(msgspec.structs.replace(ASSOCIATION, user_identity=UserIdentity(5, b"eyJ", b"", False)), OPTIONS)
    assert "stated_user" not in token.subject


def test_what_the_upstream_sends_has_the_upstream_as_its_subject() -> None:
    store = command(message.C_STORE_RQ, AffectedSOPInstanceUID="1.2.4", MoveOriginatorApplicationEntityTitle="res_1", MoveOriginatorMessageID=3)
    request = translated(store, upstream=True)
    assert request.subject == {"ae_title": "PACS", "called_ae_title": "RES_1", "address": "10.0.0.9"}
    assert request.request["MoveOriginatorApplicationEntityTitle"] == "RES_1"
    named = translated(store, options=msgspec.structs.replace(OPTIONS, upstream_host="pacs.example"), upstream=True)
    assert isinstance(named.subject["address"], Unknown)


def test_ae_titles() -> None:
    kept = msgspec.structs.replace(OPTIONS, preserve_ae_title_case=True)
    assert title(" OldPacs ", OPTIONS) == "OLDPACS"
    assert title(" OldPacs ", kept) == "OldPacs"
    lower = command(message.C_MOVE_RQ, AffectedSOPClassUID=STUDY_MOVE, MoveDestination="oldpacs")
    request = translated(lower, STUDY)
    assert request.request["MoveDestination"] == "OLDPACS"
    changed, data = forward(allowed(request), lower, STUDY, CONTEXT, OPTIONS)
    assert changed.values["MoveDestination"] == "OLDPACS"
    assert data is STUDY
    request = translated(lower, STUDY, kept)
    same_one, _ = forward(allowed(request), lower, STUDY, CONTEXT, kept)
    assert same_one is lower


def test_an_attribute_identifier_list() -> None:
    tags = (0x00100010, 0x21100010, 0x00091001, 0x60003000)
    get = command(message.N_GET_RQ, RequestedSOPClassUID="1.2", RequestedSOPInstanceUID="1.3", AttributeIdentifierList=tags)
    request = translated(get)
    assert request.request["AttributeIdentifierList"] == ("PatientName", "PrinterStatus", "(0009,1001)", "(6000,3000)")
    fewer, _ = forward(allowed(request, AttributeIdentifierList=("PrinterStatus", "(0009,1001)")), get, None, CONTEXT, OPTIONS)
    assert fewer.values["AttributeIdentifierList"] == (0x21100010, 0x00091001)
    unchanged, _ = forward(allowed(request), get, None, CONTEXT, OPTIONS)
    assert unchanged is get
    everything = command(message.N_GET_RQ, RequestedSOPClassUID="1.2", RequestedSOPInstanceUID="1.3")
    assert "AttributeIdentifierList" not in translated(everything).request
    added, _ = forward(allowed(translated(everything), AttributeIdentifierList=["PrinterStatus"]), everything, None, CONTEXT, OPTIONS)
    assert added.values["AttributeIdentifierList"] == (0x21100010,)
    nothing: tuple[object, ...] = ([], None)
    for emptied in nothing:
        with pytest.raises(ValueError, match="everything"):
            forward(allowed(request, AttributeIdentifierList=emptied), get, None, CONTEXT, OPTIONS)
    with pytest.raises(ValueError, match="names no attribute"):
        forward(allowed(request, AttributeIdentifierList=["Nonsense"]), get, None, CONTEXT, OPTIONS)


@pytest.mark.parametrize("field", [0x0030, 0x0FFF, 0x0022, 0x8020, 0x0777])
def test_what_is_no_action_is_refused(field: int) -> None:
    refusal = refused(command(field))
    assert refusal.status == 0x0211
    assert refusal.request.subject["ae_title"] == "RES_1"


@pytest.mark.parametrize(
    ("request_command", "data", "status", "offending"),
    [
        (command(message.C_FIND_RQ, Priority=None), STUDY, 0x0212, ()),
        (command(message.C_FIND_RQ, MoveDestination="X"), STUDY, 0x0212, ()),
        (command(message.C_FIND_RQ, AffectedSOPClassUID=None), STUDY, 0x0212, ()),
        (command(message.C_MOVE_RQ, AffectedSOPClassUID=STUDY_MOVE, MoveDestination=""), STUDY, 0xA801, ()),
        (command(message.C_MOVE_RQ, AffectedSOPClassUID=STUDY_MOVE), STUDY, 0xA801, ()),
        (command(message.C_MOVE_RQ, AffectedSOPClassUID=STUDY_MOVE, MoveDestination="    "), STUDY, 0xA801, ()),
        (command(message.C_FIND_RQ, AffectedSOPClassUID=STUDY_GET), STUDY, 0x0122, ()),
        (command(message.C_FIND_RQ, AffectedSOPClassUID=STUDY_MOVE), encoded(StudyInstanceUID="1.2"), 0x0122, ()),
        (FIND, None, 0xA900, ()),
        (FIND, encoded(StudyInstanceUID="1.2"), 0xA900, (0x00080052,)),
        (FIND, STUDY + b"\0", 0xA900, ()),
        (MOVE, encoded(QueryRetrieveLevel="STUDY", StudyInstanceUID=""), 0xA900, (0x0020000D,)),
        (MOVE, encoded(QueryRetrieveLevel="STUDY", PatientID="P1"), 0xA900, (0x0020000D,)),
        (command(message.C_MOVE_RQ, AffectedSOPClassUID="1.2.3", MoveDestination="X"), STUDY, 0x0122, ()),
        (command(message.N_GET_RQ, RequestedSOPClassUID="1.2", RequestedSOPInstanceUID="1.3"), STUDY, 0x0212, ()),
        (command(message.N_SET_RQ, RequestedSOPClassUID="1.2", RequestedSOPInstanceUID="1.3"), b"\0", 0x0110, ()),
        (command(message.N_SET_RQ, RequestedSOPClassUID="1.2", RequestedSOPInstanceUID=""), STUDY, 0x0212, ()),
    ],
)
def test_refusals(request_command: Command, data: bytes | None, status: int, offending: tuple[int, ...]) -> None:
    refusal = refused(request_command, data)
    assert (refusal.status, refusal.offending) == (status, offending)
    assert refusal.request.request["MessageID"] == 1
    assert refusal.request.action == SERVICES[request_command.field].action


def test_a_context_that_was_not_accepted() -> None:
    assert refused(FIND, STUDY, context=Context(1, STUDY_FIND)).status == 0xA900


def test_data_sets_of_n_services() -> None:
    data = encoded(PerformedProcedureStepStatus="COMPLETED")
    update = command(message.N_SET_RQ, RequestedSOPClassUID="1.2", RequestedSOPInstanceUID="1.3")
    request = translated(update, data)
    assert dict(request.request["ModificationList"]) == {"PerformedProcedureStepStatus": "COMPLETED"}  # type: ignore[call-overload]
    assert forward(allowed(request), update, data, CONTEXT, OPTIONS) == (update, data)
    for field, name, more in (
        (message.N_CREATE_RQ, "AttributeList", {"AffectedSOPClassUID": "1.2"}),
        (message.N_ACTION_RQ, "ActionInformation", {"RequestedSOPClassUID": "1.2", "RequestedSOPInstanceUID": "1.3", "ActionTypeID": 1}),
        (message.N_EVENT_REPORT_RQ, "EventInformation", {"AffectedSOPClassUID": "1.2", "AffectedSOPInstanceUID": "1.3", "EventTypeID": 1}),
    ):
        with_data = translated(command(field, **more), data)
        assert name in with_data.request
        without = translated(command(field, **more, CommandDataSetType=0x0101))
        assert name not in without.request


def test_keys_that_a_retrieve_has_not_are_taken_out() -> None:
    data = encoded(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3", PatientID="P1", PatientName="")
    request = translated(MOVE, data)
    assert list(request.request["Identifier"]) == ["QueryRetrieveLevel", "StudyInstanceUID"]  # type: ignore[call-overload]
    assert request.context["removed_keys"] == ("PatientName", "PatientID")
    same_command, forwarded = forward(allowed(request), MOVE, data, CONTEXT, OPTIONS)
    assert same_command is MOVE
    assert forwarded == STUDY
    strict = refused(MOVE, data, msgspec.structs.replace(OPTIONS, strict_identifier=True))
    assert (strict.status, strict.offending) == (0xA900, (0x00100010, 0x00100020))


def test_nothing_changed_is_the_very_bytes() -> None:
    request = translated(MOVE, STUDY)
    unchanged, data = forward(allowed(request), MOVE, STUDY, CONTEXT, OPTIONS)
    assert unchanged is MOVE
    assert data is STUDY
    plain: dict[str, Any] = {**request.request["Identifier"]}  # type: ignore[dict-item]
    unchanged, data = forward(allowed(request, Identifier=plain), MOVE, STUDY, CONTEXT, OPTIONS)
    assert unchanged is MOVE
    assert data is STUDY


def test_a_rewritten_move() -> None:
    request = translated(MOVE, STUDY)
    changed, data = forward(allowed(request, MoveDestination="PACS_MAIN", Priority=2), MOVE, STUDY, CONTEXT, OPTIONS)
    assert data is STUDY
    assert {**changed.values, "CommandGroupLength": 0} == {**MOVE.values, "CommandGroupLength": 0, "MoveDestination": "PACS_MAIN", "Priority": 2}
    assert parse_command(changed.raw) == changed


@pytest.mark.parametrize(
    "parameters",
    [
        {"MoveDestination": "A" * 17},
        {"MoveDestination": "A\\B"},
        {"MoveDestination": "Ä"},
        {"MoveDestination": ""},
        {"MoveDestination": None},
        {"Priority": 70000},
        {"Priority": "high"},
        {"MessageID": 2},
        {"AffectedSOPClassUID": STUDY_GET},
        {"Identifier": None},
        {"Identifier": {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}},
        {"Identifier": {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"}},
        {"Identifier": {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", "PatientID": "P1"}},
        {"Identifier": {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", "NoSuchKeyword": "1"}},
        {"Identifier": {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": Unknown("a reason")}},
    ],
)
def test_a_rewrite_that_the_wire_cannot_carry_is_refused(parameters: dict[str, object]) -> None:
    request = translated(MOVE, STUDY)
    with pytest.raises(ValueError):
        forward(allowed(request, **parameters), MOVE, STUDY, CONTEXT, OPTIONS)


def test_a_decision_about_another_action() -> None:
    with pytest.raises(ValueError, match="another action"):
        forward(allowed(Request("c-get")), MOVE, STUDY, CONTEXT, OPTIONS)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_rewritten_identifier_keeps_the_rest(syntax: str) -> None:
    context = Context(1, STUDY_FIND, syntax)
    item = {"ScheduledStationAETitle": "CT1", "Modality": ""}
    data = encoded(
        syntax, SpecificCharacterSet="ISO_IR 100", QueryRetrieveLevel="STUDY", PatientName="Müller*", PatientID="", StudyDate="20250101-",
        ScheduledProcedureStepSequence=[item],
    )  # fmt: skip
    request = translated(FIND, data, context=context)
    fields: dict[str, Any] = {**request.request["Identifier"]}  # type: ignore[dict-item]
    fields |= {"PatientID": "P1", "StudyDate": date(2025, 1, 2), "ModalitiesInStudy": ["CT", "SR"]}
    fields["ScheduledProcedureStepSequence"] = [{**item, "Modality": "CT"}]
    del fields["QueryRetrieveLevel"]
    fields["QueryRetrieveLevel"] = "SERIES"
    unchanged, rewritten = forward(allowed(request, Identifier=fields), FIND, data, context, OPTIONS)
    assert unchanged is FIND
    assert rewritten is not None
    again = translated(FIND, rewritten, context=context).request["Identifier"]
    assert isinstance(again, DatasetView)
    assert same(again, fields)
    assert again["PatientName"] == "Müller*"
    assert again["StudyDate"] == "20250102"
    assert again["ScheduledProcedureStepSequence"][0]["Modality"] == "CT"  # type: ignore[index]


def test_text_outside_the_character_set_is_refused() -> None:
    data = encoded(QueryRetrieveLevel="STUDY", PatientName="A*")
    request = translated(FIND, data)
    with pytest.raises(ValueError, match="character set"):
        forward(allowed(request, Identifier={"QueryRetrieveLevel": "STUDY", "PatientName": "Ä*"}), FIND, data, CONTEXT, OPTIONS)


_TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="\\"), max_size=10).map(str.strip)
_UIDS = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}", fullmatch=True)
_ITEMS = st.lists(st.fixed_dictionaries({}, optional={"ScheduledStationAETitle": _TEXT, "Modality": _TEXT}), max_size=1)
_FIELDS = st.fixed_dictionaries(
    {"QueryRetrieveLevel": st.sampled_from(["STUDY", "SERIES", "IMAGE"])},
    optional={
        "PatientID": _TEXT,
        "PatientName": _TEXT,
        "AccessionNumber": _TEXT,
        "StudyDate": st.sampled_from(["", "20250101", "20250101-", "-20250101"]),
        "StudyInstanceUID": _UIDS | st.lists(_UIDS, min_size=2, max_size=3) | st.just(""),
        "ModalitiesInStudy": st.lists(st.sampled_from(["CT", "MR"]), min_size=2, max_size=2) | st.just("CT"),
        "SeriesNumber": st.integers(0, 9999),
        "Rows": st.integers(0, 65535),
        '(0011,"ACME 1.0",02)': st.binary(min_size=2, max_size=2),
        "ScheduledProcedureStepSequence": _ITEMS,
    },
)


@given(before=_FIELDS, after=_FIELDS, priority=st.sampled_from([0, 1, 2]), syntax=st.sampled_from(SYNTAXES))
def test_the_law(before: dict[str, object], after: dict[str, object], priority: int, syntax: str) -> None:
    context = Context(1, STUDY_FIND, syntax)
    data = encoded(syntax, **before)
    request = translated(FIND, data, context=context)
    changed, rewritten = forward(allowed(request, Identifier=after, Priority=priority), FIND, data, context, OPTIONS)
    read = translated(parse_command(changed.raw), rewritten, context=context)
    assert rewritten is not None
    assert same(DatasetView(read_data_set(rewritten, syntax)), after)
    assert {**read.request, "Identifier": 0} == {**request.request, "Priority": priority, "Identifier": 0}


@given(destination=st.from_regex(r"[A-Z0-9_]{1,16}", fullmatch=True), uids=st.lists(_UIDS, min_size=1, max_size=3))
def test_the_law_for_a_move(destination: str, uids: list[str]) -> None:
    request = translated(MOVE, STUDY)
    wanted = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uids}
    changed, rewritten = forward(allowed(request, MoveDestination=destination, Identifier=wanted), MOVE, STUDY, CONTEXT, OPTIONS)
    read = translated(parse_command(changed.raw), rewritten)
    assert rewritten is not None
    assert same(DatasetView(read_data_set(rewritten, ExplicitVRLittleEndian)), wanted)
    assert read.request["MoveDestination"] == destination
    assert (rewritten is STUDY) is (uids == ["1.2.3"])


@given(st.binary(max_size=120))
def test_any_identifier_is_a_request_or_a_refusal(data: bytes) -> None:
    result = request_of(MOVE, data, CONTEXT, ASSOCIATION, False, OPTIONS)
    assert isinstance(result, Refusal) or result.request["Identifier"]


def test_a_store_that_a_get_brings_names_what_asked_for_it() -> None:
    stored = command(message.C_STORE_RQ, AffectedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", AffectedSOPInstanceUID="1.2.3")
    brought = request_of(stored, None, CONTEXT, ASSOCIATION, True, OPTIONS, "c-get")
    assert isinstance(brought, Request)
    assert brought.request["action"] == "c-get"
    assert "action" not in translated(stored, upstream=True).request
    changed, _ = forward(Decision("allow", brought), stored, None, CONTEXT, OPTIONS)
    assert changed is stored


def everything(result: Request | Refusal) -> object:
    """All of a translation as plain values, an identifier in the order of its elements."""
    if isinstance(result, Refusal):
        return (result.status, result.comment, result.offending, everything(result.request))
    identifier = result.request.get("Identifier")
    return (msgspec.structs.replace(result, request={**result.request, "Identifier": 0}), repr(dict(identifier)) if isinstance(identifier, Mapping) else None)


@given(_FIELDS, st.sampled_from(SYNTAXES), st.sampled_from([FIND, MOVE]), st.booleans(), st.data())
def test_a_plain_identifier_is_translated_as_any_other(before: dict[str, object], syntax: str, asked: Command, strict: bool, more: st.DataObject) -> None:
    context, options = Context(1, STUDY_FIND, syntax), msgspec.structs.replace(OPTIONS, strict_identifier=strict)
    data = bytearray(encoded(syntax, **before))
    if more.draw(st.booleans()):
        data[more.draw(st.integers(0, len(data) - 1))] = more.draw(st.integers(0, 255))
    found = request_of(asked, bytes(data), context, ASSOCIATION, False, options)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(flat, "read", lambda *_: None)
        assert everything(request_of(asked, bytes(data), context, ASSOCIATION, False, options)) == everything(found)


def test_a_plain_identifier_that_nothing_changed_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hirules.dimse.translate.read", None)
    request = translated(MOVE, STUDY)
    assert type(request.request["Identifier"]) is dict
    assert forward(allowed(request), MOVE, STUDY, CONTEXT, OPTIONS) == (MOVE, STUDY)


def test_a_subject_is_its_requests_own() -> None:
    request = translated(MOVE, STUDY)
    assert translated(MOVE, STUDY).subject is not request.subject


def test_commands_that_are_alike_are_translated_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = msgspec.structs.replace(OPTIONS, preserve_ae_title_case=True)
    seen: list[list[tuple[Request, Request | Refusal, Request]]] = []
    for known in (translate._known, translate._known, {}):
        monkeypatch.setattr(translate, "_known", known)
        seen.append([])
        for destination, number, options in itertools.product(("old_1 ", "OLD_2"), (1, 2, 65535), (OPTIONS, keeping)):
            each = command(message.C_MOVE_RQ, AffectedSOPClassUID=STUDY_MOVE, MoveDestination=destination, MessageID=number)
            asked = request_of(each, STUDY, CONTEXT, ASSOCIATION, True, options, "c-move")
            seen[-1].append((translated(each, STUDY, options), asked, refused(each, None, options).request))
    assert seen[0] == seen[1] == seen[2]
    assert [one[0].request["MessageID"] for one in seen[1][::2]] == [1, 2, 65535] * 2
    assert [one[0].request["MoveDestination"] for one in seen[1][::6]] == ["OLD_1", "OLD_2"]
    assert seen[1][1][0].request["MoveDestination"] == "old_1"
    assert "action" not in seen[1][0][0].request


def test_a_command_that_is_wrong_is_refused_again() -> None:
    wrong = command(message.C_MOVE_RQ, AffectedSOPClassUID=STUDY_MOVE, MoveDestination=" ")
    assert [refused(wrong, STUDY).status for _ in range(2)] == [0xA801, 0xA801]


def test_what_is_known_of_commands_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translate, "_KNOWN", 4)
    for number in range(20):
        for _ in range(2):
            translated(command(message.C_MOVE_RQ, AffectedSOPClassUID=STUDY_MOVE, MoveDestination=f"D{number}"), STUDY)
        assert len(translate._known) <= 4
