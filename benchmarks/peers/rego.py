"""Rego through regorus (PyPI: gordon-to-regorus): a few lines of Rego over the rules as data.

- The rules are data keyed by action and calling AE title, and values to compare with are objects: openpolicyagent.org,
  "Policy Performance", advises objects that are looked up by key over arrays that are walked through. A rule of several AE
  titles stands under each of them.
- Rules that test exactly level and destination, the most frequent shape, are two look-ups; the others are asked one by one
  what they test. A glob has one `*`, so it is `startswith` and `endswith`, cheaper than `glob.match`.
- It is compiled once for regorus' virtual machine (`Program`, `Rvm`), which was measured at a third of its interpreter.
"""

from __future__ import annotations

import json
from typing import Any

import regorus

from benchmarks.engines import Opened
from benchmarks.peers.forms import halves
from benchmarks.peers.slices import slices
from benchmarks.workload import Query, Rule, Workload

ENTRY = "data.hospital.allow"
POLICY = """
package hospital

import rego.v1

default allow := false

rules := object.get(data.rules[input.action], input.caller, data.rules[input.action]["*"])

allow if { not denied; allowed }

allowed if { some rule in rules.allow.plain; rule.levels[input.level]; rule.destinations[input.destination] }
allowed if { some rule in rules.allow.other; holds(rule) }
denied if { some rule in rules.deny.plain; rule.levels[input.level]; rule.destinations[input.destination] }
denied if { some rule in rules.deny.other; holds(rule) }

holds(rule) if { level(rule); destination(rule); network(rule) }

level(rule) if not rule.levels
level(rule) if rule.levels[input.level]

destination(rule) if not rule.destinations
destination(rule) if rule.destinations[input.destination]
destination(rule) if {
    startswith(input.destination, rule.before)
    endswith(input.destination, rule.after)
    count(input.destination) >= rule.length
}

network(rule) if not rule.network
network(rule) if net.cidr_contains(rule.network, input.address)
"""


def keyed(workload: Workload) -> Opened:
    """Rules as data keyed by action and calling AE title."""
    data = json.dumps(_data(workload))
    machine = regorus.Rvm()
    machine.load_program(regorus.Program.compile_from_modules(data, [("hospital.rego", POLICY)], [ENTRY]))
    machine.set_data_json(data)

    def decide(request: str) -> str:
        machine.set_input_json(request)
        answer: str = machine.execute()
        return answer

    return Opened(_request, decide, lambda answer: bool(answer == "true"))


def _data(workload: Workload) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for (action, caller), rules in slices(workload).items():
        effects = found.setdefault(action, {}).setdefault(caller, {})
        for rule in rules:
            plain = rule.levels and rule.destinations and not rule.network
            effects.setdefault(rule.effect, {}).setdefault("plain" if plain else "other", []).append(_row(rule))
    return {"rules": found}


def _row(rule: Rule) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if rule.levels:
        row["levels"] = dict.fromkeys(rule.levels, True)
    if rule.destinations:
        row["destinations"] = dict.fromkeys(rule.destinations, True)
    if rule.glob:
        before, after = halves(rule.glob)
        row |= {"destinations": {}, "before": before, "after": after, "length": len(before) + len(after)}
    if rule.network:
        row["network"] = rule.network
    return row


def _request(query: Query) -> str:
    given = {
        "action": query.action, "caller": query.caller, "study": query.study,
        "level": query.level, "destination": query.destination, "address": query.address,
    }  # fmt: skip
    return json.dumps({name: value for name, value in given.items() if value is not None})
