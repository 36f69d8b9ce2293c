"""Write a policy set to start from: a policy, its tests, a list, and what an editor needs to help."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from hirules.assemble import schema
from hirules.cli.options import add_plugins, settings_of

SCHEMAS = {"policy": "*.yaml", "policy-set": "set.yaml", "policy-test": "*_test.yaml"}
"""The schemas that are written, and the files that each is for."""
FOLDER = ".hirules"
"""Where they are: a hidden folder is no part of a policy set."""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("folder", metavar="DIR", help="the new policy set's folder; files that are there already are left alone")
    add_plugins(parser)
    parser.epilog = "exit: 0 written, 1 a file is in the way, 2 usage"


def run(arguments: argparse.Namespace) -> int:
    """Write what is not there; nothing, where one of the files is."""
    folder = Path(arguments.folder)
    settings = settings_of(arguments)
    wanted = dict(_starter(files("hirules.cli") / "starter"))
    wanted |= {f"{FOLDER}/{name}.schema.json": (json.dumps(schema(name, settings=settings), indent=2, ensure_ascii=False) + "\n").encode() for name in SCHEMAS}
    wanted[".vscode/settings.json"] = _editor()
    there = sorted(name for name in wanted if (folder / name).exists())
    if there:
        print(f"hirules init: nothing is written, since `{folder / there[0]}` is there already", file=sys.stderr)
        return 1
    try:
        for name, content in wanted.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
    except OSError as error:
        print(f"hirules init: `{error.filename or folder}`: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        return 1
    for name in sorted(wanted):
        print(folder / name)
    print(f"\nNow: hirules check {folder}\n     hirules test {folder} --coverage")
    return 0


def _starter(folder: Traversable, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _starter(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".yaml", ".csv")):
            yield prefix + entry.name, entry.read_bytes()


def _editor() -> bytes:
    """For the YAML extension of VS Code; other editors read the first lines of the files."""
    by_file = {f"{FOLDER}/{name}.schema.json": pattern if name != "policy" else ["*.yaml", "!set.yaml", "!*_test.yaml"] for name, pattern in SCHEMAS.items()}
    settings = {"yaml.schemas": by_file, "yaml.format.enable": False, "files.associations": {"*.yaml": "yaml"}}
    return (json.dumps(settings, indent=2) + "\n").encode()
