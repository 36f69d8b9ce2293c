"""Policies as text, requests as plain data: what the tests of the evaluator share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from hirules.model.decision import Decision
from hirules.model.reading import Unknown
from hirules.model.request import Request
from hirules.policy.ast import PolicySet
from hirules.policy.conditions import applies
from hirules.policy.entities import entities_of
from hirules.policy.evaluate import evaluate
from hirules.policy.load import load_set
from hirules.policy.operators import OPERATORS
from hirules.policy.read import View
from hirules.policy.truth import Truth

NOW = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
ZONE = "Europe/Berlin"
CASES = Path(__file__).parent.parent / "cases"
LISTS = {"clinical": ["PACS_MAIN", "PACS_DR"], "pairs": {"file": "pairs.csv", "column": "ae_title"}}
PAIRS = b"peer,ae_title\nR1,WS1\nR2,WS2\n"


def policy_set(*rules: Mapping[str, Any] | str, exceptions: list[Mapping[str, Any]] | None = None, **settings: object) -> PolicySet:
    """One policy `p` of these rules (YAML text or data)."""
    read = [yaml.load(rule, Loader=yaml.BaseLoader) if isinstance(rule, str) else rule for rule in rules]
    body = [{"id": f"r{number}", **rule} for number, rule in enumerate(read)]
    policy: dict[str, Any] = {"hirules": 1, "policy": "p", "title": "a policy of a test", "lists": LISTS, "rules": body}
    if exceptions:
        policy["exceptions"] = exceptions
    return loaded({"p": policy}, **settings)


def loaded(policies: Mapping[str, Mapping[str, Any]], **settings: object) -> PolicySet:
    """The set of these policies. A finding that is an error fails the test."""
    header = {"hirules-set": 1, "time_zone": ZONE, **settings}
    files = {"set.yaml": json.dumps(header).encode(), "pairs.csv": PAIRS}
    files.update((f"{name}.yaml", json.dumps(_plain(policy)).encode()) for name, policy in policies.items())
    found = load_set(files)
    assert found.set is not None, "\n".join(str(finding) for finding in found.findings)
    return found.set


def _plain(data: Any) -> Any:
    """Data with booleans for their texts: a quoted `true` is a text in the language."""
    if isinstance(data, Mapping):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    return {"true": True, "false": False}.get(data, data) if isinstance(data, str) else data


def marked(data: Any) -> Any:
    """Data with every `?` an unknown."""
    if data == "?":
        return Unknown("the test says so")
    if isinstance(data, Mapping):
        return {key: marked(value) for key, value in data.items()}
    return [marked(value) for value in data] if isinstance(data, list) else data


def request(action: str = "c-move", /, **parts: Any) -> Request:
    """A request of plain data; `resource` a list of entities, or one."""
    for name in ("resource", "resource_after"):
        if isinstance(parts.get(name), Mapping):
            parts[name] = [parts[name]]
    return Request(action, **{name: marked(part) if name != "id" else part for name, part in parts.items()})


def decide(policies: PolicySet, action: str = "c-move", /, *, now: datetime = NOW, verdicts: Any = (), **parts: Any) -> Decision:
    """The decision on a request of plain data."""
    return evaluate(policies, request(action, **parts), now, verdicts)


def truth_of(condition: str, action: str = "c-move", /, **parts: Any) -> Truth:
    """What a condition says of a request."""
    policies = policy_set({"on": [action], "when": yaml.load(condition, Loader=yaml.BaseLoader), "deny": {}})
    one = request(action, **parts)
    has_resource = policies.vocabulary.actions[action].has_resource
    view = View(one, one, entities_of(one.resource, has_resource)[0], NOW, ZoneInfo(ZONE))
    return applies(policies.rules[0].when, None, view, OPERATORS, None).truth


def cases(name: str) -> Any:
    """A file of `tests/cases`."""
    return yaml.safe_load((CASES / name).read_text(encoding="utf-8"))
