"""What guarded handlers hand over: what of it arrives, how it was changed, and what the peer is told of the rest."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt

from hirules.dimse.handlers import guard
from tests.dimse.guarded import FIND, GET, MOVE, PRINTER, PRINTER_UID, Program, Recorded, client, serving, study
from tests.dimse.peers import ct

NOT_AUTHORIZED = 0x0124
COUNTS = ("NumberOfCompletedSuboperations", "NumberOfFailedSuboperations", "NumberOfWarningSuboperations")


def program() -> Program:
    """With three instances; the second is of the VIP."""
    made = Program()
    made.instances = [ct(number) for number in (1, 2, 3)]
    for instance in made.instances:
        instance.PatientID, instance.PatientName, instance.PatientBirthDate = "P1", "A^B", "19700101"
    made.instances[1].PatientID = "VIP"
    return made


class Received:
    """What a client stores."""

    def __init__(self) -> None:
        self.data_sets: list[Dataset] = []

    def handlers(self) -> list[Any]:
        return [(evt.EVT_C_STORE, self._store)]

    def _store(self, event: Any) -> int:
        self.data_sets.append(event.dataset)
        return 0

    def uids(self) -> list[str]:
        return [str(data_set.SOPInstanceUID) for data_set in self.data_sets]


def retrieved(record: Recorded, made: Program, how: str) -> tuple[Received, list[tuple[Dataset, Dataset | None]]]:
    """The instances that arrived by a C-GET or a C-MOVE, and the responses."""
    received = Received()
    with serving(received.handlers(), "DEST") as port:
        made.destinations["DEST"] = port
        handlers = received.handlers() if how == "c-get" else []
        with serving(guard(made.handlers(), record.gate)) as port, client(port, handlers=handlers) as association:
            answers = list(association.send_c_get(study(), GET) if how == "c-get" else association.send_c_move(study(), "DEST", MOVE))
    return received, answers


BOTH = pytest.mark.parametrize("how", ["c-get", "c-move"])


@BOTH
def test_an_instance_that_is_denied_is_a_failed_sub_operation(how: str, tmp_path: Path) -> None:
    record = Recorded(tmp_path, "\n  - {id: vip, on: release, when: {instance.PatientID: VIP}, deny: {}}\n")
    received, answers = retrieved(record, program(), how)
    assert received.uids() == ["1.2.3.1", "1.2.3.3"]
    final, identifier = answers[-1]
    assert (final.Status, [final[name].value for name in COUNTS]) == (0xB000, [2, 1, 0])
    assert [answer.NumberOfRemainingSuboperations for answer, _ in answers[:-1]] == [2, 1, 0]
    assert identifier is not None
    assert identifier.FailedSOPInstanceUIDList == "1.2.3.2"
    assert [line["decision"] for line in record.decisions("release")] == ["allow", "deny", "allow"]
    assert record.outcome(how)["dropped"] == 1


@BOTH
def test_where_nothing_may_leave_the_retrieve_is_not_authorized(how: str, tmp_path: Path) -> None:
    record = Recorded(tmp_path, "\n  - {id: ct, on: release, when: {instance.SOPClassUID: 1.2.840.10008.5.1.4.1.1.2}, deny: {}}\n")
    received, answers = retrieved(record, program(), how)
    final, identifier = answers[-1]
    assert received.uids() == []
    assert (final.Status, [final[name].value for name in COUNTS]) == (NOT_AUTHORIZED, [0, 3, 0])
    assert identifier is not None
    assert list(identifier.FailedSOPInstanceUIDList) == ["1.2.3.1", "1.2.3.2", "1.2.3.3"]
    assert record.outcome(how)["Status"] == NOT_AUTHORIZED


@BOTH
def test_what_shall_not_be_known_is_not_counted(how: str, tmp_path: Path) -> None:
    record = Recorded(tmp_path, "\n  - {id: vip, on: release, when: {instance.PatientID: VIP}, deny: {respond: no-match}}\n")
    received, answers = retrieved(record, program(), how)
    assert received.uids() == ["1.2.3.1", "1.2.3.3"]
    assert {answer.NumberOfFailedSuboperations for answer, _ in answers} == {0}
    # from the first one on: the total would be less in the end
    assert not [answer for answer, _ in answers if "NumberOfRemainingSuboperations" in answer]
    final, identifier = answers[-1]
    assert (final.Status, [final[name].value for name in COUNTS]) == (0, [2, 0, 0])
    assert not identifier
    assert record.outcome(how)["hidden"] == 1


@BOTH
def test_an_instance_leaves_as_rules_changed_it_and_the_program_keeps_its_own(how: str, tmp_path: Path) -> None:
    changes = '[{remove: instance.PatientBirthDate}, {set: {instance.PatientName: "X^Y"}}]'
    rule = f"\n  - {{id: r, on: release, when: {{subject.ae_title: CLIENT, request.action: {how}}}, rewrite: {changes}}}\n"
    made = program()
    before = copy.deepcopy(made.instances)
    received, answers = retrieved(Recorded(tmp_path, rule), made, how)
    assert answers[-1][0].Status == 0
    for data_set, instance in zip(received.data_sets, before, strict=True):
        assert "PatientBirthDate" not in data_set
        assert (data_set.PatientName, data_set.PatientID, data_set.PixelData) == ("X^Y", instance.PatientID, instance.PixelData)
    assert made.instances == before


def test_an_instance_that_cannot_be_recorded_does_not_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Recorded(tmp_path)
    monkeypatch.setattr(record.gate, "leaves", lambda _decision, uid: uid != "1.2.3.1")
    received, answers = retrieved(record, program(), "c-get")
    assert received.uids() == ["1.2.3.2", "1.2.3.3"]
    assert answers[-1][0].Status == 0xB000


def find(record: Recorded, made: Program, *keys: str, level: str = "IMAGE") -> list[Dataset]:
    identifier = study()
    identifier.QueryRetrieveLevel = level
    for key in keys:
        setattr(identifier, key, None)
    with serving(guard(made.handlers(), record.gate)) as port, client(port) as association:
        *found, (final, _) = association.send_c_find(identifier, FIND)
    assert final.Status == 0
    return [match for _, match in found]


def test_a_query_that_does_not_ask_for_the_patient_still_hides_the_vip(tmp_path: Path) -> None:
    record, made = Recorded(tmp_path, "\n  - {id: vip, on: answer, when: {instance.PatientID: VIP}, deny: {}}\n"), program()
    found = find(record, made, "Modality")
    assert [match.SOPInstanceUID for match in found] == ["1.2.3.1", "1.2.3.3"]
    # the handler was asked for it, and it was taken out again
    assert "PatientID" in made.seen[0][1]
    assert not any("PatientID" in match for match in found)
    assert made.instances[0].PatientID == "P1"
    assert record.outcome("c-find")["matches"] == 2


def test_a_query_is_not_asked_for_what_its_level_does_not_have(tmp_path: Path) -> None:
    """So it stays unknown, and the law decides."""
    record, made = Recorded(tmp_path, "\n  - {id: ct, on: answer, when: {instance.Modality: CT}, deny: {}}\n"), program()
    assert find(record, made, level="STUDY") == []
    assert "Modality" not in made.seen[0][1]


def test_a_match_leaves_as_rules_changed_it(tmp_path: Path) -> None:
    rule = "\n  - {id: names, on: answer, when: {subject.ae_title: CLIENT}, rewrite: [{set: {instance.PatientName: X}}]}\n"
    made = program()
    assert {str(match.PatientName) for match in find(Recorded(tmp_path, rule), made, "PatientName")} == {"X"}
    assert {str(instance.PatientName) for instance in made.instances} == {"A^B"}


@pytest.mark.parametrize(
    ("rule", "status", "names"),
    [
        ("{id: r, on: release, when: {instance.PrinterStatus: NORMAL}, deny: {reason: not now}}", NOT_AUTHORIZED, None),
        ("{id: r, on: release, when: {instance.PrinterStatus: NORMAL}, deny: {respond: no-match}}", 0x0112, None),
        ("{id: r, on: release, when: {instance.PrinterStatus: FAILURE}, deny: {}}", 0, ["PrinterName"]),
    ],
)
def test_an_attribute_list_is_decided_also_by_what_the_client_did_not_ask_for(rule: str, status: int, names: list[str] | None, tmp_path: Path) -> None:
    record, made = Recorded(tmp_path, f"\n  - {rule}\n"), Program()
    with serving(guard(made.handlers(), record.gate)) as port, client(port) as association:
        answer, attributes = association.send_n_get([0x21100030], PRINTER, PRINTER_UID)
    assert answer.Status == status
    assert (None if not attributes else [element.keyword for element in attributes]) == names
    assert record.outcome("n-get")["Status"] == status


def test_a_handler_that_was_bound_behind_the_guard_is_not_asked(tmp_path: Path) -> None:
    """What it hands over could not be decided."""
    made = program()
    rule = "\n  - {id: vip, on: release, when: {instance.PatientID: VIP}, deny: {}}\n"
    late = [(evt.EVT_ESTABLISHED, lambda event: event.assoc.bind(evt.EVT_C_GET, made._get, [made.instances]))]
    for rules, statuses in (((rule,), [0x0110]), ((), [0xFF00, 0xFF00, 0xFF00, 0])):
        record = Recorded(tmp_path / str(len(rules)), *rules)
        with serving(guard([*made.handlers(), *late], record.gate)) as port, client(port, handlers=Received().handlers()) as association:
            assert [answer.Status for answer, _ in association.send_c_get(study(), GET)] == statuses


def test_a_handler_may_end_a_retrieve_itself(tmp_path: Path) -> None:
    """What is no instance passes: a cancel, a failure, a status as a data set."""

    def get(event: Any) -> Iterator[Any]:
        yield 3
        status = Dataset()
        status.Status = 0xFF00
        yield status, ct(1)
        status = Dataset()
        status.Status, status.ErrorComment = 0xA702, "out of paper"
        failed = Dataset()
        failed.FailedSOPInstanceUIDList = ["1.2.3.2", "1.2.3.3"]
        yield status, failed

    record = Recorded(tmp_path, "\n  - {id: vip, on: release, when: {instance.PatientID: VIP}, deny: {}}\n")
    received = Received()
    with serving(guard([(evt.EVT_C_GET, get)], record.gate)) as port, client(port, handlers=received.handlers()) as association:
        answers = list(association.send_c_get(study(), GET))
    assert received.uids() == ["1.2.3.1"]
    assert (answers[-1][0].Status, answers[-1][0].ErrorComment) == (0xA702, "out of paper")
    assert list(answers[-1][1].FailedSOPInstanceUIDList) == ["1.2.3.2", "1.2.3.3"]


def test_each_data_set_meets_the_newest_rules(tmp_path: Path) -> None:
    made = program()
    record = Recorded(tmp_path)
    later = Recorded(tmp_path / "later", "\n  - {id: vip, on: release, when: {instance.PatientID: VIP}, deny: {}}\n")

    def get(event: Any) -> Iterator[Any]:
        yield 3
        yield 0xFF00, made.instances[1]
        record.gate.swap(record.gate.edition(later.gate.policies))
        yield 0xFF00, made.instances[1]
        yield 0xFF00, made.instances[2]

    received = Received()
    with serving(guard([(evt.EVT_C_GET, get)], record.gate)) as port, client(port, handlers=received.handlers()) as association:
        list(association.send_c_get(study(), GET))
    assert received.uids() == ["1.2.3.2", "1.2.3.3"]
