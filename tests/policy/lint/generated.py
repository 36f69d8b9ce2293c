"""Policy sets over few attributes and few values, so that conditions often exclude or cover each other; and requests for them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from hirules.model.reading import Unknown
from hirules.model.request import Request

TITLES = ("A", "B", "AB", "ABC", "BC")
DATES = ("2025-01-01", "2025-06-01", "2026-01-01", "2026-03-01")
MODALITIES = ("CT", "MR", "SR")
ADDRESSES = ("10.1.2.3", "10.1.9.9", "10.2.0.1", "192.168.1.1", "fd00::1")
NETWORKS = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.168.0.0/16", "fd00::/8")
KINDS = ("allow", "allow", "deny", "deny", "rewrite", "audit")


class Sets:
    """Policy sets and requests of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, values: tuple[str, ...]) -> list[str]:
        return self.random.sample(values, self.random.randint(1, 3))

    def text(self, opening: bool) -> Any:
        one = self.random.choice(TITLES)
        return self.random.choice(
            [
                one, self.some(TITLES), {"not_in": self.some(TITLES)}, {"glob": one + "*"}, {"glob": "*" + one}, {"glob": [one, "A*C"]},
                {"not_glob": one + "*"},
                {"starts_with": one}, {"ends_with": one}, {"regex": one + ".*"}, {"exists": True}, {"exists": False}, {"not_equals": one, "exists": True},
                {"in": "$titles"}, {"starts_with": one, "not_equals": "AB"}, {"in": self.some(TITLES), "glob": "A*"},
            ]
        )  # fmt: skip

    def test(self, opening: bool) -> dict[str, Any]:
        low, high = sorted(self.random.sample(DATES, 2))
        dates = [{"lt": low}, {"gte": high}, {"between": [low, high]}, {"older_than": "90d"}, {"newer_than": "30d"}, low]
        many = self.random.choice(
            [
                {"contains": "CT"}, {"contains_any": self.some(MODALITIES)}, {"contains_all": self.some(MODALITIES)}, {"subset_of": self.some(MODALITIES)},
                {"every": {"in": self.some(MODALITIES)}}, {"every": {"not_equals": "SR"}}, {"count": {"lte": 1}}, {"exists": self.random.random() < 0.6},
                *([] if opening else [self.some(MODALITIES), {"not_in": self.some(MODALITIES)}, {"equals": "CT", "not_equals": "SR"}, {"glob": "C*"}]),
            ]
        )  # fmt: skip
        numbers = {self.random.choice(["lt", "lte", "gt", "gte"]): self.random.randint(0, 3), self.random.choice(["lt", "lte", "gt", "gte"]): 2}
        return self.random.choice(
            [
                {"subject.ae_title": self.text(opening)}, {"subject.ae_title": self.text(opening)}, {"subject.user": self.text(opening)},
                {"request.MoveDestination": self.text(opening)}, {"original.request.MoveDestination": self.text(opening)},
                {"resource.StudyDate": self.random.choice(dates)},
                {"resource.ModalitiesInStudy": many}, {"resource.ModalitiesInStudy": many}, {"request.Priority": numbers},
                {"subject.address": self.random.choice([{"cidr": self.some(NETWORKS)}, {"not_cidr": self.random.choice(NETWORKS)}, ADDRESSES[0]])},
                {"context.now": self.random.choice([{"weekday": ["mon", "tue"]}, {"weekday": "sat"}, {"time_between": ["08:00", "18:00"]}])},
                {"context.purpose_verified": self.random.choice([True, False, {"not_equals": True}])},
                {"subject.user": {"equals": {"path": "subject.stated_user"}}},
                {"request.Identifier.PatientID": self.random.choice(["P1", {"wildcard": True}, {"universal": False}, {"starts_with": "P"}, {"exists": True}])},
            ]
        )  # fmt: skip

    def condition(self, opening: bool, depth: int = 0) -> dict[str, Any]:
        if depth < 2 and self.random.random() < 0.25:
            kind = self.random.choice(["any", "all", "not"])
            if kind == "not":
                return {"not": self.condition(not opening, depth + 1)}
            return {kind: [self.condition(opening, depth + 1) for _ in range(self.random.randint(1, 3))]}
        found: dict[str, Any] = {}
        for _ in range(self.random.choice([1, 1, 2])):
            for path, matcher in self.test(opening).items():
                found[path] = matcher
        if self.random.random() < 0.3:
            return {"all": [found, self.test(opening)]}
        return found

    def rule(self, number: int) -> dict[str, Any]:
        kind = self.random.choice(KINDS)
        edit = self.random.choice([
            {"set": {"request.MoveDestination": self.random.choice(TITLES)}}, {"set": {"request.Priority": self.random.randint(0, 2)}},
            {"default": {"request.MoveDestination": "A"}}, {"remove": "request.MoveDestination"}, {"map": {"request.MoveDestination": {"A": "B"}}},
            {"keep_only": {"request.Identifier": ["PatientID"]}}, {"set": {"request.Identifier.PatientID": "P2"}},
        ])  # fmt: skip
        rule: dict[str, Any] = {"id": f"r{number}", "on": "c-move", kind: [edit] if kind == "rewrite" else {}}
        if self.random.random() < 0.9:
            rule["when"] = self.condition(kind == "allow")
        if self.random.random() < 0.25:
            rule["unless"] = self.condition(kind != "allow")
        if self.random.random() < 0.1:
            rule["severity"] = "high"
        if self.random.random() < 0.1:
            rule["mode"] = "shadow"
        if self.random.random() < 0.1:
            rule["valid"] = self.random.choice([{"from": "2026-01-01T00:00:00Z"}, {"until": "2027-01-01T00:00:00Z"}])
        return rule

    def files(self, rules: int) -> dict[str, bytes]:
        made = [self.rule(number) for number in range(rules)]
        document: dict[str, Any] = {"hirules": 1, "policy": "p", "lists": {"titles": ["A", "AB"]}, "rules": made}
        named = [rule["id"] for rule in made if "allow" not in rule]
        if named and self.random.random() < 0.3:
            document["exceptions"] = [
                {"id": "e", "of": [self.random.choice(named)], "when": self.condition(True), "reason": "t", "expires": "2027-01-01T00:00:00Z"}
            ]
        return {"p.yaml": json.dumps(document).encode()}

    # -- requests ----------------------------------------------------------------------------------

    def value(self, values: tuple[str, ...]) -> Any:
        return self.random.choices([self.random.choice(values), None, Unknown("it broke"), list(values[:2]), "\ud800A", "OTHER"], [40, 4, 3, 1, 0.5, 4])[0]

    def request(self) -> Request:
        subject = {name: self.value(TITLES) for name in ("ae_title", "user", "stated_user")} | {"address": self.value(ADDRESSES)}
        identifier = {"PatientID": self.value(("P1", "P2", "P*", ""))}
        fields: dict[str, Any] = {"MoveDestination": self.value(TITLES), "Priority": self.random.choice([0, 1, 2, 3, None, "x"]), "Identifier": identifier}
        entity = {
            "ModalitiesInStudy": self.random.choice([["CT"], ["CT", "SR"], ["MR"], None, Unknown("x"), ["CT", Unknown("x")], ["SR", "MR", "CT"]]),
            "StudyDate": self.random.choice(["20250101", "20250601", "20260101", "20260301", "20260115", "2025", None, Unknown("x"), "nonsense"]),
        }
        context = {"purpose_verified": self.random.choice([True, False, None, Unknown("x")])}
        resource = self.random.choice([[entity], [entity], [entity], [], None])
        return Request("c-move", subject, fields, resource=resource, context=context, id="1")


def seeds(first: int) -> Iterator[int]:
    """Numbers from ``first`` on."""
    while True:
        yield first
        first += 1
