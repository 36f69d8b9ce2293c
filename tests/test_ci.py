"""What the page on pipelines shows is run: its steps on a set that is fine and on sets that are not, and the hooks by pre-commit itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xmlschema
import yaml

from hirules.cli import main
from tests.cli.test_sarif import VALIDATOR
from tests.test_documentation import ROOT, blocks

PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
BIN = Path(sys.executable).parent
MISTAKE = ("status: 0xA801", "status: 0x0000")
FAILURE = ("by: [retrieval/clinical-stations]", "by: []")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert main(["init", str(tmp_path / "policies")]) == 0
    return tmp_path


def change(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / "policies" / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8", **environment}
    return subprocess.run(["bash", "-e", "-c", command], cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=170)


def commands(kind: str) -> list[str]:
    """The steps of a pipeline that are hirules'."""
    (text,) = blocks(PAGE, f"yaml {kind}")
    read = yaml.safe_load(text)
    if kind == "github":
        steps = [step.get("run", "") for step in read["jobs"]["policies"]["steps"]]
    else:
        steps = [*read["policies"]["script"], *read["policies"]["after_script"]]
    return [step for step in steps if step.startswith("hirules ")]


def is_valid(folder: Path) -> tuple[dict[str, Any], Any]:
    """The SARIF and the JUnit that a pipeline left, both valid."""
    sarif = json.loads((folder / "check.sarif").read_text(encoding="utf-8"))
    assert VALIDATOR.is_valid(sarif)
    results = folder / "results.xml"
    xmlschema.XMLSchema(ROOT / "tests" / "cli" / "junit.xsd").validate(results)
    return sarif, results.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_the_steps_pass_on_a_set_that_is_fine(kind: str, folder: Path) -> None:
    for command in commands(kind):
        done = run(folder, command)
        assert done.returncode == 0, command + done.stdout + done.stderr
    sarif, results = is_valid(folder)
    assert sarif["runs"][0]["results"] == []
    assert "<failure" not in results


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_mistake_fails_and_is_in_the_sarif(kind: str, folder: Path) -> None:
    change(folder, "retrieval.yaml", *MISTAKE)
    failed = [command for command in commands(kind) if run(folder, command).returncode]
    assert any(" check " in command for command in failed)
    sarif = json.loads((folder / "check.sarif").read_text(encoding="utf-8"))
    assert VALIDATOR.is_valid(sarif)
    (result,) = sarif["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("status", "error")
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "policies/retrieval.yaml"


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_failed_test_fails_and_is_in_the_results(kind: str, folder: Path) -> None:
    change(folder, "retrieval_test.yaml", *FAILURE)
    failed = [command for command in commands(kind) if run(folder, command).returncode]
    assert len(failed) == 1
    assert failed[0].startswith("hirules test")
    assert "<failure" in is_valid(folder)[1]


@pytest.mark.parametrize("name", ["pre-commit", "github", "gitlab"])
def test_every_snippet_is_yaml_and_names_hooks_that_there_are(name: str) -> None:
    for text in blocks(PAGE, f"yaml {name}"):
        read = yaml.safe_load(text)
        if name == "pre-commit":
            assert {hook["id"] for repo in read["repos"] for hook in repo["hooks"]} <= HOOKS.keys()


def test_every_command_and_code_of_the_page_is_one(folder: Path) -> None:
    for command in re.findall(r"`(hirules [^`]+)`", PAGE):
        assert run(folder, command).returncode == 0, command


def committed(folder: Path, number: int) -> None:
    """A repository with the configuration of the page; the hooks are those of this repository, run by the hirules that is installed.

    Only the ``language`` is another: pre-commit would else install hirules anew, from the network.
    """
    config = yaml.safe_load(blocks(PAGE, "yaml pre-commit")[number])
    hooks = [{**HOOKS[hook["id"]], **hook, "language": "system"} for repo in config["repos"] for hook in repo["hooks"]]
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [{"repo": "local", "hooks": hooks}]}), encoding="utf-8")
    assert run(folder, "git init -q . && git add -A && git -c user.name=t -c user.email=t@example.org commit -qm first").returncode == 0


def hooked(folder: Path) -> tuple[int, dict[str, str], str]:
    """What ``pre-commit run`` says of each hook."""
    done = run(folder, "pre-commit run --all-files", PRE_COMMIT_HOME=str(folder / ".git" / "pre-commit"), PRE_COMMIT_COLOR="never")
    said = dict(re.findall(r"^(hirules \w+)\.+(?:\(.*\))?(\w+)$", done.stdout, re.MULTILINE))
    return done.returncode, said, done.stdout + done.stderr


@pytest.mark.parametrize("number", [0, 1])
def test_the_hooks_pass_on_a_set_that_is_fine(number: int, folder: Path) -> None:
    if number:
        shutil.move(folder / "policies", folder / "rules")
    committed(folder, number)
    code, said, text = hooked(folder)
    assert code == 0, text
    assert said == {"hirules fmt": "Passed", "hirules check": "Passed", "hirules test": "Passed"}


def test_the_hooks_fail_on_what_is_wrong(folder: Path) -> None:
    change(folder, "retrieval.yaml", "on: [c-find, c-get, c-move]", "on:   [c-find,c-get,c-move]")
    change(folder, "retrieval_test.yaml", *FAILURE)
    committed(folder, 0)
    code, said, text = hooked(folder)
    assert code != 0
    assert said == {"hirules fmt": "Failed", "hirules check": "Passed", "hirules test": "Failed"}, text
    assert "on: [c-find, c-get, c-move]" in (folder / "policies" / "retrieval.yaml").read_text(encoding="utf-8")
    change(folder, "retrieval.yaml", *MISTAKE)
    assert hooked(folder)[1]["hirules check"] == "Failed"


def test_the_hooks_are_as_pre_commit_wants_them() -> None:
    environment = {**os.environ, "PATH": f"{BIN}:/usr/bin:/bin"}
    done = subprocess.run(
        ["pre-commit", "validate-manifest", str(ROOT / ".pre-commit-hooks.yaml")], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(hook["language"] == "python" for hook in HOOKS.values())
