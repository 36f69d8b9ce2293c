"""Print a published JSON Schema, with what the named plugins add."""

from __future__ import annotations

import argparse
import json

from hirules.assemble import SCHEMAS, schema
from hirules.cli.options import add_plugins, settings_of


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("name", metavar="NAME", choices=sorted(SCHEMAS), help=f"one of {', '.join(sorted(SCHEMAS))}")
    add_plugins(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    print(json.dumps(schema(arguments.name, settings=settings_of(arguments)), indent=2, ensure_ascii=False))
    return 0
