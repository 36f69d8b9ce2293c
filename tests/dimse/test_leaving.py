"""Transcripts of what is decided before it leaves: instances of a C-GET, matches of a C-FIND, answers to an N-GET."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hirules.dimse.association import Context
from hirules.dimse.elements import DEFLATED
from hirules.dimse.flow import Flow
from hirules.dimse.identifier import read, write
from hirules.dimse.message import Command, parse_command
from hirules.dimse.outputs import Abort, Answer, Completed, Decide, Dropped, Forward, Judge, Judged, Ruling
from hirules.dimse.pdu import message_pdus
from hirules.dimse.relay import Relay
from hirules.dimse.ruling import Desk
from hirules.facts.disclosed import disclosed
from hirules.model.dataset import dataset_of
from tests.dimse.leaving import decoded, gate_of
from tests.dimse.wire import CT, FIND, GET, GRAYSCALE_PRINT_META, IMPLICIT, ON, OPTIONS, PRINTER, association, cancel, command, find, get, message, pdvs, reply

RULES = """
  - {id: allow, on: [c-find, c-get, n-get], when: {subject.ae_title: CLIENT}, allow: {}}
  - {id: vip, on: release, when: {instance.PatientID: VIP}, deny: {}}
  - {id: hidden, on: release, when: {instance.PatientID: HIDDEN}, deny: {respond: no-match}}
  - {id: born, on: release, when: {request.action: c-get}, rewrite: [remove: instance.PatientBirthDate]}
"""
PIXELS = bytes(range(256)) * 200
SYNTAXES = [str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian), str(ExplicitVRBigEndian), DEFLATED]


class Driven:
    """A relay with the gate's own desk: what leaves on each side, and what was recorded."""

    def __init__(self, rules: str = RULES, syntax: str = IMPLICIT, **options: Any) -> None:
        self.gate = gate_of(rules)
        self.sides: dict[str, bytearray] = {"client": bytearray(), "upstream": bytearray()}
        self.outcomes: list[tuple[str, Mapping[str, object]]] = []
        self.dropped: list[str] = []
        self.aborted = ""
        self.asked: list[Judge] = []
        made = association()
        made.contexts[ON[CT]] = Context(ON[CT], CT, syntax, scp_role=True)  # type: ignore[index]
        configured = msgspec.structs.replace(OPTIONS, disclosed=lambda action, asking: disclosed(self.gate.policies, action, asking), **options)
        self.relay = Relay(made, configured)
        self.desk = Desk(self.gate, configured, made)

    def client(self, chunks: bytes | Iterable[bytes]) -> bytes:
        return self._feed(self.relay.client, chunks, "upstream", "client")

    def upstream(self, chunks: bytes | Iterable[bytes]) -> bytes:
        return self._feed(self.relay.upstream, chunks, "client", "upstream")

    def _feed(self, flow: Flow, chunks: bytes | Iterable[bytes], ahead: str, back: str) -> bytes:
        """What came out on the other side."""
        before = len(self.sides[ahead])
        for chunk in [chunks] if isinstance(chunks, bytes) else chunks:
            outputs = flow.feed(chunk)
            answer: Ruling | Judged | None = None
            while True:
                try:
                    output = outputs.send(answer)
                except StopIteration:
                    break
                answer = None
                match output:
                    case Forward(pieces):
                        self.sides[ahead] += b"".join(pieces)
                    case Answer(pdus):
                        self.sides[back] += pdus
                    case Decide(asked):
                        answer = self.desk.rule(asked)
                    case Judge():
                        self.asked.append(output)
                        answer = self.desk.judge(output)
                    case Completed(decision, outcome):
                        self.outcomes.append((decision.effective.action, outcome))
                    case Dropped(why):
                        self.dropped.append(why)
                    case Abort(_, why):
                        self.aborted = why
        return bytes(self.sides[ahead][before:])


def messages(pdus: bytes, max_length: int = 16384) -> list[tuple[Command, bytes | None]]:
    """The messages in ``pdus``; each PDU is one PDV of even length that fits."""
    found: list[tuple[Command, bytes | None]] = []
    raw, data, expected = b"", b"", False
    while pdus:
        length = int.from_bytes(pdus[2:6], "big")
        item, control, fragment = int.from_bytes(pdus[6:10], "big"), pdus[11], pdus[12 : 6 + length]
        assert pdus[0] == 4
        assert item + 4 == length <= max_length
        assert len(fragment) % 2 == 0
        pdus = pdus[6 + length :]
        if control & 1:
            assert not expected
            raw += fragment
            if control & 2:
                parsed, raw, data = parse_command(raw), b"", b""
                expected = parsed.has_data_set
                if not expected:
                    found.append((parsed, None))
        else:
            assert expected
            data += fragment
            if control & 2:
                found.append((parsed, data))
                expected = False
    assert not expected
    assert not raw
    return found


def image(patient: str = "P1", number: int = 1, **more: object) -> Dataset:
    fields = {
        "SOPClassUID": CT, "SOPInstanceUID": f"1.2.3.{number}", "PatientID": patient, "PatientBirthDate": "19700102", "PatientName": "A^B",
        "ReferencedStudySequence": [{"ReferencedSOPInstanceUID": "1.2"}, {"ReferencedSOPInstanceUID": "1.3"}],
        '(0009,"ACME",01)': "private", "PixelData": PIXELS, **more,
    }  # fmt: skip
    dataset = dataset_of(fields)
    dataset["PixelData"].VR = "OW"
    return dataset


def stored(data: bytes, number: int = 1, message_id: int = 1, max_length: int = 16384) -> bytes:
    raw = command(0x01, message_id, data=True, Priority=0, AffectedSOPClassUID=CT, AffectedSOPInstanceUID=f"1.2.3.{number}")
    return message(ON[CT], raw, data, max_length)


def cut(stream: bytes, seed: int) -> list[bytes]:
    """Odd pieces, most of them small: in the middle of PDU, PDV and element headers."""
    chance, pieces, at = random.Random(seed), [], 0
    while at < len(stream):
        size = chance.choice([1, 2, 3, 5, 7, 11, 100, 333, 4097])
        pieces.append(stream[at : at + size])
        at += size
    return pieces


def undefined(syntax: str) -> bytes:
    """The image with sequences and items of undefined length."""
    dataset = image()
    dataset["ReferencedStudySequence"].is_undefined_length = True
    for item in dataset.ReferencedStudySequence:
        item.is_undefined_length_sequence_item = True
    return write(dataset, syntax)


# -- C-GET ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("max_length", [100, 1002, 16384])
def test_however_an_instance_comes_the_same_leaves(syntax: str, max_length: int) -> None:
    for seed, data in enumerate((write(image(), syntax), undefined(syntax))):
        driven = Driven(syntax=syntax)
        driven.client(get())
        left = driven.upstream(cut(stored(data, max_length=max_length), seed + max_length))
        ((request, found),) = messages(left)
        assert request.values["AffectedSOPInstanceUID"] == "1.2.3.1"
        assert found is not None
        again = decoded(found, syntax)
        expected = decoded(data, syntax)
        del expected.PatientBirthDate
        assert again == expected
        assert again.PixelData == PIXELS


def test_the_pixels_are_not_waited_for() -> None:
    driven = Driven()
    driven.client(get())
    stream = stored(write(image(PixelData=PIXELS * 40), IMPLICIT))
    half = driven.upstream(stream[: len(stream) // 2])
    assert len(half) > len(stream) // 2 - 20_000
    assert len(driven.asked[0].data) < 1000
    messages(half + driven.upstream(stream[len(stream) // 2 :]))


def test_several_fragments_in_one_pdu() -> None:
    data = write(image(PixelData=bytes(600)), IMPLICIT)
    raw = command(0x01, data=True, Priority=0, AffectedSOPInstanceUID="1.2.3.1")
    packed = pdvs((ON[CT], 3, raw), (ON[CT], 0, data[:10]), (ON[CT], 0, data[10:300])) + pdvs((ON[CT], 0, data[300:500]), (ON[CT], 2, data[500:]))
    driven = Driven()
    driven.client(get())
    ((_, found),) = messages(driven.upstream(packed))
    assert found is not None
    assert decoded(found, IMPLICIT).PixelData == bytes(600)


@pytest.mark.parametrize(("patient", "failed"), [("VIP", 1), ("HIDDEN", 0)])
def test_a_denied_instance_is_swallowed_and_the_counts_are_honest(patient: str, failed: int) -> None:
    driven = Driven()
    driven.client(get())
    left = driven.upstream(cut(stored(write(image(patient), IMPLICIT)) + stored(write(image("P1", 2), IMPLICIT), 2, 2), 7))
    assert [request.values["AffectedSOPInstanceUID"] for request, _ in messages(left)] == ["1.2.3.2"]
    ((answer, _),) = [one for one in messages(bytes(driven.sides["upstream"])) if one[0].field == 0x8001]
    assert (answer.values["Status"], answer.values["MessageIDBeingRespondedTo"]) == (0, 1)
    driven.client(message(ON[CT], reply(0x01, 2, AffectedSOPInstanceUID="1.2.3.2")))
    counts: dict[str, Any] = {"NumberOfCompletedSuboperations": 2, "NumberOfFailedSuboperations": 0, "NumberOfWarningSuboperations": 0}
    pending = message(ON[GET], reply(0x10, status=0xFF00, NumberOfRemainingSuboperations=0, **counts))
    ((told, _),) = messages(driven.upstream(pending))
    assert (told.values["NumberOfCompletedSuboperations"], told.values["NumberOfFailedSuboperations"]) == (1, failed)
    # a second one that says the same would count what is hidden
    assert bool(messages(driven.upstream(pending))) == bool(failed)
    ((final, data),) = messages(driven.upstream(message(ON[GET], reply(0x10, **counts))))
    assert (final.values["NumberOfCompletedSuboperations"], final.values["NumberOfFailedSuboperations"]) == (1, failed)
    assert final.values["Status"] == (0xB000 if failed else 0)
    assert (data is not None) == bool(failed)
    if data is not None:
        assert read(data, IMPLICIT).FailedSOPInstanceUIDList == "1.2.3.1"
    action, outcome = driven.outcomes[-1]
    assert action == "c-get"
    assert outcome["instances"] == 1
    assert outcome["NumberOfCompletedSuboperations"] == 1
    assert outcome["dropped" if failed else "hidden"] == 1


def test_the_upstreams_own_failures_stay() -> None:
    driven = Driven()
    driven.client(get())
    driven.upstream(stored(write(image("VIP"), IMPLICIT)))
    counts: dict[str, Any] = {"NumberOfCompletedSuboperations": 2, "NumberOfFailedSuboperations": 1, "NumberOfWarningSuboperations": 0}
    own = write(dataset_of({"FailedSOPInstanceUIDList": "1.2.3.9"}), IMPLICIT)
    ((final, data),) = messages(driven.upstream(cut(message(ON[GET], reply(0x10, status=0xB000, data=True, **counts), own), 3)))
    assert [final.values[f"NumberOf{kind}Suboperations"] for kind in ("Completed", "Failed")] == [1, 2]
    assert data is not None
    assert list(read(data, IMPLICIT).FailedSOPInstanceUIDList) == ["1.2.3.9", "1.2.3.1"]


@pytest.mark.parametrize(("patient", "status"), [("VIP", 0x0124), ("HIDDEN", 0)])
def test_nothing_could_be_delivered(patient: str, status: int) -> None:
    driven = Driven()
    driven.client(get())
    driven.upstream(stored(write(image(patient), IMPLICIT)))
    counts: dict[str, Any] = {"NumberOfCompletedSuboperations": 1, "NumberOfFailedSuboperations": 0, "NumberOfWarningSuboperations": 0}
    ((final, data),) = messages(driven.upstream(message(ON[GET], reply(0x10, **counts))))
    assert final.values["Status"] == status
    assert (data is None) == (status == 0)


def test_a_cancel_passes_and_its_counts_are_honest() -> None:
    driven = Driven()
    driven.client(get())
    half = stored(write(image("VIP"), IMPLICIT))
    driven.upstream(half[:200])
    assert messages(driven.client(cancel(1, ON[GET])))[0][0].field == 0x0FFF
    driven.upstream(half[200:])
    counts: dict[str, Any] = {
        "NumberOfRemainingSuboperations": 4,
        "NumberOfCompletedSuboperations": 1,
        "NumberOfFailedSuboperations": 0,
        "NumberOfWarningSuboperations": 0,
    }
    ((final, _),) = messages(driven.upstream(message(ON[GET], reply(0x10, status=0xFE00, **counts))))
    values = final.values
    assert [values["Status"], values["NumberOfRemainingSuboperations"]] == [0xFE00, 4]
    assert [values["NumberOfCompletedSuboperations"], values["NumberOfFailedSuboperations"]] == [0, 1]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_malformed_does_not_leave(syntax: str) -> None:
    whole = write(image(), syntax)
    twice = write(dataset_of({"PatientID": "P1"}), syntax) + write(dataset_of({"PatientID": "VIP"}), syntax)
    for data in (whole[:51], b"\xff" * 100, twice):
        driven = Driven(syntax=syntax)
        driven.client(get())
        assert driven.upstream(cut(stored(data), 1)) == b""
        answers = [one for one, _ in messages(bytes(driven.sides["upstream"])) if one.field == 0x8001]
        assert [answer.values["Status"] for answer in answers] == [0]
        assert not driven.aborted


def test_a_header_above_the_limit_does_not_leave() -> None:
    driven = Driven(data_set_size=400)
    driven.client(get())
    assert driven.upstream(cut(stored(write(image(PatientComments="x" * 2000), IMPLICIT)), 5)) == b""
    assert driven.upstream(stored(write(image(number=2), IMPLICIT), 2, 2)) != b""


def test_without_a_rule_for_it_an_instance_is_cut_through() -> None:
    other = "  - {id: n, on: release, when: {request.action: n-get}, deny: {}}\n"
    driven = Driven("  - {id: allow, on: [c-get], when: {subject.ae_title: CLIENT}, allow: {}}\n" + other)
    driven.client(get())
    stream = stored(b"\xff" * 1000)
    assert driven.upstream(stream) == stream
    assert not driven.asked


def test_a_rule_for_every_element_waits_for_all() -> None:
    driven = Driven(RULES + "  - {id: private, on: release, rewrite: [remove: instance.private]}\n")
    driven.client(get())
    data = write(image(), IMPLICIT)
    stream = stored(data)
    assert driven.upstream(stream[:-2]) == b""
    ((_, found),) = messages(driven.upstream(stream[-2:]))
    assert found is not None
    assert not [element for element in decoded(found, IMPLICIT) if element.tag.is_private]


def test_a_data_set_that_is_interrupted_is_not_carried_out() -> None:
    driven = Driven()
    driven.client(get())
    first = stored(write(image(), IMPLICIT))[:300]
    raw = command(0x01, data=True, Priority=0, AffectedSOPInstanceUID="1.2.3.1")
    begun = message_pdus(ON[CT], raw, None, 16384) + pdvs((ON[CT], 0, first[:0] + b"\x08\x00"))
    assert driven.upstream(begun + message_pdus(ON[CT], command(0x01, 2, data=True, Priority=0, AffectedSOPInstanceUID="1.2.3.2"), None, 16384)) == b""
    assert not driven.asked


def test_rules_for_c_store_and_for_release_must_both_permit() -> None:
    rules = RULES + '  - {id: not-two, on: c-store, when: {request.AffectedSOPInstanceUID: "1.2.3.2"}, deny: {}}\n'
    driven = Driven(rules, decide_suboperations=True)
    driven.client(get())
    for number, patient in ((1, "P1"), (2, "P1"), (3, "VIP")):
        driven.upstream(stored(write(image(patient, number), IMPLICIT), number, number))
    assert [request.values["AffectedSOPInstanceUID"] for request, _ in messages(bytes(driven.sides["client"]))] == ["1.2.3.1"]
    answers = [(one.values["MessageIDBeingRespondedTo"], one.values["Status"]) for one, _ in messages(bytes(driven.sides["upstream"])) if one.field == 0x8001]
    assert answers == [(2, 0x0124), (3, 0)]
    driven.client(message(ON[CT], reply(0x01, 1, AffectedSOPInstanceUID="1.2.3.1")))
    assert [action for action, outcome in driven.outcomes if outcome.get("Status") == 0] == ["c-store", "c-store", "release"]


def test_a_release_is_decided_at_the_time_of_its_request_and_knows_what_asked() -> None:
    seen = []

    class Listening(Desk):
        def judge(self, judge: Judge) -> Judged:
            found = super().judge(judge)
            seen.append((judge.decision, found.decision))
            return found

    asked = "{original.request.Priority: 0, request.Identifier.QueryRetrieveLevel: STUDY}"
    driven = Driven(RULES + f"  - {{id: urgent, on: release, when: {asked}, audit: {{note: seen}}}}\n")
    driven.desk.__class__ = Listening
    driven.client(get())
    driven.upstream(stored(write(image(), IMPLICIT)))
    ((retrieve, release),) = seen
    assert release is not None
    assert release.effective.context["now"] == retrieve.effective.context["now"]
    assert release.effective.request["action"] == "c-get"
    assert [note.note for note in release.notes] == ["seen"]
    assert release.id != retrieve.id


# -- C-FIND ---------------------------------------------------------------------------------------

ANSWERS = """
  - {id: allow, on: [c-find, n-get], when: {subject.ae_title: CLIENT}, allow: {}}
  - {id: vip, on: answer, when: {instance.PatientID: VIP}, deny: {}}
  - {id: adults, on: answer, when: {instance.PatientBirthDate: {newer_than: 18y}}, deny: {}}
  - {id: text, on: answer, when: {instance.StudyDescription: {exists: true}}, rewrite: [{set: {instance.StudyDescription: "-"}}]}
"""


def match(**fields: object) -> bytes:
    data = write(dataset_of({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", **fields}), IMPLICIT)
    return message(ON[FIND], reply(0x20, status=0xFF00, data=True), data)


def test_what_only_rules_ask_for_is_asked_for_and_taken_out() -> None:
    driven = Driven(ANSWERS)
    ((request, asked),) = messages(driven.client(find()))
    assert request.field == 0x20
    assert asked is not None
    keys = read(asked, IMPLICIT)
    assert [keys[name].value for name in ("PatientID", "PatientBirthDate", "StudyDescription")] == ["", "", ""]
    full = {"PatientBirthDate": "19700101", "StudyDescription": "a secret", "PatientID": "P1"}
    ((_, data),) = messages(driven.upstream(cut(match(**full), 1)))
    assert data is not None
    assert sorted(element.keyword for element in read(data, IMPLICIT)) == ["QueryRetrieveLevel", "StudyInstanceUID"]
    assert driven.upstream(match(**{**full, "PatientID": "VIP"})) == b""
    # what the archive does not tell is unknown, and an unknown deny matches: zero-length of a key that it need not keep, or nothing
    assert driven.upstream(match(**{**full, "PatientBirthDate": ""})) == b""
    assert driven.upstream(match(PatientBirthDate="19700101", StudyDescription="")) == b""
    driven.upstream(message(ON[FIND], reply(0x20)))
    assert ("c-find", {"Status": 0, "matches": 1, "withheld": 3}) in driven.outcomes
    assert [action for action, _ in driven.outcomes].count("answer") == 4


def test_what_was_asked_for_and_is_rewritten_leaves_rewritten() -> None:
    driven = Driven(ANSWERS)
    identifier = write(dataset_of({"QueryRetrieveLevel": "STUDY", "StudyDescription": "", "StudyInstanceUID": ""}), IMPLICIT)
    driven.client(find(identifier=identifier))
    ((_, data),) = messages(driven.upstream(match(PatientBirthDate="19700101", StudyDescription="a secret", PatientID="P1")))
    assert data is not None
    left = read(data, IMPLICIT)
    assert left.StudyDescription == "-"
    assert "PatientID" not in left


def test_keys_below_the_level_are_not_asked_for_and_unknown() -> None:
    rules = ANSWERS.replace("instance.PatientID: VIP", "instance.SeriesDescription: VIP")
    driven = Driven(rules)
    ((_, asked),) = messages(driven.client(find()))
    assert asked is not None
    assert "SeriesDescription" not in read(asked, IMPLICIT)
    assert driven.upstream(match(PatientBirthDate="19700101", StudyDescription="x")) == b""


def test_without_a_rule_matches_are_cut_through() -> None:
    driven = Driven("  - {id: allow, on: [c-find], when: {subject.ae_title: CLIENT}, allow: {}}\n")
    assert driven.client(find()) == find()
    stream = match(PatientID="P1") * 3
    assert driven.upstream(stream) == stream
    assert not driven.asked


def test_a_malformed_match_and_one_above_the_limit_do_not_leave() -> None:
    driven = Driven(ANSWERS, data_set_size=500)
    driven.client(find())
    assert driven.upstream(message(ON[FIND], reply(0x20, status=0xFF00, data=True), b"\xff" * 30)) == b""
    assert driven.upstream(match(PatientBirthDate="19700101", StudyDescription="x" * 600, PatientID="P1")) == b""
    assert driven.dropped == ["the data set of a response is above the limit"]
    assert driven.upstream(message(ON[FIND], reply(0x20))) != b""


# -- N-GET ----------------------------------------------------------------------------------------

PRINTERS = """
  - {id: allow, on: n-get, when: {subject.ae_title: CLIENT}, allow: {}}
  - {id: failing, on: release, when: {instance.PrinterStatus: FAILURE}, deny: {}}
  - {id: hidden, on: release, when: {instance.PrinterStatus: WARNING}, deny: {respond: no-match}}
  - {id: named, on: release, when: {instance.PrinterName: {exists: true}}, rewrite: [{set: {instance.PrinterName: X}}]}
"""
PRINTER_NAME, STATUS = 0x21100030, 0x21100010


def n_get(*tags: int) -> bytes:
    values: dict[str, Any] = {"AttributeIdentifierList": tags} if tags else {}
    raw = command(0x110, RequestedSOPClassUID=PRINTER, RequestedSOPInstanceUID="1.2.840.10008.5.1.1.17", **values)
    return message(ON[GRAYSCALE_PRINT_META], raw)


def answer(**fields: object) -> bytes:
    raw = reply(0x110, data=True, AffectedSOPClassUID=PRINTER, AffectedSOPInstanceUID="1.2.840.10008.5.1.1.17")
    return message(ON[GRAYSCALE_PRINT_META], raw, write(dataset_of(fields), IMPLICIT))


def test_an_attribute_list_is_decided_and_stripped() -> None:
    driven = Driven(PRINTERS)
    ((request, _),) = messages(driven.client(n_get(PRINTER_NAME)))
    assert request.values["AttributeIdentifierList"] == (PRINTER_NAME, STATUS)
    ((told, data),) = messages(driven.upstream(cut(answer(PrinterStatus="NORMAL", PrinterName="secret"), 2)))
    assert told.values["Status"] == 0
    assert data is not None
    left = read(data, IMPLICIT, keys=False)
    assert [element.keyword for element in left] == ["PrinterName"]
    assert left.PrinterName == "X"
    assert {action for action, _ in driven.outcomes} == {"n-get", "release"}


@pytest.mark.parametrize(("status", "said"), [("FAILURE", 0x0124), ("WARNING", 0x0112)])
def test_a_denied_attribute_list_is_an_answer_without_one(status: str, said: int) -> None:
    driven = Driven(PRINTERS)
    assert messages(driven.client(n_get()))[0][0].values.get("AttributeIdentifierList") is None
    ((told, data),) = messages(driven.upstream(answer(PrinterStatus=status, PrinterName="secret")))
    assert (told.values["Status"], data) == (said, None)
    assert b"secret" not in driven.sides["client"]
    assert next(outcome for action, outcome in driven.outcomes if action == "n-get")["Status"] == said
