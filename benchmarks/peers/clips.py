"""CLIPS through clipspy: a defrule for each rule, a request asserted as a fact.

- CLIPS is made for this: the constants of all patterns become one network of tests, which the rules share, so that a fact wakes only the
  rules it meets: its time grows little with their number, as the figures show. Values are symbols, which compare by identity.
- Denies have the higher salience and halt: one deny decides.
- One call to a function of CLIPS asserts, runs and retracts. Done from Python call by call it was measured at 23 µs, and slower with each
  request, since CLIPS clears what it no longer needs only within its own run; so it stays at 9.
- A glob is `sub-string` behind a length, cheaper than calling into Python; a network is an interval of numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import clips

from benchmarks.engines import Opened
from benchmarks.peers.forms import flat, halves, interval
from benchmarks.workload import Query, Rule, Workload

NONE = "none"


TEMPLATE = "(deftemplate request (slot action) (slot caller) (slot level) (slot destination) (slot address))"
GLOBALS = "(defglobal ?*allowed* = 0 ?*denied* = 0)"
DECIDE = """
(deffunction decide (?action ?caller ?level ?destination ?address)
  (bind ?*allowed* 0)
  (bind ?*denied* 0)
  (bind ?request (assert (request (action ?action) (caller ?caller) (level ?level) (destination ?destination) (address ?address))))
  (run)
  (retract ?request)
  (- ?*allowed* ?*denied*))
"""


def rules(workload: Workload) -> Opened:
    """Every rule in one environment."""
    environment = clips.Environment()
    for construct in (TEMPLATE, GLOBALS, DECIDE):
        environment.build(construct)
    for rule in workload.rules:
        environment.build(_defrule(rule, workload.members(rule)))
    function = environment.find_function("decide")

    def decide(slots: tuple[Any, ...]) -> int:
        answer: int = function(*slots)
        return answer

    # the function does not hold its environment, so closing does
    return Opened(_slots, decide, lambda answer: answer == 1, environment.reset)


def _defrule(rule: Rule, members: Iterable[str]) -> str:
    salience, does = (1, "(bind ?*denied* 2) (halt)") if rule.effect == "deny" else (0, "(bind ?*allowed* 1)")
    return f"(defrule {rule.id} (declare (salience {salience})) (request {' '.join(_patterns(rule, members))}) => {does})"


def _patterns(rule: Rule, members: Iterable[str]) -> Iterable[str]:
    yield f"(action {rule.action})"
    for slot, values in (("caller", members), ("level", rule.levels), ("destination", rule.destinations)):
        if values:
            yield f"({slot} {'|'.join(values)})"
    if rule.glob:
        before, after = halves(rule.glob)
        tests = [f"(>= (str-length ?to) {len(before) + len(after)})"]
        if before:
            tests.append(f'(eq (sub-string 1 {len(before)} ?to) "{before}")')
        if after:
            tests.append(f'(eq (sub-string (- (str-length ?to) {len(after) - 1}) (str-length ?to) ?to) "{after}")')
        yield f"(destination ?to&:(and {' '.join(tests)}))"
    if rule.network:
        low, high = interval(rule.network)
        yield f"(address ?from&:(<= {low} ?from {high}))"


def _slots(query: Query) -> tuple[Any, ...]:
    given = flat(query)
    return (*(clips.Symbol(given[slot] or NONE) for slot in ("action", "caller", "level", "destination")), given["address"])
