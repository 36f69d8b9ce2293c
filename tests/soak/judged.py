"""What the record must say of what clients saw, and what they must not have seen."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.clients import ACTIONS, Done
from tests.soak.site import IMAGES, PATIENTS, STUDIES, THROUGH, VIP, Arrival


@dataclass
class Record:
    """The lines of the record, by what ties them."""

    decisions: dict[str, dict[str, Any]] = field(default_factory=dict)
    outcomes: dict[str, dict[str, Any]] = field(default_factory=dict)
    instances: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    asked: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    """Ids by calling AE title and action."""
    policies: list[tuple[str, str]] = field(default_factory=list)
    """Id and digest of each decision, in the order of the file."""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of a decision in ``policies``, and how many there were at its outcome."""


def read_record(path: Path) -> Record:
    """Every line is whole JSON, or this raises."""
    record = Record()
    with path.open("rb") as lines:
        for line in lines:
            entry = json.loads(line)
            number = entry["id"]
            if entry["entry"] == "decision":
                record.decisions[number] = entry
                record.asked[entry["subject"].get("ae_title", ""), entry["action"]].append(number)
                record.places[number] = (len(record.policies), len(record.policies))
                record.policies.append((number, entry["policies"]))
            elif entry["entry"] == "outcome":
                record.outcomes[number] = entry["outcome"]
                if number in record.places:
                    record.places[number] = (record.places[number][0], len(record.policies))
            else:
                record.instances[number].add(entry["instance"])
    return record


def hashed(uid: str) -> str:
    """As the record has it."""
    return "sha256:" + hashlib.sha256(uid.encode()).hexdigest()


def lost(record: Record, done: list[Done], arrivals: list[Arrival]) -> list[str]:
    """What the record does not have of what happened."""
    found = []
    for each in done:
        if each.answered and each.operation in ACTIONS:
            ids = record.asked.get((each.title, ACTIONS[each.operation]), [])
            if not ids:
                found.append(f"{each.title}: {each.operation} was answered with {each.status:#06x} and has no decision")
            elif not any(number in record.outcomes for number in ids):
                found.append(f"{each.title}: {each.operation} was answered with {each.status:#06x} and has no outcome")
            elif each.operation != "n-get" and all(record.outcomes[number].get("Status") != each.status for number in ids if number in record.outcomes):
                found.append(f"{each.title}: {each.operation} was answered with {each.status:#06x}, the outcome says {record.outcomes[ids[0]]}")
        if each.instances:
            told = set[str]().union(*(record.instances.get(number, set()) for number in record.asked.get((each.title, "c-get"), [])))
            found += [f"{each.title}: an instance came and is not in the record" for uid in each.instances if hashed(uid) not in told]
    for arrival in arrivals:
        if arrival.destination == THROUGH:
            ids = record.asked.get((arrival.originator, "c-move"), [])
            if not any(hashed(arrival.uid) in record.instances.get(number, set()) for number in ids):
                found.append(f"{arrival.originator}: an instance arrived through the gateway and is not in the record")
    found += [
        f"{entry['action']} of {entry['subject'].get('ae_title')}: no outcome"
        for number, entry in record.decisions.items()
        if incomplete(record, number, entry)
    ]
    return found


def incomplete(record: Record, number: str, entry: dict[str, Any]) -> bool:
    """A decision on what is carried out ends with an outcome. One on what leaves is part of another; an association that is denied has no more to tell."""
    if entry["action"] == "associate" and entry["decision"] == "deny":
        return False
    return entry["action"] in {"associate", *ACTIONS.values()} and number not in record.outcomes


WITHHELD = {f"{study}.9.{IMAGES}" for study in STUDIES.values()} | {f"{STUDIES[VIP]}.9.{number}" for number in range(1, IMAGES + 1)}
"""What no C-GET brings: the last instance of each study, and the VIP's."""
MAY = {f"{STUDIES[patient]}.9.{number}" for patient in PATIENTS for number in range(1, IMAGES)}


def forbidden(record: Record, done: list[Done], arrivals: list[Arrival]) -> list[str]:
    """What should not have come."""
    strict = record.policies[0][1] if record.policies else ""
    found = [f"{each.title}: {each.births} dates of birth came by {each.family} {each.operation}" for each in done if each.births]
    found += [f"{each.title}: {uid} came by a C-GET" for each in done for uid in each.instances if uid not in MAY]
    found += [f"{arrival.originator}: an instance of a VIP arrived at {arrival.destination}" for arrival in arrivals if arrival.patient == VIP]
    for arrival in arrivals:
        if not (arrival.birth_date or arrival.uid in WITHHELD):
            continue
        for number in record.asked.get((arrival.originator, "c-move"), []):
            first, last = record.places[number]
            # where no reload came between, the set that decided the move decided its instances
            if all(digest == strict for _, digest in record.policies[max(0, first - 20) : last + 20]):
                found.append(f"{arrival.originator}: {arrival.uid} arrived at {arrival.destination}, date of birth: {arrival.birth_date}")
    return found
