"""casbin: the standard enforcer, and FastEnforcer keyed by action and AE title.

- Standard: a list file is a role whose members are the AE titles (`g`), casbin's form of "any of these"; a rule of a few AE
  titles is a line for each. The matcher tests the cheap columns first, since it stops at the first that fails.
- Fast: `FastEnforcer` takes `cache_key_order`, the columns that key the lines, and matches only those of the request's keys. Rules of
  several AE titles, and those of any, are lines under each; an AE title that no rule names is asked as `*`.
- A destination column is one, several or a glob, and a network may meet an absent address: two functions of the
  application, as casbin's documentation adds them; the network's is casbin's own `ip_match`.
- The lines come through an adapter that appends them as casbin's own `load_policy_line` does. (`add_policies` looks every line up in
  all the others, which takes minutes at 10,000.)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import casbin
from casbin.model import FastModel, Model
from casbin.persist import Adapter
from casbin.util import ip_match_func

from benchmarks.engines import Opened
from benchmarks.peers.forms import like
from benchmarks.peers.slices import ANY, key_of, slices
from benchmarks.workload import Query, Rule, Workload

SEPARATOR = "|"
DEFINITIONS = """
[request_definition]
r = sub, act, level, dest, addr
[policy_definition]
p = sub, act, levels, dest, net, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
"""
ROLES = """
[role_definition]
g = _, _
"""
ATTRIBUTES = '(p.levels == "*" || r.level in p.levels) && (p.dest == "*" || destination(r.dest, p.dest)) && (p.net == "*" || network(r.addr, p.net))'


class Lines(Adapter):  # type: ignore[misc]
    """Rules, and members of roles, that are there already."""

    def __init__(self, rules: Iterable[list[str]], roles: Iterable[list[str]] = ()) -> None:
        self.rules, self.roles = rules, roles

    def load_policy(self, model: Model) -> None:
        """Called by the enforcer with its model."""
        for line in self.rules:
            model["p"]["p"].policy.append(line)
        for line in self.roles:
            model["g"]["g"].policy.append(line)


def standard(workload: Workload) -> Opened:
    """Every rule is matched."""
    model = Model()
    model.load_model_from_text(f"{DEFINITIONS}{ROLES}[matchers]\nm = r.act == p.act && (p.sub == r.sub || p.sub == '*' || g(r.sub, p.sub)) && {ATTRIBUTES}")
    rules = [_line(rule, subject) for rule in workload.rules for subject in _subjects(rule)]
    roles = [[member, name] for name, members in workload.lists.items() for member in members]
    enforcer = casbin.Enforcer(model, Lines(rules, roles))
    return _opened(enforcer, lambda query: query.caller)


def fast(workload: Workload) -> Opened:
    """The rules of the request's action and AE title are matched."""
    model = FastModel([1, 0])
    model.load_model_from_text(f"{DEFINITIONS}[matchers]\nm = {ATTRIBUTES}")
    keyed = slices(workload)
    enforcer = casbin.FastEnforcer(model, Lines([_line(rule, caller) for (_, caller), rules in keyed.items() for rule in rules]), cache_key_order=[1, 0])
    return _opened(enforcer, lambda query: key_of(query, keyed)[1])


def _opened(enforcer: Any, subject: Any) -> Opened:
    enforcer.add_function("destination", lambda value, column: like(value, column) if "*" in column else value in column.split(SEPARATOR))
    enforcer.add_function("network", lambda address, column: bool(address) and ip_match_func(address, column))

    def prepare(query: Query) -> tuple[str, ...]:
        return (subject(query), query.action, query.level or "-", query.destination or "-", query.address or "")

    def decide(request: tuple[str, ...]) -> bool:
        allowed: bool = enforcer.enforce(*request)
        return allowed

    return Opened(prepare, decide, bool)


def _subjects(rule: Rule) -> tuple[str, ...]:
    return (rule.list,) if rule.list else rule.callers or (ANY,)


def _line(rule: Rule, subject: str) -> list[str]:
    to = rule.glob or SEPARATOR.join(rule.destinations)
    return [subject, rule.action, SEPARATOR.join(rule.levels) or ANY, to or ANY, rule.network or ANY, rule.effect]
