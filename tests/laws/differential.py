"""The indexed evaluator against the reference evaluator, on generated policy sets, requests and facts.

    python -m tests.laws.differential --seconds 3600 [--seed N] [--rules N] [--keyed SHARE]

A share of the sets is like those that the benchmarks load: many rules that are found by exact keys, globs, networks and lists, and
little else. Requests come again, so that what is remembered is asked too.

Every field of every decision must be equal, and so must what is still needed of the resource. A difference is printed with
the seed of its set and the number of its request, and ends the run.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from hirules.model.dataset import DatasetView, dataset_of
from hirules.model.reading import Unknown
from hirules.model.request import Request, replaced
from hirules.policy.evaluate import Verdict, evaluate
from hirules.policy.index import Index
from hirules.policy.load import load_set
from hirules.policy.needs import needs, needs_after

KEYED_TITLES = tuple(f"{kind}_{number:02}" for kind in ("CT", "MR", "RES", "WS") for number in range(8))
NOW = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
TITLES = ("PACS_MAIN", "PACS_DR", "RES_1", "RES_2", "WARD_1", "ward_1 ", "X")
PLACES = ("OLDPACS", "PACS_MAIN", "DEST_1", "DEST_2", "dest_3", "NOWHERE")
ADDRESSES = ("10.1.2.3", "10.1.9.9", "10.2.0.1", "::ffff:10.1.2.3", "192.168.1.1", "fd00::1", "nonsense")
PATIENTS = ("P1", "P2", "P3", "00123", "P*")
LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")
MODALITIES = ("CT", "MR", "OLDPACS")
EDITS = (
    {"remove": "instance.PatientBirthDate"}, {"remove": "instance.PatientID"}, {"set": {"instance.PatientID": "P2"}}, {"set": {"instance.Modality": "MR"}},
    {"default": {"instance.AccessionNumber": "A"}}, {"map": {"instance.Modality": {"CT": "MR", "MR": "MR"}}}, {"remove": "instance.private"},
    {"keep_only": {"instance": ["PatientID", "Modality"]}}, {"remove": "instance.ReferencedStudySequence[0]"}, {"remove": "instance.**.StudyDate"},
    {"set": {"instance.ReferencedStudySequence[*].StudyInstanceUID": "1.2.4"}}, {"set": {"instance.PatientID": {"path": "subject.ae_title"}}},
)  # fmt: skip
UIDS = ("1.2.3", "1.2.4", "1.2.5")
ACTIONS = ("c-find", "c-get", "c-move", "n-get", "associate", "release", "update-image-set-metadata", "get-image-set")
QUERY_RETRIEVE = ("c-find", "c-get", "c-move")


class Generator:
    """Policy sets and requests of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def some(self, values: tuple[Any, ...], most: int = 3) -> list[Any]:
        return self.random.sample(values, self.random.randint(1, min(most, len(values))))

    # -- policies ----------------------------------------------------------------------------------

    def texts(self, values: tuple[str, ...], name: str) -> Any:
        one = self.random.choice(values).strip()
        kind = self.random.randrange(13)
        return [
            one, one, self.some(values), {"equals": one}, {"in": f"${name}"}, {"glob": one[:2] + "*"}, {"glob": ["*" + one[-1:], one[:1] + "?" + one[2:]]},
            {"starts_with": one[:3]}, {"not_in": self.some(values)}, {"regex": one[:2] + ".*", "exists": True}, {"exists": self.chance(0.7)},
            {"not_equals": one, "exists": True}, {"in": f"${name}", "not_glob": one + "*"},
        ][kind]  # fmt: skip

    def test(self, actions: list[str]) -> dict[str, Any]:
        choices: list[dict[str, Any]] = [
            {"subject.ae_title": self.texts(TITLES, "titles")},
            {"subject.ae_title": self.texts(TITLES, "titles")},
            {"subject.address": self.random.choice(["10.1.2.3", {"cidr": "10.1.0.0/16"}, {"cidr": ["10.0.0.0/8", "fd00::/8"]}, {"not_cidr": "10.1.2.0/24"}])},
            {"subject.roles": {"contains_any": self.some(("doctor", "nurse", "admin"))}},
            {"context.now": {"time_between": ["08:00", self.random.choice(["09:30", "18:00"])]}},
        ]
        if all(action in QUERY_RETRIEVE for action in actions):
            choices += [
                {"request.Identifier.QueryRetrieveLevel": self.texts(LEVELS, "levels")},
                {"request.Identifier.QueryRetrieveLevel": self.texts(LEVELS, "levels")},
                {"request.Identifier.PatientID": self.texts(PATIENTS, "patients")},
                {"request.Identifier.StudyInstanceUID": {"contains_any": self.some(UIDS)}},
                {"request.Identifier.StudyInstanceUID": {"every": {"in": self.some(UIDS)}}},
                {"request.Identifier.PatientID": {"universal": self.chance(0.5)}},
                {"request.keys": {"contains": self.random.choice(["PatientID", "PatientName"])}},
                {"request.Priority": self.random.choice([0, [1, 2], {"gt": 0}])},
            ]
        if actions == ["c-move"]:
            choices += [{"request.MoveDestination": self.texts(PLACES, "places")}, {"original.request.MoveDestination": self.texts(PLACES, "places")}] * 2
        if set(actions) <= {"c-get", "c-move"}:
            choices += [
                {"resource.PatientID": self.texts(PATIENTS, "patients")},
                {"resource.ModalitiesInStudy": {"contains_any": self.some(("CT", "MR", "SR"))}},
                {"resource.StudyDate": {"older_than": "90d"}},
                {"resource.count": {"gt": 1}},
            ]
        if actions == ["release"]:
            choices += [
                {"instance.Modality": self.texts(MODALITIES, "places")},
                {"instance.PatientID": self.texts(PATIENTS, "patients")},
                {"original.instance.PatientID": self.texts(PATIENTS, "patients")},
                {"instance.StudyDate": {"older_than": "90d"}},
                {"instance.ReferencedStudySequence": {"item": {"StudyInstanceUID": self.random.choice(UIDS)}}},
                {"instance.ReferencedStudySequence[*].StudyInstanceUID": {"contains_any": self.some(UIDS)}},
            ] * 2
        if actions == ["n-get"]:
            choices += [
                {"request.AttributeIdentifierList": {self.random.choice(["contains_any", "subset_of"]): self.some(("PrinterName", "PrinterStatus"))}}
            ] * 3
        if actions == ["update-image-set-metadata"]:
            choices += [
                {"request.updated": {"contains_any": self.some(("Patient.PatientName", "Study.StudyDescription"))}},
                {"request.kind": self.random.choice(["update", "remove", "revert"])},
                {"request.force": self.chance(0.5)},
                {"request.updates.Patient.PatientName": {"glob": "A*"}},
                {"resource.imageSetState": self.random.choice(["ACTIVE", ["LOCKED", "DELETED"]])},
            ]
        return self.random.choice(choices)

    def condition(self, actions: list[str], depth: int = 0) -> dict[str, Any]:
        if depth < 2 and self.chance(0.15):
            inner = [self.condition(actions, depth + 1) for _ in range(self.random.randint(1, 2))]
            return self.random.choice([{"any": inner}, {"all": inner}, {"not": inner[0]}])
        found: dict[str, Any] = {}
        for _ in range(self.random.choice([1, 2, 2, 3])):
            found |= self.test(actions)
        return found

    def rule(self, name: str) -> dict[str, Any]:
        actions = [self.random.choice(ACTIONS)]
        if actions[0] in ("c-get", "c-move") and self.chance(0.3):
            actions = ["c-get", "c-move"]
        kind = self.random.choices(["allow", "deny", "audit", "rewrite"], [5, 3, 1, self.rewrites(actions)])[0]
        effect: Any = {}
        if kind == "deny":
            effect = self.random.choice(
                [{}, {"reason": "no"}, {"reason": "not for {subject.ae_title}"}, {"severity": "high"} if False else {"reason": "never"}]
            )
        elif kind == "audit":
            effect = self.random.choice([{}, {"note": "seen"}, {"sample": "50%"}, {"include": ["subject.ae_title"]}])
        elif kind == "rewrite" and actions == ["n-get"]:
            effect = [{"keep_only": {"request.AttributeIdentifierList": self.some(("PrinterName", "PrinterStatus"))}}]
        elif kind == "rewrite" and actions == ["release"]:
            effect = [self.random.choice(EDITS)]
        elif kind == "rewrite":
            effect = [self.random.choice([
                {"set": {"request.MoveDestination": self.random.choice(PLACES[1:4])}}, {"map": {"request.MoveDestination": {"OLDPACS": "PACS_MAIN"}}},
                {"set": {"request.Priority": self.random.choice([1, 2])}}, {"remove": "request.Identifier.PatientName"},
                {"set": {"request.Identifier.PatientID": "P2"}},
            ])]  # fmt: skip
        rule: dict[str, Any] = {"id": name, "on": actions, kind: effect, "severity": self.random.choice(["low", "medium", "high"])}
        if not self.chance(0.05):
            rule["when"] = self.condition(actions)
        if self.chance(0.2):
            rule["unless"] = self.condition(actions)
        if self.chance(0.1):
            rule["mode"] = self.random.choice(["shadow", "off"])
        if self.chance(0.1):
            rule["valid"] = self.random.choice([{"from": "2026-03-02T10:00:00+01:00"}, {"until": "2026-03-02T10:00:00+01:00"}])
        return rule

    def rewrites(self, actions: list[str]) -> float:
        return 2 if actions == ["release"] else 1 if actions in (["c-move"], ["n-get"]) else 0

    def keyed_rule(self, name: str) -> dict[str, Any]:
        """A rule that is found by keys, now and then with something else in it."""
        if self.chance(0.03):
            return self.rule(name)
        title = self.random.choice(KEYED_TITLES)
        when: dict[str, Any] = {}
        if not self.chance(0.05):
            several = self.random.sample(KEYED_TITLES, 3)
            when["subject.ae_title"] = self.random.choice([title, title, several, {"in": "$titles"}, {"in": "$keyed"}, {"glob": title[:3] + "*"}])
        if self.chance(0.7):
            when["request.Identifier.QueryRetrieveLevel"] = self.some(LEVELS)
        if self.chance(0.15):
            when["subject.address"] = self.random.choice([{"cidr": "10.1.0.0/16"}, {"cidr": ["10.1.2.0/24", "fd00::/8"]}, ["10.1.2.3", "fd00::1"]])
        if self.chance(0.15):
            when["request.Identifier.PatientID"] = self.random.choice([self.random.choice(PATIENTS[:4]), {"in": "$patients"}, {"glob": "P*"}, {"glob": "*3"}])
        if self.chance(0.05):
            when["request.Priority"] = self.random.choice([0, 1])
        action = self.random.choices(QUERY_RETRIEVE, (3, 2, 5))[0]
        if action == "c-move" and self.chance(0.6):
            place = self.random.choice(KEYED_TITLES)
            when["request.MoveDestination"] = self.random.choice(
                [place, [place, "X"], {"glob": f"{place[:2]}*"}, {"glob": f"*{place[-2:]}"}, {"glob": "?*_0?"}]
            )
        kind: Any = self.random.choices(["allow", "deny", "audit"], (6, 3, 1))[0]
        effect = self.random.choice([{"reason": "not agreed"}, {}]) if kind == "deny" else {}
        rule = {"id": name, "on": action, kind: effect, "severity": self.random.choice(["low", "high"])}
        rule |= {"when": when} if when else {}
        rule |= {"mode": "shadow"} if self.chance(0.03) else {}
        return rule

    def files(self, rules: int, keyed: bool = False) -> dict[str, bytes]:
        """A set, as files of JSON, which is YAML; conditions that the language refuses are tried again by the caller."""
        lists = {
            "titles": list(TITLES[:4]),
            "places": list(PLACES[:3]),
            "patients": [*PATIENTS[:3], *(f"V{number}" for number in range(80))],
            "levels": ["STUDY", "SERIES"],
            "keyed": [*KEYED_TITLES[::3], *(f"V{number}" for number in range(80))],
        }
        files = {"set.yaml": json.dumps({"hirules-set": 1, "combining": self.random.choice(["deny-unless-permit"] * 3 + ["permit-unless-deny"])}).encode()}
        for policy in ("one", "two"):
            made = [self.keyed_rule(f"r{number}") if keyed else self.rule(f"r{number}") for number in range(rules // 2)]
            document: dict[str, Any] = {"hirules": 1, "policy": policy, "title": policy, "lists": lists, "rules": made}
            named = [rule for rule in made if "allow" not in rule]
            if named and self.chance(0.5):
                of = self.some(tuple(named), 2)
                document["exceptions"] = [{
                    "id": "e", "of": [rule["id"] for rule in of], "when": self.excepted(of), "reason": "ticket",
                    "approved_by": "office", "expires": self.random.choice(["2026-03-02T10:00:00+01:00", "2027-01-01T00:00:00Z"]),
                }]  # fmt: skip
            files[f"{policy}.yaml"] = json.dumps(document).encode()
        return files

    def excepted(self, rules: list[dict[str, Any]]) -> dict[str, Any]:
        """What an exception of these rules asks for; of a resource only where all of them have one."""
        retrieves = all(action in ("c-get", "c-move") for rule in rules for action in ([rule["on"]] if isinstance(rule["on"], str) else rule["on"]))
        title = {"subject.ae_title": self.random.choice(TITLES).strip()}
        return self.random.choice([title, {"resource.PatientID": "P1"}]) if retrieves else title

    # -- requests ----------------------------------------------------------------------------------

    def value(self, values: tuple[str, ...]) -> Any:
        return self.random.choices(
            [self.random.choice(values), None, "", Unknown("it broke"), self.some(values), "\\".join(self.some(values)), "\ud800"], [40, 2, 1, 1, 1, 1, 0.3]
        )[0]

    def identifier(self) -> Any:
        if self.chance(0.02):
            return self.random.choice([None, Unknown("it broke"), {}, "nonsense"])
        found: dict[str, Any] = {"QueryRetrieveLevel": self.value(LEVELS)}
        if self.chance(0.7):
            found["PatientID"] = self.value(PATIENTS)
        if self.chance(0.7):
            found["StudyInstanceUID"] = self.random.choice([self.random.choice(UIDS), self.some(UIDS), ""])
        if self.chance(0.3):
            found["PatientName"] = ""
        if self.chance(0.03):
            found[self.random.choice(["(0010,0020)", "00100020", "(0008,0052)"])] = self.random.choice([*PATIENTS, *LEVELS])
        return found

    def entity(self) -> dict[str, Any]:
        found = {
            "PatientID": self.value(PATIENTS), "ModalitiesInStudy": self.random.choice(["CT", ["CT", "SR"], ["MR"]]),
            "StudyDate": self.random.choice(["20260301", "20250101", "2025"]), "imageSetState": self.random.choice(["ACTIVE", "LOCKED"]),
        }  # fmt: skip
        return {name: value for name, value in found.items() if not self.chance(0.1)}

    def instance(self) -> Any:
        """A data set to leave: as an adapter gives it, which decodes what is read, or as JSON says it, which may hold anything."""
        found: dict[str, Any] = {
            "SOPInstanceUID": "1.2.3", "Modality": self.random.choice(MODALITIES), "PatientID": self.random.choice(PATIENTS), "PatientBirthDate": "19700101",
            "StudyDate": self.random.choice(["20260301", "20250101"]), '(0009,"ACME",01)': "x",
            "ReferencedStudySequence": [{"StudyInstanceUID": self.random.choice(UIDS), "StudyDate": "20250101"} for _ in range(self.random.randint(1, 2))],
        }  # fmt: skip
        found = {name: value for name, value in found.items() if not self.chance(0.15)}
        if self.chance(0.7):
            return DatasetView(dataset_of(found))
        if self.chance(0.3):
            found |= {"PatientID": self.value(PATIENTS), self.random.choice(["(0010,0020)", "00080060"]): self.random.choice([*PATIENTS, *MODALITIES])}
        return found if self.chance(0.95) else None

    def request(self, keyed: bool = False) -> Request:
        action = self.random.choice(QUERY_RETRIEVE if keyed and not self.chance(0.05) else ACTIONS)
        subject = {
            "ae_title": self.value(KEYED_TITLES if keyed else TITLES),
            "address": self.random.choice(ADDRESSES),
            "roles": self.random.choice([["nurse"], ["doctor", "admin"], None]),
        }
        fields: dict[str, Any] = {}
        if action in QUERY_RETRIEVE:
            fields = {"Identifier": self.identifier(), "Priority": self.random.choice([0, 1, "2", True])}
        if action == "c-move":
            fields["MoveDestination"] = self.value(KEYED_TITLES if keyed else PLACES)
        if action == "n-get":
            fields["AttributeIdentifierList"] = self.random.choice([None, [], ["PrinterName"], ["PrinterName", "PrinterStatus"]])
        if action == "update-image-set-metadata":
            fields = {
                "updates": self.random.choice([{}, {"Patient": {"PatientName": self.value(("A^B", "C"))}}, {"Study": {"StudyDescription": "x"}}]),
                "force": self.random.choice([True, False, None]),
            }
        if action == "release":
            fields = {"action": "c-get"}
        resource = None
        if action in ("c-get", "c-move", "update-image-set-metadata", "get-image-set") and self.chance(0.1 if keyed else 0.7):
            resource = [self.entity() for _ in range(self.random.choice([0, 1, 1, 1, 2]))]
        after = [self.entity()] if self.chance(0.3) else None
        return Request(
            action, {name: value for name, value in subject.items() if not self.chance(0.03)}, fields, resource=resource, resource_after=after,
            id=str(self.random.randrange(50)), instance=self.instance() if action == "release" else None,
        )  # fmt: skip


VERDICTS = (Verdict(effect="allow", source="plugin:a"), Verdict(effect="deny", source="plugin:d", reason="no"),
            Verdict(effect="rewrite", source="plugin:r", edits={"request.Priority": ("set", 2)}))  # fmt: skip


def compare(seed: int, rules: int, requests: int, keyed: float = 0.0) -> Iterator[str]:
    """A difference for each request of this seed on which the two evaluators disagree. Raises ``ValueError`` for a set that does not load."""
    generator = Generator(seed)
    like_benchmarks = random.Random(f"keyed/{seed}").random() < keyed
    policies = load_set(generator.files(rules, like_benchmarks)).set
    if policies is None:
        raise ValueError("the set does not load")
    index = Index(policies)
    asked: list[Request] = []
    for number in range(requests):
        # what came before comes again, as it is or with another number
        again = replaced(generator.random.choice(asked), id=str(generator.random.randrange(50))) if asked and generator.chance(0.3) else None
        request = again or generator.request(like_benchmarks)
        asked.append(request)
        verdicts = [generator.random.choice(VERDICTS)] if request.action in ("c-move", "c-get") and generator.chance(0.05) else []
        # what decodes as it is read must be decided, and rewritten, as what holds all of its values
        whole = replaced(request, instance=dict(request.instance)) if request.instance is not None else request
        expected, found = evaluate(policies, whole, NOW, verdicts), index.decide(request, NOW, verdicts)
        for field in expected.__struct_fields__:
            if getattr(expected, field) != getattr(found, field):
                yield f"seed {seed}, request {number}: `{field}` is {getattr(found, field)!r}, and {getattr(expected, field)!r} by the reference"
        if index.needs(request, NOW, verdicts) != needs(policies, request, NOW, verdicts):
            yield f"seed {seed}, request {number}: another part of the resource is needed"
        if index.needs_after(request, NOW, verdicts)[1] != needs_after(policies, request, NOW, verdicts)[1]:
            yield f"seed {seed}, request {number}: another part of the resource is needed after rewriting"


def run(seconds: float, seed: int, rules: int = 40, requests: int = 300, keyed: float = 0.5) -> tuple[int, int]:
    """Decisions that were compared, and sets; raises ``AssertionError`` at the first difference."""
    until, decisions, sets = time.monotonic() + seconds, 0, 0
    while time.monotonic() < until:
        seed += 1
        try:
            differences = list(compare(seed, rules, requests, keyed))
        except ValueError:
            continue
        assert not differences, "\n".join(differences[:5])
        decisions, sets = decisions + requests, sets + 1
    return decisions, sets


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rules", type=int, default=40, help="rules of a set")
    parser.add_argument("--keyed", type=float, default=0.5, help="the share of sets that are like the benchmarks'")
    chosen = parser.parse_args()
    decisions, sets = run(chosen.seconds, chosen.seed, chosen.rules, keyed=chosen.keyed)
    print(f"{decisions} decisions of {sets} policy sets: no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
