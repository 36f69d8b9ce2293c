from __future__ import annotations

from hirules.facts.reads import Reads, paths_of, reads
from hirules.policy import load_set

POLICY = b"""
hirules: 1
policy: p
rules:
  - id: move
    on: c-move
    when:
      any: [{resource.PatientID: {in: [A]}}, {not: {request.Priority: {equals: {path: request.MessageID}}}}]
    unless: {context.purpose_of_use: TREATMENT, context.now: {older_than: 1d}}
    deny: {reason: "{subject.address}"}
  - {id: off, on: c-get, mode: 'off', when: {resource.PatientID: A}, deny: {}}
  - {id: shadow, on: n-get, mode: shadow, when: {resource.count: {gt: 1}}, deny: {}}
exceptions:
  - {id: e, of: [move], when: {context.purpose_verified: true}, reason: r, approved_by: a, expires: 2030-01-01T00:00:00Z}
"""
SET = load_set({"p.yaml": POLICY}).required()


def test_by_action_what_may_have_to_be_looked_up() -> None:
    found = reads(SET)
    assert found["c-move"] == Reads(resource=True, context=frozenset({"context.purpose_of_use", "context.purpose_verified"}))
    assert found["c-get"] == Reads()
    assert found["n-get"] == Reads(resource=True)
    assert found["c-find"] == Reads()


def test_every_path_of_a_rule_with_its_place() -> None:
    (move,) = [rule for rule in SET.rules if rule.id == "p/move"]
    found = {path.text: position.line for path, position in paths_of(move)}
    assert set(found) == {
        "resource.PatientID", "request.Priority", "request.MessageID", "context.purpose_of_use", "context.now", "context.purpose_verified", "subject.address",
    }  # fmt: skip
    assert found["resource.PatientID"] == 8
