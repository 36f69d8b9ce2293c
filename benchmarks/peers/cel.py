"""CEL through common-expression-language (the Rust implementation): one program, and one for each slice.

- The README advises to compile once and execute often. CEL is an expression and no more: rules, effects and `one deny denies` are the
  application's; here they are one expression, `!(d1 || d2) && (a1 || a2)`, which leaves nothing to the caller's language.
- Sliced: the application picks the program by action and calling AE title, so what remains is a handful of conditions.
- The request is a dict, the README's form. A network is an interval of numbers: this CEL has no addresses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import cel

from benchmarks.engines import Opened
from benchmarks.peers.forms import common_expressions, flat, interval
from benchmarks.peers.slices import Key, key_of, slices
from benchmarks.workload import Query, Rule, Workload


def whole(workload: Workload) -> Opened:
    """One program with every rule."""
    program = cel.compile(_program(workload.rules, workload))
    return Opened(flat, program.execute, bool)


def sliced(workload: Workload) -> Opened:
    """A program for each action and calling AE title."""
    programs = {key: cel.compile(_program(rules)) for key, rules in slices(workload).items()}

    def prepare(query: Query) -> tuple[Key, dict[str, str | int]]:
        return key_of(query, programs), flat(query)

    def decide(prepared: tuple[Key, dict[str, str | int]]) -> Any:
        key, request = prepared
        return programs[key].execute(request)

    return Opened(prepare, decide, bool)


def _program(rules: Sequence[Rule], workload: Workload | None = None) -> str:
    """``workload`` where action and AE title are not settled by the slice."""

    def any_of(effect: str) -> str:
        return " || ".join(f"({' && '.join(_conditions(rule, workload)) or 'true'})" for rule in rules if rule.effect == effect) or "false"

    return f"!({any_of('deny')}) && ({any_of('allow')})"


def _conditions(rule: Rule, workload: Workload | None) -> Iterable[str]:
    if workload is not None:
        members = workload.members(rule)
        yield f'action == "{rule.action}"'
        if len(members) == 1:
            yield f'caller == "{members[0]}"'
        elif members:
            yield f"caller in {json.dumps(members)}"
    yield from common_expressions(rule)
    if rule.network:
        low, high = interval(rule.network)
        yield f"address >= {low} && address <= {high}"
