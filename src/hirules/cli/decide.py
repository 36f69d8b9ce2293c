"""Decide one request by a policy set; nothing is recorded and nothing is carried out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hirules.assemble import build
from hirules.cli.answers import decision_json, text
from hirules.cli.options import add_request, read_input, settings_of
from hirules.cli.requests import InvalidRequest, read_request
from hirules.gate import Gate, now_of_caller

ALLOWED, INVALID, DENIED = 0, 1, 3


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    add_request(parser)
    parser.add_argument("--lines", action="store_true", help="JSON Lines: one request a line, one answer a line, errors included")
    parser.epilog = "exit: 0 allow, 3 deny, 1 invalid input, 2 usage; with --lines 1 if any line is invalid, else 3 if any is denied, else 0"


def run(arguments: argparse.Namespace) -> int:
    """Print the decision; the exit code tells it too."""
    gate = decision_gate(arguments)
    if arguments.lines:
        return _lines(gate, arguments.file)
    try:
        data = read_input(arguments.file)
        answer, code = _answer(gate, data)
    except (InvalidRequest, OSError) as error:
        return refuse_input(error)
    print(text(answer))
    return code


def decision_gate(arguments: argparse.Namespace) -> Gate:
    """A gate that records nothing and takes the time from the request. Raises ``PolicyError``."""
    return build(arguments.policies, settings_of(arguments), now=now_of_caller)


def refuse_input(error: Exception) -> int:
    """Say what is wrong with the input."""
    message = f"cannot read the request: {(error.strerror or 'no reason given').lower()}" if isinstance(error, OSError) else str(error)
    print(f"hirules: {message}", file=sys.stderr)
    return INVALID


def _answer(gate: Gate, data: bytes, *, json_only: bool = False) -> tuple[dict[str, object], int]:
    request = read_request(data, gate.policies.vocabulary, json_only=json_only)
    decision = gate.check(request)
    return decision_json(decision, request), ALLOWED if decision.allowed else DENIED


def _lines(gate: Gate, name: str) -> int:
    codes = set()
    try:
        stream = sys.stdin.buffer if name == "-" else Path(name).open("rb")  # noqa: SIM115 - standard input is not ours to close
    except OSError as error:
        return refuse_input(error)
    for line in stream:
        if not line.strip():
            continue
        try:
            answer, code = _answer(gate, line, json_only=True)
        except InvalidRequest as error:
            answer, code = {"error": str(error)}, INVALID
        codes.add(code)
        print(text(answer, indent=None), flush=True)
    if stream is not sys.stdin.buffer:
        stream.close()
    return INVALID if INVALID in codes else DENIED if DENIED in codes else ALLOWED
