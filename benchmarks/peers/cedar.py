"""Cedar through cedarpy: the policies as one set, and sliced by the application.

- Principal and action stand in the policy's scope, not in its condition: docs.cedarpolicy.com, "Best practice: When
  possible, populate the policy scope". A rule of a few AE titles is one policy for each, as the same page advises.
- A list file is a group entity with its AE titles as children, the Cedar form of "any of these principals".
- ``has`` stands before every optional attribute, else an absent one is an error of the policy.
- Sliced: that page gives as the reason for the scope that policies can be indexed by it and only the relevant ones retrieved. Here the
  application does so by action and calling AE title, each slice parsed once. Group membership is settled by the slicing, so no entities are needed.
- Policies and entities are parsed once into handles, principal and action are given by type and id (a third faster than Cedar's own
  syntax), the context is JSON text already: nothing is parsed twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import cedarpy

from benchmarks.engines import Opened
from benchmarks.peers.slices import key_of, slices
from benchmarks.workload import Query, Rule, Workload

RESOURCE = {"type": "Archive", "id": "PACS"}


def whole(workload: Workload) -> Opened:
    """One policy set with every rule."""
    policies = cedarpy.PolicySet.from_str("\n".join(_policies(workload.rules)))
    entities = cedarpy.Entities.from_json_str(json.dumps(_entities(workload)))

    def decide(request: dict[str, Any]) -> cedarpy.AuthzResult:
        return cedarpy.is_authorized(request, policies, entities)

    return Opened(_request, decide, _allowed)


def sliced(workload: Workload) -> Opened:
    """A policy set for each action and calling AE title."""
    parsed = {key: cedarpy.PolicySet.from_str("\n".join(_policy(rule, "principal") for rule in rules)) for key, rules in slices(workload).items()}
    entities = cedarpy.Entities.from_json_str("[]")

    def prepare(query: Query) -> tuple[Any, dict[str, Any]]:
        return key_of(query, parsed), _request(query)

    def decide(prepared: tuple[Any, dict[str, Any]]) -> cedarpy.AuthzResult:
        key, request = prepared
        return cedarpy.is_authorized(request, parsed[key], entities)

    return Opened(prepare, decide, _allowed)


def _allowed(result: cedarpy.AuthzResult) -> bool:
    return bool(result.allowed) and not result.diagnostics.errors


def _policies(rules: Iterable[Rule]) -> Iterable[str]:
    for rule in rules:
        if rule.list:
            yield _policy(rule, f'principal in List::"{rule.list}"')
        elif rule.callers:
            yield from (_policy(rule, f'principal == Node::"{caller}"') for caller in rule.callers)
        else:
            yield _policy(rule, "principal")


def _policy(rule: Rule, principal: str) -> str:
    effect = "permit" if rule.effect == "allow" else "forbid"
    conditions = " && ".join(_conditions(rule))
    return f'{effect} ({principal}, action == Action::"{rule.action}", resource)' + (f" when {{ {conditions} }};" if conditions else ";")


def _conditions(rule: Rule) -> Iterable[str]:
    for name, values in (("level", rule.levels), ("destination", rule.destinations)):
        if len(values) == 1:
            yield f'context has {name} && context.{name} == "{values[0]}"'
        elif values:
            yield f"context has {name} && {json.dumps(values)}.contains(context.{name})"
    if rule.glob:
        yield f'context has destination && context.destination like "{rule.glob}"'
    if rule.network:
        yield f'context has address && context.address.isInRange(ip("{rule.network}"))'


def _entities(workload: Workload) -> list[dict[str, Any]]:
    parents: dict[str, list[dict[str, str]]] = {}
    for name, members in workload.lists.items():
        for member in members:
            parents.setdefault(member, []).append({"type": "List", "id": name})
    nodes = [{"uid": {"type": "Node", "id": caller}, "attrs": {}, "parents": groups} for caller, groups in parents.items()]
    return [{"uid": {"type": "List", "id": name}, "attrs": {}, "parents": []} for name in workload.lists] + nodes


def _request(query: Query) -> dict[str, Any]:
    context: dict[str, Any] = {"study": query.study, "level": query.level, "destination": query.destination}
    if query.address is not None:
        context["address"] = {"__extn": {"fn": "ip", "arg": query.address}}
    return {
        "principal": {"type": "Node", "id": query.caller},
        "action": {"type": "Action", "id": query.action},
        "resource": RESOURCE,
        "context": json.dumps({name: value for name, value in context.items() if value is not None}),
    }
