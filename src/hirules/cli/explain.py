"""Decide one request, and say of every rule in question why it matched or did not."""

from __future__ import annotations

import argparse
import sys

from hirules.assemble.captured import audit_record
from hirules.cli.answers import builtins, decision_json, text
from hirules.cli.decide import ALLOWED, DENIED, decision_gate, refuse_input
from hirules.cli.options import add_request, read_input
from hirules.cli.requests import InvalidRequest, read_request
from hirules.cli.sentences import Told, seen
from hirules.model.request import Request
from hirules.model.vocabulary import Vocabulary
from hirules.policy.ast import Rule
from hirules.policy.findings import printable
from hirules.policy.near import near_misses
from hirules.policy.trace import RuleTrace, TestTrace, Trace


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add_request(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--values", action="store_true", help="show the values that rules saw, patient data too")
    parser.add_argument("--all", action="store_true", help="name the rules that were not in question too")
    parser.add_argument(
        "--record", metavar="ID", nargs="?", const="", help="the file is an audit log: explain the request of its decision, with several the one of this id"
    )
    parser.epilog = "exit: 0 allow, 3 deny, 1 invalid input, 2 usage"


def run(arguments: argparse.Namespace) -> int:
    """Print the decision and how it came about."""
    gate = decision_gate(arguments)
    try:
        data = read_input(arguments.file)
        request = read_request(data, gate.policies.vocabulary) if arguments.record is None else _recorded(data, arguments.record, gate.policies.vocabulary)
    except (InvalidRequest, OSError) as error:
        return refuse_input(error)
    trace = Trace()
    decision = gate.check(request, trace)
    if arguments.format == "json":
        by_id = {rule.id: rule for rule in gate.policies.rules}
        rules = [{**rule_json(entry, arguments.values), "near": _near(entry, by_id, arguments.values)} for entry in trace.rules]
        print(text({**decision_json(decision, request), "rules": rules}))
    else:
        for line in Told(request, decision, trace, gate.policies, values=arguments.values, everything=arguments.all).lines():
            print(*(printable(part) for part in line.split("\n")), sep="\n")
    return ALLOWED if decision.allowed else DENIED


def _recorded(data: bytes, wanted: str, vocabulary: Vocabulary) -> Request:
    """The request of a recorded decision, at its time. What the record withholds is unknown."""
    try:
        fields = audit_record(data, wanted, vocabulary)
    except ValueError as error:
        raise InvalidRequest(f"the audit log: {error}") from None
    print("hirules: what the record does not show is unknown here, and may decide otherwise than it did", file=sys.stderr)
    return Request(**fields)  # type: ignore[arg-type]


def _near(entry: RuleTrace, rules: dict[str, Rule], values: bool) -> list[dict[str, object]]:
    rule = rules.get(entry.rule)
    return [_test_json(test, values) for test in near_misses(rule, entry.tests)] if rule is not None and entry.outcome == "not matched" and not entry.of else []


def rule_json(rule: RuleTrace, values: bool) -> dict[str, object]:
    """One rule for programs."""
    return {**builtins(rule), "tests": [_test_json(test, values) for test in rule.tests]}


def _test_json(test: TestTrace, values: bool) -> dict[str, object]:
    return {
        "path": test.path, "operators": list(test.operators), "truth": test.truth, "part": test.part, "seen": seen(test, values),
        "at": str(test.position),
    }  # fmt: skip
