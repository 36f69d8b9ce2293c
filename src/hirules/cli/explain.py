"""Decide one request, and say of every rule whether it was considered and why."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from hirules.cli.answers import builtins, decision_json, text
from hirules.cli.decide import ALLOWED, DENIED, decision_gate, refuse_input
from hirules.cli.options import add_request, read_input
from hirules.cli.requests import InvalidRequest, read_request
from hirules.model.decision import Decision
from hirules.policy.ast import PolicySet, Rule
from hirules.policy.findings import printable
from hirules.policy.trace import RuleTrace, TestTrace, Trace

_TRUTH = {True: "holds", False: "does not hold", None: "is unknown"}


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add_request(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--values", action="store_true", help="show the values that rules saw, patient data too")
    parser.epilog = "exit: 0 allow, 3 deny, 1 invalid input, 2 usage"


def run(arguments: argparse.Namespace) -> int:
    """Print the decision and how it came about."""
    gate = decision_gate(arguments)
    try:
        request = read_request(read_input(arguments.file), gate.policies.vocabulary)
    except (InvalidRequest, OSError) as error:
        return refuse_input(error)
    trace = Trace()
    decision = gate.check(request, trace)
    if arguments.format == "json":
        print(text({**decision_json(decision, request), "rules": [rule_json(rule, arguments.values) for rule in trace.rules]}))
    else:
        for line in sentences(decision, trace, gate.policies, arguments.values):
            print(printable(line))
    return ALLOWED if decision.allowed else DENIED


def rule_json(rule: RuleTrace, values: bool) -> dict[str, object]:
    """One rule for programs."""
    return {**builtins(rule), "tests": [_test_json(test, values) for test in rule.tests]}


def _test_json(test: TestTrace, values: bool) -> dict[str, object]:
    return {
        "path": test.path, "operators": list(test.operators), "truth": test.truth, "part": test.part, "seen": _seen(test, values),
        "at": str(test.position),
    }  # fmt: skip


def sentences(decision: Decision, trace: Trace, policies: PolicySet, values: bool) -> Iterator[str]:
    """The decision and its reasons, for people."""
    yield _verdict(decision)
    if decision.full_reason if values else decision.reason:
        yield f"Reason: {decision.full_reason if values else decision.reason}"
    for path, value in sorted(decision.rewritten.items()):
        yield f"Rewritten: {path} {'is removed' if value is None else f'becomes {_value(value)}'}"
    for use in decision.exceptions:
        yield f"Exception {use.exception} suspends {use.rule}: {use.reason}" + (f" (approved by {use.approved_by})" if use.approved_by else "")
    for note in decision.notes:
        yield f"Note of {note.source} ({note.severity}): {note.note}"
    for result in decision.shadow:
        yield f"In shadow: {result.rule} would have said {result.outcome}"
    for error in decision.errors:
        yield f"Unknown: {error.source}: {error.message}" + (f" ({error.path})" if error.path else "")
    rules = {rule.id: rule for rule in policies.rules}
    yield ""
    yield "Rules:"
    for entry in trace.rules:
        yield from _rule(entry, rules.get(entry.of or entry.rule), values)


def _verdict(decision: Decision) -> str:
    said = "The request is allowed" if decision.allowed else "The request is denied"
    if decision.by:
        return f"{said}, because of {', '.join(decision.by)}."
    if decision.errors and not decision.allowed:
        return f"{said}: it could not be decided."
    return f"{said}: no rule decided, so the set's `combining` did."


def _rule(entry: RuleTrace, rule: Rule | None, values: bool) -> Iterator[str]:
    kind = f"exception for {entry.of}" if entry.of else rule.kind if rule is not None else "rule"
    mode = f", in {entry.mode}" if entry.mode != "enforce" else ""
    entity = f" for entity {entry.entity + 1}" if entry.entity is not None else ""
    yield f"  {entry.rule} ({kind}{mode}) {entry.outcome}{entity}" + (f": {entry.why}" if entry.why else "")
    for test in entry.tests:
        operators = ", ".join(test.operators)
        yield f"      {test.part} {test.path} {operators} {_TRUTH[test.truth]}; it saw {_seen(test, values)}  [{test.position}]"


def _seen(test: TestTrace, values: bool) -> str:
    seen = test.seen
    if seen.unknown is not None and not seen.values:
        return f"nothing that is known: {seen.unknown}"
    if seen.everything:
        return "everything (the attribute is absent)"
    if not seen.values:
        return "a zero-length value" if seen.present else "no value"
    if test.patient_data and not values:
        return "1 value" if len(seen.values) == 1 else f"{len(seen.values)} values"
    return ", ".join(_value(value) for value in seen.values)


def _value(value: object) -> str:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return f"`{value}`" if not isinstance(value, list | tuple) else ", ".join(f"`{item}`" for item in value)
