from __future__ import annotations

from hirules.model.reading import Unknown
from hirules.model.request import Request
from hirules.policy import tables
from hirules.policy.evaluate import evaluate
from hirules.policy.index import Index
from tests.policy.deciding import NOW, policy_set

RULES = [f"{{on: c-move, when: {{subject.ae_title: A{number % 10}, request.MoveDestination: D{number}}}, allow: {{}}}}" for number in range(60)]


def move(title: object, destination: object, **more: object) -> Request:
    return Request("c-move", {"ae_title": title}, {"MoveDestination": destination, **more}, id="1")


def known(index: Index) -> int:
    return len(index._tables["c-move"].known)


def test_a_leaf_has_only_the_rules_that_can_still_matter() -> None:
    index = Index(policy_set(*RULES))
    leaf = index._leaf(move("A3", "D13"), NOW)
    assert [rule.id for rule in leaf.rules] == ["p/r13"]
    assert leaf.settled is not None
    assert leaf.settled.by == ("p/r13",)


def test_values_that_leave_the_same_rules_lead_to_one_leaf() -> None:
    index = Index(policy_set(*RULES))
    assert index._leaf(move("A3", "NOWHERE"), NOW) is index._leaf(move("A4", "ELSEWHERE"), NOW)
    assert not index._leaf(move("A3", "NOWHERE"), NOW).rules


def test_what_follows_from_raw_values_is_remembered_by_them_and_nothing_else_is() -> None:
    index = Index(policy_set(*RULES, "{on: c-move, when: {context.now: {time_between: ['09:00', '11:00']}, subject.ae_title: Z}, deny: {}}"))
    for request, remembered in [
        (move("A3", "D13"), 1), (move("A3", "D13", Priority=1), 1), (move("A3", None), 2), (Request("c-move", {"ae_title": "A3"}), 2), (move("A3", 7), 2),
        (move(True, "D13"), 2), (move(["A3"], "D13"), 2), (move(Unknown("it broke"), "D13"), 2), (move("\ud800", "D13"), 2), (move("Z", "D13"), 2),
        (move("A4", "D13"), 3),
    ]:  # fmt: skip
        for _ in range(2):
            assert index.decide(request, NOW) == evaluate(index.policies, request, NOW)
            assert known(index) == remembered, request.subject


def test_what_is_unknown_of_one_rule_does_not_keep_others_from_being_known() -> None:
    index = Index(policy_set("{on: c-move, when: {subject.ae_title: A, subject.user: x}, deny: {}}", "{on: c-move, when: {subject.ae_title: B}, allow: {}}"))
    request = Request("c-move", {"ae_title": "B", "user": Unknown("it broke")}, id="1")
    assert index.shared(request, NOW) is not None
    assert index.decide(request, NOW) == evaluate(index.policies, request, NOW)


def test_what_is_remembered_is_bounded(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(tables, "_KNOWN", 20)
    monkeypatch.setattr(tables, "_LEAVES", 64)
    policies = policy_set(*RULES)
    index = Index(policies)
    for number in range(300):
        request = move(f"A{number % 12}", f"D{number % 70}")
        assert index.decide(request, NOW) == evaluate(policies, request, NOW)
        assert known(index) <= 20


def test_a_standard_element_is_found_however_it_is_spelled() -> None:
    index = Index(policy_set("{on: c-move, allow: {}}", "{on: c-move, when: {request.Identifier.PatientID: VIP}, deny: {reason: no}}"))
    for _ in range(2):
        for identifier in ({"StudyDate": "VIP"}, {"PatientID": "VIP"}, {"(0010,0020)": "VIP"}, {"00100020": "VIP"}, {"PatientID": "P", "(0010,0020)": "VIP"}):
            request = Request("c-move", request={"Identifier": identifier}, id="1")
            assert index.decide(request, NOW) == evaluate(index.policies, request, NOW), identifier


def test_an_identifier_that_is_no_dict_is_read_as_far_as_rules_need_it() -> None:
    class Lazy(dict[str, object]):
        """Stands for a data set that is decoded as it is read."""

        def get(self, key: str, default: object = None) -> object:
            read.append(key)
            return super().get(key, default)

    read: list[str] = []
    index = Index(policy_set("{on: c-move, when: {subject.ae_title: A, request.Identifier.PatientID: P}, deny: {}}", "{on: c-move, allow: {}}"))
    for title, keys in (("B", []), ("A", ["PatientID"])):
        read.clear()
        request = Request("c-move", {"ae_title": title}, {"Identifier": Lazy(PatientID="P")}, id="1")
        assert index.shared(request, NOW) is not None
        assert read == keys


def test_a_table_that_is_taken_apart_holds_nothing() -> None:
    index = Index(policy_set(*RULES))
    index.decide(move("A3", "D13"), NOW)
    steps: list[None] = []
    index.fell(lambda: steps.append(None))
    assert len(steps) > len(RULES)
    assert not known(index)


def test_every_action_has_a_table() -> None:
    index = Index(policy_set("{on: c-move, allow: {}}"))
    assert {"c-move", "delete-image-set"} <= index._tables.keys()
