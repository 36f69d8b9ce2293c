"""Arguments that several commands have."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from pathlib import Path

import msgspec

from hirules.model.scalars import Type, read
from hirules.settings import Settings, read_settings


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """Which plugins are loaded: those that are named, and no others."""
    parser.add_argument("--plugin", metavar="NAME", action="append", default=[], help="load this installed plugin (may be given several times)")
    parser.add_argument("--config", metavar="FILE", help="a configuration file, for its plugins")


def add_request(parser: argparse.ArgumentParser) -> None:
    """A policy set and a request."""
    parser.add_argument("--policies", metavar="DIR", required=True, help="the policy set's folder")
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="the request as JSON or YAML; `-` is standard input (the default)")
    add_plugins(parser)


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The configuration of a command that takes plugins."""
    settings = read_settings(arguments.config) if arguments.config else Settings()
    return msgspec.structs.replace(settings, plugins=(*settings.plugins, *(name for name in arguments.plugin if name not in settings.plugins)))


def read_input(name: str) -> bytes:
    """The bytes of a file or of standard input. Raises ``OSError``."""
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def moment(text: str) -> datetime:
    """A date and time with its offset, for ``argparse``. Raises ``ArgumentTypeError``."""
    try:
        found = read(Type.DATETIME, text)
    except ValueError:
        found = None
    if not isinstance(found, datetime) or found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"`{text}` is no date and time with offset, `2026-12-31T23:59:59Z`")
    return found
