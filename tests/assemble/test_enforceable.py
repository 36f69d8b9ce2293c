from __future__ import annotations

import pytest

from hirules.assemble.enforceable import not_enforceable
from hirules.policy import load_set


def _findings(rule: str) -> list[str]:
    text = f"hirules: 1\npolicy: p\nrules:\n  - {rule}\n"
    loaded = load_set({"p.yaml": text.encode()})
    return [f"{found.line}:{found.column} {found.message}" for found in not_enforceable(loaded.required())]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{id: r, on: n-create, when: {resource.PatientID: A}, deny: {}}", "`resource.PatientID` for `n-create`"),
        (
            "{id: r, on: [c-get, n-event-report], mode: shadow, when: {all: [{not: {resource.count: {gt: 3}}}]}, deny: {}}",
            "`resource.count` for `n-event-report`",
        ),
        ("{id: r, on: n-create, unless: {subject.ae_title: {equals: {path: resource.PatientID}}}, deny: {}}", "`resource.PatientID`"),
        ('{id: r, on: n-create, deny: {reason: "{resource.PatientID}"}}', "`resource.PatientID`"),
        ("{id: r, on: n-event-report, audit: {include: [resource.StudyDate]}}", "`resource.StudyDate`"),
        ("{id: r, on: c-store, when: {instance.PatientID: A}, deny: {}}", "`instance.PatientID` for `c-store`"),
        ("{id: r, on: c-store, when: {subject.ae_title: A}, rewrite: [{remove: instance.PatientName}]}", "`instance.PatientName`"),
        ("{id: r, on: c-store, when: {original.instance.PatientID: A}, deny: {}}", "`original.instance.PatientID`"),
    ],
)
def test_what_the_gateway_cannot_enforce_is_named(rule: str, said: str) -> None:
    found = _findings(rule)
    assert found
    assert found[0].startswith("4:")
    assert "the gateway cannot enforce `p/r`" in found[0]
    assert said in found[0]


@pytest.mark.parametrize(
    "rule",
    [
        "{id: r, on: c-move, when: {request.MoveDestination: A}, deny: {}}",
        "{id: r, on: associate, when: {subject.ae_title: A}, deny: {}}",
        "{id: r, on: update-image-set-metadata, when: {resource.imageSetState: LOCKED}, deny: {}}",
        "{id: r, on: copy-image-set, deny: {}}",
        "{id: r, on: retrieve, when: {resource.PatientID: A}, deny: {}}",
        "{id: r, on: [c-get, c-move, n-get, n-set, n-action, n-delete], audit: {include: [resource.StudyDate]}}",
        "{id: r, on: answer, deny: {}}",
        "{id: r, on: [c-find, release], deny: {}}",
        "{id: r, on: [c-find, answer, release], mode: shadow, deny: {}}",
        "{id: r, on: c-store, mode: 'off', when: {instance.PatientID: A}, deny: {}}",
        "{id: r, on: c-store, when: {subject.ae_title: A}, allow: {}}",
    ],
)
def test_what_it_can(rule: str) -> None:
    assert _findings(rule) == []
