"""The command line: one module a command, each with ``add`` (its arguments) and ``run`` (its exit code).

check    what is wrong with a policy set      decide   one request to one decision
explain  the same, with every rule            serve    the gateway
demo     the main job on real files           schema   the published schemas
plugins  what is installed                    test     the tests of a policy set
init     a policy set to start from           fmt      one layout for policy files

options    arguments of several commands      requests   a request, read strictly
reports    findings, in every format          answers    decisions as JSON, sentences for people
test_reports, junit  how tests went           notify     what systemd is told
demo_clients  the peers of the demo
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

COMMANDS = ("init", "check", "decide", "explain", "test", "fmt", "serve", "demo", "schema", "plugins")
"""In the order of the help; each is the module of its name, imported when it is asked for: boto3 and pynetdicom take longer than a check."""

PLANNED = ("audit", "bench", "bundle", "diff", "exec", "prove", "replay", "report")
"""Commands of later versions: naming one says so, instead of taking it for a mistake."""

USAGE = 2


class _Parser(argparse.ArgumentParser):
    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value in PLANNED and value not in action.choices:
            raise argparse.ArgumentError(action, f"`{value}` is not available in this version")
        super()._check_value(action, value)


def parser(names: Sequence[str] = COMMANDS) -> argparse.ArgumentParser:
    """The command line with the commands of these names."""
    from hirules import __version__

    top = _Parser(prog="hirules", description="decides requests for medical images by a policy set: allow, rewrite, deny, audit")
    top.add_argument("--version", action="version", version=f"hirules {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser)
    for name in names:
        module = importlib.import_module(f"hirules.cli.{name}")
        summary = (module.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, help=summary[:1].lower() + summary[1:].rstrip("."), description=summary)
        module.add(command)
        command.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Never shows a traceback."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING, stream=sys.stderr)
    given = sys.argv[1:] if argv is None else argv
    arguments = parser(given[:1] if given and given[0] in COMMANDS else COMMANDS).parse_args(given)
    from hirules.policy.findings import PolicyError

    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
    except PolicyError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # whoever read the output has seen enough; what Python would flush at exit has nowhere to go
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get("HIRULES_TRACEBACK"):
            raise
        print(f"hirules: internal error ({type(error).__name__}); HIRULES_TRACEBACK=1 shows where", file=sys.stderr)
        return 70
    return code
