"""What is installed: the schemas and every package, from a wheel and from an editable install."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SCHEMAS = sorted(path.name for path in (ROOT / "schemas").glob("*.json"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy that has no leftovers of other builds."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "project"
    tracked = [path for path in ("pyproject.toml", "README.md", "LICENSE", "src", "schemas", "rules") if (ROOT / path).exists()]
    copy.mkdir()
    subprocess.run(["cp", "-r", *[str(ROOT / path) for path in tracked], str(copy)], check=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(copy)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_the_list_of_packages_is_that_of_the_source() -> None:
    """Folders of data are packages too, for setuptools."""
    packages = {
        ".".join(path.parent.relative_to(ROOT / "src").parts) for path in (ROOT / "src" / "hirules").rglob("*") if path.is_file() and path.suffix != ".pyc"
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages | {"hirules.schemas"}


def test_the_wheel_has_every_file_of_the_source_and_every_schema(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    source = {path for path in (ROOT / "src" / "hirules").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert SCHEMAS
    assert {str(path.relative_to(ROOT / "src")) for path in source} | {f"hirules/schemas/{name}" for name in SCHEMAS} <= names


def test_the_wheel_alone_reads_its_schemas(wheel: Path) -> None:
    """From the zipped wheel, first on the path, so that the editable install cannot answer in its place."""
    code = (
        "import sys, json, importlib.resources as resources; sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()];"
        "sys.path.insert(0, sys.argv[1]); import hirules.schemas; assert sys.argv[1] in hirules.schemas.__file__;"
        "print(json.dumps(sorted(p.name for p in resources.files('hirules.schemas').iterdir() if p.name.endswith('.json') and json.loads(p.read_text()))))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(wheel)], check=True, capture_output=True, text=True, cwd=wheel.parent)
    assert json.loads(done.stdout) == SCHEMAS


def test_this_environment_reads_the_schemas() -> None:
    found = importlib.resources.files("hirules.schemas")
    assert sorted(path.name for path in found.iterdir() if path.name.endswith(".json")) == SCHEMAS
    for name in SCHEMAS:
        assert json.loads(found.joinpath(name).read_text(encoding="utf-8"))["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_command_is_installed() -> None:
    (command,) = [entry for entry in importlib.metadata.entry_points(group="console_scripts") if entry.name == "hirules"]
    assert callable(command.load())


def test_every_dependency_has_its_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("dependencies = [\n")[1].split("\n]")[0].splitlines()
    assert len(lines) == len(PROJECT["project"]["dependencies"])
    assert not [line for line in lines if "  # " not in line and " # " not in line]
