"""The command line: one module a command, each with ``add`` (its arguments) and ``run`` (its exit code).

check    what is wrong with a policy set      decide   one request to one decision
explain  the same, with every rule            serve    the gateway
demo     the main job on real files           schema   the published schemas
plugins  what is installed                    test     the tests of a policy set
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any

from hirules.cli import check, decide, demo, explain, fmt, init, plugins, schema, serve, test
from hirules.policy.findings import PolicyError

COMMANDS = (init, check, decide, explain, test, fmt, serve, demo, schema, plugins)

PLANNED = ("audit", "bench", "bundle", "diff", "exec", "prove", "replay", "report")
"""Commands of later versions: naming one says so, instead of taking it for a mistake."""

USAGE = 2


class _Parser(argparse.ArgumentParser):
    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value in PLANNED and value not in action.choices:
            raise argparse.ArgumentError(action, f"`{value}` is not available in this version")
        super()._check_value(action, value)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    from hirules import __version__

    top = _Parser(prog="hirules", description="decides requests for medical images by a policy set: allow, rewrite, deny, audit")
    top.add_argument("--version", action="version", version=f"hirules {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser)
    for module in COMMANDS:
        name = module.__name__.rpartition(".")[2]
        summary = (module.__doc__ or "").strip().splitlines()[0]
        command = commands.add_parser(name, help=summary[:1].lower() + summary[1:].rstrip("."), description=summary)
        module.add(command)
        command.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Never shows a traceback."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING, stream=sys.stderr)
    arguments = parser().parse_args(argv)
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
