from __future__ import annotations

import pytest

from hirules.facts.disclosed import NOTHING, Disclosed, disclosed
from hirules.policy import load_set


def of(rules: str, action: str = "release", asking: str = "c-get") -> Disclosed:
    return disclosed(load_set({"p.yaml": f"hirules: 1\npolicy: p\nrules:\n{rules}".encode()}).required(), action, asking)


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        ("on: c-get, deny: {}", NOTHING),
        ("on: answer, deny: {}", NOTHING),
        ("on: release, mode: 'off', deny: {}", NOTHING),
        ("on: release, deny: {}", Disclosed(True)),
        ("on: release, mode: shadow, when: {instance.PatientID: A}, deny: {}", Disclosed(True, False, frozenset({"PatientID"}))),
        ("on: release, when: {subject.ae_title: A}, unless: {instance.Modality: CT}, deny: {}", Disclosed(True, False, frozenset({"Modality"}))),
        ("on: release, rewrite: [{set: {instance.StudyID: {path: instance.Modality}}}]", Disclosed(True, names=frozenset({"StudyID", "Modality"}))),
        ('on: release, deny: {reason: "{instance.StudyDate}"}', Disclosed(True, False, frozenset({"StudyDate"}))),
        ("on: release, when: {original.instance.StudyDate: {exists: true}}, deny: {}", Disclosed(True, False, frozenset({"StudyDate"}))),
        ("on: release, when: {instance.PixelData: {exists: true}}, deny: {}", Disclosed(True, True, frozenset({"PixelData"}))),
        ("on: release, when: {instance.Modality: CT}, deny: {respond: no-match}", Disclosed(True, False, frozenset({"Modality"}), hides=True)),
        ("on: release, mode: shadow, deny: {respond: no-match}", Disclosed(True)),
        ("on: release, rewrite: [{remove: 'instance.(60xx,3000)'}]", Disclosed(True)),
        ("on: release, rewrite: [{remove: instance.private}]", Disclosed(True, True)),
        ("on: release, rewrite: [{remove: instance.**.PatientName}]", Disclosed(True, True)),
        ("on: release, rewrite: [{keep_only: {instance: [Modality]}}]", Disclosed(True, True)),
        ("on: release, rewrite: [{remove: 'instance.(0009,\"ACME\",01)'}]", Disclosed(True)),
        ("on: release, when: {request.action: [c-move, n-get], instance.PatientID: A}, deny: {}", NOTHING),
        ("on: release, when: {request.action: [c-move, c-get]}, deny: {}", Disclosed(True)),
        ("on: release, when: {request.action: c-move}, allow: {}", Disclosed(True)),
        ("on: release, when: {any: [{request.action: c-move}, {subject.ae_title: A}]}, deny: {}", Disclosed(True)),
    ],
)  # fmt: skip
def test_what_a_rule_needs(rule: str, needed: Disclosed) -> None:
    assert of(f"  - {{id: r, {rule}}}\n") == needed


def test_exceptions_read_too() -> None:
    rules = "  - {id: r, on: answer, when: {subject.ae_title: A}, deny: {}}\nexceptions:\n"
    one = "  - {id: e, of: [r], when: {instance.PatientID: P}, reason: a study, expires: 2027-01-01T00:00:00Z}\n"
    assert of(rules + one, "answer", "c-find").names == {"PatientID"}
