"""List the plugins that are installed, without importing them."""

from __future__ import annotations

import argparse
import json

from hirules.hooks.plugins import installed


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    listing = commands.add_parser("list", help="what is installed in the entry-point group `hirules`", description="List the installed plugins.")
    listing.add_argument("--format", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    """Print one line a plugin. The configuration's `plugins` says which of them are loaded."""
    found = installed()
    if arguments.format == "json":
        print(json.dumps([{"name": plugin.name, "distribution": plugin.distribution, "version": plugin.version} for plugin in found], indent=2))
    else:
        for plugin in found:
            print(f"{plugin.name}  ({plugin.distribution} {plugin.version})")
        if not found:
            print("no plugins are installed")
    return 0
