"""The workload as a folder of hirules policies: fifty rules a file, each list a CSV file that all policies share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.workload import Query, Rule, Workload
from hirules import Request

RULES_PER_FILE = 50


def write(workload: Workload, folder: Path) -> Path:
    """Writes the policy set into ``folder`` and answers it."""
    (folder / "data").mkdir(parents=True)
    for name, members in workload.lists.items():
        (folder / "data" / f"{name}.csv").write_text("ae_title,site\n" + "".join(f"{member},{member.split('_')[1]}\n" for member in members))
    for number, start in enumerate(range(0, len(workload.rules), RULES_PER_FILE)):
        rules = workload.rules[start : start + RULES_PER_FILE]
        # the first policy shares the lists with the others
        (folder / f"department-{number:03}.yaml").write_text(_policy(number, rules, workload.lists if number == 0 else ()))
    return folder


def request(query: Query) -> Request:
    """The request as the gateway would make it of the wire; what is absent has no key."""
    identifier = {"StudyInstanceUID": query.study} | ({} if query.level is None else {"QueryRetrieveLevel": query.level})
    parameters: dict[str, Any] = {"MessageID": 7, "Priority": 0, "Identifier": identifier}
    if query.destination is not None:
        parameters["MoveDestination"] = query.destination
    subject = {"ae_title": query.caller, "called_ae_title": "GATE"} | ({} if query.address is None else {"address": query.address})
    return Request(query.action, subject=subject, request=parameters, id=query.study)


def _policy(number: int, rules: Sequence[Rule], lists: Iterable[str]) -> str:
    lines = [
        "hirules: 1",
        f"policy: department-{number:03}",
        f"title: Who may query and retrieve, department {number}",
        "owner: privacy-office",
    ]
    declared = [f"  {name}: {{file: data/{name}.csv, column: ae_title, share: true}}" for name in lists]
    if declared:
        lines += ["lists:", *declared]
    return "\n".join([*lines, "rules:", *(_rule(rule) for rule in rules)]) + "\n"


def _rule(rule: Rule) -> str:
    lines = [f"  - id: {rule.id}", f"    on: {rule.action}"]
    conditions = [f"      {condition}" for condition in _conditions(rule)]
    if conditions:
        lines += ["    when:", *conditions]
    effect = "allow: {}" if rule.effect == "allow" else "deny: {reason: not agreed}"
    return "\n".join([*lines, f"    {effect}"])


def _conditions(rule: Rule) -> Iterable[str]:
    if rule.list:
        yield f"subject.ae_title: {{in: ${rule.list}}}"
    elif rule.callers:
        yield f"subject.ae_title: {_values(rule.callers)}"
    if rule.network:
        yield f"subject.address: {{cidr: {rule.network}}}"
    if rule.levels:
        yield f"request.Identifier.QueryRetrieveLevel: {_values(rule.levels)}"
    if rule.destinations:
        yield f"request.MoveDestination: {_values(rule.destinations)}"
    if rule.glob:
        yield f"request.MoveDestination: {{glob: {json.dumps(rule.glob)}}}"


def _values(values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else f"[{', '.join(values)}]"
